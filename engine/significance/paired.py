"""Paired differences of two strategies on the same test images, and what may be said of them. Needs no torch.

"Not significant" is not "equal", and folds share training images: so a difference comes with the interval of
its per-image pairs, resampled by group, and with two folds or fewer with no interval and no test at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy  # scipy.stats loads when it is first used, not with this module
from jaxtyping import Float

from engine.errors import DataError
from engine.significance.intervals import Spread, ends, how, spread_of, why_none, why_same
from engine.significance.measured import CELL, Drawn, drawn_by, mean_over_seeds, measured
from engine.significance.resampling import RESAMPLES, resampled_means
from engine.significance.rows import rows


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How much better `first` is than `second` on the same test images."""

    first: str
    second: str
    mean_difference: float
    """Dice of `first` minus Dice of `second`, mean over test images of all folds; NaN without pairs."""
    low: float | None
    """Lower end of the bootstrap interval; None where there is none (see `note`)."""
    high: float | None
    """Upper end of the bootstrap interval; None where there is none (see `note`)."""
    confidence: float
    """Part of such intervals that hold the true mean, if images are alike: 0.95."""
    folds: int
    images: int
    resampled: Drawn
    """What is drawn with replacement: whole groups where every image names its group."""
    units: int
    """Number of groups or images that are drawn from."""
    note: str
    """Why there is no interval, or how it was made."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The test images that two strategies share."""

    table: pd.DataFrame
    """A row per image: fold (of the first strategy), other_fold (of the second), index, group, difference (Dice of
    first minus second)."""
    folds: int
    """Folds in which both were tested; where their folds differ, the smaller number."""
    same_folds: bool
    """False where every strategy has folds of its own, so that images are paired whatever their fold."""


OWN_FOLDS = "every strategy has folds of its own, so images are paired whatever their fold"


def in_same_folds(images: pd.DataFrame) -> bool:
    """Whether folds may be joined by their number: no image (`index`) of these rows is in folds of two numbers.

    Where a study draws other folds for every strategy and fraction, folds of one number are different images.
    """
    return bool(images[["index", "fold"]].drop_duplicates()["index"].is_unique)


def pair(images: pd.DataFrame, first: str, second: str) -> Pairs:
    """The test images that both strategies have, and whether their folds are the same.

    `images` has the columns strategy, fold, index (place in the data set), group ("" where unknown) and dice;
    rows of one data set, fraction, start and rate of each strategy. Images without a structure (`empty_truth`) are
    left out, several seeds of one strategy, fold and image are averaged first, and folds that one of the two has not
    run yet are left out. Where the strategies have different folds (a split of its own for every experiment), each
    image is paired whatever the folds that it was tested in.

    Raises DataError where a column or strategy is absent, a Dice is missing, a strategy's rows are of several cells,
    or a fold's images differ.
    """
    return pair_all(images, [(first, second)])[0]


