"""A study's answer in the terminal: what is recommended, means, paired differences; and Table II as in the paper."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dashboard.figures.palette import SCALES, Colours
from dashboard.figures.repeats import told
from dashboard.figures.rows import parts
from dashboard.figures.rows import rows as each
from dashboard.report.colours import step_colours
from dashboard.report.findings import NOTHING_PLANNED, Findings, Row, read_findings
from dashboard.report.grid import Cell, Grid
from engine.significance import Comparison, compare, paired_differences
from engine.store import Store

PAIRS = (("contracting", "expanding"), ("all except block 5", "block 5"))
"""Shallow minus deep in both schemes (Amiri et al. 2020, III-C)."""
PAIRS_OF_CLASSES = (("input layers", "output layers"), ("FC6-8", "FC8"), ("whole network", "from scratch"))
"""Of a classification: shallow minus deep (Pasdeloup et al. 2018), more of the output, transfer minus scratch."""
LONGEST_LABEL = 22
"""Characters of a data set's name in one line."""
INK = "#1f2933"
"""Of letters on a coloured cell."""


def differences(row: Row, first: str, second: str) -> tuple[pd.DataFrame, Comparison] | None:
    """Mean paired difference (Dice, or accuracy) of each fold that both share, and over all folds with its note.

    Test images without a structure are left out: background alone scores 1 there, whatever was learned. None
    where no fold has converged trainings of both strategies and an image with a structure.
    """
    images = row.images[row.images["strategy"].isin((first, second))]
    images = images[~images["empty_truth"].astype(bool)]
    folds = [set(images.loc[images["strategy"] == name, "fold"]) for name in (first, second)]
    if not set.intersection(*folds):
        return None
    return paired_differences(images, first, second), compare(images, first, second)


def false_positives(cells: pd.DataFrame) -> pd.DataFrame:
    """The complete cells with normal test images: dataset, fraction, strategy, false_positive_rate, normal_images.

    The rate is the part of the normal test images on which a trained network sees something, mean over folds.
    """
    known = cells[cells["complete"].astype(bool) & cells["false_positive_rate"].notna() & (cells["normal_images"] > 0)]
    return known[["dataset", "fraction", "strategy", "false_positive_rate", "normal_images"]].reset_index(drop=True)


def run_state(progress: Mapping[str, Any]) -> str:
    """The state of a study's last run in a word; a run that says it is at work but is gone was interrupted."""
    state = str(progress.get("state", "begun"))
    return "interrupted" if state in ("preparing", "running") and not progress["alive"] else state


def print_report(store: Store, study: str, console: Console) -> None:
    """Print the answer, the means and the paired differences; cells whose folds are not complete stay open."""
    if store.plan(study).empty:
        console.print(f"{study}: {NOTHING_PLANNED}", highlight=False, soft_wrap=True)
        return
    findings = read_findings(store, study)
    facts = findings.facts
    console.print(Text(str(facts["question"] or study), style="bold"))
    console.print(Text(str(facts["data"]["provenance"])))
    for start in facts.get("start_weights") or []:
        name = f" {start['name']}" if len(facts["start_weights"]) > 1 else ""
        console.print(Text(f"Start weights{name}: {start['description']}"))
    for line in findings.advice:
        console.print(_bold(line), highlight=False)
    for dataset, cells in parts(findings.cells, "dataset"):
        several = findings.cells["dataset"].nunique() > 1
        console.print(_means(cells, str(dataset) if several else "", findings.main.name))
    for line in told(findings.repeats_of(findings.main), findings.main):
        console.print(Text(line))
    normal = false_positives(findings.cells)
    if len(normal):
        console.print(_false_positives(normal))
    notes = dict.fromkeys(_print_differences(findings, console))
    for note in notes:
        console.print(note, highlight=False, style="dim")


def print_table(table: Grid, console: Console, colours: Colours = "red-green") -> None:
    """Print Table II, strategies in columns; what does not fit side by side follows below."""
    palette = step_colours(SCALES[colours, False])
    label = min(LONGEST_LABEL, max(len("parameters"), *(len(group.dataset) for group in table.groups)))
    for columns in _bands(table, console.width - label):
        drawn = Table(title=f"{table.title} on test images", box=box.SIMPLE_HEAD, show_edge=False)
        drawn.add_column("", justify="right", width=label)
        for place in columns:
            widest = _widest(table, place)
            drawn.add_column(escape(table.strategies[place]), justify="center", vertical="bottom", min_width=widest)
        for name, counts in (("parameters", table.trainable), ("of all", table.percent)):
            drawn.add_row(name, *(counts[place] for place in columns), style="dim", end_section=name == "of all")
        for group in table.groups:
            drawn.add_row(Text(group.dataset, style="bold"))
            for line in group.lines:
                drawn.add_row(line.fraction, *(_shown(line.cells[place], palette) for place in columns))
        console.print(drawn)
    notes = " ".join(table.notes).replace("Framed:", "Underlined:")
    console.print(Text(notes, style="dim"))


