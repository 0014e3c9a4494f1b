"""How long it takes to open results: a made store of many attempts, read as the pages read it.

    python benchmarks/store.py                       2,000 attempts x 30 epochs x 100 images of 128 x 128
    python benchmarks/store.py --attempts 200        smaller

The attempts are made by chance, in a temporary folder that is removed at the end.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dashboard.figures.cells import cell_table, fold_table, trial_table
from dashboard.figures.table2 import table2, table2_table
from engine.architectures import UNET_STRATEGIES
from engine.store import Store
from engine.store.store import SEGMENT
from engine.trial import Attempt, Epoch, TestImage, Trial

STUDY = "benchmark"


def trials(number: int, image_size: int) -> list[Trial]:
    """`number` trials: 13 strategies x 3 fractions x 5 folds, then further learning rates and seeds."""
    found = [
        Trial(
            data="0" * 64, split_by="image", split_seed=0, folds=5, fold=fold, fraction=fraction,
            strategy=strategy.name, model="unet", width=16, image_size=image_size, units=strategy.units,
            learning_rate=rate, seed=seed, start_weights=None, batch_size=2, patience=20, max_epochs=200,
            batches_per_epoch=27, shift=0.05, zoom=0.05, flip=True, precision="float32", threads=1, device="cpu",
        )
        for seed in range(1 + number // 780)
        for rate in (1e-3, 3e-4, 1e-4, 3e-5)
        for fraction in (80.0, 50.0, 5.0)
        for strategy in UNET_STRATEGIES.values()
        for fold in range(5)
    ]  # fmt: skip
    return found[:number]


def attempts(planned: list[Trial], *, epochs: int, images: int, image_size: int) -> Iterator[Attempt]:
    """A completed attempt at each, its numbers by chance and its masks discs that compress like real ones."""
    random = np.random.default_rng(0)
    place = (np.arange(image_size) + 0.5) / image_size
    discs = [
        np.packbits(np.hypot(place[:, None] - down, place[None] - across) < radius).tobytes()
        for down, across, radius in zip(*random.uniform(0.15, 0.6, (3, 64)), strict=True)
    ]
    for trial in planned:
        curve = np.sort(random.uniform(0.1, 0.7, epochs))[::-1]
        dice = random.uniform(0.5, 0.95, images)
        yield Attempt(
            trial=trial, number=1, state="completed", started="2026-01-01T00:00:00+00:00", seconds=60.0, host="made",
            best_epoch=epochs, epochs_run=epochs, dice=float(dice.mean()), iou=0.7, validation_loss=0.1,
            validation_dice=0.8,
            epochs=tuple(
                Epoch(epoch=place + 1, training_loss=float(loss), validation_loss=float(loss), validation_dice=0.8,
                      seconds=1.5)
                for place, loss in enumerate(curve)
            ),
            test_images=tuple(
                TestImage(image=f"image {index:03d}.png", index=index, group="", dice=float(dice[index]), iou=0.7,
                          empty_truth=False, predicted_pixels=900, predicted_mask=discs[random.integers(64)])
                for index in range(images)
            ),
        )  # fmt: skip


def median_seconds(what: Callable[[], Any], runs: int) -> float:
    """Median wall time of `runs` calls."""
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        what()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def measure(store: Store, runs: int) -> dict[str, float]:
    """Seconds of each thing that a page does."""
    plan, found = store.plan(STUDY), store.attempts(STUDY)
    rate = float(plan["learning_rate"].iloc[0])
    first = plan[(plan["learning_rate"] == rate) & (plan["fraction"] == 80) & (plan["strategy"] == "contracting")]
    ids = list(first["id"])

    def table() -> pd.DataFrame:
        cells = cell_table(fold_table(trial_table(plan, found, rate)), plan, "made")
        table2(drawn := table2_table(cells))
        return drawn

    return {
        "open all attempts": median_seconds(lambda: store.attempts(STUDY), runs),
        "Table II from them, drawn": median_seconds(table, runs),
        f"epochs of a cell ({len(ids)} trials)": median_seconds(lambda: store.epochs(STUDY, ids), runs),
        f"test images of a cell, with masks ({len(ids)} trials)": median_seconds(
            lambda: store.test_images(STUDY, ids, masks=True), runs
        ),
    }


def main() -> None:
    """Make, measure loose, compact, measure again, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attempts", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        planned = trials(chosen.attempts, chosen.image_size)
        loose, compacted = Store.at(Path(folder) / "loose"), Store.at(Path(folder) / "compacted")
        for store in (loose, compacted):
            store.begin(STUDY, "name: benchmark\n")
            store.write_plan(STUDY, planned, {})
        writing = gathering = 0.0
        made = attempts(planned, epochs=chosen.epochs, images=chosen.images, image_size=chosen.image_size)
        for number, attempt in enumerate(made, start=1):
            begun = time.perf_counter()
            loose.append(STUDY, attempt)
            writing += time.perf_counter() - begun
            compacted.append(STUDY, attempt)
            begun = time.perf_counter()
            if number % SEGMENT == 0 or number == len(planned):
                compacted.compact(STUDY, least=1)
            gathering += time.perf_counter() - begun
        size = sum(path.stat().st_size for path in (Path(folder) / "loose").rglob("*") if path.is_file())
        print(f"{len(planned)} attempts x {chosen.epochs} epochs x {chosen.images} images, {os.cpu_count()} cores")
        print(f"one attempt is written in {1000 * writing / len(planned):.1f} ms; all take {size / 2**20:.0f} MiB")
        print(f"compacting took {gathering:.1f} s in all\n")
        before, after = measure(loose, chosen.runs), measure(compacted, chosen.runs)
        print(f"| seconds, median of {chosen.runs} | one file each | compacted |")
        print("|---|---|---|")
        for name, seconds in before.items():
            print(f"| {name} | {seconds:.3f} | {after[name]:.3f} |")


if __name__ == "__main__":
    main()
