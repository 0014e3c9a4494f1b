"""Many sessions look while a study trains and some users infer: times of a first page, errors, the server's memory.

    python benchmarks/sessions.py [--clients 46] [--browsers 4] [--inferring 4] [--minutes 10] [--store FOLDER
        --cache FOLDER]

Serves a store (one made for this, with a finished study, where none is given) from a process of its own, measures a
first page while nothing else happens, then starts a study that trains (`--no-training` leaves that out), the sessions,
and users who send frames through Gradio's queue, one after the other. Every session opens a page every `--every`
seconds. Memory is the server's and its inference process's (resident), each ten seconds; the leak is the slope of a
line through the second half of it (Theil-Sen).
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from scipy.stats import theilslopes

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.inference import frames, make_study  # noqa: E402
from benchmarks.streamlit_client import session  # noqa: E402

PAGES = ("", "cost", "curves", "layer-by-layer", "strategies", "quality", "images", "running", "studies", "published")
MEMORY_EVERY = 10.0


@dataclass(kw_only=True)
class Seen:
    """What came of it."""

    first_pages: list[float] = field(default_factory=list)
    """Seconds until a session's first page was drawn, the connection included."""
    pages: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    """Seconds from an upload to the answer's picture."""
    browser_pages: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    memory: list[tuple[float, float, float]] = field(default_factory=list)
    """(Seconds, MB of the server, MB of its inference process)."""


