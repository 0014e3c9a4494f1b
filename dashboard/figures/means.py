"""Means of complete cells as figures take them: over which folds, with which interval or why none, and in words."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dashboard.figures.answer import NUMBERS
from dashboard.figures.comparison import over
from dashboard.figures.intervals import COUNTS
from dashboard.figures.rows import rows

FIELDS = ["source", "dataset", "fraction", "strategy", "mean", "sd", "low", "high", "interval"]
FIELDS += ["folds", "trainings", "failed", "value_folds", "values", *COUNTS]


def means_table(cells: pd.DataFrame, *more: str) -> pd.DataFrame:
    """The complete cells with the columns of `FIELDS` and `more`; a published mean that is missing stays missing.

    `value_folds` is how many folds the mean is over, `values` are the folds' means where they are known. `low`, `high`
    (95 % interval), `interval` (how it was made) and the `COUNTS` of test images are missing where the cells have none.
    """
    table = cells[cells["complete"].astype(bool)].reset_index(drop=True)
    for name in ("low", "high", "images"):
        table[name] = table[name].astype(float) if name in table else float("nan")
    for name in ("fold_numbers", "fold_images", "fold_groups"):
        table[name] = lists(table, name)
    table["interval"] = texts(table, "interval")
    return table.assign(value_folds=over(table))[[*FIELDS, *more]]


def texts(table: pd.DataFrame, column: str) -> list[str]:
    """The words of a column, "" where a row has none or the table lacks the column."""
    return [value if isinstance(value, str) else "" for value in table.get(column, [""] * len(table))]


def lists(table: pd.DataFrame, column: str) -> list[list[Any]]:
    """The lists of a column, empty where a row has none or the table lacks the column."""
    return [value if isinstance(value, list) else [] for value in table.get(column, [None] * len(table))]


def told(row: Any, measure: str) -> str:
    """A mean in words, for hovering: strategy and data, mean with sd, folds and n, interval, failed trainings."""
    lines = [f"<b>{row.strategy}</b> · {row.dataset} {row.fraction:g} %"]
    if pd.isna(row.mean):
        lines.append("no training converged" if row.failed else "the text of the paper does not give this value")
    else:
        lines.append(f"{measure} {varies(row.mean, row.sd, row.value_folds, row.images)}")
    lines += between(row.low, row.high, row.interval)
    if row.failed:
        lines.append(f"{row.failed:.0f} of {row.trainings:.0f} trainings failed to converge, left out")
    lines += [again] if (again := getattr(row, "again", "")) else []
    return "<br>".join(lines)


def varies(mean: float, sd: float, folds: Any, images: float) -> str:
    """A mean with how it varies and what it is over: `0.812, sd 0.021, over 3 folds, n = 102 test images`."""
    spread = "" if pd.isna(sd) else f", sd {sd:.3f}"
    number = "" if pd.isna(images) else f", n = {images:,.0f} test image{'s' if images > 1 else ''}"
    return f"{mean:.3f}{spread}, over {folds:.0f} fold{'s' if folds > 1 else ''}{number}"


def between(low: float, high: float, how: str) -> list[str]:
    """The line that tells of an interval; none where there is none."""
    return [] if pd.isna(low) else [f"95 % interval {low:.3f} to {high:.3f}, {how}"]


def fold_dots(table: pd.DataFrame, places: Sequence[float], measure: str) -> pd.DataFrame:
    """A row per fold of these means: `x`, its mean's of `places`, `value`, and what is `told` of it on hover.

    That is strategy, number of the fold, value, and n where the cells' `COUNTS` are known.
    """
    found = []
    for row, x in zip(rows(table.rename(columns={"values": "known"})), places, strict=True):
        images, groups = (one or [0] * len(row.known) for one in (row.fold_images, row.fold_groups))
        for number, value, n, of in zip(row.fold_numbers, row.known, images, groups, strict=True):
            told_of = f"{row.strategy}, {row.fraction:g} %, fold {number}<br>{measure} {value:.3f}{of_images(n, of)}"
            found.append((x, value, told_of))
    return pd.DataFrame(found, columns=["x", "value", "told"])


def of_images(images: Any, groups: Any) -> str:
    """`, n = 34 test images of 8 groups`; "" of none."""
    if not images:
        return ""
    by = f" of {groups:,.0f} group{'s' if groups > 1 else ''}" if groups else ""
    return f", n = {images:,.0f} test image{'s' if images > 1 else ''}{by}"


def interval_note(table: pd.DataFrame) -> str:
    """Where the intervals of our means come from, or why there is none; "" where none of ours are there."""
    ours = table[table["source"] == "ours"]
    if not len(ours):
        return ""
    most = int(ours["folds"].max())
    count = f"{NUMBERS[most] if most < len(NUMBERS) else most} fold{'s' if most > 1 else ''}"
    if most <= 2:
        value = "two values" if most == 2 else "one value"
        return f"{count}: no interval, because {value} cannot say where the next would lie."
    if ours["low"].notna().any():
        return f"{count}; 95 % intervals of our means: test images drawn anew, by group where they have groups (hover)."
    return f"{count}: no interval, because too few test images or groups are there to draw them anew."
