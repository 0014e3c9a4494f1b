"""Paired differences of two strategies on the same test images, and what may be said of them. Needs no torch.

"Not significant" is not "equal", and folds share training images: so a difference comes with the interval of
its per-image pairs, resampled by group, and with two folds or fewer with no interval and no test at all.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from engine.errors import DataError

FEWEST_FOLDS = 3
"""Folds from which an interval is given; with fewer, how much folds differ cannot be told apart from chance."""
FEWEST_UNITS = 5
"""Groups (or images) from which an interval is given; fewer cannot be resampled in a useful way."""

COLUMNS = ("strategy", "fold", "index", "group", "dice")


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
    resampled: Literal["group", "image"]
    """What is drawn with replacement: whole groups where every image names its group."""
    units: int
    """Number of groups or images that are drawn from."""
    note: str
    """Why there is no interval, or how it was made."""


def image_differences(images: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """A row per test image that both strategies have: fold, index, group, difference (Dice of first minus second).

    `images` has the columns strategy, fold, index (place in the data set), group ("" where unknown) and dice;
    rows of one fraction and rate. Several seeds of one strategy, fold and image are averaged first. Folds that
    one of the two has not run yet are left out.

    Raises DataError where a column or strategy is absent, a Dice is missing, or a fold's images differ.
    """
    if missing := [column for column in COLUMNS if column not in images]:
        raise DataError(f"test images: column '{missing[0]}' is missing; expected {', '.join(COLUMNS)}")
    known = sorted(set(images["strategy"]))
    if absent := [name for name in dict.fromkeys((first, second)) if name not in known]:
        raise DataError([f"no test images of strategy '{name}'; there are: {'; '.join(known)}" for name in absent])
    if undefined := int(images["dice"].isna().sum()):
        raise DataError(f"test images: {undefined} of {len(images)} have no Dice; only measured images can be paired")
    sides = [_mean_over_seeds(images, name) for name in (first, second)]
    common = set(sides[0]["fold"]) & set(sides[1]["fold"])
    sides = [side[side["fold"].isin(common)] for side in sides]
    pairs = sides[0].merge(sides[1].drop(columns="group"), on=["fold", "index"], suffixes=("_first", "_second"))
    if not len(pairs) == len(sides[0]) == len(sides[1]):
        raise DataError(
            f"'{first}' and '{second}' share {len(pairs)} test images of {len(sides[0])} and {len(sides[1])} in the "
            "same folds; compare results of the same data and split"
        )
    pairs["difference"] = pairs["dice_first"] - pairs["dice_second"]
    return pairs[["fold", "index", "group", "difference"]].sort_values(["fold", "index"], ignore_index=True)


def paired_differences(images: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """A row per fold that both strategies have: fold, mean_difference (Dice of first minus second), images.

    Takes and raises as `image_differences`.
    """
    differences = image_differences(images, first, second)
    by_fold = differences.groupby("fold", as_index=False)["difference"]
    return by_fold.agg(["mean", "size"]).rename(columns={"mean": "mean_difference", "size": "images"})


def compare(
    images: pd.DataFrame, first: str, second: str, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """The mean paired difference with its interval, or with the reason why there is none.

    Takes and raises as `image_differences`. With two folds or fewer there is no interval and no test.
    """
    differences = image_differences(images, first, second)
    folds = int(differences["fold"].nunique())
    by_group = bool(len(differences)) and bool((differences["group"].fillna("") != "").all())
    units = differences["group"] if by_group else differences["index"]
    resampled: Literal["group", "image"] = "group" if by_group else "image"
    interval: tuple[float, float] | None = None
    if folds < FEWEST_FOLDS:
        note = (
            f"{folds} fold{'' if folds == 1 else 's'}: no test and no interval; how much the difference varies from "
            f"fold to fold cannot be told from fewer than {FEWEST_FOLDS}. Run more folds (folds.run)"
        )
    elif units.nunique() < FEWEST_UNITS:
        note = f"{units.nunique()} {resampled}s: no interval; it takes {FEWEST_UNITS} at least to resample them"
    else:
        values = differences["difference"].to_numpy(dtype=np.float64)
        interval = bootstrap_interval(values, units, confidence=confidence, resamples=resamples, seed=seed)
        note = (
            f"{confidence:.0%} percentile bootstrap over {units.nunique()} {resampled}s "
            f"({resamples:,} resamples); folds share training images, which it does not see"
        )
    return Comparison(
        first=first,
        second=second,
        mean_difference=float(differences["difference"].mean()) if len(differences) else float("nan"),
        low=None if interval is None else interval[0],
        high=None if interval is None else interval[1],
        confidence=confidence,
        folds=folds,
        images=len(differences),
        resampled=resampled,
        units=int(units.nunique()),
        note=note,
    )


def bootstrap_interval(
    differences: Float[np.ndarray, " image"],
    units: pd.Series,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Low and high end of the percentile interval of the mean over images, whole `units` drawn with replacement.

    `units` names the group (or the image) of each difference. Does not depend on the order of the rows.

    Raises DataError without differences or with a confidence outside 0 to 1.
    """
    if not len(differences) or not 0 < confidence < 1:
        raise DataError(
            f"no interval of {len(differences)} differences at confidence {confidence:g}; "
            "expected one difference at least and a confidence between 0 and 1"
        )
    totals = pd.DataFrame({"unit": units.to_numpy(), "difference": differences}).sort_values(["unit", "difference"])
    by_unit = totals.groupby("unit", sort=True)["difference"].agg(["sum", "size"])
    sums, sizes = by_unit["sum"].to_numpy(dtype=np.float64), by_unit["size"].to_numpy(dtype=np.float64)
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    chunk = max(1, 2_000_000 // len(sums))  # keeps memory near 16 MB however many images there are
    for begin in range(0, resamples, chunk):
        count = min(chunk, resamples - begin)
        drawn = random.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=count)
        means[begin : begin + count] = (drawn @ sums) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _mean_over_seeds(images: pd.DataFrame, strategy: str) -> pd.DataFrame:
    rows = images[images["strategy"] == strategy]
    return rows.groupby(["fold", "index"], as_index=False).agg({"group": "first", "dice": "mean"})
