"""One trial in a worker of Ray: trained, tested, and its row committed."""

import os
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from ray import tune

from engine import steering
from engine.datasets import Dataset, load_cached
from engine.embeddings import before_training
from engine.errors import StoreError, WeightsError
from engine.evaluation import HeldOut
from engine.memory import give_back_memory
from engine.permission import allow
from engine.pretraining import load_held_out, load_start_weights
from engine.search.carrying import cache_here
from engine.search.endings import crashed, cut_short, trial_of
from engine.search.storing import keep, keep_best_fold
from engine.store import Store
from engine.strategies import hash_of_tensors
from engine.training import run_trial
from engine.trial import CLOSED, Epoch

TRIES = 2
"""Attempts at a trial in one run: a crash is tried once more."""
FULL = (torch.OutOfMemoryError, MemoryError)
"""What a trial raises where memory, mostly a GPU's, is full."""
FAR_LOOK_SECONDS = 5.0
"""Between two looks for requests in a bucket, each of which is a request that costs."""


class Cancelled(Exception):
    """Somebody asked for this trial to be given up."""


def train_trial(config: Mapping[str, Any]) -> None:
    """Train one trial in a worker and commit its row; an exception becomes a stored attempt and is tried again."""
    with suppress(OSError):
        os.nice(19 - os.nice(0))  # pages and live inference go first
    trial = trial_of(config["trial"])
    work = config["work"]
    allow(work.get("own_networks", ()))  # on other nodes, and where Ray was up before the run
    store = _store(work["root"])
    epochs: list[Epoch] = []

    def report(epoch: Epoch) -> None:
        score = epoch.validation_dice if trial.task == "segmentation" else epoch.validation_accuracy
        epochs.append(epoch)
        tune.report({"epoch": epoch.epoch, "validation": score, "state": "running", "record": asdict(epoch)})

    def is_cancelled() -> bool:
        return steering.is_cancelled(store, work["study"], trial.id)

    def tell(problem: str) -> None:
        tune.report({"epoch": len(epochs), "validation": None, "state": "storing", "problem": problem})

    number, state = store.standing(work["study"], trial.id)
    full = False
    for _ in range(0 if state in CLOSED else TRIES):  # closed by a worker that died before it could say so
        started, clock = datetime.now(UTC), time.perf_counter()
        epochs.clear()
        try:
            weights = None
            if trial.start_weights is not None:
                weights = start_tensors(
                    str(store.start_weights(work["study"], trial.start_weights)), trial.start_weights
                )
            held_out = work["held_out"].get(trial.start_weights)
            cache = cache_here(work)
            every = steering.LOOK_SECONDS if store.files.local else FAR_LOOK_SECONDS
            attempt, tensors = run_trial(
                trial,
                _dataset(trial.data, cache),
                weights,
                report,
                number=number,
                held_out=None if held_out is None else _held_out_images(cache / held_out),
                old_classes=work.get("old_classes", {}).get(trial.start_weights, ()),
                keep_embedding=lambda content: store.write_embedding(work["study"], trial.id, content),
                keep_start_embedding=lambda content: store.write_embedding(
                    work["study"], before_training(trial.id), content
                ),
                before_step=stoppable(is_cancelled, every=every),
            )
        except Cancelled:
            seconds = time.perf_counter() - clock
            attempt, tensors = cut_short(trial, number, "cancelled", started, seconds, epochs), None
        except Exception as error:
            seconds = time.perf_counter() - clock
            attempt, tensors = crashed(trial, number, started, seconds, traceback.format_exc()), None
            full = isinstance(error, FULL)
        finally:
            give_back_memory()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        policy = work.get("keep_weights", "all")
        keep(store, work["study"], attempt, None if policy == "none" else tensors, tell)
        if policy == "best":
            with suppress(StoreError):  # what cannot be removed now costs room, nothing else
                keep_best_fold(store, work["study"], trial)
        number, state = number + 1, attempt.state
        if state != "error" or full:  # beside the same neighbours it would be full again
            break
    tune.report({"epoch": trial.max_epochs, "validation": None, "state": state, "full": full})


def stoppable(asked: Callable[[], bool], *, every: float = steering.LOOK_SECONDS) -> Callable[[], None]:
    """A look that raises Cancelled once `asked` says so: now, and then, called again and again, `every` few seconds."""
    if asked():
        raise Cancelled
    looked = time.monotonic()

    def look() -> None:
        nonlocal looked
        if time.monotonic() - looked >= every:
            looked = time.monotonic()
            if asked():
                raise Cancelled

    return look


@lru_cache(maxsize=1)
def _store(root: str) -> Store:
    return Store.at(root).patient()


@lru_cache(maxsize=1)
def _dataset(fingerprint: str, cache: Path) -> Dataset:
    """Mapped arrays, kept while the worker lives."""
    return load_cached(fingerprint, cache)


@lru_cache(maxsize=4)
def _held_out_images(path: Path) -> HeldOut:
    return load_held_out(path)


@lru_cache(maxsize=4)
def start_tensors(path: str, sha256: str) -> Mapping[str, torch.Tensor]:
    """The study's own copy, held to the hash that is in the trial's id."""
    tensors = load_start_weights(Path(path))
    if hash_of_tensors(tensors) != sha256:
        raise WeightsError(
            f"{path}: not the start weights {sha256[:12]} that the trial was planned with; run the study anew"
        )
    return tensors
