"""The tables of a report as rows of text, ready to be set in HTML."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboard.figures.measures import MEASURES, measures_of
from dashboard.figures.rows import parts, rows
from dashboard.figures.shared_folds import OWN
from dashboard.figures.table1 import of_study
from dashboard.report.comparisons import against_reference, family, new_folds, shallow_and_deep
from dashboard.report.findings import Findings
from dashboard.report.words import interval, power, probability, short, smallest, value
from engine.significance import FEWEST_FOLDS

NO_TEST = f"p (Holm): {OWN}, so folds cannot be paired: no test."


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table with its heading."""

    title: str
    columns: tuple[str, ...]
    parts: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    """Name of a part of the table ("" without one), and its rows; the first entry of a row is its head."""
    notes: tuple[str, ...] = ()


def table1(findings: Findings) -> Sheet:
    """Images in training, validation and test sets."""
    table = of_study(findings.facts)
    note = str(findings.facts["data"].get("split_note") or "")
    lines = tuple(tuple(str(entry) for entry in row) for row in table.itertuples(index=False))
    return Sheet(
        title="Images in each set",
        columns=tuple(str(name) for name in table.columns),
        parts=(("", lines),) if lines else (),
        notes=(f"{note[:1].upper()}{note[1:]}.",) if note else (),
    )


def other_measures(findings: Findings) -> Sheet:
    """The main measure with its interval, the others of the task, cost and rates of every complete cell."""
    main = findings.main.name
    tables = {name: findings.cells_of(measure) for name, measure in measures_of(findings.main.task).items()}
    tables.pop(main)
    tables = {name: table for name, table in tables.items() if table["mean"].notna().any()}
    unit = ", ".join(sorted({text for text in findings.cells["hd95_unit"] if text}))
    kept = bool(findings.cells["kept"].notna().any())
    several = findings.cells["rates"].map(len).max() > 1 or findings.cells["rates"].astype(str).nunique() > 1
    known = bool(findings.marked_cells["low"].notna().any())
    columns = [
        "strategy",
        main,
        *(["95 % interval"] if known else []),
        *(MEASURES[name].title(unit) for name in tables),
        "minutes",
        "MB trained",
    ]
    columns += [*([f"{main} kept"] if kept else []), *(["learning rates"] if several else [])]

    def line(place: int, cell: Any) -> tuple[str, ...]:
        shown = [value(cell.mean), *([interval(cell.low, cell.high, sign=False)] if known else [])]
        shown += [MEASURES[name].write(float(table["mean"].iloc[place])) or "–" for name, table in tables.items()]
        shown += [short(cell.minutes), short(cell.megabytes)]
        shown += [value(cell.kept)] if kept else []
        shown += [", ".join(power(rate) for rate in cell.rates)] if several else []
        return (str(cell.strategy), *shown)

    cells = findings.marked_cells.reset_index(drop=True)
    made = []
    for (dataset, fraction), part in parts(cells[cells["complete"].astype(bool)], ["dataset", "fraction"]):
        made.append((f"{dataset}, {fraction:g} %", tuple(line(int(cell.Index), cell) for cell in rows(part))))
    notes = ["Intervals: bootstrap over groups of test images, or images where no groups are known."] if known else []
    notes += ["Means over folds; minutes are of one training, on the machine named below."]
    notes += [f"{main} kept: on the start weights' own held-out images, after fine-tuning."] if kept else []
    if (undefined := int(cells["hd95_undefined"].sum())) and "HD95" in tables:
        notes.append(f"HD95 is undefined for {undefined:,} empty predictions, which are counted and not averaged.")
    return Sheet(
        title="Intervals, other measures and cost", columns=tuple(columns), parts=tuple(made), notes=tuple(notes)
    )


def pretrained(findings: Findings) -> Sheet:
    """The start weights as they are, on the same folds."""
    lines = tuple(
        (row.start or "start weights", f"{value(row.mean)} ({value(row.sd)})", f"{row.folds_done}/{row.folds}")
        for row in rows(findings.pretrained)
        if row.complete
    )
    return Sheet(
        title="Start weights without fine-tuning",
        columns=("start weights", f"{findings.main.name}, mean (sd)", "folds"),
        parts=(("", lines),) if lines else (),
    )


