"""Sign-in before everything that the server has: pages, their websocket, the Gradio program with its files, all of it.

One ASGI layer that lets nothing through but the health checks until somebody has shown who they are: people by the
page here, which gives them a cookie; programs by the password in each request, as `Authorization: Bearer` or `Basic`.
"""

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import logging
import math
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

from jinja2 import Environment
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.sign_in import passwords
from dashboard.sign_in.attempts import Attempts
from dashboard.sign_in.sessions import Session, Sessions
from dashboard.sign_in.settings import SignInSettings
from engine.errors import WhichLayersError

if TYPE_CHECKING:
    from dashboard.sign_in.provider import SignInAt

__all__ = ["COOKIE", "WHO", "SignIn"]

COOKIE = "whichlayers"
WHO = "whichlayers.who"
"""Key of a passed request's scope: who signed in; `password` where that is all that is known."""
LOG = logging.getLogger("whichlayers.sign_in")
OPEN = ("/healthz", "/readyz")
LARGEST_FORM = 8 * 1024
"""Bytes."""
POLICY_VIOLATION = 1008
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'self'; base-uri 'none'",
    "Referrer-Policy": "same-origin",  # `no-referrer` would make browsers hide the origin of the form, too
    "X-Content-Type-Options": "nosniff",
}
_PAGE = Environment(autoescape=True).from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


