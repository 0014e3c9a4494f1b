"""Make a study ready to run: data, start weights, a user's own network tried out, the plan, and what pages say."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from platform import python_version
from typing import Any

from engine import study as planning
from engine.architectures import UNITS, parse_strategy, trainable_parameters
from engine.changes import changed_settings, changed_yardstick
from engine.class_pretraining import class_start_images, class_start_weights, foreseen_output, held_out_classes
from engine.datasets import Dataset, open_dataset
from engine.errors import DataError, StoreError, StrategyError
from engine.hardware import Machine, Share, share, this_machine
from engine.models import build, check_network, network_code, unit_names, unit_parameters
from engine.models.weights_file import existing
from engine.pretraining import (
    StartWeights,
    encoder_weights,
    held_out_images,
    load_weights_file,
    start_images,
    start_weights,
)
from engine.rates import next_rate
from engine.store import Store, latest
from engine.strategies import prepare as prepare_network
from engine.study_settings import StartSettings, Study, start_name
from engine.trial import CLOSED, Trial

OUTPUT_CONVOLUTION = "9.4"
"""The U-Net's output convolution in the finer partition."""
VERSIONED = ("whichlayers", "torch", "ray", "numpy")


@dataclass(frozen=True, kw_only=True)
class Places:
    """What a trial takes on the nodes of a cluster, the same on each, and how many run at once."""

    portion: Share
    room: int
    """Trials at once that there is room for."""
    memory_bytes: int
    """That a trial reserves on its node; 0 reserves none."""
    machine: Machine
    """A node that runs trials, for what pages say."""
    nodes: tuple[Mapping[str, Any], ...] = ()
    """Each node that runs trials, for what pages say: host, cores, gpus, trials at once."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A study that is ready to run."""

    dataset: Dataset
    starts: dict[str, StartWeights]
    """By name; `planning.ENCODER` is the encoder's."""
    told: dict[str, planning.StartFacts]
    portion: Share
    trials: list[Trial]
    """All, but for the rates of a search that earlier ones will suggest."""
    facts: dict[str, Any]
    own: dict[str, Any]


def prepare(
    study: Study, store: Store, cache: Path, progress: Callable[[float, str], None], places: Places | None = None
) -> Prepared:
    """Data, start weights, what a trial may take here or at `places`, the plan, and the facts that pages show.

    Raises StoreError where the store holds another study's results under this name, DataError where start
    weights would be pre-trained on images of the study itself.
    """
    if places is None:
        machine = this_machine()
        portion = share(machine, study.resources, study.model, study.training.precision)
    else:
        machine, portion = places.machine, places.portion
    own = own_network(study)
    study = _with_reference(study, own.get("units"))
    dataset = open_dataset(
        study.data,
        study.model.image_size,
        cache,
        progress=lambda done, of: progress(done / max(of, 1), f"reading images: {done} of {of}"),
    )
    _require_output_learns(study, own.get("units"))
    # The hashes of the start weights are not known yet; the plan already shows whether data and folds fit.
    trials = planning.plan(study, dataset, {}, portion, **own)
    require_same_study(study, store, trials)
    _require_new_output_learns(study, dataset, _foreseen(study, own.get("units"), dataset, cache))
    starts = _starts(study, own.get("units"), dataset, store, cache, progress)
    told = {
        name: planning.StartFacts(
            sha256=weights.sha256,
            structures=weights.structures,
            classes=weights.classes,
            has_output=weights.has_output,
        )
        for name, weights in starts.items()
    }
    searched = KnownRates(study, store)
    trials = planning.plan(study, dataset, told, portion, **own, rates=searched, states=known_states(study, store))
    require_same_study(study, store, trials)
    planned = datetime.now(UTC).isoformat(timespec="seconds")
    about = [{key: value for key, value in asdict(weights).items() if key != "path"} for weights in starts.values()]
    facts = planning.facts(
        study,
        dataset,
        about,
        machine,
        trials,
        planned,
        parameters=_parameters(study, own.get("units"), planning.classes(study, dataset)),
        versions=versions(),
    )
    if places is not None:
        facts["nodes"] = [dict(node) for node in places.nodes]
    return Prepared(dataset=dataset, starts=starts, told=told, portion=portion, trials=trials, facts=facts, own=own)


