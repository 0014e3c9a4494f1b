"""What a network says of images that it did not train on: loss, Dice, outlines, and how sure it was."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from engine import augmentation, metrics, segmentation
from engine.models.unet import Hidden, UNet
from engine.strategies import Network
from engine.trial import Bin, TestImage, Trial

EVALUATED_PIXELS = 32 * 128 * 128
"""Pixels that are evaluated at once: large enough for speed, small enough for memory."""
BINS = 10
"""Bins of predicted probability in which the truth is counted."""
COLLAPSED = 0.01
"""Predicted pixels, as a part of the true ones of all test images, below which a network says only background."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Images of the start weights' own task that they have not seen: what is left of it is measured there."""

    images: UInt8[np.ndarray, "image height width"]
    masks: UInt8[np.ndarray, "image mask_height mask_width"]
    """Numbers of structures, 0 for background; without pixels where classes are told apart."""
    labels: Int64[np.ndarray, "image"] | None = None
    """Numbers of classes, in the order of the start weights' classes."""


@dataclass(frozen=True, kw_only=True)
class SeenOnce:
    """What a U-Net's frozen units make of images that are validated again and again, kept after the first time."""

    stage: str
    """The first that is computed each time."""
    parts: dict[int, Hidden] = field(default_factory=dict)
    """By the number of the part of the images that is evaluated at once."""


def logits(trial: Trial, network: Network, inputs: Tensor) -> Tensor:
    """Logits in float32; convolutions run in the trial's precision."""
    with in_precision(trial, inputs.device):
        found: Tensor = network(inputs.contiguous(memory_format=torch.channels_last))
    return found.float()


def logits_from(trial: Trial, network: UNet, hidden: Hidden, stage: str) -> Tensor:
    """Logits in float32 by `stage` and all after it."""
    with in_precision(trial, hidden[-1].device):
        return network.logits_from(hidden, stage).float()


def in_precision(trial: Trial, device: torch.device) -> torch.autocast:
    """Convolutions in the trial's precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=trial.precision == "bfloat16")


def validate(
    trial: Trial, network: Network, images: Tensor, truths: Tensor, chosen: Tensor, once: SeenOnce | None = None
) -> tuple[float, float]:
    """Mean cross entropy of the `chosen` images, and mean Dice of those with a structure (of all, if none has one).

    With `once`, which belongs to these images, a U-Net's frozen units see them the first time only.
    """
    total, scores, silent = 0.0, [], []
    for found, truth in _parts(trial, network, images, truths, chosen, once):
        total += segmentation.loss(found, truth).item() * len(truth)
        prediction = _array(segmentation.predicted(found))
        scores.append(metrics.mean_of_structures(metrics.structure_dice(prediction, _array(truth > 0))))
        silent.append(~prediction.any(axis=(1, 2, 3)))
    every = np.concatenate(scores)
    with_structure = every[~np.isnan(every)]
    dice = with_structure if len(with_structure) else np.concatenate(silent)
    return total / len(chosen), float(dice.mean())


def on_device(array: np.ndarray, device: torch.device | str) -> Tensor:
    """The array on the device; on the processor the same memory, which may be mapped and read-only: it is only read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def kept_dice(trial: Trial, network: Network, held_out: HeldOut) -> float:
    """Mean Dice on held-out images of the start weights' own task."""
    images, masks = (on_device(part, trial.device) for part in (held_out.images, held_out.masks))
    truths = segmentation.one_mask_each(masks, trial.classes)
    return validate(trial, network, images, truths, torch.arange(len(images), device=images.device))[1]


