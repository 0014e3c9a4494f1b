"""Runs that people steer, under a real Ray: trials stopped, left out, taken in again; runs stopped; schedulers."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from engine import steering
from engine.errors import StoreError
from engine.hardware import share, this_machine
from engine.search.own_ray import own_ray
from engine.search.running import run
from engine.search.schedulers import scheduler_of
from engine.search.starting import own_folder, remove_abandoned
from engine.steering import StopAsked
from engine.store import Store
from engine.study_settings import (
    DataSettings,
    FoldSettings,
    ModelSettings,
    ResourceSettings,
    SearchSettings,
    StartSettings,
    Study,
    TrainingSettings,
)

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(900),  # a busy machine takes minutes to start Ray
    pytest.mark.filterwarnings("default"),  # Ray's own warnings are not ours to fix
]

STUDY = Study(
    name="steered",
    model=ModelSettings(width=2, image_size=32),
    data=DataSettings(kind="simulated", images=15),
    start_weights=(StartSettings(images=20, batches=4),),
    strategies=("from scratch",),
    fractions=(80.0,),
    folds=FoldSettings(of=5, run=(0, 1, 2, 3, 4)),
    training=TrainingSettings(max_epochs=150, patience=150, batches_per_epoch=20),
)


@pytest.fixture(scope="module", autouse=True)
def shared_ray() -> Iterator[None]:
    """One Ray for all runs of this file."""
    portion = share(this_machine(), ResourceSettings(gpu=0.0), STUDY.model)
    with own_ray(portion.cpu * portion.at_once):
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of data and start weights that the tests of this file share."""
    return tmp_path_factory.mktemp("cache")


def running(store: Store) -> list[Mapping[str, Any]]:
    """What the run says is being trained, a few epochs in."""
    now = store.progress(STUDY.name) if STUDY.name in store.studies() else {}
    return [row for row in now.get("running", ()) if row["epoch"] > 1]


def until(said: Callable[[], Any]) -> Any:
    """What `said` gives once it is true; fails after five minutes."""
    deadline = time.monotonic() + 300
    while not (found := said()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def beside(steer: Callable[[], None]) -> Callable[[], None]:
    """Begins to steer in another thread; gives what waits for that, and raises what went wrong there."""
    wrong: list[BaseException] = []

    def go() -> None:
        try:
            steer()
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=go)
    thread.start()

    def ended() -> None:
        thread.join()
        assert wrong == []

    return ended


def test_a_run_is_steered_from_beside_and_goes_on_where_it_was_stopped(tmp_path: Path, cache: Path) -> None:
    store, seen = Store.at(tmp_path), dict[str, Any]()

    def state(trial: str) -> str:
        return str(steering.trial_states(store, STUDY.name).set_index("id").at[trial, "state"])

    def steer() -> None:
        first = until(lambda: running(store))[0]["id"]
        last = str(store.plan(STUDY.name)["id"].iloc[-1])
        steering.cancel(store, STUDY.name, last)
        steering.cancel(store, STUDY.name, first[:10])
        asked = time.monotonic()
        until(lambda: state(first) == "cancelled" and state(last) == "cancelled")
        seen.update(first=first, last=last, seconds=time.monotonic() - asked)
        steering.workers(store, STUDY.name, 1)
        until(lambda: len(store.progress(STUDY.name)["running"]) == 1)
        until(lambda: store.progress(STUDY.name)["at_once"] == 1)
        steering.retry(store, STUDY.name, first)
        until(lambda: store.progress(STUDY.name)["cancelled"] == 1)
        until(lambda: running(store))
        steering.stop(store, STUDY.name)

    ended = beside(steer)
    with pytest.raises(StopAsked):
        run(STUDY, store, cache)
    ended()
    now = store.progress(STUDY.name)
    assert (now["state"], now["alive"], now["cancelled"]) == ("stopped", False, 1)
    attempts = store.attempts(STUDY.name).set_index("id")
    assert attempts.at[seen["last"], "epochs_run"] == 0
    assert attempts.at[seen["first"], "epochs_run"] >= 2
    assert len(store.epochs(STUDY.name, [seen["first"]])) == attempts.at[seen["first"], "epochs_run"]

    short = replace(STUDY, strategies=("from scratch",))
    ended = beside(
        lambda: (
            until(lambda: running(store)) and [steering.cancel(store, STUDY.name, row) for row in open_trials(store)]
        )
    )
    counts = run(short, store, cache)
    ended()
    assert counts["failed"] == 0
    assert counts["closed"] + counts["cancelled"] == counts["trials"] == 5
    assert steering.requests(store, STUDY.name) == []
    assert state(seen["last"]) == "cancelled"
    # What was stopped by hand is left alone: nothing runs.
    number = len(store.attempts(STUDY.name))
    assert run(short, store, cache) == counts
    assert len(store.attempts(STUDY.name)) == number


def open_trials(store: Store) -> list[str]:
    """Ids of the trials that wait or run."""
    states = steering.trial_states(store, STUDY.name)
    return list(states.loc[states["state"].isin(("waiting", "running")), "id"])


