"""A bucket that goes away, refuses, or answers half: waited for by runs, told of in one line."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from botocore.retries.standard import ExponentialBackoff, RetryContext

from engine.errors import StoreError
from engine.store import Store, bucket_lease, s3
from engine.store.s3 import bucket_of
from tests.bucket import BUCKET, S3Server
from tests.bucket_store.made import begin, until
from tests.made import attempt, trial

pytestmark = pytest.mark.filterwarnings("default")  # the server's own warnings are not ours to fix


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
