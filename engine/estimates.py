"""What a study will take before it runs: trials, time and disk, from a timed training step of each strategy here."""

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from torch import nn

from engine import steering
from engine import study as planning
from engine.combinations import caveats, product
from engine.datasets import Dataset
from engine.datasets.cache_files import write_aside
from engine.gradient_norms import AUTO_BATCHES
from engine.hardware import Machine, this_machine
from engine.large_layers import LargeLayers
from engine.preparation import known_states, preview
from engine.repeats import most_repeats
from engine.splits import Split
from engine.store import Store
from engine.strategies import prepare as prepare_network
from engine.strategies import trained_tensors
from engine.study_settings import Study, start_name
from engine.tasks import work_of
from engine.tasks.kept_views import kept_bytes
from engine.training import build_network, optimiser_of, split_of
from engine.trial import Trial

STEPS = 4
"""Training steps that are timed, after one that is not."""
LONGEST_SECONDS = 1.0
"""Time after which no further step is timed."""
IMAGES = 8
"""Images of each set that are taken for timing."""
START_SECONDS = 10.0
"""Ray's start and end."""
ROW_BYTES = 30_000
"""A trial's row without predicted masks."""
MADE = ("file", "library")
"""Kinds of start weights that need no training."""

Tell = Callable[[float, str], None]
Cell = tuple[str, str, float, int, int, int]
"""Start, strategy, fraction, fold, seed and repeat: what trials with different learning rates share."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one strategy takes on this machine, one trial alone."""

    step_seconds: float
    """One optimiser step."""
    image_seconds: float
    """Seeing one image, in validation or test."""
    tensor_bytes: int
    """Size of what is trained."""


@dataclass(frozen=True, kw_only=True)
class StrategyCost:
    """What one strategy's trials will take."""

    strategy: str
    trials: int
    """To run."""
    step_seconds: float
    low_seconds: float
    """Of one trial, on average, where its validation loss never falls after the first epoch."""
    high_seconds: float
    """Where it trains to the cap."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a study will take on this machine."""

    study: str
    data: str
    """Where the images come from, in words."""
    product: str
    """`13 strategies x 3 fractions x ...`"""
    trials: int
    done: int
    """Closed already, stopped by hand, or ended by the study's scheduler."""
    left: int
    at_once: int
    device: str
    precision: str
    low_seconds: float
    """Wall time where every training stops as early as it can: after `patience` epochs without a better one."""
    high_seconds: float
    """Where every training goes to its cap of epochs."""
    start_seconds: float
    """Making start weights before that, where the cache does not hold them yet."""
    disk_bytes: int
    """For what is still to run, weights included."""
    free_bytes: int
    """In the folder of results."""
    strategies: tuple[StrategyCost, ...]
    split: tuple[dict[str, Any], ...]
    """Images that train, validate and test, a row per fraction and fold."""
    notes: tuple[str, ...]
    """What should be known, a sentence each."""


def estimate(study: Study, store: Store, cache: Path, tell: Tell = lambda part, text: None) -> Estimate:
    """Times a step of each strategy that is to run (kept in the cache, per machine) and adds up.

    Raises what a run would: bad data, more GPUs than there are, a name that holds results under other settings.
    """
    cache = cache.expanduser()
    tell(0.0, "reading images")
    dataset, portion, trials = preview(study, store, cache)
    machine = this_machine()
    total = planning.trials_in_all(study, trials)
    done = steering.settled(
        store.attempts(study.name, ("state",)),
        steering.requests(store, study.name),
        early=study.search.scheduler != "fifo",
    )
    left = [trial for trial in trials if trial.id not in done]
    shares = _shares(study, trials)
    named = list(dict.fromkeys((trial.strategy, trial.units) for trial in left))
    timings: dict[str, Timing] = {}
    for place, (strategy, _) in enumerate(named):
        tell(place / len(named), f"timing a step of {strategy}")
        first = next(trial for trial in left if trial.strategy == strategy)
        timings[strategy] = timing(first, dataset, machine, cache)
    costs = [(trial, shares[_cell(trial)], _seconds(trial, dataset, timings[trial.strategy])) for trial in left]
    low, high = (
        _wall([(share * seconds[end], seconds[end]) for _, share, seconds in costs], portion.at_once) for end in (0, 1)
    )
    return Estimate(
        study=study.name,
        data=dataset.provenance,
        product=product(study, trials),
        trials=total,
        done=len(trials) - len(left),
        left=total - (len(trials) - len(left)),
        at_once=portion.at_once,
        device=portion.device,
        precision=portion.precision,
        low_seconds=low,
        high_seconds=high,
        start_seconds=_start_seconds(study, left, timings),
        disk_bytes=_disk(study, costs, dataset, timings),
        free_bytes=_free(store),
        strategies=tuple(_cost(strategy, costs, timings[strategy]) for strategy, _ in named),
        split=tuple(_rows(planning.split_sizes(study, dataset))),
        notes=(*caveats(study), *_repeated(study, store, trials), *_kept(left, dataset)),
    )


