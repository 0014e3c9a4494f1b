"""What a run is doing now: counted, timed, and told to whoever listens. Pure but for its clock."""

import os
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from engine.architectures import CLASSIFIER_UNITS
from engine.trial import CLOSED, Trial

RunState = Literal["preparing", "running", "finished", "stopped", "failed"]
Kind = tuple[str, str]
"""Network and strategy: what decides how fast a trial goes on."""


@dataclass(kw_only=True)
class Progress:
    """Counts of one run of a study. `listen` hears every change as a JSON-able mapping."""

    listen: Callable[[Mapping[str, Any]], None]
    clock: Callable[[], float] = time.monotonic
    state: RunState = "preparing"
    phase: str = ""
    fraction: float = 0.0
    trials: int = 0
    closed: int = 0
    failed: int = 0
    cancelled: int = 0
    """Stopped by hand."""
    stopped_early: int = 0
    """Ended by a scheduler."""
    at_once: int = 0
    """Trials at once at most; 0 before that is known."""
    room: int = 0
    """Trials at once that this machine has room for."""
    caveats: tuple[str, ...] = ()
    """What must be said beside the results of this search."""
    error: str = ""
    running: dict[str, dict[str, Any]] = field(default_factory=dict)
    _began: float | None = None
    _left: dict[str, Trial] = field(default_factory=dict)
    """Trials that are not over."""
    _since: dict[str, float] = field(default_factory=dict)
    """When each trial that runs began."""
    _ended: dict[Kind, tuple[float, float]] = field(default_factory=dict)
    """Seconds that trials of one kind took, and their expected work."""

    def prepare(self, fraction: float, phase: str) -> None:
        """A step before the first trial is `fraction` (0 to 1) done."""
        self.fraction, self.phase = fraction, phase
        self.tell()

    def begin(
        self,
        trials: list[Trial],
        closed: Set[str],
        total: int | None = None,
        *,
        cancelled: Set[str] = frozenset(),
        stopped_early: Set[str] = frozenset(),
    ) -> None:
        """The study has `trials`, of which those in `closed` need not run; `total` where more will be chosen later.

        Those that were stopped by hand (`cancelled`) or by a scheduler do not run either.
        """
        self.state, self.phase, self.fraction = "running", "starting workers", 0.0
        self.trials, self.closed = len(trials) if total is None else total, len(closed)
        self.cancelled, self.stopped_early = len(cancelled), len(stopped_early)
        done = closed | cancelled | stopped_early
        self._left = {trial.id: trial for trial in trials if trial.id not in done}
        self.tell()

    def more(self, trials: list[Trial], total: int) -> None:
        """These trials of the `total`, which may have grown by failed folds that are trained again, are known now."""
        self.trials = total
        self._left |= {trial.id: trial for trial in trials}
        self.tell()

    def again(self, trial: Trial, state: str) -> None:
        """`trial`, which ended in `state`, shall run once more."""
        self._count(state, -1)
        self._left[trial.id] = trial
        self.tell()

    def epoch(self, trial: Trial, epoch: int, validation: float | None) -> None:
        """`trial` has finished `epoch` epochs (0: it has begun), with this Dice or accuracy on validation images."""
        self.phase = "training"
        self._since.setdefault(trial.id, self.clock())
        self.running[trial.id] = {
            "id": trial.id,
            "strategy": trial.strategy,
            "fraction": trial.fraction,
            "fold": trial.fold,
            "learning_rate": trial.learning_rate,
            "seed": trial.seed,
            "repeat": trial.repeat,
            "epoch": epoch,
            "max_epochs": -(-trial.iterations // trial.batches_per_epoch) or trial.max_epochs,
            "validation": validation,
        }
        self.tell()

    def waits_again(self, trial: Trial) -> None:
        """`trial` ended before its time, and will begin anew."""
        self.running.pop(trial.id, None)
        self._since.pop(trial.id, None)
        self.tell()

    def wait(self, problem: str) -> None:
        """Trials go on, but what they found cannot be stored now: `problem` says why, until one is over."""
        self.error = problem
        self.tell()

    def end(self, trial: Trial, state: str) -> None:
        """`trial` ended in `state`."""
        self.running.pop(trial.id, None)
        self._left.pop(trial.id, None)
        since = self._since.pop(trial.id, None)
        if since is not None and state in (*CLOSED, "stopped_early"):
            spent, work = self._ended.get(_kind(trial), (0.0, 0.0))
            self._ended[_kind(trial)] = spent + self.clock() - since, work + expected_work(trial)
        self._count(state, 1)
        self.error = ""
        self.tell()

    def _count(self, state: str, number: int) -> None:
        if state in CLOSED:
            self.closed += number
        elif state == "cancelled":
            self.cancelled += number
        elif state == "stopped_early":
            self.stopped_early += number
        else:
            self.failed += number

    def finish(self, state: RunState, error: str = "") -> None:
        """The run is over."""
        self.state, self.phase, self.error, self.running = state, "", error, {}
        self.tell()

    def eta_seconds(self) -> float | None:
        """Seconds that the trials still need; None before any work is done.

        Each strategy goes on as its own trials did so far, and one that was not seen yet as all of them together,
        by its expected work.
        """
        seen = dict(self._ended)
        parts: dict[str, float] = {
            key: min(1.0, row["epoch"] / max(1, row["max_epochs"])) for key, row in self.running.items()
        }
        for key, part in parts.items():
            if part and (trial := self._left.get(key)):
                spent, work = seen.get(_kind(trial), (0.0, 0.0))
                seen[_kind(trial)] = spent + self.clock() - self._since[key], work + part * expected_work(trial)
        if not seen:
            return None
        overall = sum(spent for spent, _ in seen.values()) / sum(work for _, work in seen.values())
        paces = {kind: spent / work for kind, (spent, work) in seen.items()}
        left = [
            (1 - parts.get(key, 0.0)) * expected_work(trial) * paces.get(_kind(trial), overall)
            for key, trial in self._left.items()
        ]
        at_once = max(1, self.at_once or len(self.running))
        return max(sum(left) / at_once, max(left, default=0.0))

    def tell(self) -> None:
        """Let the listener hear the counts as they are."""
        now = self.clock()
        self._began = now if self._began is None else self._began
        self.listen(
            {
                "state": self.state,
                "phase": self.phase,
                "fraction": self.fraction,
                "trials": self.trials,
                "closed": self.closed,
                "failed": self.failed,
                "cancelled": self.cancelled,
                "stopped_early": self.stopped_early,
                "at_once": self.at_once,
                "room": self.room,
                "caveats": list(self.caveats),
                "running": list(self.running.values()),
                "seconds": now - self._began,
                "eta_seconds": self.eta_seconds() if self.state == "running" else None,
                "updated": datetime.now(UTC).isoformat(timespec="seconds"),
                "error": self.error,
                "process": os.getpid(),
            }
        )


def _kind(trial: Trial) -> Kind:
    return trial.model, trial.strategy


def expected_work(trial: Trial) -> float:
    """Relative cost of a trial: its batches, cheaper where the backward pass stops early or frozen layers are kept."""
    if not trial.units:
        return float(trial.batches_per_epoch)  # only tested
    batches = trial.iterations or trial.max_epochs * trial.batches_per_epoch
    order = CLASSIFIER_UNITS.get(trial.model, ())
    if trial.units[0] in order:
        learning = 1 - order.index(trial.units[0]) / len(order)
        return batches * (learning if trial.crops_kept else (1 + 2 * learning) / 3)
    cost_by_first_learning_unit = {"9": 0.45, "8": 0.55, "7": 0.65, "6": 0.7, "5b": 0.75, "5a": 0.8}
    return batches * cost_by_first_learning_unit.get(trial.units[0], 1.0)
