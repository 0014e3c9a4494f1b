"""A store in a bucket, through a real S3-protocol server: commits, the mirror, the lease, storage that goes away."""

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff, RetryContext
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from engine import steering
from engine.errors import StoreError
from engine.store import Lease, Store, bucket_lease, is_running, s3
from engine.store.bucket_lease import BucketLease, Holder, myself
from engine.store.s3 import Bucket, bucket_of
from engine.studies import contents, delete, pack, rename, study_rows
from tests.bucket import BUCKET, S3Server, s3_server
from tests.made import attempt, trial
from tests.made_store import made_store
from whichlayers.cli import app

APP = Path(__file__).parents[1] / "dashboard" / "app.py"
pytestmark = pytest.mark.filterwarnings("default")  # the server's own warnings are not ours to fix


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    with s3_server() as running:
        yield running


@pytest.fixture
def address(server: S3Server, request: pytest.FixtureRequest) -> str:
    """A folder of the bucket for this test alone."""
    return f"s3://{BUCKET}/{abs(hash(request.node.name))}/results"


@pytest.fixture
def store(address: str, tmp_path: Path) -> Store:
    return Store.at(address, tmp_path / "mirror")


def begin(store: Store, study: str = "s") -> None:
    """A study with two planned trials."""
    store.begin(study, f"name: {study}")
    store.write_plan(study, [trial(fold=0), trial(fold=1)], {"question": "?"})


def lease(store: Store) -> BucketLease:
    """The lease of study s, not taken yet."""
    return bucket_lease.lease_of(store.files, ".leases/s.json", "s")


def bucket(store: Store) -> Bucket:
    assert isinstance(store.files.place, Bucket)
    return store.files.place


def put_holder(store: Store, holder: Holder) -> None:
    store.files.write(".leases/s.json", holder.to_bytes())


def test_a_store_in_a_bucket_does_what_a_folder_does(store: Store, tmp_path: Path) -> None:
    begin(store)
    store.append("s", attempt(trial()), weights=b"w")
    store.append("s", attempt(trial(fold=1)))
    assert store.studies() == ["s"]
    assert list(store.plan("s")["fold"]) == [0, 1]
    assert len(store.attempts("s")) == 2
    assert len(store.test_images("s")) > 0
    assert store.has_weights("s") == {trial().id}
    assert store.trained_weights("s", trial().id).read_bytes() == b"w"
    assert store.standing("s", trial().id) == (2, "completed")
    assert store.compact("s", least=2) == 2
    assert store.files.entries("s/attempts") == []
    assert len(store.attempts("s")) == 2
    store.files.move("s/plan.parquet", "s/damaged/plan.parquet")
    assert store.plan("s").empty
    store.files.move("s/absent", "s/elsewhere")  # nothing happens
    store.files.delete("s/absent")
    store.begin("mistake", "name: mistake")
    store.forget("mistake")
    assert not store.has_study("mistake")
    (row,) = study_rows(store)
    assert row.size_bytes > 1000
    assert row.changed.startswith("20")
    assert pack(store, "s", tmp_path / "s.zip") > 1000
    assert set(contents(store, "s")) >= {"results", "weights"}
    with pytest.raises(StoreError, match="only studies in a folder can be renamed"):
        rename(store, "s", "t")
    delete(store, "s")
    assert store.studies() == []
    assert store.files.entries("s") == []


