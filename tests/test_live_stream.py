"""The camera's route: what waits for its turn, and how many may."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from dashboard.inference.worker import InferenceWorker
from dashboard.live import stream
from dashboard.live.likeness import Likeness
from dashboard.live.stream import LARGEST_FRAME_BYTES, Streams


def program(worker: InferenceWorker) -> TestClient:
    return TestClient(Starlette(routes=[WebSocketRoute("/stream", Streams(worker, Likeness(worker)).answer)]))


def test_a_frame_that_is_too_large_is_a_mistake_and_the_next_is_asked_about(tmp_path: Path) -> None:
    with InferenceWorker(str(tmp_path)) as worker:
        page = program(worker)
        with page.websocket_connect("/stream") as socket:
            socket.send_bytes(bytes(4 * LARGEST_FRAME_BYTES))
            assert b"A frame of more than 8 MB; at most 8 MB are answered: send a smaller one" in socket.receive_bytes()
            socket.send_bytes(bytes(10))
            assert b"o trial chosen; choose one above" in socket.receive_bytes()
        assert worker.process_id is None


def test_too_many_cameras_are_told_so_until_one_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STREAMS", 2)
    with InferenceWorker(str(tmp_path)) as worker:
        page = program(worker)
        with page.websocket_connect("/stream") as first:
            with page.websocket_connect("/stream"):
                with page.websocket_connect("/stream") as refused, pytest.raises(WebSocketDisconnect) as why:
                    refused.receive_bytes()
                assert why.value.code == 1013
                assert why.value.reason == "2 cameras are open on this server; try again when one is closed."
            with page.websocket_connect("/stream") as third:
                for socket in (first, third):
                    socket.send_bytes(bytes(10))
                    assert b"o trial chosen" in socket.receive_bytes()
