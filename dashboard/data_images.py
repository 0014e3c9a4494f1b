"""The second part of the cached door to the engine: what pages read of single images, masks and feature maps."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import UInt8

from dashboard import data, kept
from dashboard.figures.calibration import confidence_bins
from dashboard.figures.cells import with_results
from dashboard.figures.circumference import circumference_table
from dashboard.figures.gallery import tested
from dashboard.figures.structures import Box, one_each, tile, unpacked
from dashboard.inference.worker import Maps, shared_worker
from dashboard.places import cache_root, store_root
from dashboard.trained_trials import TrainedStudies
from engine.datasets.cached import load_cached
from engine.store import Store
from engine.trial import AS_PRETRAINED


def test_images(study: str, trials: pd.DataFrame) -> pd.DataFrame:
    """A row per test image of the counted attempts, with strategy, fraction, fold, seed, state and predicted masks.

    Of a classification `dice` is the accuracy (1 or 0).
    """
    images = data.test_images(study, trials)
    images = images.assign(dice=images["accuracy"]) if data.task(study) == "classification" else images
    return tested(images, trials)


def start_tests(study: str) -> pd.DataFrame:
    """A row per planned test of start weights as they are, with its result; of a rate there is none to choose."""
    plan = data.plan(study)
    return with_results(plan[plan["strategy"] == AS_PRETRAINED], data.attempts(study))


def calibration(study: str, trials: pd.DataFrame) -> pd.DataFrame:
    """A row per bin of predicted probability of the counted attempts: id, number and the fields of `Bin`."""
    if data.task(study) == "classification":
        return confidence_bins(data.test_images(study, trials))
    counted = trials.dropna(subset=["number"])
    return kept.calibration(store_root(), study, tuple(counted["id"]), tuple(counted["number"].astype(int)))


def picture(
    study: str,
    index: int,
    prediction: bytes | None = None,
    *,
    truth: bool = False,
    box: Box | None = None,
    longest: int = 440,
) -> UInt8[np.ndarray, "height width rgb"]:
    """An image of the study's data set with the outlines of its truth and of packed predicted masks.

    Raises DataError where the images are not in the cache any more.
    """
    fingerprint = data.facts(study)["data"]["fingerprint"]
    return _picture(fingerprint, str(cache_root()), index, prediction, truth, box, longest)


def circumferences(study: str, trials: pd.DataFrame) -> pd.DataFrame:
    """A row per test image with its head circumferences in mm. Raises DataError where the images are gone."""
    counted = trials.dropna(subset=["number"])
    identity = tuple(counted["id"]), tuple(counted["number"].astype(int))
    fingerprint = data.facts(study)["data"]["fingerprint"]
    return _circumferences(store_root(), study, fingerprint, str(cache_root()), *identity, trials)


def trained(study: str) -> list[tuple[str, str]]:
    """(label, id) of the trials whose trained tensors and start weights can be compared, best validation first."""
    plan = data.plan(study)
    tuned = plan[plan["start_weights"].notna() & plan["units"].map(len).gt(0)]
    return [(label, name) for label, name in _trained(store_root()).trials(study) if name in set(tuned["id"])]


def feature_maps(study: str, trial_id: str, unit: str, index: int) -> Maps:
    """What a unit hands on of an image of the data set, before and after fine-tuning.

    Raises StoreError or WeightsError where weights are gone, DataError where images are, and InferenceError.
    """
    return _feature_maps(store_root(), study, data.facts(study)["data"]["fingerprint"], trial_id, unit, index)


@st.cache_data(max_entries=128, show_spinner=False)
def _picture(
    fingerprint: str, cache: str, index: int, prediction: bytes | None, truth: bool, box: Box | None, longest: int
) -> np.ndarray:
    source = load_cached(fingerprint, Path(cache))
    row = source.table.iloc[index]
    return tile(
        np.asarray(source.images[index]),
        one_each(np.asarray(source.masks[index]), len(source.structures)) if truth else None,
        None if prediction is None else unpacked(prediction, source.masks.shape[1]),
        aspect=float(row["source_width"]) / float(row["source_height"]),
        longest=longest,
        box=box,
    )


@st.cache_data(max_entries=8, show_spinner="Fitting ellipses …")
def _circumferences(
    root: str,
    study: str,
    fingerprint: str,
    cache: str,
    ids: tuple[str, ...],
    numbers: tuple[int, ...],
    _trials: pd.DataFrame,
) -> pd.DataFrame:
    source = load_cached(fingerprint, Path(cache))
    return circumference_table(test_images(study, _trials), source.masks, source.table)


@st.cache_resource(max_entries=4, show_spinner=False)
def _trained(root: str) -> TrainedStudies:
    return TrainedStudies(Store.at(root))


@st.cache_data(max_entries=4, show_spinner="Asking the network …")
def _feature_maps(root: str, study: str, fingerprint: str, trial_id: str, unit: str, index: int) -> Maps:
    image = np.array(load_cached(fingerprint, cache_root()).images[index])
    return shared_worker(root).feature_maps(study, trial_id, unit, image)
