"""Results in, results out; whole, whatever runs or dies beside it."""

import dataclasses
import errno
import fcntl
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import fs

from engine.errors import StoreError
from engine.store import Files, Lease, Store, closed_ids, is_running, latest
from engine.store.store import ATTEMPT_SCHEMA, arrow_fields
from engine.trial import Attempt, State, Trial
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
    with pytest.raises(StoreError, match=r"'\.\./x' cannot be a name"):
        store.files.local_path("../x")
    store.begin("mistake", "name: mistake")
    store.forget("mistake")
    assert store.files.names() == [("s", True)]


def test_a_store_at_an_address_is_read_through_a_mirror_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    named, unnamed = (
        Store.at("fsspec+memory://one/results", tmp_path / "named"),
        Store.at("fsspec+memory://two/results"),
    )
    for store in (named, unnamed):
        store.append("s", attempt(trial()), weights=b"w")
        assert len(store.attempts("s")) == 1
        assert store.trained_weights("s", trial().id).read_bytes() == b"w"
        assert not store.progress("s")["alive"]
    assert unnamed.trained_weights("s", trial().id).is_relative_to(tmp_path / "home" / "whichlayers" / "mirror")
    assert named.trained_weights("s", trial().id).is_relative_to(tmp_path / "named")
    other = Store.at("fsspec+memory://two/other")
    with pytest.raises(StoreError, match="not in the store"):  # the mirror of another address is not asked
        other.trained_weights("s", trial().id)


def test_an_address_of_no_known_kind_is_refused() -> None:
    with pytest.raises(StoreError, match=r"^foo://bucket cannot be opened \(.*\); choose another --store[^\n]*$"):
        Store.at("foo://bucket")


def test_a_second_run_of_a_study_is_refused_while_the_first_lives(store: Store) -> None:
    with Lease(store.files, "s"), pytest.raises(StoreError, match=f"run by process {os.getpid()}"):
        Lease(store.files, "s").__enter__()
    with Lease(store.files, "s"):
        assert store.progress("s")["alive"]
    assert not store.progress("s")["alive"]


def _hold(root: str, held: "Connection") -> None:
    with Lease(Files(root), "s"):
        heir = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
        held.send(heir.pid)
        signal.pause()


def test_the_lease_of_a_killed_run_is_free_although_its_subprocess_lives_on(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_hold, args=(store.files.root, sender))
    process.start()
    assert receiver.poll(60)
    heir = psutil.Process(receiver.recv())
    try:
        assert is_running(store.files, "s")
        with pytest.raises(StoreError, match=f"run by process {process.pid} on {socket.gethostname()}; wait for it"):
            Lease(store.files, "s").__enter__()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert heir.is_running()
        assert not is_running(store.files, "s")
        with Lease(store.files, "s"):
            pass
    finally:
        heir.kill()


def lease_file(store: Store) -> Path:
    """Where the lease of study s lies."""
    return Path(store.files.root) / ".leases" / "s.json"


def test_a_lease_is_held_before_its_file_says_by_whom(store: Store) -> None:
    with Lease(store.files, "s"):
        lease_file(store).write_text("")
        with pytest.raises(StoreError, match="is being run by another process; wait for it"):
            Lease(store.files, "s").__enter__()
        assert is_running(store.files, "s")


def test_of_many_runs_that_start_at_once_one_at_a_time_holds_the_lease(store: Store) -> None:
    inside: list[int] = []
    most: list[int] = []
    start = threading.Barrier(8)

    def run(number: int) -> None:
        start.wait()
        for _ in range(5):
            with suppress(StoreError), Lease(store.files, "s"):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.002)
                inside.remove(number)

    runs = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert most
    assert max(most) == 1


def test_the_file_of_a_lease_stays_the_same_file(store: Store) -> None:
    with Lease(store.files, "s"):
        first = lease_file(store).stat().st_ino
        assert set(json.loads(lease_file(store).read_text())) == {"process", "host", "since"}
    with Lease(store.files, "s"):
        assert lease_file(store).stat().st_ino == first


