"""Tukey's HSD over folds, as the papers report it: shown beside the main analysis, never in its place.

Folds share training images, so their values are not independent and these p values are too small.
"""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import scipy  # scipy.stats loads when it is first used, not with this module

from engine.errors import DataError
from engine.significance.measured import FEWEST_FOLDS
from engine.significance.rows import parts

LABEL = "as published: Tukey's HSD over folds; folds share training images"
COLUMNS = ("dataset", "fraction", "strategy", "fold", "value")


def tukey_over_strategies(folds: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """A row per pair of strategies within each data set and fraction.

    `folds` has the columns dataset, fraction, strategy, fold, value (Dice, mean over seeds); missing values are folds
    that did not converge. Columns that come back: dataset, fraction, first, second, difference (mean of first minus
    mean of second), low, high (family-wise interval), p, folds_first, folds_second, label, reason. With fewer than
    three folds of either there is no p and no interval, and `reason` says so.

    Tukey-Kramer where the numbers of folds differ. Source: Amiri et al. 2020, III-C; `scipy.stats.tukey_hsd`.

    Raises DataError where a column is absent or a fold has two values.
    """
    return _tukey(folds, ["dataset", "fraction"], "strategy", confidence)


def tukey_over_fractions(folds: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """A row per pair of fractions within each data set and strategy; `first` and `second` are percent.

    Takes, gives and raises as `tukey_over_strategies`, with the column strategy in place of fraction
    (Amiri et al. 2020, III-D).
    """
    return _tukey(folds, ["dataset", "strategy"], "fraction", confidence)


def _tukey(folds: pd.DataFrame, within: list[str], over: str, confidence: float) -> pd.DataFrame:
    if missing := [column for column in COLUMNS if column not in folds]:
        raise DataError(f"fold values: column '{missing[0]}' is missing; expected {', '.join(COLUMNS)}")
    folds = folds.dropna(subset=["value"])
    if twice := int(folds.duplicated(["dataset", "fraction", "strategy", "fold"]).sum()):
        raise DataError(f"fold values: {twice} folds have two values; average the seeds of a fold first")
    rows = []
    for place, part in parts(folds, within):
        values = {
            name: np.sort(own["value"].to_numpy(dtype=np.float64)) for name, own in part.groupby(over, sort=False)
        }
        tested = [name for name, own in values.items() if len(own) >= FEWEST_FOLDS]
        tests = _tests({name: values[name] for name in tested}, confidence)
        for first, second in combinations(values, 2):
            row: dict[str, Any] = dict(zip(within, place, strict=True))
            row |= {"first": first, "second": second}
            row |= {"difference": float(values[first].mean() - values[second].mean())}
            row |= tests.get((first, second), {"low": np.nan, "high": np.nan, "p": np.nan})
            row |= {"folds_first": len(values[first]), "folds_second": len(values[second]), "label": LABEL}
            row["reason"] = "" if (first, second) in tests else _reason(values[first], values[second])
            rows.append(row)
    found = ["first", "second", "difference", "low", "high", "p", "folds_first", "folds_second", "label", "reason"]
    return pd.DataFrame(rows, columns=[*within, *found])


def _tests(values: dict[Any, np.ndarray], confidence: float) -> dict[tuple[Any, Any], dict[str, float]]:
    if len(values) < 2 or not any(np.ptp(own) > 0 for own in values.values()):
        return {}
    result = scipy.stats.tukey_hsd(*values.values())
    ends = result.confidence_interval(confidence)
    low, high, p = (np.asarray(each, dtype=np.float64) for each in (ends.low, ends.high, result.pvalue))
    return {
        (first, second): {
            "low": float(low[row, column]),
            "high": float(high[row, column]),
            "p": float(p[row, column]),
        }
        for (row, first), (column, second) in combinations(enumerate(values), 2)
    }


def _reason(first: np.ndarray, second: np.ndarray) -> str:
    fewest = min(len(first), len(second))
    if fewest < FEWEST_FOLDS:
        return f"{fewest} fold{'' if fewest == 1 else 's'}: no test; it takes {FEWEST_FOLDS} folds of both at least"
    return "no test: no value differs between folds"
