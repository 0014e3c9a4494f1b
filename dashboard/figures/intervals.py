"""Intervals of the means of Table II, of any measure, and how many test images these means are over."""

from typing import Any

import pandas as pd

from engine.significance import balanced_intervals, cell_intervals
from engine.significance.measured import drawn_by
from engine.significance.resampling import RESAMPLES

BALANCED = "balanced_accuracy"
INTERVAL = ["low", "high", "interval", "images"]
COUNTS = ["images", "fold_numbers", "fold_images", "fold_groups"]
"""Of a cell: test images of its mean; its folds as they are counted, in the order of its values, each with its test
images and their groups (0 where they name none)."""


def mean_intervals(images: pd.DataFrame, measure: str, *, resamples: int = RESAMPLES) -> pd.DataFrame:
    """A row per cell of these test images with `low`, `high` (NaN where there is no interval), `interval`, how made,
    and `images`, the test images that the mean is over.

    `dice` holds the measure whose column this is; of balanced accuracy, whether the image is right, beside its `label`.
    """
    if not len(images):
        return images.iloc[:0].reindex(columns=[*images.columns, *INTERVAL])
    if measure == BALANCED:
        found = balanced_intervals(images.assign(accuracy=images["dice"]), resamples=resamples)
    else:
        found = cell_intervals(images, resamples=resamples, scale="amount" if measure == "hd95" else "part")
    drawn = found["units"].astype(str) + " " + found["resampled"].astype(str) + "s"
    return found.assign(interval=("bootstrap over " + drawn).where(found["low"].notna(), ""))


def fold_counts(images: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """A row per cell (columns `by`) and fold of these test images: `images`, their `groups` (0 where none is named)."""
    by_group = drawn_by(images["group"]) == "group"
    found = images.groupby([*by, "fold"], sort=False, observed=True).agg(
        images=("index", "nunique"), groups=("group", "nunique")
    )
    return found.assign(groups=found["groups"] * by_group).reset_index()


def with_fold_counts(cells: pd.DataFrame, counts: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The cells with `fold_images` and `fold_groups`, in the order of their `fold_numbers`; 0 of a fold without any."""
    known = counts.set_index([*by, "fold"])
    places = list(cells[[*by, "fold_numbers"]].itertuples(index=False, name=None))
    table = cells.copy(deep=False)
    for column, name in (("fold_images", "images"), ("fold_groups", "groups")):
        of: dict[Any, int] = known[name].to_dict()
        table[column] = [[of.get((*place, fold), 0) for fold in folds] for *place, folds in places]
    return table
