"""Tables that are kept behind `dashboard.data`: with the store's listing, or with ids of attempts, which never change.

Files of attempts never change either, so each is read once. Tables are shared, not copied: nothing here may change
what it is given, and `dashboard.data` hands out copies.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.figures import image_rows, matters
from dashboard.figures.answer import advice as advice_of
from dashboard.figures.answer import answer as answer_of
from dashboard.figures.answer import provenance as provenance_of
from dashboard.figures.answer import told_in
from dashboard.figures.cells import CELL, Choices, Rate, cell_table, fold_table, in_rows, trial_table
from dashboard.figures.cells import choices as choices_of
from dashboard.figures.comparison import published_cells
from dashboard.figures.frames import frames_table
from dashboard.figures.intervals import INTERVAL, fold_counts, mean_intervals, with_fold_counts
from dashboard.figures.measures import MAIN, main_of, measure_of, task_of
from dashboard.figures.minutes import every_minutes_table, machine_name, minutes_table
from dashboard.figures.outlines import extremes_table
from dashboard.figures.repeats import repeat_cells, repeat_trials
from dashboard.figures.rows import parts
from dashboard.figures.shared_folds import with_shared_folds
from dashboard.figures.structures import one_each, tile, unpacked
from dashboard.figures.table1 import sizes_table
from dashboard.one_version import one_version
from dashboard.places import cache_root
from dashboard.png import png
from engine import published as paper
from engine import significance
from engine.datasets.cached import load_cached
from engine.datasets.dataset import Dataset
from engine.errors import DataError
from engine.significance import Recommendation
from engine.store import FLAT, Known, Store
from engine.trial import CLOSED, Attempt

RESAMPLES = 2000
"""Resamples of an interval on hover, which is told to two or three digits; the recommendation takes more."""
STATISTICS = 512
"""Rows of Table II whose statistics are kept."""
PICTURES = 96
"""Test images that are kept outlined, as PNG: less than pixels, and a page need not encode them at every drawing."""
MEASURED = tuple(name for name in FLAT if name in Attempt.__dataclass_fields__ and name != "number")
"""Columns of attempts that a plan does not have."""


@st.cache_resource(max_entries=16, show_spinner=False)
def known(root: str, study: str, part: str) -> Known:
    """Files that were read before."""
    return {}


@one_version(16)
def plan(root: str, study: str, version: str) -> pd.DataFrame:
    return Store.at(root).plan(study)


@one_version(16)
def facts(root: str, study: str, version: str) -> dict[str, Any]:
    return Store.at(root).facts(study)


@one_version(16)
def provenance(root: str, study: str, version: str) -> str:
    return provenance_of(facts(root, study, version), plan(root, study, version))


@one_version(16)
def choices(root: str, study: str, version: str) -> Choices:
    return choices_of(plan(root, study, version))


@one_version(16)
def _read(root: str, study: str, version: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Planned attempts, and why a file cannot be read: both at once, since what was read before may be forgotten."""
    files = known(root, study, "attempts")
    found = Store.at(root).attempts(study, MEASURED, known=files)
    found = found[found["id"].isin(plan(root, study, version)["id"])].reset_index(drop=True)
    return found, damage(files)


def attempts(root: str, study: str, version: str) -> pd.DataFrame:
    return _read(root, study, version)[0]


def damage(files: Known) -> dict[str, str]:
    """Why each damaged file cannot be read, by its name."""
    return {entry.name: rows.damage for entry, rows in files.items() if rows.damage}


def damaged(root: str, study: str, version: str) -> dict[str, str]:
    """The damage that reading attempts and test images has met so far."""
    return {**_read(root, study, version)[1], **damage(known(root, study, "test images"))}


@one_version(4)
def images(root: str, study: str, version: str) -> pd.DataFrame:
    columns = image_rows.fields_of(task_of(facts(root, study, version)))
    return Store.at(root).test_images(study, columns=columns, known=known(root, study, "test images"))


@one_version(32)
def trials(root: str, study: str, version: str, rate: Rate, seed: int | None) -> pd.DataFrame:
    return trial_table(plan(root, study, version), attempts(root, study, version), rate, seed)


@one_version(64)
def folds(root: str, study: str, version: str, rate: Rate, measure: str, seed: int | None) -> pd.DataFrame:
    return fold_table(trials(root, study, version, rate, seed), measure)


@one_version(64)
def cells(root: str, study: str, version: str, rate: Rate, measure: str, seed: int | None) -> pd.DataFrame:
    told = facts(root, study, version)
    table = cell_table(
        folds(root, study, version, rate, measure, seed),
        plan(root, study, version),
        told["data"]["name"],
        measure=measure,
        study=study,
        counts=told.get("parameters"),
    )
    return with_shared_folds(table, told)


