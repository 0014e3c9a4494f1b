"""Attempts that ended before their test: crashed, stopped by hand, or by a scheduler."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from math import inf
from typing import Any, Literal

from engine.trial import Attempt, Epoch, Trial


def crashed(trial: Trial, number: int, started: datetime, seconds: float, error: str) -> Attempt:
    """The attempt that says how a trial crashed."""
    return _ended(trial, number, "error", started, seconds, error=error)


def cut_short(
    trial: Trial,
    number: int,
    state: Literal["cancelled", "stopped_early"],
    started: datetime,
    seconds: float,
    epochs: Sequence[Epoch] = (),
) -> Attempt:
    """The attempt that says how far a trial came until it was stopped; it was never tested."""
    best = min(epochs, key=_loss) if epochs else None
    return _ended(
        trial,
        number,
        state,
        started,
        seconds,
        epochs=tuple(epochs),
        epochs_run=len(epochs),
        best_epoch=best.epoch if best else None,
        validation_loss=best.validation_loss if best else None,
        validation_dice=best.validation_dice if best else None,
        validation_accuracy=best.validation_accuracy if best else None,
    )


def epoch_of(row: Mapping[str, Any]) -> Epoch:
    """The epoch that `asdict` made a mapping of."""
    known: dict[str, Any] = {field.name: row.get(field.name) for field in fields(Epoch)}
    return Epoch(**known)


def trial_of(row: Mapping[str, Any]) -> Trial:
    """The trial that `asdict` made a mapping of."""
    return Trial(**{**row, "units": tuple(row["units"])})


def _loss(epoch: Epoch) -> float:
    return (
        inf
        if epoch.validation_loss is None or epoch.validation_loss != epoch.validation_loss
        else epoch.validation_loss
    )


def _ended(trial: Trial, number: int, state: Any, started: datetime, seconds: float, **facts: Any) -> Attempt:
    return Attempt(
        trial=trial,
        number=number,
        state=state,
        started=started.isoformat(timespec="milliseconds"),
        seconds=seconds,
        host=os.uname().nodename,
        **facts,
    )
