"""Before hours of training, a minute: the units of a study's network ranked by their relative gradient norm.

Measured fold by fold with the start weights as they are, on batches of the fold's training images as a training would
draw them; validation and test images are not looked at. What was measured is kept with the study and found again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from engine.architectures import UNITS, parse_strategy
from engine.datasets import Dataset
from engine.errors import StrategyError
from engine.gradient_norms import gradient_norms
from engine.preparation import Prepared, prepare
from engine.pretraining import load_start_weights
from engine.ranking import FoldNorms, keep, kept
from engine.store import Store
from engine.study_settings import SearchSettings, Study
from engine.tasks import work_of
from engine.training import build_network, split_of
from engine.trial import Trial

BATCHES = 16
"""Batches of each fold."""
CPU_SECONDS = 100.0
"""Processor time after which no further fold is begun: about a minute on two cores."""

Tell = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a preview found."""

    folds: tuple[FoldNorms, ...]
    left_out: tuple[tuple[str, int], ...]
    """Start weights and folds that the time did not suffice for; another preview goes on with them."""
    seconds: float
    """Wall time of the measuring, start weights and images left out."""


def preview(
    study: Study,
    store: Store,
    cache: Path,
    tell: Tell = lambda part, text: None,
    *,
    fraction: float | None = None,
    cpu_seconds: float = CPU_SECONDS,
) -> Preview:
    """Measures what the store does not hold yet: each of the study's start weights, fold by fold.

    With the part `fraction` of the images (percent; None: the study's first). Makes start weights first where there
    are none. At least one fold of each is measured, further ones while `cpu_seconds` of processor time last.
    Raises StrategyError where no strategy of the study begins from start weights, and what a run would raise.
    """
    part = study.fractions[0] if fraction is None else float(fraction)
    study = replace(study, fractions=(part,), rate_search=None, search=SearchSettings())
    ready = prepare(study, store, cache.expanduser().absolute(), lambda part, text: tell(0.5 * part, text))
    trials = measured_trials(study, ready)
    began, used, found, left_out = time.perf_counter(), time.process_time(), list[FoldNorms](), list[tuple[str, int]]()
    for place, trial in enumerate(trials):
        tell(0.5 + 0.5 * place / len(trials), f"measuring gradients: {trial.start}, fold {trial.fold}")
        known = kept(store, study.name, trial.id)
        is_first = trial.start not in {one.start for one in found}
        if known is None and not is_first and time.process_time() - used > cpu_seconds:
            left_out.append((trial.start, trial.fold))
            continue
        if known is None:
            known = fold_norms(trial, ready.dataset, load_start_weights(ready.starts[trial.start].path))
            keep(store, study.name, known)
        found.append(known)
    return Preview(folds=tuple(found), left_out=tuple(left_out), seconds=time.perf_counter() - began)


def measured_trials(study: Study, ready: Prepared) -> list[Trial]:
    """A trial per fold and start weights that says what is measured, and by its id whether that was done before.

    All units learn; what decides only a training is left out. First folds come first, so that every start has one.
    """
    first: dict[tuple[int, str], Trial] = {}
    for trial in ready.trials:
        if trial.units and trial.start in ready.starts:
            first.setdefault((study.folds.run.index(trial.fold), trial.start), trial)
    if not first:
        raise StrategyError(
            "no strategy of this study begins from start weights, so there is nothing to rank; add 'whole network'"
        )
    model = study.model.name
    units = parse_strategy("whole network", model, None if model in UNITS else ready.own["units"]).units
    return [_measured(first[key], units) for key in sorted(first, key=lambda key: key[0])]


def _measured(trial: Trial, units: Sequence[str]) -> Trial:
    return replace(
        trial,
        strategy="preview",
        units=tuple(units),
        method="auto rates",
        rank=0,
        unfreeze_every=0,
        learning_rate=0.0,
        draws=1,
        patience=0,
        max_epochs=0,
        batches_per_epoch=BATCHES,
        iterations=0,
        optimiser="adam",
        momentum=0.0,
        weight_decay=0.0,
        unit_rates="",
        crops_kept=0,
        geometry="",
        statistics="hold",
    )


def fold_norms(trial: Trial, dataset: Dataset, start_weights: Mapping[str, Tensor]) -> FoldNorms:
    """Norms over `BATCHES` batches of the trial's training images, with the start weights as they are.

    Raises WeightsError where they do not fit.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(trial.threads)
    try:
        device = torch.device(trial.device)
        network = build_network(trial, start_weights).to(device).to(memory_format=torch.channels_last)
        split = replace(split_of(trial, dataset), validation=(), test=())
        work = work_of(trial, network, dataset, split)
        norms = gradient_norms(network, trial.units, (work.loss(*batch) for batch in islice(work.batches(), BATCHES)))
    finally:
        torch.set_num_threads(threads)
    return FoldNorms(
        id=trial.id,
        data=trial.data,
        start=trial.start,
        start_weights=str(trial.start_weights),
        fraction=trial.fraction,
        fold=trial.fold,
        images=len(split.training),
        norms=norms,
    )
