"""What people ask of a run while it is at work, followed by its driver."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from engine import steering
from engine.errors import StoreError
from engine.progress import Progress
from engine.search.endings import cut_short
from engine.search.line import Line
from engine.steering import Request, StopAsked
from engine.store import Lease, Store
from engine.trial import CLOSED, Trial


class Follower:
    """Looks for requests once a second and follows them; knows which trials of the run are open."""

    def __init__(self, store: Store, study: str, progress: Progress, at_once: int, room: int) -> None:
        self.store, self.study, self.progress = store, study, progress
        self.at_once, self.room = at_once, room
        self.line: Line | None = None
        """The trials that Tune has now."""
        self.left_out: set[str] = set()
        self.lease: Lease | None = None
        """Keeps other runs of the study away; where it was lost this one ends."""
        self.stopping = False
        """Somebody asked the run to stop while Tune is at work, which ends its trials."""
        self._plan: dict[str, Trial] = {}
        self._open: set[str] = set()
        self._states: dict[str, str] = {}
        self._kept: dict[str, Request] = {}
        """Requests that were followed and stay until their trials have ended, by file."""
        self._looked = float("-inf")

    def open(self, trials: Iterable[Trial], states: dict[str, str]) -> None:
        """These trials are to run; `states` are the last ones of the trials that do not."""
        for trial in trials:
            self._plan[trial.id] = trial
            self._open.add(trial.id)
        self._states |= states

    def know(self, trials: Iterable[Trial]) -> None:
        """The study has these trials, whether they run or not."""
        self._plan |= {trial.id: trial for trial in trials}

    def look(self, *, now: bool = False) -> None:
        """Follow what was asked for since the last look. Raises StopAsked where Tune is not at work."""
        if not now and time.monotonic() - self._looked < steering.LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if self.lease is not None and self.lease.is_lost:
            self.stopping = True
        try:
            asked = list(steering.requests(self.store, self.study))
        except StoreError:
            if now:
                raise
            return  # storage that is away for a while: the next look sees them, and a row that cannot be stored tells
        for request in asked:
            if request.file in self._kept:
                continue
            if request.what == "stop":
                steering.followed(self.store, request)
                if self.line is None:
                    raise StopAsked
                self.stopping = True
            if request.what == "workers":
                self._set_workers(request)
            elif request.what == "cancel":
                self._cancel(request)
            elif request.what == "retry":
                self._retry(request)

    def ended(self, trial: Trial, state: str) -> None:
        """`trial` is over for now."""
        self._open.discard(trial.id)
        self._states[trial.id] = state
        for file, request in list(self._kept.items()):
            if request.what == "cancel" and request.trial == trial.id:
                steering.followed(self.store, request)
                del self._kept[file]

    def pack_less(self, trial: Trial) -> bool:
        """`trial` found no memory beside others: it waits again, and fewer run at once; False where it ran alone."""
        line = self.line
        others = sum(one.id != trial.id for one in line.running.values()) if line is not None else 0
        if line is None or not others:
            return False
        before = self.at_once
        self.at_once = self.progress.at_once = line.at_once = min(self.at_once, others)
        line.waiting.append(trial)
        self.progress.waits_again(trial)
        self.progress.wait(f"out of memory with {before} trials at once: {self.at_once} from now on")
        return True

    def keep_retries(self) -> None:
        """The retries that were asked for before are in the plan of this run already."""
        for request in steering.requests(self.store, self.study):
            if request.what == "retry":
                self._kept[request.file] = request

    def _set_workers(self, request: Request) -> None:
        self.at_once = self.progress.at_once = min(max(request.at_once, 1), self.room)
        if self.line is not None:
            self.line.at_once = self.at_once
        steering.followed(self.store, request)
        self.progress.tell()

    def _cancel(self, request: Request) -> None:
        trial = self._plan.get(request.trial)
        if trial is None or trial.id not in self._open:
            # A later round of a search may plan it; its worker looks before it begins.
            if trial is not None:
                steering.followed(self.store, request)
            return
        if self.line is not None and trial in self.line.running.values():
            self._kept[request.file] = request  # its worker follows
            return
        if self.line is not None:
            self.line.leave_out(trial.id)
        self.left_out.add(trial.id)
        number = self.store.next_number(self.study, trial.id)
        self.store.append(self.study, cut_short(trial, number, "cancelled", datetime.now(UTC), 0.0))
        self.progress.end(trial, "cancelled")
        self.ended(trial, "cancelled")
        steering.followed(self.store, request)

    def _retry(self, request: Request) -> None:
        if self.line is None:
            return  # at the next look
        for trial_id in request.attempts:
            trial, state = self._plan.get(trial_id), self._states.get(trial_id, "")
            if trial is None or trial_id in self._open or state in CLOSED:
                continue
            self._open.add(trial_id)
            self.left_out.discard(trial_id)
            self.line.waiting.append(trial)
            self.progress.again(trial, state)
        self._kept[request.file] = request
