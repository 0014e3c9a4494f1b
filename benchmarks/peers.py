"""The same trainings by WhichLayers and as its peers' own guides write them: seconds per trial, and Dice.

    uv pip install --group benchmarks              MONAI and Lightning
    python -m benchmarks.peers [--data ../shared/data/hc18_fetal_head] [--trials 40] [--alone 4] [--epochs 5]
    python -m benchmarks.peers --trials 20 --alone 20 --epochs 40 --start-images 3500 --start-batches 3500    for Dice

Each trial: 54 / 14 / 17 images of 85, batches of 2, a U-Net of width 16 at 128 x 128, Adam, random shift, zoom and
flip, a validation after every epoch, a test at the end; a quarter of the trials each whole network, contracting,
expanding and block 9. All start from the same pre-trained weights, made before. Peers train in float32 with PyTorch's
defaults. Plain PyTorch, MONAI and Lightning train one trial after another in one process, whose imports are not
counted (`--alone` of them are enough); Ray Tune with its defaults and WhichLayers run `--trials` of them (a multiple of
4 up to 20, of 20 beyond), and each of their seconds counts from the start of the process to its end: imports, Ray, and
of WhichLayers the decoding of all images and its test of the start weights as they are. `--rounds` goes through all
of them again; times are medians of the rounds. Dice is that of the last round; its difference to ours is taken trial
by trial, over the same split and seed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.machine import command_line, machine_line, versions
from benchmarks.peer_programs.work import BATCH, RATE, SHIFT, SIZE, WIDTH, ZOOM, Trial
from engine import config
from engine.preparation import prepare
from engine.store import Store
from engine.training import split_of

ROOT = Path(__file__).resolve().parents[1]
STRATEGIES = ("whole network", "contracting", "expanding", "block 9")
IMAGES = 85
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
folds: {{of: {folds}, run: [{run}]}}
split: {{by: image}}
seeds: [{seeds}]
training:
  batch_size: {batch}
  patience: {patience}
  max_epochs: {epochs}
  batches_per_epoch: 27
  augmentation: {{shift: {shift}, zoom: {zoom}, flip: yes}}
"""
OURS, RAY = "WhichLayers", "Ray Tune, defaults"
PROGRAMS = {"plain PyTorch": "plain", "MONAI": "with_monai", "Lightning": "with_lightning", RAY: "under_ray"}
NEEDS = {"MONAI": "monai", "Lightning": "pytorch_lightning"}
REMEDY = "uv pip install --group benchmarks"
Done = list[dict[str, Any]]


class PeerFailed(Exception):
    """A peer's program ended with an error; the others run on."""


