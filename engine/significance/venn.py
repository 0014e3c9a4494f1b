"""Circles whose areas are about in proportion to the frames that readers have right, and how far they are off."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pandas as pd
import scipy  # scipy.optimize loads when it is first used, not with this module
from jaxtyping import Float

from engine.errors import DataError
from engine.significance.agreement_regions import MOST_CIRCLES

LINES, FEW_LINES = 4000, 400
"""Lines on which areas are measured: in the end (right to a part in 100,000), and while circles are moved."""
POINTS = 240
"""Points across on which the middle of a region is sought."""


@dataclass(frozen=True, kw_only=True)
class Circle:
    """Frames that one reader has right; all circles together have an area near 1."""

    reader: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True, kw_only=True)
class VennLayout:
    """Circles of one to three readers, and what their regions come to."""

    circles: tuple[Circle, ...]
    """Of readers that have a frame right, in the order asked for."""
    regions: pd.DataFrame
    """A row per region inside circles: right (tuple of readers), images, wanted and achieved (part of the frames that
    somebody has right, and of the area of all circles), x, y (its middle), room (radius of the circle that fits there;
    0 where the region has no area)."""
    residual: float
    """Part of the area that lies in a wrong region, 0 to 1: half the sum of |achieved - wanted|; 0 without circles."""
    without_circle: tuple[str, ...]
    """Readers that have no frame right."""
    not_drawn: tuple[tuple[str, ...], ...]
    """Regions that have frames but no area."""


def venn_layout(counts: Mapping[tuple[str, ...], int], readers: Sequence[str]) -> VennLayout:
    """Circles for one to three `readers`; `counts` says how many frames exactly these readers have right.

    Keys of `counts` are tuples of names, as in the column `right` of `agreement_regions`; regions that are absent have
    no frames, and () is outside of all circles. One and two circles are exact. Three start where `matplotlib_venn`
    puts them (its default layout, exact for each circle and each overlap of two) and are then moved and resized by
    least squares, which leaves less area in wrong regions (of 150 random tables 2.2 against 5.4 %, medians).

    Raises DataError without a reader or with more than three, for an unknown reader or a negative count.
    """
    if not 0 < len(readers) <= MOST_CIRCLES:
        raise DataError(
            f"{len(readers)} readers: a Venn diagram is of one to {MOST_CIRCLES}; choose fewer, or see the table"
        )
    if unknown := [name for right in counts for name in right if name not in readers]:
        raise DataError(f"counts are of reader '{unknown[0]}'; expected {', '.join(readers)}")
    if negative := [right for right, images in counts.items() if images < 0]:
        raise DataError(f"{counts[negative[0]]} frames right for {' and '.join(negative[0])}; expected 0 or more")
    known = {frozenset(right): int(images) for right, images in counts.items()}
    names = [name for name in readers if any(images and name in right for right, images in known.items())]
    regions = pd.DataFrame({"right": [tuple(names[place] for place in own) for own in _subsets(len(names))]})
    regions["images"] = [known.get(frozenset(right), 0) for right in regions["right"]]
    regions["wanted"] = regions["images"] / max(1, int(regions["images"].sum()))
    circles = _circles(names, regions)
    areas = _areas(circles)
    regions["achieved"] = areas / max(areas.sum(), 1e-12)
    middles = [_middle(circles, right) for right in regions["right"]]
    regions[["x", "y", "room"]] = np.array(middles, dtype=np.float64).reshape(-1, 3)
    missing = regions[(regions["images"] > 0) & (regions["room"] <= 0)]
    return VennLayout(
        circles=circles,
        regions=regions,
        residual=float((regions["achieved"] - regions["wanted"]).abs().sum() / 2),
        without_circle=tuple(name for name in readers if name not in names),
        not_drawn=tuple(missing["right"]),
    )


def _subsets(number: int) -> list[tuple[int, ...]]:
    """Every choice of one circle or more by their places, all circles first."""
    return [each for size in range(number, 0, -1) for each in combinations(range(number), size)]


def _circles(names: Sequence[str], regions: pd.DataFrame) -> tuple[Circle, ...]:
    if not names:
        return ()
    if len(names) == 1:
        return (Circle(reader=names[0], x=0.0, y=0.0, radius=float(np.sqrt(1 / np.pi))),)
    # Here, since matplotlib_venn loads matplotlib's pyplot, which takes a second.
    from matplotlib_venn.layout import venn2, venn3

    sizes = dict(zip(regions["right"], regions["wanted"], strict=True))
    inside = product([False, True], repeat=len(names))  # the library counts up with the first name changing fastest
    rights = [tuple(name for name, own in zip(names, reversed(bits), strict=True) if own) for bits in inside]
    algorithm = (venn2 if len(names) == 2 else venn3).DefaultLayoutAlgorithm()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of circles that cannot be had exactly: `residual` says so
        found = algorithm([float(sizes[right]) for right in rights if right])
    circles = tuple(
        Circle(reader=name, x=float(centre.x), y=float(centre.y), radius=float(radius))
        for name, centre, radius in zip(names, found.centers, found.radii, strict=True)
    )
    return circles if len(names) == 2 else _moved(circles, regions["wanted"].to_numpy(dtype=np.float64))


def _moved(circles: tuple[Circle, ...], wanted: Float[np.ndarray, " region"]) -> tuple[Circle, ...]:
    """The circles moved and resized so that the squares of what regions are off add up to less."""

    def placed(numbers: Float[np.ndarray, " number"]) -> tuple[Circle, ...]:
        return tuple(
            Circle(reader=circle.reader, x=float(x), y=float(y), radius=abs(float(radius)))
            for circle, (x, y, radius) in zip(circles, numbers.reshape(-1, 3), strict=True)
        )

    def off(numbers: Float[np.ndarray, " number"]) -> Float[np.ndarray, " region"]:
        apart: Float[np.ndarray, " region"] = _areas(placed(numbers), lines=FEW_LINES) - wanted
        return apart

    begin = np.array([(circle.x, circle.y, circle.radius) for circle in circles], dtype=np.float64).ravel()
    found = scipy.optimize.least_squares(off, begin, diff_step=[1e-3] * begin.size, max_nfev=60)
    return placed(found.x) if 2 * found.cost < float(np.sum(off(begin) ** 2)) else circles


def _areas(circles: Sequence[Circle], *, lines: int = LINES) -> Float[np.ndarray, " region"]:
    """Area of each region, in the order of `_subsets`: lengths on horizontal lines, then inclusion and exclusion."""
    if not circles:
        return np.zeros(0)
    low = min(circle.y - circle.radius for circle in circles)
    high = max(circle.y + circle.radius for circle in circles)
    heights = low + (np.arange(lines) + 0.5) * (high - low) / lines
    half = [np.sqrt(np.clip(circle.radius**2 - (heights - circle.y) ** 2, 0, None)) for circle in circles]
    overlaps = {}
    for own in _subsets(len(circles)):
        left = np.max([circles[place].x - half[place] for place in own], axis=0)
        right = np.min([circles[place].x + half[place] for place in own], axis=0)
        overlaps[own] = float(np.clip(right - left, 0, None).sum()) * (high - low) / lines
    areas = [
        sum((-1) ** (len(more) - len(own)) * area for more, area in overlaps.items() if set(own) <= set(more))
        for own in overlaps
    ]
    return np.clip(np.array(areas, dtype=np.float64), 0.0, None)


def _middle(circles: Sequence[Circle], right: Sequence[str]) -> tuple[float, float, float]:
    """The point of a region that is farthest from every circle's line, and how far; NaN, NaN, 0 without area."""
    own = [circle for circle in circles if circle.reader in right]
    left, below = max(circle.x - circle.radius for circle in own), max(circle.y - circle.radius for circle in own)
    end, above = min(circle.x + circle.radius for circle in own), min(circle.y + circle.radius for circle in own)
    if end <= left or above <= below:
        return float("nan"), float("nan"), 0.0
    x, y = np.meshgrid(np.linspace(left, end, POINTS), np.linspace(below, above, POINTS))
    room = np.full(x.shape, np.inf)
    for circle in circles:
        deep = circle.radius - np.hypot(x - circle.x, y - circle.y)
        room = np.minimum(room, deep if circle in own else -deep)
    best = int(np.argmax(room))
    if room.flat[best] <= 0:
        return float("nan"), float("nan"), 0.0
    return float(x.flat[best]), float(y.flat[best]), float(room.flat[best])
