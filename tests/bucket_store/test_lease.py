"""Who may run a study whose store is in a bucket: one at a time, known by conditional writes."""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.store import Lease, Store, bucket_lease, is_running
from engine.store.bucket_lease import BucketLease, Holder, myself
from engine.store.s3 import Bucket
from tests.bucket import S3Server
from tests.bucket_store.made import until

pytestmark = pytest.mark.filterwarnings("default")  # the server's own warnings are not ours to fix


def lease(store: Store) -> BucketLease:
    """The lease of study s, not taken yet."""
    return bucket_lease.lease_of(store.files, ".leases/s.json", "s")


def put_holder(store: Store, holder: Holder) -> None:
    store.files.write(".leases/s.json", holder.to_bytes())


def test_a_second_run_is_refused_and_may_start_once_the_first_is_over(store: Store) -> None:
    with Lease(store.files, "s") as first:
        assert is_running(store.files, "s")
        with pytest.raises(StoreError, match=rf"being run by process {os.getpid()} on .*--wait, look on"):
            Lease(store.files, "s").__enter__()
        assert not first.is_lost
        first.require()
    assert not is_running(store.files, "s")
    with Lease(store.files, "s"), Lease(store.files, "other"):
        assert store.files.names() == []


HOLD = """
import sys
from pathlib import Path
from engine.store import Lease, Store
with Lease(Store.at(sys.argv[1], Path(sys.argv[2])).files, "s"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lease_of_a_killed_run_of_this_machine_is_free_at_once(store: Store, address: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, address, str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=f"run by process {process.pid} on {socket.gethostname()}"):
            Lease(store.files, "s").__enter__()
        process.kill()
        process.wait()
        assert not is_running(store.files, "s")
        with Lease(store.files, "s"):
            pass


def test_the_lease_of_a_run_elsewhere_holds_until_its_word_is_old(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_holder(store, replace(myself(), machine="another", host="gpu-7", process=1))
    with pytest.raises(StoreError, match="being run by process 1 on gpu-7, last heard of"):
        Lease(store.files, "s").__enter__()
    monkeypatch.setattr(bucket_lease, "EXPIRES_SECONDS", -1.0)
    assert not is_running(store.files, "s")
    with Lease(store.files, "s"):
        pass
    store.files.write(".leases/s.json", b"{")  # nobody knows by whom
    monkeypatch.setattr(bucket_lease, "EXPIRES_SECONDS", 60.0)
    with pytest.raises(StoreError, match="being run by another process"):
        Lease(store.files, "s").__enter__()


def test_a_lease_is_renewed_and_one_that_was_taken_over_is_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_lease, "BEAT_SECONDS", 0.05)
    held = lease(store)
    held.take()
    try:
        until(lambda: beats(store) >= 2)
        put_holder(store, replace(myself(), host="another"))
        until(lambda: bool(held.lost))
    finally:
        held.give_back()
    assert "another run took over its lease" in held.lost
    assert json.loads(store.files.read(".leases/s.json") or b"")["host"] == "another"


def beats(store: Store) -> int:
    return int(json.loads(store.files.read(".leases/s.json") or b"{}").get("beat", 0))


def test_of_many_that_begin_at_once_one_holds_the_lease(store: Store) -> None:
    held: list[BucketLease] = []
    start = threading.Barrier(6)

    def run() -> None:
        mine = lease(store)
        start.wait()
        with suppress(StoreError):
            mine.take()
            held.append(mine)

    runs = [threading.Thread(target=run) for _ in range(6)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    for one in held:
        one.give_back()
    assert len(held) == 1


def test_a_write_whose_answer_was_lost_is_known_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write_if, lost = Bucket.write_if, []

    def unheard(self: Bucket, path: str, content: bytes, version: str | None) -> str | None:
        told = write_if(self, path, content, version)
        if told is None or lost:
            return told
        lost.append(path)
        return None  # as a second try of the client sees it: somebody was faster

    monkeypatch.setattr(Bucket, "write_if", unheard)
    with Lease(store.files, "s"):
        assert is_running(store.files, "s")
    assert lost


def test_a_server_without_conditions_holds_no_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(self: Bucket, path: str, content: bytes, version: str | None) -> str:
        self.write(path, content)
        return "etag"

    monkeypatch.setattr(Bucket, "write_if", blind)
    with pytest.raises(StoreError, match="has no conditional writes"):
        Lease(store.files, "s").__enter__()


def test_a_lease_that_cannot_be_renewed_is_given_up_before_others_may_take_it(
    server: S3Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bucket_lease.LOST_SECONDS < bucket_lease.EXPIRES_SECONDS
    monkeypatch.setattr(bucket_lease, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(bucket_lease, "LOST_SECONDS", 0.2)
    held = lease(store)
    held.take()
    server.stop()
    try:
        until(lambda: bool(held.lost))
        held.give_back()
    finally:
        server.start()
    assert "could not be renewed" in held.lost