def test_a_lease_outlives_the_folder_of_its_study(store: Store) -> None:
    begin(store)
    with Lease(store.files, "s"):
        shutil.rmtree(Path(store.files.root) / "s")
        with pytest.raises(StoreError, match="is being run"):
            Lease(store.files, "s").__enter__()


def test_a_page_that_asks_at_that_moment_does_not_keep_a_run_from_starting(store: Store) -> None:
    with Lease(store.files, "s"):
        pass
    asking = os.open(lease_file(store), os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH | fcntl.LOCK_NB)  # as is_running does, for as long as this
    timer = threading.Timer(0.1, os.close, (asking,))
    timer.start()
    with Lease(store.files, "s"):
        pass
    timer.join()


def test_asking_for_a_run_makes_no_file(tmp_path: Path) -> None:
    assert not is_running(Files(tmp_path / "results"), "s")
    assert list(tmp_path.iterdir()) == []


def test_where_the_file_system_has_no_locks_no_run_starts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match=r"^.* cannot be locked \(.*No locks available\); .*choose another --store$"):
        Lease(store.files, "s").__enter__()
    assert not store.progress("s")["alive"]


def test_what_is_not_there_is_said_in_one_line(store: Store) -> None:
    begin(store)
    with pytest.raises(StoreError, match=r"no study 'x' in .*; there: s"):
        store.study_text("x")
    with pytest.raises(StoreError, match="run the study again"):
        store.trained_weights("s", "0" * 64)
    assert store.facts("x") == {}
    assert store.plan("x").empty
    assert store.attempts("x").empty


