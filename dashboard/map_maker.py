"""Maps of embeddings, made one after the other by a process beside the server, while pages stay alive.

The process loads what makes maps (seconds, and megabytes that the server never sees), writes the map into the store
and ends. Pages ask how far it is.
"""

import json
import os
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition, Lock, Thread

from engine.embeddings import MapMethod, stored_map
from engine.errors import WhichLayersError
from engine.store import Store


@dataclass(frozen=True, kw_only=True)
class MapTask:
    """A map that is wanted."""

    study: str
    trial_id: str
    method: MapMethod
    seed: int
    perplexity: float


@dataclass(frozen=True, kw_only=True)
class Making:
    """How far a map is."""

    part: float = 0.0
    """Part done, 0 to 1."""
    text: str = "waits"
    error: str = ""
    """Why there will be no map; empty while there may be one."""
    done: bool = False


class MapMaker:
    """The door to the process. Safe to call from many threads; the first map that is asked for starts a process."""

    def __init__(self, store_root: str) -> None:
        self._store_root = store_root
        self._waiting: deque[MapTask] = deque()
        self._state: dict[MapTask, Making] = {}
        self._change = Condition()
        self._thread: Thread | None = None

    def ask(self, task: MapTask) -> Making:
        """How far the map is; one that nobody asked for before is begun. Never waits for it."""
        with self._change:
            if task not in self._state:
                self._state[task] = Making()
                self._waiting.append(task)
                self._change.notify()
            if self._thread is None:
                self._thread = Thread(target=self._work, name="maps", daemon=True)
                self._thread.start()
            return self._state[task]

    def forget(self, task: MapTask) -> None:
        """The next `ask` begins the map anew: what was made is gone, or what was in the way may be put right."""
        with self._change:
            if task in self._state and (self._state[task].done or self._state[task].error):
                del self._state[task]

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: bool(self._waiting))
                task = self._waiting.popleft()
            try:
                self._make(task)
            except OSError as error:
                self._tell(task, error=f"the map could not be made ({error}); try again")

    def _make(self, task: MapTask) -> None:
        self._tell(task, part=0.0, text="starts")
        arguments = [task.study, task.trial_id, task.method, str(task.seed), str(task.perplexity)]
        with subprocess.Popen(
            [sys.executable, "-c", _START, self._store_root, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            # Waiting threads sleep, so that trainings beside go on.
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, [_PROJECT, os.environ.get("PYTHONPATH")])),
                "OMP_WAIT_POLICY": "PASSIVE",
            },
        ) as process:
            assert process.stdout is not None
            error = ""
            for line in process.stdout:
                news = json.loads(line)
                error = news.get("error", error)
                if not error:
                    self._tell(task, **news)
        # Told once the process has ended: what is asked for anew then is told nothing by the old one.
        if process.returncode and not error:
            error = (
                f"the process that made the map ended with {process.returncode}; its reason stands in the server's "
                "terminal (most likely: out of memory)"
            )
        self._tell(task, **({"error": error} if error else {"part": 1.0, "text": "made", "done": True}))

    def _tell(self, task: MapTask, **news: object) -> None:
        with self._change:
            self._state[task] = replace(self._state[task], **news)  # type: ignore[arg-type]


_SHARED: dict[str, MapMaker] = {}
_SHARING = Lock()


def shared_maker(store_root: str) -> MapMaker:
    """The maker for the store under `store_root`, one for all pages of this server."""
    with _SHARING:
        return _SHARED.setdefault(store_root, MapMaker(store_root))


_PROJECT = str(Path(__file__).resolve().parents[1])
_START = "import sys; from dashboard.map_maker import make; make(*sys.argv[1:])"


def make(store_root: str, study: str, trial_id: str, method: MapMethod, seed: str, perplexity: str) -> None:
    """Make the map in this process and say on standard output how far it is, a line of JSON each time."""
    os.nice(5)

    def told(part: float, text: str) -> None:
        print(json.dumps({"part": round(part, 4), "text": text}), flush=True)

    try:
        stored_map(Store.at(store_root), study, trial_id, method, int(seed), float(perplexity), progress=told)
    except WhichLayersError as error:
        print(json.dumps({"error": "  \n".join(error.problems)}), flush=True)
