"""How a study grows: trials per hour by workers, cost by images, epochs and trials, and where that ends to be linear.

    python -m benchmarks.scaling [--trials 20] [--driver 0.048] [--trial-seconds 90]
    python -m benchmarks.scaling --only model --row-seconds 0.031 --row-bytes 32000

First real runs of a small study by `engine.search.running.run` (simulated images, a U-Net of width 4 at 64 x 64, from
scratch), each in a process of its own: one thing changes at a time. Seconds count from the first epoch to the last
row. Then what a store's row costs. Then a model, which is no measurement: from these terms and those given as options
it says how long 10,000 trials take on up to 1,000 GPUs, what limits them, and where the next GPU helps no more.

`--driver` is the driver's time for a trial beyond its work (`python -m benchmarks.overhead`: 0.022 s with 200 trials,
0.048 s with 5,000); `--trial-seconds` a training's own (1.5 minutes on the hardware of Amiri et al. 2020).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.machine import command_line, machine_line

STRATEGY = "from scratch"
FOLDS = 5
BASE = {"workers": 2, "images": 40, "epochs": 4, "trials": 20}
GPUS = (1, 4, 16, 64, 250, 1000)
GPUS_OF_A_NODE = 8
STORED = (100, 500)
"""Rows that lie loose in a store when one more is written; a run gathers them from 500 on."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the model adds up, in seconds and bytes."""

    start: float
    """Until the first trial begins: Ray, images, plan."""
    trial: float
    """A training's own, alone or as one of those that share a GPU."""
    at_once: int
    """Trials that share a GPU."""
    driver: float
    """The driver's for a trial; trials wait for it one after another."""
    row: float
    """A worker's for a row in the store."""
    row_bytes: float
    node_bytes: float
    """Images and start weights, once to each node."""
    link: float
    """Bytes per second out of the driver's machine."""


