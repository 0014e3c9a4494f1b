"""Table II as rows of cells with their marks, for HTML, LaTeX and the terminal alike."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dashboard.figures.measures import Measure
from dashboard.figures.repeats import HOW, ROW, with_repeats
from dashboard.figures.rows import parts
from dashboard.figures.table2 import FEWEST_COLOURED, Kind, parameter_rows, table2_table
from dashboard.report.colours import step
from dashboard.report.findings import Findings


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of the table as it is written."""

    mean: str
    """The mean, folds done of a cell that is not complete, or an en dash."""
    sd: str
    """In brackets; "" without one."""
    step: int | None
    """Colour from 0 (worst of its row) to `colours.STEPS` - 1 (best); None without one."""
    best: bool
    failed: bool
    """Some trainings failed to converge and are left out of the mean."""
    collapsed: bool
    not_inferior: bool
    recommended: bool
    known: bool
    """Whether it has a mean."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of Table II."""

    fraction: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Group:
    """The rows of a data set."""

    dataset: str
    published: bool
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Table II: strategies in columns, data sets and fractions in rows."""

    title: str
    """What is measured, with its unit."""
    strategies: tuple[str, ...]
    trainable: tuple[str, ...]
    """Trained parameters of each strategy; an en dash where nobody knows."""
    percent: tuple[str, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...]
    """What the marks mean, of those that occur."""

    @property
    def has_published(self) -> bool:
        """Whether published rows stand in it."""
        return any(group.published for group in self.groups)


def grid(
    findings: Findings,
    more: pd.DataFrame | None = None,
    *,
    measure: Measure | None = None,
    kind: Kind = "mean",
    fractions: Collection[float] = (),
) -> Grid:
    """Table II of a study with the rows `more` (published ones) below; of differences, `more` alone.

    Of the study's main measure where none is given; of that, what is recommended or not inferior is marked. Only the
    rows of `fractions` where some are given.
    """
    measure = measure or findings.main
    cells = more if kind == "difference" and more is not None else findings.cells_of(measure)
    chosen: set[tuple[str, float, str]] = set()
    if measure == findings.main and kind == "mean":
        cells = findings.marked_cells
        chosen = {
            (row.dataset, row.fraction, str(row.recommendation.strategy)) for row in findings.rows if row.recommendation
        }
    cells = with_repeats(cells, findings.repeats_of(measure)) if kind == "mean" else cells
    if kind == "mean" and more is not None and len(more):
        cells = pd.concat([cells, more], ignore_index=True)
    cells = cells[cells["fraction"].isin(fractions)] if fractions else cells
    table = table2_table(cells, measure=measure.name, kind=kind)
    above = parameter_rows(table)
    groups = []
    for dataset, part in parts(table, "dataset"):
        lines = tuple(
            Line(
                fraction=f"{fraction:g} %",
                cells=tuple(
                    _cell(row, measure, kind, (dataset, float(fraction), row["strategy"]) in chosen)
                    for row in own.to_dict("records")
                ),
            )
            for fraction, own in parts(part, "fraction")
        )
        source = part["source"].dropna()
        groups.append(Group(dataset=dataset, published=(source == "published").all().item(), lines=lines))
    unit = next((text for text in findings.cells["hd95_unit"] if text), "")
    return Grid(
        title=measure.title(unit),
        strategies=tuple(above["strategy"]),
        trainable=tuple(
            f"{n:,.0f}" if total > 0 else "–" for n, total in zip(above["trainable"], above["total"], strict=True)
        ),
        percent=tuple("–" if np.isnan(part) else percent(part) for part in above["percent"]),
        groups=tuple(groups),
        notes=_notes(findings, groups, measure, kind, bool(table["coloured"].all())),
    )


def percent(part: float) -> str:
    """`100 %`, `3.2 %`, `0.13 %`."""
    return f"{part:.0f} %" if part > 99.95 else f"{part:.1f} %" if part >= 1 else f"{part:.2g} %"


def _cell(row: dict[Any, Any], measure: Measure, kind: Kind, recommended: bool) -> Cell:
    known = bool(row["exists"]) and bool(row["complete"]) and not np.isnan(row["mean"])
    text, sd = "–", ""
    if known:
        text = measure.write(float(row["mean"]), sign=kind == "difference").replace("-", "−")
        sd = "" if np.isnan(row["sd"]) else f"({measure.write(float(row['sd']))})"
    elif row["exists"] and not row["complete"]:
        text = f"{row['folds_done']:.0f}/{row['folds']:.0f}"
    elif row["exists"] and row["failed"] and row["failed"] == row["trainings"]:
        text = "failed"
    return Cell(
        mean=text,
        sd=sd,
        step=step(float(row["level"])) if known and not np.isnan(row["level"]) else None,
        best=bool(row["best"]),
        failed=known and bool(row["failed"]),
        collapsed=known and bool(row["collapsed"]),
        not_inferior=known and row.get("not_inferior") is True,
        recommended=known and recommended,
        known=known,
    )


def _notes(findings: Findings, groups: list[Group], measure: Measure, kind: Kind, coloured: bool) -> tuple[str, ...]:
    every = [cell for group in groups for line in group.lines for cell in line.cells]
    if kind == "difference":
        return ("Ours minus published.",)
    way = "lowest" if measure.lower_is_better else "highest"
    said = [
        f"Mean (standard deviation) over folds. Bold: {way} of its row. Colours run from a row's worst to its best."
    ]
    if any(cell.failed for cell in every):
        said.append("†: some trainings failed to converge and are left out of the mean.")
    if any(group.dataset.endswith(ROW) for group in groups):
        said.append(f"{ROW.strip(' ·').capitalize()}: {HOW}.")
    if any(cell.collapsed for cell in every):
        said.append(f"‡: some trainings collapsed, predicting {measure.collapse}; they are in the mean.")
    if any(cell.not_inferior for cell in every):
        said.append(f"≈: not inferior to {findings.reference} within {findings.margin:g} {measure.main}.")
    if any(cell.recommended for cell in every):
        said.append("Framed: recommended.")
    if any("/" in cell.mean for cell in every):
        said.append("1/3: folds done; a cell shows its test value with its last fold.")
    if not coloured:
        said.append(f"A row is coloured once {FEWEST_COLOURED} of its cells are complete.")
    if any(group.published for group in groups):
        said.append("Published rows are for comparison, not a target; a mean that the text does not give is left out.")
    return tuple(said)
