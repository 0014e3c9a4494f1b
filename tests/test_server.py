"""The server as users and reverse proxies meet it: a process of its own, spoken to over HTTP."""

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dashboard import server
from dashboard.live.frame_route import LARGEST_BYTES
from dashboard.sign_in.settings import write_password
from engine.errors import WhichLayersError
from tests.served import served


def get(url: str) -> tuple[int, str]:
    """Status and body; redirects are followed."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("plain")
    with served(folder / "results that are not there", folder) as url:
        yield url


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prefixed")
    with served(folder / "results", folder, prefix="/layers/") as url:
        yield url


def test_health_is_told_by_the_body(plain: str) -> None:
    assert get(f"{plain}healthz") == (200, '"ok"')


def test_the_pages_and_the_gradio_program_share_one_port(plain: str) -> None:
    assert "<title>Streamlit</title>" in get(plain)[1]
    status, body = get(f"{plain}inference/")
    assert status == 200
    assert "gradio" in body.lower()


def test_a_frame_may_have_as_many_bytes_as_its_route_says(plain: str) -> None:
    def post(content: Any) -> tuple[int, str]:
        answer = httpx.post(f"{plain}inference/frame", params={"study": "x", "trial": "y"}, content=content, timeout=60)
        return answer.status_code, answer.json()["problem"]

    assert post(bytes(LARGEST_BYTES))[0] == 422
    for content in (bytes(LARGEST_BYTES + 1), iter([bytes(2**20)] * 33)):  # the second hides its length
        status, problem = post(content)
        assert (status, "32 MB" in problem) == (413, True)


def test_a_name_that_no_file_can_have_is_a_mistake(plain: str) -> None:
    for asked in ({"study": "\0", "trial": "y"}, {"study": "x", "trial": "\0"}, {"study": "x/\0", "trial": "best"}):
        answer = httpx.post(f"{plain}inference/frame", params=asked, content=b"x", timeout=60)
        assert (answer.status_code, list(answer.json())) == (422, ["problem"])


def test_another_sites_page_or_name_reaches_nothing(plain: str) -> None:
    port = int(plain.rsplit(":", 1)[1].strip("/"))

    def answer(host: str, origin: str, path: str, *more: str) -> bytes:
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", f"Origin: {origin}", "Connection: close", *more]
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            raw.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            return raw.recv(200).split(b"\r\n")[0]

    opening = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    stream = ("/_stcore/stream", opening.replace("Upgrade", "Connection: Upgrade\r\nUpgrade", 1))
    own = f"127.0.0.1:{port}"
    assert b" 200 " in answer(own, f"http://{own}", "/healthz")
    assert b" 403 " in answer("evil.example", "http://evil.example", "/healthz")
    assert b" 403 " in answer(own, "http://evil.example", "/inference/gradio_api/info")
    assert b" 403 " in answer(own, "http://evil.example", *stream)
    assert b" 403 " in answer("evil.example", "http://evil.example", *stream)


def test_the_settings_hold_from_any_working_directory(plain: str) -> None:
    status, body = get(f"{plain}_stcore/host-config")
    assert status == 200
    assert get(f"{plain}_stcore/health") == (200, "ok")
    assert "webhooks" not in body


def test_the_address_of_a_page_leads_to_the_start_page_that_opens_it(plain: str) -> None:
    request = urllib.request.Request(f"{plain}images?study=demo")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.url == f"{plain}?open=images&study=demo"


def test_everything_stands_under_a_path_prefix(prefixed: str) -> None:
    assert prefixed.endswith("/layers/")
    assert get(f"{prefixed}healthz") == (200, '"ok"')
    assert get(f"{prefixed}_stcore/health") == (200, "ok")
    assert "<title>Streamlit</title>" in get(prefixed)[1]
    assert "gradio" in get(f"{prefixed}inference/")[1].lower()
    with urllib.request.urlopen(f"{prefixed}images", timeout=30) as answer:
        assert answer.url == f"{prefixed}?open=images"


def test_a_health_check_of_the_wrong_path_can_fail(prefixed: str) -> None:
    assert get(prefixed.replace("/layers/", "/healthz"))[1] != '"ok"'


def test_a_taken_port_is_one_line_with_a_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            WhichLayersError, match=f"127.0.0.1:{port} cannot be used .*choose another --port"
        ) as caught:
            server.serve(port=port)
    assert len(caught.value.problems) == 1


def test_an_address_that_does_not_exist_is_said_with_a_remedy() -> None:
    with pytest.raises(WhichLayersError, match=r"--host no\.such\.host\.invalid: .*use 127\.0\.0\.1"):
        server.free_socket("no.such.host.invalid", 0)


def test_answers_in_two_parts_do_not_wait_for_each_other() -> None:
    with server.free_socket("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP  # else asyncio leaves Nagle on: 40 ms


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.1.5", False),
        ("lab", False),
    ],
)
def test_only_loopback_addresses_are_private(host: str, loopback: bool) -> None:
    assert server.is_loopback(host) is loopback


def test_an_address_that_others_reach_needs_a_sign_in_or_the_word_that_it_is_open(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(server, "create", lambda *arguments: None)
    monkeypatch.setattr(server.uvicorn.Server, "run", lambda self, sockets: [one.close() for one in sockets])
    server.serve(host="127.0.0.1", port=0)
    assert capsys.readouterr().err == ""
    with pytest.raises(WhichLayersError, match=r"--host 0\.0\.0\.0: .*--sign-in .*--open-to-everybody") as caught:
        server.serve(host="0.0.0.0", port=0)
    assert len(caught.value.problems) == 1
    server.serve(host="0.0.0.0", port=0, open_to_everybody=True)
    assert capsys.readouterr().err.startswith("open to everybody: who reaches 0.0.0.0:")
    write_password(tmp_path / "sign-in.yaml", "three layers of peas")
    server.serve(host="0.0.0.0", port=0, sign_in=tmp_path / "sign-in.yaml")
    assert capsys.readouterr().err == ""
    with pytest.raises(WhichLayersError, match=r"gone\.yaml: No such file"):
        server.serve(port=0, sign_in=tmp_path / "gone.yaml")


def test_nothing_is_told_to_others_and_nothing_is_watched() -> None:
    assert server.OPTIONS["browser.gatherUsageStats"] is False
    assert server.OPTIONS["server.fileWatcherType"] == "none"
    assert server.OPTIONS["server.enableAgentApi"] is False
