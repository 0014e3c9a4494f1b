"""A study's trials in processes of our own, for machines without Ray: in pieces, several at once on one device.

Prepared, planned and trained by the engine as `engine.search.running.run` does, so ids and rows are the same; what is
stored is not run again. Processes, not threads: a trial draws from torch's global random stream.
"""

import json
import multiprocessing
import signal
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

from engine.config import dump
from engine.datasets import load_cached
from engine.errors import StoreError
from engine.preparation import Prepared, held_out_files, prepare
from engine.pretraining import load_held_out, load_start_weights
from engine.progress import Progress
from engine.store import Lease, Store, closed_ids
from engine.study_settings import Study
from engine.training import run_trial
from engine.trial import Attempt, Epoch, State, Trial

LOOK_SECONDS = 0.2
TELL_SECONDS = 0.5
"""Between two words of progress in the store."""
DEATHS = 2
"""Processes that a trial may lose before it counts as crashed."""
PIECES = "pieces.json"
"""File of the study's folder that says what each piece took."""
NO_MEMORY = ("not enough memory", "out of memory")

Message = tuple[str, Any]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every process must know."""

    root: str
    study: str
    cache: Path
    keeps_tensors: bool
    held_out: Mapping[str, str]
    """File with the held-out images of each start weights, by the hash of the weights."""


Train = Callable[[Trial, int, Work, Store, Callable[[Epoch], None]], State]
"""What a process does with a trial and the number of its attempt: `train`, or a test's own."""


@dataclass(kw_only=True)
class Hand:
    """A process and the trial that it has."""

    process: ForkServerProcess
    line: Connection
    trial: Trial | None = None
    begun: float = 0.0


@dataclass(kw_only=True)
class Piece:
    """What one piece did."""

    trials: int = 0
    closed: int = 0
    """Of all trials, earlier pieces included."""
    failed: int = 0
    at_once: int = 0
    """Trials at once in the end; fewer than asked for where memory ran out."""
    preparing: float = 0.0
    """Seconds until the first trial could begin."""
    seconds: float = 0.0
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def train(trial: Trial, number: int, work: Work, store: Store, report: Callable[[Epoch], None]) -> State:
    """Train one trial and commit its row; gives its state."""
    weights = None
    if trial.start_weights is not None:
        weights = load_start_weights(store.start_weights(work.study, trial.start_weights))
    held_out = work.held_out.get(trial.start_weights or "")
    attempt, tensors = run_trial(
        trial,
        load_cached(trial.data, work.cache),
        weights,
        report,
        number=number,
        held_out=None if held_out is None else load_held_out(Path(held_out)),
    )
    store.append(work.study, attempt, weights=tensors if work.keeps_tensors else None)
    return attempt.state


