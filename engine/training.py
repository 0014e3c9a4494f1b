"""Fine-tune one network on one fold: a trial in, an attempt and its trained tensors out."""

import json
import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count, islice
from typing import cast

import torch
from safetensors.torch import save
from torch import Tensor, nn

from engine import models
from engine.datasets import Dataset
from engine.errors import FrozenChangedError, WeightsError
from engine.evaluation import HeldOut
from engine.gradient_norms import AUTO_BATCHES, relative_gradient_norms, set_unit_rates
from engine.large_layers import LargeLayers
from engine.memory import keep_memory
from engine.optimiser import Group, Optimiser
from engine.splits import Split, split_images
from engine.strategies import (
    Network,
    begin_epoch,
    frozen_hash,
    merge,
    prepare,
    tensor_names,
    trained_tensors,
)
from engine.tasks import Work, work_of
from engine.trial import Attempt, Epoch, State, Trial, stream_seed

PAPER_CAP = 200
"""Epochs after which a training that has not stopped has failed (Amiri et al. 2020, II-D)."""

Report = Callable[[Epoch], None]


def run_trial(
    trial: Trial,
    dataset: Dataset,
    start_weights: Mapping[str, Tensor] | None,
    report: Report | None = None,
    *,
    number: int = 1,
    held_out: HeldOut | None = None,
    old_classes: Sequence[str] = (),
    keep_embedding: Callable[[bytes], None] | None = None,
    keep_start_embedding: Callable[[bytes], None] | None = None,
    before_step: Callable[[], None] | None = None,
) -> tuple[Attempt, bytes]:
    """The attempt with all its measures, and its trained tensors as safetensors.

    `report` hears every epoch, `keep_embedding` takes what a classifier's last hidden layer says of its images,
    `keep_start_embedding` what it said before training where the output layer is new: no test of the start weights
    as they are can tell that.
    What `before_step` raises before a training step ends the trial. `old_classes` are those that the start weights
    tell apart. On a CPU the same trial gives the same numbers, whatever runs beside it. A trial without units tests
    the start weights as they are.
    Raises FrozenChangedError where a frozen unit differs after training, WeightsError where `start_weights`
    do not fit, DataError where the data cannot be split so.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    torch.set_num_threads(trial.threads)
    keep_memory()
    device = torch.device(trial.device)
    network = build_network(trial, start_weights).to(device).to(memory_format=torch.channels_last)
    before = frozen_hash(network, trial.units, trial.method, trial.statistics)
    total = sum(parameter.numel() for parameter in network.parameters())
    split = split_of(trial, dataset)
    work = work_of(trial, network, dataset, split, old_classes=old_classes)

    begun = work.embedding() if trial.new_output and keep_start_embedding is not None else None

    epochs: list[Epoch] = []
    best_epoch, best, stopped, learned = 0, dict[str, Tensor](), True, 0
    if trial.units:
        learning = prepare(network, trial.units, trial.method, trial.rank, stream_seed(trial, "adapters"))
        learned = sum(parameter.numel() for parameter in learning)
        epochs, best_epoch, best, stopped = _fit(trial, network, learning, work, report, before_step)
    after = frozen_hash(network, trial.units, trial.method, trial.statistics)
    if before != after:
        raise FrozenChangedError(f"trial {trial.id[:12]} ({trial.strategy}): frozen units changed during training")
    merge(network)
    network.load_state_dict(best, strict=False)

    # A validation loss that was never a number has no best epoch: such a training diverged, and has failed.
    kept = epochs[best_epoch - 1] if best_epoch else None
    converged = not trial.units or (kept is not None and (stopped or trial.max_epochs < PAPER_CAP))
    state: State = "completed" if converged else "not_converged"
    attempt = Attempt(
        trial=trial,
        number=number,
        state=state,
        started=started.isoformat(timespec="milliseconds"),
        seconds=time.perf_counter() - clock,
        host=socket.gethostname(),
        best_epoch=kept.epoch if kept else None,
        epochs_run=len(epochs),
        cut_at=None if stopped or not converged else len(epochs),
        **work.test(),
        **(work.kept(held_out) if held_out is not None else {}),
        validation_loss=kept.validation_loss if kept else None,
        validation_dice=kept.validation_dice if kept else None,
        validation_accuracy=kept.validation_accuracy if kept else None,
        trainable_parameters=learned,
        total_parameters=total,
        training_images=len(split.training) if trial.units else 0,
        validation_images=len(split.validation) if trial.units else 0,
        validation_by=split.validation_by,
        frozen_hash_before=before,
        frozen_hash_after=after,
        epochs=tuple(epochs),
    )
    if keep_embedding is not None and (content := work.embedding()) is not None:
        keep_embedding(content)
    if keep_start_embedding is not None and begun is not None:
        keep_start_embedding(begun)
    return attempt, save({name: tensor.contiguous().cpu() for name, tensor in best.items()})


def build_network(trial: Trial, start_weights: Mapping[str, Tensor] | None) -> Network:
    """The trial's network with its start weights, or with random ones from the trial's own stream.

    Start weights of another number of structures lack an output layer that fits: it begins at random, and must learn.
    Raises WeightsError, a line per tensor, where `start_weights` do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(trial, "initial weights"))
        network = models.build(
            trial.model,
            width=trial.width,
            classes=trial.classes,
            encoder=trial.encoder,
            unit_modules=trial.unit_modules,
        )
    if trial.start_weights is None:
        return network
    if start_weights is None:
        raise WeightsError(f"trial {trial.id[:12]}: start weights {trial.start_weights[:12]} were not given")
    own = network.state_dict()
    names = tensor_names(network)
    wanted = set(names["encoder"]) if trial.encoder else set(own)
    last_unit = list(names)[-1]
    new = {
        name
        for name in names[last_unit]
        if trial.task == "segmentation" and trial.classes > 1
        and name in start_weights and start_weights[name].shape[1:] == own[name].shape[1:]
        and start_weights[name].shape != own[name].shape
    }  # fmt: skip
    if trial.new_output:
        new = set(names[last_unit])
        start_weights = {name: tensor for name, tensor in start_weights.items() if name not in new}
    problems = [
        f"start weights: '{name}' is {_shape(start_weights.get(name))}; the network has {_shape(own.get(name))}"
        for name in sorted(wanted | start_weights.keys())
        if name not in new and (name not in wanted or _shape(start_weights.get(name)) != _shape(own.get(name)))
    ]
    learn = {name for own in tensor_names(network, trial.units).items() if own[0] in trial.units for name in own[1]}
    things = "structures" if trial.task == "segmentation" else "classes"
    if new and (trial.method == "LoRA" or not new <= learn):
        problems.append(
            f"'{trial.strategy}': the output layer for {trial.classes} {things} is new and must learn; "
            f"choose strategies that train {last_unit}, or start weights for the same {things}"
        )
    if problems:
        raise WeightsError(problems)
    network.load_state_dict({name: tensor for name, tensor in start_weights.items() if name not in new}, strict=False)
    return network


