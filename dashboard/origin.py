"""Who may speak to the server: the names under which it is reached, and its own pages alone.

A page of another site can make a visitor's browser send requests here, ask to read what is answered (CORS, which the
programs behind would allow), show our pages in a frame of its own, and a name of another site can be pointed at this
machine (DNS rebinding). All is refused before any program behind sees it; a link leads here, and programs that are no
browsers pass: neither names an origin.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

Message = MutableMapping[str, Any]
Program = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
SAFE = ("GET", "HEAD", "OPTIONS")
SAME = "same-origin"
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
            await self._program(scope, receive, _unframed(send) if scope["type"] == "http" else send)
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
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and site != SAME and not is_own_origin(origin, headers, self._names):
            page = host_name(origin.partition("://")[2])
            return f"This request comes from another page. If '{page}' is this server's name: --allowed-host {page}"
        changes = scope["type"] == "http" and scope["method"] not in SAFE
        return "This request comes from another page." if changes and site not in (None, SAME) else ""


def _unframed(send: Callable[[Message], Awaitable[None]]) -> Callable[[Message], Awaitable[None]]:
    """Other sites cannot show what is sent in a frame, under a visitor's pointer (clickjacking)."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("content-security-policy", "frame-ancestors 'self'")
        await send(message)

    return sent


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


def is_own_origin(origin: str, headers: Headers, names: Collection[str]) -> bool:
    """Whether the origin that a browser names is the host that it asked, by what a proxy says only one of `names`."""
    try:
        page = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    forwarded = headers.get("x-forwarded-host", "").split(",")[0].strip().lower()
    known = [headers.get("host", "").strip().lower(), *([forwarded] if host_name(forwarded) in names else [])]
    return bool(page) and page in known