def _repeated(study: Study, store: Store, trials: Sequence[Trial]) -> list[str]:
    """How many trainings may come on top, where failed folds are trained again."""
    most = most_repeats(study, trials, known_states(study, store)) if study.repeat_failed else 0
    if not most:
        return []
    times = f"{study.repeat_failed} time{'s' * (study.repeat_failed > 1)}"
    return [f"Up to {most} more trials where folds fail to converge: each is trained again up to {times}."]


def _kept(trials: Sequence[Trial], dataset: Dataset) -> list[str]:
    """How much memory the U-Net's frozen units take where what they make of images is kept."""
    most: tuple[int, str] = max(
        ((kept_bytes(trial, len(split_of(trial, dataset).training)), trial.strategy) for trial in _one_each(trials)),
        default=(0, ""),
    )
    if not most[0]:
        return []
    return [
        f"Frozen layers see training images once: {most[0] / 1e9:.2g} GB per trial ({most[1]}) where a quarter of free "
        "memory holds that, else they are computed in every step, with the same numbers."
    ]


def _one_each(trials: Sequence[Trial]) -> list[Trial]:
    """A trial of each strategy and fraction."""
    return list({(trial.strategy, trial.fraction): trial for trial in trials if trial.units}.values())


def timing(trial: Trial, dataset: Dataset, machine: Machine, cache: Path) -> Timing:
    """What the trial's strategy takes here: from the cache, else measured and kept."""
    facts = [
        machine.processor if trial.device == "cpu" else machine.gpu, torch.__version__, trial.device, trial.precision,
        trial.threads, trial.model, trial.width, trial.image_size, trial.units, trial.method, trial.rank,
        trial.batch_size, trial.classes, trial.encoder, trial.unit_modules, trial.code, trial.task, trial.crop,
        trial.crops_kept, trial.statistics, trial.optimiser,
    ]  # fmt: skip
    path = cache / "timings" / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()}.json"
    try:
        return Timing(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        found = _measured(trial, dataset)
        write_aside(path, json.dumps(asdict(found)).encode())
        return found


def _measured(trial: Trial, dataset: Dataset) -> Timing:
    threads = torch.get_num_threads()
    torch.set_num_threads(trial.threads)
    try:
        return _timed(trial, dataset)
    finally:
        torch.set_num_threads(threads)


def _timed(trial: Trial, dataset: Dataset) -> Timing:
    """A few steps and a look at a few images; the weights are random, which takes as long."""
    device = torch.device(trial.device)
    network = build_network(replace(trial, start_weights=None, new_output=False), None)
    network = network.to(device).to(memory_format=torch.channels_last)
    learning = prepare_network(network, trial.units, trial.method, trial.rank, 0) if trial.units else []
    work = work_of(trial, network, dataset, _few(split_of(trial, dataset)))
    step_seconds = 0.0
    if learning:
        optimiser = optimiser_of(replace(trial, learning_rate=1e-6), network, learning)
        batches = work.batches()
        began, steps = time.perf_counter(), -1
        with LargeLayers(cast(nn.Module, network), optimiser):
            while steps < STEPS and not (steps > 0 and time.perf_counter() - began > LONGEST_SECONDS):
                network.train()
                loss = work.loss(*next(batches))
                optimiser.forget_gradients()
                torch.autograd.backward(loss)
                optimiser.step()
                loss.item()  # waits for the device
                steps += 1
                began = time.perf_counter() if steps == 0 else began
        step_seconds = (time.perf_counter() - began) / steps
    few = _few(split_of(trial, dataset))
    work.validate()
    began = time.perf_counter()
    work.validate()
    seen = len(few.validation) + (len(few.test) if trial.iterations else 0)
    return Timing(
        step_seconds=step_seconds,
        image_seconds=(time.perf_counter() - began) / max(seen, 1),
        tensor_bytes=sum(
            tensor.numel() * tensor.element_size()
            for tensor in trained_tensors(network, trial.units, trial.statistics).values()
        ),
    )


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict(orient="records")]


