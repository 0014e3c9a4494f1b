"""Run a study: prepare data and start weights, plan, and let Ray Tune schedule what is missing.

The only module that knows Ray. Workers commit their own rows, so that nothing is lost with the driver.
"""

import os
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.tune import Callback

from engine import study as planning
from engine.config import dump
from engine.datasets import Dataset, load_cached
from engine.errors import WeightsError, WhichLayersError
from engine.evaluation import HeldOut
from engine.hardware import Share
from engine.preparation import KnownRates, held_out_files, prepare
from engine.pretraining import (
    load_held_out,
    load_start_weights,
)
from engine.progress import Progress
from engine.store import SEGMENT, Lease, Store, closed_ids
from engine.strategies import hash_of_tensors
from engine.study_settings import Study
from engine.training import run_trial
from engine.trial import Attempt, Epoch, Trial

TRIES = 2
"""Attempts at a trial in one run: a crash is tried once more."""
TRIALS_PER_TUNER = 500
"""Ray's driver keeps every trial in memory (ray#64231), so very large grids go in parts."""
RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C stops at once: every finished trial is stored already
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints although it is told not to
}
OBJECT_STORE_BYTES = 100 * 2**20
"""Data travel as mapped files, not through Ray's object store, which is small in containers."""

Listener = Callable[[Mapping[str, Any]], None]


def run(study: Study, store: Store, cache: Path, listen: Listener | None = None) -> dict[str, int]:
    """Run what is missing of `study`; gives the counts {"trials", "closed", "failed"}.

    `listen` hears the progress, which the store keeps too. KeyboardInterrupt stops cleanly: what is stored
    stays, and another run goes on from there. Raises WhichLayersError where something cannot be run.
    """
    cache = cache.expanduser().absolute()  # workers run in folders of their own
    begun_before = study.name in store.studies()
    with Lease(store.files, study.name):
        before = {name: store.files.read(f"{study.name}/{name}") for name in ("study.yaml", "progress.json")}
        store.begin(study.name, dump(study))
        progress = Progress(listen=_teller(store, study.name, listen))
        for line in store.put_aside(study.name):
            progress.prepare(0.0, line)
        try:
            counts = _run(study, store, cache, progress)
        except KeyboardInterrupt:
            progress.finish("stopped")
            raise
        except BaseException as error:
            progress.finish("failed", str(error))
            if isinstance(error, WhichLayersError) and not progress.trials:
                # A run that is refused changes nothing: neither an earlier run's words, nor an empty place.
                if not begun_before:
                    store.forget(study.name)
                for name, content in before.items():
                    if begun_before and content is not None:
                        store.files.write(f"{study.name}/{name}", content)
            raise
        progress.finish("finished")
    return counts


def _run(study: Study, store: Store, cache: Path, progress: Progress) -> dict[str, int]:
    ready = prepare(study, store, cache, progress.prepare)
    for weights in ready.starts.values():
        store.write_start_weights(study.name, weights.sha256, weights.path.read_bytes())
    work: dict[str, Any] = {"root": store.files.root, "study": study.name, "cache": str(cache)}
    work["held_out"] = held_out_files(study, ready, cache)
    work["old_classes"] = {weights.sha256: weights.classes for weights in ready.starts.values()}
    trials = ready.trials
    total = planning.trials_in_all(study, trials)
    store.write_plan(study.name, trials, ready.facts)
    closed = closed_ids(store.attempts(study.name)) & {trial.id for trial in trials}
    progress.begin(trials, closed, total)
    with ExitStack() as stack:
        began, tried = False, set[str]()
        while missing := [trial for trial in trials if trial.id not in closed | tried]:
            if not began:
                stack.enter_context(_ray(ready.portion))
                began = True
            for first in range(0, len(missing), TRIALS_PER_TUNER):
                _tune(missing[first : first + TRIALS_PER_TUNER], work, ready.portion, store, study.name, progress)
            tried |= {trial.id for trial in missing}
            if study.rate_search is None:
                break
            # Results suggest the next rates of a search.
            rates = KnownRates(study, store)
            trials = planning.plan(study, ready.dataset, ready.told, ready.portion, **ready.own, rates=rates)
            store.write_plan(study.name, trials, ready.facts)
            progress.more([trial for trial in trials if trial.id not in closed | tried])
        if began:
            store.compact(study.name)
    planned = {trial.id for trial in trials}
    closed = closed_ids(store.attempts(study.name)) & planned
    return {"trials": total, "closed": len(closed), "failed": total - len(closed)}


def _tune(
    trials: Sequence[Trial], work: Mapping[str, Any], portion: Share, store: Store, study: str, progress: Progress
) -> None:
    resources = {"cpu": portion.cpu, "gpu": portion.gpu}
    with tempfile.TemporaryDirectory(prefix="whichlayers-tune-", ignore_cleanup_errors=True) as folder:
        tune.Tuner(
            tune.with_resources(train_trial, resources),
            param_space={"work": dict(work), "trial": tune.grid_search([asdict(trial) for trial in trials])},
            tune_config=tune.TuneConfig(
                reuse_actors=True,
                max_concurrent_trials=portion.at_once,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=folder,
                verbose=0,
                callbacks=[_Watcher(store, study, progress)],
                failure_config=tune.FailureConfig(max_failures=TRIES - 1),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0),
            ),
        ).fit()