def reference_sheet(findings: Findings) -> Sheet:
    """Every strategy against the reference."""
    table, few = against_reference(findings), findings.ran < FEWEST_FOLDS
    title = f"Against {findings.reference}: paired difference of {findings.main.main} per test image"
    if few:
        plain = ("strategy", "difference", "images", "folds")
        return _sheet(table, title, plain, lambda row: (str(row.strategy), *_plain(row)))

    def line(row: Any) -> tuple[str, ...]:
        bound = value(row.bound) + (" ✓" if row.within_margin is True else "")
        return (
            str(row.strategy), value(row.difference, sign=True), interval(row.low, row.high),
            interval(row.simultaneous_low, row.simultaneous_high), bound, smallest(row.smallest_difference),
            probability(row.p_holm), f"{row.images:,}", str(row.folds),
        )  # fmt: skip

    columns = (
        "strategy",
        "difference",
        "95 % interval",
        "95 % interval, all at once",
        f"loss at most (✓: within {findings.margin:g})",
        "smallest loss it could see",
        "p (Holm)",
        "images",
        "folds",
    )
    said = NO_TEST if new_folds(findings) else f"p: {family(findings)}."
    notes = [
        "Loss at most: one-sided 95 % bound of the loss against the reference, corrected for the number of cheaper "
        "strategies. Smallest loss: what the study would have found with 80 % power at the level of that bound. "
        "A difference that is not significant is not a proof of equality.",
        said,
    ]
    return _sheet(table, title, columns, line, notes)


def shallow_sheet(findings: Findings) -> Sheet:
    """Shallow against deep strategies, or other pairs, with the test that the papers used beside it."""
    table, few = shallow_and_deep(findings), findings.ran < FEWEST_FOLDS
    title = f"{_pairs_title(findings)}: paired difference of {findings.main.main} per test image"
    if few:
        plain = ("pair", "difference", "images", "folds")
        return _sheet(table, title, plain, lambda row: (f"{row.first} − {row.second}", *_plain(row)))

    def line(row: Any) -> tuple[str, ...]:
        return (
            f"{row.first} − {row.second}", value(row.difference, sign=True), interval(row.low, row.high),
            probability(row.p_holm), probability(row.p_tukey), f"{row.images:,}", str(row.folds),
        )  # fmt: skip

    columns = ("pair", "difference", "95 % interval", "p (Holm)", "p (Tukey, as published)", "images", "folds")
    own = "p (Holm): corrected resampled t over folds, Holm over this table."
    notes = [
        f"{NO_TEST if new_folds(findings) else own} p (Tukey): over folds as {_paper(findings)}; folds share "
        "training images, so it is too small."
    ]
    return _sheet(table, title, columns, line, notes)


def _paper(findings: Findings) -> str:
    return "the paper reports it" if findings.main.task == "segmentation" else "published"


def _pairs_title(findings: Findings) -> str:
    return "Shallow minus deep" if findings.main.task == "segmentation" else "Pairs of strategies, first minus second"


def _plain(row: Any) -> tuple[str, str, str]:
    return value(row.difference, sign=True), f"{row.images:,}", str(row.folds)


def _sheet(
    table: pd.DataFrame,
    title: str,
    columns: tuple[str, ...],
    line: Callable[[Any], tuple[str, ...]],
    notes: Sequence[str] = (),
) -> Sheet:
    made = tuple(_parts(table, line))
    said = dict.fromkeys(str(note) for note in table["note"])
    return Sheet(
        title=title, columns=columns, parts=made, notes=(*[f"{note}." for note in said], *notes) if made else ()
    )


def _parts(
    table: pd.DataFrame, line: Callable[[Any], tuple[str, ...]]
) -> Iterator[tuple[str, tuple[tuple[str, ...], ...]]]:
    for (dataset, fraction), part in parts(table, ["dataset", "fraction"]):
        yield f"{dataset}, {fraction:g} %", tuple(line(row) for row in rows(part))
