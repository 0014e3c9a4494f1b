"""A study's answer in the terminal: Table II, and the paired differences that the papers ask about."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from dashboard.figures.cells import cell_table, fold_table, trial_table
from dashboard.figures.rows import rows as each
from engine.significance import Comparison, compare, paired_differences
from engine.store import Store

PAIRS = (("contracting", "expanding"), ("all except block 5", "block 5"))
"""Shallow minus deep in both schemes (Amiri et al. 2020, III-C)."""
NOTHING_PLANNED = "nothing is planned yet; a run plans its trials once data and start weights are ready"


def cells(store: Store, study: str, measure: str = "dice") -> pd.DataFrame:
    """A row per cell of the study's Table II, as `dashboard.figures.cells.cell_table` makes it."""
    plan = store.plan(study)
    trials = trial_table(plan, store.attempts(study))
    return cell_table(fold_table(trials, measure), plan, store.facts(study)["data"]["name"])


def differences(
    store: Store, study: str, fraction: float, first: str, second: str
) -> tuple[pd.DataFrame, Comparison] | None:
    """Mean paired Dice difference of each fold, and over all folds with its note.

    Test images without a structure are left out: background alone scores 1 there, whatever was learned. None
    where no fold has converged trainings of both strategies and an image with a structure.
    """
    plan = store.plan(study)
    trials = trial_table(plan, store.attempts(study))
    chosen = trials[(trials["fraction"] == fraction) & trials["converged"] & trials["strategy"].isin((first, second))]
    images = store.test_images(study, list(chosen["id"])).merge(chosen[["id", "number", "strategy", "fold"]])
    images = images[~images["empty_truth"].astype(bool)]
    folds = [set(images.loc[images["strategy"] == name, "fold"]) for name in (first, second)]
    if not set.intersection(*folds):
        return None
    return paired_differences(images, first, second), compare(images, first, second)


def false_positives(store: Store, study: str) -> pd.DataFrame:
    """A row per cell whose folds are all done: fraction, strategy, false_positive_rate, normal_images.

    The rate is the part of the normal test images on which a trained network sees something, over its folds and
    seeds; empty where there are no normal images.
    """
    plan, attempts = store.plan(study), store.attempts(study)
    trials = trial_table(plan, attempts)
    trials = trials[trials.groupby(["fraction", "strategy"])["closed"].transform("all") & trials["converged"]]
    rates = attempts[["id", "number", "normal_images", "false_positive_rate"]].dropna()
    rates = trials[["id", "number", "fraction", "strategy"]].merge(rates[rates["normal_images"] > 0])
    rates = rates.assign(false_positives=rates["false_positive_rate"] * rates["normal_images"])
    cells = rates.groupby(["fraction", "strategy"], sort=False, as_index=False)[["false_positives", "normal_images"]]
    found = cells.sum()
    found["false_positive_rate"] = found["false_positives"] / found["normal_images"]
    return found[["fraction", "strategy", "false_positive_rate", "normal_images"]]


def run_state(progress: Mapping[str, Any]) -> str:
    """The state of a study's last run in a word; a run that says it is at work but is gone was interrupted."""
    state = str(progress.get("state", "begun"))
    return "interrupted" if state in ("preparing", "running") and not progress["alive"] else state


def print_report(store: Store, study: str, console: Console) -> None:
    """Print the table of means and the paired differences; cells whose folds are not complete stay open."""
    if store.plan(study).empty:
        console.print(f"{study}: {NOTHING_PLANNED}", highlight=False, soft_wrap=True)
        return
    facts, table = store.facts(study), cells(store, study)
    console.print(f"[bold]{facts['question'] or study}[/bold]", highlight=False)
    console.print(facts["data"]["provenance"], highlight=False)
    if facts["start_weights"]:
        console.print(f"Start weights: {facts['start_weights']['description']}", highlight=False)
    console.print(_means(table))
    normal = false_positives(store, study)
    if len(normal):
        console.print(_false_positives(normal))
    notes: dict[str, None] = {}
    shown = table[table["complete"] & table["mean"].notna()]
    for fraction in sorted(shown["fraction"].unique(), reverse=True):
        done = set(shown.loc[shown["fraction"] == fraction, "strategy"])
        for first, second in PAIRS:
            if {first, second} <= done:
                notes[_print_difference(store, study, fraction, first, second, console)] = None
    for note in notes:
        console.print(note, highlight=False, style="dim")


def _means(table: pd.DataFrame) -> Table:
    cut = sorted({text for text in table["cut"] if text})
    collapsed = table.loc[table["collapsed"] > 0]
    remarks = [f"{'; '.join(cut)} ({(table['cut'] != '').sum()} of {len(table)} cells)"] if cut else []
    remarks += [f"{row.strategy} {row.fraction:g} %: {row.collapsed} collapsed" for row in collapsed.itertuples()]
    drawn = Table(title="Dice on test images, mean (sd) over folds", caption="\n".join(remarks) or None)
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


def _false_positives(normal: pd.DataFrame) -> Table:
    drawn = Table(title="False positives: normal test images on which something is seen")
    drawn.add_column("strategy")
    fractions = sorted(normal["fraction"].unique(), reverse=True)
    for fraction in fractions:
        drawn.add_column(f"{fraction:g} %", justify="right")
    for strategy, rows in normal.groupby("strategy", sort=False):
        texts = {
            row.fraction: f"{100 * row.false_positive_rate:.0f} % of {row.normal_images:.0f}" for row in each(rows)
        }
        drawn.add_row(str(strategy), *(texts.get(fraction, "–") for fraction in fractions))
    return drawn


def _print_difference(store: Store, study: str, fraction: float, first: str, second: str, console: Console) -> str:
    """Prints one comparison; gives the note that belongs under all of them."""
    found = differences(store, study, fraction, first, second)
    if found is None:
        return f"{fraction:g} %: {first} minus {second}: no test image with a structure that both were measured on"
    by_fold, over_all = found
    folds = ", ".join(f"fold {row.fold}: {row.mean_difference:+.3f}" for row in each(by_fold))
    interval = "" if over_all.low is None else f" [{over_all.low:+.3f}, {over_all.high:+.3f}]"
    console.print(
        f"{fraction:g} %: {first} minus {second}: {over_all.mean_difference:+.3f}{interval} Dice ({folds})",
        highlight=False,
    )
    return over_all.note