OUTSIDE = ["", ".", "..", "/absent-outside", "../x", "s/../../x", "s//x", "s/", "./s"]
METHODS = ["read", "names", "delete", "delete_empty", "local_path", "write", "lease", "forget"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("method", METHODS)
def test_a_name_that_could_lead_out_of_the_store_is_refused(tmp_path: Path, method: str, name: str) -> None:
    store = Store.at(tmp_path / "results" / "inner")
    store.files.write("s/x", b"kept")
    (tmp_path / "x").write_text("kept")
    calls: dict[str, Callable[[], object]] = {
        "write": lambda: store.files.write(name, b""),
        "lease": lambda: Lease(store.files, name),
        "forget": lambda: store.forget(name),
    }
    with pytest.raises(StoreError, match=r"^'.*' cannot be a name in .*; expected [^\n]*$"):
        calls.get(method, lambda: getattr(store.files, method)(name))()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inner", "results", "s", "x", "x"]


def test_a_study_that_was_begun_by_mistake_is_forgotten(store: Store) -> None:
    with Lease(store.files, "s"):
        store.begin("s", "name: s")
        store.write_progress("s", {"state": "failed"})
        store.forget("s")
        assert is_running(store.files, "s")
    assert store.studies() == []
    assert not (Path(store.files.root) / "s").exists()
    store.forget("s")  # nothing happens where there is nothing


@pytest.mark.parametrize("alien", ["notes.txt", ".hidden", "scans/first.png"])
def test_forgetting_a_study_leaves_the_files_of_others(store: Store, alien: str) -> None:
    store.begin("s", "name: s")
    path = Path(store.files.root) / "s" / alien
    path.parent.mkdir(exist_ok=True)
    path.write_text("not ours")
    store.forget("s")
    assert path.read_text() == "not ours"
    assert store.studies() == []


def test_a_store_that_cannot_be_used_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked, free = Store.at(tmp_path / "file"), Store.at(tmp_path)
    free.files.write("folder/x", b"")
    calls: dict[str, Callable[[], object]] = {
        "written": lambda: blocked.begin("s", "name: s"),
        "listed": blocked.studies,
        "read": lambda: blocked.plan("s"),
        "read ": lambda: blocked.progress("s"),
        "read  ": lambda: is_running(blocked.files, "s"),
        "deleted": lambda: blocked.files.delete("x"),
        "deleted ": lambda: free.files.delete("folder"),
        "deleted  ": lambda: free.files.delete_empty("file"),
        "made": Lease(blocked.files, "s").__enter__,
    }
    for done, call in calls.items():
        with pytest.raises(StoreError, match=rf"^.* cannot be {done.strip()} \(.*\); [^\n]*choose another --store$"):
            call()


def test_a_full_disk_is_said_and_leaves_no_half_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.begin("s", "name: s")
    assert list((Path(store.files.root) / "s").iterdir()) == []
    with pytest.raises(StoreError, match="No space left on device"):
        Lease(store.files, "s").__enter__()
    assert not is_running(store.files, "s")


def test_no_results_have_the_columns_and_kinds_of_results(store: Store) -> None:
    full = attempt(trial(), cut_at=3, false_positive_rate=0.5)
    store.append("some", full)
    readers: list[Callable[[str], pd.DataFrame]] = [
        store.attempts,
        store.epochs,
        lambda study: store.test_images(study, masks=True),
    ]
    for reader in readers:
        pd.testing.assert_series_equal(reader("none").dtypes, reader("some").dtypes)
        assert len(reader("some"))
    for frame in (store.epochs("some", []), store.epochs("some", ["0" * 64])):
        pd.testing.assert_series_equal(frame.dtypes, store.epochs("some").dtypes)


def test_every_field_of_an_attempt_has_a_column() -> None:
    names = {field.name for field in dataclasses.fields(Attempt)} - {"trial"}
    assert names | {field.name for field in dataclasses.fields(Trial)} | {"id"} == set(ATTEMPT_SCHEMA.names)


def test_a_measure_of_a_kind_without_column_is_not_dropped_in_silence() -> None:
    kinds = [float | None, Literal["x", "y"] | None, State, tuple[str, ...], int]
    known = dataclasses.make_dataclass("Known", [(f"field_{place}", kind) for place, kind in enumerate(kinds)])
    expected = [pa.float64(), pa.string(), pa.string(), pa.list_(pa.string()), pa.int64()]
    assert [field.type for field in arrow_fields(known)] == expected
    for kind in (dict[str, float], float | int, complex, None):
        record = dataclasses.make_dataclass("Measured", [("curve", kind)])
        with pytest.raises(TypeError, match=r"Measured\.curve is .*no column for"):
            arrow_fields(record)
        assert arrow_fields(record, leave_out=("curve",)) == []


def narrowed(table: pa.Table) -> pa.Table:
    """The attempts of `table` as a version wrote them that knew fewer measures."""
    rows = table.to_pylist()
    for row in rows:
        for image in row["test_images"]:
            del image["iou"]
    images = [field for field in ATTEMPT_SCHEMA.field("test_images").type.value_type if field.name != "iou"]
    kinds = {"test_images": pa.list_(pa.struct(images))}
    left_out = ("iou", "false_positive_rate", "normal_images", "cut_at", "frozen_hash_after")
    schema = pa.schema(
        [field.with_type(kinds.get(field.name, field.type)) for field in ATTEMPT_SCHEMA if field.name not in left_out]
    )
    return pa.Table.from_pylist(rows, schema)


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("newer", [False, True])
def test_attempts_of_an_older_version_are_read_with_nothing_where_it_had_no_column(
    store: Store, compacted: bool, newer: bool
) -> None:
    for fold in (0, 1):
        store.append("s", attempt(trial(fold=fold), dice=0.5, false_positive_rate=0.25))
    for fold in (0,) if newer else (0, 1):
        path = Path(store.files.root) / "s" / "attempts" / f"{trial(fold=fold).id}.1.parquet"
        pq.write_table(narrowed(pq.read_table(path)), path)
    if compacted:
        assert store.compact("s", least=1) == 2
    rows = store.attempts("s").set_index("fold")
    assert list(rows["dice"]) == [0.5, 0.5]
    missing = rows[["iou", "false_positive_rate", "normal_images", "frozen_hash_after"]].isna().all(axis=1)
    assert missing.sort_index().tolist() == [True, not newer]
    assert rows["false_positive_rate"].dropna().tolist() == [0.25] * newer
    images = store.test_images("s")
    assert images["iou"].notna().sum() == 4 * newer
    assert images["dice"].tolist() == [0.5] * 8
    assert store.next_number("s", trial(fold=0).id) == 2