def pair_all(images: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> list[Pairs]:
    """What `pair` gives, for each of `pairs`; takes and raises as it."""
    images = measured(images)
    names, known = list(dict.fromkeys(name for both in pairs for name in both)), sorted(set(images["strategy"]))
    if absent := [name for name in names if name not in known]:
        raise DataError([f"no test images of strategy '{name}'; there are: {'; '.join(known)}" for name in absent])
    sides = {name: mean_over_seeds(_one_cell(images, name)) for name in names}
    return [_pair(first, second, sides[first], sides[second]) for first, second in pairs]


def _pair(first: str, second: str, left: pd.DataFrame, right: pd.DataFrame) -> Pairs:
    common = set(left["fold"]) & set(right["fold"])
    same_folds = not common or in_same_folds(pd.concat([left, right]))
    if same_folds:
        folds = len(common)
        left, right = left[left["fold"].isin(common)], right[right["fold"].isin(common)]
    else:
        folds = min(left["fold"].nunique(), right["fold"].nunique())
        left, right = _over_folds(left), _over_folds(right)
    others = right[["index", "fold", "dice"]].rename(columns={"fold": "other_fold"})
    pairs = left.merge(others, on="index", suffixes=("_first", "_second"))
    if same_folds and not len(pairs) == len(left) == len(right):
        raise DataError(
            f"'{first}' and '{second}' share {len(pairs)} test images of {len(left)} and {len(right)} in the "
            "same folds; compare results of the same data and split"
        )
    pairs["difference"] = pairs["dice_first"] - pairs["dice_second"]
    table = pairs[["fold", "other_fold", "index", "group", "difference"]]
    return Pairs(table=table.sort_values(["fold", "index"], ignore_index=True), folds=folds, same_folds=same_folds)


def _over_folds(side: pd.DataFrame) -> pd.DataFrame:
    if side["index"].is_unique:
        return side
    return side.groupby("index", as_index=False).agg({"fold": "first", "group": "first", "dice": "mean"})


def image_differences(images: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """A row per test image that both strategies have: fold, index, group, difference (Dice of first minus second).

    Takes and raises as `pair`; where the strategies' folds differ, `fold` is the first's.
    """
    return pair(images, first, second).table.drop(columns="other_fold")


def paired_differences(images: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """A row per fold that both strategies have: fold, mean_difference (Dice of first minus second), images.

    No row where every strategy has folds of its own: a fold of one is no fold of the other. Takes and raises as `pair`.
    """
    pairs = pair(images, first, second)
    table = pairs.table if pairs.same_folds else pairs.table.iloc[:0]
    by_fold = table.groupby("fold", as_index=False)["difference"]
    return by_fold.agg(["mean", "size"]).rename(columns={"mean": "mean_difference", "size": "images"})


def compare(
    images: pd.DataFrame,
    first: str,
    second: str,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """The mean paired difference with its interval, or with the reason why there is none.

    Takes and raises as `pair`. With two folds or fewer there is no interval and no test.
    """
    row = rows(compare_all(images, [(first, second)], confidence=confidence, resamples=resamples, seed=seed))[0]
    given = not np.isnan(row["low"])
    return Comparison(
        first=first,
        second=second,
        mean_difference=row["mean_difference"],
        low=row["low"] if given else None,
        high=row["high"] if given else None,
        confidence=confidence,
        folds=row["folds"],
        images=row["images"],
        resampled=row["resampled"],
        units=row["units"],
        note=row["note"],
    )


def resampled_differences(
    images: pd.DataFrame, pairs: Sequence[tuple[str, str]], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[pd.DataFrame, Spread, Float[np.ndarray, "resample pair"]]:
    """A row per pair of strategies, how its mean difference varies, and its resamples; pairs share the draw of images.

    Columns: first, second, and those of `pair_table`. A pair without a common image has NaN in every resample.

    Takes and raises as `pair`.
    """
    table, sums, sizes = pair_table(pair_all(images, pairs))
    means = resampled_means(sums, sizes, resamples=resamples, seed=seed)
    names = pd.DataFrame(list(pairs), columns=["first", "second"])
    return pd.concat([names, table], axis=1), spread_of(means, sizes), means


def pair_table(
    found: Sequence[Pairs],
) -> tuple[pd.DataFrame, Float[np.ndarray, "unit pair"], Float[np.ndarray, "unit pair"]]:
    """A row per pair, and its differences added up within each unit (group or image) and counted.

    Columns: mean_difference, folds, same_folds, images, resampled, units, note (why it may have no interval, or "").
    """
    tables = [each.table for each in found]
    drawn = drawn_by(pd.concat([table["group"] for table in tables])) if tables else "image"
    unit = "group" if drawn == "group" else "index"
    columns = range(len(tables))
    by_unit = [table.sort_values([unit, "difference"]).groupby(unit)["difference"] for table in tables]
    sums = pd.concat([each.sum() for each in by_unit], axis=1, keys=columns) if tables else pd.DataFrame()
    sizes = pd.concat([each.size() for each in by_unit], axis=1, keys=columns) if tables else pd.DataFrame()
    found_rows = [
        {
            "mean_difference": float(each.table["difference"].mean()) if len(each.table) else float("nan"),
            "folds": each.folds,
            "same_folds": each.same_folds,
            "images": len(each.table),
            "resampled": drawn,
            "units": int(each.table[unit].nunique()),
            "note": why_none(each.folds, each.table[unit].nunique(), drawn, "the difference") or "",
        }
        for each in found
    ]
    names = ["mean_difference", "folds", "same_folds", "images", "resampled", "units", "note"]
    return pd.DataFrame(found_rows, columns=names), _filled(sums), _filled(sizes)


def _filled(table: pd.DataFrame) -> Float[np.ndarray, "unit pair"]:
    return table.sort_index().fillna(0.0).to_numpy(dtype=np.float64)


def compare_all(
    images: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """A row per pair of strategies with its interval, and with the interval that holds for all pairs at once.

    Columns as `resampled_differences`, and low, high, simultaneous_low, simultaneous_high, standard_error; NaN where
    there is no interval (`note` says why). The simultaneous intervals are those of the confidence at which, in
    `confidence` of the resamples, no pair is farther from its mean (max-t; Westfall & Young 1993).

    Takes and raises as `pair`.
    """
    table, spread, means = resampled_differences(images, pairs, resamples=resamples, seed=seed)
    centre = table["mean_difference"].to_numpy(dtype=np.float64)
    reasons, notes = table["note"].to_list(), []
    for place, (reason, units, drawn) in enumerate(zip(reasons, table["units"], table["resampled"], strict=True)):
        if not reason and not spread.error[place] > 0:
            reasons[place] = reason = why_same("the difference", centre[place], drawn, "difference")
        made = how(confidence, int(units), drawn, resamples, float(spread.degrees[place]), 1, "difference")
        notes.append(reason or made)
    given = np.array([not reason for reason in reasons], dtype=bool)
    found = np.full((5, len(table)), np.nan)
    if given.any():
        apart = np.abs(means[:, given] - centre[given]) / means[:, given].std(axis=0)
        farthest = float(np.quantile(apart.max(axis=1), confidence))
        every = max(confidence, float(2 * scipy.stats.norm.cdf(farthest) - 1))
        own = *ends(centre, spread, confidence, "difference"), *ends(centre, spread, every, "difference"), spread.error
        found[:, given] = np.array(own)[:, given]
    for place, name in enumerate(("low", "high", "simultaneous_low", "simultaneous_high", "standard_error")):
        table.insert(3 + place, name, found[place])
    note = pd.Series(notes, index=table.index, dtype=object)
    table["note"] = note.where(table["same_folds"].astype(bool), note + f"; {OWN_FOLDS}")
    return table


def _one_cell(images: pd.DataFrame, strategy: str) -> pd.DataFrame:
    own = images[images["strategy"] == strategy]
    problems = [
        f"test images of '{strategy}' have several values of {column} ({', '.join(map(str, values))}); choose one"
        for column in CELL
        if column != "strategy" and column in own and len(values := sorted(set(own[column]))) > 1
    ]
    if problems:
        raise DataError(problems)
    return own
