"""Storage that refuses for a while, two runs at once, and Ray's daemons that are gone."""

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks import kills
from engine.errors import StoreError
from engine.progress import Progress
from engine.search.daemons import Daemons
from engine.search.starting import RayError
from engine.search.storing import keep, keep_best_fold
from engine.store import Lease, Store
from engine.trial import Attempt
from tests.made import attempt, trial
from tests.made_commands import MADE, here
from tests.small_disk import fill, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Two megabytes."""
    with small_disk(tmp_path / "disk", 2 * 2**20) as place:
        yield place


def files_of(disk: Path) -> set[str]:
    """Names of everything on the disk, hidden files too."""
    return {path.name for path in disk.rglob("*") if path.is_file()}


def finished(number: int = 0) -> Attempt:
    return attempt(trial("whole network", seed=number))


def test_what_does_not_fit_on_a_full_disk_is_told_in_one_line_and_nothing_of_it_is_read(disk: Path) -> None:
    store = Store.at(disk / "results")
    store.begin("s", "name: s")
    store.append("s", finished(0))
    before = store.attempts("s")
    filler = fill(disk)
    files = files_of(disk)
    with pytest.raises(StoreError, match=r"cannot be written \(.*No space left.*\); put it right or choose another"):
        store.append("s", finished(1), weights=b"0" * 10_000)
    with pytest.raises(StoreError, match="No space left"):
        store.write_plan("s", [trial()], {})
    assert files_of(disk) == files  # nothing half written, under any name
    assert store.attempts("s").equals(before)
    assert store.damaged("s") == []
    assert store.has_weights("s") == set()
    filler.unlink()
    store.append("s", finished(1), weights=b"0" * 10_000)
    assert len(store.attempts("s")) == 2
    assert store.has_weights("s") == {finished(1).trial.id}


def test_a_worker_holds_on_to_what_it_trained_until_there_is_room_again(disk: Path) -> None:
    store, told = Store.at(disk / "results"), list[str]()
    store.begin("s", "name: s")
    filler = fill(disk)

    def make_room(problem: str) -> None:
        told.append(problem)
        if len(told) == 2:
            filler.unlink()

    keep(store, "s", finished(), b"0" * 10_000, make_room, wait_seconds=60.0, pause_seconds=0.01)
    assert len(told) == 2
    assert all("No space left on device" in problem and "\n" not in problem for problem in told)
    assert list(store.attempts("s")["state"]) == ["completed"]
    assert store.has_weights("s") == {finished().trial.id}


def test_a_store_that_stays_full_is_reported_once_the_time_is_over(disk: Path) -> None:
    store, told = Store.at(disk / "results"), list[str]()
    store.begin("s", "name: s")
    fill(disk)
    with pytest.raises(StoreError, match="No space left"):
        keep(store, "s", finished(), b"0" * 10_000, told.append, wait_seconds=0.05, pause_seconds=0.01)
    assert told
    assert store.attempts("s").empty


def test_what_is_told_of_a_full_store_stands_until_a_trial_is_over() -> None:
    told = list[str]()
    progress = Progress(listen=lambda now: told.append(f"{now['state']}: {now['error']}"))
    progress.begin([trial()], set())
    progress.wait("no room")
    progress.epoch(trial(), 1, 0.5)
    progress.end(trial(), "completed")
    assert told == ["running: ", "running: no room", "running: no room", "running: "]


def test_a_run_on_a_full_disk_is_refused_in_one_line_and_goes_once_there_is_room(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(MADE + "strategies: contracting\n")
    (disk / "results").mkdir()
    filler = fill(disk)
    said = here("run", "s.yaml", "--cache", "cache", "--store", str(disk / "results"), folder=tmp_path)
    assert said.returncode == 2
    (line,) = said.stderr.splitlines()
    assert "cannot be written" in line
    assert "No space left on device" in line
    filler.unlink()
    assert Store.at(disk / "results").studies() == []
    with Lease(Store.at(disk / "results").files, "s"):
        pass


def test_a_second_run_of_a_study_says_so_and_offers_to_wait_or_watch(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(MADE + "strategies: contracting\nname: s\n")
    store = Store.at(tmp_path / "results")
    with Lease(store.files, "s"):
        said = here("run", "s.yaml", "--cache", "cache", folder=tmp_path)
    assert said.returncode == 2
    (line,) = said.stderr.splitlines()
    assert line.startswith("study 's' is being run by process ")
    assert "--wait" in line
    assert "whichlayers watch s" in line
    assert store.studies() == []


def test_a_run_that_waits_begins_once_the_other_is_over(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(MADE + "strategies: contracting\nname: s\nresources: {gpu: 99}\n")
    lease = Lease(Store.at(tmp_path / "results").files, "s")
    lease.__enter__()
    over = threading.Timer(0.5, lambda: lease.__exit__(None, None, None))
    over.start()
    said = here("run", "s.yaml", "--cache", "cache", "--wait", folder=tmp_path)
    over.join()
    assert said.stderr.splitlines()[0] == "s: another run is at work; this one waits for it"
    assert "99 GPUs per trial asked for" in said.stderr.splitlines()[-1]  # it has begun


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[psutil.Process]:
    """A child of this process that has the name of one of Ray's."""
    program = tmp_path / "raylet"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as child:
        yield psutil.Process(child.pid)
        child.kill()


