"""The corrected resampled t test over folds, and Holm's correction over a family that the page names.

Folds share training images, so the mean over J folds varies more than S²/J: Nadeau & Bengio 2003 (Inference for the
generalization error, Machine Learning 52:239-281) estimate its variance by (1/J + n2/n1) S², with n2 test and n1
training images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import pandas as pd
import scipy  # scipy.stats loads when it is first used, not with this module
from jaxtyping import Float

from engine.errors import DataError
from engine.significance.measured import FEWEST_FOLDS
from engine.significance.rows import parts


@dataclass(frozen=True, kw_only=True)
class CorrectedTest:
    """What fold differences say, with the variance that shared training images call for."""

    mean: float
    """Mean over folds; NaN without folds."""
    low: float | None
    """Lower end of the interval by the same corrected variance; None where there is none (see `reason`)."""
    high: float | None
    standard_error: float | None
    t: float | None
    p: float | None
    """Two-sided."""
    folds: int
    reason: str
    """Why there is no test, or ""."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Comparisons that are corrected together."""

    description: str
    """What the family is and how it was corrected, in words for the page."""
    table: pd.DataFrame
    """A row per comparison, in the order asked for."""


def split_ratio(folds: int) -> float:
    """Test images per image outside the test fold: 1/4 of five folds.

    Smaller pools share fewer images between folds than the whole training part does, so for them this ratio is
    on the safe side.
    """
    return 1.0 / (folds - 1)


def corrected_standard_error(sd: float, folds: int, ratio: float) -> float:
    """Standard error of a mean over `folds` folds, `sd` (n - 1) between them; `ratio` is test to training images."""
    return sd * sqrt(1.0 / folds + ratio)


def corrected_t(differences: Float[np.ndarray, " fold"], *, ratio: float, confidence: float = 0.95) -> CorrectedTest:
    """The corrected resampled t test of a difference per fold (seeds of a fold averaged), with its interval.

    `ratio` is test to training images (see `split_ratio`). Two-sided, J - 1 degrees of freedom; with two folds or
    fewer, or where no fold differs from another, a reason in its place.
    """
    folds, mean = len(differences), float(np.mean(differences)) if len(differences) else float("nan")
    sd = float(np.std(np.sort(differences), ddof=1)) if folds > 1 else 0.0
    reason = ""
    if folds < FEWEST_FOLDS:
        reason = f"{folds} fold{'' if folds == 1 else 's'}: no test and no interval; it takes {FEWEST_FOLDS} at least"
    elif sd <= 1e-12 * max(1.0, abs(mean)):
        reason = "no test: all folds have the same difference"
    if reason:
        return CorrectedTest(
            mean=mean, low=None, high=None, standard_error=None, t=None, p=None, folds=folds, reason=reason
        )
    error = corrected_standard_error(sd, folds, ratio)
    reach = float(scipy.stats.t.ppf((1 + confidence) / 2, folds - 1)) * error
    return CorrectedTest(
        mean=mean,
        low=mean - reach,
        high=mean + reach,
        standard_error=error,
        t=mean / error,
        p=float(2 * scipy.stats.t.sf(abs(mean / error), folds - 1)),
        folds=folds,
        reason="",
    )


def holm(p: Sequence[float]) -> list[float]:
    """Holm's corrected p values in the same order; a missing p stays missing and is not counted.

    Source: Holm 1979 (Scandinavian Journal of Statistics 6:65-70). Not by statsmodels, whose `multipletests` collects
    all of the process's garbage in every call: 50 ms where a page's modules are loaded.
    """
    values = np.array(p, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    values[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)), 1.0)
    return [float(value) for value in values]


def corrected_family(
    folds: pd.DataFrame, pairs: Sequence[tuple[str, str]], *, name: str, ratio: float, confidence: float = 0.95
) -> Family:
    """Corrected t tests of `pairs` of strategies in every data set and fraction of `folds`, with Holm over them all.

    `folds` has the columns fraction, strategy, fold, value, and dataset where there are several. `name` says what the
    family is: "shallow against deep at every fraction". Columns of the table: dataset and fraction, first, second,
    mean_difference, low, high, t, p, p_holm, folds, reason. Folds that one of a pair lacks are left out, and a pair
    with a strategy that a row does not have is left out of it. Intervals are of one comparison each.

    Only for strategies with the same folds. Raises DataError where a column is absent or a fold has two values.
    """
    if missing := [column for column in ("fraction", "strategy", "fold", "value") if column not in folds]:
        raise DataError(f"fold values: column '{missing[0]}' is missing; expected fraction, strategy, fold, value")
    within = [column for column in ("dataset", "fraction") if column in folds]
    folds = folds.dropna(subset=["value"])
    if twice := int(folds.duplicated([*within, "strategy", "fold"]).sum()):
        raise DataError(f"fold values: {twice} folds have two values; average the seeds of a fold first")
    rows = []
    for place, part in parts(folds, within):
        values = part.pivot(index="fold", columns="strategy", values="value").sort_index()
        for first, second in pairs:
            if not {first, second} <= set(values):
                continue
            differences = (values[first] - values[second]).dropna().to_numpy(dtype=np.float64)
            test = corrected_t(differences, ratio=ratio, confidence=confidence)
            row = dict(zip(within, place, strict=True)) | {"first": first, "second": second}
            row |= {"mean_difference": test.mean, "low": test.low, "high": test.high, "t": test.t, "p": test.p}
            rows.append(row | {"folds": test.folds, "reason": test.reason})
    found = ["first", "second", "mean_difference", "low", "high", "t", "p", "folds", "reason"]
    table = pd.DataFrame(rows, columns=[*within, *found])
    table = table.astype(dict.fromkeys(("mean_difference", "low", "high", "t", "p"), np.float64))
    table.insert(list(table.columns).index("folds"), "p_holm", holm(table["p"].to_list()))
    tested = int(table["p"].notna().sum())
    description = (
        f"{name}: {len(table)} comparison{'' if len(table) == 1 else 's'}, {tested} with a test; corrected resampled t "
        f"over folds (Nadeau & Bengio 2003, test to training images {ratio:.2g}), p values corrected by Holm over "
        f"{'that one' if tested == 1 else f'these {tested}'}; {confidence:.0%} intervals of one comparison each"
    )
    return Family(description=description, table=table)