@one_version(16)
def repeats(root: str, study: str, version: str, rate: Rate, measure: str, seed: int | None) -> pd.DataFrame:
    planned, told = plan(root, study, version), facts(root, study, version)
    trials = repeat_trials(planned, attempts(root, study, version), rate, seed)
    counts, name = told.get("parameters"), told["data"]["name"]
    table = repeat_cells(trials, planned, name, measure=measure, study=study, counts=counts)
    return with_shared_folds(table, told)


@one_version(4)
def test_table(root: str, study: str, version: str, rate: Rate, seed: int | None) -> pd.DataFrame:
    return image_rows.test_table(images(root, study, version), trials(root, study, version, rate, seed))


@one_version(16)
def averaged(root: str, study: str, version: str, rate: Rate, measure: str, seed: int | None) -> pd.DataFrame:
    """Test images with seeds averaged, in the rows of Table II that they stand in."""
    images = image_rows.mean_over_seeds(test_table(root, study, version, rate, seed), measure)
    return in_rows(images, plan(root, study, version), facts(root, study, version)["data"]["name"])


@one_version(32)
def answer(root: str, study: str, version: str, rate: Rate, measure: str, seed: int | None, running: bool) -> str:
    return answer_of(
        cells(root, study, version, rate, measure, seed), measure=measure_of(measure).name, running=running
    )


@dataclass(frozen=True, kw_only=True)
class RowStatistics:
    """What is computed from the test images of one row of Table II."""

    intervals: pd.DataFrame
    """A row per strategy: strategy, low, high (NaN where there is no interval), interval (how it was made), images."""
    folds: pd.DataFrame
    """A row per strategy and fold: strategy, fold, images, groups."""
    recommendation: Recommendation | None
    """None of other measures than the main one, and where the images cannot be compared."""


Place = tuple[str, str, float]
"""Start, network and fraction of a row of Table II."""


@one_version(16)
def notes(root: str, study: str, version: str, damaged: tuple[tuple[str, str], ...], busy: bool) -> list[str]:
    return matters.matters(plan(root, study, version), attempts(root, study, version), dict(damaged), busy=busy)


@one_version(16)
def row_keys(root: str, study: str, version: str, rate: Rate, measure: str, seed: int | None) -> dict[Place, str]:
    """A key for each row of Table II that has complete cells; it changes only when one of the row's results does.

    So rows that are finished are not computed again while others are trained. `closed` is part of it: a fold whose
    chosen rate ended first is closed only when its other rates are, too.
    """
    told, done = facts(root, study, version), trials(root, study, version, rate, seed)
    settings = [root, study, rate, measure, seed, told.get("reference"), told.get("margin")]
    table, keys = cells(root, study, version, rate, measure, seed), {}
    for place, row in parts(table, ["start", "network", "fraction"]):
        if row["values"].map(len).any():
            own = done[(done["fraction"] == place[2]) & done["start"].isin([place[0], ""])]
            state = [*settings, place, *zip(own["id"], own["state"], own["closed"], strict=True)]
            keys[place] = hashlib.sha256(repr(state).encode()).hexdigest()
    return keys


@st.cache_resource(max_entries=1, show_spinner=False)
def _computed() -> dict[str, RowStatistics]:
    return {}


def statistics(
    root: str, study: str, version: str, rate: Rate, measure: str, seed: int | None, *, wait: bool
) -> tuple[dict[Place, RowStatistics], bool]:
    """Statistics of the rows of Table II, and whether all are there: without `wait` only what was computed before."""
    known, keys = _computed(), row_keys(root, study, version, rate, measure, seed)
    missing = [place for place, key in keys.items() if key not in known]
    if missing and wait:
        images = dict(parts(averaged(root, study, version, rate, measure, seed), ["start", "network", "fraction"]))
        table = dict(parts(cells(root, study, version, rate, measure, seed), ["start", "network", "fraction"]))
        told, of = facts(root, study, version), int(plan(root, study, version)["folds"].max())
        for place in missing:
            known[keys[place]] = _row_statistics(images.get(place), table[place], measure, told, of)
        for key in [key for key in list(known)[:-STATISTICS] if key not in keys.values()]:
            known.pop(key, None)
    return {place: known[key] for place, key in keys.items() if key in known}, not missing or wait


