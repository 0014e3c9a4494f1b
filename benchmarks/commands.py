"""Our commands as processes that a benchmark starts, looks into and kills."""

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.inference import frames
from engine.store import Store

TOKEN = "WHICHLAYERS_KILLS"
"""Environment variable that tells the processes of one command from those of another."""
ANSWER_SECONDS = 300.0
"""Time in which a dashboard must have answered a frame, its start included."""


class Place:
    """The folder of a benchmark: study file, store, cache, log; and a short temporary folder for Ray's files."""

    def __init__(self, folder: Path, temporary: Path, study: str) -> None:
        self.folder, self.temporary = folder.absolute(), temporary
        self.folder.mkdir(parents=True, exist_ok=True)
        self.study = self.folder / "study.yaml"
        self.study.write_text(study)
        self.store = Store.at(self.folder / "results")
        self.log = self.folder / "log.jsonl"

    def lines(self) -> list[dict[str, Any]]:
        """What was noted earlier."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def add(self, line: dict[str, Any]) -> None:
        """Note a line, and print it."""
        with self.log.open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


class Command:
    """One command of ours as a process, known by a token that its children inherit."""

    def __init__(self, place: Place, *words: str) -> None:
        self.token, self.begun, self.since = uuid.uuid4().hex, time.monotonic(), time.time()
        self.output = place.folder / "output" / f"{self.token}.txt"
        self.output.parent.mkdir(exist_ok=True)
        self._ray_folders: set[str] = set()
        store, cache = str(place.folder / "results"), str(place.folder / "cache")
        with self.output.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "whichlayers", *words, "--store", store, "--cache", cache],
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, TOKEN: self.token, "RAY_TMPDIR": str(place.temporary), "OMP_NUM_THREADS": "1"},
            )

    @property
    def is_over(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def said(self) -> str:
        """The end of what it printed."""
        return " ".join(self.output.read_text().split())[-300:]

    def find(self, victim: str) -> psutil.Process | None:
        """The process that plays the part of `victim`, or None where there is none now."""
        with suppress(psutil.Error):
            own = psutil.Process(self.process.pid)
            if victim in ("driver", "dashboard"):
                return own
            for process in own.children(recursive=True):
                with suppress(psutil.Error):
                    if _is(process, victim, self.process.pid):
                        return process
        return None

    def look(self) -> None:
        """Note the folders of this command's Ray, as long as its processes say them."""
        with suppress(psutil.Error):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    told = [part for part in process.cmdline() if part.startswith("--session-dir=")]
                    self._ray_folders |= {str(Path(part.split("=", 1)[1]).parent) for part in told}

    def left(self) -> list[str]:
        """Command lines of its processes that still live: those with its token, or with files of its Ray open."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                    continue
                if process.environ().get(TOKEN) == self.token or self._holds_files(process):
                    found.append(" ".join(process.cmdline())[:120])
        return found

    def end(self) -> None:
        """Kill it, where it still runs."""
        self.process.kill()
        self.process.wait()

    def _holds_files(self, process: psutil.Process) -> bool:
        """Whether it is a process of this command's Ray, whose title has overwritten its environment."""
        return " ".join(process.cmdline()).startswith("ray::") and any(
            opened.path.startswith(f"{folder}/") for opened in process.open_files() for folder in self._ray_folders
        )


class Dashboard(Command):
    """`whichlayers serve`, whose inference process is asked."""

    def __init__(self, place: Place, port: int | None = None) -> None:
        self.port = port or _free_port()
        super().__init__(place, "serve", "--port", str(self.port))

    def answer(self, study: str, trial: str) -> float:
        """Seconds until it has outlined a frame, which starts its inference process. Exits where it does not."""
        begun, address = time.monotonic(), f"http://127.0.0.1:{self.port}/inference/gradio_api"
        while time.monotonic() - begun < ANSWER_SECONDS:
            with suppress(httpx.HTTPError), httpx.Client(timeout=120) as client:
                sent = client.post(f"{address}/upload", files={"files": ("frame.png", frames(1)[0])})
                frame = {"path": sent.raise_for_status().json()[0], "meta": {"_type": "gradio.FileData"}}
                event = client.post(f"{address}/call/predict", json={"data": [study, trial, frame, None]})
                said = client.get(f"{address}/call/predict/{event.raise_for_status().json()['event_id']}").text
                if "outline.png" in said:
                    return time.monotonic() - begun
            time.sleep(0.5)
        sys.exit(f"the dashboard did not answer a frame: {self.said()}")


def _is(process: psutil.Process, victim: str, parent: int) -> bool:
    words = " ".join(process.cmdline())
    return {
        "worker": "ImplicitFunc" in words,
        "raylet": process.name() == "raylet",
        "gcs": process.name() == "gcs_server",
        "starter": "search/starter.py" in words,
        "inference": process.ppid() == parent and "dashboard.inference.process" in words,
    }[victim]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