def serve(line: Connection, work: Work, train: Train) -> None:
    """A process: trains what it is handed until it is handed nothing; says epochs, ends and lack of memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    store = Store.at(work.root)

    def tell(kind: str, said: Any) -> None:
        try:
            line.send((kind, said))
        except OSError:
            raise SystemExit from None  # the run is gone: its trial stays open, and is no crash

    while (trial := _handed(line)) is not None:
        started, clock = datetime.now(UTC), time.perf_counter()
        number = store.next_number(work.study, trial.id)
        try:
            state = train(trial, number, work, store, lambda epoch: tell("epoch", epoch))
        except Exception as error:
            if lacks_memory(error):
                tell("memory", " ".join(str(error).split())[:200])
                continue
            seconds = time.perf_counter() - clock
            store.append(work.study, crashed(trial, number, started, seconds, traceback.format_exc()))
            state = "error"
        finally:
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        tell("end", state)


def _handed(line: Connection) -> Trial | None:
    try:
        found: Trial | None = line.recv()
        return found
    except EOFError:
        return None


def lacks_memory(error: BaseException) -> bool:
    """Whether a device or the machine had no memory left for it."""
    short = isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)
    return short or isinstance(error, torch.OutOfMemoryError | MemoryError)


def crashed(trial: Trial, number: int, started: datetime, seconds: float, error: str) -> Attempt:
    """The attempt that says how a trial crashed."""
    begun = started.isoformat(timespec="milliseconds")
    host = socket.gethostname()
    return Attempt(trial=trial, number=number, state="error", started=begun, seconds=seconds, host=host, error=error)


def run_piece(
    study: Study,
    store: Store,
    cache: Path,
    *,
    at_once: int | None = None,
    seconds: float = float("inf"),
    listen: Callable[[Mapping[str, Any]], None] = lambda progress: None,
    train: Train = train,
) -> Piece:
    """Run what is missing of `study` for about so many seconds; the same call goes on where it ended.

    Data and start weights are made first, to their end, whatever that takes. No trial begins that would end too late
    (as the mean of those before); what still runs when the time is over is given up and runs again in the next piece.
    Raises KeyboardInterrupt, and what `engine.search.running.run` raises of a study that cannot be run.
    """
    piece, clock, cache = Piece(), time.monotonic(), cache.expanduser().absolute()
    with Lease(store.files, study.name):
        store.begin(study.name, dump(study))
        progress = Progress(listen=_teller(store, study.name, listen))
        try:
            ready = prepare(study, store, cache, progress.prepare)
            for weights in ready.starts.values():
                store.write_start_weights(study.name, weights.sha256, weights.path.read_bytes())
            store.write_plan(study.name, ready.trials, ready.facts)
            torch.cuda.empty_cache()
            piece.preparing = time.monotonic() - clock
            crew = Crew(study, store, cache, ready, at_once or ready.portion.at_once, progress, train)
            try:
                crew.run(until=clock + seconds)
            finally:
                crew.leave()
            piece.at_once, piece.failed = crew.at_once, crew.failed
            piece.trials, piece.closed = len(ready.trials), len(_closed(store, study.name, ready.trials))
            store.compact(study.name)
        except BaseException as error:
            progress.finish("stopped" if isinstance(error, KeyboardInterrupt) else "failed", str(error))
            raise
        finally:
            piece.seconds = time.monotonic() - clock
            _note(store, study.name, piece)
        progress.finish("finished" if piece.closed == piece.trials else "stopped")
    return piece


class Crew:
    """The processes of one piece, and the trials that wait for them."""

    def __init__(
        self,
        study: Study,
        store: Store,
        cache: Path,
        ready: Prepared,
        at_once: int,
        progress: Progress,
        train: Train,
    ) -> None:
        done = _closed(store, study.name, ready.trials)
        self.waiting = deque(trial for trial in ready.trials if trial.id not in done)
        self.at_once, self.failed = min(at_once, max(1, len(self.waiting))), 0
        self._study, self._store, self._progress, self._train = study.name, store, progress, train
        self._work = Work(
            root=store.files.root, study=study.name, cache=cache, keeps_tensors=study.keep_weights != "none",
            held_out=held_out_files(study, ready, cache) if self.waiting else {},
        )  # fmt: skip
        self._hands: list[Hand] = []
        self._deaths: dict[str, int] = {}
        known = store.attempts(study.name, ("seconds",))
        self._lasted = [float(one) for one in known["seconds"]]
        progress.at_once = progress.room = self.at_once
        progress.begin(ready.trials, done)

    def run(self, *, until: float) -> None:
        """Hand out trials until none is left, or the time is over."""
        while time.monotonic() < until:
            self._hand_out(until)
            busy = [hand for hand in self._hands if hand.trial is not None]
            if not busy:
                return
            found = wait([hand.line for hand in busy], LOOK_SECONDS)
            for hand in busy:
                if hand.line in found:
                    self._hear(hand)

    def leave(self) -> None:
        """End all processes; trials that they have stay open."""
        for hand in self._hands:
            if hand.trial is None:
                with suppress(OSError):
                    hand.line.send(None)
            else:
                hand.process.kill()
        for hand in self._hands:
            hand.process.join()

    def _hand_out(self, until: float) -> None:
        mean = sum(self._lasted) / len(self._lasted) if self._lasted else 0.0
        while self.waiting and time.monotonic() + mean < until:
            busy = sum(hand.trial is not None for hand in self._hands)
            if busy >= self.at_once:
                return
            hand = next((hand for hand in self._hands if hand.trial is None), None) or self._begin()
            hand.trial, hand.begun = self.waiting.popleft(), time.monotonic()
            self._progress.epoch(hand.trial, 0, None)
            with suppress(OSError):  # a process that is gone is found by its line's end
                hand.line.send(hand.trial)

    def _begin(self) -> Hand:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])  # torch loads once for all
        line, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._work, self._train), daemon=True)
        process.start()
        theirs.close()
        self._hands.append(Hand(process=process, line=line))
        return self._hands[-1]

    def _hear(self, hand: Hand) -> None:
        assert hand.trial is not None
        try:
            kind, said = hand.line.recv()
        except (EOFError, OSError):
            kind, said = "death", "its process ended"
        if kind == "epoch":
            self._progress.epoch(hand.trial, said.epoch, said.validation_dice)
            return
        trial, hand.trial = hand.trial, None
        if kind == "end":
            self._lasted.append(time.monotonic() - hand.begun)
            self._end(trial, said)
            return
        self._hands.remove(hand)
        hand.process.kill()
        hand.process.join()
        self._deaths[trial.id] = self._deaths.get(trial.id, 0) + 1
        if self._deaths[trial.id] >= DEATHS and self.at_once == 1:
            number = self._store.next_number(self._study, trial.id)
            self._store.append(self._study, crashed(trial, number, datetime.now(UTC), 0.0, str(said)))
            self._end(trial, "error")
            return
        self.at_once = self._progress.at_once = max(1, self.at_once - 1)
        self.waiting.appendleft(trial)
        self._progress.running.pop(trial.id, None)
        self._progress.wait(f"{trial.strategy}, fold {trial.fold}: {said}; {self.at_once} at once from here on")

    def _end(self, trial: Trial, state: str) -> None:
        self.failed += state == "error"
        self._progress.end(trial, state)


def pieces(store: Store, study: str) -> list[dict[str, Any]]:
    """What each piece of the study took, oldest first."""
    content = store.files.read(f"{study}/{PIECES}")
    return list(json.loads(content)) if content is not None else []


def _note(store: Store, study: str, piece: Piece) -> None:
    with suppress(StoreError):
        told = [*pieces(store, study), vars(piece)]
        store.files.write(f"{study}/{PIECES}", json.dumps(told, indent=1).encode())


def _closed(store: Store, study: str, trials: list[Trial]) -> set[str]:
    return closed_ids(store.attempts(study, ("state",))) & {trial.id for trial in trials}


def _teller(
    store: Store, study: str, listen: Callable[[Mapping[str, Any]], None]
) -> Callable[[Mapping[str, Any]], None]:
    last: dict[str, Any] = {"time": 0.0, "state": ""}

    def tell(progress: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if progress["state"] != last["state"] or now - last["time"] >= TELL_SECONDS:
            with suppress(StoreError):
                store.write_progress(study, progress)
            last.update(time=now, state=progress["state"])
        listen(progress)

    return tell