@contextmanager
def serving(store: Path, cache: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a server's start page, and its process."""
    command = [sys.executable, "-m", "whichlayers", "serve", "--port", str(free_port()), "--store", str(store)]
    process = subprocess.Popen([*command, "--cache", str(cache)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("WhichLayers: ").strip()
        for _ in range(240):
            try:
                if httpx.get(f"{address}healthz", timeout=5).text == '"ok"':
                    break
            except httpx.HTTPError:
                time.sleep(0.5)
        yield address, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def training(store: Path, cache: Path, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A study that trains until the block ends: the demo's, with trials enough for hours."""
    text = (ROOT / "tune_configs" / "demo.yaml").read_text().replace("name: demo", "name: training")
    study = folder / "training.yaml"
    study.write_text(text)
    command = [sys.executable, "-m", "whichlayers", "run", str(study), "--store", str(store), "--cache", str(cache)]
    with (folder / "training.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def look(address: str, number: int, until: float, every: float, seen: Seen) -> None:
    """One session: a first page, then another every so often."""
    random = np.random.default_rng(number)
    while time.monotonic() < until:
        begun = time.perf_counter()
        try:
            async with session(address) as looking:
                drawn = await looking.draw(seconds=120)
                seen.first_pages.append(time.perf_counter() - begun)
                seen.errors += drawn.errors
                for _ in range(5):  # then the tab is closed, and another opened
                    await asyncio.sleep(min(every * random.uniform(0.5, 1.5), max(0.0, until - time.monotonic())))
                    if time.monotonic() >= until:
                        return
                    drawn = await looking.draw(str(random.choice(PAGES)), seconds=120)
                    seen.pages.append(drawn.seconds)
                    seen.errors += drawn.errors
        except Exception as error:
            seen.errors.append(f"session {number}: {type(error).__name__}: {error}")
            await asyncio.sleep(1.0)


async def infer(address: str, study: str, trial: str, number: int, until: float, pause: float, seen: Seen) -> None:
    """One user of the Live page: a frame, its answer, its picture, again."""
    files = frames(5)
    async with httpx.AsyncClient(base_url=address, timeout=120) as web:
        count = 0
        while time.monotonic() < until:
            count += 1
            begun = time.perf_counter()
            try:
                told = await web.post("inference/gradio_api/upload", files={"files": ("f.png", files[count % 5])})
                frame = {"path": told.json()[0], "meta": {"_type": "gradio.FileData"}}
                event = await web.post("inference/gradio_api/call/predict", json={"data": [study, trial, frame, None]})
                stream = (await web.get(f"inference/gradio_api/call/predict/{event.json()['event_id']}")).text
                said = json.loads([line[6:] for line in stream.splitlines() if line.startswith("data: ")][-1])
                if said[0] is None:
                    seen.errors.append(f"user {number}: {re.sub('<[^>]*>', ' ', str(said[1])).strip()}")
                    continue
                picture = await web.get(said[0]["url"])
                picture.raise_for_status()
                seen.answers.append(time.perf_counter() - begun)
            except Exception as error:
                seen.errors.append(f"user {number}: {type(error).__name__}: {error}")
            await asyncio.sleep(pause)


async def browse(address: str, count: int, until: float, every: float, seen: Seen) -> None:
    """Real browsers, each with a user of its own."""
    if not count:
        return
    from playwright.async_api import async_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium, args=options)

        async def one(number: int) -> None:
            page = await (await running.new_context()).new_page()
            page.on("pageerror", lambda error: seen.errors.append(f"browser {number}: {error}"))
            turn = number
            while time.monotonic() < until:
                begun = time.perf_counter()
                try:
                    await page.goto(f"{address}{PAGES[turn % len(PAGES)]}", timeout=120_000)
                    await page.get_by_role("heading").first.wait_for(timeout=120_000)
                    seen.browser_pages.append(time.perf_counter() - begun)
                except Exception as error:
                    seen.errors.append(f"browser {number}: {str(error).splitlines()[0]}")
                turn += 1
                await asyncio.sleep(min(every, max(0.0, until - time.monotonic())))

        await asyncio.gather(*(one(number) for number in range(count)))
        await running.close()


async def weigh(server: psutil.Process, until: float, seen: Seen) -> None:
    """The memory of the server and its inference process."""
    begun = time.monotonic()
    while time.monotonic() < until:
        children = [one for one in server.children() if "dashboard.inference.process" in " ".join(one.cmdline())]
        own, other = server.memory_info().rss, sum(one.memory_info().rss for one in children)
        seen.memory.append((time.monotonic() - begun, own / 2**20, other / 2**20))
        await asyncio.sleep(min(MEMORY_EVERY, max(0.0, until - time.monotonic())))


async def together(address: str, server: psutil.Process, study: tuple[str, str], asked: argparse.Namespace) -> Seen:
    """All of them at once."""
    seen = Seen()
    until = time.monotonic() + 60 * asked.minutes
    await asyncio.gather(
        *(look(address, number, until, asked.every, seen) for number in range(asked.clients)),
        *(infer(address, *study, number, until, asked.pause, seen) for number in range(asked.inferring)),
        browse(address, asked.browsers, until, asked.every, seen),
        weigh(server, until, seen),
    )
    return seen


async def first_pages(address: str, count: int) -> list[float]:
    """Seconds of first pages, one after the other; the very first, which loads and reads everything, apart."""
    seen = []
    for _ in range(count + 1):
        begun = time.perf_counter()
        async with session(address) as looking:
            drawn = await looking.draw(seconds=120)
            if drawn.errors:
                raise SystemExit(f"the page shows an error: {drawn.errors[0]}")
        seen.append(time.perf_counter() - begun)
    print(f"very first page after the start: {seen[0]:.2f} s")
    return seen[1:]


def say(name: str, seconds: list[float]) -> None:
    """Median, 95th percentile, largest."""
    if not seconds:
        print(f"{name}: none")
        return
    print(
        f"{name}: {len(seconds)}, median {statistics.median(seconds):.2f} s, p95 {np.percentile(seconds, 95):.2f} s, "
        f"largest {max(seconds):.2f} s"
    )


def report(seen: Seen) -> None:
    """Print it."""
    say("first pages (websocket clients)", seen.first_pages)
    say("further pages (websocket clients)", seen.pages)
    say("pages (browsers)", seen.browser_pages)
    say("frames, upload to picture", seen.answers)
    print(f"errors: {len(seen.errors)}")
    for error, count in Counter(re.sub(r"^(\w+) \d+:", r"\1:", error)[:200] for error in seen.errors).most_common(20):
        print(f"  {count} x {error}")
    for place, name in ((1, "server"), (2, "inference process")):
        rows = [(row[0], row[place]) for row in seen.memory if row[place]]
        late = [row for row in rows if row[0] >= seen.memory[-1][0] / 2]
        if len(late) < 3:
            continue
        slope, _, low, high = theilslopes([mb for _, mb in late], [at / 3600 for at, _ in late])
        print(
            f"memory of the {name}: {rows[0][1]:.0f} MB first, {max(mb for _, mb in rows):.0f} MB most, "
            f"{rows[-1][1]:.0f} MB last; {slope:+.0f} MB an hour over the second half (95 %: {low:+.0f} to {high:+.0f})"
        )
        print("  " + ", ".join(f"{at:.0f} s {mb:.0f}" for at, mb in rows[:: max(1, len(rows) // 20)]))


def made(folder: Path) -> tuple[Path, Path]:
    """A store with a finished study, and its cache."""
    from tests.made_store import made_store

    made_store(folder / "results", folder / "cache")
    return folder / "results", folder / "cache"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=46)
    parser.add_argument("--browsers", type=int, default=4)
    parser.add_argument("--inferring", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--every", type=float, default=20.0, help="seconds between a session's pages")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between a user's frames")
    parser.add_argument("--no-training", action="store_true")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--cache", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, cache = (asked.store, asked.cache) if asked.store else made(folder)
        study: tuple[Any, Any] = make_study(store, 16, 256)
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        print(f"{time.strftime('%Y-%m-%d %H:%M')} UTC, {os.cpu_count()} cores, load before {load}")
        with serving(store, cache) as (address, server):
            say("first pages, idle", asyncio.run(first_pages(address, 5)))
            if asked.no_training:
                report(asyncio.run(together(address, server, study, asked)))
                return
            with training(store, cache, folder) as run:
                time.sleep(30)  # Ray starts
                print(f"the study trains: {run.poll() is None}")
                say("first pages, training", asyncio.run(first_pages(address, 5)))
                seen = asyncio.run(together(address, server, study, asked))
                print(f"the study still trains: {run.poll() is None}")
            report(seen)


if __name__ == "__main__":
    main()
