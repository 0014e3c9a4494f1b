"""What Ray Tune says of trials: told to progress, and stored where a worker could not."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from ray.tune import Callback, Stopper

from engine.errors import StoreError
from engine.live_curves import LiveCurves
from engine.progress import Progress
from engine.search.daemons import Daemons
from engine.search.endings import crashed, cut_short, epoch_of, trial_of
from engine.search.following import Follower
from engine.search.starting import RayError
from engine.store import SEGMENT, Store
from engine.trial import Epoch

LIVE = ("PENDING", "RUNNING", "PAUSED")
"""States of Tune's trials that are not over."""


class Stop(Stopper):
    """Lets Tune end everything once somebody asked the run to stop, which frees its workers."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as of the listener."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial is ended by its results."""
        return False

    def stop_all(self) -> bool:
        """Whether everything is to end."""
        return self._follower.stopping


class Listener(Callback):
    """Hears what Tune says of trials, and writes the row of a worker that died or was stopped before it could."""

    def __init__(self, store: Store, study: str, progress: Progress, follower: Follower) -> None:
        self._store, self._study, self._progress, self._follower = store, study, progress, follower
        self._curves, self._daemons = LiveCurves(store, study), Daemons()
        self._epochs: dict[str, list[Epoch]] = {}
        self._ended = 0

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune writes its callbacks down for a restore, which we do from our own store."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """A moment to follow what people ask for. Raises RayError where nothing can go on."""
        try:
            self._daemons.require()
        except RayError as error:
            self._progress.wait(str(error))  # without its GCS Ray may end this process before anybody says so
            raise
        line = self._follower.line
        if line is not None and len(line.running) > sum(trial.status in LIVE for trial in trials):
            # A worker could not be reset for its next trial, which Tune drops without a word.
            line.take_back({trial.trial_id for trial in trials if trial.status not in LIVE})
        self._follower.look()
        self._curves.tell()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker begins."""
        planned = trial_of(trial.config["trial"])
        self._epochs[trial.trial_id] = []
        self._curves.begin(planned)
        self._progress.epoch(planned, 0, None)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Mapping[str, Any], **info: Any
    ) -> None:
        """An epoch is over, or the trial."""
        if result.get("state") == "running":
            planned, epoch = trial_of(trial.config["trial"]), epoch_of(result["record"])
            self._epochs.setdefault(trial.trial_id, []).append(epoch)
            self._curves.add(planned, epoch)
            self._progress.epoch(planned, result["epoch"], result["validation"])
        elif result.get("state") == "storing":
            self._progress.wait(result["problem"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial is over; one that still said it was at work was ended by the scheduler."""
        last = trial.last_result or {}
        state = str(last.get("state", "error"))
        epochs = self._epochs.pop(trial.trial_id, [])
        if state == "running":
            state = self._store_early_end(trial, epochs, float(last.get("time_total_s", 0.0)))
        if state == "error" and last.get("full") and self._follower.pack_less(trial_of(trial.config["trial"])):
            self._curves.end(trial_of(trial.config["trial"]))
            return
        self._end(trial, state)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker died, and the trial is tried once more."""
        self._store_death(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker died for the last time."""
        self._store_death(trial)
        self._end(trial, "error")

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Nothing runs any more."""
        self._curves.close()

    def _end(self, trial: Any, state: str) -> None:
        planned = trial_of(trial.config["trial"])
        self._curves.end(planned)
        self._progress.end(planned, state)
        self._follower.ended(planned, state)
        self._ended += 1
        if self._ended % SEGMENT == 0:
            with suppress(StoreError):  # it only makes reading faster
                self._store.compact(self._study)

    def _store_early_end(self, trial: Any, epochs: list[Epoch], seconds: float) -> str:
        planned = trial_of(trial.config["trial"])
        number = self._store.next_number(self._study, planned.id)
        started = datetime.now(UTC) - timedelta(seconds=seconds)
        self._store.append(self._study, cut_short(planned, number, "stopped_early", started, seconds, epochs))
        return "stopped_early"

    def _store_death(self, trial: Any) -> None:
        planned = trial_of(trial.config["trial"])
        number, closed = self._store.standing(self._study, planned.id)
        if closed:
            return  # it died between its row and its last word
        text = f"the worker died: {trial.get_pickled_error() or trial.get_error() or 'no reason given'}"
        self._store.append(self._study, crashed(planned, number, datetime.now(UTC), 0.0, text))
