"""What the trainings that run now have measured, epoch by epoch, for pages that look on.

    <root>/<study>/live.json    written by the run once a second at most, gone when it ends

A finished training's epochs are in its row; this file is of no use after the run, and its loss costs nothing.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pandas as pd

from engine.errors import StoreError
from engine.store import Store
from engine.trial import Epoch, Trial

FILE = "live.json"
LOCAL_SECONDS, REMOTE_SECONDS = 1.0, 5.0
"""Least time between two writings, in a folder of this machine and elsewhere."""
LAST = 100
"""Epochs of each training that are told, the newest."""
NAMES = ["id", "strategy", "start", "fraction", "fold", "seed", "repeat", "learning_rate"]
COLUMNS = [*NAMES, "epoch", "training_loss", "validation_loss", "validation"]


class LiveCurves:
    """Hears of every epoch, and tells pages."""

    def __init__(self, store: Store, study: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._file, self._clock = store, f"{study}/{FILE}", clock
        self._every = LOCAL_SECONDS if store.files.local else REMOTE_SECONDS
        self._trials: dict[str, dict[str, Any]] = {}
        self._is_told, self._told = True, float("-inf")

    def begin(self, trial: Trial) -> None:
        """`trial` is trained from its first epoch on."""
        self._trials[trial.id] = {**{name: getattr(trial, name) for name in NAMES}, "epochs": []}
        self._is_told = False

    def add(self, trial: Trial, epoch: Epoch) -> None:
        """`trial` has finished one more epoch."""
        if trial.id not in self._trials:
            self.begin(trial)
        score = epoch.validation_dice if trial.task == "segmentation" else epoch.validation_accuracy
        epochs = self._trials[trial.id]["epochs"]
        epochs.append([epoch.epoch, epoch.training_loss, epoch.validation_loss, score])
        del epochs[:-LAST]
        self._is_told = False

    def end(self, trial: Trial) -> None:
        """`trial` is over."""
        self._trials.pop(trial.id, None)
        self._is_told = False

    def tell(self) -> None:
        """Write what is new, unless that was done a moment ago; a file that cannot be written is left out."""
        if self._is_told or self._clock() - self._told < self._every:
            return
        self._is_told, self._told = True, self._clock()
        with suppress(StoreError):
            self._store.files.write(self._file, json.dumps(list(self._trials.values())).encode())

    def close(self) -> None:
        """Take the file away."""
        self._trials.clear()
        self._is_told = True
        with suppress(StoreError):
            self._store.files.delete(self._file)


def live_curves(store: Store, study: str) -> pd.DataFrame:
    """A row per epoch of the trainings that run now, the last 100 of each, with `COLUMNS`; empty while none is at work.

    `validation` is Dice, or accuracy of a classification.
    """
    now = store.progress(study)
    content = store.files.read(f"{study}/{FILE}") if now["alive"] else None
    running = {row["id"] for row in now.get("running", ())}  # a run that was killed has left its own file
    try:
        told = [trial for trial in (json.loads(content) if content is not None else []) if trial["id"] in running]
        rows = [[*(trial[name] for name in NAMES), *epoch] for trial in told for epoch in trial["epochs"]]
        table = pd.DataFrame(rows, columns=COLUMNS)
    except (ValueError, TypeError, KeyError):
        table = pd.DataFrame(columns=COLUMNS)
    numbers = ["training_loss", "validation_loss", "validation"]
    return table.astype(dict.fromkeys(numbers, "float64"))
