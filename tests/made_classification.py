"""A store with a made study of classes: seven cardiac views through two scanners. Nothing in it was trained."""

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from safetensors.numpy import save

from engine.architectures import CLASSIFIER_STRATEGIES, classifier_parameters
from engine.datasets import Dataset, make_dataset
from engine.splits import split_images
from engine.store import Store
from engine.trial import AS_PRETRAINED, Attempt, Epoch, TestImage, Trial
from tests import made
from tests.made_store import begun, made_facts, made_progress

CLASSES = ("A2C", "A4C", "APLAX", "IVC", "PLAX", "PSAX", "SC4C")
"""Seven cardiac views, in the order of the study's classes."""
ALIKE = {"A2C": "A4C", "A4C": "A2C", "APLAX": "A2C", "IVC": "SC4C", "PLAX": "APLAX", "PSAX": "PLAX", "SC4C": "A4C"}
"""Made: the view that each is taken for most often."""
SKILL = {
    "whole network": 2.6,
    "input layers": 3.0,
    "output layers": 2.4,
    "from scratch": 2.1,
    AS_PRETRAINED: 2.1,
}
"""Made: how far a strategy raises the true class's logit."""
KEPT = {"whole network": 0.71, "input layers": 0.83, "output layers": 0.94, AS_PRETRAINED: 0.96}
"""Made: accuracy that is left on scanner A."""
STRATEGIES = {
    "caffenet": ("FC6-8", "FC8", "conv5 + FC", "from scratch"),
    "vgg16": ("FC6-8", "FC8", "conv5 + FC", "from scratch"),
    "mobilenet": ("whole network", "input layers", "output layers", "from scratch"),
    "cvcnet": ("whole network", "input layers", "output layers", "from scratch"),
}
WIDTH = 16
START = "scanner A"
FOLDS = 4
DIMENSION = 32
PARTS_OF_FOLD = {"training": 0, "validation": 1, "test": 2}
CAVEAT = "simulated: shows the method, not evidence"


def made_views(*, patients: int = 16, frames: int = 2, side: int = 64) -> Dataset:
    """Patients with a few frames of every view, the odd ones through scanner B, which is darker and coarser."""
    random = np.random.default_rng(7)
    pictures, rows = [], []
    for patient in range(patients):
        scanner = "AB"[patient % 2]
        for view in CLASSES:
            for frame in range(frames):
                pictures.append(_picture(view, scanner, side, random))
                name = f"p{patient:02d}_{view}_{frame}.png"
                rows.append({"image": name, "label": view, "group": f"patient {patient:02d}", "scanner": scanner})
    return make_dataset(
        name="cardiac views",
        provenance="cardiac views: seven made views of made patients through scanners A and B; not images of people",
        images=np.stack(pictures),
        table=pd.DataFrame(rows),
        classes=CLASSES,
        caveats=(CAVEAT,),
    )


def _picture(view: str, scanner: str, side: int, random: np.random.Generator) -> UInt8[np.ndarray, "height width"]:
    down, across = np.mgrid[:side, :side] / side
    sector = (np.abs(across - 0.5) < 0.12 + 0.4 * down) & (down < 0.96)
    picture = np.where(sector, 90.0, 0.0)
    place = CLASSES.index(view)
    for number in range(1 + place % 4):  # one to four dark chambers, in a pattern of the view's own
        angle = 2 * np.pi * (number / (1 + place % 4) + place / 7) + random.normal(0, 0.08)
        centre = 0.55 + 0.17 * np.sin(angle), 0.5 + 0.17 * np.cos(angle)
        size = 0.07 + 0.01 * place + random.normal(0, 0.006)
        picture[((down - centre[0]) ** 2 + (across - centre[1]) ** 2 < size**2) & sector] = 20
    speckle = random.rayleigh(1.0, (side, side)) * (0.8 if scanner == "A" else 0.5)
    if scanner == "B":
        speckle = (speckle + np.roll(speckle, 1, 1) + np.roll(speckle, 2, 1)) / 3 * 1.4
    return np.clip(picture * speckle * sector, 0, 255).astype(np.uint8)


def keep(dataset: Dataset, cache: Path) -> None:
    """Puts the images where pages look for them."""
    place, buffer = cache / "data" / dataset.fingerprint, io.BytesIO()
    place.mkdir(parents=True, exist_ok=True)
    dataset.table.to_parquet(buffer, index=False)
    table = hashlib.sha256(buffer.getvalue()).hexdigest()
    np.save(place / "images.npy", dataset.images)
    np.save(place / "masks.npy", dataset.masks)
    (place / f"{table}.parquet").write_bytes(buffer.getvalue())
    about = {"table": table} | {
        name: getattr(dataset, name) for name in ("name", "provenance", "structures", "classes", "caveats")
    }
    (place / "about.json").write_text(json.dumps(about))


