"""Small data sets, trials and attempts that tests make for themselves."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from engine.architectures import parse_strategy
from engine.datasets import Dataset, make_dataset
from engine.trial import Attempt, Epoch, TestImage, Trial


def discs(images: int = 20, side: int = 32, groups: int | None = None, seed: int = 0) -> Dataset:
    """Bright discs on noise: a task that a tiny network learns in seconds."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    centres = random.uniform(0.3, 0.7, (images, 2, 1, 1)) * side
    radii = random.uniform(0.15, 0.3, (images, 1, 1)) * side
    masks = ((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2 < radii**2).astype(np.uint8)
    noise = random.normal(0, 12, masks.shape)
    pixels = np.clip(60 + 120 * masks + noise, 0, 255).astype(np.uint8)
    names = [f"disc {index:03d}" for index in range(images)]
    group = [f"patient {index % groups}" if groups else "" for index in range(images)]
    table = pd.DataFrame({"image": names, "group": group})
    return make_dataset(name="discs", provenance="discs made by a test", images=pixels, masks=masks, table=table)


def trial(strategy: str = "whole network", **changes: Any) -> Trial:
    """A small trial on `discs()`; `changes` are fields of Trial."""
    named = parse_strategy(strategy)
    plain = Trial(
        data="0" * 64,
        split_by="image",
        split_seed=0,
        folds=5,
        fold=0,
        fraction=80.0,
        strategy=named.name,
        model="unet",
        width=2,
        image_size=32,
        units=named.units,
        learning_rate=1e-3,
        seed=0,
        start_weights=None if named.start == "random" else "1" * 64,
        batch_size=2,
        patience=20,
        max_epochs=3,
        batches_per_epoch=4,
        shift=0.05,
        zoom=0.05,
        flip=True,
        precision="float32",
        threads=1,
        device="cpu",
    )
    return replace(plain, **changes)


def attempt(of: Trial, *, dice: float = 0.5, epochs: int = 3, images: int = 4, **changes: Any) -> Attempt:
    """An attempt with made numbers, for what reads and writes attempts; `changes` are fields of Attempt."""
    plain = Attempt(
        trial=of,
        number=1,
        state="completed",
        started="2026-01-01T00:00:00.000+00:00",
        seconds=1.5,
        host="test",
        best_epoch=epochs,
        epochs_run=epochs,
        dice=dice,
        iou=dice / (2 - dice),
        validation_loss=0.2,
        validation_dice=dice,
        epochs=tuple(
            Epoch(epoch=n, training_loss=1 / n, validation_loss=1 / n, validation_dice=0.5, seconds=0.1)
            for n in range(1, epochs + 1)
        ),
        test_images=tuple(
            TestImage(
                image=f"image {index}",
                index=index,
                group="",
                dice=dice,
                iou=dice / (2 - dice),
                empty_truth=False,
                predicted_pixels=3,
                predicted_mask=np.packbits(np.eye(of.image_size, dtype=bool)).tobytes(),
            )
            for index in range(images)
        ),
    )
    return replace(plain, **changes)
