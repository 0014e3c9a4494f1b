"""From a study to its results."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune

from engine import steering
from engine import study as planning
from engine.combinations import caveats
from engine.config import dump, with_absolute_paths
from engine.errors import StoreError, WhichLayersError
from engine.hardware import Share, share, this_machine
from engine.permission import allowed
from engine.preparation import KnownRates, Places, Prepared, held_out_files, known_states, prepare
from engine.progress import Progress
from engine.search.carrying import carried
from engine.search.cluster import CLUSTER_TRIES, places_of
from engine.search.entry import train_trial
from engine.search.following import Follower
from engine.search.line import Line
from engine.search.listening import Listener, Stop
from engine.search.own_ray import own_ray
from engine.search.schedulers import scheduler_of
from engine.search.storing import keep_best_fold
from engine.search.worker import TRIES
from engine.store import Lease, Store, latest
from engine.study_settings import Study
from engine.trial import CLOSED, Trial

TRIALS_PER_TUNER = 500
"""Ray's driver keeps every trial in memory (ray#64231), so very large grids go in parts."""
FAR_PAUSE_SECONDS = 2.0
"""Between two words of progress in a bucket, each of which is a request that costs."""

Listen = Callable[[Mapping[str, Any]], None]
Train = Callable[[Mapping[str, Any]], None]
"""What a worker does with a trial: `train_trial`, or another function that reports as it does."""


def run(
    study: Study,
    store: Store,
    cache: Path,
    listen: Listen | None = None,
    train: Train = train_trial,
    *,
    address: str | None = None,
) -> dict[str, int]:
    """Run what is missing of `study`; gives the counts {"trials", "closed", "failed", "cancelled", "stopped_early"}.

    `listen` hears the progress, which the store keeps too. KeyboardInterrupt stops cleanly, and is raised where
    somebody asks for that (`engine.steering.stop`): what is stored stays, and another run goes on from there. Raises
    WhichLayersError where something cannot be run. With `address` ('auto' or HOST:PORT of this node's cluster) trials
    run on a Ray cluster; `engine.search.afar` starts such a run from elsewhere.
    """
    cache = cache.expanduser().absolute()  # workers run in folders of their own
    begun_before, quick, store = store.has_study(study.name), store, store.patient()
    with Lease(store.files, study.name) as lease:
        if store.is_archived(study.name):
            raise StoreError(f"study '{study.name}' is archived; whichlayers unarchive {study.name} brings it back")
        before = {name: store.files.read(f"{study.name}/{name}") for name in ("study.yaml", "progress.json")}
        store.begin(study.name, dump(with_absolute_paths(study)))
        steering.forget_old(store, study.name)
        progress = Progress(listen=_teller(quick, study.name, listen), caveats=tuple(caveats(study)))
        for line in store.put_aside(study.name):
            progress.prepare(0.0, line)
        try:
            counts = _run(study, store, cache, progress, train, lease, address)
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
        steering.forget_old(store, study.name)
    return counts


def _run(
    study: Study, store: Store, cache: Path, progress: Progress, train: Train, lease: Lease, address: str | None
) -> dict[str, int]:
    with ExitStack() as stack:
        places = None
        if address is not None:
            progress.prepare(0.0, "asking the nodes of the cluster")
            places = stack.enter_context(places_of(address, study, store))
        ready = prepare(study, store, cache, progress.prepare, places)
        for weights in ready.starts.values():
            store.write_start_weights(study.name, weights.sha256, weights.path.read_bytes())
        trials = ready.trials
        total = planning.trials_in_all(study, trials)
        store.write_plan(study.name, trials, ready.facts)
        follower = _begin(study, store, ready, total, progress, places)
        follower.lease = lease
        work = _work(study, store, cache, ready)
        done = _settled(study, store, trials)
        follower.open([trial for trial in trials if trial.id not in done], done)
        follower.look(now=True)
        folder, tried = None, set[str]()
        while missing := [trial for trial in trials if trial.id not in done.keys() | tried | follower.left_out]:
            if folder is None:
                folder = stack.enter_context(own_ray(ready.portion.cpu * follower.room))
                if places is not None:
                    work |= stack.enter_context(carried(cache, ready.dataset.fingerprint, work["held_out"].values()))
            for first in range(0, len(missing), TRIALS_PER_TUNER):
                part = [
                    trial for trial in missing[first : first + TRIALS_PER_TUNER] if trial.id not in follower.left_out
                ]
                if part:
                    tune_trials(part, work, ready.portion, study, follower, folder, train, places)
            tried |= {trial.id for trial in missing}
            if study.rate_search is None and not study.repeat_failed:
                break
            # Results suggest the next rates of a search, and say which folds are trained again.
            known: dict[str, Any] = {"rates": KnownRates(study, store), "states": known_states(study, store)}
            trials = planning.plan(study, ready.dataset, ready.told, ready.portion, **ready.own, **known)
            total = planning.trials_in_all(study, trials)
            store.write_plan(study.name, trials, ready.facts)
            more = [trial for trial in trials if trial.id not in done.keys() | tried]
            follower.know(trials)
            follower.open(more, {})
            progress.more(more, total)
        if folder is not None:
            with suppress(StoreError):  # it only makes reading faster
                store.compact(study.name)
        if study.keep_weights == "best":  # what a worker that was killed, or other settings before, have left
            with suppress(StoreError):
                keep_best_fold(store, study.name)
    states = list(_settled(study, store, trials).values())
    closed = sum(state in CLOSED for state in states)
    return {
        "trials": total,
        "closed": closed,
        "failed": len(trials) - len(states),
        "cancelled": states.count("cancelled"),
        "stopped_early": states.count("stopped_early"),
    }


