"""Ends of intervals from what a bootstrap over groups gives: its standard error and skewness, with t for few groups.

Percentiles of the resampled means hold the truth too seldom: nominal 95 % intervals over 5 and 12 groups hold it in
about 80 and 89 % of simulated studies (`benchmarks/interval_coverage.py`). So the standard error is widened by what
resampling few groups lacks, t takes the place of the normal law, and the end on the side of rare, far values is moved
outwards.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy  # scipy.stats loads when it is first used, not with this module
from jaxtyping import Float

from engine.significance.measured import FEWEST_FOLDS, Drawn, why_no_interval

Scale = Literal["part", "difference", "amount"]
"""What the mean is of, and so where its interval ends: `part` (Dice, accuracy) within 0 and 1, on the log-odds;
`difference` of two parts within -1 and 1; `amount` (a distance) at 0 or above."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far means would lie from the truth, an entry per mean; NaN of a mean of nothing."""

    error: Float[np.ndarray, " mean"]
    """Standard error; 0 where every group has the same."""
    skewness: Float[np.ndarray, " mean"]
    """Of the means, not of single values."""
    degrees: Float[np.ndarray, " mean"]
    """Degrees of freedom of the standard error."""

    def at(self, place: int) -> "Spread":
        """That of one mean alone."""
        one = slice(place, place + 1)
        return Spread(error=self.error[one], skewness=self.skewness[one], degrees=self.degrees[one])


def effective_units(sizes: Float[np.ndarray, "unit mean"]) -> Float[np.ndarray, " mean"]:
    """Number of equally large groups that are worth as much as these: (sum of sizes)² / sum of squares (Kish 1965)."""
    squares = (sizes**2).sum(axis=0)
    return np.where(squares > 0, sizes.sum(axis=0) ** 2 / np.where(squares > 0, squares, 1.0), 0.0)


def spread_of(means: Float[np.ndarray, "resample mean"], sizes: Float[np.ndarray, "unit mean"]) -> Spread:
    """What resampled means say, given the size of every group in each mean (0 where it has nothing of it).

    Few groups drawn from themselves vary too little, by the factor 1 - 1 / groups in the variance; groups that differ
    in size count as fewer (`effective_units`). Resamples in which nothing was drawn are NaN and left out.
    """
    groups = np.maximum(effective_units(sizes), 2.0)
    known = ~np.isnan(means)
    count = np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    apart = means - np.nansum(means, axis=0) / count
    if not known.all():
        apart[~known] = 0.0
    variance = np.einsum("ij,ij->j", apart, apart) / count
    third = np.einsum("ij,ij,ij->j", apart, apart, apart) / count
    steady = variance > 1e-24
    skewness = np.divide(third, variance**1.5, out=np.zeros(len(variance)), where=steady)
    error = np.sqrt(np.where(steady | np.isnan(variance), variance, 0.0) * groups / (groups - 1))
    return Spread(error=error, skewness=skewness, degrees=groups - 1.0)


def ends(
    centre: Float[np.ndarray, " mean"], spread: Spread, confidence: float, scale: Scale
) -> tuple[Float[np.ndarray, " mean"], Float[np.ndarray, " mean"]]:
    """Low and high ends of the intervals of these means; NaN where drawing groups again says nothing.

    Mean plus and minus t standard errors. Where the groups are skewed, t of a mean is skewed the other way: the end
    on the long side is moved out by the first term of its Edgeworth expansion (Johnson 1978, Journal of the American
    Statistical Association 73:536-544; Hall 1992, same expansion), and no end is moved in. Parts are taken on
    their log-odds by the delta method, with the curvature of the log-odds in the same term.
    """
    level = (1 + confidence) / 2
    reach, square = scipy.stats.t.ppf(level, spread.degrees), float(scipy.stats.norm.ppf(level)) ** 2
    lean = spread.skewness / 6 * (1 + 2 * square)
    error = np.where(spread.error > 0, spread.error, np.nan)
    if scale == "part":
        middle = np.where((centre > 0) & (centre < 1), centre, np.nan)
        slope = middle * (1 - middle)
        lean += (2 * middle - 1) / slope * error / 2 * square
        centre, error = scipy.special.logit(middle), error / slope
    low = centre - np.maximum(reach, reach - lean) * error
    high = centre + np.maximum(reach, reach + lean) * error
    if scale == "part":
        return scipy.special.expit(low), scipy.special.expit(high)
    floor, ceiling = (-1.0, 1.0) if scale == "difference" else (0.0, np.inf)
    return np.clip(low, floor, ceiling), np.clip(high, floor, ceiling)


def why_none(folds: int | None, units: int, drawn: Drawn, what: str) -> str | None:
    """Why `what` has no interval, or None; `folds` is None where one training or person gave all answers."""
    return why_no_interval(FEWEST_FOLDS if folds is None else folds, units, drawn, what)


def why_same(what: str, value: float, drawn: Drawn, scale: Scale) -> str:
    """Why there is no interval where `ends` gives none."""
    if scale == "part" and value in (0.0, 1.0):
        return f"no interval: {what} is {value:.0%} in every {drawn}, so drawing them again says nothing"
    return f"no interval: {what} is the same in every {drawn}"


def how(
    confidence: float, units: int, drawn: Drawn, resamples: int, degrees: float, folds: int | None, scale: Scale
) -> str:
    """How such an interval was made, and what it does not see; `folds` as in `why_none`."""
    unseen = "that folds share training images" if folds else "how another training or reading would differ"
    return (
        f"{confidence:.0%} interval by bootstrap over {units} {drawn}s ({resamples:,} resamples, standard error"
        f"{' of the log-odds' if scale == 'part' else ''} with t, {degrees:.3g} degrees of freedom, wider on the side "
        f"of rare values); it does not see {unseen}"
    )
