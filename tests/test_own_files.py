"""No file of another machine is fetched, whatever a request says."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio import processing_utils
from starlette.types import Message, Receive, Scope, Send

from dashboard.live import program as live_program
from dashboard.own_files import REFUSAL, OwnFilesOnly
from engine.store import Store
from tests.live_server import served

KIND = {"_type": "gradio.FileData"}
HOST = "127.0.0.1:8501"


def ask(
    body: object = None, *, path: str = "/gradio_api/queue/join", method: str = "POST", chunk: int = 7, **headers: str
) -> tuple[int, list[bytes]]:
    """Status of the answer, and the bodies that reached the program behind the guard."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    reached: list[bytes] = []
    status: list[int] = []

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        read = b""
        while (message := await receive())["type"] == "http.request":
            read += message["body"]
            if not message["more_body"]:
                break
        reached.append(read)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    pieces = [content[start : start + chunk] for start in range(0, max(len(content), 1), chunk)]
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": place < len(pieces) - 1}
        for place, piece in enumerate(pieces)
    ]

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        status.append(message.get("status", 0))

    named = {
        "host": HOST,
        "content-type": "application/json",
        **{key.replace("_", "-"): headers[key] for key in headers},
    }
    scope: Scope = {
        "type": "http", "method": method, "path": path,
        "headers": [(key.encode(), value.encode()) for key, value in named.items()],
    }  # fmt: skip
    asyncio.run(OwnFilesOnly(behind)(scope, receive, send))
    return status[0], reached


@pytest.mark.parametrize(
    "file",
    [
        {"path": "https://images.example.org/a.png", "meta": KIND},
        {"path": "HTTP://images.example.org/a.png"},
        {"path": " ftp://images.example.org/a.png"},
        {"path": f"http://{HOST}/a.png"},  # no page sends one: a path lies on this machine
        {"path": "/tmp/a.png", "url": "http://images.example.org/a.png"},
        {"path": "/tmp/a.png", "url": f"ftp://{HOST}/a.png"},
        {"path": "/tmp/a.png", "url": "http://[broken/a.png"},
        [{"value": [{"deep": {"path": "http://images.example.org/a.png"}}]}],
    ],
)
def test_a_file_of_another_machine_is_refused_before_gradio_sees_it(file: Any) -> None:
    assert ask({"data": ["study", "trial", file]}) == (400, [])
    assert ask(json.dumps({"data": [file]}).encode("utf-16")) == (400, [])


