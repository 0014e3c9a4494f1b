"""What a study consists of: its trials, in the order of running, and what is known before the first. Pure."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from math import ceil
from typing import Any, Literal

import numpy as np
import pandas as pd

from engine.architectures import STRATEGIES, UNET_UNITS, Strategy, first_learning_stage, parse_strategy
from engine.combinations import caveats, drawn
from engine.datasets import Dataset
from engine.errors import DataError
from engine.hardware import Machine, Share
from engine.repeats import repeats
from engine.splits import batches_per_epoch, full_pool_percent, table1
from engine.study_settings import Study, start_name
from engine.trial import AS_PRETRAINED, Task, Trial

ENCODER = "encoder of the smp U-Net"
"""Name of the start weights of the encoder of the `smp U-Net` strategies."""
Rates = Callable[[Trial], Sequence[float]]
"""Gives the learning rates of a trial, whose own is not set yet."""


@dataclass(frozen=True, kw_only=True)
class StartFacts:
    """What a plan must know of start weights."""

    sha256: str | None
    """None before they are made: the trials' ids are not final then."""
    structures: int = 1
    """Structures that their output layer is for."""
    classes: tuple[str, ...] = ()
    """Classes that they tell apart, in the order of their output layer; () where that is not known."""
    has_output: bool = True
    """Whether they hold an output layer for as many classes as the study has."""


def task(study: Study) -> Task:
    """What the study's networks learn."""
    return "classification" if study.data.learn == "labels" else "segmentation"


def classes(study: Study, dataset: Dataset) -> int:
    """Structures that are outlined, or classes that are told apart."""
    return len(dataset.classes) if task(study) == "classification" else len(study.data.mask)


def new_output(study: Study, dataset: Dataset, start: StartFacts) -> bool:
    """Whether start weights lack an output layer for the study's classes, so that it must be learned."""
    if task(study) == "segmentation":
        return False
    return not start.has_output or (bool(start.classes) and start.classes != dataset.classes)


def split_by(study: Study, dataset: Dataset) -> Literal["group", "image", "given"]:
    """Whether folds keep groups whole: as the study file says, else wherever the data name groups.

    Raises DataError where groups are asked for, or named for some images, and an image names none.
    """
    if study.split.by == "given":
        return "given"
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


def plan(
    study: Study,
    dataset: Dataset,
    starts: Mapping[str, StartFacts],
    share: Share,
    *,
    code: str = "",
    units: Sequence[str] | None = None,
    rates: Rates | None = None,
    states: Mapping[str, str] | None = None,
) -> list[Trial]:
    """The study's trials: a cell's folds stand together, so that cells are finished one after the other.

    Behind them come the tests of the start weights as they are, one per start and fold, and then the failed folds that
    are trained again. `starts` are the start weights by name, `ENCODER` those of the encoder; `code` is the hash of a
    user's own network, `units` its units where the study file does not name them; `rates` gives the learning rates
    of a trial where they are searched, `states` are those of trials that were run, by id. Raises DataError where the
    data are too few for the folds or fractions, before anything runs.
    """
    split_sizes(study, dataset)  # raises before anything runs
    by = split_by(study, dataset)
    batches = study.training.batches_per_epoch
    if batches is None:
        batches = batches_per_epoch(
            len(dataset.images),
            study.folds.of,
            study.training.batch_size,
            validation=study.split.validation,
            given=list(dataset.table["split"]) if by == "given" else None,
        )
    training = study.training
    augmentation = training.augmentation
    kind = task(study)
    # Rates and iterations that are meant for another batch size change with it (Cheng and Malhi 2017).
    scale = training.batch_size / training.rates_for_batch if training.rates_for_batch else 1.0
    named = strategies(study, units)
    any_rates = rates or (lambda trial: fixed_rates(study))
    geometry = _geometry(dataset) if kind == "segmentation" else ""
    draws = study.rate_search.draws if study.rate_search else len(study.learning_rates)
    trials: list[Trial] = []
    for fraction in study.fractions:
        for strategy in named:
            for start in names_of_starts(study, strategy):
                for seed in study.seeds:
                    cell = [
                        Trial(
                            data=dataset.fingerprint,
                            split_by=by,
                            split_seed=split_seed(study, strategy.name, float(fraction)),
                            folds=study.folds.of,
                            fold=fold,
                            fraction=float(fraction),
                            strategy=strategy.name,
                            model="smp" if strategy.network == "smp" else study.model.name,
                            width=study.model.width,
                            image_size=study.model.image_size,
                            units=strategy.units,
                            learning_rate=0.0,
                            seed=seed,
                            start_weights=starts[start].sha256 if start in starts else None,
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
                            start="" if start == ENCODER else start,
                            draws=draws,
                            method=strategy.method,
                            rank=strategy.rank,
                            unfreeze_every=study.training.unfreeze_every
                            if strategy.method == "gradual unfreezing"
                            else 0,
                            classes=classes(study, dataset),
                            encoder=study.encoder.name if strategy.network == "smp" else "",
                            unit_modules=study.model.unit_modules,
                            code=code,
                            geometry=geometry,
                            task=kind,
                            validation=float(study.split.validation),
                            iterations=round((training.iterations or 0) / scale),
                            optimiser=training.optimiser,
                            momentum=float(training.momentum) if training.optimiser == "sgd" else 0.0,
                            weight_decay=float(training.weight_decay),
                            unit_rates=_json(training.unit_rates) if training.unit_rates else "",
                            crop=training.crop or 0,
                            crops_kept=crops_kept(study, strategy),
                            subtract_mean=training.subtract_mean,
                            statistics=training.statistics,
                            new_output=start in starts and new_output(study, dataset, starts[start]),
                        )
                        for fold in study.folds.run
                    ]
                    by_fold = [
                        [replace(trial, learning_rate=rate * scale) for rate in any_rates(trial)] for trial in cell
                    ]
                    trials += [trial for rates_of_fold in zip_longest(*by_fold) for trial in rates_of_fold if trial]
    trials = drawn(study, trials)
    return trials + _as_pretrained(study, dataset, starts, trials) + repeats(study, trials, states or {})


