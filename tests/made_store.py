"""A store of made attempts for tests of pages, figures and servers: nothing in it was trained."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from dashboard.figures.cells import Rate, cell_table, fold_table, trial_table
from engine.architectures import unet_parameters
from engine.datasets import Dataset
from engine.datasets.cached import open_dataset
from engine.store import Store
from engine.study_settings import DataSettings
from engine.trial import AS_PRETRAINED, Attempt, Bin, Epoch, TestImage, Trial
from tests import made

SKILL = {
    "whole network": 0.85,
    "contracting": 0.86,
    "expanding": 0.78,
    "all except block 5": 0.855,
    "block 5": 0.68,
    "block 9": 0.6,
    "from scratch": 0.74,
}
"""Made: how well a strategy does in this store."""


START = "natural-like images"
"""Name of the start weights where a test does not care."""


def made_trials(
    data: str,
    *,
    strategies: Sequence[str] = tuple(SKILL),
    fractions: Sequence[float] = (80, 5),
    folds: Sequence[int] = (0, 1),
    rates: Sequence[float] = (1e-4,),
    seeds: Sequence[int] = (0,),
    starts: Sequence[str] = (START,),
    as_pretrained: bool = False,
    image_size: int = 64,
    width: int = 16,
    **changes: Any,
) -> list[Trial]:
    """Every trial of a made study, in the order of running; `changes` are fields of Trial."""
    shared: dict[str, Any] = {
        "data": data, "width": width, "image_size": image_size, "max_epochs": 15, "batches_per_epoch": 27, **changes,
    }  # fmt: skip
    trials = [
        made.trial(
            strategy, fold=fold, fraction=float(fraction), learning_rate=rate, seed=seed, draws=len(rates), **shared,
            **begun(start),
        )
        for fold in folds
        for seed in seeds
        for rate in rates
        for fraction in fractions
        for strategy in strategies
        for start in (("",) if strategy == "from scratch" else starts)
    ]  # fmt: skip
    tests = [
        replace(
            made.trial(fold=fold, fraction=0.0, learning_rate=rates[0], **shared, **begun(start)),
            strategy=AS_PRETRAINED,
            units=(),
        )
        for start in starts
        for fold in folds
    ]
    return [*trials, *(tests if as_pretrained else [])]


def begun(start: str) -> dict[str, str | None]:
    """The fields of a trial that begins from the start weights of this name, "" for random ones."""
    return {"start": start, "start_weights": hashlib.sha256(start.encode()).hexdigest() if start else None}


def made_attempt(trial: Trial, dataset: Dataset | None = None, *, dice: float | None = None, **changes: Any) -> Attempt:
    """A completed attempt; with `dataset` its test images are the truth, moved and eroded by chance."""
    random = np.random.default_rng(int(trial.id[:8], 16))
    skill = SKILL.get(trial.strategy, 0.75) - (0.1 if trial.fraction < 50 else 0) + random.normal(0, 0.015)
    skill = skill if dice is None else dice
    epochs = tuple(
        Epoch(
            epoch=epoch,
            training_loss=float(0.08 + 0.5 * np.exp(-epoch / 3) + random.normal(0, 0.006)),
            validation_loss=float(0.13 + 0.45 * np.exp(-epoch / 3.5) + 0.0015 * epoch + random.normal(0, 0.012)),
            validation_dice=float(skill * (1 - np.exp(-epoch / 3))),
            seconds=1.5,
        )
        for epoch in range(1, 16)
    )
    best = min(epochs, key=lambda epoch: epoch.validation_loss)
    images = () if dataset is None else tuple(_test_images(trial, dataset, skill, random))
    known = [image.dice for image in images if not image.empty_truth]
    mean = float(np.mean(known)) if known and dice is None else float(skill)
    normal = [image.predicted_pixels > 0 for image in images if image.empty_truth]
    counts = unet_parameters(trial.width)
    facts: dict[str, Any] = {
        "trial": trial, "number": 1, "state": "completed", "started": "2026-01-01T00:00:00+00:00", "seconds": 24.0,
        "host": "made", "best_epoch": best.epoch, "epochs_run": 15, "cut_at": 15, "dice": mean,
        "iou": mean / (2 - mean), "validation_loss": best.validation_loss, "validation_dice": best.validation_dice,
        "trainable_parameters": sum(counts[unit] for unit in trial.units), "hd95": 30 * (1 - mean), "hd95_unit": "mm",
        "kept_dice": 0.6 if trial.start else None, "calibration": made_bins(skill),
        "total_parameters": sum(counts.values()), "training_images": 54, "validation_images": 14,
        "validation_by": "image", "epochs": epochs, "test_images": images,
        "false_positive_rate": float(np.mean(normal)) if normal else None, "normal_images": len(normal),
    }  # fmt: skip
    return Attempt(**{**facts, **changes})


def made_bins(skill: float) -> tuple[Bin, ...]:
    """Ten bins of predicted probability, the better calibrated the higher the skill."""
    lows = [number / 10 for number in range(10)]
    positive = [round(1000 * (skill * (low + 0.05) + (1 - skill) * 0.5)) for low in lows]
    return tuple(
        Bin(low=low, pixels=1000, probability_sum=1000 * (low + 0.05), positive_pixels=count)
        for low, count in zip(lows, positive, strict=True)
    )


def _test_images(trial: Trial, dataset: Dataset, skill: float, random: np.random.Generator) -> list[TestImage]:
    found = []
    for index in range(trial.fold, len(dataset.images), 5):
        truth = np.asarray(dataset.masks[index], dtype=bool)
        side = max(np.sqrt(truth.sum()), 4)
        reach = (1 - skill) * side * 0.55
        down, across = (round(float(move)) for move in random.normal(0, reach, 2))
        mask = np.roll(truth, (down, across), (0, 1))
        if not truth.any():
            mask[8:20, 8:20] = random.random() > skill
        both = int(truth.sum() + mask.sum())
        dice = 2 * int((truth & mask).sum()) / both if both else 1.0
        row = dataset.table.iloc[index]
        found.append(
            TestImage(
                image=str(row["image"]), index=index, group=str(row["group"]), dice=dice, iou=dice / (2 - dice),
                empty_truth=not truth.any(), predicted_pixels=int(mask.sum()),
                predicted_mask=np.packbits(mask).tobytes(), hd95=30 * (1 - dice) if both and truth.any() else None,
            )
        )  # fmt: skip
    return found


def normals_folder(root: Path, images: int = 40, normal: int = 12) -> Path:
    """A folder of discs with its manifest, of which the first `normal` images are normal: they have no structure."""
    discs = made.discs(images, side=64)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    lines = ["image,mask,label"]
    for number, (pixels, mask) in enumerate(zip(discs.images, discs.masks, strict=True)):
        file, label = f"disc_{number:03d}.png", "normal" if number < normal else "disc"
        Image.fromarray(pixels).save(root / "images" / file)
        Image.fromarray(mask * np.uint8(255 * (label == "disc"))).save(root / "masks" / file)
        lines.append(f"images/{file},masks/{file},{label}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


def made_facts(dataset: Dataset, *, kind: str = "simulated", width: int = 16, **data: Any) -> dict[str, Any]:
    """facts.json of a made study."""
    size = int(dataset.images.shape[1])
    return {
        "question": "Which layers should be fine-tuned for ultrasound?",
        "planned": "2026-01-01T00:00:00+00:00",
        "data": {
            "name": dataset.name, "kind": kind, "provenance": dataset.provenance, "fingerprint": dataset.fingerprint,
            "images": len(dataset.images), "groups": None, "image_size": size, "compare_with": "SUS",
            "split_by": "image", "split_note": "", "labels": {}, "scanners": {}, **data,
        },
        "start_weights": [
            {
                "name": START, "sha256": begun(START)["start_weights"], "kind": "natural-like images",
                "description": "1,000 made natural-like images", "own_dice": 0.93, "seconds": 160.0,
            }
        ],
        "reference": "whole network",
        "margin": 0.01,
        "machine": {"host": "made", "processor": "made", "cores": 2, "gpu": None, "memory_gb": 8},
        "settings": {
            "width": width, "image_size": size, "max_epochs": 15, "patience": 20, "batches_per_epoch": 27,
            "precision": "float32", "threads": 1,
        },
        "table1": [
            {"fraction": fraction, "fold": fold, "training": training, "validation": validation, "test": 17}
            for fraction, training, validation in ((80, 54, 14), (5, 3, 1))
            for fold in (0, 1)
        ],
    }  # fmt: skip


def made_store(
    root: Path,
    cache: Path,
    *,
    study: str = "made",
    images: int = 40,
    image_size: int = 64,
    data: DataSettings | None = None,
    finished: Callable[[int, Trial], bool] = lambda place, trial: True,
    changes: Callable[[int, Trial], Mapping[str, Any]] = lambda place, trial: {},
    state: str = "finished",
    facts: Mapping[str, Any] | None = None,
    **trials: Any,
) -> Store:
    """A store with one study, `finished` deciding which trials have an attempt and `changes` what differs in it."""
    store = Store.at(root)
    settings = data or DataSettings(kind="simulated", images=images)
    dataset = open_dataset(settings, image_size, cache)
    planned = made_trials(dataset.fingerprint, image_size=image_size, **trials)
    store.begin(study, f"name: {study}\n")
    store.write_plan(study, planned, {**made_facts(dataset, kind=settings.kind), **(facts or {})})
    done = [trial for place, trial in enumerate(planned) if finished(place, trial)]
    for place, trial in enumerate(planned):
        if finished(place, trial):
            store.append(study, made_attempt(trial, dataset, **changes(place, trial)))
    store.write_progress(study, made_progress(state, len(planned), len(done)))
    return store


def made_progress(state: str, trials: int, closed: int) -> dict[str, Any]:
    """progress.json of a made run."""
    return {
        "state": state, "phase": "training", "fraction": 0.0, "trials": trials, "closed": closed, "failed": 0,
        "running": [], "seconds": 200.0, "eta_seconds": 75.0 if state == "running" else None,
        "updated": "2026-01-01T00:05:00+00:00", "error": "",
    }  # fmt: skip


def attempts_of(*attempts: Attempt) -> pd.DataFrame:
    """The attempts as the store gives them, without writing them."""
    names = [
        name for name in Attempt.__dataclass_fields__ if name not in ("trial", "epochs", "test_images", "calibration")
    ]
    return pd.DataFrame(
        [
            {"id": attempt.trial.id, **vars(attempt.trial), **{name: getattr(attempt, name) for name in names}}
            for attempt in attempts
        ]
    )


def plan_of(trials: Sequence[Trial]) -> pd.DataFrame:
    """The plan as the store gives it, without writing it."""
    return pd.DataFrame([{"id": trial.id, **vars(trial)} for trial in trials])


def cells_of(
    *attempts: Attempt, trials: Sequence[Trial], rate: Rate | None = None, measure: str = "dice"
) -> pd.DataFrame:
    """The cells of a study with these attempts."""
    plan = plan_of(trials)
    found = fold_table(trial_table(plan, attempts_of(*attempts), rate), measure)
    return cell_table(found, plan, "made images", measure=measure)
