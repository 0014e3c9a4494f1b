"""The camera's route: what waits for its turn."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from dashboard.inference.worker import InferenceWorker
from dashboard.live.likeness import Likeness
from dashboard.live.stream import LARGEST_FRAME_BYTES, stream


def test_a_frame_that_is_too_large_is_a_mistake_and_the_next_is_asked_about(tmp_path: Path) -> None:
    with InferenceWorker(str(tmp_path)) as worker:

        async def frames(websocket: WebSocket) -> None:
            await stream(websocket, worker, Likeness(worker))

        page = TestClient(Starlette(routes=[WebSocketRoute("/stream", frames)]))
        with page.websocket_connect("/stream") as socket:
            socket.send_bytes(bytes(4 * LARGEST_FRAME_BYTES))
            assert b"A frame of more than 8 MB; at most 8 MB are answered: send a smaller one" in socket.receive_bytes()
            socket.send_bytes(bytes(10))
            assert b"o trial chosen; choose one above" in socket.receive_bytes()
        assert worker.process_id is None
