"""A study under a real Ray: run, stopped, killed, resumed, crashed."""

import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image
from safetensors.torch import save

from engine import config
from engine.errors import DataError, StoreError, WeightsError
from engine.hardware import share, this_machine
from engine.preparation import prepare
from engine.pretraining import load_start_weights
from engine.progress import Progress
from engine.search import running
from engine.search.endings import trial_of
from engine.search.following import Follower
from engine.search.own_ray import own_ray
from engine.search.running import tune_trials
from engine.search.worker import start_tensors
from engine.store import Lease, Store
from engine.strategies import hash_of_tensors
from engine.study_settings import (
    DataSettings,
    FoldSettings,
    ModelSettings,
    RateSearch,
    ResourceSettings,
    StartSettings,
    Study,
    TrainingSettings,
)
from engine.trial import Trial
from tests.made import attempt, discs
from tests.small_disk import fill, small_disk

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(900),  # a busy machine takes minutes to start Ray
    pytest.mark.filterwarnings("default"),  # Ray's own warnings are not ours to fix
]

KINDS = (".json", ".parquet", ".safetensors", ".yaml")
"""Of files in a store; what is being written has another ending."""
STUDY = Study(
    name="small",
    question="does it run?",
    model=ModelSettings(width=2, image_size=32),
    data=DataSettings(kind="simulated", images=15),
    start_weights=(StartSettings(images=20, batches=4),),
    strategies=("whole network", "block 9"),
    fractions=(80.0,),
    folds=FoldSettings(of=5, run=(0, 1)),
    training=TrainingSettings(max_epochs=2, batches_per_epoch=2),
)
FILE = """
name: small
model: {width: 2, image_size: 32}
data: {kind: simulated, images: 15}
start_weights: {images: 20, batches: 4}
strategies: [whole network, block 9, block 1]
learning_rates: [0.003]
fractions: [80]
folds: {of: 5, run: [0, 1, 2, 3, 4]}
training: {max_epochs: 30, batches_per_epoch: 10, patience: 30}
"""


