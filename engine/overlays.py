"""Draw what a network says of a frame over the frame: each structure's edge, and the map of probabilities."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageDraw
from skimage.measure import find_contours

Overlay = Literal["outline", "probability", "both"]
OVERLAYS: tuple[Overlay, ...] = get_args(Overlay)

CYAN = (0, 235, 255)
COLOURS = (CYAN, (255, 176, 0), (255, 92, 170), (140, 230, 90), (190, 150, 255), (255, 255, 120))
"""Of the first structure, the second ...; then from the beginning again."""
STRENGTH = 0.6
"""Share of the colour where the probability is 1."""
FAINTEST = 0.02
"""Probability below which the frame is left as it is."""
SCALE = ((68, 1, 84), (204, 62, 76), (249, 142, 9), (252, 255, 164))
"""Colours of probabilities from 0 to 1, lighter with each step: those of "inferno" from its middle on."""


def overlay(
    frame: UInt8[np.ndarray, "height width"],
    mask: UInt8[np.ndarray, "height width"],
    probability: Float32[np.ndarray, "height width"],
    kind: Overlay = "outline",
) -> UInt8[np.ndarray, "height width 3"]:
    """The frame in RGB with the edges of `mask`, the map of `probability`, or both over it."""
    if kind == "outline":
        return outline(frame, mask)
    shaded = shade(frame, probability)
    return shaded if kind == "probability" else outline(shaded, mask)


def shade(
    frame: UInt8[np.ndarray, "height width"], probability: Float32[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    """The frame in RGB, coloured where the structure is probable: the more probable, the lighter and the stronger."""
    steps = np.rint(probability * 255).astype(np.uint8)
    colour, part = _COLOURS_OF[steps], _PARTS_OF[steps][..., None]
    shaded: UInt8[np.ndarray, "height width 3"] = np.rint(frame[..., None] * (1 - part) + colour * part).astype(
        np.uint8
    )
    return shaded


def outline(
    frame: UInt8[np.ndarray, "height width"] | UInt8[np.ndarray, "height width 3"],
    mask: UInt8[np.ndarray, "height width"],
) -> UInt8[np.ndarray, "height width 3"]:
    """The frame in RGB with the edge of each structure in `mask` drawn, antialiased; thicker in larger frames.

    The first structure is cyan; structures that touch have an edge each.
    """
    image = Image.fromarray(frame).convert("RGB")
    top = int(mask.max(initial=0))
    for number in range(1, top + 1):
        _draw_edge(image, mask == number if top > 1 else mask.astype(bool), COLOURS[(number - 1) % len(COLOURS)])
    return np.asarray(image)


def _draw_edge(image: Image.Image, inside: np.ndarray, colour: tuple[int, int, int]) -> None:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return
    height, width = inside.shape
    thickness = max(1.5, min(height, width) / 200)
    finer = 4 if thickness < 4 else 2  # Pillow draws without antialiasing: drawn larger, then averaged down
    margin = round(thickness) + 2
    top, left = max(0, int(rows[0]) - margin), max(0, int(columns[0]) - margin)
    bottom, right = min(height, int(rows[-1]) + 1 + margin), min(width, int(columns[-1]) + 1 + margin)
    # The ring of zeros closes contours of structures that the frame's border cuts.
    part = np.pad(inside[top:bottom, left:right], 1)
    line = Image.new("L", ((right - left) * finer, (bottom - top) * finer))
    draw = ImageDraw.Draw(line)
    for contour in find_contours(part, 0.5):
        # A contour counts pixel centres of the padded part; Pillow counts pixel corners.
        points = (contour[:, ::-1] - 0.5) * finer
        draw.line(points.ravel().tolist(), fill=255, width=round(thickness * finer), joint="curve")
    image.paste(colour, (left, top), line.reduce(finer))


def _colours_of() -> np.ndarray:
    places = np.linspace(0, 1, len(SCALE))
    return np.stack([np.interp(np.linspace(0, 1, 256), places, channel) for channel in zip(*SCALE, strict=True)], 1)


_COLOURS_OF = _colours_of().astype(np.float32)
_PARTS_OF = np.where(np.arange(256) < FAINTEST * 255, 0, STRENGTH * np.arange(256) / 255).astype(np.float32)
