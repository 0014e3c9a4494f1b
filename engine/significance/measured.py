"""Test images that Dice speaks of: columns checked, normal images left out, seeds averaged within their fold."""

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from engine.errors import DataError

FEWEST_FOLDS = 3
"""Folds from which an interval is given; with fewer, how much folds differ cannot be told apart from chance."""
FEWEST_UNITS = 5
"""Groups (or images) from which an interval is given; fewer cannot be resampled in a useful way."""

COLUMNS = ("strategy", "fold", "index", "group", "dice")
CELL = ("dataset", "fraction", "start", "strategy")
"""Columns that tell cells apart, where a table has them."""
Drawn = Literal["group", "image"]
"""What a bootstrap draws with replacement."""


def measured(images: pd.DataFrame) -> pd.DataFrame:
    """The rows with a structure: a normal image (`empty_truth`) is no part of Dice.

    `images` has the columns strategy, fold, index (place in the data set), group ("" where unknown) and dice.

    Raises DataError where a column is absent or a Dice is missing.
    """
    if missing := [column for column in COLUMNS if column not in images]:
        raise DataError(f"test images: column '{missing[0]}' is missing; expected {', '.join(COLUMNS)}")
    if "empty_truth" in images:
        images = images[~images["empty_truth"].astype(bool)]
    if undefined := int(images["dice"].isna().sum()):
        raise DataError(f"test images: {undefined} of {len(images)} have no Dice; only measured images can be paired")
    return images


def mean_over_seeds(rows: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """A row per fold and image (of each cell in `by`): dice is the mean over seeds, in whatever order they came."""
    keys = [*by, "fold", "index"]
    return rows.sort_values([*keys, "dice"]).groupby(keys, as_index=False).agg({"group": "first", "dice": "mean"})


def drawn_by(groups: pd.Series) -> Drawn:
    """`group` where every image names its group, else `image`."""
    return "group" if len(groups) and bool((groups.fillna("") != "").all()) else "image"


def with_starts(images: pd.DataFrame) -> pd.DataFrame:
    """The same rows, with `strategy` reading "strategy · start" where there are several start weights.

    So that each start weights' results are compared as strategies of their own; random weights ("") keep the name.
    """
    if "start" not in images or len(set(images["start"]) - {""}) < 2:
        return images
    named = images["strategy"].astype(str) + " · " + images["start"].astype(str)
    return images.assign(strategy=named.where(images["start"] != "", images["strategy"]))


def why_no_interval(folds: int, units: int, drawn: Drawn, what: str) -> str | None:
    """Why `what` has no interval, or None where it can have one."""
    if folds < FEWEST_FOLDS:
        return (
            f"{folds} fold{'' if folds == 1 else 's'}: no test and no interval; how much {what} varies from "
            f"fold to fold cannot be told from fewer than {FEWEST_FOLDS}. Run more folds (folds.run)"
        )
    if units < FEWEST_UNITS:
        return f"{units} {drawn}s: no interval; it takes {FEWEST_UNITS} at least to resample them"
    return None