@pytest.fixture(scope="module", autouse=True)
def shared_ray() -> Iterator[None]:
    """One Ray for all runs of this file that are no processes of their own."""
    portion = share(this_machine(), ResourceSettings(gpu=0.0), STUDY.model)
    with own_ray(portion.cpu * portion.at_once):
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of data and start weights that the tests of this file share."""
    return tmp_path_factory.mktemp("cache")


def test_a_study_runs_once_and_extends_by_what_is_missing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, told = Store.at(tmp_path), list[dict[str, Any]]()
    monkeypatch.chdir(cache.parent)  # workers have other working directories: a relative cache must still be found
    counts = running.run(STUDY, store, Path(cache.name), lambda progress: told.append(dict(progress)))
    assert counts == {
        "trials": 6,
        "closed": 6,
        "failed": 0,
        "cancelled": 0,
        "stopped_early": 0,
    }  # one test of the start weights in each of two folds
    assert {row["state"] for row in told} == {"preparing", "running", "finished"}
    assert max(len(row["running"]) for row in told) >= 1
    first = store.attempts("small")
    assert sorted(first["id"]) == sorted(store.plan("small")["id"])
    assert (first["frozen_hash_before"] == first["frozen_hash_after"]).all()
    assert first["kept_dice"].notna().all()
    assert store.has_weights("small") == set(first["id"])
    assert store.start_weights("small", store.facts("small")["start_weights"][0]["sha256"]).is_file()

    told.clear()
    assert running.run(STUDY, store, cache, lambda progress: told.append(dict(progress)))["closed"] == 6
    assert not any(row["running"] for row in told)
    assert len(store.attempts("small")) == 6

    wider = replace(
        STUDY,
        strategies=("whole network", "block 9", "from scratch"),
        fractions=(80.0, 40.0),
        learning_rates=(1e-4, 1e-3),
        folds=FoldSettings(of=5, run=(0, 1, 2)),
        seeds=(0, 1),
        training=replace(STUDY.training, max_epochs=2),
    )
    every = 3 * 2 * 2 * 3 * 2 + 3
    assert running.run(wider, store, cache)["closed"] == every
    after = store.attempts("small")
    assert len(after) == every  # nothing ran twice
    assert set(first["id"]) < set(after["id"])
    assert set(after["number"]) == {1}
    kept = after[after["id"].isin(first["id"])].set_index("id")
    assert (kept["started"] == first.set_index("id")["started"].reindex(kept.index)).all()


def test_a_trial_that_crashes_is_stored_with_its_traceback_tried_again_and_does_not_stop_the_study(
    tmp_path: Path, cache: Path
) -> None:
    store = Store.at(tmp_path)
    study = replace(STUDY, name="s", strategies=("block 9", "from scratch"))
    ready = prepare(study, store, cache, lambda *_: None)
    trials = [trial for trial in ready.trials if trial.fraction]
    progress = Progress(listen=lambda _: None)
    progress.begin(trials, set())
    work = {"root": str(tmp_path), "study": "s", "cache": str(cache), "held_out": {}}
    follower = Follower(store, "s", progress, 2, 2)
    follower.open(trials, {})
    with own_ray(2 * ready.portion.cpu) as folder:  # the store does not hold the start weights
        tune_trials(trials, work, ready.portion, study, follower, folder)
    attempts = store.attempts("s")
    crashed = attempts[attempts["strategy"] == "block 9"]
    assert sorted(crashed["number"]) == [1, 1, 2, 2]
    assert set(crashed["state"]) == {"error"}
    assert crashed["error"].str.contains("are not in the store; run the study again").all()
    assert set(attempts.loc[attempts["strategy"] == "from scratch", "state"]) == {"completed"}
    assert (progress.closed, progress.failed) == (2, 2)


def test_a_name_that_holds_results_under_other_settings_is_refused_and_they_stay(tmp_path: Path, cache: Path) -> None:
    store = Store.at(tmp_path)
    ready = prepare(STUDY, store, cache, lambda *_: None)
    trials = ready.trials
    store.write_plan("small", trials, ready.facts)
    store.append("small", attempt(trials[0]))
    store.begin("small", "name: small")
    store.write_progress("small", {"state": "finished", "trials": 4, "closed": 4})
    changed = replace(STUDY, training=TrainingSettings(max_epochs=3, batches_per_epoch=2))
    with pytest.raises(StoreError, match=r"other settings \(max_epochs 2 -> 3\).*--name"):
        running.run(changed, store, cache)
    other = replace(STUDY, data=DataSettings(kind="simulated", images=15, seed=1))
    with pytest.raises(StoreError, match=r"other settings \(data .* -> .*\)"):
        running.run(other, store, cache)
    with pytest.raises(StoreError, match=r"named before any is seen \(margin 0.01 -> 0.1\); put it back, .*--name"):
        running.run(replace(STUDY, margin=0.1), store, cache)
    with pytest.raises(StoreError, match=r"\(reference whole network -> contracting\)"):
        running.run(replace(STUDY, reference="contracting"), store, cache)
    assert list(store.attempts("small")["id"]) == [trials[0].id]
    assert list(store.plan("small")["id"]) == [trial.id for trial in trials]
    assert store.study_text("small") == "name: small"
    assert store.progress("small")["state"] == "finished"


def test_start_weights_of_earlier_trials_come_before_newly_made_ones(tmp_path: Path, cache: Path) -> None:
    store = Store.at(tmp_path / "results")
    ready = prepare(STUDY, store, cache, lambda *_: None)
    (first,) = ready.starts.values()
    store.write_plan("small", ready.trials, ready.facts)
    tensors = {name: tensor + 1 for name, tensor in load_start_weights(first.path).items()}
    other = hash_of_tensors(tensors)
    store.write_start_weights("small", other, save(tensors))
    told = {**ready.facts, "start_weights": [{**ready.facts["start_weights"][0], "sha256": other}]}
    store.write_plan("small", ready.trials, told)
    again = prepare(STUDY, store, tmp_path / "another cache", lambda *_: None)
    assert [weights.sha256 for weights in again.starts.values()] == [other]
    assert {trial.start_weights for trial in again.trials} == {other}


def test_start_weights_in_the_store_are_held_to_their_hash(tmp_path: Path, cache: Path) -> None:
    (made,) = prepare(STUDY, Store.at(tmp_path), cache, lambda *_: None).starts.values()
    start_tensors(str(made.path), made.sha256)
    with pytest.raises(WeightsError, match="not the start weights"):
        start_tensors(str(made.path), "0" * 64)


def test_pre_training_on_the_studys_own_images_is_refused(tmp_path: Path, cache: Path) -> None:
    for index, (image, mask) in enumerate(zip(discs(12).images, discs(12).masks, strict=True)):
        for folder, array in (("images", image), ("masks", mask * 255)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / folder / f"{index}.png")
    rows = "".join(f"images/{index}.png,masks/{index}.png,,,,\n" for index in range(12))
    (tmp_path / "manifest.csv").write_text("image,mask,label,group,scanner,split\n" + rows)
    own = replace(
        STUDY,
        data=DataSettings(kind="folder", folder=str(tmp_path)),
        start_weights=(StartSettings(kind="folder", folder=str(tmp_path), batches=2),),
    )
    with pytest.raises(DataError, match="holds 12 images of"):
        running.run(own, Store.at(tmp_path / "results"), cache)
    assert Store.at(tmp_path / "results").studies() == []


def test_a_search_of_rates_asks_for_the_next_one_where_the_last_is_known(tmp_path: Path, cache: Path) -> None:
    study = replace(
        STUDY,
        name="rates",
        strategies=("block 9",),
        rate_search=RateSearch(draws=3, search="optuna", low=1e-5, high=1e-3),
    )
    store, told = Store.at(tmp_path), list[dict[str, Any]]()
    counts = running.run(study, store, cache, lambda progress: told.append(dict(progress)))
    assert counts == {"trials": 8, "closed": 8, "failed": 0, "cancelled": 0, "stopped_early": 0}
    assert {row["trials"] for row in told if row["state"] == "running"} == {8}
    plan = store.plan("rates")
    by_fold = plan[plan["fraction"] > 0].groupby("fold")["learning_rate"]
    assert by_fold.nunique().tolist() == [3, 3]
    assert by_fold.first().tolist() == [1e-4, 1e-4]
    # The same results ask for the same rates again: nothing is left to run.
    assert running.run(study, store, cache)["closed"] == 8
    assert len(store.attempts("rates")) == 8


def test_a_disk_that_is_full_for_a_while_costs_a_run_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fillers, told, gathered = list[Path](), list[str](), list[str]()

    def no_room(store: Store, study: str) -> int:
        gathered.append(study)
        raise StoreError("no room for a segment")

    monkeypatch.setattr(Store, "compact", no_room)

    def listen(progress: Mapping[str, Any]) -> None:
        if progress["running"] and not fillers:
            fillers.append(fill(disk))
        if progress["state"] == "running" and progress["error"] and fillers[0].exists():
            told.append(progress["error"])
            fillers[0].unlink()

    with small_disk(tmp_path / "disk", 16 * 2**20) as disk:
        store = Store.at(disk / "results")
        counts = running.run(replace(STUDY, name="full"), store, cache, listen)
        assert (counts["closed"], counts["failed"]) == (6, 0)
        assert (gathered, store.progress("full")["state"]) == (["full"], "finished")
        assert len(told) == 1
        assert "No space left on device" in told[0]
        attempts = store.attempts("full")
        assert set(attempts["state"]) == {"completed"}
        assert set(attempts["number"]) == {1}  # nothing was trained again
        assert store.damaged("full") == []
        assert [path for path in disk.rglob("*") if path.is_file() and path.suffix not in KINDS] == []


@pytest.fixture
def driver(tmp_path: Path, cache: Path) -> Iterator["subprocess.Popen[str]"]:
    """`whichlayers run` as a process of its own, on a study of twenty trials."""
    (tmp_path / "small.yaml").write_text(FILE)
    process = start(tmp_path, cache)
    yield process
    process.kill()
    process.wait()


def start(folder: Path, cache: Path) -> "subprocess.Popen[str]":
    """The command, with its output kept in `folder`."""
    command = [
        sys.executable,
        "-m",
        "whichlayers",
        "run",
        str(folder / "small.yaml"),
        "--store",
        str(folder / "results"),
    ]
    with (folder / f"output-{time.monotonic_ns()}").open("w") as output:
        return subprocess.Popen([*command, "--cache", str(cache)], stdout=output, stderr=subprocess.STDOUT, text=True)


def wait_for_attempts(store: Store, number: int, process: "subprocess.Popen[str]") -> None:
    """Until `number` attempts are stored; fails when the process ends before, or after ten minutes."""
    deadline = time.monotonic() + 600
    while "small" not in store.studies() or len(store.attempts("small")) < number:
        assert process.poll() is None, f"the run ended early with {process.returncode}"
        assert time.monotonic() < deadline, "no attempt was stored in time"
        time.sleep(0.1)


def test_kill_9_of_a_worker_a_daemon_and_the_driver_loses_nothing(
    tmp_path: Path, cache: Path, driver: "subprocess.Popen[str]"
) -> None:
    """A seeded handful of what `benchmarks/kills.py` does at many moments."""
    drawn, store = random.Random(0), Store.at(tmp_path / "results")

    wait_for_attempts(store, drawn.randint(1, 3), driver)
    time.sleep(drawn.uniform(0.2, 0.6))  # in the middle of a trial
    one_of(driver, "ImplicitFunc").kill()
    while not (store.attempts("small")["state"] == "error").any():
        assert driver.poll() is None, "the dead worker's attempt was not recorded"
        time.sleep(0.2)
    dead = store.attempts("small").query("state == 'error'").iloc[0]
    assert "the worker died" in dead["error"]
    while store.attempts("small").query("id == @dead.id and state == 'completed'").empty:
        assert driver.poll() is None, "the trial was not tried again"
        time.sleep(0.2)
    with pytest.raises(StoreError, match="is being run by process"):
        Lease(store.files, "small").__enter__()

    one_of(driver, "raylet").kill()
    assert driver.wait(180) == 2
    said = next(tmp_path.glob("output-*")).read_text()
    assert re.search(r"Ray's raylet died .*the same command goes on from there", said)

    second = start(tmp_path, cache)
    wait_for_attempts(store, len(store.attempts("small")) + drawn.randint(1, 3), second)
    children = psutil.Process(second.pid).children(recursive=True)
    assert len(children) > 3  # Ray's daemons and our workers
    (folder,) = folders_of(second)
    second.kill()
    second.wait()
    assert not store.progress("small")["alive"]

    third = start(tmp_path, cache)  # at once
    deadline = time.monotonic() + 60
    while (left := [line(child) for child in children if line(child)]) and time.monotonic() < deadline:
        time.sleep(0.5)  # a process that is over has no command line, whether somebody asked for its end or not
    assert left == []
    before = store.attempts("small")
    wait_for_attempts(store, len(before) + 2, third)
    assert not folder.exists()  # nor is anything of it left in the temporary folder
    (folder,) = folders_of(third)
    third.send_signal(signal.SIGINT)  # and Ctrl-C stops it cleanly
    assert third.wait(60) == 130
    assert store.progress("small")["state"] == "stopped"
    assert not folder.exists()
    with Lease(store.files, "small"):
        pass  # nobody holds it any more

    after = store.attempts("small")
    begun, still = before.set_index(["id", "number"])["started"], after.set_index(["id", "number"])["started"]
    assert (still[begun.index] == begun).all()  # nothing was run again
    completed = after[after["state"] == "completed"]
    assert completed["id"].is_unique
    assert set(completed["id"]) <= set(store.plan("small")["id"])
    undisturbed = Store.at(tmp_path / "undisturbed")
    few = FoldSettings(of=5, run=(0, 1))
    running.run(replace(config.load(tmp_path / "small.yaml"), folds=few), undisturbed, cache)
    dice, expected = (of.set_index("id")["dice"] for of in (completed, undisturbed.attempts("small")))
    both = dice.index.intersection(expected.index)
    assert len(both) > 1
    assert dice[both].tolist() == expected[both].tolist()  # to the last bit


def one_of(driver: "subprocess.Popen[str]", word: str) -> psutil.Process:
    """A process that the run has started, by a word of its command line."""
    return next(
        process
        for process in psutil.Process(driver.pid).children(recursive=True)
        if any(word in part for part in line(process)[:1])
    )


def folders_of(driver: "subprocess.Popen[str]") -> set[Path]:
    """The temporary folders of a run, by what its Ray was told."""
    told = [
        part
        for child in psutil.Process(driver.pid).children(recursive=True)
        for part in line(child)
        if part.startswith("--session-dir=")
    ]
    return {Path(part.split("=", 1)[1]).parent for part in told}


def line(process: psutil.Process) -> list[str]:
    """Command line of a process, [] where it is gone."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_trial_survives_the_way_to_a_worker() -> None:
    from dataclasses import asdict

    from tests.made import trial

    first: Trial = trial("blocks 1,9", start_weights=None)
    assert trial_of({**asdict(first), "units": list(first.units)}) == first
