"""The whole server behind a real nginx at a path prefix, as it is left on: all of it works, nothing else is served."""

import asyncio
import hashlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image
from websockets.sync.client import ClientConnection, connect

from benchmarks.malformed import bombs
from benchmarks.streamlit_client import session
from dashboard.health import is_healthy
from dashboard.watching import READY_SECONDS
from tests.reverse_proxy import nginx, proxied
from tests.trained_store import STUDY, TrainedStore, disc, make_trained_store, png


@dataclass(frozen=True, kw_only=True)
class Behind:
    """A server behind nginx."""

    url: str
    """Of the start page, through nginx."""
    own: str
    """The same, not through it."""
    process: "subprocess.Popen[str]"
    trained: TrainedStore
    folder: Path
    """Of store and cache; a file `secret` lies there."""


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    nginx()
    folder = tmp_path_factory.mktemp("behind")
    (folder / "secret").write_text("of the server")
    (folder / "proxy").mkdir()
    trained = make_trained_store(folder / "results")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("STREAMLIT", "GRADIO"))}
    command = ["serve", "--port", str(_free_port()), "--prefix", "/layers", "--log", "json"]
    places = ["--store", str(folder / "results"), "--cache", str(folder / "cache")]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "whichlayers", *command, *places],
            env={**environment, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=log, text=True,
        ) as process,
    ):  # fmt: skip
        try:
            assert process.stdout is not None
            own = process.stdout.readline().removeprefix("WhichLayers: ").strip()
            assert own, (folder / "log").read_text()
            with proxied(own, folder / "proxy") as url:
                yield Behind(url=url, own=own, process=process, trained=trained, folder=folder)
        finally:
            process.kill()


@pytest.fixture
def web(behind: Behind) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=behind.url, timeout=60) as client:
        yield client


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def upload(web: httpx.Client, content: bytes, name: str = "frame.png") -> dict[str, Any]:
    told = web.post("inference/gradio_api/upload", files={"files": (name, content)})
    told.raise_for_status()
    return {"path": told.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}


def by_queue(web: httpx.Client, trained: TrainedStore, frame: dict[str, Any], number: str) -> list[Any]:
    """Outputs of `predict` as the page asks for them: joined the queue, and heard of by its stream of events."""
    web.get("inference/")  # starts the queue
    names = [one.get("api_name") for one in web.get("inference/config").json()["dependencies"]]
    asked = {
        "data": [STUDY, trained.bright.id, frame, None],
        "fn_index": names.index("predict"),
        "session_hash": number,
    }
    web.post("inference/gradio_api/queue/join", json=asked).raise_for_status()
    with web.stream("GET", "inference/gradio_api/queue/data", params={"session_hash": number}) as events:
        for line in events.iter_lines():
            if line.startswith("data: "):
                said = json.loads(line.removeprefix("data: "))
                if said["msg"] == "process_completed":
                    assert said["success"], said
                    outputs: list[Any] = said["output"]["data"]
                    return outputs
    raise AssertionError("the stream ended before the answer")


def test_pages_health_and_figures_stand_under_the_prefix(behind: Behind, web: httpx.Client) -> None:
    assert web.get("healthz").text == '"ok"'
    assert web.get("readyz").json() == {"store": True, "inference": True}
    assert "<title>Streamlit</title>" in web.get("").text
    reader = web.get("reader/")
    assert reader.status_code == 200
    assert web.get("reader/page.js").headers["content-type"].startswith("text/javascript")
    port = urlsplit(behind.url).port
    assert f":{port}/layers/inference" in web.get("inference/").text  # Gradio's own requests go through the proxy too
    assert is_healthy("127.0.0.1", int(port or 0), "/layers")
    assert not is_healthy("127.0.0.1", int(port or 0), "/elsewhere")


def test_a_page_is_drawn_over_the_websocket_and_takes_a_file_within_its_limit(behind: Behind) -> None:
    async def look() -> tuple[list[str], int, int]:
        async with session(behind.url) as looking:
            drawn = await looking.draw("studies")
            return drawn.errors, drawn.elements, await looking.upload(b"x" * 1000)

    errors, elements, taken = asyncio.run(look())
    assert errors == []
    assert elements > 5
    assert taken == 204
    assert _claim(behind.url, "_stcore/upload_file/a/b", 202 * 2**20, "PUT") == 413


def test_the_queue_answers_a_frame(behind: Behind, web: httpx.Client) -> None:
    outlined, text, _, _ = by_queue(web, behind.trained, upload(web, png(disc())), "one")
    assert "pixels" in text
    assert urlsplit(outlined["url"]).port == urlsplit(behind.url).port
    assert Image.open(io.BytesIO(httpx.get(outlined["url"]).content)).size == (128, 96)


