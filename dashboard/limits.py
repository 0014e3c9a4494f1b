"""How much a request may bring: looked at before anything of it is read, and again while it comes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime import Runtime
from streamlit.runtime.stats import CACHE_MEMORY_FAMILY, CacheStat

from dashboard import kept_uploads
from dashboard.live import frame_route
from dashboard.places import cache_root

MEGABYTE = 2**20
UPLOAD_BYTES = 200 * MEGABYTE
"""Of a zip or a study file that a page takes."""
UPLOADS_IN_MEMORY = 1000 * MEGABYTE
"""Of all of them together: Streamlit holds what a page took until the page is left."""
FRAMES_BYTES = 256 * MEGABYTE
"""Of a request that brings frames or clips; each file has the Live program's own limit."""
FILES = "UploadedFileManager"
"""What Streamlit calls the files that pages took, among what it holds."""
WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What requests below a path may bring."""

    path: str
    most_bytes: int
    """Of a body."""
    refusal: Callable[[int], str] | None = None
    """Why so many bytes cannot be taken now, "" where they can. Asked of a body that says its length, else of the
    most that it may have, and of all that come at this moment with it; runs in a thread."""
    most_at_once: int | None = None
    """Bytes of all bodies that come or are worked on at one moment."""
    too_large: Callable[[], Response] | None = None
    """What is answered to a larger body; None for a line of text."""


class _TooMuch(Exception):
    """More came than may come; raised where the program behind reads."""


class BodyLimits:
    """The ASGI program behind it, for bodies within the limit of their path: the first of `limits` that fits."""

    def __init__(self, program: ASGIApp, limits: tuple[Limit, ...]) -> None:
        self._program, self._limits = program, limits
        self._coming = dict.fromkeys((limit.path for limit in limits), 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 413 where more is brought than may be, 507 where there is no room, 503 where too much at once."""
        if scope["type"] != "http" or scope["method"] in WITHOUT_BODY:
            await self._program(scope, receive, send)
            return
        limit = next(one for one in self._limits if scope["path"].startswith(one.path))
        length = Headers(scope=scope).get("content-length", "")
        expected = int(length) if length.isdecimal() and len(length) < 19 else limit.most_bytes
        if expected > limit.most_bytes:
            await _too_large(limit)(scope, receive, send)
            return
        self._coming[limit.path] += expected
        try:
            await self._take(limit, scope, receive, send)
        finally:
            self._coming[limit.path] -= expected

    async def _take(self, limit: Limit, scope: Scope, receive: Receive, send: Send) -> None:
        coming = self._coming[limit.path]
        if limit.most_at_once is not None and coming > limit.most_at_once:
            later = {"Retry-After": "1", "Connection": "close"}
            await PlainTextResponse("Too much comes at once; try again.\n", 503, later)(scope, receive, send)
            return
        if limit.refusal and (problem := await asyncio.to_thread(limit.refusal, coming)):
            await PlainTextResponse(problem + "\n", 507)(scope, receive, send)
            return
        left, begun, broken = limit.most_bytes, False, False

        async def receive_within() -> Message:
            nonlocal left, broken
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    broken = True
                    raise _TooMuch
            return message

        async def send_unless_broken(message: Message) -> None:
            nonlocal begun
            if not broken or begun:
                begun = True
                await send(message)

        try:
            await self._program(scope, receive_within, send_unless_broken)
        except _TooMuch:
            broken = True
        if broken and not begun:
            await _too_large(limit)(scope, receive, send)


def of_server(prefix: str) -> tuple[Limit, ...]:
    """The limits of the server's parts."""
    return (
        Limit(path=f"{prefix}/_stcore/upload_file/", most_bytes=UPLOAD_BYTES + MEGABYTE, refusal=_no_room_for_file),
        Limit(path=f"{prefix}/inference/gradio_api/upload", most_bytes=FRAMES_BYTES, refusal=_no_room_for_frame),
        Limit(
            path=f"{prefix}/inference/frame",
            most_bytes=frame_route.LARGEST_BYTES,
            too_large=frame_route.too_large,
            most_at_once=FRAMES_BYTES,
        ),
        Limit(path=f"{prefix}/inference/", most_bytes=8 * MEGABYTE),
        Limit(path=f"{prefix}/reader/", most_bytes=64 * 1024),
        Limit(path="", most_bytes=MEGABYTE),
    )


def _no_room_for_file(expected: int) -> str:
    if not kept_uploads.has_room(cache_root()):
        return "The server's disk is nearly full: nothing is taken until there is room."
    held = 0
    if Runtime.exists():
        families = Runtime.instance().stats_mgr.get_stats([CACHE_MEMORY_FAMILY])
        stats = families.get(CACHE_MEMORY_FAMILY, ())
        held = sum(one.byte_length for one in stats if isinstance(one, CacheStat) and one.category_name == FILES)
    if held + expected > UPLOADS_IN_MEMORY:
        return "Others' uploads fill what the server may hold; try again when they have left their pages."
    return ""


def _no_room_for_frame(expected: int) -> str:
    if not kept_uploads.has_room(cache_root()):
        return "The server's disk is nearly full: nothing is taken until there is room."
    left = kept_uploads.sweep_frames(kept_uploads.MOST_BYTES - expected)
    if left + expected > kept_uploads.MOST_BYTES:
        return "Frames of the last minute fill what is kept; try again in a minute."
    return ""


def _too_large(limit: Limit) -> Response:
    if limit.too_large is not None:
        return limit.too_large()
    size = limit.most_bytes
    shown = f"{size // MEGABYTE} MB" if size >= MEGABYTE else f"{size // 1024} kB"
    return PlainTextResponse(f"At most {shown} are taken here.\n", 413, {"Connection": "close"})