def _begin(
    study: Study, store: Store, ready: Prepared, total: int, progress: Progress, places: Places | None
) -> Follower:
    """Tells what is to do, and gives who follows what people ask for."""
    done = _settled(study, store, ready.trials)
    room = places.room if places is not None else _room(study)
    progress.at_once, progress.room = ready.portion.at_once, room
    progress.begin(
        ready.trials,
        {trial for trial, state in done.items() if state in CLOSED},
        total,
        cancelled={trial for trial, state in done.items() if state == "cancelled"},
        stopped_early={trial for trial, state in done.items() if state == "stopped_early"},
    )
    follower = Follower(store, study.name, progress, ready.portion.at_once, room)
    follower.know(ready.trials)
    follower.keep_retries()
    return follower


def _room(study: Study) -> int:
    """Trials that this machine has room for."""
    return share(this_machine(), replace(study.resources, at_once=None), study.model, study.training.precision).at_once


def _settled(study: Study, store: Store, trials: Sequence[Trial]) -> dict[str, str]:
    """The trials that need not run, with the states that they are in."""
    attempts = store.attempts(study.name, ("state",))
    asked = steering.requests(store, study.name)
    done = steering.settled(attempts, asked, early=study.search.scheduler != "fifo") & {trial.id for trial in trials}
    last = latest(attempts)
    return {str(row.id): str(row.state) for row in last[last["id"].isin(done)].itertuples()}


def _work(study: Study, store: Store, cache: Path, ready: Prepared) -> dict[str, Any]:
    """What every worker must know."""
    return {
        "root": store.files.root,
        "study": study.name,
        "cache": str(cache),
        "keep_weights": study.keep_weights,
        "own_networks": allowed(),
        "held_out": {
            weights: str(Path(path).relative_to(cache)) for weights, path in held_out_files(study, ready, cache).items()
        },
        "old_classes": {weights.sha256: weights.classes for weights in ready.starts.values()},
    }


def tune_trials(
    trials: Sequence[Trial],
    work: Mapping[str, Any],
    portion: Share,
    study: Study,
    follower: Follower,
    folder: Path,
    train: Train = train_trial,
    places: Places | None = None,
) -> None:
    """Let Ray Tune run `trials`, and those that are asked for meanwhile. Raises StopAsked.

    With `places` on a cluster, where nodes may go as well as workers.
    """
    wanted = {"cpu": portion.cpu, "gpu": portion.gpu} | ({"memory": places.memory_bytes} if places else {})
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a worker's death is told by its row
    line = follower.line = Line(trials, follower.at_once)
    try:
        tune.Tuner(
            tune.with_resources(train, wanted),
            param_space={"work": dict(work)},
            tune_config=tune.TuneConfig(
                search_alg=line,
                scheduler=scheduler_of(study),
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=str(folder / "tune"),
                verbose=0,
                stop=Stop(follower),
                callbacks=[Listener(follower.store, study.name, follower.progress, follower)],
                failure_config=tune.FailureConfig(max_failures=(CLUSTER_TRIES if places else TRIES) - 1),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0),
            ),
        ).fit()
    finally:
        follower.line = None
    if follower.lease is not None:
        follower.lease.require()
    if follower.stopping:
        raise steering.StopAsked


def _teller(store: Store, study: str, listen: Listen | None) -> Listen:
    """Writes progress at most twice a second (changes of state at once) and passes it on; less often into a bucket.

    A disk that is full or a bucket that is away for a while does not end the run by its progress: the next row waits
    for it, and tells.
    While a study is being prepared it looks for an order to stop, and raises StopAsked.
    """
    last: dict[str, Any] = {"time": 0.0, "state": None, "looked": 0.0}
    pause = 0.5 if store.files.local else FAR_PAUSE_SECONDS

    def tell(progress: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if progress["state"] != last["state"] or now - last["time"] >= pause:
            with suppress(StoreError):
                store.write_progress(study, progress)
            last.update(time=now, state=progress["state"])
        if listen is not None:
            listen(progress)
        if progress["state"] == "preparing" and now - last["looked"] >= steering.LOOK_SECONDS:
            last["looked"] = now
            if any(request.what == "stop" for request in steering.requests(store, study)):
                raise steering.StopAsked

    return tell