def classification_trials(
    data: str,
    *,
    strategies: Sequence[str] = (),
    fractions: Sequence[float] = (75, 20),
    folds: Sequence[int] = range(FOLDS),
    rates: Sequence[float] = (1e-4,),
    seeds: Sequence[int] = (0,),
    as_pretrained: bool = True,
    model: str = "cvcnet",
    **changes: Any,
) -> list[Trial]:
    """Every trial of a made study of classes, in the order of running; `changes` are fields of Trial.

    Without `strategies` the network's own of `STRATEGIES`.
    """
    known = CLASSIFIER_STRATEGIES[model]
    shared: dict[str, Any] = {
        "data": data, "model": model, "width": WIDTH, "image_size": 64, "max_epochs": 12, "batches_per_epoch": 20,
        "task": "classification", "classes": len(CLASSES), "folds": FOLDS, "split_by": "group", "validation": 33.0,
        **changes,
    }  # fmt: skip
    trials = [
        replace(
            made.trial(fold=fold, fraction=float(fraction), learning_rate=rate, seed=seed, draws=len(rates), **shared),
            strategy=strategy, units=known[strategy].units, **begun("" if strategy == "from scratch" else START),
        )
        for fold in folds
        for seed in seeds
        for rate in rates
        for fraction in fractions
        for strategy in strategies or STRATEGIES[model]
    ]  # fmt: skip
    tests = [
        replace(
            made.trial(fold=fold, fraction=0.0, learning_rate=rates[0], **shared),
            strategy=AS_PRETRAINED, units=(), **begun(START),
        )
        for fold in folds
    ]  # fmt: skip
    return [*trials, *(tests if as_pretrained else [])]


def parts_of(trial: Trial, dataset: Dataset) -> dict[str, list[int]]:
    """Places of the fold's training, validation and test images; start weights as they are have test images only."""
    split = split_images(
        images=len(dataset.images), groups=dataset.groups_for_splits(trial.split_by), by=trial.split_by,
        of=trial.folds, fold=trial.fold, fraction=trial.fraction, seed=trial.split_seed, validation=trial.validation,
    )  # fmt: skip
    parts = {"training": split.training, "validation": split.validation, "test": split.test}
    return {name: [int(place) for place in places] if trial.units else [] for name, places in parts.items()} | {
        "test": [int(place) for place in split.test]
    }


def made_logits(trial: Trial, dataset: Dataset, places: Sequence[int]) -> Float[np.ndarray, "image class"]:
    """What a network of this skill says: images are hard alike for all, and views that are alike are mixed up."""
    skill = SKILL.get(trial.strategy, 2.0) - (0.5 if 0 < trial.fraction < 50 else 0.0)
    found = np.empty((len(places), len(CLASSES)))
    for row, place in enumerate(places):
        of_image = np.random.default_rng(place)
        own = np.random.default_rng([place, int(trial.id[:8], 16)])
        truth = str(dataset.table["label"].iloc[place])
        logits = of_image.normal(0, 0.8, len(CLASSES)) + own.normal(0, 0.5, len(CLASSES))
        coarse = dataset.table["scanner"].iloc[place] == "B" and trial.strategy == AS_PRETRAINED
        logits[CLASSES.index(truth)] += skill - (1.0 if coarse else 0.0)
        logits[CLASSES.index(ALIKE[truth])] += 0.9
        found[row] = logits
    return found


def classification_attempt(trial: Trial, dataset: Dataset, **changes: Any) -> Attempt:
    """A completed attempt with a row per test image of its fold; `changes` are fields of Attempt."""
    parts = parts_of(trial, dataset)
    images = tuple(_test_images(trial, dataset, parts["test"]))
    right = pd.DataFrame({"label": [one.label for one in images], "accuracy": [one.accuracy for one in images]})
    accuracy = float(right["accuracy"].mean())
    random = np.random.default_rng(int(trial.id[:8], 16))
    epochs = tuple(
        Epoch(
            epoch=epoch,
            training_loss=float(0.1 + 1.8 * np.exp(-epoch / 3)),
            validation_loss=float(0.35 + 1.6 * np.exp(-epoch / 3.5) + random.normal(0, 0.03)),
            validation_dice=None,
            validation_accuracy=float(np.clip(accuracy * (1 - np.exp(-epoch / 2.5)) + random.normal(0, 0.01), 0, 1)),
            seconds=1.2,
        )
        for epoch in range(1, 13 if trial.units else 1)
    )
    best = min(epochs, key=lambda epoch: epoch.validation_loss or 0.0) if epochs else None
    counts = classifier_parameters(trial.model, trial.width, len(CLASSES))
    facts: dict[str, Any] = {
        "trial": trial, "number": 1, "state": "completed", "started": "2026-01-01T00:00:00+00:00", "seconds": 15.0,
        "host": "made", "best_epoch": best.epoch if best else None, "epochs_run": len(epochs),
        "cut_at": 12 if epochs else None, "accuracy": accuracy,
        "top2": float(np.mean([one.top2 for one in images])),
        "balanced_accuracy": float(right.groupby("label")["accuracy"].mean().mean()),
        "training_accuracy": 1 - (1 - accuracy) / 6 if trial.units else None,
        "kept_accuracy": KEPT[trial.strategy] + 0.01 * trial.fold if trial.strategy in KEPT and trial.start else None,
        "seconds_per_image": 0.004,
        "validation_accuracy": best.validation_accuracy if best else None,
        "validation_loss": best.validation_loss if best else None,
        "trainable_parameters": sum(counts[unit] for unit in trial.units), "total_parameters": sum(counts.values()),
        "training_images": len(parts["training"]), "validation_images": len(parts["validation"]),
        "validation_by": "group", "epochs": epochs, "test_images": images,
    }  # fmt: skip
    return Attempt(**{**facts, **changes})