def train_trial(config: Mapping[str, Any]) -> None:
    """Train one trial in a worker and commit its row; an exception becomes a stored attempt and is tried again."""
    with suppress(OSError):
        os.nice(19 - os.nice(0))  # pages and live inference go first
    trial = trial_of(config["trial"])
    work = config["work"]
    store = Store.at(work["root"])

    def report(epoch: Epoch) -> None:
        score = epoch.validation_dice if trial.task == "segmentation" else epoch.validation_accuracy
        tune.report({"epoch": epoch.epoch, "validation": score, "state": "running"})

    number, state = store.next_number(work["study"], trial.id), "error"
    for _ in range(TRIES):
        started, clock = datetime.now(UTC), time.perf_counter()
        try:
            weights = None
            if trial.start_weights is not None:
                weights = _start_tensors(
                    str(store.start_weights(work["study"], trial.start_weights)), trial.start_weights
                )
            held_out = work["held_out"].get(trial.start_weights)
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
        except Exception:
            store.append(
                work["study"], crashed(trial, number, started, time.perf_counter() - clock, traceback.format_exc())
            )
            number += 1
        finally:
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    tune.report({"epoch": trial.max_epochs, "validation": None, "state": state})


def crashed(trial: Trial, number: int, started: datetime, seconds: float, error: str) -> Attempt:
    """The attempt that says how a trial crashed."""
    return Attempt(
        trial=trial,
        number=number,
        state="error",
        started=started.isoformat(timespec="milliseconds"),
        seconds=seconds,
        host=os.uname().nodename,
        error=error,
    )


def trial_of(row: Mapping[str, Any]) -> Trial:
    """The trial that `asdict` made a mapping of."""
    return Trial(**{**row, "units": tuple(row["units"])})


@lru_cache(maxsize=1)
def _dataset(fingerprint: str, cache: str) -> Dataset:
    """Mapped arrays, kept while the worker lives."""
    return load_cached(fingerprint, Path(cache))


@lru_cache(maxsize=4)
def _held_out_images(path: str) -> HeldOut:
    return load_held_out(Path(path))


@lru_cache(maxsize=4)
def _start_tensors(path: str, sha256: str) -> Mapping[str, torch.Tensor]:
    """The study's own copy, held to the hash that is in the trial's id."""
    tensors = load_start_weights(Path(path))
    if hash_of_tensors(tensors) != sha256:
        raise WeightsError(
            f"{path}: not the start weights {sha256[:12]} that the trial was planned with; run the study anew"
        )
    return tensors


class _Watcher(Callback):
    """Hears what Tune says of trials, and writes the row of a worker that died before it could."""

    def __init__(self, store: Store, study: str, progress: Progress) -> None:
        self._store, self._study, self._progress = store, study, progress
        self._ended = 0

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune writes its callbacks down for a restore, which we do from our own store."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._progress.epoch(trial_of(trial.config["trial"]), 0, None)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Mapping[str, Any], **info: Any
    ) -> None:
        if result.get("state") == "running":
            self._progress.epoch(trial_of(trial.config["trial"]), result["epoch"], result["validation"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._progress.end(trial_of(trial.config["trial"]), (trial.last_result or {}).get("state", "error"))
        self._ended += 1
        if self._ended % SEGMENT == 0:
            self._store.compact(self._study)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._store_death(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._store_death(trial)
        self._progress.end(trial_of(trial.config["trial"]), "error")

    def _store_death(self, trial: Any) -> None:
        planned = trial_of(trial.config["trial"])
        number = self._store.next_number(self._study, planned.id)
        text = f"the worker died: {trial.get_pickled_error() or trial.get_error() or 'no reason given'}"
        self._store.append(self._study, crashed(planned, number, datetime.now(UTC), 0.0, text))


@contextmanager
def _ray(portion: Share) -> Iterator[None]:
    """A Ray of our own for one run."""
    os.environ.update(RAY_SETTINGS)
    threads = str(portion.threads)
    ended_by = signal.getsignal(signal.SIGTERM)
    ray.init(
        address="local",
        num_cpus=portion.cpu * portion.at_once,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        runtime_env={"env_vars": {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"}},
        logging_level="ERROR",
        log_to_driver=False,
    )
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ended_by)  # Ray puts an exit of its own there, which would look like a failure
    try:
        yield
    finally:
        ray.shutdown()


def _teller(store: Store, study: str, listen: Listener | None) -> Listener:
    """Writes progress at most twice a second (changes of state at once) and passes it on."""
    last: dict[str, Any] = {"time": 0.0, "state": None}

    def tell(progress: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if progress["state"] != last["state"] or now - last["time"] >= 0.5:
            store.write_progress(study, progress)
            last.update(time=now, state=progress["state"])
        if listen is not None:
            listen(progress)

    return tell
