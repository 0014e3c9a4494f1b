"""Files of a store, wherever it lies: whole or not at all, under the root, and leased to one run at a time."""

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

import psutil
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow import fs

from engine.errors import StoreError
from engine.store import Files, Lease, Store, is_running
from tests.made import attempt, trial


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store on a local folder."""
    return Store.at(tmp_path)


def begin(store: Store, study: str = "s") -> None:
    """A study with two planned trials."""
    store.begin(study, "name: s")
    store.write_plan(study, [trial(fold=0), trial(fold=1)], {"question": "?"})


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


OUTSIDE = ["", ".", "..", "/absent-outside", "../x", "s/../../x", "s//x", "s/", "./s", "s\0", "s/\0/x"]
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
