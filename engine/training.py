"""Fine-tune one network on one fold: a trial in, an attempt and its trained tensors out."""

import math
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from engine import augmentation, evaluation, models, segmentation
from engine.datasets import Dataset
from engine.errors import FrozenChangedError, WeightsError
from engine.evaluation import HeldOut
from engine.splits import Split, full_pool_percent, make_split
from engine.strategies import (
    Network,
    begin_epoch,
    frozen_hash,
    merge,
    prepare,
    tensor_names,
    trained_tensors,
)
from engine.trial import Attempt, Epoch, State, Trial, stream_seed

PAPER_CAP = 200
"""Epochs after which a training that has not stopped has failed (Amiri et al. 2020, II-D)."""
AUGMENTED_PIXELS = 64 * 128 * 128
"""Pixels that are augmented at once."""

Report = Callable[[Epoch], None]


def run_trial(
    trial: Trial,
    dataset: Dataset,
    start_weights: Mapping[str, Tensor] | None,
    report: Report | None = None,
    *,
    number: int = 1,
    held_out: HeldOut | None = None,
) -> tuple[Attempt, bytes]:
    """The attempt with all its measures, and its trained tensors as safetensors.

    `report` hears every epoch. On a CPU the same trial gives the same numbers, whatever runs beside it. A trial
    without units tests the start weights as they are.
    Raises FrozenChangedError where a frozen unit differs after training, WeightsError where `start_weights`
    do not fit, DataError where the data cannot be split so.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    torch.set_num_threads(trial.threads)
    device = torch.device(trial.device)
    network = build_network(trial, start_weights).to(device).to(memory_format=torch.channels_last)
    before = frozen_hash(network, trial.units, trial.method)
    total = sum(parameter.numel() for parameter in network.parameters())
    split = split_of(trial, dataset)
    images, masks = (
        torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in (dataset.images, dataset.masks)
    )
    truths = segmentation.one_mask_each(masks, trial.classes)

    epochs: list[Epoch] = []
    best_epoch, best, stopped, learned = 0, dict[str, Tensor](), True, 0
    if trial.units:
        learning = prepare(network, trial.units, trial.method, trial.rank, stream_seed(trial, "adapters"))
        learned = sum(parameter.numel() for parameter in learning)
        epochs, best_epoch, best, stopped = _fit(trial, network, learning, images, truths, split, report)
    after = frozen_hash(network, trial.units, trial.method)
    if before != after:
        raise FrozenChangedError(f"trial {trial.id[:12]} ({trial.strategy}): frozen units changed during training")
    merge(network)
    network.load_state_dict(best, strict=False)

    tested, bins = evaluation.test(trial, network, images, truths, list(split.test), dataset.table)
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
        **evaluation.measures(tested, bins, dataset.table),
        kept_dice=None if held_out is None else evaluation.kept_dice(trial, network, held_out),
        validation_loss=kept.validation_loss if kept else None,
        validation_dice=kept.validation_dice if kept else None,
        trainable_parameters=learned,
        total_parameters=total,
        training_images=len(split.training) if trial.units else 0,
        validation_images=len(split.validation) if trial.units else 0,
        validation_by=split.validation_by,
        frozen_hash_before=before,
        frozen_hash_after=after,
        epochs=tuple(epochs),
        test_images=tuple(tested),
        calibration=tuple(bins),
    )
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
        if trial.classes > 1 and name in start_weights and start_weights[name].shape[1:] == own[name].shape[1:]
        and start_weights[name].shape != own[name].shape
    }  # fmt: skip
    problems = [
        f"start weights: '{name}' is {_shape(start_weights.get(name))}; the network has {_shape(own.get(name))}"
        for name in sorted(wanted | start_weights.keys())
        if name not in new and (name not in wanted or _shape(start_weights.get(name)) != _shape(own.get(name)))
    ]
    learn = {name for own in tensor_names(network, trial.units).items() if own[0] in trial.units for name in own[1]}
    if new and (trial.method == "LoRA" or not new <= learn):
        problems.append(
            f"'{trial.strategy}': the output layer for {trial.classes} structures is new and must learn; "
            f"choose strategies that train block {last_unit}, or start weights for the same structures"
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
    return make_split(
        images=len(dataset.images),
        groups=dataset.groups_for_splits(trial.split_by),
        of=trial.folds,
        fold=trial.fold,
        fraction=trial.fraction or full_pool_percent(trial.folds),
        seed=trial.split_seed,
    )


def _fit(
    trial: Trial,
    network: Network,
    learning: list[nn.Parameter],
    images: Tensor,
    truths: Tensor,
    split: Split,
    report: Report | None,
) -> tuple[list[Epoch], int, dict[str, Tensor], bool]:
    """Epochs, the best one by validation loss, its tensors, and whether training stopped by itself.

    The best epoch is 0, and the tensors are the last ones, where the validation loss never was a number.
    """
    optimiser = torch.optim.Adam(learning, lr=trial.learning_rate, fused=True)
    validation = torch.tensor(split.validation, device=images.device)
    batches = _batches(trial, images, truths, torch.tensor(split.training, device=images.device))
    epochs: list[Epoch] = []
    best_loss, best_epoch, best, stopped = math.inf, 0, dict[str, Tensor](), False
    with torch.random.fork_rng(devices=[images.device] if images.device.type == "cuda" else []):
        torch.manual_seed(stream_seed(trial, "dropout"))
        for number in range(1, trial.max_epochs + 1):
            clock = time.perf_counter()
            begin_epoch(network, trial.units, method=trial.method, epoch=number, every=trial.unfreeze_every)
            total = torch.zeros((), device=images.device)
            for _ in range(trial.batches_per_epoch):
                inputs, truth = next(batches)
                loss = segmentation.loss(evaluation.logits(trial, network, inputs), truth)
                optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimiser.step()
                total += loss.detach()
            loss_now, dice_now = evaluation.validate(trial, network, images, truths, validation)
            epoch = Epoch(
                epoch=number,
                training_loss=total.item() / trial.batches_per_epoch,
                validation_loss=loss_now,
                validation_dice=dice_now,
                seconds=time.perf_counter() - clock,
            )
            epochs.append(epoch)
            if loss_now < best_loss:
                best_loss, best_epoch, best = loss_now, number, trained_tensors(network, trial.units)
            if report is not None:
                report(epoch)
            # Patience begins anew when the last unit begins to learn.
            since = max(best_epoch, _all_learn_from(trial) - 1)
            if stopped := number - since >= trial.patience:
                break
    return epochs, best_epoch, best or trained_tensors(network, trial.units), stopped


def _all_learn_from(trial: Trial) -> int:
    """The epoch, from 1, in which the last unit begins to learn."""
    return 1 + (len(trial.units) - 1) * trial.unfreeze_every if trial.method == "gradual unfreezing" else 1


def _batches(trial: Trial, images: Tensor, truths: Tensor, training: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless augmented batches. Every image comes once before any comes again; augmented many at a time."""
    order = np.random.default_rng(stream_seed(trial, "batches"))
    changes = np.random.default_rng(stream_seed(trial, "augmentation"))
    augments = bool(trial.shift or trial.zoom or trial.flip)
    side = images.shape[-1]
    together = max(1, AUGMENTED_PIXELS // (side * side) // trial.batch_size) * trial.batch_size
    waiting = np.empty(0, dtype=np.int64)
    while True:
        while len(waiting) < together:
            waiting = np.concatenate((waiting, order.permutation(len(training))))
        now, waiting = waiting[:together], waiting[together:]
        chosen = training[torch.from_numpy(now).to(training.device)]
        if augments:
            maps = augmentation.draw(changes, together, shift=trial.shift, zoom=trial.zoom, flip=trial.flip)
            inputs, truth = augmentation.apply(maps, images[chosen], truths[chosen])
        else:
            inputs, truth = augmentation.plain(images[chosen], truths[chosen])
        yield from zip(torch.split(inputs, trial.batch_size), torch.split(truth, trial.batch_size), strict=True)
