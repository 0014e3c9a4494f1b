"""Failed folds that were trained again (`repeat_failed` of a study file): rows of their own below those of Table II.

A row's mean is over the folds that were trained again, and over no other. Nothing that ranks, tests or recommends
takes these rows: they are drawn, written and told of, and the cells that they belong to keep their failures.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dashboard.figures.cells import (
    CELL,
    CELL_COLUMNS,
    Rate,
    cell_table,
    fold_table,
    of_trainings,
    rates,
    trial_table,
)
from dashboard.figures.measures import Measure
from dashboard.figures.rows import parts, rows

SOURCE = "repeats"
"""In the place of `ours` or `published` in a table of cells."""
ROW = " · failed folds again"
"""Behind the data set's name, above these rows."""
HOW = (
    "failed folds trained again, what begins at random from other initial weights, what begins from start weights in "
    "another order of batches and with other dropout; means over these folds only, which are not ranked"
)
FOLD = ["start", "model", "width", "fraction", "strategy", "fold", "seed"]


def repeat_trials(
    plan: pd.DataFrame, attempts: pd.DataFrame, rate: Rate | None = None, seed: int | None = None
) -> pd.DataFrame:
    """A row per repeat, as `trial_table` makes them, with its number `repeat`; of folds that failed at this `rate`.

    Only in cells whose planned trainings are all closed: before that, a cell shows no test values either.
    """
    rate = rates(plan)[0] if rate is None and len(plan) else rate
    counted = trial_table(plan, attempts, rate, seed)
    again = of_trainings(plan if "repeat" in plan else plan.assign(repeat=0)).query("repeat > 0")
    found = [
        trial_table(part.assign(repeat=0), attempts, rate, seed).assign(repeat=number)
        for number, part in parts(again, "repeat")
    ]
    if not found:
        return counted[:0]
    done = counted.groupby(CELL)["closed"].transform("all").astype(bool)
    failed = counted[done & ~counted["converged"].astype(bool)]
    return pd.concat(found, ignore_index=True).drop(columns="network").merge(failed[[*FOLD, "network"]], on=FOLD)


def repeat_cells(
    trials: pd.DataFrame,
    plan: pd.DataFrame,
    dataset: str,
    *,
    measure: str = "dice",
    study: str = "",
    counts: Mapping[str, Mapping[str, int]] | None = None,
) -> pd.DataFrame:
    """A row per cell with failed folds that were trained again, as `cell_table` makes them of `repeat_trials`.

    `folds` are those that were trained again, `trainings` how often in all, `failed` how many of these failed as well.
    """
    if not len(trials):
        return pd.DataFrame(columns=CELL_COLUMNS)
    found = cell_table(fold_table(trials, measure), plan, dataset, measure=measure, study=study, counts=counts)
    return found.assign(source=SOURCE, dataset=found["dataset"] + ROW)


def with_repeats(cells: pd.DataFrame, repeats: pd.DataFrame) -> pd.DataFrame:
    """The cells with those of the repeats below them, whose test images are not counted."""
    return pd.concat([cells, repeats], ignore_index=True) if len(repeats) else cells


def told(repeats: pd.DataFrame, measure: Measure) -> list[str]:
    """A line per row of repeats: `SUS, from scratch, 80 %: 2 failed folds trained again, 1 converged, Dice 0.812`."""
    return [f"{row.dataset.removesuffix(ROW)}, {row.strategy}, {row.fraction:g} %: {_outcome(row, measure)}"
            for row in rows(repeats)]  # fmt: skip


def beside(table: pd.DataFrame, repeats: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The rows of a figure with what became of their failed folds in `again`; "" where none was trained again."""
    of = {(row.dataset.removesuffix(ROW), row.fraction, row.strategy): _outcome(row, measure) for row in rows(repeats)}
    places = zip(table["source"], table["dataset"], table["fraction"], table["strategy"], strict=True)
    return table.assign(again=[of.get((*place,), "") if source == "ours" else "" for source, *place in places])


def _outcome(row: Any, measure: Measure) -> str:
    what = f"{row.folds} failed fold{'s' * (row.folds > 1)} trained again"
    if not row.complete:
        return f"{what}, {row.folds_done} done"
    outcome = f"{row.trainings - row.failed} of {row.trainings} trainings converged"
    if pd.isna(row.mean):
        return f"{what}, {outcome}"
    good = sum(not pd.isna(value) for value in row.values)
    mean = f"{measure.said} {measure.write(float(row.mean))} over {good} fold{'s' * (good > 1)}"
    return f"{what}, {outcome}, {mean}"
