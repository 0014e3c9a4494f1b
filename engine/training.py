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
from torch.nn.functional import binary_cross_entropy_with_logits

from engine import augmentation, metrics
from engine.datasets import Dataset
from engine.errors import FrozenChangedError, WeightsError
from engine.models import MODELS, UNet
from engine.splits import Split, make_split
from engine.strategies import freeze_all_but, frozen_hash, trained_tensors
from engine.trial import Attempt, Epoch, State, TestImage, Trial, stream_seed

PAPER_CAP = 200
"""Epochs after which a training that has not stopped has failed (Amiri et al. 2020, II-D)."""
EVALUATED_PIXELS = 32 * 128 * 128
"""Pixels that are evaluated at once: large enough for speed, small enough for memory."""
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
) -> tuple[Attempt, bytes]:
    """The attempt with all its measures, and its trained tensors as safetensors.

    `report` hears every epoch. On a CPU the same trial gives the same numbers, whatever runs beside it.
    Raises FrozenChangedError where a frozen unit differs after training, WeightsError where `start_weights`
    do not fit, DataError where the data cannot be split so.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    torch.set_num_threads(trial.threads)
    device = torch.device(trial.device)
    network = build_network(trial, start_weights).to(device).to(memory_format=torch.channels_last)
    learning = freeze_all_but(network, trial.units)
    before = frozen_hash(network, trial.units)
    split = split_of(trial, dataset)
    images, masks = (
        torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in (dataset.images, dataset.masks)
    )

    epochs, best_epoch, best, stopped = _fit(trial, network, learning, images, masks, split, report)
    network.load_state_dict(best, strict=False)
    after = frozen_hash(network, trial.units)
    if before != after:
        raise FrozenChangedError(f"trial {trial.id[:12]} ({trial.strategy}): frozen units changed during training")

    tested = _test(trial, network, images, masks, split, dataset)
    # A validation loss that was never a number has no best epoch: such a training diverged, and has failed.
    kept = epochs[best_epoch - 1] if best_epoch else None
    converged = kept is not None and (stopped or trial.max_epochs < PAPER_CAP)
    state: State = "completed" if converged else "not_converged"
    structures = [image for image in tested if not image.empty_truth]
    normals = [image for image in tested if image.empty_truth]
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
        dice=float(np.mean([image.dice for image in structures])) if structures else None,
        iou=float(np.mean([image.iou for image in structures])) if structures else None,
        normal_images=len(normals),
        false_positive_rate=float(np.mean([image.predicted_pixels > 0 for image in normals])) if normals else None,
        validation_loss=kept.validation_loss if kept else None,
        validation_dice=kept.validation_dice if kept else None,
        collapsed=bool(structures) and not any(image.predicted_pixels for image in tested),
        trainable_parameters=sum(parameter.numel() for parameter in learning),
        total_parameters=sum(parameter.numel() for parameter in network.parameters()),
        training_images=len(split.training),
        validation_images=len(split.validation),
        validation_by=split.validation_by,
        frozen_hash_before=before,
        frozen_hash_after=after,
        epochs=tuple(epochs),
        test_images=tuple(tested),
    )
    return attempt, save({name: tensor.contiguous().cpu() for name, tensor in best.items()})


def build_network(trial: Trial, start_weights: Mapping[str, Tensor] | None) -> UNet:
    """The trial's network with its start weights, or with random ones from the trial's own stream.

    Raises WeightsError, a line per tensor, where `start_weights` do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(trial, "initial weights"))
        network = MODELS[trial.model](trial.width)
    if trial.start_weights is not None:
        if start_weights is None:
            raise WeightsError(f"trial {trial.id[:12]}: start weights {trial.start_weights[:12]} were not given")
        expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        given = {name: tuple(tensor.shape) for name, tensor in start_weights.items()}
        if expected != given:
            names = sorted(expected.keys() | given.keys())
            raise WeightsError(
                [
                    f"start weights: '{name}' is {given.get(name, 'missing')}; "
                    f"the network has {expected.get(name, 'no such tensor')}"
                    for name in names
                    if expected.get(name) != given.get(name)
                ]
            )
        network.load_state_dict(dict(start_weights))
    return network


def split_of(trial: Trial, dataset: Dataset) -> Split:
    """Which images of `dataset` the trial trains on, validates on and is tested on."""
    return make_split(
        images=len(dataset.images),
        groups=dataset.groups_for_splits(trial.split_by),
        of=trial.folds,
        fold=trial.fold,
        fraction=trial.fraction,
        seed=trial.split_seed,
    )