def test(
    trial: Trial, network: Network, images: Tensor, truths: Tensor, chosen: Sequence[int], table: pd.DataFrame
) -> tuple[list[TestImage], list[Bin]]:
    """What the network says of each of the `chosen` images, and how often its probabilities came true.

    Dice at the network's size and threshold 0.5 (mean over structures that are there); distances between outlines at
    the source's size. `table` is the data set's.
    """
    predictions, truth_masks = [], []
    counts = torch.zeros(3, BINS, dtype=torch.float64)
    for found, truth in _parts(trial, network, images, truths, torch.tensor(chosen, device=images.device)):
        predictions.append(_array(segmentation.predicted(found)))
        truth_masks.append(_array(truth > 0))
        counts += _counts(segmentation.probabilities(found).sum(dim=1).clamp_(0, 1).cpu(), truth.amax(dim=1).cpu())
    prediction, truth_mask = np.concatenate(predictions), np.concatenate(truth_masks)
    by_structure = metrics.structure_dice(prediction, truth_mask)
    dice = metrics.mean_of_structures(by_structure)
    iou = metrics.mean_of_structures(metrics.structure_iou(prediction, truth_mask))
    rows = table.iloc[list(chosen)]
    known_size = bool(rows["spacing_mm"].notna().all())
    tested = []
    for place, row in enumerate(rows.itertuples()):
        shown, true = prediction[place], truth_mask[place]
        source = np.array([row.source_height, row.source_width]) / true.shape[1:]
        height, width = source * (row.spacing_mm if known_size else 1.0)
        distances = [
            metrics.hausdorff95(found, there, (float(height), float(width)))
            for found, there in zip(shown, true, strict=True)
            if there.any()
        ]
        defined = [distance for distance in distances if distance is not None]
        empty = not true.any()
        alone = 1.0 if empty and not shown.any() else 0.0  # both masks empty is 1
        tested.append(
            TestImage(
                image=str(row.image),
                index=int(chosen[place]),
                group=str(row.group),
                dice=alone if empty else float(dice[place]),
                iou=alone if empty else float(iou[place]),
                empty_truth=empty,
                predicted_pixels=int(shown.any(axis=0).sum()),
                predicted_mask=np.packbits(shown).tobytes(),
                hd95=float(np.mean(defined)) if defined and len(defined) == len(distances) else None,
                class_dice=tuple(None if np.isnan(value) else float(value) for value in by_structure[place])
                if trial.classes > 1
                else (),
            )
        )
    bins = [
        Bin(low=number / BINS, pixels=int(pixels), probability_sum=float(total), positive_pixels=int(positive))
        for number, (pixels, total, positive) in enumerate(counts.T.tolist())
    ]
    return tested, bins


def measures(tested: Sequence[TestImage], bins: Sequence[Bin], table: pd.DataFrame) -> dict[str, Any]:
    """The fields of an Attempt that sum up its test images: Dice, IoU, outlines, false positives, collapse."""
    structures = [image for image in tested if not image.empty_truth]
    normals = [image for image in tested if image.empty_truth]
    distances = [image.hd95 for image in structures if image.hd95 is not None]
    known_size = bool(table["spacing_mm"].iloc[[image.index for image in tested]].notna().all())
    on_structures = sum(image.predicted_pixels for image in structures)
    return {
        "dice": float(np.mean([image.dice for image in structures])) if structures else None,
        "iou": float(np.mean([image.iou for image in structures])) if structures else None,
        "hd95": float(np.mean(distances)) if distances else None,
        "hd95_unit": "mm" if known_size else "source pixels",
        "hd95_undefined": len(structures) - len(distances),
        "normal_images": len(normals),
        "false_positive_rate": float(np.mean([image.predicted_pixels > 0 for image in normals])) if normals else None,
        "collapsed": bool(structures) and on_structures < COLLAPSED * sum(part.positive_pixels for part in bins),
    }


def _parts(
    trial: Trial, network: Network, images: Tensor, truths: Tensor, chosen: Tensor, once: SeenOnce | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits and truth of `chosen` images, many at a time."""
    network.eval()
    together = max(1, EVALUATED_PIXELS // (images.shape[-1] * images.shape[-2]))
    with torch.inference_mode():
        for number, part in enumerate(torch.split(chosen, together)):
            inputs, truth = augmentation.plain(images[part], truths[part])
            if once is None:
                yield logits(trial, network, inputs), truth
                continue
            unet = cast(UNet, network)
            if number not in once.parts:
                with in_precision(trial, inputs.device):
                    inputs = inputs.contiguous(memory_format=torch.channels_last)
                    once.parts[number] = unet.hidden_before(inputs, once.stage)
            yield logits_from(trial, unet, once.parts[number], once.stage), truth


def _array(masks: Tensor) -> Bool[np.ndarray, "image structure height width"]:
    found: np.ndarray = masks.cpu().numpy()
    return found


def _counts(probability: Tensor, truth: Tensor) -> Tensor:
    """Pixels, their probabilities' sum and their positives, in each bin; of a network that diverged, none."""
    known = ~probability.isnan()
    probability, truth = probability[known], truth[known]
    numbers = (probability.flatten() * BINS).long().clamp_(max=BINS - 1)
    weights = (torch.ones_like(probability), probability, truth)
    return torch.stack([torch.bincount(numbers, part.flatten().double(), minlength=BINS) for part in weights])
