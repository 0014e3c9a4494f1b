"""The only cached door to the engine: what pages read, kept until the store's own listing says that it changed."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.figures.cells import cell_table, fold_table, trial_table
from dashboard.figures.comparison import published_cells
from dashboard.figures.frames import frames_table
from dashboard.figures.outlines import extremes_table, outlined, unpack
from dashboard.figures.rows import rows
from dashboard.places import cache_root, store_root
from engine import published
from engine.datasets.cached import load_cached
from engine.datasets.dataset import Dataset
from engine.errors import DataError
from engine.store import Store

BUSY = ("preparing", "running")


def store() -> Store:
    """The store that the server was started with."""
    return Store.at(store_root())


def studies() -> list[str]:
    """Names of the studies, those that run now first, then the ones that ran last."""
    found = {name: progress(name) for name in store().studies()}

    def age(name: str) -> tuple[bool, str]:
        return bool(found[name].get("alive")), str(found[name].get("updated", ""))

    return sorted(sorted(found), key=age, reverse=True)


def progress(study: str) -> dict[str, Any]:
    """What the last run said of itself; never cached, it is one small file."""
    return store().progress(study)


def is_busy(study: str) -> bool:
    """Whether a run is at work on the study."""
    now = progress(study)
    return bool(now.get("alive")) and now.get("state") in BUSY


def stamp(study: str) -> str:
    """Changes whenever plan or attempts change: a hash of the plan and of the names of all files of attempts."""
    files = store().files
    digest = hashlib.sha256(files.read(f"{study}/plan.parquet") or b"")
    for folder in ("attempts", "segments"):
        digest.update("\n".join(name for name, _ in files.names(f"{study}/{folder}")).encode())
    return digest.hexdigest()


def outline(study: str | None) -> tuple[Any, ...]:
    """What decides which parts a page has: the studies there are, and whether this one is planned and running."""
    there = store()
    names = tuple(there.studies())
    if study not in names:
        return (names,)
    now = there.progress(study)
    planned = ("plan.parquet", False) in there.files.names(study)
    return names, now.get("state"), bool(now.get("alive")), planned


def facts(study: str) -> dict[str, Any]:
    """What is known of the study's data, start weights and machine; {} until its trials are planned too."""
    return store().facts(study) if len(plan(study)) else {}


def plan(study: str) -> pd.DataFrame:
    """A row per planned trial."""
    return _plan(store_root(), study, stamp(study))


def attempts(study: str) -> pd.DataFrame:
    """A row per attempt whose trial is planned."""
    return _attempts(store_root(), study, stamp(study))


def trials(study: str, rate: float | str) -> pd.DataFrame:
    """A row per planned trial that counts at `rate`, with its result."""
    return _trials(store_root(), study, stamp(study), rate)


def folds(study: str, rate: float | str, measure: str) -> pd.DataFrame:
    """A row per cell and fold."""
    return _folds(store_root(), study, stamp(study), rate, measure)


def cells(study: str, rate: float | str, measure: str) -> pd.DataFrame:
    """A row per cell of the study's Table II."""
    name = facts(study)["data"]["name"]
    return _cells(store_root(), study, stamp(study), rate, measure, name)


def published_table(dataset: str | None = None) -> pd.DataFrame:
    """Cells of the published Table II, all of it or of one data set."""
    return _published(dataset)


def epochs(study: str, cell: pd.DataFrame) -> pd.DataFrame:
    """A row per epoch of the trials of a cell."""
    return _epochs(store_root(), study, *_identity(cell))


def test_images(study: str, cell: pd.DataFrame) -> pd.DataFrame:
    """A row per test image of the trials of a cell, with packed predicted masks."""
    return _test_images(store_root(), study, *_identity(cell))


def dataset(study: str) -> Dataset | None:
    """The study's images and masks, mapped from the cache; None where they are not there any more."""
    try:
        return load_cached(facts(study)["data"]["fingerprint"], cache_root())
    except DataError:
        return None


def pictures(study: str, cell: pd.DataFrame, number: int, measure: str) -> list[np.ndarray] | None:
    """Worst and best test images of a cell as `extremes_table` orders them, outlined; None where data are gone."""
    fingerprint = facts(study)["data"]["fingerprint"]
    if dataset(study) is None:
        return None
    return _pictures(store_root(), study, fingerprint, *_identity(cell), number, measure, cell)