class SignIn:
    """The ASGI program behind it, for those who signed in alone. `prefix` is the path that the server has, or ""."""

    def __init__(self, program: ASGIApp, settings: SignInSettings, prefix: str = "") -> None:
        self._program, self._settings, self._prefix = program, settings, prefix
        self._sessions = Sessions(settings.hours * 3600)
        self._attempts = Attempts()
        self._guessing = asyncio.Lock()
        self._key = secrets.token_bytes(32)
        self._right: bytes | None = None
        self._provider = _provider(settings)
        self._pages = Starlette(
            routes=[
                Route(f"{prefix}/sign-in", self._show),
                Route(f"{prefix}/sign-in", self._take, methods=["POST"]),
                Route(f"{prefix}/sign-in/provider", self._leave),
                Route(f"{prefix}/sign-in/back", self._back),
                Route(f"{prefix}/sign-out", self._show),
                Route(f"{prefix}/sign-out", self._end, methods=["POST"]),
            ],
            middleware=[
                # Only what the way to a provider and back must remember: state, nonce, code verifier.
                Middleware(
                    SessionMiddleware, secret_key=secrets.token_hex(32), session_cookie=f"{COOKIE}_way", max_age=600,
                    path=f"{prefix}/sign-in", same_site="lax",
                )
            ],
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes requests of those who signed in; sends browsers to the page, others get 401 (a websocket 403)."""
        if scope["type"] not in ("http", "websocket"):
            await self._program(scope, receive, send)
            return
        path = scope["path"]
        if scope["type"] == "http" and path.startswith((f"{self._prefix}/sign-in", f"{self._prefix}/sign-out")):
            await self._pages(scope, receive, send)
            return
        if scope["type"] == "http" and path in [self._prefix + way for way in OPEN]:
            await self._program(scope, receive, send)
            return
        headers = Headers(scope=scope)
        session = self._sessions.read(_cookie(headers))
        if session is not None:
            scope[WHO] = session.who
            await self._pass(session, scope, receive, send)
            return
        given = password_in(headers.get("authorization", ""))
        wait = 0.0
        if given is not None and self._settings.password is not None:
            wait = await self._check(given, _address(scope))
            if wait == 0:
                scope[WHO] = "password"
                await self._program(scope, receive, send)
                return
        await self._refuse(wait, scope, receive, send)

    async def _pass(self, session: Session, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._program(scope, receive, send)
            return
        # A websocket lives long: it ends with the session.
        with self._sessions.open_with(session) as ended:
            closing = asyncio.ensure_future(ended.wait())
            ending = asyncio.get_running_loop().call_later(max(0.0, session.until - time.time()), ended.set)

            async def receive_while_signed_in() -> Message:
                waiting = asyncio.ensure_future(receive())
                try:
                    await asyncio.wait([waiting, closing], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not waiting.done():
                        waiting.cancel()
                if not ended.is_set():
                    return await waiting
                with contextlib.suppress(Exception):  # the other side may be gone already
                    await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "signed out"})
                return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}

            async def send_while_signed_in(message: Message) -> None:
                if not ended.is_set():
                    await send(message)

            try:
                await self._program(scope, receive_while_signed_in, send_while_signed_in)
            finally:
                ending.cancel()
                closing.cancel()

    async def _refuse(self, wait: float, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "not signed in"})
            return
        headers = Headers(scope=scope)
        if 0 < wait < math.inf:
            answer: Response = _too_many(wait)
        elif scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            query = scope.get("query_string", b"").decode("latin-1")
            to = quote(scope["path"]) + (f"?{query}" if query else "")
            answer = RedirectResponse(
                f"{self._prefix}/sign-in?to={quote(to, safe='')}", 303, {"Cache-Control": "no-store"}
            )
        else:
            how = f"Sign in at {self._prefix}/sign-in"
            if self._settings.password is not None:
                how += ", or send the password as 'Authorization: Bearer PASSWORD'"
            answer = PlainTextResponse(how + ".\n", 401, {"WWW-Authenticate": 'Bearer realm="WhichLayers"', **HEADERS})
        await answer(scope, receive, send)

    async def _check(self, password: str, address: str) -> float:
        """0 where the password is right, infinity where it is wrong, else seconds until the next attempt."""
        kept = self._settings.password
        digest = hmac.digest(self._key, password.encode(errors="replace"), hashlib.sha256)
        if self._right is not None and hmac.compare_digest(digest, self._right):
            return 0.0
        if kept is None:
            return math.inf
        if wait := self._attempts.begin(address, time.monotonic()):
            return wait
        async with self._guessing:  # one at a time: a guess takes a core and 32 MB
            right = await asyncio.to_thread(passwords.matches, password, kept)
        if not right:
            LOG.warning("wrong password from %s", address)
            return math.inf
        self._right = digest  # programs send it with each request
        self._attempts.succeeded(address)
        return 0.0

    async def _show(self, request: Request) -> Response:
        session = self._sessions.read(_cookie(request.headers))
        return self._page(request.query_params.get("to", ""), session=session)

    async def _take(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_FORM:
                return PlainTextResponse("More than a password is not taken.\n", 413)
        form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        to, password = form.get("to", [""])[-1], form.get("password", [""])[-1]
        wait = await self._check(password, _address(request.scope))
        if wait == 0:
            return self._signed_in(request, "password", to)
        if wait == math.inf:
            return self._page(to, "This is not the password.", status=401)
        return self._page(to, f"Too many attempts. Try again in {math.ceil(wait)} s.", status=429, wait=wait)

    async def _leave(self, request: Request) -> Response:
        if self._provider is None:
            return self._page("", "There is no provider to sign in at.", status=404)
        request.session["to"] = self._local(request.query_params.get("to", ""))
        back = f"{request.url.scheme}://{request.url.netloc}{self._prefix}/sign-in/back"
        try:
            return await self._provider.leave(request, back)
        except WhichLayersError as error:
            return self._page("", str(error), status=502)

    async def _back(self, request: Request) -> Response:
        if self._provider is None:
            return self._page("", "There is no provider to sign in at.", status=404)
        to = str(request.session.pop("to", ""))
        try:
            who = await self._provider.returned(request)
        except WhichLayersError as error:
            LOG.warning("%s (from %s)", error, _address(request.scope))
            return self._page(to, str(error), status=403)
        return self._signed_in(request, who, to)

    async def _end(self, request: Request) -> Response:
        self._sessions.end(_cookie(request.headers))
        answer = RedirectResponse(f"{self._prefix}/sign-in", 303, HEADERS)
        answer.delete_cookie(COOKIE, path=self._prefix or "/")
        return answer

    def _signed_in(self, request: Request, who: str, to: str) -> Response:
        LOG.info("signed in by %s from %s", who, _address(request.scope))
        answer = RedirectResponse(self._local(to), 303, HEADERS)
        answer.set_cookie(
            COOKIE,
            self._sessions.begin(who),
            max_age=int(self._sessions.seconds),
            path=self._prefix or "/",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    def _local(self, to: str) -> str:
        """A path of this server, whatever was asked for: a link must not lead elsewhere."""
        start = f"{self._prefix}/"
        plain = to.isascii() and to.isprintable() and "\\" not in to and " " not in to
        return to if plain and to.startswith(start) and not to.startswith(("//", f"{start}sign-")) else start

    def _page(
        self, to: str, problem: str = "", *, status: int = 200, session: Session | None = None, wait: float = 0.0
    ) -> Response:
        oidc = self._settings.oidc
        content = _PAGE.render(
            title="Signed in" if session else "Sign in",
            base=self._prefix,
            problem=problem,
            who=session.who if session else "",
            provider=urlsplit(oidc.issuer).hostname if oidc else "",
            password=self._settings.password is not None,
            to=self._local(to),
        )
        more = {"Retry-After": str(math.ceil(wait))} if wait else {}
        return HTMLResponse(content, status, {**HEADERS, **more})


def password_in(authorization: str) -> str | None:
    """The password in an Authorization header: `Bearer PASSWORD`, or `Basic` with any name; None without one."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        value = value.strip()
        try:
            return value.encode("latin-1").decode()  # headers are read as Latin-1, programs write UTF-8
        except UnicodeError:
            return value
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def _provider(settings: SignInSettings) -> "SignInAt | None":
    if settings.oidc is None:
        return None
    from dashboard.sign_in.provider import SignInAt  # Authlib loads where it is used

    return SignInAt(settings.oidc)


def _too_many(wait: float) -> Response:
    seconds = math.ceil(wait)
    return PlainTextResponse(f"Too many attempts. Try again in {seconds} s.\n", 429, {"Retry-After": str(seconds)})


def _cookie(headers: Headers) -> str:
    return cookie_parser("; ".join(headers.getlist("cookie"))).get(COOKIE, "")


def _address(scope: Scope) -> str:
    client: Sequence[str | int] | None = scope.get("client")
    return str(client[0]) if client else ""