def test_trials_that_a_scheduler_stops_have_a_state_of_their_own_and_run_on_without_it(
    tmp_path: Path, cache: Path
) -> None:
    study = replace(
        STUDY,
        name="asha",
        learning_rates=(1e-7, 1e-3, 1e-2),  # the first steps of the higher ones unlearn chance
        folds=FoldSettings(of=5, run=(1,)),
        training=TrainingSettings(max_epochs=3, batches_per_epoch=12),
        resources=ResourceSettings(gpu=0.0, at_once=1),
        search=SearchSettings(scheduler="asha", grace=1, reduction=2),
    )
    store = Store.at(tmp_path)
    counts = run(study, store, cache)
    assert counts["stopped_early"] >= 1
    assert counts["closed"] + counts["stopped_early"] == counts["trials"] == 3
    cut = store.attempts("asha").query("state == 'stopped_early'")
    assert cut["dice"].isna().all()
    assert cut["epochs_run"].between(1, 3).all()
    assert cut["validation_dice"].notna().all()
    assert "do not enter Table II" in store.progress("asha")["caveats"][0]
    assert store.facts("asha")["search"]["scheduler"] == "asha"
    assert run(study, store, cache) == counts  # it does not try them again
    plain = run(replace(study, search=SearchSettings()), store, cache)
    assert (plain["closed"], plain["stopped_early"]) == (3, 0)


def test_only_trials_of_one_fraction_and_fold_are_compared() -> None:
    study = replace(STUDY, search=SearchSettings(scheduler="asha", grace=2, reduction=2))
    compare, trials = scheduler_of(study), dict[str, Trial]()
    nobody = SimpleNamespace(get_live_trials=list)

    def result_of(name: str, fold: int, epoch: int, validation: float | None, state: str = "running") -> str:
        if epoch == 1:
            config = {"trial": {"fraction": 80.0, "fold": fold, "split_seed": 0}}
            trials[name] = Trial("train_trial", trial_id=name, config=config, stub=True)
            compare.on_trial_add(nobody, trials[name])
        trial = trials[name]
        return str(compare.on_trial_result(nobody, trial, {"epoch": epoch, "validation": validation, "state": state}))

    assert [result_of("a", 0, epoch, 0.9) for epoch in (1, 2, 3)] == [TrialScheduler.CONTINUE] * 3
    assert result_of("b", 0, 1, 0.1) == TrialScheduler.CONTINUE  # its grace
    assert result_of("b", 0, 2, 0.1) == TrialScheduler.STOP
    assert [result_of("c", 1, epoch, 0.1) for epoch in (1, 2)] == [TrialScheduler.CONTINUE] * 2  # another fold
    assert [result_of("d", 0, 1, None), result_of("d", 0, 150, None, "completed")] == [TrialScheduler.CONTINUE] * 2
    compare = scheduler_of(replace(study, search=SearchSettings(scheduler="median", grace=1)))
    for name, dice in (("a", 0.8), ("b", 0.7), ("c", 0.9)):
        assert result_of(name, 0, 1, dice) == TrialScheduler.CONTINUE
    assert result_of("d", 0, 1, 0.2) == TrialScheduler.STOP
    assert isinstance(scheduler_of(STUDY), FIFOScheduler)


def test_an_archived_study_is_not_run(tmp_path: Path, cache: Path) -> None:
    from engine.studies import archive

    store = Store.at(tmp_path)
    store.begin("steered", "name: steered")
    archive(store, "steered")
    with pytest.raises(StoreError, match="'steered' is archived; whichlayers unarchive steered brings it back"):
        run(STUDY, store, cache)


def test_folders_of_dead_runs_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    with own_folder(tmp_path) as living:
        dead = tmp_path / "dead"
        dead.mkdir()
        (dead / "lock").touch()
        (dead / "large").write_bytes(b"0" * 1000)
        (tmp_path / "foreign").mkdir()
        assert remove_abandoned(tmp_path) == ["dead"]
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["foreign", living.name])
    assert [path.name for path in tmp_path.iterdir()] == ["foreign"]


def for_one(folder: Path, *, ever: bool) -> Callable[[Mapping[str, Any]], None]:
    """A trial that finds memory only while no other holds it; where not `ever`, no trial finds any."""

    def train(config: Mapping[str, Any]) -> None:
        import fcntl

        import torch

        from engine.search import worker

        real = worker.run_trial

        def hungry(*given: Any, **named: Any) -> Any:
            with (folder / "memory").open("w") as held:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise torch.OutOfMemoryError("made: out of memory") from None
                if not ever:
                    time.sleep(0.5)
                    raise torch.OutOfMemoryError("made: out of memory")
                time.sleep(1.0)
                return real(*given, **named)

        worker.run_trial = hungry
        try:
            worker.train_trial(config)
        finally:
            worker.run_trial = real

    return train


@pytest.mark.parametrize("ever", [True, False])
def test_trials_that_find_no_memory_beside_others_run_again_with_fewer_at_once(
    tmp_path: Path, cache: Path, ever: bool
) -> None:
    if this_machine().cores < 2:
        pytest.skip("one core: trials never run beside each other")
    store, told = Store.at(tmp_path), list[Mapping[str, Any]]()
    study = replace(
        STUDY,
        strategies=("from scratch",),
        reference="from scratch",
        resources=ResourceSettings(at_once=2, gpu=0.0),
        folds=FoldSettings(of=5, run=(0, 1, 2)),
        training=TrainingSettings(max_epochs=1, batches_per_epoch=1),
    )
    counts = run(study, store, cache, lambda progress: told.append(dict(progress)), for_one(tmp_path, ever=ever))
    attempts = store.attempts(STUDY.name)
    refused = attempts[attempts["state"] == "error"]
    assert len(refused) >= 1
    assert refused["error"].str.contains("made: out of memory").all()
    assert "out of memory with 2 trials at once: 1 from now on" in {row["error"] for row in told}
    assert told[-1]["at_once"] == 1
    trained = 3 if ever else 0
    assert (counts["closed"], counts["failed"]) == (trained, 3 - trained)
    assert attempts.loc[attempts["state"] == "completed", "id"].nunique() == trained
