"""Training views whose first units are frozen: what these units make of them is computed once (U-Net)."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from engine import augmentation
from engine.architectures import UNET_DROPOUT, UNET_STAGES, UNET_UNITS, first_learning_stage, unet_hidden_numbers
from engine.evaluation import in_precision
from engine.models.unet import DROPOUT, Hidden, UNet
from engine.trial import Trial, stream_seed


def frozen_before(trial: Trial) -> str | None:
    """The first unit that learns; None where it is the first of all, or the network is no U-Net of ours."""
    first = first_learning_stage(trial.units) if trial.model == "unet" and not trial.encoder else None
    return None if first == UNET_UNITS[0] else first


def views_of(trial: Trial) -> int:
    """Views of each training image: one where images are not augmented, 0 where every step draws anew."""
    return trial.crops_kept if _augments(trial) else 1


def cut_of(trial: Trial) -> str | None:
    """The stage from which on training views are computed in every step; None where nothing is kept.

    Of images as they are the dropout stays live, so that training is as it is without; all before it may be kept.
    Random views that are kept have a dropout of their own each, so that every frozen unit may be.
    """
    first = frozen_before(trial)
    if first is None or not views_of(trial):
        return None
    return first if _augments(trial) else min(first, UNET_DROPOUT, key=UNET_STAGES.index)


def kept_bytes(trial: Trial, images: int) -> int:
    """Bytes that the views of `images` training images take; 0 where nothing is kept."""
    cut = cut_of(trial)
    if cut is None:
        return 0
    masks = trial.classes * trial.image_size**2
    return images * views_of(trial) * (_bytes_before(trial, cut) + masks)


def seen_bytes(trial: Trial, images: int) -> int:
    """Bytes of what frozen units make of `images` validation images; 0 where none are frozen."""
    first = frozen_before(trial)
    return 0 if first is None else images * _bytes_before(trial, first)


class KeptViews:
    """The training views of a trial of which `cut_of` names a stage: `views_of` each image, and their truth.

    They are the same whether they are `kept` or, where there is no room for that, computed anew in every step.
    """

    def __init__(
        self,
        trial: Trial,
        network: UNet,
        images: UInt8[Tensor, "image height width"],
        truths: UInt8[Tensor, "image structure height width"],
        training: Int64[Tensor, "chosen"],
        *,
        kept: bool,
    ) -> None:
        cut = cut_of(trial)
        assert cut is not None
        self.cut, self.count = cut, views_of(trial)
        self._trial, self._network = trial, network
        self._images, self._truths, self._training = images, truths, training
        rows = self.count * len(training)
        self._maps: Tensor | None = None
        if _augments(trial):
            random = np.random.default_rng(stream_seed(trial, "kept views"))
            self._maps = augmentation.draw(random, rows, shift=trial.shift, zoom=trial.zoom, flip=trial.flip)
        self._dropout = stream_seed(trial, "dropout of kept views")
        self._hidden: list[Tensor] = []
        self._shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        self._masks: Tensor | None = None
        if kept:
            self._keep(rows)

    def batch(self, rows: Sequence[int]) -> tuple[Hidden, Float[Tensor, "row structure height width"]]:
        """What the cut sees of these views (view x training images + image), and their truth."""
        if self._masks is None:
            return self._made(rows)
        chosen = torch.as_tensor(rows, device=self._images.device)
        hidden = tuple(
            rows_of.index_select(0, chosen).as_strided((len(rows), *shape), strides)
            for rows_of, (shape, strides) in zip(self._hidden, self._shapes, strict=True)
        )
        return hidden, self._masks.index_select(0, chosen).float()

    def _keep(self, rows: int) -> None:
        """Each row in one piece, in the order of memory that the network gave it: another order, other last bits."""
        size = min(self._trial.batch_size, rows)  # always as many as in a step: other sizes, other last bits
        for first in range(0, rows, size):
            first = min(first, rows - size)
            part = range(first, first + size)
            hidden, truth = self._made(part)
            if self._masks is None:
                self._shapes = [(tuple(one.shape[1:]), one.stride()) for one in hidden]
                self._hidden = [one.new_empty((rows, one[0].numel())) for one in hidden]
                self._masks = torch.empty((rows, *truth.shape[1:]), dtype=torch.uint8, device=truth.device)
            for whole, one in zip(self._hidden, hidden, strict=True):
                whole[part.start : part.stop] = one.as_strided((len(part), whole.shape[1]), (whole.shape[1], 1))
            self._masks[part.start : part.stop] = truth

    def _made(self, rows: Sequence[int]) -> tuple[Hidden, Tensor]:
        places = self._training[[row % len(self._training) for row in rows]]
        if self._maps is None:
            inputs, truth = augmentation.plain(self._images[places], self._truths[places])
        else:
            inputs, truth = augmentation.apply(self._maps[list(rows)], self._images[places], self._truths[places])
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        before = min(self.cut, UNET_DROPOUT, key=UNET_STAGES.index)
        with torch.no_grad(), in_precision(self._trial, inputs.device):
            hidden = self._network.hidden_before(inputs, before)
            if before != self.cut:
                *skips, last = hidden
                hidden = self._network.between((*skips, last * self._kept_numbers(rows, last)), "6", self.cut)
        return hidden, truth

    def _kept_numbers(self, rows: Sequence[int], last: Tensor) -> Tensor:
        """0 or 1 / (1 - p) for each number of block 5's map, by each view's own stream."""
        streams = [torch.Generator().manual_seed((self._dropout + row) % 2**63) for row in rows]
        drawn = torch.stack([torch.rand(last.shape[1:], generator=stream) for stream in streams])
        factors = (drawn >= DROPOUT).to(last.device, last.dtype) / (1 - DROPOUT)
        return factors.contiguous(memory_format=torch.channels_last)


def _augments(trial: Trial) -> bool:
    return bool(trial.shift or trial.zoom or trial.flip)


def _bytes_before(trial: Trial, stage: str) -> int:
    number = 2 if trial.precision == "bfloat16" else 4
    return number * unet_hidden_numbers(trial.width, trial.image_size, stage)