def crops_kept(study: Study, strategy: Strategy) -> int:
    """Random views per image whose frozen layers the strategy's trials compute once.

    For masks only where the U-Net's first units are frozen and images are augmented: elsewhere the setting changes
    nothing, and trials stay the same trials.
    """
    views = study.training.crops_kept
    if task(study) == "classification":
        return views
    frozen = strategy.network == "study" and first_learning_stage(strategy.units) not in (None, UNET_UNITS[0])
    return views if frozen and study.model.name == "unet" and study.training.augmentation else 0


def _geometry(dataset: Dataset) -> str:
    """SHA-256 of what turns distances in the network's pixels into mm."""
    columns = dataset.table[["spacing_mm", "source_height", "source_width"]]
    return hashlib.sha256(columns.astype(float).to_numpy().tobytes()).hexdigest()


def _json(value: Mapping[str, float]) -> str:
    return json.dumps({name: float(factor) for name, factor in value.items()}, sort_keys=True, separators=(",", ":"))


def _as_pretrained(
    study: Study, dataset: Dataset, starts: Mapping[str, StartFacts], trials: Sequence[Trial]
) -> list[Trial]:
    """A test of each start weights without fine-tuning, in each fold (Amiri et al. 2020, Fig. 7)."""
    fits = [
        name
        for name, start in starts.items()
        if name != ENCODER
        and (
            not new_output(study, dataset, start)
            if task(study) == "classification"
            else start.structures == len(study.data.mask)
        )
    ]
    return [
        replace(
            next(trial for trial in trials if trial.start == name and trial.fold == fold),
            strategy=AS_PRETRAINED,
            fraction=0.0,
            units=(),
            method="fine-tune",
            rank=0,
            unfreeze_every=0,
            learning_rate=fixed_rates(study)[0],
            draws=1,
            split_seed=study.split.seed,
            seed=study.seeds[0],
        )
        for name in fits
        if any(trial.start == name for trial in trials)
        for fold in study.folds.run
    ]


def strategies(study: Study, units: Sequence[str] | None = None) -> list[Strategy]:
    """The strategies of a study; the paper's thirteen, or of another network whole and scratch, where it names none.

    `units` are those of a user's own network where the study file does not name them. Raises StrategyError.
    """
    names = study.strategies or tuple(STRATEGIES.get(study.model.name, ("whole network", "from scratch")))
    known = tuple(units or study.model.units) or None
    return [parse_strategy(name, study.model.name, known) for name in names]


def trials_in_all(study: Study, trials: Sequence[Trial]) -> int:
    """How many trials a study will have, with the learning rates that a search has yet to choose."""
    if study.rate_search is None:
        return len(trials)
    cells = {(t.start, t.strategy, t.fraction, t.fold, t.seed, t.repeat, t.draws) for t in trials}
    return sum(draws for *_, draws in cells)


def names_of_starts(study: Study, strategy: Strategy) -> tuple[str, ...]:
    """The start weights that a strategy begins from: each of the study's, the encoder's, or "" for random ones."""
    if strategy.start == "start weights":
        return tuple(start_name(start) for start in study.start_weights)
    return (ENCODER,) if strategy.start == "encoder" and study.encoder.weights else ("",)


def split_seed(study: Study, strategy: str, fraction: float) -> int:
    """Seed of the folds: the study's, or one of its own for every strategy and fraction (the paper's repeat)."""
    if not study.split.new_folds:
        return study.split.seed
    key = json.dumps([study.split.seed, strategy, fraction])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def fixed_rates(study: Study) -> tuple[float, ...]:
    """The learning rates that are known before any trial: those named, and those drawn at random in the range."""
    search = study.rate_search
    named = tuple(float(rate) for rate in study.learning_rates)
    if search is None or search.search != "random":
        return named
    random = np.random.default_rng([search.seed, 3])
    rates = list(named)
    while len(rates) < search.draws:
        drawn = float(np.exp(random.uniform(np.log(search.low), np.log(search.high))))
        rounded = float(f"{drawn:.3g}")
        rates.append(drawn if rounded in rates else rounded)
    return tuple(rates)