def test_a_run_whose_daemon_is_gone_ends_in_one_line(daemon: psutil.Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.search.daemons.LOOK_SECONDS", 0.0)
    daemons = Daemons()
    daemons.require()
    daemon.kill()
    while daemon.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    with pytest.raises(RayError, match=r"Ray's raylet died .*the same command goes on from there"):
        daemons.require()


def test_moments_of_kills_are_counted_by_victim_and_studies_held_against_the_undisturbed_one() -> None:
    moment = {"moment": 0, "victim": "driver", "trained": True, "over": 0.4, "gone": 2.0, "after": "", "first": 9.0}
    study = {
        "kills": ["driver", "driver"], "planned": 9, "closed": 8, "twice": 1, "other": 2, "foreign": 0, "damaged": 0,
        "left": ["ray::X"], "after": "driver", "first": 12.0, "ray_bytes_left": 0,
    }  # fmt: skip
    victims, studies = kills.tables([moment, {**moment, "moment": 1, "trained": False, "left": ["raylet"]}, study])
    (row,) = victims.to_dict("records")
    assert (row["killed"], row["moments"], row["before the first trial"], row["left after 60 s"]) == ("driver", 2, 1, 1)
    assert row["next run's first trial, s"] == "12 (12 to 12)"
    (whole,) = studies.to_dict("records")
    assert (whole["kills in them"], whole["trials closed"], whole["closed twice"]) == (2, "8 of 9", 1)
    assert (whole["with other numbers"], whole["processes left"]) == (2, 1)
    assert kills.as_markdown(studies).count("\n") == 2


def test_of_each_cell_the_best_fold_by_validation_keeps_its_tensors(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    trials = [trial(name, fold=fold) for name in ("whole network", "block 9") for fold in (0, 1, 2)]
    store.begin("s", "name: s")
    store.write_plan("s", trials, {})
    reached = {("whole network", 0): 0.7, ("whole network", 1): 0.9, ("whole network", 2): 0.8, ("block 9", 0): 0.2,
               ("block 9", 1): 0.1, ("block 9", 2): 0.2}  # fmt: skip
    for one in trials:
        score = reached[one.strategy, one.fold]
        store.append("s", attempt(one, dice=1 - score, validation_dice=score), weights=b"0")  # test Dice has no say
        keep_best_fold(store, "s", one)
    kept = {(one.strategy, one.fold) for one in trials if one.id in store.has_weights("s")}
    assert kept == {("whole network", 1), ("block 9", 0)}
    assert len(store.attempts("s")) == len(trials)


def test_a_fold_that_failed_is_not_the_best(tmp_path: Path) -> None:
    store, (first, second) = Store.at(tmp_path), [trial("block 9", fold=fold) for fold in (0, 1)]
    store.write_plan("s", [first, second], {})
    store.append("s", attempt(first, validation_dice=0.9, state="not_converged"), weights=b"0")
    store.append("s", attempt(second, validation_dice=0.5), weights=b"0")
    assert keep_best_fold(store, "s", second) == []
    assert store.has_weights("s") == {first.id, second.id}