def test_four_users_with_the_same_frame_at_once_get_whole_answers(behind: Behind) -> None:
    content = png(disc(480, 640, radius=150))

    def user(number: int) -> list[np.ndarray]:
        with httpx.Client(base_url=behind.url, timeout=120) as web:
            seen = []
            for round_ in range(3):
                outlined = by_queue(web, behind.trained, upload(web, content), f"user{number}-{round_}")[0]
                seen.append(np.asarray(Image.open(io.BytesIO(web.get(outlined["url"]).content))))
            return seen

    with ThreadPoolExecutor(4) as pool:
        seen = [pixels for pictures in pool.map(user, range(4)) for pixels in pictures]
    assert len(seen) == 12
    for pixels in seen:
        np.testing.assert_array_equal(pixels, seen[0])


def test_figures_tell_trials_latency_and_sessions(behind: Behind, web: httpx.Client) -> None:
    by_queue(web, behind.trained, upload(web, png(disc())), "measured")
    with connect(behind.url.replace("http", "ws") + "_stcore/stream", subprotocols=["streamlit"]):
        told = web.get("metrics")
        assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
        figures = dict(line.rsplit(" ", 1) for line in told.text.splitlines() if not line.startswith("#"))
        assert figures[f'whichlayers_trials{{state="completed",study="{STUDY}"}}'] == "3.0"
        assert figures[f'whichlayers_trials{{state="waiting",study="{STUDY}"}}'] == "0.0"
        assert figures[f'whichlayers_study_running{{study="{STUDY}"}}'] == "0.0"
        assert float(figures["whichlayers_inference_seconds_count"]) >= 1
        assert float(figures["whichlayers_sessions"]) >= 1
        assert float(figures['whichlayers_websockets{part="pages"}']) >= 1
        assert figures["whichlayers_inference_waiting"] == "0.0"
        assert figures["whichlayers_inference_refused_total"] == "0.0"
        assert float(figures["process_resident_memory_bytes"]) > 1e7


def test_the_inference_process_is_looked_after_by_the_readiness(behind: Behind, web: httpx.Client) -> None:
    by_queue(web, behind.trained, upload(web, png(disc())), "ready")
    children = psutil.Process(behind.process.pid).children()
    worker = next(one for one in children if "dashboard.inference.process" in " ".join(one.cmdline()))
    assert web.get("readyz").status_code == 200
    worker.kill()
    while worker.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)
    time.sleep(READY_SECONDS)  # what was found stands so long
    told = web.get("readyz")
    assert (told.status_code, told.json()) == (503, {"store": True, "inference": False})
    by_queue(web, behind.trained, upload(web, png(disc())), "ready again")
    time.sleep(READY_SECONDS)
    assert web.get("readyz").status_code == 200


@pytest.mark.parametrize(
    "way", ["inference/gradio_api/file=", "inference/gradio_api/file/", "inference/gradio_api/proxy="]
)
def test_no_file_but_a_frame_of_ones_own_is_handed_out(behind: Behind, web: httpx.Client, way: str) -> None:
    """Also without nginx, which puts some paths right before they come here."""
    own = upload(web, b"own frame")["path"]
    folder, theirs = Path(own).parent.parent, Path(upload(web, b"their frame")["path"])
    guessed = folder / hashlib.sha256(b"their frame").hexdigest() / theirs.name  # by who has the frame itself
    assert guessed.parent.parent == theirs.parent.parent
    (Path(own).parent / "link").unlink(missing_ok=True)
    (Path(own).parent / "link").symlink_to(behind.folder / "secret")
    paths = [
        str(behind.folder / "secret"), "/etc/passwd", f"{own}/../../../../secret", f"{folder}/../../secret",
        str(folder), str(Path(own).parent), f"{Path(own).parent}/link", "../../secret", f"{folder}/x/../../../secret",
        str(behind.folder / "results" / STUDY / "study.yaml"), f"{own}\\0", "file:///etc/passwd", "//etc/passwd",
        "/proc/self/environ", str(guessed),
        "C:\\\\secret", "~root/.bashrc", str(Path(httpx.__file__)),
    ]  # fmt: skip
    for path in paths:
        for written in (
            path,
            quote(path),
            quote(path, safe=""),
            path.replace("..", "%2e%2e"),
            quote(quote(path, safe=""), safe=""),
        ):
            for base in (behind.url, behind.own):
                asked = httpx.URL(base + way).copy_with(
                    raw_path=(urlsplit(base).path + way + quote(written, safe="%/=~:\\")).encode()
                )
                told = web.get(asked)
                assert told.status_code in (400, 403, 404, 405), (path, written, told.status_code)
                assert "of the server" not in told.text
                assert "root:" not in told.text


@pytest.mark.parametrize("way", ["inference/static/", "inference/assets/", "inference/svelte/", "reader/", "static/",
                                 "inference/gradio_api/custom_component/x/client/component/", "thumbnails/", "media/",
                                 "inference/gradio_api/stream/a/b/c/", "app/static/", "component/x/",
                                 "exports/"])  # fmt: skip
