"""What a study consists of: its trials, in the order of running, and what is known before the first. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Literal

import pandas as pd

from engine.architectures import STRATEGIES, parse_strategy
from engine.datasets import Dataset
from engine.errors import DataError
from engine.hardware import Machine, Share
from engine.splits import batches_per_epoch, table1
from engine.study_settings import Study
from engine.trial import Trial


def split_by(study: Study, dataset: Dataset) -> Literal["group", "image"]:
    """Whether folds keep groups whole: as the study file says, else wherever the data name groups.

    Raises DataError where groups are asked for, or named for some images, and an image names none.
    """
    nameless = dataset.table.loc[dataset.table["group"] == "", "image"]
    if study.split.by == "image" or (study.split.by == "auto" and len(nameless) == len(dataset.table)):
        return "image"
    if len(nameless):
        raise DataError(
            f"{dataset.name}: {len(nameless)} of {len(dataset.table)} images name no group (the first: "
            f"{nameless.iloc[0]}), so patients cannot be kept apart; fill in the column 'group', or write "
            "'split: {by: image}' to ignore groups"
        )
    return "group"


def plan(study: Study, dataset: Dataset, start_weights: str | None, share: Share) -> list[Trial]:
    """The study's trials: a cell's folds stand together, so that cells are finished one after the other.

    `start_weights` is their hash; None only where every strategy starts from random weights. Raises
    DataError where the data are too few for the folds or fractions, before anything runs.
    """
    split_sizes(study, dataset)  # raises before anything runs
    by = split_by(study, dataset)
    batches = study.training.batches_per_epoch
    if batches is None:
        batches = batches_per_epoch(len(dataset.images), study.folds.of, study.training.batch_size)
    augmentation = study.training.augmentation
    names = study.strategies or tuple(STRATEGIES[study.model.name])
    return [
        Trial(
            data=dataset.fingerprint,
            split_by=by,
            split_seed=study.split.seed,
            folds=study.folds.of,
            fold=fold,
            fraction=float(fraction),
            strategy=strategy.name,
            model=study.model.name,
            width=study.model.width,
            image_size=study.model.image_size,
            units=strategy.units,
            learning_rate=float(rate),
            seed=seed,
            start_weights=start_weights if strategy.start == "start weights" else None,
            batch_size=study.training.batch_size,
            patience=study.training.patience,
            max_epochs=study.training.max_epochs,
            batches_per_epoch=batches,
            shift=float(augmentation.shift) if augmentation else 0.0,
            zoom=float(augmentation.zoom) if augmentation else 0.0,
            flip=augmentation.flip if augmentation else False,
            precision=share.precision,
            threads=share.threads,
            device=share.device,
        )
        for fraction in study.fractions
        for strategy in (parse_strategy(name, study.model.name) for name in names)
        for rate in study.learning_rates
        for seed in study.seeds
        for fold in study.folds.run
    ]


def split_sizes(study: Study, dataset: Dataset) -> pd.DataFrame:
    """Images in training, validation and test of each fraction and fold (Amiri et al. 2020, Table I).

    Columns as `engine.splits.table1`. Raises DataError where the data are too few.
    """
    return table1(
        len(dataset.images),
        dataset.groups_for_splits(split_by(study, dataset)),
        of=study.folds.of,
        fractions=study.fractions,
        seed=study.split.seed,
        folds=study.folds.run,
    )


def facts(
    study: Study,
    dataset: Dataset,
    start_weights: Mapping[str, Any] | None,
    machine: Machine,
    trials: Sequence[Trial],
    planned: str,
) -> dict[str, Any]:
    """What pages say about a study beside its numbers: data, start weights, machine and settings (JSON-able)."""
    sizes = split_sizes(study, dataset)
    first = trials[0]
    return {
        "question": study.question,
        "planned": planned,
        "data": {
            "name": dataset.name,
            "kind": study.data.kind,
            "provenance": dataset.provenance,
            "fingerprint": dataset.fingerprint,
            "images": len(dataset.images),
            "groups": int(dataset.table["group"].nunique()) if dataset.has_groups else None,
            "image_size": study.model.image_size,
            "compare_with": study.data.compare_with,
            "split_by": first.split_by,
            "split_note": "; ".join(dict.fromkeys(_united(dataset, first) + [n for n in sizes["note"] if n])),
            "labels": _counts(dataset.table["label"]),
            "scanners": _counts(dataset.table["scanner"]),
        },
        "start_weights": None if start_weights is None else dict(start_weights),
        "machine": asdict(machine),
        "settings": {
            "width": first.width,
            "image_size": first.image_size,
            "max_epochs": first.max_epochs,
            "patience": first.patience,
            "batch_size": first.batch_size,
            "batches_per_epoch": first.batches_per_epoch,
            "precision": first.precision,
            "threads": first.threads,
            "device": first.device,
        },
        "table1": sizes.to_dict(orient="records"),
    }


def _united(dataset: Dataset, trial: Trial) -> list[str]:
    """What the page must say where groups or images were united because they are identical to the pixel."""
    together = dataset.groups_for_splits(trial.split_by) or []
    united = sorted({name for name in together if " + " in name})
    what = "groups that share identical images" if trial.split_by == "group" else "identical images"
    return [f"{what} stay together: {', '.join(united)}"] if united else []


def changed_settings(planned: pd.DataFrame, trials: Sequence[Trial]) -> list[str]:
    """`width 16 -> 32`, for each setting that a study cannot change while it keeps its name.

    `planned` is the plan that results were stored under. Axes (strategies, fractions, rates, folds, seeds) may
    grow and shrink; anything else makes every earlier result another study's.
    """
    if planned.empty or not trials:
        return []
    axes = {"id", "strategy", "units", "fraction", "fold", "learning_rate", "seed"}
    found = []
    for name in [field.name for field in fields(Trial) if field.name not in axes]:
        before = {value for value in planned[name] if not pd.isna(value)}
        now = {value for value in (getattr(trial, name) for trial in trials) if value is not None}
        if before and now and before != now:
            found.append(f"{name} {_short(before)} -> {_short(now)}")
    return found


def _short(values: set[Any]) -> str:
    return ", ".join(str(value)[:12] for value in sorted(values))


def _counts(column: pd.Series) -> dict[str, int]:
    counts: Mapping[Any, int] = column[column != ""].value_counts().to_dict()
    return {str(name): int(count) for name, count in counts.items()}