def _fit(
    trial: Trial,
    network: UNet,
    learning: list[nn.Parameter],
    images: Tensor,
    masks: Tensor,
    split: Split,
    report: Report | None,
) -> tuple[list[Epoch], int, dict[str, Tensor], bool]:
    """Epochs, the best one by validation loss, its tensors, and whether training stopped by itself.

    The best epoch is 0, and the tensors are the last ones, where the validation loss never was a number.
    """
    optimiser = torch.optim.Adam(learning, lr=trial.learning_rate, fused=True)
    validation = torch.tensor(split.validation, device=images.device)
    batches = _batches(trial, images, masks, torch.tensor(split.training, device=images.device))
    epochs: list[Epoch] = []
    best_loss, best_epoch, best = math.inf, 0, dict[str, Tensor]()
    with torch.random.fork_rng(devices=[images.device] if images.device.type == "cuda" else []):
        torch.manual_seed(stream_seed(trial, "dropout"))
        for number in range(1, trial.max_epochs + 1):
            clock = time.perf_counter()
            network.train()
            total = torch.zeros((), device=images.device)
            for _ in range(trial.batches_per_epoch):
                inputs, truth = next(batches)
                loss = binary_cross_entropy_with_logits(_logits(trial, network, inputs), truth)
                optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimiser.step()
                total += loss.detach()
            loss_now, dice_now = _validate(trial, network, images, masks, validation)
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
            if number - best_epoch >= trial.patience:
                break
    stopped = len(epochs) - best_epoch >= trial.patience
    return epochs, best_epoch, best or trained_tensors(network, trial.units), stopped


def _logits(trial: Trial, network: UNet, inputs: Tensor) -> Tensor:
    """Logits in float32; convolutions run in the trial's precision."""
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=trial.precision == "bfloat16"):
        logits: Tensor = network(inputs.contiguous(memory_format=torch.channels_last))
    return logits.float()


def _batches(trial: Trial, images: Tensor, masks: Tensor, training: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
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
            inputs, truth = augmentation.apply(maps, images[chosen], masks[chosen])
        else:
            inputs, truth = augmentation.plain(images[chosen], masks[chosen])
        yield from zip(torch.split(inputs, trial.batch_size), torch.split(truth, trial.batch_size), strict=True)


def _evaluate(
    trial: Trial, network: UNet, images: Tensor, masks: Tensor, chosen: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits and truth of `chosen` images, many at a time."""
    network.eval()
    together = max(1, EVALUATED_PIXELS // (images.shape[-1] * images.shape[-2]))
    with torch.inference_mode():
        for part in torch.split(chosen, together):
            inputs, truth = augmentation.plain(images[part], masks[part])
            yield _logits(trial, network, inputs), truth


def _validate(trial: Trial, network: UNet, images: Tensor, masks: Tensor, chosen: Tensor) -> tuple[float, float]:
    """Mean binary cross entropy of the validation images, and mean Dice of those with a structure (of all, if none)."""
    losses, scores, structures = [], [], []
    for logits, truth in _evaluate(trial, network, images, masks, chosen):
        losses.append(binary_cross_entropy_with_logits(logits, truth).item() * len(truth))
        prediction, present = (logits >= 0)[:, 0].cpu().numpy(), (truth > 0)[:, 0].cpu().numpy()
        scores.append(metrics.dice(prediction, present))
        structures.append(present.any(axis=(1, 2)))
    every, counted = np.concatenate(scores), np.concatenate(structures)
    return sum(losses) / len(chosen), float((every[counted] if counted.any() else every).mean())


def _test(
    trial: Trial, network: UNet, images: Tensor, masks: Tensor, split: Split, dataset: Dataset
) -> list[TestImage]:
    """What the network says of each test image, at the network's size and threshold 0.5."""
    chosen = torch.tensor(split.test, device=images.device)
    parts = [
        ((logits >= 0)[:, 0].cpu().numpy(), (truth > 0)[:, 0].cpu().numpy())
        for logits, truth in _evaluate(trial, network, images, masks, chosen)
    ]
    predictions, truths = (np.concatenate(part) for part in zip(*parts, strict=True))
    rows = dataset.table.iloc[list(split.test)]
    return [
        TestImage(
            image=str(image),
            index=int(index),
            group=str(group),
            dice=float(dice),
            iou=float(iou),
            empty_truth=not truth.any(),
            predicted_pixels=int(prediction.sum()),
            predicted_mask=np.packbits(prediction).tobytes(),
        )
        for image, group, index, prediction, truth, dice, iou in zip(
            rows["image"],
            rows["group"],
            split.test,
            predictions,
            truths,
            metrics.dice(predictions, truths),
            metrics.iou(predictions, truths),
            strict=True,
        )
    ]