def test_no_other_way_leads_to_a_file_of_the_server(behind: Behind, web: httpx.Client, way: str) -> None:
    for path in ("../" * 12 + "etc/passwd", "..%2f" * 12 + "etc%2fpasswd", "%2e%2e/" * 12 + "etc/passwd",
                 "/etc/passwd", "%2fetc%2fpasswd", "..%5c" * 12 + "etc%5cpasswd"):  # fmt: skip
        for base in (behind.url, behind.own):
            asked = httpx.URL(base).copy_with(raw_path=(urlsplit(base).path + way + path).encode())
            assert "root:" not in web.get(asked).text


def test_the_name_of_an_upload_has_no_say_where_it_lies(behind: Behind, web: httpx.Client) -> None:
    for name in (
        "../../../../escape.png",
        "/tmp/escape.png",
        "..\\..\\escape.png",
        "x" * 300 + ".png",
        "",
        ".",
        "a\0b.png",
    ):
        told = web.post("inference/gradio_api/upload", files={"files": (name or " ", b"content")})
        if told.status_code == 200:
            path = Path(told.json()[0])
            assert path.parent.parent.parent == behind.folder / "cache" / "live"
        else:
            assert told.status_code in (400, 500), name
    found = [path for path in behind.folder.rglob("*escape*") if path.parents[2] != behind.folder / "cache" / "live"]
    assert found == []
    assert not Path("/tmp/escape.png").exists()


def test_frames_that_claim_too_much_are_a_line_and_end_nothing(behind: Behind, web: httpx.Client) -> None:
    by_queue(web, behind.trained, upload(web, png(disc())), "before")
    children = {one.pid for one in psutil.Process(behind.process.pid).children()}
    # What an AVI claims is not believed: its frame is as small as it is.
    pictures = {name: made for name, made in bombs().items() if "AVI" not in name}
    for number, (name, made) in enumerate(pictures.items()):
        outlined, text, _, _ = by_queue(web, behind.trained, upload(web, made(), "frame"), f"bomb{number}")
        assert outlined is None, name
        assert 'role="alert"' in text, name
        assert "Traceback" not in text, name
    assert {one.pid for one in psutil.Process(behind.process.pid).children()} == children


def test_a_page_among_the_uploads_is_not_shown_as_one(web: httpx.Client) -> None:
    for name in ("evil.html", "evil.svg", "evil.js", "evil.xml"):
        told = web.get(f"inference/gradio_api/file={upload(web, b'<script>alert(1)</script>', name)['path']}")
        assert told.headers["content-disposition"].startswith("attachment")
        assert told.headers["content-type"].startswith("application/octet-stream")


def test_bodies_beyond_their_limit_are_refused_before_they_are_read(behind: Behind) -> None:
    for way, length, status in (
        ("inference/gradio_api/upload", 300 * 2**20, 413), ("inference/gradio_api/queue/join", 9 * 2**20, 413),
        ("reader/api/x/begin", 70_000, 413), ("nonsense", 2 * 2**20, 413),
    ):  # fmt: skip
        assert _claim(behind.own, way, length) == status


def until_closed(stream: ClientConnection) -> None:
    """Raises what the stream's end is told by."""
    while True:
        stream.recv(timeout=60)


def _claim(url: str, way: str, length: int, method: str = "POST") -> int:
    """Status of the answer to a request that has only said how long its body is."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.putrequest(method, parts.path + way)
        connection.putheader("Content-Length", str(length))
        connection.putheader("Content-Type", "application/json")
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_request_is_a_line_of_json(behind: Behind, web: httpx.Client) -> None:
    web.get("reader/", params={"study": "not to be logged"})
    lines = [json.loads(line) for line in (behind.folder / "log").read_text().splitlines()]
    said = [line for line in lines if line["message"] == "GET /layers/reader/"][-1]
    assert (said["level"], said["logger"], said["status"], said["address"]) == (
        "info",
        "whichlayers.requests",
        200,
        "127.0.0.1",
    )
    assert said["milliseconds"] >= 0
    assert not any("not to be logged" in str(line) for line in lines)


def test_told_to_stop_it_tells_sessions_ends_inference_frees_the_port_and_leaves_with_zero(
    behind: Behind, web: httpx.Client
) -> None:
    by_queue(web, behind.trained, upload(web, png(disc())), "last")
    children = psutil.Process(behind.process.pid).children(recursive=True)
    assert children
    with connect(behind.own.replace("http", "ws") + "_stcore/stream", subprotocols=["streamlit"]) as looking:
        behind.process.send_signal(signal.SIGTERM)
        with pytest.raises(Exception, match="1012"):
            until_closed(looking)
    assert behind.process.wait(120) == 0
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(behind.own)
    assert list((behind.folder / "cache" / "live").rglob("*.png")) == []
