"""Files that a session has made: sent by parts, under an address that goes with the session."""

import gc
import os
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboard import exports
from dashboard.exports import Export


def test_a_file_is_had_by_its_address_whole_or_in_part() -> None:
    client = TestClient(Starlette(routes=exports.routes("/layers")))
    export, other = Export("study.zip"), Export("study.zip")
    export.file.write_bytes(b"0123456789")
    assert export.address.startswith("/layers/exports/")
    answer = client.get(export.address)
    assert (answer.status_code, answer.content) == (200, b"0123456789")
    assert answer.headers["content-disposition"] == 'attachment; filename="study.zip"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-length"] == "10"
    rest = client.get(export.address, headers={"Range": "bytes=6-"})  # a browser that goes on where it was cut off
    assert (rest.status_code, rest.content) == (206, b"6789")
    assert client.get(other.address).status_code == 404


def test_address_and_folder_go_with_the_session_that_made_the_file() -> None:
    client = TestClient(Starlette(routes=exports.routes("")))
    session = {"export": Export("study.zip")}
    file, address = session["export"].file, session["export"].address
    file.write_bytes(b"1")
    assert client.get(address).status_code == 200
    session.clear()
    gc.collect()
    assert not file.parent.exists()
    answer = client.get(address)
    assert (answer.status_code, "make it there again" in answer.text) == (404, True)


def test_what_a_killed_server_left_is_deleted_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(tmp_path))
    left, fresh = Export("study.zip"), Export("study.zip")
    kept = fresh.file.parent.parent
    other = kept / "of another program"
    left.file.write_bytes(b"1")
    other.mkdir()
    for folder in (left.file.parent, other):
        os.utime(folder, (0, 0))
    exports.sweep()
    assert sorted(kept.iterdir()) == sorted([fresh.file.parent, other])
