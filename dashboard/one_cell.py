"""One cell of Table II with all that a page says of it, kept until the study changes.

A part of the cached door to the engine; its tables are shared and must not be changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pandas as pd

from dashboard import data, kept
from dashboard.figures.answer import false_positives
from dashboard.figures.cells import Rate, of_start
from dashboard.figures.curves import curves_table
from dashboard.figures.folds import folds_table
from dashboard.figures.measures import measure_of
from dashboard.figures.rows import rows
from dashboard.one_version import one_version
from dashboard.places import store_root
from engine.errors import DataError

SHOWN = 4
"""Worst test images shown, and best ones."""


@dataclass(frozen=True, kw_only=True)
class OneCell:
    """A cell that is planned."""

    trials: pd.DataFrame
    """A row per planned training that counts, as `data.trials` has them."""
    folds: pd.DataFrame
    """As `figures.folds.folds_table` makes it."""
    unit: str
    """Unit of its 95 % Hausdorff distances, "" where there is none."""
    curves: pd.DataFrame
    """As `figures.curves.curves_table` makes it."""
    epochs: str
    """How many epochs its trainings ran, in words."""
    false_positives: tuple[str, ...]
    """What is said of test images without the structure, once all trials are done."""
    is_done: bool


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A test image with truth and prediction outlined."""

    end: str
    """worst, best or normal."""
    picture: bytes
    """PNG."""
    caption: str
    """Its value, name, group and fold."""
    alt: str


class Place(NamedTuple):
    """Where a cell stands in the table."""

    fraction: float
    strategy: str
    start: str
    network: str

    @classmethod
    def of(cls, chosen: Mapping[str, str]) -> "Place":
        """The place whose percent, strategy, start and network are `chosen`."""
        fraction = float(chosen["percent"].removesuffix(" %"))
        return cls(fraction, chosen["strategy"], chosen["start"], chosen["network"])


def one_cell(study: str, chosen: Mapping[str, str], rate: Rate, measure: str, seed: int | None) -> OneCell | None:
    """The cell whose percent, strategy, start and network are `chosen`; None where the study has no such cell."""
    return _one_cell(store_root(), study, data.stamp(study), Place.of(chosen), rate, measure, seed)


def tiles(study: str, chosen: Mapping[str, str], rate: Rate, measure: str, seed: int | None) -> list[Tile]:
    """The cell's worst and best test images, as `figures.outlines.extremes_table` orders them.

    Raises DataError where the study's images are no longer in the cache.
    """
    return _tiles(store_root(), study, data.stamp(study), Place.of(chosen), rate, measure, seed)


@one_version(64)
def _one_cell(
    root: str, study: str, version: str, place: Place, rate: Rate, measure: str, seed: int | None
) -> OneCell | None:
    def row(table: pd.DataFrame) -> pd.DataFrame:
        found = of_start(table, place.start)
        return found[(found["network"] == place.network) & (found["fraction"] == place.fraction)]

    trials = row(kept.trials(root, study, version, rate, seed))
    trials = trials[trials["strategy"] == place.strategy]
    if not len(trials):
        return None
    by_fold, cells = (table(root, study, version, rate, measure, seed) for table in (kept.folds, kept.cells))
    reference = str(kept.facts(root, study, version).get("reference") or "whole network")
    curves = curves_table(data.epochs(study, trials), trials)
    is_done, cells = bool(trials["closed"].all()), row(cells)
    told = [false_positives(cell) for cell in rows(cells[cells["strategy"] == place.strategy])] if is_done else []
    return OneCell(
        trials=trials,
        folds=folds_table(row(by_fold), place.fraction, place.strategy, reference),
        unit=next((unit for unit in by_fold["hd95_unit"] if unit), ""),
        curves=curves,
        epochs=_epochs(curves),
        false_positives=tuple(f"{line[:1].upper()}{line[1:]}" for line in told if line),
        is_done=is_done,
    )


def _epochs(curves: pd.DataFrame) -> str:
    ran = curves.groupby("id")["epoch"].max()
    if not len(ran):
        return "none yet"
    return f"{ran.min()} epochs" if ran.min() == ran.max() else f"{ran.min()} to {ran.max()} epochs"


@one_version(64)
def _tiles(root: str, study: str, version: str, place: Place, rate: Rate, measure: str, seed: int | None) -> list[Tile]:
    cell = _one_cell(root, study, version, place, rate, measure, seed)
    pictures = data.pictures(study, cell.trials, SHOWN, measure) if cell is not None else []
    if cell is None or pictures is None:
        raise DataError("the study's images are no longer in the cache: run the study again to read them anew")
    shown = data.extremes(study, cell.trials, SHOWN, measure)
    column = measure if measure in shown else "dice"
    return [
        Tile(
            end=row.end,
            picture=pictures[row.Index],
            caption=f"**{_found(row, column)}** · {_where(row)}",
            alt=f"{row.image}, truth and prediction",
        )
        for row in rows(shown)
    ]


def _found(row: Any, column: str) -> str:
    value = getattr(row, column)
    if row.end == "normal":
        return f"normal, {row.predicted_pixels:,} pixels predicted"
    return f"{measure_of(column).name} " + ("undefined" if pd.isna(value) else f"{value:.2f}")


def _where(row: Any) -> str:
    group = f" · {row.group}" if row.group else ""
    return f"{PurePosixPath(row.image).name}{group} · fold {row.fold}"