def _bands(table: Grid, width: int) -> Iterator[list[int]]:
    """The columns that fit into `width` characters together, band by band."""
    band: list[int] = []
    used = 0
    for place in range(len(table.strategies)):
        own = _widest(table, place) + 3  # with the space around it
        if band and used + own > width - 5:
            yield band
            band, used = [], 0
        band.append(place)
        used += own
    yield band


def _widest(table: Grid, place: int) -> int:
    words = table.strategies[place].split(" ")
    return max(*(len(word) for word in words), len(table.trainable[place]), len("(0.000)"))


def _shown(cell: Cell, palette: list[str]) -> Text:
    marks = f"{'†' * cell.failed}{'‡' * cell.collapsed}{'≈' * cell.not_inferior}"
    style = "bold" if cell.best else ""
    style += f" {INK} on {palette[cell.step]}" if cell.step is not None else ""
    style += " underline" if cell.recommended else ""
    return Text(f"{cell.mean}{marks}\n{cell.sd}" if cell.sd else f"{cell.mean}{marks}", style=style.strip())


def _bold(markdown: str) -> str:
    pieces = escape(markdown).split("**")
    return "".join(f"[bold]{piece}[/bold]" if place % 2 else piece for place, piece in enumerate(pieces))


def _means(table: pd.DataFrame, dataset: str, measure: str) -> Table:
    cut = sorted({text for text in table["cut"] if text})
    collapsed = table.loc[table["collapsed"] > 0]
    remarks = [f"{'; '.join(cut)} ({(table['cut'] != '').sum()} of {len(table)} cells)"] if cut else []
    remarks += [f"{row.strategy} {row.fraction:g} %: {row.collapsed} collapsed" for row in each(collapsed)]
    title = f"{measure} on test images, mean (sd) over folds{f': {dataset}' if dataset else ''}"
    drawn = Table(title=escape(title), caption=escape("\n".join(remarks)) or None)
    drawn.add_column("strategy")
    drawn.add_column("parameters", justify="right")
    fractions = sorted(table["fraction"].unique(), reverse=True)
    best = table.groupby("fraction")["mean"].max()
    for fraction in fractions:
        drawn.add_column(f"{fraction:g} %", justify="right")
    for strategy, rows in parts(table, "strategy"):
        by_fraction = rows.set_index("fraction")
        texts = [
            _cell(by_fraction.loc[fraction], best[fraction]) if fraction in by_fraction.index else "–"
            for fraction in fractions
        ]
        trainable = int(rows["trainable"].iloc[0])
        drawn.add_row(escape(str(strategy)), f"{trainable:,}" if trainable else "–", *texts)
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
    drawn = Table(title="False positives: part of the normal test images on which something is seen, mean over folds")
    drawn.add_column("strategy")
    columns = list(dict.fromkeys(zip(normal["dataset"], normal["fraction"], strict=True)))
    for dataset, fraction in columns:
        several = normal["dataset"].nunique() > 1
        drawn.add_column(escape(f"{dataset}, {fraction:g} %" if several else f"{fraction:g} %"), justify="right")
    for strategy, rows in parts(normal, "strategy"):
        texts = {
            (row.dataset, row.fraction): f"{100 * row.false_positive_rate:.0f} % ({row.normal_images:.0f} images)"
            for row in each(rows)
        }
        drawn.add_row(escape(str(strategy)), *(texts.get(column, "–") for column in columns))
    return drawn


def _print_differences(findings: Findings, console: Console) -> Iterator[str]:
    """Prints the comparisons of each row; gives the notes that belong under all of them."""
    several = findings.cells["dataset"].nunique() > 1
    for row in findings.rows:
        place = row.label if several else f"{row.fraction:g} %"
        done = set(row.cells.loc[row.cells["complete"].astype(bool) & row.cells["mean"].notna(), "strategy"])
        for first, second in PAIRS if findings.main.task == "segmentation" else PAIRS_OF_CLASSES:
            if not {first, second} <= done:
                continue
            found = differences(row, first, second)
            if found is None:
                which = "with a structure " if findings.main.task == "segmentation" else ""
                yield f"{place}: {first} minus {second}: no test image {which}that both were measured on"
                continue
            by_fold, over_all = found
            folds = ", ".join(f"fold {one.fold}: {one.mean_difference:+.3f}" for one in each(by_fold))
            interval = "" if over_all.low is None else f" [{over_all.low:+.3f}, {over_all.high:+.3f}]"
            by = f"{over_all.mean_difference:+.3f}{interval} {findings.main.main}" + (f" ({folds})" if folds else "")
            console.print(Text(f"{place}: {first} minus {second}: {by}"))
            yield over_all.note