@pytest.mark.parametrize("scheme", ["http://", "https:/", "FTP://"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_address_in_the_way_to_a_file_is_refused(scheme: str, method: str) -> None:
    for name in ("file", "proxy"):
        asked = f"/layers/inference/gradio_api/{name}={scheme}images.example.org/a.png"
        assert ask(b"", path=asked, method=method) == (400, [])


@pytest.mark.parametrize("name", ["process_recording", "vibe-edit/", "undo-vibe-edit", "deep_link", "runs"])
def test_what_our_page_does_not_ask_of_gradio_is_not_served(name: str) -> None:
    for method in ("GET", "POST"):
        assert ask(b"{}", path=f"/layers/inference/gradio_api/{name}", method=method) == (404, [])
    assert ask(b"", path="/layers/inference/monitoring/summary", method="GET") == (404, [])


def test_what_a_page_sends_passes_whole() -> None:
    own = {"path": "/tmp/a.png", "url": f"http://{HOST}/inference/gradio_api/file=/tmp/a.png", "meta": KIND}
    body = {"data": ["study", "trial", own], "session_hash": "x" * 5000}
    assert ask(body) == (200, [json.dumps(body).encode()])
    assert ask({"data": [None], "note": "http://images.example.org"})[0] == 200
    assert ask(b"no JSON")[0] == 200
    assert ask(b"bytes of a file", path="/gradio_api/upload", content_type="multipart/form-data; boundary=x")[0] == 200


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A frame as the Live program keeps it."""
    folder = tmp_path / "live"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    frame = folder / "0123" / "frame.png"
    frame.parent.mkdir(parents=True)
    frame.write_bytes(b"pixels")
    (tmp_path / "secret").write_text("of the server")
    return frame


def test_files_that_are_kept_are_handed_out_and_nothing_else(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, secret = kept.parent.parent, kept.parent.parent.parent / "secret"
    (kept.parent / "link.png").symlink_to(secret)
    (folder / "linked").symlink_to(secret.parent)
    (folder / "loose.png").write_bytes(b"an upload that comes just now")
    monkeypatch.chdir(folder)

    def get(path: object) -> int:
        return ask(b"", path=f"/layers/inference/gradio_api/{path}", method="GET")[0]

    assert get(f"file={kept}") == 200
    assert get(f"file/{kept}") == 200
    refused = [
        secret, "/etc/passwd", f"{kept.parent}/../../secret", f"{kept.parent}/link.png", f"{folder}/linked/secret",
        folder, kept.parent, folder / "loose.png", "0123/frame.png", "", "/", f"{kept}\0", f" {kept}", f"/{kept}x",
        f"{kept.parent}/{'x' * 5000}", "~/secret", "..", "\\secret", f"{kept.parent}/..%2f..%2fsecret",
    ]  # fmt: skip
    assert [(path, get(f"file{sign}{path}")) for sign in "=/" for path in refused] == [
        (path, 404) for _ in "=/" for path in refused
    ]


def test_behind_a_proxy_the_page_knows_the_server_by_another_name() -> None:
    body = {"path": "/tmp/a.png", "url": "https://lab.example.org/layers/inference/gradio_api/file=/tmp/a.png"}
    assert ask(body)[0] == 400
    assert ask(body, x_forwarded_host="lab.example.org")[0] == 200
    assert ask(body, origin="https://lab.example.org")[0] == 200


@pytest.fixture
def outside() -> Iterator[tuple[str, list[str]]]:
    """Address of a server that stands for another machine, and what was asked of it."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/frame.png", asked
        server.shutdown()
        thread.join()


def test_a_real_server_refuses_and_asks_nothing(outside: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = outside
    file = {"path": address, "url": address, "meta": KIND}
    with served(tmp_path / "store", tmp_path / "cache") as server, httpx.Client(base_url=server.address) as client:
        answers = [
            client.post("/gradio_api/call/predict", json={"data": ["s", "t", file]}),
            client.post("/gradio_api/call/v2/predict", json={"frame": file}),
            client.post("/gradio_api/run/predict", json={"data": ["s", "t", file], "fn_index": 0}),
            client.post("/gradio_api/queue/join", json={"data": ["s", "t", file], "session_hash": "x"}),
            client.get(f"/gradio_api/file={address}"),
            client.get(f"/gradio_api/proxy={address}"),
        ]
    assert [(answer.status_code, answer.text) for answer in answers] == [(400, REFUSAL)] * len(answers)
    assert asked == []
    assert httpx.get(address).status_code == 200
    assert asked == ["/frame.png"]  # it would have heard


def test_without_the_guard_gradio_would_fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fetched: list[str] = []

    async def fetch(url: str, cache_dir: str) -> str:
        fetched.append(url)
        raise OSError("made")

    monkeypatch.setattr(processing_utils, "async_ssrf_protected_download", fetch)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    body = {"data": ["s", "t", {"path": "https://images.example.org/a.png", "meta": KIND}, None]}

    async def post(guarded: bool) -> int:
        program = live_program.build(str(Store.at(tmp_path).files.root), tmp_path)
        if not guarded:
            program.user_middleware.clear()
        async with program.router.lifespan_context(program):
            transport = httpx.ASGITransport(program, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return (await client.post("/gradio_api/run/predict", json=body)).status_code

    assert asyncio.run(post(guarded=True)) == 400
    assert fetched == []
    assert asyncio.run(post(guarded=False)) == 500
    assert fetched == ["https://images.example.org/a.png"]
