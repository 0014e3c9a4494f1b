"""What has changed in a study since its results were planned, where nothing that decides numbers may."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import pandas as pd

from engine.study_settings import Study
from engine.trial import Trial

_SHOWN_AXES = {"strategy", "units", "fraction", "fold", "learning_rate", "seed", "start", "start_weights", "draws"}
AXES = _SHOWN_AXES | {
    "id", "split_seed", "method", "rank", "unfreeze_every", "encoder", "statistics", "new_output", "crops_kept",
    "repeat",
}  # fmt: skip
"""Fields of a trial that differ within a study."""


def changed_settings(planned: pd.DataFrame, trials: Sequence[Trial]) -> list[str]:
    """`width 16 -> 32`, for each setting that a study cannot change while it keeps its name.

    `planned` is the plan that results were stored under. Axes (strategies, fractions, rates, folds, seeds) may
    grow and shrink; anything else makes every earlier result another study's.
    """
    if planned.empty or not trials:
        return []
    now = pd.DataFrame([asdict(trial) for trial in trials])
    found = []
    for name in [field.name for field in fields(Trial) if field.name not in AXES]:
        if name in planned:
            found += _changed(name, planned[name], now[name])
    # What an axis names must stay what it was: start weights by their name, folds by their cell.
    named = ((["start"], "start_weights"), (["strategy", "fraction"], "split_seed"), (["strategy"], "crops_kept"))
    for key, value in named:
        if not {*key, value} <= set(planned):
            continue
        before = planned.drop_duplicates(key).set_index(key)[value].dropna()
        later = now.drop_duplicates(key).set_index(key)[value].dropna()
        for place in before.index.intersection(later.index):
            if before[place] != later[place]:
                found += [f"{value} of {place}: {_short({before[place]})} -> {_short({later[place]})}"]
    return found


def changed_yardstick(facts: Mapping[str, Any], study: Study) -> list[str]:
    """`margin 0.01 -> 0.05`, for what cheaper strategies are held against, which is named before any result.

    `facts` are those that results were stored under; those of an older version name nothing.
    """
    now = {"reference": study.reference, "margin": study.margin}
    return [f"{name} {facts[name]} -> {value}" for name, value in now.items() if facts.get(name, value) != value]


def _changed(name: str, planned: pd.Series, now: pd.Series) -> list[str]:
    """`width 16 -> 32` where the values of a setting are others."""
    before, later = ({value for value in values if not pd.isna(value)} for values in (planned, now))
    if name == "geometry":  # results of an older version do not know it
        before, name = before - {""}, "pixel sizes"
    if name == "model":  # strategies may bring networks of their own
        before, later = before - {"smp"}, later - {"smp"}
    return [f"{name} {_short(before)} -> {_short(later)}"] if before and later and before != later else []


def _short(values: set[Any]) -> str:
    return ", ".join(str(value)[:12] for value in sorted(values))
