"""Trials that wait, handed to Ray Tune one by one, so that the line can change while a study runs."""

from collections import deque
from collections.abc import Iterable, Set
from dataclasses import asdict
from typing import Any

from ray.tune.search import Searcher

from engine.trial import Trial


class Line(Searcher):
    """Gives Tune the next trial where fewer than `at_once` run; over once none waits and none runs."""

    def __init__(self, trials: Iterable[Trial], at_once: int) -> None:
        super().__init__()
        self.waiting = deque(trials)
        self.running: dict[str, Trial] = {}
        """By Tune's names."""
        self.at_once = at_once

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune writes its searcher down for a restore, which we do from our own store."""
        return {}

    def leave_out(self, trial_id: str) -> bool:
        """Take a trial out; tells whether it was waiting."""
        kept = deque(trial for trial in self.waiting if trial.id != trial_id)
        was_waiting = len(kept) < len(self.waiting)
        self.waiting = kept
        return was_waiting

    def take_back(self, names: Set[str]) -> None:
        """Trials that Tune gave up under these names wait again."""
        for name in names & self.running.keys():
            self.waiting.appendleft(self.running.pop(name))

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Nothing is measured here."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial, None where all places are taken, or that there will be none."""
        if not self.waiting:
            return None if self.running else str(Searcher.FINISHED)
        if len(self.running) >= self.at_once:
            return None
        trial = self.running[trial_id] = self.waiting.popleft()
        return {"trial": asdict(trial)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A place is free."""
        self.running.pop(trial_id, None)

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing is to be kept."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing is to be kept."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing was kept."""
