"""Kept views against new ones: Dice, time per step and per training of the same folds, on real images.

    python -m benchmarks.kept_views [--data FOLDER ...] [--views 8] [--folds 3] [--strategies "block 9" expanding]

Where a U-Net's first units are frozen, `training.crops_kept: K` computes what they make of K random views per image
once. The same trials (strategies x folds, few images) are trained by `engine.training.run_trial` with K views
kept and with new views in every step, one after the other in turns, with the same start weights, batches and rules:
width 16, 128 x 128, 27 batches of 2 per epoch, patience 8, 60 epochs at most. Differences are paired over test
images, which their standard error takes as independent.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.machine import command_line, machine_line
from engine import config
from engine.preparation import prepare
from engine.pretraining import load_start_weights
from engine.store import Store
from engine.training import run_trial
from engine.trial import Attempt

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
STUDY = """\
name: views
model: {{width: 16, image_size: 128}}
data: {{kind: folder, folder: {folder}}}
strategies: [whole network, {strategies}]
fractions: [{fraction:g}]
folds: {{of: 5, run: {folds}}}
training: {{patience: 8, max_epochs: {epochs}, batches_per_epoch: 27, crops_kept: {views}}}
"""


def trained(folder: Path, options: argparse.Namespace) -> list[tuple[Attempt, Attempt]]:
    """Each trial with new views and with kept ones."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "views.yaml"
        text = STUDY.format(
            folder=folder.resolve(),
            strategies=", ".join(options.strategies),
            folds=list(range(options.folds)),
            epochs=options.epochs,
            views=options.views,
            fraction=options.fraction,
        )
        file.write_text(text)
        ready = prepare(config.load(file), Store.at(Path(name) / "store"), options.cache, lambda part, text: None)
        (start,) = ready.starts.values()
        weights = load_start_weights(start.path)
        pairs = []
        for trial in tqdm([trial for trial in ready.trials if trial.crops_kept], desc=folder.name, file=sys.stderr):
            one, two = (run_trial(now, ready.dataset, weights)[0] for now in (replace(trial, crops_kept=0), trial))
            pairs.append((one, two))
        return pairs


def row(strategy: str, pairs: Sequence[tuple[Attempt, Attempt]]) -> str:
    """One strategy of one data set."""
    new, kept = zip(*pairs, strict=True)
    differences = np.concatenate([
        [two.dice - one.dice for one, two in zip(first.test_images, second.test_images, strict=True)]
        for first, second in pairs
    ])  # fmt: skip
    spread = float(differences.std(ddof=1) / len(differences) ** 0.5)
    seconds = [statistics.median([one.epochs[-1].seconds for one in those]) for those in (new, kept)]
    whole = [statistics.fmean(one.seconds for one in those) for those in (new, kept)]
    epochs = [statistics.fmean(one.epochs_run for one in those) for those in (new, kept)]
    dice = [statistics.fmean(one.dice or 0.0 for one in those) for those in (new, kept)]
    return (
        f"{strategy} | {dice[0]:.4f} | {dice[1]:.4f} | {differences.mean():+.4f} ± {spread:.4f} | {epochs[0]:.0f} / "
        f"{epochs[1]:.0f} | {seconds[0]:.2f} / {seconds[1]:.2f} | {seconds[0] / seconds[1]:.2f} | {whole[0]:.0f} / "
        f"{whole[1]:.0f}"
    )


def main() -> None:
    """Prints a table per data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", default=[DATA / "hc18_fetal_head", DATA / "bus_uclm_breast"])
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--folds", type=int, default=3, help="of five, that are run")
    parser.add_argument("--fraction", type=float, default=10, help="of the images that train and validate, percent")
    parser.add_argument("--epochs", type=int, default=60, help="at most")
    parser.add_argument("--strategies", nargs="+", default=["block 9", "expanding"])
    parser.add_argument("--cache", type=Path, default=ROOT / ".whichlayers-cache", help="start weights are kept there")
    options = parser.parse_args()
    load = os.getloadavg()
    print(f"{command_line('benchmarks.kept_views')}\n")
    columns = ["Dice, new views", f"Dice, {options.views} kept", "difference ± standard error", "epochs"]
    columns += ["s per epoch", "x", "s per training"]
    for folder in options.data:
        if not folder.is_dir():
            raise SystemExit(f"{folder} is not there; name folders of images with masks by --data")
        pairs = trained(folder, options)
        table = pd.DataFrame({"strategy": [new.trial.strategy for new, _ in pairs], "place": range(len(pairs))})
        print(f"| {folder.name} | {' | '.join(columns)} |\n|---{'|---:' * len(columns)}|")
        for strategy, those in table.groupby("strategy", sort=False)["place"]:
            print(f"| {row(str(strategy), [pairs[place] for place in those])} |", flush=True)
        print()
    print(machine_line(load))


if __name__ == "__main__":
    main()
