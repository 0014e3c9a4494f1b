"""A store in a bucket, through a real S3-protocol server: commits, the mirror, commands and pages."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from engine import steering
from engine.errors import StoreError
from engine.store import Store, s3
from engine.studies import contents, delete, pack, rename, study_rows
from tests.bucket_store.made import begin, bucket
from tests.made import attempt, trial
from tests.made_store import made_store
from whichlayers.cli import app

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
pytestmark = pytest.mark.filterwarnings("default")  # the server's own warnings are not ours to fix


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
