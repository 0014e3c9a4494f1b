"""Thresholds of two distances that warn together as often as was meant, whatever the two have in common.

Two thresholds that each leave 2.5 % of the images beyond them leave up to 5 % beyond one or the other. Here both stand
at the same rank among their own distances, at the lowest rank that leaves no more than the wanted part beyond either;
where one more image may be beyond, the threshold that falls farther (as a ratio) goes one rank lower.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

MOST_LEFT_OUT = 500
"""Images that are left out in turn, spread over all of them."""

TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class JointThresholds:
    """What is farther than either is warned of."""

    first: float
    second: float
    warned: int
    """Images that they were chosen from that are beyond one or both."""
    left_out: float
    """Part of these images that would be, were each left out of the choice: what to expect of other images like them.

    Of few images it is more than was wanted: no threshold below the largest distance of 20 images is right about 2.5 %.
    """


def joint_thresholds(
    first: Float[np.ndarray, " image"], second: Float[np.ndarray, " image"], *, part: float
) -> JointThresholds:
    """Thresholds with at most `part` (0 to 1) of the images beyond either; `first` and `second` are their distances.

    Raises ValueError for fewer than two images.
    """
    if len(first) < 2:
        raise ValueError(f"{len(first)} images; two are the fewest that thresholds are chosen from")
    limits = _chosen(first, second, part)
    places = np.arange(0, len(first), -(-len(first) // MOST_LEFT_OUT))
    others = [(np.delete(first, place), np.delete(second, place)) for place in places]
    beyond = [
        _beyond(first[[place]], second[[place]], _chosen(*both, part)).item()
        for place, both in zip(places, others, strict=True)
    ]
    return JointThresholds(
        first=limits[0],
        second=limits[1],
        warned=int(_beyond(first, second, limits).sum()),
        left_out=float(np.mean(beyond)),
    )


def _chosen(
    first: Float[np.ndarray, " image"], second: Float[np.ndarray, " image"], part: float
) -> tuple[float, float]:
    ranks = np.maximum(rankdata(first, "min"), rankdata(second, "min")).astype(np.int64)
    allowed = int(part * len(ranks) + 1e-9)
    rank = int(np.sort(ranks)[len(ranks) - 1 - allowed])
    rows = np.sort(first), np.sort(second)
    both = (float(rows[0][rank - 1]), float(rows[1][rank - 1]))
    if rank == 1:
        return both
    lower = (float(rows[0][rank - 2]), float(rows[1][rank - 2]))
    steps = [(lower[0] / max(both[0], TINY), (lower[0], both[1])), (lower[1] / max(both[1], TINY), (both[0], lower[1]))]
    return next((pair for _, pair in sorted(steps) if _beyond(first, second, pair).sum() <= allowed), both)


def _beyond(first: np.ndarray, second: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return np.asarray((first > limits[0]) | (second > limits[1]))
