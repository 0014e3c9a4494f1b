"""Places for the names of dots, so that names meet neither each other, nor dots, nor lines, on any width of page."""

from dataclasses import dataclass
from math import hypot

import numpy as np
from jaxtyping import Float

LETTER, LINE, DOT = 7.0, 17.0, 7.0
"""Pixels: a letter's mean width, a line's height, half of a dot with some space."""
FRAMES = (560.0, 360.0), (1300.0, 360.0)
"""Narrowest and widest plot in which labels are kept apart."""
PASSES = 3
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, bottom, right, top in pixels."""


@dataclass(frozen=True, kw_only=True)
class Label:
    """Where a name stands, in pixels from its dot."""

    right: float
    up: float
    anchor: str
    """The side of the name that is at this place: left, center or right."""

    @property
    def far(self) -> bool:
        """Whether it needs a line to its dot."""
        return abs(self.right) > 14 or abs(self.up) > 20


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """A line along an axis that no name should lie on, or `words` that stand right of its begin and above it."""

    begin: Point
    end: Point
    words: str = ""


NEAR = [(10, 0, "left"), (-10, 0, "right"), (0, 16, "center"), (0, -16, "center")]
NEAR += [(8, 13, "left"), (8, -13, "left"), (-8, 13, "right"), (-8, -13, "right")]
FAR = [(side * away, up, "left" if side > 0 else "right") for away in (22, 44, 70) for up in (24, 42, 62, 84)
       for up in (up, -up) for side in (-1, 1)]  # fmt: skip
FAR += [(0, up, "center") for up in (34, -34, 54, -54, 74, -74)]
PLACES = [Label(right=float(right), up=float(up), anchor=anchor) for right, up, anchor in NEAR + FAR]
PRICES = np.array([0.012 * hypot(place.right, place.up) + 2.0 * place.far for place in PLACES])


def labels(points: list[Point], names: list[str], obstacles: list[Obstacle]) -> list[Label]:
    """A place for the name of each point, all in a frame that runs from 0 to 1 across and up.

    Names are placed one after the other, those with the nearest neighbours first, each where it costs least: overlaps
    in the narrowest and in the widest frame, then distance. Later passes place each anew among the others.
    """
    if not points:
        return []
    place = np.array(points, dtype=float) * FRAMES[0]
    apart = np.sort(np.hypot(*(place[:, None] - place[None]).transpose(2, 0, 1)), axis=1)
    crowded = np.argsort(apart[:, : min(3, len(points))].sum(axis=1), kind="stable").tolist()
    lines = [np.array([_of(one, frame) for one in obstacles]).reshape(-1, 4) for frame in FRAMES]
    dots = [np.array(points)[:, [0, 1, 0, 1]] * (*frame, *frame) + (-DOT, -DOT, DOT, DOT) for frame in FRAMES]
    every = [[_boxes(*each, frame) for each in zip(points, names, strict=True)] for frame in FRAMES]
    found: dict[int, int] = {}
    for index in crowded * PASSES:
        found.pop(index, None)
        cost = PRICES.copy()
        for frame, line, dot, boxes in zip(FRAMES, lines, dots, every, strict=True):
            words = np.array([boxes[n][0][chosen] for n, chosen in found.items()]).reshape(-1, 4)
            leaders = np.array([boxes[n][1][chosen] for n, chosen in found.items()]).reshape(-1, 4)
            name, leader = boxes[index]
            marks = np.concatenate([line, np.delete(dot, index, axis=0), leaders])
            cost += 3 * meets(name, words) + meets(name, marks)
            crossed = meets(leader.reshape(-1, 4), np.concatenate([words, marks])) > 0
            cost += 0.5 * crossed.reshape(len(PLACES), -1).sum(axis=1)
            cost += 4.0 * ((name[:, :2] < 0) | (name[:, 2:] > frame)).any(axis=1)
        found[index] = int(np.argmin(cost))
    return [PLACES[found[index]] for index in range(len(points))]


def meets(boxes: Float[np.ndarray, "box 4"], others: Float[np.ndarray, "other 4"]) -> Float[np.ndarray, " box"]:
    """How many of the others each box overlaps, and the shared area in letters."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    shared = np.clip(np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - low, 0, None).prod(axis=2)
    overlaps: Float[np.ndarray, " box"] = (shared > 0).sum(axis=1) + shared.sum(axis=1) / (LETTER * LINE)
    return overlaps


def _of(one: Obstacle, frame: Point) -> Box:
    (x0, x1), (y0, y1) = (sorted(end[axis] * frame[axis] for end in (one.begin, one.end)) for axis in (0, 1))
    if one.words:
        return x0, y0, x0 + LETTER * len(one.words), y0 + LINE
    return x0 - 1, y0 - 1, x1 + 1, y1 + 1


def _boxes(
    point: Point, name: str, frame: Point
) -> tuple[Float[np.ndarray, "place 4"], Float[np.ndarray, "place piece 4"]]:
    """The name's box at each of `PLACES`, and pieces of the line to it, without size where it needs none."""
    dot_x, dot_y, length = point[0] * frame[0], point[1] * frame[1], LETTER * len(name)
    words, leaders = [], []
    for place in PLACES:
        left = dot_x + place.right - {"left": 0.0, "center": length / 2, "right": length}[place.anchor]
        words.append((left, dot_y + place.up - LINE / 2, left + length, dot_y + place.up + LINE / 2))
        pieces = [(dot_x + part * place.right, dot_y + part * place.up) for part in (0.4, 0.6, 0.8)]
        leaders.append([(x - place.far, y - place.far, x + place.far, y + place.far) for x, y in pieces])
    return np.array(words), np.array(leaders)
