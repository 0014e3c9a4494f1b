"""Ending trials that are behind others on validation images, within a fraction and fold."""

from collections.abc import Callable
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from engine.study_settings import Study

LEAST_OTHERS = 3
"""Trials that median stopping needs beside the one that it judges."""


def scheduler_of(study: Study) -> TrialScheduler:
    """Ray Tune's scheduler for the study."""
    search = study.search
    if search.scheduler == "fifo":
        return FIFOScheduler()
    if search.scheduler == "asha":
        # One epoch more than there is: reaching the last one is no reason to go without a test.
        most = max(study.training.max_epochs, search.grace) + 1
        return Rivals(
            lambda: AsyncHyperBandScheduler(
                time_attr="epoch",
                metric="validation",
                mode="max",
                max_t=most,
                grace_period=search.grace,
                reduction_factor=search.reduction,
            )
        )
    return Rivals(
        lambda: MedianStoppingRule(
            time_attr="epoch",
            metric="validation",
            mode="max",
            grace_period=search.grace,
            min_samples_required=LEAST_OTHERS,
        )
    )


class Rivals(FIFOScheduler):
    """A scheduler of its own for each fraction and fold, whose trials are validated on the same images.

    Across them a Dice says more of the images than of the trial: few images would always lose against many.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        super().__init__()
        self._make = make
        self._of: dict[tuple[Any, ...], Any] = {}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A trial that can be compared from now on."""
        planned = trial.config["trial"]
        key = (planned["fraction"], planned["fold"], planned["split_seed"])
        self._of.setdefault(key, self._make()).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether a trial goes on after an epoch."""
        if result.get("state") != "running" or result.get("validation") is None:
            return str(TrialScheduler.CONTINUE)
        planned = trial.config["trial"]
        rivals = self._of[planned["fraction"], planned["fold"], planned["split_seed"]]
        decision = rivals.on_trial_result(tune_controller, trial, result)
        return str(TrialScheduler.STOP if decision == TrialScheduler.STOP else TrialScheduler.CONTINUE)
