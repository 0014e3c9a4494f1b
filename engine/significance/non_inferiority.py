"""One-sided bounds of how much Dice strategies lose against a reference: from paired images, or from means and sd.

All k bounds of a family hold together: each at the level 0.05 / k (Bonferroni).
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
import scipy  # scipy.stats loads when it is first used, not with this module
from jaxtyping import Float

from engine.significance.corrected_t import corrected_standard_error
from engine.significance.measured import FEWEST_FOLDS
from engine.significance.paired import Pairs, pair_all, resampled_pairs
from engine.significance.rows import rows

LEVEL = 0.05
BOUNDS = ["loss", "bound", "least", "standard_error", "fold_error", "degrees"]
BOUNDS += ["folds", "images", "units", "corrected_bound"]
"""Numbers in both tables of bounds; `loss` is Dice of the reference minus Dice of the strategy."""


def paired_bounds(
    images: pd.DataFrame, reference: str, strategies: Sequence[str], *, ratio: float, resamples: int, seed: int
) -> pd.DataFrame:
    """A row per strategy with the bounds of its paired loss, by bootstrap over groups of test images.

    Columns: strategy, loss, bound (upper), least (lower), standard_error and its part fold_error, degrees, folds,
    images, units, corrected_bound (upper, by the corrected resampled t over folds), reason (why there are no bounds,
    or ""). Resampled images do not see that trainings differ from fold to fold. So the bootstrap's bound is widened
    by the variance between folds beyond what their images explain, times 1/J + `ratio` (Nadeau & Bengio 2003), with
    Satterthwaite's degrees of freedom; and its percentile is expanded for few groups (Hesterberg 2015, The American
    Statistician 69:371-386). Where every strategy has folds of its own, the reference's folds and the strategy's both
    add their variance, with no more degrees of freedom than those of the smaller number of folds, less one (what
    Satterthwaite's rule gives is too many in simulations), and there is no `corrected_bound`.

    Raises DataError as `paired.pair` does.
    """
    paired = pair_all(images, [(reference, name) for name in strategies])
    table, means = resampled_pairs(paired, resamples=resamples, seed=seed)
    found = rows(table.rename(columns={"mean_difference": "loss", "note": "reason"}).assign(strategy=list(strategies)))
    most = max((row["folds"] for row in found), default=0)
    for row in found:
        if not row["reason"] and row["folds"] < most:
            row["reason"] = f"only {row['folds']} of {most} folds"
    level = LEVEL / max(1, sum(not row["reason"] for row in found))
    for column, (row, pairs) in enumerate(zip(found, paired, strict=True)):
        if not row["reason"]:
            row |= _paired_bound(row, pairs, means[:, column], ratio, level)
    return _bounds(found)


def _paired_bound(
    row: dict[str, Any], pairs: Pairs, means: Float[np.ndarray, " resample"], ratio: float, level: float
) -> dict[str, float]:
    table, units = pairs.table, row["units"]
    unit = "group" if row["resampled"] == "group" else "index"
    sides = [table] if pairs.same_folds else [table, table.assign(fold=table["other_fold"])]
    counts = [side["fold"].nunique() for side in sides]
    image_error = float(means.std(ddof=1))
    fold_errors = [
        corrected_standard_error(sqrt(fold_variance(side, unit)), count, ratio)
        for side, count in zip(sides, counts, strict=True)
    ]
    fold_error = sqrt(sum(one**2 for one in fold_errors))
    error = sqrt(image_error**2 + fold_error**2)
    degrees = units - 1.0
    if error > 0:
        parts = [(image_error, units), *zip(fold_errors, counts, strict=True)]
        degrees = error**4 / sum(one**4 / (count - 1) for one, count in parts)
    if not pairs.same_folds:
        degrees = min(degrees, min(counts) - 1.0)
    wider = scipy.stats.t.ppf(level, degrees) / scipy.stats.t.ppf(level, units - 1)
    wider *= error / image_error if image_error > 0 else 1.0
    tail = expanded_level(level, units)
    least, most = row["loss"] + wider * (np.quantile(means, [tail, 1 - tail]) - row["loss"])
    found = {"least": least, "bound": most, "standard_error": error, "fold_error": fold_error, "degrees": degrees}
    if pairs.same_folds:
        by_fold = table.groupby("fold")["difference"].mean()
        reach = scipy.stats.t.ppf(1 - level, counts[0] - 1)
        reach *= corrected_standard_error(float(by_fold.std(ddof=1)), counts[0], ratio)
        found["corrected_bound"] = float(by_fold.mean() + reach)
    return found


def fold_variance(differences: pd.DataFrame, unit: str) -> float:
    """Variance of a difference between folds beyond what the fold's images explain, 0 at least.

    `differences` has fold, difference, and the groups or images in the column `unit`. The variance of the fold means
    less the mean variance of a fold's mean when its units are drawn anew: the method of moments for a random effect
    of the fold.
    """
    between = float(differences.groupby("fold")["difference"].mean().var(ddof=1))
    totals = differences.groupby(["fold", unit])["difference"].agg(["sum", "size"]).astype(np.float64)
    of_fold = totals.groupby(level="fold").sum()
    apart = totals["sum"] - totals["size"] * (of_fold["sum"] / of_fold["size"]).reindex(totals.index, level="fold")
    units = totals.groupby(level="fold").size()
    within = units / (units - 1) * (apart**2).groupby(level="fold").sum() / of_fold["size"] ** 2
    within = within[units > 1]
    return max(0.0, between - (float(within.mean()) if len(within) else 0.0))


def unpaired_bounds(
    cells: pd.DataFrame, reference: str, strategies: Sequence[str], *, ratio: float, rounding: float
) -> pd.DataFrame:
    """A row per strategy with the bounds of its loss where only means and sd over folds are known; columns as above.

    `cells` has strategy, mean, sd, folds. On the safe side three times: the strategies' folds are taken as unpaired,
    so that both spreads add up; degrees of freedom are those of the smaller number of folds, less one; and `rounding`,
    half a unit of the last printed digit, is added to every mean and sd. The variance is the corrected one over folds.
    """
    known = {row["strategy"]: row for row in rows(cells)}
    found = []
    for name in strategies:
        own, other = known[name], known[reference]
        row: dict[str, Any] = {"strategy": name, "loss": other["mean"] - own["mean"]}
        row |= {"folds": int(min(own["folds"], other["folds"])), "reason": ""}
        if row["folds"] < FEWEST_FOLDS:
            row["reason"] = f"{row['folds']} folds: no bound; it takes {FEWEST_FOLDS} at least"
        elif pd.isna([row["loss"], own["sd"], other["sd"]]).any():
            row["reason"] = "no mean and sd"
        else:
            spreads = (own["sd"] + rounding, own["folds"]), (other["sd"] + rounding, other["folds"])
            parts = [corrected_standard_error(float(sd), int(folds), ratio) ** 2 for sd, folds in spreads]
            row |= {"standard_error": sqrt(sum(parts)), "degrees": row["folds"] - 1}
        found.append(row)
    level = LEVEL / max(1, sum(not row["reason"] for row in found))
    for row in found:
        if not row["reason"]:
            reach = 2 * rounding + float(scipy.stats.t.ppf(1 - level, row["degrees"])) * row["standard_error"]
            row["least"], row["bound"] = row["loss"] - reach, row["loss"] + reach
    return _bounds(found)


def expanded_level(level: float, units: int) -> float:
    """Tail of the percentile bootstrap at which its bound of a mean of `units` normal values holds at `level`.

    A bootstrap of few units is too narrow: it lacks the factor units / (units - 1) in the variance and the tails of t.
    """
    return float(scipy.stats.norm.cdf(sqrt(units / (units - 1)) * scipy.stats.t.ppf(level, units - 1)))


def _bounds(found: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(found, columns=["strategy", *BOUNDS, "reason"]).astype(dict.fromkeys(BOUNDS, np.float64))
