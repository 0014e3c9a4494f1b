"""Outlines as arrays of points (x, z) in millimetres: ellipses, smooth curves, tubes; and putting them in place."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

Outline = Float[np.ndarray, "point 2"]
Curve = Float[np.ndarray, "curve 2"]
"""An outline of another number of points than the one it is made of."""
Mm: TypeAlias = float | int
"""Millimetres; whole numbers are written without a point."""
Places: TypeAlias = Sequence[tuple[Mm, Mm]]
"""Corners (x, z) or (right, up)."""


def points(places: Places) -> Outline:
    """Corners as an array."""
    return np.array(places, float)


def ellipse(x: Mm, z: Mm, across: Mm, down: Mm, degrees: Mm = 0.0, count: int = 48) -> Outline:
    """Around (x, z) with half axes `across` and `down`, turned clockwise."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return moved(np.stack([across * np.cos(turn), down * np.sin(turn)], 1), x, z, degrees)


def moved(outline: Outline, x: Mm, z: Mm, degrees: Mm = 0.0) -> Outline:
    """Turned clockwise as seen in the image, then shifted by (x, z)."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned: Outline = outline @ np.array([[cosine, sine], [-sine, cosine]]) + [x, z]
    return turned


def smooth(places: Places | Outline, between: int = 6, *, closed: bool = False) -> Curve:
    """A Catmull-Rom curve through the places, `between` points to each piece."""
    corners = np.asarray(places, float)
    if closed:
        wide = np.concatenate([corners[-1:], corners, corners[:2]])
    else:
        wide = np.concatenate([2 * corners[:1] - corners[1:2], corners, 2 * corners[-1:] - corners[-2:-1]])
    part = (np.arange(between) / between)[None, :, None]
    a, b, c, d = (wide[shift : len(wide) - 3 + shift, None, :] for shift in range(4))
    pieces = b + part / 2 * (c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a)))
    curve: Curve = pieces.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, corners[-1:]])


def wobbled(random: np.random.Generator, outline: Outline, strength: float) -> Outline:
    """A closed outline whose distance from its middle wavers smoothly by `strength` (standard deviation, a part)."""
    middle = outline.mean(axis=0)
    turn = np.linspace(0, 2 * np.pi, len(outline), endpoint=False)
    waver = np.zeros(len(outline))
    for order in (2, 3, 4, 5):
        one, other = random.standard_normal(2) * strength * 0.9 / np.sqrt(order)
        waver += one * np.cos(order * turn) + other * np.sin(order * turn)
    uneven: Outline = middle + (outline - middle) * (1 + np.clip(waver, -0.4, 0.4))[:, None]
    return uneven


def tube(middle: Outline, width: Mm | Float[np.ndarray, " point"], *, round_ends: bool = True) -> Curve:
    """The outline of a tube along a curve; `width` is its whole width, one for all or one per point."""
    left, right = banks(middle, width)
    if not round_ends:
        return np.concatenate([left, right[::-1]])
    return np.concatenate([_cap(right[0], left[0]), left, _cap(left[-1], right[-1]), right[::-1]])


def _cap(start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"]) -> Outline:
    """Half a circle from a point to another, to the left of the way between."""
    turn = np.linspace(0, np.pi, 8)[1:-1, None]
    middle, half = (start + end) / 2, (start - end) / 2
    arc: Outline = middle + np.cos(turn) * half + np.sin(turn) * np.array([half[1], -half[0]])
    return arc


def banks(middle: Outline, width: Mm | Float[np.ndarray, " point"]) -> tuple[Outline, Outline]:
    """The two walls of a tube along a curve."""
    along = np.gradient(middle, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    side = np.stack([-along[:, 1], along[:, 0]], 1) * np.reshape(np.asarray(width, float) / 2, (-1, 1))
    return middle + side, middle - side
