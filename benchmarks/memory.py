"""Peak memory of a run's driver, of one of its workers, and of the dashboard, for made studies of two sizes.

    python -m benchmarks.memory [--trials 200 2000] [--epochs 30] [--images 100]

Driver and worker are those of a real run of waiting trials (`benchmarks/overhead.py`): prepared, planned, scheduled and
followed as always, without training, so that what is left is what a run takes whatever it trains. The dashboard is
`whichlayers serve` over a made store (`benchmarks/looking.py`: so many epochs and test images with masks to a trial),
before anybody looks, and after its first page was drawn, statistics included.

Resident memory is the largest that the system noted of a process. Much of it (libraries, mapped files) is shared by
several processes: PSS gives each its part of what it shares, looked at several times a second. Ray's daemons stand
together in one row, of a worker the largest one.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.machine import command_line, machine_line
from benchmarks.streamlit_client import session

ROOT = Path(__file__).resolve().parents[1]
LOOK_SECONDS = 0.25
DRIVER, WORKER, DAEMONS = "driver", "one worker, the largest", "Ray's daemons together"
STARTED, LOOKED = "dashboard, before a page", "dashboard, first page drawn"


@dataclass(frozen=True, kw_only=True)
class Peak:
    """Most memory that a process had, in MB (2^20 bytes)."""

    resident: float = 0.0
    own: float = 0.0
    """PSS; 0 where the system does not tell it."""

    def or_more(self, other: "Peak") -> "Peak":
        """The larger of each."""
        return Peak(resident=max(self.resident, other.resident), own=max(self.own, other.own))

    def plus(self, other: "Peak") -> "Peak":
        """Of both together."""
        return Peak(resident=self.resident + other.resident, own=self.own + other.own)


def role_of(words: list[str]) -> str:
    """What a child of a run is, by its command line."""
    return WORKER if words and words[0].startswith("ray::") else DAEMONS


def now(process: psutil.Process) -> Peak:
    """Largest resident memory until now, and PSS now. Raises psutil.Error where the process is gone."""
    resident, own = process.memory_info().rss, 0
    with suppress(OSError):
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        resident = max([resident, *(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])
    with suppress(psutil.AccessDenied):
        own = getattr(process.memory_full_info(), "pss", 0)
    return Peak(resident=resident / 2**20, own=own / 2**20)


class Watch:
    """Looks at a process and all that it starts, again and again, and keeps the peaks."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._peaks: dict[int, tuple[str, Peak]] = {}

    def look(self) -> None:
        """Once at each process that is there now."""
        with suppress(psutil.Error):
            for process in (self._process, *self._process.children(recursive=True)):
                with suppress(psutil.Error):
                    found = now(process)
                    role = DRIVER if process.pid == self._process.pid else role_of(process.cmdline())
                    # A worker begins under another command line, and bears its own from then on.
                    self._peaks[process.pid] = (role, found.or_more(self._peaks.get(process.pid, ("", Peak()))[1]))

    def peaks(self) -> dict[str, Peak]:
        """Of the driver, the largest worker, and all daemons together."""
        return by_role(self._peaks.values())


def by_role(processes: Iterable[tuple[str, Peak]]) -> dict[str, Peak]:
    """The peak of each role: daemons are summed, of the others the largest counts."""
    found: dict[str, Peak] = {}
    for role, peak in processes:
        before = found.get(role, Peak())
        found[role] = before.plus(peak) if role == DAEMONS else before.or_more(peak)
    return found


@contextmanager
def watched(process: psutil.Process) -> Iterator[Watch]:
    """A watch that looks until the block ends."""
    watch, over = Watch(process), threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            watch.look()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def of_run(trials: int) -> dict[str, Peak]:
    """Peaks of a run of so many waiting trials (a multiple of 5)."""
    with tempfile.TemporaryDirectory(prefix="wlm", dir="/tmp") as folder:
        words = ["--part", "ours", "--trials", str(trials), "--seconds", "0", "--folder", folder]
        command = [sys.executable, "-m", "benchmarks.overhead", *words, "--begun", str(time.time())]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        with watched(psutil.Process(process.pid)) as watch:
            if process.wait():
                raise SystemExit(f"the run of {trials} waiting trials ended with {process.returncode}")
        told = json.loads((Path(folder) / "at.json").read_text())
    peaks = watch.peaks()
    return {**peaks, DRIVER: peaks[DRIVER].or_more(Peak(resident=told["memory"]))}


def of_dashboard(trials: int, epochs: int, images: int) -> dict[str, Peak]:
    """Peaks of the server over a made store, before its first page and with it."""
    from benchmarks import looking
    from benchmarks.sessions import serving
    from engine.datasets.cached import open_dataset
    from engine.store import Store
    from engine.study_settings import DataSettings

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        made = DataSettings(kind="simulated", images=looking.FOLDS * images)
        dataset = open_dataset(made, looking.SIDE, place / "cache")
        looking.make(Store.at(place / "results"), dataset, number=trials, epochs=epochs, images=images)
        with serving(place / "results", place / "cache") as (address, server):
            before = now(server)
            with watched(server) as watch:
                asyncio.run(first_page(address))
                watch.look()
            return {STARTED: before, LOOKED: watch.peaks()[DRIVER]}


async def first_page(address: str) -> None:
    """Opens the start page and waits until it is drawn."""
    async with session(address) as looking:
        drawn = await looking.draw(seconds=300)
    if drawn.errors:
        raise SystemExit(f"the page shows an error: {drawn.errors[0]}")


def table(peaks: dict[int, dict[str, Peak]]) -> str:
    """A row per process, for each number of trials its resident memory and its PSS."""
    heads = [f"{trials:,} trials: resident, MB | PSS, MB" for trials in peaks]
    lines = [f"| | {' | '.join(heads)} |", "|---" + "|---:" * 2 * len(peaks) + "|"]
    for role in (DRIVER, WORKER, DAEMONS, STARTED, LOOKED):
        found = [each.get(role) for each in peaks.values()]
        cells = [f"{one.resident:,.0f} | {f'{one.own:,.0f}' if one.own else ''}" if one else " | " for one in found]
        lines.append(f"| {role} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[200, 2000], help="multiples of 5")
    parser.add_argument("--epochs", type=int, default=30, help="of a made trial")
    parser.add_argument("--images", type=int, default=100, help="test images of a made trial")
    asked = parser.parse_args()
    if any(trials < 5 or trials % 5 for trials in asked.trials):
        parser.error("--trials takes multiples of 5")
    load = os.getloadavg()
    peaks = {trials: of_run(trials) | of_dashboard(trials, asked.epochs, asked.images) for trials in asked.trials}
    print(command_line("benchmarks.memory"))
    print(f"{machine_line(load)}; {psutil.virtual_memory().total / 2**30:.0f} GB; dashboard of "
          f"{asked.epochs} epochs and {asked.images} test images to a trial\n")  # fmt: skip
    print(table(peaks))


if __name__ == "__main__":
    main()
