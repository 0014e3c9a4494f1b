"""A planned study for persons to read, whose names of classes, images and patients cannot be mistaken for others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine import reader_study
from engine.datasets import Dataset, make_dataset
from engine.reader_study import Frames, Reader
from engine.store import Store
from tests.made_classification import CLASSES, classification_facts, classification_trials, keep, made_views

STUDY = "views"
WORDS = dict(zip(CLASSES, ("quokka", "axolotl", "okapi", "narwhal", "tapir", "kakapo", "pangolin"), strict=True))
READER: dict[str, Any] = {"name": "R1", "years": 12.0, "examinations": 3000, "exposure": "a few", "note": "heart"}


def made_animals(patients: int = 8) -> Dataset:
    """The made views under other names: every image's name says its class, as names in folders of classes do."""
    views = made_views(patients=patients)
    labels = views.table["label"].map(WORDS)
    table = views.table.assign(
        label=labels,
        image=[f"{label}/zq{number:05d}-{label}.png" for number, label in enumerate(labels)],
        group=views.table["group"].str.replace("patient ", "wombat"),
        source_width=96,
        source_height=64,
    )
    return make_dataset(
        name="animals", provenance="made", images=views.images, table=table, classes=list(WORDS.values())
    )


def made_readers(
    root: Path, cache: Path, *, study: str = STUDY, patients: int = 8, facts: Mapping[str, Any] | None = None
) -> Store:
    """A store with one planned study of `made_animals`, four folds by patient; nothing in it was trained."""
    store, dataset = Store.at(root), made_animals(patients)
    keep(dataset, cache)
    store.begin(study, f"name: {study}\n")
    test = len(dataset.table) // 4
    table1 = [
        {"fraction": 75, "fold": fold, "training": 2 * test, "validation": test, "test": test} for fold in range(4)
    ]
    told = classification_facts(dataset, classes=list(dataset.classes))
    store.write_plan(
        study, classification_trials(dataset.fingerprint), {**told, "table1": table1, "question": "", **(facts or {})}
    )
    return store


def made_frames(store: Store, dataset: Dataset, **choice: Any) -> Frames:
    """The frames of fold 0, or as `choice` says."""
    return reader_study.choose_frames(store.plan(STUDY), dataset, **{"fold": 0, **choice})


def person(name: str = "R1", **changes: Any) -> Reader:
    """A reader who gave every answer at the start."""
    return Reader(**{**READER, "name": name, **changes})
