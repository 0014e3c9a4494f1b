"""What a reader of one format gives back: frames as planes of numbers, one at a time, and what its header says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Num
from PIL import Image

from engine.images.kept import Kept

Plane = Num[np.ndarray, "height width"]
"""One frame: uint8 gray values, or the file's own deeper ones."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A file whose header was read and found sound."""

    kept: Kept
    """What the header says; height and width are those of the file, nothing is cut yet."""
    planes: Callable[[range], Iterator[Plane]]
    """The frames of these numbers, from 0, each decoded when it is asked for. A clip may end before the range does."""
    masks: Callable[[range], Iterator[Plane]] | None = None
    """As `planes`, but a number per colour, ordered from dark to light; None where planes say it."""
    is_deep: bool = False
    """True where values go beyond 0 to 255, so that they must be scaled."""
    blurs: bool = False
    """True where compression changes values, so that a mask's edge is not the annotator's."""
    close: Callable[[], None] = field(default=lambda: None)
    """Deletes what was written aside for reading."""


def luma(colours: Num[np.ndarray, "height width 3"]) -> Plane:
    """Gray values of 8-bit RGB: ITU-R BT.601, as Pillow makes them."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(colours)).convert("L"))