class KnownRates:
    """The learning rates of a trial that are known now: fixed ones, then as many suggestions as results allow."""

    def __init__(self, study: Study, store: Store) -> None:
        self._study = study
        self._search = study.rate_search if study.rate_search and study.rate_search.search == "optuna" else None
        self._found: dict[str, float] = {}
        if self._search:
            attempts = store.attempts(study.name)
            closed = attempts[attempts["state"].isin((*CLOSED, "stopped_early"))]
            measure = "validation_accuracy" if planning.task(study) == "classification" else "validation_dice"
            self._found = dict(zip(closed["id"], closed[measure].astype(float).fillna(0.0), strict=True))

    def __call__(self, trial: Trial) -> list[float]:
        rates = list(planning.fixed_rates(self._study))
        if self._search is None:
            return rates
        while len(rates) < self._search.draws:
            found = [self._found.get(replace(trial, learning_rate=rate).id) for rate in rates]
            if None in found:
                break
            tried = [(rate, dice) for rate, dice in zip(rates, found, strict=True) if dice is not None]
            rates.append(next_rate(self._search, replace(trial, learning_rate=0.0).id, tried))
        return rates


def known_states(study: Study, store: Store) -> dict[str, str]:
    """The state of the closed or last attempt at each trial, by id, where a plan asks for it: to repeat what failed."""
    if not study.repeat_failed:
        return {}
    last = latest(store.attempts(study.name, ("state",)))
    return dict(zip(last["id"].astype(str), last["state"].astype(str), strict=True))


def own_network(study: Study) -> dict[str, Any]:
    """What a plan must know of a user's own network, which is tried out first; nothing for one of ours.

    Raises StudyFileError or StrategyError with what the network does wrong, StoreError where nobody allowed it.
    """
    model = study.model
    if model.name in UNITS:
        return {}
    sys.path[:0] = [] if str(Path.cwd()) in sys.path else [str(Path.cwd())]  # as `python -m` would find it
    check_network(
        model.name, image_size=model.image_size, classes=len(study.data.mask), unit_modules=model.unit_modules
    )
    return {"code": network_code(model.name), "units": unit_names(model.name, unit_modules=model.unit_modules)}


def _parameters(study: Study, units: Sequence[str] | None, classes: int) -> dict[str, dict[str, int]]:
    """How many parameters of each strategy learn, of how many."""
    model = study.model
    found = {}
    for strategy in planning.strategies(study, units):
        smp = strategy.network == "smp"
        counts = unit_parameters(
            "smp" if smp else model.name,
            width=model.width,
            classes=classes,
            encoder=study.encoder.name if smp else "",
            unit_modules="" if smp else model.unit_modules,
        )
        if not smp and model.name in UNITS:
            learn = trainable_parameters(strategy, model.name, model.width, classes=classes)
        elif strategy.method == "LoRA":
            network = build(model.name, width=model.width, classes=classes, unit_modules=model.unit_modules)
            learning = prepare_network(network, strategy.units, strategy.method, strategy.rank)
            learn = sum(parameter.numel() for parameter in learning)
        else:
            learn = sum(counts[unit] for unit in strategy.units)
        found[strategy.name] = {"trainable": learn, "total": sum(counts.values())}
    return found


def _with_reference(study: Study, units: Sequence[str] | None) -> Study:
    """The study with its reference under the name that the plan gives it, where only the network says its units.

    Raises StrategyError where the network has no such strategy.
    """
    if not units:
        return study
    try:
        return replace(study, reference=parse_strategy(study.reference, study.model.name, units).name)
    except StrategyError as error:
        raise StrategyError(f"'reference': {'; '.join(error.problems)}") from error


def versions() -> dict[str, str]:
    """Versions of what decides a study's numbers; "" of what is not installed here, as Ray beside another scheduler."""
    found = {name: next((one.version for one in distributions(name=name)), "") for name in VERSIONED}
    return {**found, "python": python_version()}


