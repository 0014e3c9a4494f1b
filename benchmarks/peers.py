"""The same trainings by WhichLayers and as its peers' own guides write them: seconds per trial, and Dice.

    uv pip install --group benchmarks              MONAI and Lightning
    python benchmarks/peers.py [--data ../shared/data/hc18_fetal_head] [--trials 40] [--alone 4] [--epochs 5]

Each trial: 54 / 14 / 17 images of 85, batches of 2, a U-Net of width 16 at 128 x 128, Adam, random shift, zoom and
flip, a validation after every epoch, a test at the end; a quarter of the trials each whole network, contracting,
expanding and block 9. Peers train in float32 with PyTorch's defaults. Plain PyTorch, MONAI and Lightning train one
trial after another in one process, whose imports are not counted (`--alone` of them are enough); Ray Tune with its
defaults and WhichLayers run `--trials` of them, start and end of Ray and of the process included. `--rounds` goes
through all of them again.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.peer_programs.common import BATCH, RATE, SHIFT, SIZE, WIDTH, ZOOM, Trial
from engine import config
from engine.preparation import prepare
from engine.store import Store
from engine.training import split_of

ROOT = Path(__file__).resolve().parents[1]
STRATEGIES = ("whole network", "contracting", "expanding", "block 9")
FOLDS = 5
STUDY = """\
name: peers
question: How long do the same trainings take?
model: {{width: {width}, image_size: {size}}}
data: {{kind: folder, folder: {folder}}}
start_weights: {{images: {images}, batches: {batches}}}
strategies: [{strategies}]
fractions: [80]
learning_rates: [{rate}]
folds: {{of: {folds}}}
split: {{by: image}}
seeds: [{seeds}]
training:
  batch_size: {batch}
  patience: {patience}
  max_epochs: {epochs}
  batches_per_epoch: 27
  augmentation: {{shift: {shift}, zoom: {zoom}, flip: yes}}
"""
ALONE = {"plain PyTorch": "plain", "MONAI": "with_monai", "Lightning": "with_lightning"}
OURS, RAY = "WhichLayers", "Ray Tune, defaults"
Done = list[dict[str, Any]]


def study_text(options: argparse.Namespace) -> str:
    """The study file of `options.trials` trials or a few more: strategies x folds x seeds."""
    seeds = -(-options.trials // (len(STRATEGIES) * FOLDS))
    return STUDY.format(
        width=WIDTH, size=SIZE, folder=options.data.resolve(), images=options.start_images, rate=RATE,
        batches=options.start_batches, strategies=", ".join(STRATEGIES), folds=FOLDS, shift=SHIFT, zoom=ZOOM,
        batch=BATCH, seeds=", ".join(map(str, range(seeds))), patience=options.epochs, epochs=options.epochs,
    )  # fmt: skip


def ours(file: Path, store: Path, cache: Path) -> tuple[float, pd.DataFrame]:
    """Seconds of `whichlayers run` from an empty store, and its attempts."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "whichlayers", "run", str(file), "--store", str(store), "--cache", str(cache)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(ended.stdout + ended.stderr)
    return time.perf_counter() - begun, Store.at(store).attempts("peers", ("strategy", "dice", "seconds"))


def work_of(file: Path, folder: Path, cache: Path, data: Path, trials: int) -> dict[str, Any]:
    """What peers are given: the same images, splits and start weights. Makes those, which ours finds again."""
    ready = prepare(config.load(file), Store.at(folder / "prepared"), cache, lambda part, text: None)
    manifest = pd.read_csv(data / "manifest.csv").set_index("image")
    files = [[str(data / name), str(data / manifest.at[name, "mask"])] for name in ready.dataset.table["image"]]
    found = []
    for trial in ready.trials[:trials]:
        split = split_of(trial, ready.dataset)
        parts = {part: [files[place] for place in getattr(split, part)] for part in ("training", "validation", "test")}
        found.append(asdict(Trial(strategy=trial.strategy, units=list(trial.units), seed=trial.seed, **parts)))
    (start,) = ready.starts.values()
    return {"trials": found, "weights": str(start.path)}


def theirs(program: str, work: dict[str, Any], folder: Path) -> Done:
    """What a peer's program told of its trials."""
    file = folder / f"{program}.json"
    file.write_text(json.dumps(work))
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.peer_programs.{program}", str(file)]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    if ended.returncode:
        raise SystemExit(f"{program}: {ended.stderr[-3000:]}")
    return list(json.loads(ended.stdout.strip().splitlines()[-1]))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "hc18_fetal_head")
    parser.add_argument("--trials", type=int, default=40, help="under Ray Tune and by WhichLayers")
    parser.add_argument("--alone", type=int, default=4, help="one after another by each of the other peers")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--start-images", type=int, default=300, help="made images that start weights learn from")
    parser.add_argument("--start-batches", type=int, default=300)
    parser.add_argument("--only", nargs="+", choices=[*ALONE, RAY, OURS], default=[*ALONE, RAY, OURS])
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"{options.data} is not there; name a folder of images with masks by --data")
    seconds: dict[str, list[float]] = {}
    scores: dict[str, list[dict[str, Any]]] = {}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "peers.yaml"
        file.write_text(study_text(options))
        cache = folder / "cache"
        print("images and start weights …", file=sys.stderr, flush=True)
        work = work_of(file, folder, cache, options.data, options.trials) | {"epochs": options.epochs}
        for number in range(options.rounds):
            for peer in options.only:
                print(f"round {number + 1}: {peer} …", file=sys.stderr, flush=True)
                if peer == OURS:
                    wall, attempts = ours(file, folder / f"round {number}", cache)
                    seconds.setdefault(peer, []).append(wall / len(attempts))
                    scores[peer] = attempts[["strategy", "dice"]].to_dict("records")
                    continue
                few = work if peer == RAY else work | {"trials": by_strategy(work["trials"], options.alone)}
                done = theirs("under_ray" if peer == RAY else ALONE[peer], few, folder)
                seconds.setdefault(peer, []).append(statistics.fmean(one["seconds"] for one in done))
                scores[peer] = done
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())  # fmt: skip
    print(
        f"{options.trials} trials ({options.alone} alone) of {options.epochs} epochs; median of {options.rounds} rounds"
    )
    print(f"{model}, {os.cpu_count()} cores, load {load:.1f} at the start\n")
    print_table(seconds, scores)


def by_strategy(trials: Done, number: int) -> Done:
    """The first trials, as many of each strategy."""
    each = -(-number // len(STRATEGIES))
    return [one for name in STRATEGIES for one in [one for one in trials if one["strategy"] == name][:each]]


def print_table(seconds: dict[str, list[float]], scores: dict[str, Done]) -> None:
    """Seconds per trial, how many times ours, and mean Dice of each strategy."""
    own = statistics.median(seconds[OURS]) if OURS in seconds else float("nan")
    print("| | s per trial | x ours | " + " | ".join(STRATEGIES) + " |")
    print("|---|---:|---:|" + "---:|" * len(STRATEGIES))
    for peer, each in seconds.items():
        middle = statistics.median(each)
        cells = []
        for strategy in STRATEGIES:
            found = [one["dice"] for one in scores[peer] if one["strategy"] == strategy]
            cells.append(f"{statistics.fmean(found):.3f} (n = {len(found)})" if found else "")
        print(f"| {peer} | {middle:.2f} | {middle / own:.1f} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