def _shape(tensor: Tensor | None) -> object:
    return "missing" if tensor is None else tuple(tensor.shape)


def split_of(trial: Trial, dataset: Dataset) -> Split:
    """Which images of `dataset` the trial trains on, validates on and is tested on.

    Of a trial without fine-tuning (fraction 0) only the test images count.
    """
    return split_images(
        images=len(dataset.images),
        groups=dataset.groups_for_splits(trial.split_by),
        by=trial.split_by,
        given=list(dataset.table["split"]),
        of=trial.folds,
        fold=trial.fold,
        fraction=trial.fraction,
        seed=trial.split_seed,
        validation=trial.validation,
    )


def _fit(
    trial: Trial,
    network: Network,
    learning: list[nn.Parameter],
    work: Work,
    report: Report | None,
    before_step: Callable[[], None] | None,
) -> tuple[list[Epoch], int, dict[str, Tensor], bool]:
    """Epochs, the best one by validation loss, its tensors, and whether training stopped by itself.

    The best epoch is 0, and the tensors are the last ones, where the validation loss never was a number. With fixed
    iterations the last epoch counts, unless its loss is no number.
    """
    optimiser = optimiser_of(trial, network, learning)
    batches = work.batches()
    measured = work.batches() if trial.method == "auto rates" else None
    epochs: list[Epoch] = []
    best_loss, best_epoch, best, stopped = math.inf, 0, dict[str, Tensor](), False
    device = torch.device(trial.device)
    left = trial.iterations or trial.max_epochs * trial.batches_per_epoch
    # Rates by gradients look at them, and large layers make none.
    large = LargeLayers(cast(nn.Module, network), optimiser if measured is None else None)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), large:
        torch.manual_seed(stream_seed(trial, "dropout"))
        for number in count(1):
            clock = time.perf_counter()
            if measured is not None:
                norms = relative_gradient_norms(
                    network, trial.units, (work.loss(*batch) for batch in islice(measured, AUTO_BATCHES))
                )
                set_unit_rates(optimiser, norms)
            begin_epoch(
                network,
                trial.units,
                method=trial.method,
                epoch=number,
                every=trial.unfreeze_every,
                statistics=trial.statistics,
            )
            total, steps = torch.zeros((), device=device), min(left, trial.batches_per_epoch)
            for _ in range(steps):
                if before_step is not None:
                    before_step()
                loss = work.loss(*next(batches))
                if learning:
                    optimiser.forget_gradients()
                    torch.autograd.backward(loss)
                    optimiser.step()
                total += loss.detach()
            left -= steps
            score = work.validate()
            epoch = Epoch(
                epoch=number,
                training_loss=total.item() / steps,
                validation_loss=score.loss,
                validation_dice=score.dice,
                validation_accuracy=score.accuracy,
                test_accuracy=score.test_accuracy,
                test_loss=score.test_loss,
                seconds=time.perf_counter() - clock,
            )
            epochs.append(epoch)
            if not trial.iterations and score.loss is not None and score.loss < best_loss:
                best_loss, best_epoch, best = (
                    score.loss,
                    number,
                    trained_tensors(network, trial.units, trial.statistics),
                )
            if report is not None:
                report(epoch)
            # Patience begins anew when the last unit begins to learn.
            since = max(best_epoch, _all_learn_from(trial) - 1)
            stopped = number - since >= trial.patience and not trial.iterations
            if stopped or not left:
                break
    if trial.iterations and math.isfinite(epochs[-1].training_loss):
        best_epoch, stopped = len(epochs), True
    return epochs, best_epoch, best or trained_tensors(network, trial.units, trial.statistics), stopped


