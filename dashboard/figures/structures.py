"""Frames with the outlines of one or several structures: what is predicted, beside or over the truth."""

from collections.abc import Sequence
from itertools import pairwise
from math import hypot
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw
from skimage.measure import find_contours

from dashboard.figures.outlines import outlined
from dashboard.figures.palette import PREDICTION, TRUTH

COLOURS = ((255, 105, 205), (120, 235, 95), (255, 150, 50), (165, 150, 255), (255, 240, 150), (120, 240, 240))
"""One per structure where there are several; neither the truth's nor the prediction's of a single one."""
DASH = 7.0
"""Length of a dash and of the gap after it, in pixels of the tile."""

Box = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last."""


def unpacked(packed: bytes, side: int) -> Bool[np.ndarray, "structure height width"]:
    """The predicted masks of a square of `side` pixels, one per structure, from the bits that the store keeps."""
    bits = np.frombuffer(packed, np.uint8)
    structures = len(bits) * 8 // (side * side)
    return np.unpackbits(bits, count=structures * side * side).reshape(structures, side, side).astype(bool)


def one_each(numbers: UInt8[np.ndarray, "height width"], structures: int) -> Bool[np.ndarray, "structure height width"]:
    """A mask per structure from the structures' numbers (0 is background)."""
    masks: np.ndarray = numbers == np.arange(1, structures + 1, dtype=np.uint8)[:, None, None]
    return masks


def tile(
    image: UInt8[np.ndarray, "height width"],
    truth: Bool[np.ndarray, "structure height width"] | None = None,
    prediction: Bool[np.ndarray, "structure height width"] | None = None,
    *,
    aspect: float = 1.0,
    longest: int = 440,
    box: Box | None = None,
) -> UInt8[np.ndarray, "drawn_height drawn_width rgb"]:
    """The frame enlarged so that its longer side has `longest` pixels, in the source's proportions `aspect`.

    Of one structure the truth is yellow and the prediction cyan; of several each has its colour, with the truth in
    dashes. `box` shows that part of the frame only.
    """
    masks = [mask for mask in (truth, prediction) if mask is not None]
    if box is not None:
        image, truth, prediction = _cut(image, box), _cut(truth, box), _cut(prediction, box)
    if all(len(mask) == 1 for mask in masks):
        first, second = (None if mask is None else mask[0].astype(np.uint8) for mask in (truth, prediction))
        return outlined(image, first, second, aspect=aspect, longest=longest)
    plain = outlined(image, aspect=aspect, longest=longest)
    height, width = plain.shape[:2]
    # Drawn at twice the size and shrunk, so that the lines are smooth.
    large = Image.fromarray(plain).resize((2 * width, 2 * height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(large)
    for mask, dashed in ((truth, True), (prediction, False)):
        for number, part_mask in enumerate(() if mask is None else mask):
            across, down = 2 * width / part_mask.shape[1], 2 * height / part_mask.shape[0]
            for contour in find_contours(np.pad(part_mask.astype(float), 1), 0.5):
                line = [((column - 0.5) * across, (row - 0.5) * down) for row, column in contour]
                for piece in _dashes(line) if dashed else [line]:
                    draw.line(piece, fill=COLOURS[number % len(COLOURS)], width=5, joint="curve")
    return np.asarray(large.resize((width, height), Image.Resampling.BOX))


def box_around(masks: Sequence[Bool[np.ndarray, "structure height width"]], *, room: float = 0.6) -> Box:
    """A square part of the frame around all masks with `room` of their size about them; the whole frame without any."""
    side = masks[0].shape[-1]
    whole = np.any([mask.any(axis=0) for mask in masks], axis=0)
    if not whole.any():
        return 0, side, 0, side
    rows, columns = np.flatnonzero(whole.any(axis=1)), np.flatnonzero(whole.any(axis=0))
    longest = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
    length = min(side, max(round(longest * (1 + room)), side // 5))
    starts = [
        min(max((int(found[0]) + int(found[-1]) + 1 - length) // 2, 0), side - length) for found in (rows, columns)
    ]
    return starts[0], starts[0] + length, starts[1], starts[1] + length


def key(structures: Sequence[str]) -> str:
    """What the colours mean, in HTML: truth and prediction of one structure, or the names of several."""
    if len(structures) < 2:
        return f"{_line(TRUTH)} truth &nbsp; {_line(PREDICTION)} prediction"
    named = " &nbsp; ".join(f"{_line(COLOURS[place % len(COLOURS)])} {name}" for place, name in enumerate(structures))
    return f"{named} &nbsp; (truth dashed, prediction solid)"


def _line(colour: tuple[int, int, int]) -> str:
    # On light pages the bright colours of a gray image are hard to see without their dark edge.
    edge = "box-shadow:0 0 0 1px rgba(0,0,0,.45)"
    style = f"display:inline-block;width:18px;height:4px;border-radius:2px;vertical-align:middle;{edge}"
    return f"<span style='{style};background:rgb{colour}'></span>"


def _cut(array: Any, box: Box) -> Any:
    return None if array is None else array[..., box[0] : box[1], box[2] : box[3]]


def _dashes(line: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """The pieces of a line that are drawn, each about `DASH` tile pixels long."""
    pieces: list[list[tuple[float, float]]] = []
    gone, drawn = 0.0, True
    piece = [line[0]]
    for before, point in pairwise(line):
        gone += hypot(point[0] - before[0], point[1] - before[1])
        piece.append(point)
        if gone >= 2 * DASH:  # the line is drawn at twice the size
            pieces += [piece] if drawn else []
            gone, drawn, piece = 0.0, not drawn, [point]
    return [*pieces, piece] if drawn and len(piece) > 1 else pieces