def test_one_put_a_file_and_the_row_last(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[str] = []
    write = bucket(store).write
    monkeypatch.setattr(bucket(store), "write", lambda path, content: (put.append(path), write(path, content))[1])
    requests: list[str] = []
    events: Any = bucket(store)._client.meta.events
    events.register("before-send.s3", lambda request, **_: requests.append(f"{request.method} {request.url}"))
    store.append("s", attempt(trial()), weights=b"w")
    assert [path.split("/")[-2] for path in put] == ["weights", "attempts"]
    assert [line.split()[0] for line in requests] == ["PUT", "PUT"]


def test_only_new_objects_are_fetched_and_another_that_took_a_name_is_noticed(store: Store, address: str) -> None:
    begin(store)
    store.append("s", attempt(trial()))
    read: list[str] = []
    events: Any = bucket(store)._client.meta.events
    events.register("before-send.s3", lambda request, **_: read.append(f"{request.method} {request.url}"))

    def fetched() -> int:
        return sum(line.startswith("GET") and ".parquet" in line for line in read)

    assert len(store.attempts("s")) == 1
    assert fetched() == 1
    again = Store.at(address, store.files._cache)
    again.append("s", attempt(trial(fold=1)))
    assert len(store.attempts("s")) == 2
    assert fetched() == 2  # the new one alone
    (name,) = [name for name, _ in store.files.names("s/attempts") if name.startswith(trial().id)]
    other = replace(attempt(trial()), seconds=0.125, host="another machine, with a longer name")
    delete_and_write(again, f"s/attempts/{name}", other)
    assert 0.125 in set(store.attempts("s")["seconds"])
    assert fetched() == 3


def delete_and_write(store: Store, name: str, other: Any) -> None:
    """As a study that was deleted and run again does."""
    store.files.delete(name)
    store.append("s", other)


def test_many_listed_pages_are_all_read(store: Store) -> None:
    for number in range(5):
        store.files.write(f"many/{number}", b"")
    asked: list[str] = []
    events: Any = bucket(store)._client.meta.events
    events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 2})
    events.register("before-send.s3", lambda request, **_: asked.append(request.url))
    assert [name for name, _ in store.files.names("many")] == ["0", "1", "2", "3", "4"]
    assert len(asked) == 3


def test_what_was_asked_a_moment_ago_is_not_asked_again_until_something_is_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(store)
    asked: list[str] = []
    events: Any = bucket(store)._client.meta.events
    events.register("before-send.s3", lambda request, **_: asked.append(request.method))
    for _ in range(10):
        store.facts("s")
        store.files.names("s")
        store.progress("s")
    assert len(asked) < 15  # of more than 30: a busy machine takes longer than the second that is remembered
    store.write_progress("s", {"state": "running"})
    assert store.progress("s")["state"] == "running"
    assert ("progress.json", False) in store.files.names("s")
    monkeypatch.setattr(s3, "LARGE_BYTES", 3)
    asked.clear()
    store.patient().files.write("s/large", b"large")
    assert [store.files.read("s/large") for _ in range(2)] == [b"large", b"large"]
    assert asked == ["GET", "GET"]


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


