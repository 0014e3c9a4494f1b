"""A small real store whose networks tell stripes apart: one subtracts the mean image, one is trained from scratch."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors.torch import load, save

from engine.datasets import Dataset
from engine.models import build
from engine.store import Store
from engine.training import run_trial
from engine.trial import Trial
from tests.made_classification import keep
from tests.test_classification import CLASSES, planned, stripes

STUDY = "stripes"


@dataclass(frozen=True, kw_only=True)
class TrainedClasses:
    """Two trained trials of one study of three classes, and its images in `cache`."""

    root: Path
    cache: Path
    store: Store
    dataset: Dataset
    tuned: Trial
    """The last unit on the start weights: a centre of 32 of 40 pixels less the mean image, statistics updated."""
    scratch: Trial
    """From scratch: the whole image as it is."""


def make_trained_classes(folder: Path, *, data: str = "") -> TrainedClasses:
    """A store with the study `stripes`, written as a run writes it; `data` are lines of its study file's `data`."""
    store, dataset, cache = Store.at(folder / "results"), stripes(), folder / "cache"
    keep(dataset, cache)
    content = save(build("cvcnet", width=4, classes=3).state_dict())
    sha256 = hashlib.sha256(content).hexdigest()
    short = {"data": dataset.fingerprint, "iterations": 3, "validation": 0.0}
    tuned = planned("last unit", start_weights=sha256, start="made", crop=32, subtract_mean=True, statistics="update",
                    crops_kept=2, **short)  # fmt: skip
    scratch = planned("from scratch", data=dataset.fingerprint, max_epochs=2, batches_per_epoch=3)
    store.begin(STUDY, f"name: stripes\ndata:\n  learn: labels\n{data}")
    told = {
        "name": "stripes", "provenance": dataset.provenance, "fingerprint": dataset.fingerprint,
        "classes": list(CLASSES),
    }  # fmt: skip
    facts = {
        "question": "Which way do the stripes go?",
        "data": told,
        "start_weights": [{"name": "made", "sha256": sha256, "kind": "file", "description": "made by hand"}],
        "settings": {"task": "classification"},
    }
    store.write_plan(STUDY, [tuned, scratch], facts)
    store.write_start_weights(STUDY, sha256, content)
    for trial in (tuned, scratch):
        attempt, weights = run_trial(trial, dataset, load(content) if trial.start else None)
        store.append(STUDY, replace(attempt, state="completed"), weights=weights)
    return TrainedClasses(root=folder / "results", cache=cache, store=store, dataset=dataset, tuned=tuned,
                          scratch=scratch)  # fmt: skip
