"""A difference of two means over folds that cannot be paired: both spreads add up. Needs no torch."""

from math import sqrt

import numpy as np
import scipy  # scipy.stats loads when it is first used, not with this module
from jaxtyping import Float

from engine.significance.corrected_t import CorrectedTest, corrected_standard_error
from engine.significance.measured import FEWEST_FOLDS


def unpaired_t(
    first: Float[np.ndarray, " fold"],
    second: Float[np.ndarray, " other_fold"],
    *,
    ratio: float,
    confidence: float = 0.95,
) -> CorrectedTest:
    """Welch's t test of a value per fold of two strategies, each with the variance of the corrected resampled t test.

    For strategies with folds of their own, where folds of one number are different images. `ratio` is test to training
    images; degrees of freedom are Welch-Satterthwaite's. With two folds or fewer of either, or where no fold differs
    from another, a reason in its place. Source of the variance: Nadeau & Bengio 2003 (see `corrected_t`).
    """
    folds = min(len(first), len(second))
    mean = float(np.mean(first) - np.mean(second)) if folds else float("nan")
    sds = [float(np.std(np.sort(side), ddof=1)) if len(side) > 1 else 0.0 for side in (first, second)]
    reason = ""
    if folds < FEWEST_FOLDS:
        reason = f"{folds} fold{'' if folds == 1 else 's'}: no test and no interval; it takes {FEWEST_FOLDS} at least"
    elif max(sds) <= 1e-12 * max(1.0, abs(mean)):
        reason = "no test: all folds have the same value"
    if reason:
        return CorrectedTest(
            mean=mean, low=None, high=None, standard_error=None, t=None, p=None, folds=folds, reason=reason
        )
    counts = len(first), len(second)
    parts = [corrected_standard_error(sd, count, ratio) ** 2 for sd, count in zip(sds, counts, strict=True)]
    error = sqrt(sum(parts))
    degrees = error**4 / sum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
    reach = float(scipy.stats.t.ppf((1 + confidence) / 2, degrees)) * error
    return CorrectedTest(
        mean=mean,
        low=mean - reach,
        high=mean + reach,
        standard_error=error,
        t=mean / error,
        p=float(2 * scipy.stats.t.sf(abs(mean / error), degrees)),
        folds=folds,
        reason="",
    )
