"""Who may speak to the server: the names under which it is reached, and its own pages where something is changed.

A page of another site can make a visitor's browser send requests here, and a name of another site can be pointed at
this machine (DNS rebinding). Both are refused before any program behind sees them; programs that are no browsers name
no origin and pass.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

Message = MutableMapping[str, Any]
Program = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
SAFE = ("GET", "HEAD", "OPTIONS")
POLICY_VIOLATION = 1008


class OwnPagesOnly:
    """The ASGI program behind it, for requests to `names` and from pages of this server alone."""

    def __init__(self, program: Program, names: Collection[str] = ()) -> None:
        self._program = program
        self._names = frozenset(name.lower().rstrip(".") for name in (*names, socket.gethostname()))

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answers 403 with the reason (a websocket is closed) where a request is refused."""
        problem = self._problem(scope) if scope["type"] in ("http", "websocket") else ""
        if not problem:
            await self._program(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse(problem + "\n", 403)(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "another page"})

    def _problem(self, scope: Message) -> str:
        headers = Headers(scope=scope)
        name = host_name(headers.get("host", ""))
        if not is_known(name, self._names):
            return f"This server is not called '{name}'. If it should be: whichlayers serve --allowed-host {name}"
        if scope["type"] == "websocket" and not is_own_origin(headers):
            return "This request comes from another page."
        if scope["type"] == "http" and scope["method"] not in SAFE and not is_own(headers):
            return "This request comes from another page."
        return ""


def host_name(host: str) -> str:
    """The name in a Host header, without its port: `us.example`, `127.0.0.1`, `::1`; "" where there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_known(name: str, names: Collection[str]) -> bool:
    """Whether the server may be reached under `name`: an address, which none can point elsewhere, or one of `names`."""
    if name == "localhost" or name.endswith(".localhost") or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_own(headers: Headers) -> bool:
    """Whether a request that changes something comes from a page of this server.

    Browsers say it themselves; older ones, and those that speak plain HTTP to another machine, name the page's host.
    """
    site = headers.get("sec-fetch-site")
    return is_own_origin(headers) if site is None else site == "same-origin"


def is_own_origin(headers: Headers) -> bool:
    """Whether the origin that a browser names is this host. No browser, no origin: True."""
    origin = headers.get("origin")
    if origin is None:
        return True
    named = [headers.get(name, "").split(",")[0].strip().lower() for name in ("host", "x-forwarded-host")]
    return urlsplit(origin).netloc.lower() in [host for host in named if host]
