"""Other sites' pages, and other sites' names for this machine, are refused; our own pages and programs are not."""

import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from dashboard.origin import OwnPagesOnly, host_name, is_known


def asked(kind: str, method: str = "GET", **headers: str) -> list[Any]:
    """What is sent back for a request with these headers; the program behind answers `["passed"]`."""
    told: list[Any] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        told.append("passed")

    async def receive() -> dict[str, str]:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        told.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "method": method, "headers": named}
    asyncio.run(OwnPagesOnly(behind, ["us.example"])(scope, receive, send))
    return told


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8501", "localhost", "[::1]:8501", "us.example", "US.example.:443", "10.1.2.3"]
)
def test_addresses_and_known_names_pass(host: str) -> None:
    assert asked("http", host=host) == ["passed"]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[", "127.0.0.1.evil.example:8501"])
def test_a_name_that_another_site_points_here_is_refused_with_the_remedy(host: str) -> None:
    start, body = asked("http", host=host)
    assert start["status"] == 403
    assert b"--allowed-host" in body["body"]


def test_what_changes_something_must_come_from_our_own_page() -> None:
    own, other = "http://127.0.0.1:8501", "http://evil.example"
    assert asked("http", "POST", host="127.0.0.1:8501", origin=own) == ["passed"]
    assert asked("http", "POST", host="127.0.0.1:8501", origin=own, sec_fetch_site="same-origin") == ["passed"]
    assert asked("http", "POST", host="127.0.0.1:8501") == ["passed"], "a program that is no browser"
    assert asked("http", "POST", host="127.0.0.1:8501", origin=other)[0]["status"] == 403
    assert asked("http", "POST", host="127.0.0.1:8501", sec_fetch_site="cross-site")[0]["status"] == 403
    assert asked("http", "POST", host="127.0.0.1:8501", origin=own, sec_fetch_site="same-site")[0]["status"] == 403
    assert asked("http", "GET", host="127.0.0.1:8501", sec_fetch_site="cross-site") == ["passed"], "a link leads here"
    assert asked("http", "DELETE", host="127.0.0.1:8501", origin="http://127.0.0.1:9999")[0]["status"] == 403


def test_another_page_may_not_ask_to_read_and_what_it_says_of_a_proxy_is_not_believed() -> None:
    lan, other = "192.168.1.5:8501", "http://evil.example"
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        assert asked("http", method, host=lan, origin=f"http://{lan}") == ["passed"]
        for origin in (other, "null", "http://[", "http://192.168.1.5:9999", ""):
            assert asked("http", method, host=lan, origin=origin)[0]["status"] == 403
        assert asked("http", method, host=lan, origin=other, x_forwarded_host="evil.example")[0]["status"] == 403
        named = {"host": "127.0.0.1:8501", "x_forwarded_host": "us.example", "origin": "https://us.example"}
        assert asked("http", method, **named) == ["passed"]
    assert asked("http", "GET", host="x.localhost:8501", origin=other)[0]["status"] == 403
    _, body = asked("http", "GET", host=lan, origin="https://new.example")
    assert b"--allowed-host new.example" in body["body"]


def test_what_is_sent_cannot_be_framed_by_another_site() -> None:
    told: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": "http", "method": "GET", "headers": [(b"host", b"localhost")]}
    asyncio.run(OwnPagesOnly(PlainTextResponse("page"))(scope, receive, send))
    assert (b"content-security-policy", b"frame-ancestors 'self'") in told[0]["headers"]
    told.clear()
    own = PlainTextResponse("page", headers={"content-security-policy": "default-src 'none'; frame-ancestors 'none'"})
    asyncio.run(OwnPagesOnly(own)(scope, receive, send))
    assert [value for name, value in told[0]["headers"] if name == b"content-security-policy"] == [
        b"default-src 'none'; frame-ancestors 'none'"
    ]


def test_a_websocket_of_another_page_is_closed_before_it_is_open() -> None:
    assert asked("websocket", host="127.0.0.1:8501", origin="http://127.0.0.1:8501") == ["passed"]
    closed = asked("websocket", host="127.0.0.1:8501", origin="http://evil.example")
    assert closed == [{"type": "websocket.close", "code": 1008, "reason": "another page"}]
    assert asked("websocket", host="evil.example", origin="http://evil.example") != ["passed"]
    through_proxy = {"host": "127.0.0.1:8501", "x_forwarded_host": "us.example", "origin": "https://us.example"}
    assert asked("websocket", **through_proxy) == ["passed"]


def test_names_are_read_without_port_and_brackets() -> None:
    assert [host_name(host) for host in ("a.b:1", "[::1]:2", "A.", "[")] == ["a.b", "::1", "a", ""]
    assert not is_known("", ())