def _row_statistics(
    images: pd.DataFrame | None, row: pd.DataFrame, measure: str, told: Mapping[str, Any], of: int
) -> RowStatistics:
    table = pd.DataFrame(columns=["strategy", *INTERVAL])
    counts = pd.DataFrame(columns=["strategy", "fold", "images", "groups"])
    if images is None:
        return RowStatistics(intervals=table, folds=counts, recommendation=None)
    columns = ["strategy", "fold", "index", "group", "dice", "label"]
    images = images[[name for name in columns if name in images]]
    found = mean_intervals(images, measure, resamples=RESAMPLES)
    recommendation = None
    with suppress(DataError):  # images that cannot be compared leave the row without one
        if measure in MAIN:
            reference, margin = str(told.get("reference", "whole network")), float(told.get("margin", 0.01))
            found_best = significance.recommend(images, row, reference=reference, margin=margin, of=of)
            recommendation = told_in(found_best, measure_of(measure))
    counts = fold_counts(images, ["strategy"])
    return RowStatistics(intervals=found[table.columns], folds=counts, recommendation=recommendation)


@one_version(64)
def marked_cells(
    root: str, study: str, version: str, rate: Rate, measure: str, seed: int | None, places: tuple[Place, ...]
) -> pd.DataFrame:
    """The cells with what is computed of the rows at `places`."""
    table = cells(root, study, version, rate, measure, seed)
    found, _ = statistics(root, study, version, rate, measure, seed, wait=False)
    told = intervals(found)
    if len(told):
        counts = _of_cells({place: row.folds for place, row in found.items()})
        table = with_fold_counts(table.merge(told, on=CELL, how="left"), counts, CELL)
    return matters.marked(table, recommendations(found)) if measure in MAIN else table


def intervals(found: Mapping[Place, RowStatistics]) -> pd.DataFrame:
    """A row per cell: start, network, fraction, strategy, low and high (NaN without an interval), interval, images."""
    return _of_cells({place: row.intervals for place, row in found.items()}).reindex(columns=[*CELL, *INTERVAL])


def _of_cells(tables: Mapping[Place, pd.DataFrame]) -> pd.DataFrame:
    """The tables of rows of Table II below each other, with the columns that tell rows apart."""
    named = [
        table.assign(start=start, network=network, fraction=fraction)
        for (start, network, fraction), table in tables.items()
        if len(table)
    ]
    return pd.concat(named, ignore_index=True) if named else pd.DataFrame()


def recommendations(found: Mapping[Place, RowStatistics]) -> dict[Place, Recommendation]:
    """Those that there are."""
    return {place: row.recommendation for place, row in found.items() if row.recommendation is not None}


@one_version(32)
def advice(
    root: str, study: str, version: str, rate: Rate, measure: str, seed: int | None, places: tuple[Place, ...]
) -> tuple[str, str] | None:
    """The recommendations of the rows at `places` in words, and what stands behind them; None without one."""
    found, _ = statistics(root, study, version, rate, measure, seed, wait=False)
    if not (advised := recommendations(found)):
        return None
    return advice_of(advised, cells(root, study, version, rate, measure, seed)), next(iter(advised.values())).note


@one_version(16)
def crashed(root: str, study: str, version: str) -> pd.DataFrame:
    found = attempts(root, study, version)
    rows = found[(found["state"] == "error") & ~found["id"].isin(found.loc[found["state"].isin(CLOSED), "id"])]
    return rows.merge(plan(root, study, version).drop_duplicates("id"), on="id", how="left") if len(rows) else rows


@one_version(8)
def claims(root: str, study: str, version: str, rate: Rate, seed: int | None) -> pd.DataFrame:
    planned, told = plan(root, study, version), facts(root, study, version)
    by_fold = in_rows(folds(root, study, version, rate, "dice", seed), planned, told["data"]["name"])
    return significance.claim_table(
        by_fold,
        averaged(root, study, version, rate, "dice", seed),
        stands_for=told["data"].get("compare_with"),
        margin=float(told.get("margin", 0.01)),
        of=int(planned["folds"].max()),
    )


@one_version(8)
def agreement(root: str, study: str, version: str, rate: Rate, seed: int | None) -> pd.DataFrame:
    ours = cells(root, study, version, rate, "dice", seed)
    theirs = published(facts(root, study, version)["data"].get("compare_with") or "")
    stands_for = dict.fromkeys(ours["dataset"], theirs["dataset"].iloc[0]) if len(theirs) else {}
    return significance.agreement_table(
        ours, theirs, stands_for, images=averaged(root, study, version, rate, "dice", seed)
    )


@one_version(16)
def sizes(root: str, study: str, version: str) -> pd.DataFrame:
    told, theirs = facts(root, study, version), paper.table1()
    return sizes_table(told, theirs[theirs["dataset"] == told["data"].get("compare_with")])


