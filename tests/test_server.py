"""The server as users and reverse proxies meet it: a process of its own, spoken to over HTTP."""

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard import server
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


@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx on this machine")
def test_a_reverse_proxy_passes_pages_and_websockets(prefixed: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    backend = prefixed.split("/layers")[0]
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(f"""
pid {tmp_path}/pid; error_log {tmp_path}/error.log; daemon off; worker_processes 1;
events {{}}
http {{
  access_log off; client_body_temp_path {tmp_path}; proxy_temp_path {tmp_path}; fastcgi_temp_path {tmp_path};
  uwsgi_temp_path {tmp_path}; scgi_temp_path {tmp_path};
  server {{
    listen 127.0.0.1:{port};
    location /layers/ {{
      proxy_pass {backend};
      proxy_http_version 1.1; proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
    }}
  }}
}}
""")
    proxy = subprocess.Popen([str(shutil.which("nginx")), "-c", str(configuration), "-p", str(tmp_path)])
    try:
        base = f"http://127.0.0.1:{port}/layers/"
        for _ in range(50):
            try:
                if get(f"{base}healthz")[1] == '"ok"':
                    break
            except urllib.error.URLError:
                time.sleep(0.1)
        assert get(f"{base}healthz") == (200, '"ok"')
        body = get(f"{base}inference/")[1]
        assert f":{port}/layers/inference" in body  # Gradio's own requests go through the proxy too
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            raw.sendall(
                f"GET /layers/_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nOrigin: http://127.0.0.1:{port}\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            assert b" 101 " in raw.recv(200)
    finally:
        proxy.terminate()
        proxy.wait(10)


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


def test_an_address_that_others_reach_brings_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "create", lambda *arguments: None)
    monkeypatch.setattr(server.uvicorn.Server, "run", lambda self, sockets: [one.close() for one in sockets])
    server.serve(host="127.0.0.1", port=0)
    assert "warning" not in capsys.readouterr().err
    server.serve(host="0.0.0.0", port=0)
    assert "no sign-in" in capsys.readouterr().err


def test_nothing_is_told_to_others_and_nothing_is_watched() -> None:
    assert server.OPTIONS["browser.gatherUsageStats"] is False
    assert server.OPTIONS["server.fileWatcherType"] == "none"
    assert server.OPTIONS["server.enableAgentApi"] is False