def _starts(
    study: Study,
    units: Sequence[str] | None,
    dataset: Dataset,
    store: Store,
    cache: Path,
    progress: Callable[[float, str], None],
) -> dict[str, StartWeights]:
    """The start weights that the study's strategies need, by name."""
    needed = {strategy.start for strategy in planning.strategies(study, units)}
    starts: dict[str, StartWeights] = {}
    if "start weights" in needed:
        known = _known(study.name, store)
        for place, settings in enumerate(study.start_weights):
            _require_other_images(study, settings, dataset, cache)

            def tell(part: float, text: str, place: int = place) -> None:
                progress((place + part) / len(study.start_weights), text)

            if planning.task(study) == "classification":
                weights = class_start_weights(settings, study, len(dataset.classes), cache, tell, known)
            else:
                weights = start_weights(settings, study, cache, tell, known)
            starts[weights.name] = weights
    if "encoder" in needed and study.encoder.weights:
        starts[planning.ENCODER] = encoder_weights(study.encoder, cache)
    return starts


def _foreseen(
    study: Study, units: Sequence[str] | None, dataset: Dataset, cache: Path
) -> dict[str, planning.StartFacts]:
    """What is known of the start weights that strategies need before any are made, by name.

    Raises WeightsError or DataError where a file or a folder cannot be used.
    """
    if not any(strategy.start == "start weights" for strategy in planning.strategies(study, units)):
        return {}
    found = {}
    for settings in study.start_weights:
        facts = planning.StartFacts(sha256=None, structures=_structures(settings))
        if planning.task(study) == "classification":
            classes, has_output = foreseen_output(settings, study, len(dataset.classes), cache)
            facts = replace(facts, classes=classes, has_output=has_output)
        elif settings.kind == "file":
            facts = replace(facts, structures=load_weights_file(existing(settings.file, "file"), study)[1])
        found[start_name(settings)] = facts
    return found


def held_out_files(study: Study, ready: Prepared, cache: Path) -> dict[str, str]:
    """File with the held-out images of each start weights, by the hash of the weights."""
    found = {}
    for settings in study.start_weights:
        weights = ready.starts.get(start_name(settings))
        if weights is None:
            continue
        path = None
        if planning.task(study) == "classification":
            if weights.classes == ready.dataset.classes:
                path = held_out_classes(settings, study, cache)
        elif weights.structures == len(study.data.mask):
            path = held_out_images(settings, study, cache)
        if path is not None:
            found[weights.sha256] = str(path)
    return found


def require_same_study(study: Study, store: Store, trials: Sequence[Trial]) -> None:
    """Raises StoreError, naming what differs, where the store holds results under this name and other settings."""
    planned, facts = store.plan(study.name), store.facts(study.name)
    changed, yardstick = changed_settings(planned, trials), changed_yardstick(facts, study)
    if not (changed or yardstick) or not set(store.attempts(study.name)["id"]) & set(planned["id"]):
        return
    if changed:
        raise StoreError(
            f"study '{study.name}' holds results under other settings ({'; '.join(changed)}), which cannot stand in "
            "one table with new ones; give this run another --name"
        )
    raise StoreError(
        f"study '{study.name}' holds results, and what they are held against is named before any is seen "
        f"({'; '.join(yardstick)}); put it back, or give this run another --name"
    )


def _require_other_images(study: Study, settings: StartSettings, dataset: Dataset, cache: Path) -> None:
    """Start weights that have seen images or patients of the study, test folds too, would answer another question."""
    images_of = class_start_images if planning.task(study) == "classification" else start_images
    others = images_of(settings, study, cache)
    if others is None:
        return
    seen = {image.tobytes() for image in others.images}
    both = [
        str(name) for name, image in zip(dataset.table["image"], dataset.images, strict=True) if image.tobytes() in seen
    ]
    if both:
        raise DataError(
            f"start_weights.folder: {others.name} holds {len(both)} images of {dataset.name} (the first: {both[0]}); "
            "pre-train on other images, or test images would have been seen"
        )
    if settings.kind == "folder" and _same_folder(settings.folder or study.data.folder, study.data.folder):
        groups = sorted((set(dataset.table["group"]) & set(others.table["group"])) - {""})
        if groups:
            raise DataError(
                f"start_weights.where: {len(groups)} groups are among the images to adapt to as well (the first: "
                f"{groups[0]}); leave them out on one side, or patients of the test folds would have been seen"
            )


