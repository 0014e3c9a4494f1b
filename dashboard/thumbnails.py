"""Frames as small pictures by address, for what a browser asks for by itself: the frame under the pointer.

An address holds the data's fingerprint and the frame's place, and the picture nothing but the frame: no name, no class.
"""

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dashboard.figures.structures import tile
from dashboard.places import cache_root
from engine.datasets.cached import load_cached
from engine.errors import DataError

LONGEST = 224
"""Pixels of a picture's longer side."""
_SERVED: list[str] = []


def routes(prefix: str = "") -> list[BaseRoute]:
    """What the server answers with pictures, under the path that it is served at."""
    _SERVED[:] = [f"{prefix}/thumbnails"]
    return [Route(f"{prefix}/thumbnails/{{fingerprint}}/{{index:int}}.jpg", _answer)]


def address(fingerprint: str) -> str | None:
    """Where the pictures of a data set are, `/INDEX.jpg` to be put behind; None where no server serves them."""
    return f"{_SERVED[0]}/{fingerprint}" if _SERVED else None


def thumbnail(fingerprint: str, index: int, longest: int = LONGEST) -> bytes:
    """A frame as a JPEG file, in the proportions of its source.

    Raises DataError where the images are not in the cache, or have no such frame.
    """
    return _thumbnail(fingerprint, str(cache_root()), index, longest)


@lru_cache(maxsize=4096)
def _thumbnail(fingerprint: str, cache: str, index: int, longest: int) -> bytes:
    source = load_cached(fingerprint, Path(cache))
    if not 0 <= index < len(source.images):
        raise DataError(f"frame {index}: this data set has {len(source.images)} frames")
    row = source.table.iloc[index]
    aspect = float(row["source_width"]) / float(row["source_height"])
    picture = Image.fromarray(tile(np.asarray(source.images[index]), aspect=aspect, longest=longest)).convert("L")
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=85)
    return stream.getvalue()


def _answer(request: Request) -> Response:
    try:
        content = thumbnail(request.path_params["fingerprint"], request.path_params["index"])
    except DataError as error:
        return Response(str(error), 404, media_type="text/plain")
    # The address names the content: it never changes.
    return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=31536000, immutable"})
