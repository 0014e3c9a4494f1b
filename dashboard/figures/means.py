"""Means of complete cells as figures take them: over which folds, with which interval or why none, and in words."""

from typing import Any

import pandas as pd

from dashboard.figures.answer import NUMBERS

FIELDS = ["source", "dataset", "fraction", "strategy", "mean", "sd", "low", "high", "interval"]
FIELDS += ["folds", "trainings", "failed", "value_folds", "values"]


def means_table(cells: pd.DataFrame, *more: str) -> pd.DataFrame:
    """The complete cells with the columns of `FIELDS` and `more`; a published mean that is missing stays missing.

    `value_folds` is how many folds the mean is over, `values` are the folds' means where they are known. `low`, `high`
    (95 % interval) and `interval` (how it was made) are missing where the cells have none.
    """
    table = cells[cells["complete"].astype(bool)].reset_index(drop=True)
    for name in ("low", "high"):
        table[name] = table[name].astype(float) if name in table else float("nan")
    table["interval"] = texts(table, "interval")
    left = (table["folds"] - table["failed"]).where(table["trainings"] == table["folds"], table["folds"])
    return table.assign(value_folds=left)[[*FIELDS, *more]]


def texts(table: pd.DataFrame, column: str) -> list[str]:
    """The words of a column, "" where a row has none or the table lacks the column."""
    return [value if isinstance(value, str) else "" for value in table.get(column, [""] * len(table))]


def told(row: Any, measure: str) -> str:
    """A mean in words, for hovering: strategy and data, mean with sd and folds, interval, failed trainings."""
    lines = [f"<b>{row.strategy}</b> · {row.dataset} {row.fraction:g} %"]
    if pd.isna(row.mean):
        lines.append("no training converged" if row.failed else "the text of the paper does not give this value")
    else:
        spread = "" if pd.isna(row.sd) else f", sd {row.sd:.3f}"
        folds = f"{row.value_folds:.0f} fold{'s' if row.value_folds > 1 else ''}"
        lines.append(f"{measure} {row.mean:.3f}{spread}, over {folds}")
    if not pd.isna(row.low):
        lines.append(f"95 % interval {row.low:.3f} to {row.high:.3f}, {row.interval}")
    if row.failed:
        lines.append(f"{row.failed:.0f} of {row.trainings:.0f} trainings failed to converge, left out")
    lines += [again] if (again := getattr(row, "again", "")) else []
    return "<br>".join(lines)


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