def _same_folder(first: str | None, second: str | None) -> bool:
    return (
        bool(first and second) and Path(str(first)).expanduser().resolve() == Path(str(second)).expanduser().resolve()
    )


def _require_output_learns(study: Study, units: Sequence[str] | None) -> None:
    """Start weights for another number of structures leave the output layer to be learned, by every strategy.

    Raises StrategyError with the strategies that freeze it, before any start weights are made.
    """
    if planning.task(study) == "classification":
        return
    classes = len(study.data.mask)
    others = [start for start in study.start_weights if start.kind != "file" and _structures(start) != classes]
    if not others:
        return
    name, given = start_name(others[0]), _structures(others[0])
    if classes == 1:
        raise StrategyError(
            f"start_weights '{name}' are for {given} structures, the study learns one; write 'start_weights.mask' with "
            "one column, or learn the same structures"
        )
    order = tuple(units or study.model.units or UNITS.get(study.model.name, ()))
    wrong = [
        strategy.name
        for strategy in planning.strategies(study, units)
        if strategy.start == "start weights"
        and (strategy.method == "LoRA" or not {order[-1], OUTPUT_CONVOLUTION} & set(strategy.units))
    ]
    if wrong:
        raise StrategyError(
            f"start_weights '{name}' are for {given} structure{'s' * (given > 1)}, the study learns {classes}: the "
            f"output layer is new and must learn, and is frozen by {', '.join(wrong)}; leave them out"
        )


def _require_new_output_learns(study: Study, dataset: Dataset, told: Mapping[str, planning.StartFacts]) -> None:
    """Start weights that tell other classes apart leave the output layer to be learned, by every strategy.

    Raises StrategyError with the strategies that freeze it, before any start weights are made.
    """
    for name, start in told.items():
        if not planning.new_output(study, dataset, start):
            continue
        last = UNITS[study.model.name][-1]
        wrong = [
            strategy.name
            for strategy in planning.strategies(study)
            if strategy.start == "start weights" and last not in strategy.units
        ]
        if wrong:
            theirs = f"{len(start.classes)} other classes" if start.classes else "other classes"
            raise StrategyError(
                f"start_weights '{name}' are for {theirs}: the output layer {last} is new and must learn, and is "
                f"frozen by {', '.join(wrong)}; add it to them as in 'units {UNITS[study.model.name][0]},{last}', or "
                "leave them out"
            )


def _structures(start: StartSettings) -> int:
    return len(start.mask) if start.kind == "folder" else 1


def _known(study: str, store: Store) -> list[StartWeights]:
    """The start weights that the study's stored trials began from."""
    told = store.facts(study).get("start_weights") or []
    found = []
    for facts in [told] if isinstance(told, dict) else told:
        with suppress(StoreError, TypeError):
            classes = tuple(facts.get("classes", ()))
            found.append(
                StartWeights(path=store.start_weights(study, facts["sha256"]), **{**facts, "classes": classes})
            )
    return found


def preview(study: Study, store: Store, cache: Path) -> tuple[Dataset, Share, list[Trial]]:
    """Data, what a trial may take, and the plan with the start weights that are known, without making any.

    Raises what a run would: data that are too few, a network that cannot be trained, weights of a file that do not
    fit, a new output layer that stays frozen, or a name that holds results under other settings.
    """
    portion = share(this_machine(), study.resources, study.model, study.training.precision)
    own = own_network(study)
    study = _with_reference(study, own.get("units"))
    _require_output_learns(study, own.get("units"))
    dataset = open_dataset(study.data, study.model.image_size, cache)
    known = {weights.name: weights for weights in _known(study.name, store)}
    told = {
        name: replace(facts, sha256=known[name].sha256 if name in known else None)
        for name, facts in _foreseen(study, own.get("units"), dataset, cache).items()
    }
    _require_new_output_learns(study, dataset, told)
    rates, states = KnownRates(study, store), known_states(study, store)
    trials = planning.plan(study, dataset, told, portion, **own, rates=rates, states=states)
    require_same_study(study, store, trials)
    return dataset, portion, trials
