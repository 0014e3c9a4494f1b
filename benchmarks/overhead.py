"""What scheduling costs: seconds per trial beyond its own work, seconds until the first trial, the driver's memory.

    python -m benchmarks.overhead [--trials 200] [--defaults 20] [--large 5000]

Trials do nothing but wait 0.1 s, and report as trainings do; everything else is a run as it always is: prepared,
planned, scheduled, followed, its progress kept. Each row is a process of its own, timed from its start, imports
included; processor seconds are those of all its processes, and say more on a busy machine. Ray Tune's defaults run
the same trials beside ours. The large study's trials wait 0 s. The line below the table says how busy the machine was.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_line

AT_ONCE = 2
WORK_SECONDS = 0.1


def waiting(seconds: float) -> Callable[[Mapping[str, Any]], None]:
    """A trial that waits, in place of `engine.search.worker.train_trial`."""

    def wait(config: Mapping[str, Any]) -> None:
        from ray import tune

        time.sleep(seconds)
        tune.report({"epoch": 1, "validation": None, "state": "completed"})

    return wait


def ours(trials: int, seconds: float, folder: Path, begun: float) -> dict[str, float]:
    """A study of so many trials (a multiple of 5), run by `engine.search.running.run`."""
    from engine.search.early import early_ray
    from engine.store import Store
    from engine.study_settings import DataSettings, ModelSettings, ResourceSettings, Study

    study = Study(
        name="waiting",
        model=ModelSettings(width=2, image_size=32),
        data=DataSettings(kind="simulated", images=20),
        strategies=("from scratch",),
        reference="from scratch",
        fractions=(80.0,),
        seeds=tuple(range(trials // 5)),
        resources=ResourceSettings(at_once=AT_ONCE, gpu=0.0),
    )
    at: dict[str, float] = {}
    store = Store.at(folder / "results")

    def listen(progress: Mapping[str, Any]) -> None:
        now = time.time() - begun
        if progress["phase"] == "starting workers":
            at.setdefault("planned", now)
        if progress["phase"] == "training" and "first" not in at:
            at.update(first=now, processor=processor_seconds())
        if progress["closed"] == trials and "last" not in at:
            at.update(last=now, processor_last=processor_seconds())

    with early_ray(study, store, None):  # as the command line does it, before the heavy imports
        from engine.search import running

        running.run(study, store, folder / "cache", listen, waiting(seconds))
    return at


def defaults(trials: int, seconds: float, folder: Path, begun: float) -> dict[str, float]:
    """As many trials given to Ray Tune as its documentation does."""
    import ray
    from ray import tune

    at: dict[str, float] = {"planned": time.time() - begun}

    class Clock(tune.Callback):
        """Notes when the first trial begins and the last one is over."""

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            """A trial begins."""
            if "first" not in at:
                at.update(first=time.time() - begun, processor=processor_seconds())

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            """A trial is over."""
            at.update(last=time.time() - begun, processor_last=processor_seconds())

    ray.init(num_cpus=AT_ONCE, include_dashboard=False, log_to_driver=False, _temp_dir=str(folder / "ray"))
    tune.Tuner(
        waiting(seconds),
        param_space={"seed": tune.grid_search(list(range(trials)))},
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0, callbacks=[Clock()]),
    ).fit()
    return at


def processor_seconds() -> float:
    """What this process and all that it has started have taken of the processors."""
    import psutil

    own, total = psutil.Process(), 0.0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


PARTS = {"ours": ours, "defaults": defaults}


def main() -> None:
    """Run each part in a process of its own and print the table."""
    wanted = _arguments()
    if wanted.part:
        folder = Path(tempfile.mkdtemp(prefix="wlo", dir="/tmp")) if wanted.folder is None else wanted.folder
        at = PARTS[wanted.part](wanted.trials, wanted.seconds, folder, wanted.begun)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        (folder / "at.json").write_text(json.dumps({**at, "memory": memory}))
        return
    rows = [
        ("ours", wanted.trials, WORK_SECONDS),
        ("defaults", wanted.defaults, WORK_SECONDS),
        ("ours", wanted.large, 0.0),
    ]
    columns = ["trials", "planned, s", "first trial, s", "processor until then, s"]
    columns += ["per trial beyond its work, s", "processor per trial, s", "driver, MB"]
    print(f"| | {' | '.join(columns)} |\n|---{'|---:' * len(columns)}|")
    for part, trials, seconds in rows:
        if trials:
            print(f"| {_row(part, trials, seconds)} |", flush=True)
    print(f"\n{machine_line()}")


def _row(part: str, trials: int, seconds: float) -> str:
    with tempfile.TemporaryDirectory(prefix="wlo", dir="/tmp") as folder:
        words = ["--part", part, "--trials", str(trials), "--seconds", str(seconds), "--folder", folder]
        command = [sys.executable, "-m", "benchmarks.overhead", *words, "--begun", str(time.time())]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        at = json.loads((Path(folder) / "at.json").read_text())
    beyond = (at["last"] - at["first"]) * AT_ONCE / trials - seconds
    processor = (at["processor_last"] - at["processor"]) / trials
    name = "Ray Tune's defaults" if part == "defaults" else "whichlayers"
    start = f"{at['planned']:.1f} | {at['first']:.1f} | {at['processor']:.1f}"
    return f"{name}, {seconds:g} s each | {trials:,} | {start} | {beyond:.3f} | {processor:.3f} | {at['memory']:.0f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="a multiple of 5; 0 leaves it out")
    parser.add_argument("--defaults", type=int, default=20, help="trials by Ray Tune's defaults; 0 leaves it out")
    parser.add_argument("--large", type=int, default=5000, help="trials of the large study; 0 leaves it out")
    for name, kind in (("part", str), ("seconds", float), ("folder", Path), ("begun", float)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
