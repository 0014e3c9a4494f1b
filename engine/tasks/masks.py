"""Segmentation: augmented batches of images and masks, Dice, and what is predicted of test images."""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from engine import augmentation, evaluation, segmentation
from engine.datasets import Dataset
from engine.evaluation import HeldOut, SeenOnce, on_device
from engine.hardware import room_bytes
from engine.models.unet import Hidden, UNet
from engine.splits import Split
from engine.strategies import Network
from engine.tasks.kept_views import KeptViews, cut_of, frozen_before, kept_bytes, seen_bytes
from engine.tasks.work import Score
from engine.trial import Trial, stream_seed

AUGMENTED_PIXELS = 64 * 128 * 128
"""Pixels that are augmented at once."""


class Segmentation:
    """One trial's images and masks, on its device.

    Where the first units are frozen, they see validation images once, and training images that are not augmented or of
    which `crops_kept` random views are kept.
    """

    def __init__(self, trial: Trial, network: Network, dataset: Dataset, split: Split, device: torch.device) -> None:
        self._trial, self._network, self._split, self._table = trial, network, split, dataset.table
        images, masks = (on_device(part, device) for part in (dataset.images, dataset.masks))
        self._images, self._truths = images, segmentation.one_mask_each(masks, trial.classes)
        self._training = torch.tensor(split.training, device=device)
        self._validation = torch.tensor(split.validation, device=device)
        first, room = frozen_before(trial), room_bytes(device)
        seen = seen_bytes(trial, len(split.validation))
        self._once = SeenOnce(stage=first) if first is not None and seen <= room else None
        self._cut, self._room = cut_of(trial), room - seen
        self._views: KeptViews | None = None

    def batches(self) -> Iterator[tuple[Tensor | Hidden, Tensor]]:
        """Every image comes once before any comes again; augmented many at a time."""
        return self._new_views() if self._cut is None else self._kept_views()

    def _kept_views(self) -> Iterator[tuple[Hidden, Tensor]]:
        """What the first unit that learns sees of one of each image's views."""
        trial, images = self._trial, len(self._training)
        if self._views is None:
            kept = kept_bytes(trial, images) <= self._room
            network = cast(UNet, self._network)
            self._views = KeptViews(trial, network, self._images, self._truths, self._training, kept=kept)
        order = np.random.default_rng(stream_seed(trial, "batches"))
        which = np.random.default_rng(stream_seed(trial, "augmentation"))
        waiting = np.empty(0, dtype=np.int64)
        while True:
            while len(waiting) < trial.batch_size:
                waiting = np.concatenate((waiting, order.permutation(images)))
            now, waiting = waiting[: trial.batch_size], waiting[trial.batch_size :]
            yield self._views.batch((which.integers(self._views.count, size=len(now)) * images + now).tolist())

    def _new_views(self) -> Iterator[tuple[Tensor, Tensor]]:
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

    def loss(self, inputs: Tensor | Hidden, truth: Tensor) -> Tensor:
        """Cross entropy, mean over pixels."""
        if isinstance(inputs, tuple):
            network, cut = cast(UNet, self._network), cast(str, self._cut)
            return segmentation.loss(evaluation.logits_from(self._trial, network, inputs, cut), truth)
        return segmentation.loss(evaluation.logits(self._trial, self._network, inputs), truth)

    def validate(self) -> Score:
        """Loss, and mean Dice of the validation images."""
        loss, dice = evaluation.validate(
            self._trial, self._network, self._images, self._truths, self._validation, self._once
        )
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
