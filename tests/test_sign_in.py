"""Sign-in covers all that the server has: pages, their websocket, the Gradio program and its files, the reader page."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from dashboard.sign_in.settings import write_password
from tests.reverse_proxy import nginx, proxied
from tests.served import served

PASSWORD = "three layers of frozen peas"
EVERYTHING = [
    "", "results", "_stcore/host-config", "_stcore/health", "_stcore/metrics", "static/index.html", "media/x.png",
    "inference/", "inference/config", "inference/gradio_api/info", "inference/gradio_api/file=/etc/passwd",
    "inference/gradio_api/queue/data?session_hash=x", "inference/gradio_api/call/predict/x",
    "inference/gradio_api/heartbeat/x", "inference/theme.css", "inference/assets/x.js", "inference/static/x.png",
    "reader/", "reader/page.js", "reader/api/demo", "thumbnails/x/0.jpg", "exports/x", "metrics", "healthz/",
    "readyz/x", "nonsense", "%2e%2e/healthz/..%2fmetrics", "sign-in/../metrics", "//metrics", "favicon.png",
]  # fmt: skip
POSTED = [
    "inference/gradio_api/upload", "inference/gradio_api/queue/join", "inference/gradio_api/call/predict",
    "inference/gradio_api/run/predict", "inference/frame", "inference/login",
    "reader/api/demo/begin", "_stcore/upload_file/a/b",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Locked:
    """A server that wants the password."""

    url: str
    settings: Path

    @property
    def path(self) -> str:
        return urlsplit(self.url).path


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("locked")
    settings = folder / "sign-in.yaml"
    write_password(settings, PASSWORD)
    with served(folder / "results", folder, prefix="/layers/", sign_in=settings) as url:
        yield Locked(url=url, settings=settings)


@pytest.fixture
def stranger(locked: Locked) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=locked.url, timeout=30) as client:
        yield client


@pytest.fixture
def known(locked: Locked) -> Iterator[httpx.Client]:
    """A browser that has signed in by the page."""
    with httpx.Client(base_url=locked.url, timeout=30) as client:
        assert client.post("sign-in", data={"password": PASSWORD}).status_code == 303
        yield client


def stream(locked: Locked, path: str = "_stcore/stream", **options: Any) -> ClientConnection:
    return connect(locked.url.replace("http://", "ws://") + path, subprotocols=["streamlit"], **options)


def until_closed(stream: ClientConnection) -> None:
    """Raises ConnectionClosed once it is."""
    while True:
        stream.recv(timeout=60)


@pytest.mark.parametrize("path", EVERYTHING)
def test_nothing_is_told_before_somebody_signed_in(stranger: httpx.Client, path: str) -> None:
    told = stranger.get(path)
    assert told.status_code == 401
    assert told.headers["www-authenticate"] == 'Bearer realm="WhichLayers"'
    assert stranger.head(path).status_code == 401


@pytest.mark.parametrize("path", POSTED)
def test_nothing_is_taken_before_somebody_signed_in(stranger: httpx.Client, path: str) -> None:
    assert stranger.post(path, content=b"x" * 1000).status_code == 401


@pytest.mark.parametrize("path", ["_stcore/stream", "inference/gradio_api/stream", "healthz", "sign-in"])
def test_no_websocket_opens_before_somebody_signed_in(locked: Locked, path: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        stream(locked, path)
    assert caught.value.response.status_code == 403


def test_only_the_health_checks_are_open_and_say_nothing_else(stranger: httpx.Client) -> None:
    assert (stranger.get("healthz").status_code, stranger.get("healthz").text) == (200, '"ok"')
    assert stranger.get("readyz").json() == {"store": True, "inference": True}


def test_a_browser_is_led_to_the_page_and_back_to_what_it_asked_for(locked: Locked, stranger: httpx.Client) -> None:
    told = stranger.get("images?study=demo&x=%2F", headers={"accept": "text/html"})
    assert told.status_code == 303
    page = stranger.get(httpx.URL(locked.url).join(told.headers["location"]))
    assert page.status_code == 200
    assert 'type="password"' in page.text
    assert 'value="/layers/images?study=demo&amp;x=%2F"' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    back = stranger.post("sign-in", data={"password": PASSWORD, "to": "/layers/images?study=demo"})
    assert back.headers["location"] == "/layers/images?study=demo"
    kept = back.headers["set-cookie"]
    assert "HttpOnly" in kept
    assert "Path=/layers" in kept
    assert "SameSite=lax" in kept
    assert "Secure" not in kept


@pytest.mark.parametrize(
    "to",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/layers/\\x", "/elsewhere", "javascript:alert(1)",
     "/layers/sign-out", "/layers/\r\nX: y"],
)  # fmt: skip
def test_a_link_to_the_page_leads_nowhere_else(stranger: httpx.Client, to: str) -> None:
    assert stranger.post("sign-in", data={"password": PASSWORD, "to": to}).headers["location"] == "/layers/"


def test_https_at_the_proxy_makes_the_cookie_secure(stranger: httpx.Client) -> None:
    told = stranger.post("sign-in", data={"password": PASSWORD}, headers={"x-forwarded-proto": "https"})
    assert "Secure" in told.headers["set-cookie"]


def test_somebody_who_signed_in_has_everything(locked: Locked, known: httpx.Client) -> None:
    assert "<title>Streamlit</title>" in known.get("").text
    assert "gradio" in known.get("inference/").text.lower()
    assert known.get("reader/").status_code == 200
    assert "whichlayers_sessions" in known.get("metrics").text
    files = known.post("inference/gradio_api/upload", files={"files": ("a.png", b"content")})
    assert known.get(f"inference/gradio_api/file={files.json()[0]}").content == b"content"
    with stream(locked, additional_headers={"Cookie": f"whichlayers={known.cookies['whichlayers']}"}) as open_stream:
        assert open_stream.subprotocol == "streamlit"


def test_signing_out_ends_the_cookie_and_what_is_open_with_it(locked: Locked, known: httpx.Client) -> None:
    cookie = known.cookies["whichlayers"]
    assert "Sign out" in known.get("sign-out").text
    with stream(locked, additional_headers={"Cookie": f"whichlayers={cookie}"}) as open_stream:
        told = known.post("sign-out")
        assert told.headers["location"] == "/layers/sign-in"
        with pytest.raises(ConnectionClosed):
            until_closed(open_stream)
        assert open_stream.close_code == 1008
    stolen = {"Cookie": f"whichlayers={cookie}"}
    assert httpx.get(locked.url, headers=stolen).status_code == 401
    assert "whichlayers" not in known.cookies


def test_another_page_cannot_sign_anybody_in_or_out(known: httpx.Client) -> None:
    other = {"origin": "http://evil.example"}
    assert known.post("sign-out", headers=other).status_code == 403
    assert known.post("sign-in", data={"password": PASSWORD}, headers=other).status_code == 403
    assert known.get("metrics").status_code == 200


@pytest.mark.parametrize("cookie", ["", "x", "WyJhIiwicGFzc3dvcmQiXQ.aaaa.bbbb", '"quoted"', "a; whichlayers=b"])
def test_a_made_cookie_opens_nothing(locked: Locked, cookie: str) -> None:
    assert httpx.get(locked.url, headers={"Cookie": f"whichlayers={cookie}"}).status_code == 401


def test_programs_send_the_password_with_each_request(locked: Locked, stranger: httpx.Client) -> None:
    assert stranger.get("metrics", headers={"Authorization": f"Bearer {PASSWORD}"}).status_code == 200
    assert stranger.get("metrics", auth=("prometheus", PASSWORD)).status_code == 200
    assert stranger.get("metrics", headers={"Authorization": "Basic %%%"}).status_code == 401
    assert "set-cookie" not in stranger.get("metrics", auth=("anybody", PASSWORD)).headers
    named = base64.b64encode(f"anybody:{PASSWORD}".encode()).decode()
    with stream(locked, additional_headers={"Authorization": f"Basic {named}"}) as open_stream:
        assert open_stream.subprotocol == "streamlit"


@pytest.mark.filterwarnings("ignore")
def test_gradios_client_sends_it_too(locked: Locked) -> None:
    from gradio_client import Client

    with pytest.raises(Exception, match="Please login"):
        Client(f"{locked.url}inference/", verbose=False)
    client = Client(f"{locked.url}inference/", headers={"Authorization": f"Bearer {PASSWORD}"}, verbose=False)
    told = client.predict(None, None, None, None, api_name="/predict")
    assert "frame" in json.dumps(told).lower()


def test_a_body_for_the_page_is_small(stranger: httpx.Client) -> None:
    assert stranger.post("sign-in", data={"password": "x" * 20_000}).status_code == 413


@pytest.fixture
def proxy(locked: Locked, tmp_path: Path) -> Iterator[str]:
    """Address of the same server behind nginx, set up as docs/server.md says."""
    nginx()
    with proxied(locked.url, tmp_path) as url:
        yield url


def test_behind_nginx_nobody_comes_in_but_who_signed_in(proxy: str) -> None:
    with httpx.Client(base_url=proxy, timeout=30) as web:
        ours = [path for path in EVERYTHING if ".." not in path]  # nginx leaves its location with the others
        assert [web.get(path).status_code for path in ours] == [401] * len(ours)
        assert [web.post(path, content=b"x" * 1000).status_code for path in POSTED] == [401] * len(POSTED)
        with pytest.raises(InvalidStatus, match="403"):
            connect(proxy.replace("http://", "ws://") + "_stcore/stream", subprotocols=["streamlit"])

        led = web.get("images", headers={"accept": "text/html"})
        assert web.get(httpx.URL(proxy).join(led.headers["location"])).status_code == 200
        origin = {"origin": proxy.removesuffix("/layers/")}
        back = web.post("sign-in", data={"password": PASSWORD, "to": "/layers/images"}, headers=origin)
        assert (back.status_code, back.headers["location"]) == (303, "/layers/images")

        assert "<title>Streamlit</title>" in web.get("").text
        assert web.get("reader/").status_code == 200
        files = web.post("inference/gradio_api/upload", files={"files": ("a.png", b"content")})
        assert web.get(f"inference/gradio_api/file={files.json()[0]}").content == b"content"
        cookie = {"Cookie": f"whichlayers={web.cookies['whichlayers']}"}
        address = proxy.replace("http://", "ws://") + "_stcore/stream"
        with connect(address, subprotocols=["streamlit"], additional_headers=cookie) as open_stream:
            assert web.post("sign-out", headers=origin).headers["location"] == "/layers/sign-in"
            with pytest.raises(ConnectionClosed):
                until_closed(open_stream)


def test_behind_nginx_attempts_are_counted_by_who_makes_them(proxy: str) -> None:
    def attempt(address: str, said: str = "") -> int:
        """Status of a wrong password from that address, which says to come from another."""
        with httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=30) as web:
            headers = {"x-forwarded-for": said} if said else {}
            return web.post(f"{proxy}sign-in", data={"password": "wrong"}, headers=headers).status_code

    assert [attempt("127.0.0.2", f"10.0.0.{number}") for number in range(6)] == [401] * 5 + [429]
    assert attempt("127.0.0.3") == 401