def ours(sizes: Mapping[str, int], folder: Path) -> dict[str, float]:
    """Seconds of a study of these sizes until its first epoch, and from there to its last row."""
    from engine.search import running
    from engine.store import Store
    from engine.study_settings import DataSettings, ModelSettings, ResourceSettings, Study, TrainingSettings

    study = Study(
        name="scaling",
        model=ModelSettings(width=4, image_size=64),
        data=DataSettings(kind="simulated", images=sizes["images"]),
        strategies=(STRATEGY,),
        reference=STRATEGY,
        fractions=(80.0,),
        seeds=tuple(range(sizes["trials"] // FOLDS)),
        training=TrainingSettings(max_epochs=sizes["epochs"], patience=sizes["epochs"]),
        resources=ResourceSettings(at_once=sizes["workers"], gpu=0.0),
        keep_weights="none",
    )
    begun, at = time.monotonic(), dict[str, float]()

    def listen(progress: Mapping[str, Any]) -> None:
        if progress["phase"] == "training":
            at.setdefault("first", time.monotonic() - begun)
        if progress["trials"] and progress["closed"] == sizes["trials"]:
            at.setdefault("last", time.monotonic() - begun)

    running.run(study, Store.at(folder / "results"), folder / "cache", listen)
    return {"start": at["first"], "seconds": at["last"] - at["first"]}


def stored(folder: Path) -> dict[str, float]:
    """Seconds and bytes of a row as a paper-scale trial writes it, and of asking how a trial stands before."""
    import numpy as np

    from benchmarks.store import attempts, trials
    from engine.store import Store

    store, size, images = Store.at(folder), 256, 33
    made = list(attempts(trials(STORED[-1] + 20, size), epochs=40, images=images, image_size=size))
    found: dict[str, float] = {}
    done = 0
    for number in STORED:
        for attempt in made[done:number]:
            store.append("scaling", attempt)
        done = number + 10
        took = []
        for attempt in made[number:done]:
            clock = time.perf_counter()
            store.standing("scaling", attempt.trial.id)
            store.append("scaling", attempt)
            took.append(time.perf_counter() - clock)
        found[str(number)] = float(np.median(took))
    files = list((folder / "scaling" / "attempts").iterdir())
    found["bytes"] = sum(file.stat().st_size for file in files) / len(files)
    clock = time.perf_counter()
    store.compact("scaling", least=1)
    found["compacting"] = (time.perf_counter() - clock) / len(files)
    return found


def print_runs(trials: int) -> float:
    """The table of real runs; seconds until the first trial."""
    base = BASE | {"trials": trials}
    changes = [
        {},
        {"workers": 1},
        {"images": 80},
        {"images": 160},
        {"epochs": 8},
        {"epochs": 16},
        {"trials": 2 * trials},
    ]
    print(
        "| workers | images | epochs | trials | until the first, s | s | trials per hour | s, times the first row's |"
    )
    print("|---:" * 8 + "|")
    first, start = 0.0, 0.0
    for change in changes:
        sizes = base | change
        took = _apart("run", sizes)
        first, start = first or took["seconds"], start or took["start"]
        rate = 3600 * sizes["trials"] / took["seconds"]
        print(f"| {' | '.join(str(one) for one in sizes.values())} | {took['start']:.1f} | {took['seconds']:.1f} | "
              f"{rate:,.0f} | {took['seconds'] / first:.2f} |", flush=True)  # fmt: skip
    return start


def print_store() -> tuple[float, float]:
    """What a row costs; seconds and bytes."""
    found = _apart("store", {})
    print("\n| a row of 40 epochs and 33 test images of 256 x 256 | |\n|---|---:|")
    for number in STORED:
        print(f"| asked for and written beside {number} loose ones, ms | {1000 * found[str(number)]:.1f} |")
    print(f"| gathered into a segment, ms | {1000 * found['compacting']:.1f} |\n| bytes | {found['bytes']:,.0f} |")
    return found[str(STORED[-1])] + found["compacting"], found["bytes"]


def seconds_of(terms: Terms, trials: int, gpus: int) -> dict[str, float]:
    """Seconds of each of the things that may limit `trials` on so many GPUs; they overlap, so the longest counts."""
    workers = min(gpus * terms.at_once, trials)
    return {
        "GPUs": ceil(trials / workers) * (terms.trial + terms.row),
        "driver": trials * terms.driver,
        "store's link": trials * terms.row_bytes / terms.link,
    }


def before(terms: Terms, gpus: int) -> float:
    """Seconds before the first trial: start, and images and start weights to every node but the driver's own."""
    return terms.start + (ceil(gpus / GPUS_OF_A_NODE) - 1) * terms.node_bytes / terms.link


def most_gpus(terms: Terms) -> float:
    """GPUs from which the driver, not they, says how many trials an hour brings."""
    return (terms.trial + terms.row) / terms.driver / terms.at_once


def print_model(terms: Terms, trials: int) -> None:
    """The model's table, and its two sentences."""
    link, node, row = terms.link / 1e6, terms.node_bytes / 1e6, terms.row_bytes / 1e6
    print(
        f"\n**Model, not measured.** {trials:,} trials of {terms.trial:g} s, {terms.at_once} at once on a GPU; driver "
        f"{terms.driver:g} s, store {terms.row:.3f} s and {row:.2f} MB a trial; start {terms.start:.0f} s; "
        f"{node:.0f} MB to each node of {GPUS_OF_A_NODE} GPUs, and all rows, over {link:.0f} MB/s.\n"
    )
    print("| GPUs | before, s | hours | trials per hour | of linear | limited by |\n|---:|---:|---:|---:|---:|---|")
    alone = None
    for gpus in GPUS:
        parts = seconds_of(terms, trials, gpus)
        total = before(terms, gpus) + max(parts.values())
        alone = alone or total
        print(f"| {gpus:,} | {before(terms, gpus):.0f} | {total / 3600:.2f} | {3600 * trials / total:,.0f} | "
              f"{100 * alone / gpus / total:.0f} % | {max(parts, key=lambda name: parts[name])} |")  # fmt: skip
    print(
        f"\nThe driver hands out {3600 / terms.driver:,.0f} trials an hour at most: beyond {most_gpus(terms):,.0f} "
        f"GPUs trials of {terms.trial:g} s wait for it. Not in the model: how long Ray takes to start thousands of "
        f"workers, and a file system that many of them write to. All {trials:,} rows are "
        f"{trials * terms.row_bytes / 1e9:.1f} GB."
    )


def _apart(part: str, sizes: Mapping[str, int]) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="wls", dir="/tmp") as folder:
        words = ["--part", part, "--sizes", json.dumps(sizes), "--folder", folder]
        command = [sys.executable, "-m", "benchmarks.scaling", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return dict(json.loads((Path(folder) / "told.json").read_text()))


def main() -> None:
    """Print everything."""
    options = _arguments()
    if options.part:
        told = ours(json.loads(options.sizes), options.folder) if options.part == "run" else stored(options.folder)
        (options.folder / "told.json").write_text(json.dumps(told))
        return
    print(command_line("benchmarks.scaling"), end="\n\n")
    terms = Terms(
        start=options.start, trial=options.trial_seconds, at_once=options.at_once, driver=options.driver,
        row=options.row_seconds, row_bytes=options.row_bytes, node_bytes=options.node_megabytes * 1e6,
        link=options.link * 1e6,
    )  # fmt: skip
    if options.only != "model":
        start = print_runs(options.trials)
        row, size = print_store()
        terms = replace(terms, start=start, row=row, row_bytes=size)
    print_model(terms, options.large)
    print(f"\n{machine_line()}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=BASE["trials"], help="of a real run, a multiple of 5")
    parser.add_argument("--only", choices=("model",), help="leave the real runs out")
    parser.add_argument("--large", type=int, default=10_000, help="trials of the model")
    parser.add_argument("--driver", type=float, default=0.048, help="the driver's seconds per trial")
    parser.add_argument("--trial-seconds", type=float, default=90.0, help="a training's own seconds")
    parser.add_argument("--at-once", type=int, default=4, help="trials that share a GPU")
    parser.add_argument("--node-megabytes", type=float, default=145.0, help="163 images and start weights of width 64")
    parser.add_argument("--link", type=float, default=100.0, help="megabytes per second out of the driver's machine")
    parser.add_argument("--start", type=float, default=10.0, help="seconds until the first trial, with --only model")
    parser.add_argument("--row-seconds", type=float, default=0.031, help="with --only model")
    parser.add_argument("--row-bytes", type=float, default=32_000.0, help="with --only model")
    for name, kind in (("part", str), ("sizes", str), ("folder", Path)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
