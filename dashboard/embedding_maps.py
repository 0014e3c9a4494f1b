"""The door to maps of embeddings: those that are kept, and those that are being made."""

import base64
from collections.abc import Iterable

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.map_maker import Making, MapTask, shared_maker
from dashboard.one_version import one_version
from dashboard.places import store_root
from dashboard.thumbnails import thumbnail
from engine.embeddings import EmbeddingMap, find_map
from engine.errors import DataError
from engine.store import Store

FIELDS = ("index", "predicted", "accuracy", "probabilities")
"""Fields of the store's test images that a map needs."""


class _NotYet(Exception):
    """What keeps a map that is not there from being remembered as such."""


def with_embedding(study: str, trials: pd.DataFrame) -> pd.DataFrame:
    """The trials whose embedding is kept."""
    return trials[trials["id"].isin(among(study, trials["id"]))].reset_index(drop=True)


def among(study: str, names: Iterable[str]) -> list[str]:
    """Those of the names under which an embedding is kept."""
    kept = data.store().has_embeddings(study)
    return [name for name in names if name in kept]


def embedding_map(task: MapTask) -> EmbeddingMap | Making:
    """The map, or how far it is: one that is not kept is begun, and nobody waits for it here."""
    try:
        return _kept(store_root(), task)
    except _NotYet:
        return shared_maker(store_root()).ask(task)


def try_again(task: MapTask) -> None:
    """Begins a map anew that could not be made."""
    shared_maker(store_root()).forget(task)


@st.cache_resource(max_entries=16, show_spinner=False)
def _kept(root: str, task: MapTask) -> EmbeddingMap:
    found = find_map(Store.at(root), task.study, task.trial_id, task.method, seed=task.seed, perplexity=task.perplexity)
    if found is None:
        raise _NotYet
    return found


def tested(study: str, trial_id: str) -> pd.DataFrame:
    """What the trial said of its test images: index, predicted, accuracy, probabilities."""
    return _tested(store_root(), study, data.stamp(study), trial_id)


@one_version(16)
def _tested(root: str, study: str, version: str, trial_id: str) -> pd.DataFrame:
    return Store.at(root).test_images(study, [trial_id], columns=FIELDS)


def pictures(study: str, frames: list[int], longest: int = 72) -> dict[int, str]:
    """Frames as pictures that an address of their own holds, by place in the data set; those that are there."""
    fingerprint, found = data.facts(study)["data"]["fingerprint"], {}
    for index in frames:
        try:
            content = thumbnail(fingerprint, index, longest)
        except DataError:
            continue
        found[index] = f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
    return found
