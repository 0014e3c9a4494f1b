"""Files that a session has made, by address, sent from disk in small parts.

Streamlit's download button holds the whole file in memory, which a study's weights would fill.
"""

import secrets
import shutil
import time
from pathlib import Path
from tempfile import mkdtemp
from weakref import WeakValueDictionary, finalize

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from dashboard.places import cache_root

FOLDER, PREFIX = "exports", "whichlayers-export-"
"""Below the cache, as all that is kept of patients."""
LONGEST_SECONDS = 86400.0
"""Files that are older are those of a server that was killed; a page that is open for longer offers the export anew."""
_SERVED = [""]


class Export:
    """A place for one file in a folder of its own; address and folder go with the object, and so with its session."""

    def __init__(self, name: str) -> None:
        self._word = secrets.token_urlsafe(32)
        folder = cache_root() / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self.file = Path(mkdtemp(prefix=PREFIX, dir=folder)) / name
        finalize(self, shutil.rmtree, self.file.parent, ignore_errors=True)
        _KEPT[self._word] = self

    @property
    def address(self) -> str:
        """Where the file is, on this server; nobody can guess it."""
        return f"{_SERVED[0]}/exports/{self._word}"


_KEPT: WeakValueDictionary[str, Export] = WeakValueDictionary()


def sweep() -> None:
    """Deletes files that a server which was killed has left."""
    for folder in (cache_root() / FOLDER).glob(f"{PREFIX}*"):
        if folder.is_dir() and not folder.is_symlink() and time.time() - folder.stat().st_mtime > LONGEST_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def routes(prefix: str = "") -> list[BaseRoute]:
    """What the server answers with files, under the path that it is served at."""
    _SERVED[:] = [prefix]
    return [Route(f"{prefix}/exports/{{word}}", _answer)]


async def _answer(request: Request) -> Response:
    export = _KEPT.get(request.path_params["word"])
    if export is None or not export.file.is_file():
        return Response("This file is gone with the page that made it; make it there again.\n", 404)
    return FileResponse(
        export.file, media_type="application/zip", filename=export.file.name, headers={"Cache-Control": "no-store"}
    )
