"""Pixels as the bytes of a PNG file."""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def png(pixels: UInt8[np.ndarray, "height width *rgb"], *, level: int = 6) -> bytes:
    """The picture; `level` 1 is quick, for answers that are awaited, 6 is small, for what is kept."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=level)
    return stream.getvalue()
