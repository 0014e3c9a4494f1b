"""Failed folds that are trained again from other initial weights, as the paper did. Pure.

A fold has failed where none of its trainings converged: each ran into the 200 epochs that the paper allows, or its
validation loss was never a number (`not_converged`). One that crashed, collapsed or was cut below 200 epochs has not.
A repeat is the same trial with a number in `Trial.repeat`, which only changes its random streams. What begins at random
has other initial weights. What begins from start weights begins from the same ones, with another order of batches,
other augmentation and dropout, and other initial weights only of a new output layer or of adapters. Repeats never take
the place of what they repeat: they count in rows of their own.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from engine.study_settings import Study
from engine.trial import Trial

FAILED = "not_converged"
OVER = ("completed", "cancelled", "stopped_early")
"""States of a trial after which its fold is not trained again."""


def repeats(study: Study, trials: Sequence[Trial], states: Mapping[str, str]) -> list[Trial]:
    """The repeats of `trials` that their `states` (by id, of closed or last attempts) ask for, first ones first.

    A fold with several learning rates is repeated with all of them, once all have failed.
    """
    found = list[Trial]()
    last = [trial for trial in trials if trial.units and not trial.repeat]
    for number in range(1, study.repeat_failed + 1 if states else 1):
        last = [replace(trial, repeat=number) for trial in _of_failed_folds(last, states)]
        found += last
    return found


def most_repeats(study: Study, trials: Sequence[Trial], states: Mapping[str, str]) -> int:
    """How many trainings may come on top of the planned `trials` (with their repeats), if all that can fail do."""
    last = {_fold(trial): trial for trial in sorted(trials, key=lambda one: one.repeat) if trial.units}
    over = {_fold(trial) for trial in trials if states.get(trial.id) in OVER}
    return sum((study.repeat_failed - trial.repeat) * trial.draws for fold, trial in last.items() if fold not in over)


def _of_failed_folds(trials: Sequence[Trial], states: Mapping[str, str]) -> list[Trial]:
    """The trials of the folds whose learning rates have all been tried, and have all failed."""
    folds: dict[Hashable, list[Trial]] = defaultdict(list)
    for trial in trials:
        folds[_fold(trial)].append(trial)
    return [
        trial
        for own in folds.values()
        if len(own) >= own[0].draws and all(states.get(one.id) == FAILED for one in own)
        for trial in own
    ]


def _fold(trial: Trial) -> Hashable:
    """What the trainings of one fold of a cell share: all but their learning rate."""
    return trial.start, trial.model, trial.strategy, trial.fraction, trial.fold, trial.seed