def frames(study: str) -> pd.DataFrame:
    """A row per image of the study's data set, with its mask's coverage."""
    return _frames(facts(study)["data"]["fingerprint"], str(cache_root()))


def frame_pictures(study: str, indices: tuple[int, ...]) -> list[np.ndarray]:
    """These frames of the data set with their masks outlined."""
    return _frame_pictures(facts(study)["data"]["fingerprint"], str(cache_root()), indices)


def _identity(cell: pd.DataFrame) -> tuple[tuple[str, ...], tuple[int, ...]]:
    # An attempt never changes once stored, so its id and number are all that a cache needs.
    counted = cell.dropna(subset=["number"])
    return tuple(counted["id"]), tuple(counted["number"].astype(int))


@st.cache_data(max_entries=16, show_spinner=False)
def _plan(root: str, study: str, version: str) -> pd.DataFrame:
    return Store.at(root).plan(study)


@st.cache_data(max_entries=16, show_spinner=False)
def _attempts(root: str, study: str, version: str) -> pd.DataFrame:
    found = Store.at(root).attempts(study)
    return found[found["id"].isin(_plan(root, study, version)["id"])].reset_index(drop=True)


@st.cache_data(max_entries=32, show_spinner=False)
def _trials(root: str, study: str, version: str, rate: float | str) -> pd.DataFrame:
    return trial_table(_plan(root, study, version), _attempts(root, study, version), rate)


@st.cache_data(max_entries=32, show_spinner=False)
def _folds(root: str, study: str, version: str, rate: float | str, measure: str) -> pd.DataFrame:
    return fold_table(_trials(root, study, version, rate), measure)


@st.cache_data(max_entries=32, show_spinner=False)
def _cells(root: str, study: str, version: str, rate: float | str, measure: str, name: str) -> pd.DataFrame:
    return cell_table(_folds(root, study, version, rate, measure), _plan(root, study, version), name)


@st.cache_data(max_entries=8, show_spinner=False)
def _published(dataset: str | None) -> pd.DataFrame:
    return published_cells(published.table2(), width=published.WIDTH, dataset=dataset)


@st.cache_data(max_entries=32, show_spinner=False)
def _epochs(root: str, study: str, ids: tuple[str, ...], numbers: tuple[int, ...]) -> pd.DataFrame:
    return Store.at(root).epochs(study, ids)


@st.cache_data(max_entries=16, show_spinner=False)
def _test_images(root: str, study: str, ids: tuple[str, ...], numbers: tuple[int, ...]) -> pd.DataFrame:
    return Store.at(root).test_images(study, ids, masks=True)


@st.cache_data(max_entries=24, show_spinner=False)
def _pictures(
    root: str,
    study: str,
    fingerprint: str,
    ids: tuple[str, ...],
    numbers: tuple[int, ...],
    number: int,
    measure: str,
    _cell: pd.DataFrame,
) -> list[np.ndarray]:
    source = load_cached(fingerprint, cache_root())
    chosen = extremes_table(_test_images(root, study, ids, numbers), _cell, number, measure)
    return [
        outlined(
            source.images[row.index_],
            source.masks[row.index_],
            unpack(row.predicted_mask, source.masks.shape[1]),
            aspect=_aspect(source, row.index_),
        )
        for row in rows(chosen.rename(columns={"index": "index_"}))
    ]


@st.cache_data(max_entries=8, show_spinner=False)
def _frames(fingerprint: str, cache: str) -> pd.DataFrame:
    source = load_cached(fingerprint, Path(cache))
    return frames_table(source.table, source.masks)


@st.cache_data(max_entries=24, show_spinner=False)
def _frame_pictures(fingerprint: str, cache: str, indices: tuple[int, ...]) -> list[np.ndarray]:
    source = load_cached(fingerprint, Path(cache))
    return [
        outlined(source.images[index], source.masks[index], aspect=_aspect(source, index), longest=360)
        for index in indices
    ]


def _aspect(source: Dataset, index: int) -> float:
    row = source.table.iloc[index]
    return float(row["source_width"]) / float(row["source_height"])
