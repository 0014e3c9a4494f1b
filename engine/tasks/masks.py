"""Segmentation: augmented batches of images and masks, Dice, and what is predicted of test images."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine import augmentation, evaluation, segmentation
from engine.datasets import Dataset
from engine.evaluation import HeldOut, on_device
from engine.splits import Split
from engine.strategies import Network
from engine.tasks.work import Score
from engine.trial import Trial, stream_seed

AUGMENTED_PIXELS = 64 * 128 * 128
"""Pixels that are augmented at once."""


class Segmentation:
    """One trial's images and masks, on its device."""

    def __init__(self, trial: Trial, network: Network, dataset: Dataset, split: Split, device: torch.device) -> None:
        self._trial, self._network, self._split, self._table = trial, network, split, dataset.table
        images, masks = (on_device(part, device) for part in (dataset.images, dataset.masks))
        self._images, self._truths = images, segmentation.one_mask_each(masks, trial.classes)
        self._training = torch.tensor(split.training, device=device)
        self._validation = torch.tensor(split.validation, device=device)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image comes once before any comes again; augmented many at a time."""
        trial = self._trial
        order = np.random.default_rng(stream_seed(trial, "batches"))
        changes = np.random.default_rng(stream_seed(trial, "augmentation"))
        augments = bool(trial.shift or trial.zoom or trial.flip)
        side = self._images.shape[-1]
        together = max(1, AUGMENTED_PIXELS // (side * side) // trial.batch_size) * trial.batch_size
        waiting = np.empty(0, dtype=np.int64)
        while True:
            while len(waiting) < together:
                waiting = np.concatenate((waiting, order.permutation(len(self._training))))
            now, waiting = waiting[:together], waiting[together:]
            chosen = self._training[torch.from_numpy(now).to(self._training.device)]
            if augments:
                maps = augmentation.draw(changes, together, shift=trial.shift, zoom=trial.zoom, flip=trial.flip)
                inputs, truth = augmentation.apply(maps, self._images[chosen], self._truths[chosen])
            else:
                inputs, truth = augmentation.plain(self._images[chosen], self._truths[chosen])
            yield from zip(torch.split(inputs, trial.batch_size), torch.split(truth, trial.batch_size), strict=True)

    def loss(self, inputs: Tensor, truth: Tensor) -> Tensor:
        """Cross entropy, mean over pixels."""
        return segmentation.loss(evaluation.logits(self._trial, self._network, inputs), truth)

    def validate(self) -> Score:
        """Loss, and mean Dice of the validation images."""
        loss, dice = evaluation.validate(self._trial, self._network, self._images, self._truths, self._validation)
        return Score(loss=loss, dice=dice)

    def test(self) -> dict[str, Any]:
        """Dice, IoU, outlines, and how often probabilities came true."""
        tested, bins = evaluation.test(
            self._trial, self._network, self._images, self._truths, list(self._split.test), self._table
        )
        return {
            **evaluation.measures(tested, bins, self._table),
            "test_images": tuple(tested),
            "calibration": tuple(bins),
        }

    def kept(self, held_out: HeldOut) -> dict[str, Any]:
        """Dice on the start weights' own held-out images."""
        return {"kept_dice": evaluation.kept_dice(self._trial, self._network, held_out)}

    def embedding(self) -> None:
        """A segmentation keeps none."""