def folds_and_seeds(trials: int) -> tuple[range, range]:
    """Folds and seeds of `trials` trials or a few more: strategies x folds x seeds."""
    each = -(-trials // len(STRATEGIES))
    return range(min(each, FOLDS)), range(-(-each // FOLDS))


def study_text(options: argparse.Namespace, folder: Path) -> str:
    """The study file of those trials over the images in `folder`."""
    folds, seeds = folds_and_seeds(options.trials)
    return STUDY.format(
        width=WIDTH, size=SIZE, folder=folder, images=options.start_images, rate=RATE, batches=options.start_batches,
        strategies=", ".join(STRATEGIES), folds=FOLDS, run=", ".join(map(str, folds)), shift=SHIFT, zoom=ZOOM,
        batch=BATCH, seeds=", ".join(map(str, seeds)), patience=options.epochs, epochs=options.epochs,
    )  # fmt: skip


def take_images(data: Path, folder: Path) -> None:
    """A folder with 85 images of `data`, evenly over its manifest, and their masks."""
    rows = pd.read_csv(data / "manifest.csv")
    if len(rows) < IMAGES:
        raise SystemExit(f"{data / 'manifest.csv'} names {len(rows)} images; {IMAGES} are needed")
    taken = rows.iloc[[place * len(rows) // IMAGES for place in range(IMAGES)]]
    for name in (*taken["image"], *taken["mask"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data / name, folder / name)
    taken.to_csv(folder / "manifest.csv", index=False)


def ours(file: Path, store: Path, cache: Path) -> tuple[float, Done]:
    """Seconds of `whichlayers run` from an empty store, and its trials."""
    command = [sys.executable, "-m", "whichlayers", "run", str(file), "--store", str(store), "--cache", str(cache)]
    begun = time.perf_counter()
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if ended.returncode:
        raise PeerFailed((ended.stdout + ended.stderr)[-3000:])
    columns = ("strategy", "fold", "seed", "dice")
    found = Store.at(store).attempts("peers", columns)
    trained = found[found["strategy"].isin(STRATEGIES)]  # it also tests the start weights as they are
    return seconds, [{name: row[name] for name in columns} for row in trained.to_dict("records")]


def work_of(file: Path, folder: Path, cache: Path, images: Path) -> dict[str, Any]:
    """What peers are given: the same images, splits and start weights. Makes those, which ours finds again."""
    ready = prepare(config.load(file), Store.at(folder / "prepared"), cache, lambda part, text: None)
    manifest = pd.read_csv(images / "manifest.csv")
    masks = dict(zip(manifest["image"], manifest["mask"], strict=True))
    files = [[str(images / name), str(images / masks[name])] for name in ready.dataset.table["image"]]
    found = []
    for trial in [one for one in ready.trials if one.units]:
        split = split_of(trial, ready.dataset)
        parts = {part: [files[place] for place in getattr(split, part)] for part in ("training", "validation", "test")}
        told = Trial(strategy=trial.strategy, units=list(trial.units), fold=trial.fold, seed=trial.seed, **parts)
        found.append(asdict(told))
    (start,) = ready.starts.values()
    return {"trials": found, "weights": str(start.path)}


def theirs(program: str, work: dict[str, Any], folder: Path) -> tuple[float, Done]:
    """Seconds of a peer's whole process, and what it told of its trials."""
    file = folder / f"{program}.json"
    file.write_text(json.dumps(work))
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.peer_programs.{program}", str(file)]
    variables = os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(folder)}
    begun = time.perf_counter()
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=variables)
    seconds = time.perf_counter() - begun
    if ended.returncode:
        raise PeerFailed(ended.stderr[-3000:])
    return seconds, list(json.loads(ended.stdout.strip().splitlines()[-1]))


def by_strategy(trials: Done, number: int) -> Done:
    """The first trials, as many of each strategy."""
    each = -(-number // len(STRATEGIES))
    return [one for name in STRATEGIES for one in [one for one in trials if one["strategy"] == name][:each]]


def measure(peer: str, work: dict[str, Any], folder: Path, options: argparse.Namespace) -> tuple[float, Done]:
    """Seconds per trial of one round of a peer or of ours, and the trials. Raises PeerFailed."""
    if peer == OURS:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            cache = Path(name) / "cache"  # start weights are given, as they are to peers; decoded images are not
            shutil.copytree(folder / "cache" / "start_weights", cache / "start_weights")
            seconds, done = ours(folder / "peers.yaml", Path(name) / "results", cache)
        return seconds / len(done), done
    if peer == RAY:
        seconds, done = theirs(PROGRAMS[peer], work, folder)
        return seconds / len(done), done
    few = work | {"trials": by_strategy(work["trials"], options.alone)}
    _, done = theirs(PROGRAMS[peer], few, folder)
    return statistics.fmean(one["seconds"] for one in done), done


def missing(peers: Sequence[str]) -> dict[str, str]:
    """A line with the remedy for each of `peers` that is not installed."""
    return {
        peer: f"{peer} is left out: '{NEEDS[peer]}' is not installed; {REMEDY}"
        for peer in peers
        if peer in NEEDS and find_spec(NEEDS[peer]) is None
    }


def differences(done: Done, own: Done) -> list[float]:
    """Dice less ours of every trial that both have run."""
    scores = {(one["strategy"], one["fold"], one["seed"]): one["dice"] for one in own}
    pairs = [(one["dice"], scores.get((one["strategy"], one["fold"], one["seed"]))) for one in done]
    return [dice - mine for dice, mine in pairs if mine is not None]


def table(seconds: Mapping[str, Sequence[float]], scores: Mapping[str, Done]) -> str:
    """Seconds per trial with lowest and highest round, how many times ours, mean Dice of each strategy, and its
    difference to ours."""
    own = statistics.median(seconds[OURS]) if OURS in seconds else None
    lines = [
        "| | s per trial | x ours | " + " | ".join(STRATEGIES) + " | Dice less ours, same trials |",
        "|---|---:|---:|" + "---:|" * (len(STRATEGIES) + 1),
    ]
    for peer, each in seconds.items():
        middle = statistics.median(each)
        spread = f" ({min(each):.2f}-{max(each):.2f})" if len(each) > 1 else ""
        cells = [f"{middle:.2f}{spread}", f"{middle / own:.1f}" if own else ""]
        for strategy in STRATEGIES:
            found = [one["dice"] for one in scores[peer] if one["strategy"] == strategy]
            cells.append(f"{statistics.fmean(found):.3f} (n = {len(found)})" if found else "")
        apart = differences(scores[peer], scores.get(OURS, [])) if peer != OURS else []
        deviation = f" ± {statistics.stdev(apart):.3f}" if len(apart) > 1 else ""
        cells.append(f"{statistics.fmean(apart):+.3f}{deviation} (n = {len(apart)})" if apart else "")
        lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    every = [*PROGRAMS, OURS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "hc18_fetal_head")
    parser.add_argument("--trials", type=int, default=40, help="under Ray Tune and by WhichLayers")
    parser.add_argument("--alone", type=int, default=4, help="one after another by each of the other peers")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--start-images", type=int, default=300, help="made images that start weights learn from")
    parser.add_argument("--start-batches", type=int, default=300)
    parser.add_argument("--only", nargs="+", choices=every, default=every)
    return parser.parse_args()


def main() -> None:
    """Prints the head and the table; exit code 1 where a peer failed."""
    options = arguments()
    if not (options.data / "manifest.csv").is_file():
        raise SystemExit(f"{options.data} has no manifest.csv; name a folder of images with masks by --data")
    absent = missing(options.only)
    print(*absent.values(), sep="\n", file=sys.stderr, flush=True)
    seconds: dict[str, list[float]] = {}
    scores: dict[str, Done] = {}
    failed: dict[str, str] = {}
    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, file = folder / "images", folder / "peers.yaml"
        take_images(options.data, images)
        file.write_text(study_text(options, images))
        print("start weights …", file=sys.stderr, flush=True)
        work = work_of(file, folder, folder / "cache", images) | {"epochs": options.epochs}
        for number in range(options.rounds):
            for peer in [one for one in options.only if one not in absent and one not in failed]:
                print(f"round {number + 1}: {peer} … ", end="", file=sys.stderr, flush=True)
                try:
                    each, scores[peer] = measure(peer, work, folder, options)
                except PeerFailed as error:
                    failed[peer] = f"{peer} failed: {str(error).strip().splitlines()[-1]}"
                    print(error, file=sys.stderr, flush=True)
                    continue
                seconds.setdefault(peer, []).append(each)
                print(f"{each:.2f} s per trial", file=sys.stderr, flush=True)
    print(command_line("benchmarks.peers"))
    print(f"{len(work['trials'])} trials ({options.alone} alone), {options.epochs} epochs, {options.rounds} rounds; "
          f"{versions('torch', 'monai', 'pytorch-lightning', 'ray')}")  # fmt: skip
    print(f"{machine_line(load)}\n")
    print(table(seconds, scores))
    for line in (*absent.values(), *failed.values()):
        print(f"\n{line}")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