def _test_images(trial: Trial, dataset: Dataset, places: Sequence[int]) -> list[TestImage]:
    logits = made_logits(trial, dataset, places)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = []
    for place, row in zip(places, probabilities, strict=True):
        about, order = dataset.table.iloc[place], np.argsort(-row)
        found.append(
            TestImage(
                image=str(about["image"]), index=int(place), group=str(about["group"]), label=str(about["label"]),
                predicted=CLASSES[order[0]], scanner=str(about["scanner"]),
                accuracy=float(CLASSES[order[0]] == about["label"]),
                top2=float(about["label"] in (CLASSES[order[0]], CLASSES[order[1]])),
                probabilities=tuple(float(value) for value in row),
            )
        )  # fmt: skip
    return found


def made_embedding(trial: Trial, dataset: Dataset) -> bytes:
    """Vectors of the fold's images as a trial keeps them: a cloud per class, the tighter the higher the skill."""
    parts = parts_of(trial, dataset)
    index = [place for places in parts.values() for place in places]
    part = [PARTS_OF_FOLD[name] for name, places in parts.items() for _ in places]
    centres = np.random.default_rng(1).normal(0, 1, (len(CLASSES), DIMENSION))
    noise = np.random.default_rng(int(trial.id[:8], 16)).normal(0, 1, (len(index), DIMENSION))
    labels = [CLASSES.index(label) for label in dataset.table["label"].iloc[index]]
    features = centres[labels] * SKILL.get(trial.strategy, 2.0) / 2 + noise
    return save(
        {
            "features": features.astype(np.float16),
            "index": np.array(index, dtype=np.int32),
            "part": np.array(part, dtype=np.uint8),
        }
    )


def classification_facts(dataset: Dataset, *, model: str = "cvcnet", **data: Any) -> dict[str, Any]:
    """facts.json of a made study of classes."""
    plain = made_facts(dataset, kind="cardiac phantoms", width=WIDTH)
    counts, table = classifier_parameters(model, WIDTH, len(CLASSES)), dataset.table
    return {
        **plain,
        "question": "Which layers should be fine-tuned for another scanner?",
        "data": {
            **plain["data"], "compare_with": None, "groups": int(table["group"].nunique()), "split_by": "group",
            "classes": list(CLASSES), "labels": table["label"].value_counts().to_dict(),
            "scanners": table["scanner"].value_counts().to_dict(), "structures": [], "caveats": [CAVEAT], **data,
        },
        "start_weights": [
            {
                "name": START, "sha256": begun(START)["start_weights"], "kind": "cardiac phantoms",
                "description": "1,400 made views through scanner A", "own_accuracy": 0.99, "seconds": 100.0,
            }
        ],
        "parameters": {
            name: {"trainable": sum(counts[unit] for unit in strategy.units), "total": sum(counts.values())}
            for name, strategy in CLASSIFIER_STRATEGIES[model].items()
        },
        "settings": {**plain["settings"], "task": "classification", "model": model, "max_epochs": 12},
        "table1": [
            {"fraction": fraction, "fold": fold, "training": training, "validation": validation, "test": 56}
            for fraction, training, validation in ((75, 112, 56), (20, 28, 14))
            for fold in range(FOLDS)
        ],
    }  # fmt: skip


def made_classification(
    root: Path,
    cache: Path,
    *,
    study: str = "views",
    patients: int = 16,
    frames: int = 2,
    finished: Callable[[int, Trial], bool] = lambda place, trial: True,
    changes: Callable[[int, Trial], Mapping[str, Any]] = lambda place, trial: {},
    state: str = "finished",
    facts: Mapping[str, Any] | None = None,
    model: str = "cvcnet",
    **trials: Any,
) -> Store:
    """A store with one study of classes, `finished` deciding which trials have an attempt and `changes` what differs.

    Of every trial with an attempt the embedding is kept too; the images lie in the cache.
    """
    store, dataset = Store.at(root), made_views(patients=patients, frames=frames)
    keep(dataset, cache)
    planned = classification_trials(dataset.fingerprint, model=model, **trials)
    store.begin(study, f"name: {study}\n")
    store.write_plan(study, planned, {**classification_facts(dataset, model=model), **(facts or {})})
    done = [(place, trial) for place, trial in enumerate(planned) if finished(place, trial)]
    for place, trial in done:
        store.append(study, classification_attempt(trial, dataset, **changes(place, trial)))
        store.write_embedding(study, trial.id, made_embedding(trial, dataset))
    store.write_progress(study, made_progress(state, len(planned), len(done)))
    return store
