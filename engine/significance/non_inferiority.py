"""One-sided bounds of how much Dice strategies lose against a reference: from paired images, or from means and sd.

All k bounds of a family hold together: each at the level 0.05 / k (Bonferroni).
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
import scipy  # scipy.stats loads when it is first used, not with this module

from engine.significance.corrected_t import corrected_standard_error
from engine.significance.measured import FEWEST_FOLDS, drawn_by
from engine.significance.paired import Pairs, pair_all, pair_table
from engine.significance.reach import (
    Residuals,
    degrees_of,
    fold_spread,
    fold_variance,
    image_spread,
    lean,
    reach,
    residuals,
)
from engine.significance.rows import rows

LEVEL = 0.05
SAME = 1e-12
"""Differences that are no farther apart than this are the same."""
BOUNDS = ["loss", "bound", "least", "standard_error", "fold_error", "degrees", "image_part"]
BOUNDS += ["folds", "images", "units", "corrected_bound"]
"""Numbers in both tables of bounds; `loss` is Dice of the reference minus Dice of the strategy, `image_part` the part
of the squared reach that images alone would come to."""


def paired_bounds(images: pd.DataFrame, reference: str, strategies: Sequence[str], *, ratio: float) -> pd.DataFrame:
    """A row per strategy with the bounds of its paired loss, where groups of test images and folds both vary.

    Columns: strategy, loss, bound (upper), least (lower), standard_error and its part fold_error, degrees (with which
    t standard errors come to the same), folds, images, units, corrected_bound (upper, by the corrected resampled t
    over folds), reason (why there are no bounds, or ""). `loss` is the mean over images; the variance between folds
    beyond what their images explain counts 1/J + `ratio` times (Nadeau & Bengio 2003); neither variance is taken for
    known (`reach`), and the side of rare, large differences is wider. Bounds lie within -1 and 1. Where every strategy
    has folds of its own, the reference's folds and the strategy's both add their variance, and there is no
    `corrected_bound`.

    Raises DataError as `paired.pair` does.
    """
    paired = pair_all(images, [(reference, name) for name in strategies])
    table, _, _ = pair_table(paired)
    found = rows(table.rename(columns={"mean_difference": "loss", "note": "reason"}).assign(strategy=list(strategies)))
    most = max((row["folds"] for row in found), default=0)
    for row, pairs in zip(found, paired, strict=True):
        if not row["reason"] and row["folds"] < most:
            row["reason"] = f"only {row['folds']} of {most} folds"
        if not row["reason"] and float(np.ptp(pairs.table["difference"].to_numpy())) < SAME:
            row["reason"] = f"no bound: the loss is the same in every {row['resampled']}"
        if not row["reason"] and not can_be_bounded(pairs):
            row["reason"] = f"no bound: {row['units']} {row['resampled']}s in {row['folds']} folds say too little"
    level = LEVEL / max(1, sum(not row["reason"] for row in found))
    for row, pairs in zip(found, paired, strict=True):
        if not row["reason"]:
            row |= paired_bound(pairs, ratio=ratio, level=level)
    return _bounds(found)


def can_be_bounded(pairs: Pairs) -> bool:
    """Whether the variance over images is known, or is part of that between folds: a unit to a fold.

    Of no more units than folds, each in several folds, neither can be told from the other.
    """
    sides = _sides(pairs)
    folds = [fold_spread(side) for side in sides]
    apart = all(side.within == 0 for side in folds) and any(side.between > 0 for side in folds)
    return apart or image_spread(sides[0]).variance > 0


def paired_bound(pairs: Pairs, *, ratio: float, level: float) -> dict[str, float]:
    """The numbers of `paired_bounds` that concern one pair, each bound at `level`; needs two folds and units."""
    table, sides = pairs.table, _sides(pairs)
    folds, own = [fold_spread(side) for side in sides], image_spread(sides[0])
    loss, fold_error = float(table["difference"].mean()), sqrt(fold_variance(folds, ratio))
    error, far = sqrt(own.variance + fold_error**2), reach(own, folds, ratio=ratio, level=level)
    below, above = lean(own, level)
    found = {
        "least": max(-1.0, loss - far - below),
        "bound": min(1.0, loss + far + above),
        "standard_error": error,
        "fold_error": fold_error,
        "degrees": degrees_of(far, error, level, max(1.0, own.degrees)),
        "image_part": (float(scipy.special.stdtrit(own.degrees, 1 - level)) * sqrt(own.variance) / far) ** 2,
    }
    if pairs.same_folds:
        wide = corrected_standard_error(sqrt(folds[0].between), folds[0].count, ratio)
        wide *= float(scipy.special.stdtrit(folds[0].count - 1, 1 - level))
        found["corrected_bound"] = float(sides[0].means.mean()) + wide
    return found


def _sides(pairs: Pairs) -> list[Residuals]:
    """The differences by the folds that both strategies share, or by those of each."""
    unit = "group" if drawn_by(pairs.table["group"]) == "group" else "index"
    return [residuals(pairs.table, unit, fold) for fold in (["fold"] if pairs.same_folds else ["fold", "other_fold"])]


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
            far = 2 * rounding + float(scipy.stats.t.ppf(1 - level, row["degrees"])) * row["standard_error"]
            row["least"], row["bound"] = max(-1.0, row["loss"] - far), min(1.0, row["loss"] + far)
    return _bounds(found)


def _bounds(found: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(found, columns=["strategy", *BOUNDS, "reason"]).astype(dict.fromkeys(BOUNDS, np.float64))