def split_sizes(study: Study, dataset: Dataset) -> pd.DataFrame:
    """Images in training, validation and test of each fraction and fold (Amiri et al. 2020, Table I).

    Columns as `engine.splits.table1`. Raises DataError where the data are too few.
    """
    by = split_by(study, dataset)

    def sizes(fractions: Sequence[float]) -> pd.DataFrame:
        return table1(
            len(dataset.images),
            dataset.groups_for_splits(by),
            by=by,
            given=list(dataset.table["split"]),
            validation=study.split.validation,
            labels=list(dataset.table["label"]) if task(study) == "classification" else None,
            of=study.folds.of,
            fractions=fractions,
            seed=study.split.seed,
            folds=study.folds.run,
            named=list(dataset.table["group"]) if dataset.has_groups else None,
        )

    if by == "group":
        least = min(100 * 2 / len(dataset.images), full_pool_percent(study.folds.of))
        pools = {fraction: sizes([max(float(fraction), least)]) for fraction in study.fractions}
        _require_whole_groups(pools, len(dataset.images))
    return sizes(study.fractions)


def _require_whole_groups(pools: Mapping[float, pd.DataFrame], images: int) -> None:
    """Raises DataError where no group is as small as a fraction asks, so that its number would say another thing.

    A pool may be up to twice as large as asked for: a smaller part of a group would be nearer to none than to one.
    """
    problems = []
    for fraction, sizes in pools.items():
        wanted = int(fraction * images / 100 + 0.5)
        pool = int((sizes["training"] + sizes["validation"]).max())
        if pool > 2 * wanted:
            enough = ceil(100 * 100 * pool / images) / 100
            problems.append(
                f"fractions: {fraction:g} % of {images} images is {wanted}, and the smallest pool of whole groups "
                f"has {pool}; take {enough:g} % at least, or write 'split: {{by: image}}'"
            )
    if problems:
        raise DataError(problems)


def facts(
    study: Study,
    dataset: Dataset,
    start_weights: Sequence[Mapping[str, Any]],
    machine: Machine,
    trials: Sequence[Trial],
    planned: str,
    parameters: Mapping[str, Mapping[str, int]] | None = None,
    versions: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What pages say about a study beside its numbers: data, start weights, machine and settings (JSON-able).

    `parameters` says of each strategy how many parameters learn (`trainable`) of how many (`total`).
    """
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
            "structures": list(dataset.structures),
            "classes": list(dataset.classes),
            "caveats": list(dataset.caveats),
            "new_folds": study.split.new_folds,
        },
        "start_weights": [dict(start) for start in start_weights],
        "reference": study.reference,
        "margin": study.margin,
        "repeat_failed": study.repeat_failed,
        "search": {**asdict(study.search), "caveats": caveats(study)},
        "parameters": {name: dict(counts) for name, counts in (parameters or {}).items()},
        "versions": dict(versions or {}),
        "machine": asdict(machine),
        "settings": {
            "task": first.task,
            "width": first.width,
            "image_size": first.image_size,
            "max_epochs": first.max_epochs,
            "patience": first.patience,
            "batch_size": first.batch_size,
            "batches_per_epoch": first.batches_per_epoch,
            "precision": first.precision,
            "threads": first.threads,
            "device": first.device,
            "model": first.model,
            "iterations": first.iterations,
            "optimiser": first.optimiser,
            "momentum": first.momentum,
            "weight_decay": first.weight_decay,
            "unit_rates": json.loads(first.unit_rates or "{}"),
            "crop": first.crop,
            "crops_kept": max(trial.crops_kept for trial in trials),
            "subtract_mean": first.subtract_mean,
            "statistics": study.training.statistics,
            "validation": first.validation,
            "augmentation": {"shift": first.shift, "zoom": first.zoom, "flip": first.flip},
        },
        "table1": sizes.to_dict(orient="records"),
    }


def _united(dataset: Dataset, trial: Trial) -> list[str]:
    """What the page must say where groups or images were united because they are identical to the pixel."""
    together = dataset.groups_for_splits(trial.split_by) or []
    united = sorted({name for name in together if " + " in name})
    what = "groups that share identical images" if trial.split_by == "group" else "identical images"
    return [f"{what} stay together: {', '.join(united)}"] if united else []


def _counts(column: pd.Series) -> dict[str, int]:
    counts: Mapping[Any, int] = column[column != ""].value_counts().to_dict()
    return {str(name): int(count) for name, count in counts.items()}