def until(happened: Any, seconds: float = 60.0) -> None:
    """Waits; fails after a minute."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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


def test_storage_that_goes_away_for_a_moment_is_waited_for_and_else_told_of(
    server: S3Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(store)
    server.stop()
    back = threading.Timer(1.0, server.start)
    try:
        with pytest.raises(StoreError, match=r"^s3://\S+ cannot be read \(Could not connect.*\); .*--store$"):
            store.study_text("s")
        back.start()
        store.patient().append("s", attempt(trial()), weights=b"w")
    finally:
        back.join()
    assert len(store.attempts("s")) == 1
    assert store.trained_weights("s", trial().id).read_bytes() == b"w"


def test_a_run_waits_long_enough_and_a_lease_no_longer_than_it_lasts() -> None:
    longest = ExponentialBackoff(random=lambda: 1.0, service_name="s3")

    def pauses(tries: int) -> float:
        contexts = [RetryContext(attempt_number=number) for number in range(1, tries)]
        return sum(longest.delay_amount(context) for context in contexts)

    assert 2 < pauses(s3.QUICK_TRIES) < 5
    assert 40 < pauses(s3.PATIENT_TRIES) < bucket_lease.EXPIRES_SECONDS - bucket_lease.BEAT_SECONDS


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


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("s3://nowhere/x", "there is no such bucket"),
        ("s3:///x", "no bucket is named"),
        ("s3://key:secret@bucket/x", "credentials have no place in --store"),
        ("s3://bucket/x?speed=9", "'speed' is not known"),
        ("s3://bucket/x?endpoint_override=%20", "check the AWS_"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_of_in_one_line(
    server: S3Server, tmp_path: Path, uri: str, words: str
) -> None:
    with pytest.raises(StoreError, match=words) as raised:
        Store.at(uri, tmp_path).studies()
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_refusals_are_told_of_in_one_line(server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(StoreError, match="no credentials: set AWS_ACCESS_KEY_ID"):
        Store.at(f"s3://{BUCKET}/x", tmp_path).studies()


def test_an_endpoint_may_stand_behind_the_address(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    found, key = bucket_of(f"s3://{BUCKET}/a/b/?endpoint_override=127.0.0.1:{server.port}&scheme=http&region=eu-west-1")
    assert key == "a/b"
    found.write("a/b/c", b"there")
    assert found.read("a/b/c") == b"there"
    assert found.read("a/b/d") is None
    assert found.entry("a/b/d") is None


def test_half_an_answer_is_no_file(server: S3Server, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append("s", attempt(trial()))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{cutting_proxy(server.port, 4000)}")
    monkeypatch.setattr(s3, "QUICK_TRIES", 1)
    cut = Store.at(store.files.root, Path(str(store.files._cache) + "-cut"))
    with pytest.raises(StoreError, match="cannot be read"):
        cut.attempts("s")
    assert [path for path in Path(str(cut.files._cache)).rglob("*") if path.suffix == ".parquet"] == []


def cutting_proxy(port: int, most: int) -> int:
    """A server in between that hangs up after `most` bytes of an answer; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            near, _ = listener.accept()
            threading.Thread(target=carry, args=(near,), daemon=True).start()

    def carry(near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", port)) as far:
            far.sendall(near.recv(2**16))
            left = most
            while left > 0 and (part := far.recv(min(left, 2**16))):
                near.sendall(part)
                left -= len(part)

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def test_the_commands_work_on_a_bucket(store: Store, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(store.files._cache))
    begin(store)
    store.append("s", attempt(trial()))
    steering.cancel(store, "s", trial(fold=1).id)
    listed = CliRunner().invoke(app, ["trials", "s", "--store", address])
    assert listed.exit_code == 0, listed.output
    assert "completed" in listed.output
    watched = CliRunner().invoke(app, ["watch", "s", "--store", address])
    assert watched.exit_code == 0, watched.output
    named = CliRunner().invoke(app, ["studies", "--store", address])
    assert "s" in named.output
    shutil.rmtree(store.files._cache or "")
    assert len(store.attempts("s")) == 1


def test_pages_and_reports_read_a_bucket(
    store: Store, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_store(
        tmp_path / "made", tmp_path / "cache", study="s", fractions=(80,), strategies=("whole network", "block 9")
    )
    for path in (tmp_path / "made").rglob("*"):
        if path.is_file():
            store.files.write(str(path.relative_to(tmp_path / "made")), path.read_bytes())
    monkeypatch.setenv("WHICHLAYERS_STORE", address)
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(tmp_path / "cache"))
    here = CliRunner().invoke(app, ["table", "s", "--store", str(tmp_path / "made")])
    there = CliRunner().invoke(app, ["table", "s"])
    assert there.exit_code == 0, there.output
    assert "block 9" in there.output
    assert there.output == here.output
    report = CliRunner().invoke(app, ["report", "s", "-o", str(tmp_path / "s.html")])
    assert report.exit_code == 0, report.output
    assert "block 9" in (tmp_path / "s.html").read_text()
    page = AppTest.from_file(str(APP), default_timeout=120)
    page.query_params["study"] = "s"
    page.run()
    assert not page.exception, page.exception
    assert not page.error, page.error
    assert "block 9" in str(page)


STUDY = """
name: away
model: {width: 2, image_size: 32}
data: {kind: simulated, images: 15}
start_weights: {images: 20, batches: 4}
strategies: [block 9]
fractions: [80]
folds: {of: 5, run: [0, 1, 2]}
training: {max_epochs: 30, batches_per_epoch: 10, patience: 30}
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_waits_for_storage_that_goes_away_for_a_while(
    server: S3Server, store: Store, address: str, tmp_path: Path
) -> None:
    (tmp_path / "away.yaml").write_text(STUDY)
    command = [sys.executable, "-m", "whichlayers", "run", str(tmp_path / "away.yaml"), "--store", address]
    command += ["--cache", str(tmp_path / "cache"), "--address", "local"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        until(lambda: "away" in store.studies() and len(store.attempts("away")) > 0, 600)
        server.stop()
        time.sleep(5)
        server.start()
        said, _ = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert "Traceback" not in said
    closed = store.attempts("away").query("state == 'completed'")
    assert sorted(closed["id"]) == sorted(store.plan("away")["id"])