def _few(split: Split) -> Split:
    return replace(
        split,
        training=split.training[:IMAGES],
        validation=split.validation[:IMAGES],
        test=split.test[:IMAGES],
    )


def _seconds(trial: Trial, dataset: Dataset, took: Timing) -> tuple[float, float]:
    """Shortest and longest wall time of a trial."""
    split = split_of(trial, dataset)
    seen = took.image_seconds
    tests = len(split.test) * seen
    if not trial.units:
        return tests, tests
    views = len(split.training) * trial.crops_kept * seen
    if trial.iterations:
        whole = trial.iterations * took.step_seconds + views + tests
        return whole, whole
    unfrozen = (len(trial.units) - 1) * trial.unfreeze_every if trial.method == "gradual unfreezing" else 0
    steps = trial.batches_per_epoch + (AUTO_BATCHES if trial.method == "auto rates" else 0)
    epoch = steps * took.step_seconds + len(split.validation) * seen
    fewest = min(trial.max_epochs, max(1, unfrozen) + trial.patience)
    return fewest * epoch + views + tests, trial.max_epochs * epoch + views + tests


def _cell(trial: Trial) -> Cell:
    return trial.start, trial.strategy, trial.fraction, trial.fold, trial.seed, trial.repeat


def _shares(study: Study, trials: Sequence[Trial]) -> dict[Cell, float]:
    """For how many trials a planned one stands, where a search has yet to choose rates."""
    known = Counter(_cell(trial) for trial in trials)
    return {_cell(trial): max(1.0, trial.draws / known[_cell(trial)]) for trial in trials}


def _wall(seconds: Sequence[tuple[float, float]], at_once: int) -> float:
    """Wall time of trials, each with (time of all it stands for, its own), so many at once."""
    if not seconds:
        return 0.0
    return START_SECONDS + max(sum(all_of_it for all_of_it, _ in seconds) / at_once, max(own for _, own in seconds))


def _cost(strategy: str, costs: Sequence[tuple[Trial, float, tuple[float, float]]], took: Timing) -> StrategyCost:
    own = [(share, seconds) for trial, share, seconds in costs if trial.strategy == strategy]
    count = sum(share for share, _ in own)
    return StrategyCost(
        strategy=strategy,
        trials=round(count),
        step_seconds=took.step_seconds,
        low_seconds=sum(share * seconds[0] for share, seconds in own) / count,
        high_seconds=sum(share * seconds[1] for share, seconds in own) / count,
    )


def _start_seconds(study: Study, left: Sequence[Trial], timings: dict[str, Timing]) -> float:
    """Pre-training of those start weights that the study does not hold yet; the whole network learns in it."""
    unknown = {trial.start for trial in left if trial.start and trial.start_weights is None}
    step = max((took.step_seconds for took in timings.values()), default=0.0)
    return 0.0 + sum(
        start.batches * step * start.batch_size / study.training.batch_size
        for start in study.start_weights
        if start.kind not in MADE and start_name(start) in unknown
    )


def _disk(
    study: Study,
    costs: Sequence[tuple[Trial, float, tuple[float, float]]],
    dataset: Dataset,
    timings: dict[str, Timing],
) -> int:
    tests = -(-len(dataset.images) // max(1, study.folds.of))
    masks = tests * len(study.data.mask) * study.model.image_size**2 // 8 if study.data.learn == "masks" else 0
    trained = sum(share * (timings[trial.strategy].tensor_bytes + masks + ROW_BYTES) for trial, share, _ in costs)
    starts = len(study.start_weights) * max((took.tensor_bytes for took in timings.values()), default=0)
    return round(trained + starts)


def _free(store: Store) -> int:
    place = Path(store.files.root)
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free if store.files.local else 0