def optimiser_of(trial: Trial, network: Network, learning: Sequence[nn.Parameter]) -> Optimiser:
    """The trial's optimiser over what learns, with the rate of each unit; with nothing to move where nothing does."""
    factors: dict[str, float] = json.loads(trial.unit_rates) if trial.unit_rates else {}
    unit_of = {name: unit for unit, names in tensor_names(network, trial.units).items() for name in names}
    # Under "auto rates" each unit is a group of its own, whose rate changes from epoch to epoch.
    alone = trial.method == "auto rates"
    groups: dict[tuple[float, str], list[nn.Parameter]] = {}
    learns = {id(parameter) for parameter in learning}
    for name, parameter in network.named_parameters():
        if id(parameter) in learns:
            unit = unit_of.get(name, "")
            groups.setdefault((factors.get(unit, 1.0), unit if alone else ""), []).append(parameter)
    return Optimiser(
        (
            Group(weights=weights, rate=trial.learning_rate * factor, unit=unit)
            for (factor, unit), weights in groups.items()
        ),
        trial.optimiser,
        momentum=trial.momentum,
        weight_decay=trial.weight_decay,
    )


def _all_learn_from(trial: Trial) -> int:
    """The epoch, from 1, in which the last unit begins to learn."""
    return 1 + (len(trial.units) - 1) * trial.unfreeze_every if trial.method == "gradual unfreezing" else 1
