"""A study's answer in the terminal: Table II, and the paired differences that the papers ask about."""

import pandas as pd
from rich.console import Console
from rich.table import Table

from dashboard.figures.cells import cell_table, fold_table, trial_table
from engine.significance import Comparison, compare, paired_differences
from engine.store import Store

PAIRS = (("contracting", "expanding"), ("all except block 5", "block 5"))
"""Shallow minus deep in both schemes (Amiri et al. 2020, III-C)."""


def cells(store: Store, study: str, measure: str = "dice") -> pd.DataFrame:
    """A row per cell of the study's Table II, as `dashboard.figures.cells.cell_table` makes it."""
    plan = store.plan(study)
    trials = trial_table(plan, store.attempts(study))
    return cell_table(fold_table(trials, measure), plan, store.facts(study)["data"]["name"])


def differences(store: Store, study: str, fraction: float, first: str, second: str) -> tuple[pd.DataFrame, Comparison]:
    """Mean paired Dice difference of each fold, and over all folds with its note.

    Raises DataError where one of the two strategies has no test images at this fraction.
    """
    plan = store.plan(study)
    trials = trial_table(plan, store.attempts(study))
    chosen = trials[(trials["fraction"] == fraction) & trials["converged"] & trials["strategy"].isin((first, second))]
    images = store.test_images(study, list(chosen["id"])).merge(chosen[["id", "number", "strategy", "fold"]])
    return paired_differences(images, first, second), compare(images, first, second)


def print_report(store: Store, study: str, console: Console) -> None:
    """Print the table of means and the paired differences; cells whose folds are not complete stay open."""
    if store.plan(study).empty:
        console.print(f"{study}: nothing is planned yet")
        return
    facts, table = store.facts(study), cells(store, study)
    console.print(f"[bold]{facts['question'] or study}[/bold]", highlight=False)
    console.print(facts["data"]["provenance"], highlight=False)
    if facts["start_weights"]:
        console.print(f"Start weights: {facts['start_weights']['description']}", highlight=False)
    console.print(_means(table))
    notes: dict[str, None] = {}
    for fraction in sorted(table["fraction"].unique(), reverse=True):
        done = set(table.loc[(table["fraction"] == fraction) & table["complete"], "strategy"])
        for first, second in PAIRS:
            if {first, second} <= done:
                notes[_print_difference(store, study, fraction, first, second, console)] = None
    for note in notes:
        console.print(note, highlight=False, style="dim")


def _means(table: pd.DataFrame) -> Table:
    drawn = Table(title="Dice on test images, mean (sd) over folds")
    drawn.add_column("strategy")
    drawn.add_column("parameters", justify="right")
    fractions = sorted(table["fraction"].unique(), reverse=True)
    best = table.groupby("fraction")["mean"].max()
    for fraction in fractions:
        drawn.add_column(f"{fraction:g} %", justify="right")
    for strategy, rows in table.groupby("strategy", sort=False):
        by_fraction = rows.set_index("fraction")
        texts = [
            _cell(by_fraction.loc[fraction], best[fraction]) if fraction in by_fraction.index else "–"
            for fraction in fractions
        ]
        drawn.add_row(str(strategy), f"{rows['trainable'].iloc[0]:,}", *texts)
    return drawn


def _cell(cell: pd.Series, best: float) -> str:
    if not cell["complete"]:
        return f"{cell['folds_done']}/{cell['folds']} folds"
    if pd.isna(cell["mean"]):
        return f"{cell['failed']} of {cell['trainings']} failed"
    text = f"{cell['mean']:.3f}" + ("" if pd.isna(cell["sd"]) else f" ({cell['sd']:.3f})")
    failed = f" {cell['failed']} failed" if cell["failed"] else ""
    return (f"[bold]{text}[/bold]" if cell["mean"] == best else text) + failed


def _print_difference(store: Store, study: str, fraction: float, first: str, second: str, console: Console) -> str:
    """Prints one comparison; gives the note that belongs under all of them."""
    by_fold, over_all = differences(store, study, fraction, first, second)
    folds = ", ".join(f"fold {row.fold}: {row.mean_difference:+.3f}" for row in by_fold.itertuples())
    interval = "" if over_all.low is None else f" [{over_all.low:+.3f}, {over_all.high:+.3f}]"
    console.print(
        f"{fraction:g} %: {first} minus {second}: {over_all.mean_difference:+.3f}{interval} Dice ({folds})",
        highlight=False,
    )
    return over_all.note
