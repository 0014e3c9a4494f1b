"""Folders below the cache that go with the server: of uploads, and of clips that are written aside for reading.

The server holds a lock on each, so that what a killed server has left can be told from what another one uses.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

FOLDER, UPLOADS = "aside", "live"
SPARED_SECONDS = 60.0
"""A folder that is younger may be about to be locked."""


class Aside:
    """A new folder, until it is left."""

    def __init__(self, cache: Path, kind: str = FOLDER) -> None:
        above = cache / kind
        above.mkdir(parents=True, exist_ok=True)
        self.folder = Path(mkdtemp(dir=above))
        self._held: int | None = os.open(self.folder, os.O_RDONLY)
        fcntl.flock(self._held, fcntl.LOCK_EX)

    def leave(self) -> None:
        """Deletes it with all that is in it."""
        held, self._held = self._held, None
        shutil.rmtree(self.folder, ignore_errors=True)
        if held is not None:
            os.close(held)


def sweep(cache: Path) -> None:
    """Deletes the folders of servers that were killed."""
    for folder in [*(cache / FOLDER).glob("*"), *(cache / UPLOADS).glob("*")]:
        with suppress(OSError), _opened(folder) as held:
            if time.time() - folder.stat().st_mtime > SPARED_SECONDS:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield held
    finally:
        os.close(held)