@one_version(16)
def minutes(
    root: str, study: str, version: str, rate: Rate, places: tuple[Place, ...]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    told, hosts = facts(root, study, version), attempts(root, study, version)["host"]
    machine, compared = (
        machine_name(told, [str(host) for host in hosts.unique() if host]),
        told["data"].get("compare_with"),
    )
    ours = marked_cells(root, study, version, rate, main_of(told).column, None, places)
    done, times = trials(root, study, version, rate, None), paper.table3()
    times = times if task_of(told) == "segmentation" else times.iloc[:0]
    return (
        minutes_table(ours, done, times, machine=machine, published=compared),
        every_minutes_table(ours, done, machine=machine),
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def published(dataset: str | None) -> pd.DataFrame:
    return published_cells(paper.table2(), width=paper.WIDTH, dataset=dataset)


@st.cache_data(max_entries=32, show_spinner=False)
def epochs(root: str, study: str, ids: tuple[str, ...], numbers: tuple[int, ...]) -> pd.DataFrame:
    return Store.at(root).epochs(study, ids)


@st.cache_data(max_entries=8, show_spinner=False)
def calibration(root: str, study: str, ids: tuple[str, ...], numbers: tuple[int, ...]) -> pd.DataFrame:
    return Store.at(root).calibration(study, ids)


@st.cache_data(max_entries=16, show_spinner=False)
def test_images(root: str, study: str, ids: tuple[str, ...], numbers: tuple[int, ...]) -> pd.DataFrame:
    return Store.at(root).test_images(study, ids, masks=True)


@st.cache_data(max_entries=24, show_spinner=False)
def extremes(
    root: str,
    study: str,
    ids: tuple[str, ...],
    numbers: tuple[int, ...],
    number: int,
    measure: str,
    _cell: pd.DataFrame,
) -> pd.DataFrame:
    images = image_rows.with_score(_of_cell(root, study, ids, numbers), measure)
    return extremes_table(images, _cell, number, image_rows.SCORE)


@st.cache_resource(max_entries=8, show_spinner=False)
def _of_cell(root: str, study: str, ids: tuple[str, ...], numbers: tuple[int, ...]) -> pd.DataFrame:
    return Store.at(root).test_images(study, ids)


@st.cache_data(max_entries=8, show_spinner=False)
def pictures(
    root: str,
    study: str,
    fingerprint: str,
    ids: tuple[str, ...],
    numbers: tuple[int, ...],
    number: int,
    measure: str,
    _cell: pd.DataFrame,
) -> list[bytes]:
    chosen = extremes(root, study, ids, numbers, number, measure, _cell)[["id", "number", "index"]]
    known, source = _outlined(), load_cached(fingerprint, cache_root())
    wanted = [(root, study, fingerprint, *place) for place in chosen.itertuples(index=False, name=None)]
    # Masks are most of the bytes: those of the few attempts that are shown, and under every measure only once.
    if missing := chosen[[key not in known for key in wanted]].drop_duplicates().to_records(index=False).tolist():
        masks = Store.at(root).test_images(study, {name for name, *_ in missing}, masks=True)
        packed = masks.set_index(["id", "number", "index"])["predicted_mask"]
        for place in missing:
            prediction = unpacked(packed.loc[place], source.masks.shape[1])
            known[root, study, fingerprint, *place] = png(outlined(source, int(place[-1]), prediction=prediction))
    found = [known[key] for key in wanted]
    for key in list(known)[:-PICTURES]:
        known.pop(key, None)
    return found


@st.cache_resource(max_entries=1, show_spinner=False)
def _outlined() -> dict[tuple[Any, ...], bytes]:
    """Test images with their outlines (PNG), by store, study, data, attempt and place in the data set."""
    return {}


@st.cache_data(max_entries=8, show_spinner=False)
def frames(fingerprint: str, cache: str) -> pd.DataFrame:
    source = load_cached(fingerprint, Path(cache))
    return frames_table(source.table, source.masks)


@st.cache_data(max_entries=8, show_spinner=False)
def frame_pictures(fingerprint: str, cache: str, indices: tuple[int, ...]) -> list[bytes]:
    source = load_cached(fingerprint, Path(cache))
    return [png(outlined(source, index, longest=360)) for index in indices]


def outlined(source: Dataset, index: int, prediction: np.ndarray | None = None, longest: int = 440) -> np.ndarray:
    row = source.table.iloc[index]
    return tile(
        np.asarray(source.images[index]),
        None if source.classes else one_each(np.asarray(source.masks[index]), len(source.structures)),
        prediction,
        aspect=float(row["source_width"]) / float(row["source_height"]),
        longest=longest,
    )
