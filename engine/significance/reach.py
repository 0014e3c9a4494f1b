"""How far beyond a paired mean its one-sided bound lies, where folds and images both vary and both are estimated.

A mean over J folds varies with its images, and with how trainings differ from fold to fold. The second variance comes
from J fold means, three to five numbers; a normal or percentile bound takes it for known and holds too seldom. Here
both variances are replaced by what could have given their estimates, each estimate times its degrees of freedom over a
chi-square value, and the bound holds the truth for the wanted part of all such values: a generalized confidence bound
(Weerahandi 1993, Journal of the American Statistical Association 88:899-905) for a mean with a random effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np
import pandas as pd
import scipy  # scipy.stats loads when it is first used, not with this module
from jaxtyping import Float

from engine.significance.intervals import effective_units

POINTS = 12
"""Two to this power values of the variances are looked at, spread evenly (Sobol)."""


@dataclass(frozen=True, kw_only=True)
class FoldSpread:
    """How much a mean differs between the folds of one side."""

    between: float
    """Variance of the fold means (n - 1)."""
    within: float
    """What of it the fold's own images explain: mean variance of a fold's mean when its units are drawn anew."""
    count: int

    @property
    def beyond(self) -> float:
        """Variance between folds beyond what images explain, 0 at least: the method of moments."""
        return max(0.0, self.between - self.within)


@dataclass(frozen=True, kw_only=True)
class ImageSpread:
    """How much a mean varies with its images, folds as they are."""

    variance: float
    degrees: float
    skewness: float
    """Of the mean, not of single differences."""


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """Paired differences added up per fold and unit (group or image)."""

    means: Float[np.ndarray, " fold"]
    """Mean difference of each fold."""
    apart: Float[np.ndarray, "fold unit"]
    """Sum of differences less what the fold's mean gives it."""
    sizes: Float[np.ndarray, "fold unit"]
    """Number of images."""


def residuals(differences: pd.DataFrame, unit: str, fold: str = "fold") -> Residuals:
    """Of a table with difference, and the columns `unit` and `fold` that name them."""
    values = differences["difference"].to_numpy(dtype=np.float64)
    (own_fold, folds), (own, units) = (pd.factorize(differences[column], sort=True) for column in (fold, unit))
    shape, place = (len(folds), len(units)), own_fold * len(units) + own
    sums = np.bincount(place, values, minlength=shape[0] * shape[1]).reshape(shape)
    sizes = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    means = sums.sum(axis=1) / sizes.sum(axis=1)
    return Residuals(means=means, apart=sums - sizes * means[:, None], sizes=sizes)


def fold_spread(found: Residuals) -> FoldSpread:
    """How much the folds differ; a fold of one unit says nothing of what images explain."""
    units = (found.sizes > 0).sum(axis=1)
    several = units > 1
    within = units[several] / (units[several] - 1) * (found.apart[several] ** 2).sum(axis=1)
    within /= found.sizes[several].sum(axis=1) ** 2
    return FoldSpread(
        between=float(found.means.var(ddof=1)),
        within=float(within.mean()) if len(within) else 0.0,
        count=len(found.means),
    )


def image_spread(found: Residuals) -> ImageSpread:
    """How much images vary; with no more units than folds nothing can be said, and all is put down to folds."""
    apart, sizes, folds = found.apart.sum(axis=0), found.sizes.sum(axis=0), len(found.means)
    degrees, squares = max(float(effective_units(sizes[:, None])[0]) - folds, 1.0), float((apart**2).sum())
    if len(sizes) <= folds or squares <= 0:
        return ImageSpread(variance=0.0, degrees=degrees, skewness=0.0)
    return ImageSpread(
        variance=squares / float(sizes.sum()) ** 2 * (degrees + folds) / degrees,
        degrees=degrees,
        skewness=float((apart**3).sum()) / squares**1.5,
    )


def fold_variance(folds: Sequence[FoldSpread], ratio: float) -> float:
    """Variance of the mean that comes from trainings: that beyond images times 1/J + `ratio` (Nadeau & Bengio 2003)."""
    return sum((1 / side.count + ratio) * side.beyond for side in folds)


def reach(images: ImageSpread, folds: Sequence[FoldSpread], *, ratio: float, level: float) -> float:
    """How far a one-sided bound at `level` lies from the mean, without regard to skewness.

    One entry in `folds` where both strategies share their folds, one for each where they have folds of their own.
    """
    over_images, *over_folds = _divisors(images.degrees, tuple(side.count - 1 for side in folds))
    variance = images.variance / over_images
    for side, divisor in zip(folds, over_folds, strict=True):
        beyond = np.maximum(0.0, side.between / divisor - side.within / over_images)
        variance = variance + (1 / side.count + ratio) * beyond
    errors = np.sqrt(variance)

    def lacking(bound: float) -> float:
        return float(scipy.special.ndtr(-bound / errors).mean()) - level

    far = float(np.sqrt(images.variance + fold_variance(folds, ratio))) or float(errors.max())
    while lacking(far) > 0:
        far *= 2
    return float(scipy.optimize.brentq(lacking, 0.0, far, rtol=1e-6))


@lru_cache(maxsize=64)
def _divisors(images: float, folds: tuple[int, ...]) -> tuple[Float[np.ndarray, " point"], ...]:
    """Chi-square values over their degrees of freedom: of images, then of each side's folds."""
    degrees = (images, *folds)
    points = scipy.stats.qmc.Sobol(len(degrees), rng=0).random_base2(POINTS)
    return tuple(scipy.stats.chi2.ppf(points[:, place], count) / count for place, count in enumerate(degrees))


def lean(images: ImageSpread, level: float) -> tuple[float, float]:
    """How far the lower and the upper bound are moved outwards for skewed images, as `intervals.ends` does."""
    apart = images.skewness / 6 * (1 + 2 * float(scipy.stats.norm.ppf(level)) ** 2) * sqrt(images.variance)
    return max(0.0, -apart), max(0.0, apart)


def degrees_of(reach: float, error: float, level: float, most: float) -> float:
    """Degrees of freedom, from 1 to `most`, with which t standard errors come nearest to this reach."""
    return float(np.clip(scipy.special.stdtridf(1 - level, reach / error), 1.0, most))
