"""One trial in a worker of Ray: trained, tested, and its row committed."""

import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from ray import tune
from torch.optim.optimizer import register_optimizer_step_pre_hook

from engine import steering
from engine.datasets import Dataset, load_cached
from engine.errors import WeightsError
from engine.evaluation import HeldOut
from engine.pretraining import load_held_out, load_start_weights
from engine.search.endings import crashed, cut_short, trial_of
from engine.store import Store
from engine.strategies import hash_of_tensors
from engine.training import run_trial
from engine.trial import Epoch

TRIES = 2
"""Attempts at a trial in one run: a crash is tried once more."""


class Cancelled(Exception):
    """Somebody asked for this trial to be given up."""


def train_trial(config: Mapping[str, Any]) -> None:
    """Train one trial in a worker and commit its row; an exception becomes a stored attempt and is tried again."""
    with suppress(OSError):
        os.nice(19 - os.nice(0))  # pages and live inference go first
    trial = trial_of(config["trial"])
    work = config["work"]
    store = Store.at(work["root"])
    epochs: list[Epoch] = []

    def report(epoch: Epoch) -> None:
        score = epoch.validation_dice if trial.task == "segmentation" else epoch.validation_accuracy
        epochs.append(epoch)
        tune.report({"epoch": epoch.epoch, "validation": score, "state": "running", "record": asdict(epoch)})

    def is_cancelled() -> bool:
        return steering.is_cancelled(store, work["study"], trial.id)

    number, state = store.next_number(work["study"], trial.id), "error"
    for _ in range(TRIES):
        started, clock = datetime.now(UTC), time.perf_counter()
        epochs.clear()
        try:
            weights = None
            if trial.start_weights is not None:
                weights = start_tensors(
                    str(store.start_weights(work["study"], trial.start_weights)), trial.start_weights
                )
            held_out = work["held_out"].get(trial.start_weights)
            with stoppable(is_cancelled):
                attempt, tensors = run_trial(
                    trial,
                    _dataset(trial.data, work["cache"]),
                    weights,
                    report,
                    number=number,
                    held_out=None if held_out is None else _held_out_images(held_out),
                    old_classes=work.get("old_classes", {}).get(trial.start_weights, ()),
                    keep_embedding=lambda content: store.write_embedding(work["study"], trial.id, content),
                )
            store.append(work["study"], attempt, weights=tensors)
            state = attempt.state
            break
        except Cancelled:
            seconds = time.perf_counter() - clock
            store.append(work["study"], cut_short(trial, number, "cancelled", started, seconds, epochs))
            state = "cancelled"
            break
        except Exception:
            store.append(
                work["study"], crashed(trial, number, started, time.perf_counter() - clock, traceback.format_exc())
            )
            number += 1
        finally:
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    tune.report({"epoch": trial.max_epochs, "validation": None, "state": state})


@contextmanager
def stoppable(asked: Callable[[], bool]) -> Iterator[None]:
    """Raises Cancelled before a training step once `asked` says so; it is asked now, then once a second."""
    if asked():
        raise Cancelled
    looked = time.monotonic()

    def look(*_: object) -> None:
        nonlocal looked
        if time.monotonic() - looked >= steering.LOOK_SECONDS:
            looked = time.monotonic()
            if asked():
                raise Cancelled

    hook = register_optimizer_step_pre_hook(look)
    try:
        yield
    finally:
        hook.remove()


@lru_cache(maxsize=1)
def _dataset(fingerprint: str, cache: str) -> Dataset:
    """Mapped arrays, kept while the worker lives."""
    return load_cached(fingerprint, Path(cache))


@lru_cache(maxsize=4)
def _held_out_images(path: str) -> HeldOut:
    return load_held_out(Path(path))


@lru_cache(maxsize=4)
def start_tensors(path: str, sha256: str) -> Mapping[str, torch.Tensor]:
    """The study's own copy, held to the hash that is in the trial's id."""
    tensors = load_start_weights(Path(path))
    if hash_of_tensors(tensors) != sha256:
        raise WeightsError(
            f"{path}: not the start weights {sha256[:12]} that the trial was planned with; run the study anew"
        )
    return tensors
