"""Results in, results out; whole, whatever runs or dies beside it."""

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import fs

from engine.errors import StoreError
from engine.store import Files, Lease, Store, closed_ids, latest
from tests.made import attempt, trial


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store on a local folder."""
    return Store.at(tmp_path)


def begin(store: Store, study: str = "s") -> None:
    """A study with two planned trials."""
    store.begin(study, "name: s")
    store.write_plan(study, [trial(fold=0), trial(fold=1)], {"question": "?"})


def test_a_study_comes_back_as_it_was_written(store: Store) -> None:
    begin(store)
    assert store.studies() == ["s"]
    assert store.study_text("s") == "name: s"
    assert store.facts("s") == {"question": "?"}
    plan = store.plan("s")
    assert list(plan["id"]) == [trial(fold=0).id, trial(fold=1).id]
    assert list(plan["fold"]) == [0, 1]
    assert list(plan["units"].iloc[0]) == list(trial().units)


def test_an_attempt_comes_back_as_it_was_written(store: Store) -> None:
    written = attempt(trial("block 9"), dice=0.75)
    store.append("s", written, weights=b"tensors")
    row = store.attempts("s").iloc[0]
    assert (row["id"], row["strategy"], row["dice"], row["state"]) == (written.trial.id, "block 9", 0.75, "completed")
    assert list(store.epochs("s")["validation_loss"]) == [epoch.validation_loss for epoch in written.epochs]
    images = store.test_images("s", [written.trial.id], masks=True)
    assert [bytes(mask) for mask in images["predicted_mask"]] == [image.predicted_mask for image in written.test_images]
    assert "predicted_mask" not in store.test_images("s")
    assert store.trained_weights("s", written.trial.id).read_bytes() == b"tensors"
    assert store.has_weights("s") == {written.trial.id}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=6, unique_by=lambda row: row[0]))
def test_compaction_changes_nothing_that_is_read(tmp_path: Path, rows: list[tuple[int, float]]) -> None:
    store = Store.at(tmp_path / str(time.monotonic_ns()))
    for fold, dice in rows:
        store.append("s", attempt(trial(fold=fold), dice=dice))
    before = store.attempts("s"), store.epochs("s"), store.test_images("s", masks=True)
    assert store.compact("s", least=1) == len(rows)
    after = store.attempts("s"), store.epochs("s"), store.test_images("s", masks=True)
    for first, second in zip(before, after, strict=True):
        keys = [name for name in ("id", "number", "epoch", "index") if name in first]
        pd.testing.assert_frame_equal(
            first.sort_values(keys, ignore_index=True), second.sort_values(keys, ignore_index=True)
        )


def test_a_compaction_that_was_killed_leaves_no_doubles(store: Store) -> None:
    kept = attempt(trial())
    store.append("s", kept)
    loose = store.files.read(f"s/attempts/{kept.trial.id}.1.parquet")
    assert loose is not None
    store.compact("s", least=1)
    store.files.write(f"s/attempts/{kept.trial.id}.1.parquet", loose)  # as if it died before deleting
    assert len(store.attempts("s")) == 1
    assert len(store.epochs("s")) == len(kept.epochs)


def test_small_numbers_of_attempts_stay_loose(store: Store) -> None:
    store.append("s", attempt(trial()))
    assert store.compact("s") == 0


def test_half_a_file_is_never_seen(store: Store) -> None:
    begin(store)
    store.append("s", attempt(trial()))
    folder = Path(store.files.root) / "s" / "attempts"
    (folder / ".half.parquet.0123").write_bytes(b"PAR1 and then the power went")
    assert len(store.attempts("s")) == 1


def test_two_readers_beside_a_writer_that_compacts_see_only_whole_attempts(store: Store) -> None:
    begin(store)
    counts: dict[str, list[int]] = {"first": [], "second": []}
    errors: list[BaseException] = []
    done = threading.Event()

    def read(seen: list[int]) -> None:
        own = Store.at(store.files.root)
        try:
            while not done.is_set():
                rows = own.attempts("s")
                assert len(own.epochs("s")) >= 3 * len(rows)
                seen.append(len(rows))
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read, args=(seen,)) for seen in counts.values()]
    for reader in readers:
        reader.start()
    for number in range(60):
        store.append("s", attempt(trial(seed=number)))
        if number % 20 == 19:
            store.compact("s", least=1)
    done.set()
    for reader in readers:
        reader.join()
    assert not errors
    assert all(seen == sorted(seen) and seen for seen in counts.values())
    assert len(store.attempts("s")) == 60


def test_the_closed_attempt_is_the_latest_and_crashes_do_not_close() -> None:
    rows = [
        {"id": "a", "number": 1, "state": "error"},
        {"id": "a", "number": 2, "state": "completed"},
        {"id": "b", "number": 1, "state": "error"},
        {"id": "b", "number": 2, "state": "error"},
        {"id": "c", "number": 1, "state": "not_converged"},
        {"id": "d", "number": 1, "state": "cancelled"},
    ]
    frame = pd.DataFrame(rows)
    assert closed_ids(frame) == {"a", "c"}
    assert latest(frame)[["id", "number"]].to_numpy().tolist() == [["a", 2], ["b", 2], ["c", 1], ["d", 1]]


def test_attempts_are_numbered_on(store: Store) -> None:
    assert store.next_number("s", trial().id) == 1
    store.append("s", attempt(trial(), number=1, state="error"))
    store.compact("s", least=1)
    assert store.next_number("s", trial().id) == 2


def test_the_same_store_works_on_a_remote_file_system_through_a_mirror(tmp_path: Path) -> None:
    memory = fs.PyFileSystem(fs.FSSpecHandler(MemoryFileSystem()))
    store = Store(Files("/bucket/results", memory, cache=tmp_path))
    begin(store)
    store.append("s", attempt(trial()), weights=b"w")
    assert store.studies() == ["s"]
    assert len(store.attempts("s")) == 1
    assert store.trained_weights("s", trial().id).read_bytes() == b"w"
    store.compact("s", least=1)
    assert len(store.attempts("s")) == 1
    with pytest.raises(StoreError, match="local folder"):
        Lease(store.files, "s")


def test_a_second_run_of_a_study_is_refused_while_the_first_lives(store: Store) -> None:
    with Lease(store.files, "s"), pytest.raises(StoreError, match=f"run by process {os.getpid()}"):
        Lease(store.files, "s").__enter__()
    with Lease(store.files, "s"):
        assert store.progress("s")["alive"]
    assert not store.progress("s")["alive"]


def _hold(root: str, held: "multiprocessing.synchronize.Event") -> None:
    with Lease(Files(root), "s"):
        held.set()
        signal.pause()


def test_the_lease_of_a_killed_run_is_taken_over(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=_hold, args=(store.files.root, held))
    process.start()
    assert held.wait(60)
    with pytest.raises(StoreError, match=f"process {process.pid}"):
        Lease(store.files, "s").__enter__()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with Lease(store.files, "s"):
        pass


def test_the_lease_of_a_process_whose_number_was_used_again_is_taken_over(store: Store) -> None:
    path = Path(store.files.root) / "s" / "lease.json"
    path.parent.mkdir()
    with Lease(store.files, "t"):
        mine = json.loads((Path(store.files.root) / "t" / "lease.json").read_text())
    path.write_text(json.dumps({**mine, "born": mine["born"] - 1000}))
    with Lease(store.files, "s"):
        pass


def test_what_is_not_there_is_said_in_one_line(store: Store) -> None:
    begin(store)
    with pytest.raises(StoreError, match=r"no study 'x' in .*; there: s"):
        store.study_text("x")
    with pytest.raises(StoreError, match="run the study again"):
        store.trained_weights("s", "0" * 64)
    assert store.facts("x") == {}
    assert store.plan("x").empty
    assert store.attempts("x").empty


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        Store.at(tmp_path / "file").begin("s", "name: s")


def test_a_study_can_be_deleted_but_not_under_a_run(store: Store) -> None:
    begin(store)
    with Lease(store.files, "s"), pytest.raises(StoreError, match="is being run"):
        store.delete_study("s")
    store.delete_study("s")
    assert store.studies() == []
