"""A guard in front of the Gradio program: it asks no other machine for a file, hands out none but its own, and does
nothing that our page does not ask of it.

Gradio fetches a file whose `path` is a web address, and streams what `/file=` with a web address names. A path it
compares as it is written: a link within its folder would lead out of it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gradio.utils import get_upload_folder
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
NAMED_IN_PATH = re.compile(r"/(?:file|proxy)=\s*[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
FILE_IN_PATH = re.compile(r"/gradio_api/file[=/](.*)", re.DOTALL)
UNUSED = re.compile(
    r"/(?:gradio_api/(?:process_recording|vibe-|undo-vibe-edit|deep_link|component_server|dev/|profiling/|run-history|runs)"
    r"|monitoring)"
)
"""What Gradio would do beside our page: turn recordings with ffmpeg, have itself rewritten, tell of its queue."""
REFUSAL = "Files from other addresses are not fetched: upload the frame itself."


class OwnFilesOnly:
    """An ASGI program before another: 400 where a request names another machine's file, 404 for files not kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if UNUSED.search(scope["path"]):
            await PlainTextResponse("Not served here.", status_code=404)(scope, receive, send)
            return
        if NAMED_IN_PATH.search(scope["path"]):
            await _refuse(scope, receive, send)
            return
        named = FILE_IN_PATH.search(scope["path"])
        if named and not is_kept(named[1], Path(get_upload_folder())):
            await PlainTextResponse("No such file.", status_code=404)(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # Uploads bring the file itself, up to MAX_FILE, and are not held in memory here.
        uploads = headers.get("content-type", "").lower().startswith("multipart/form-data")
        if scope["method"] in ("GET", "HEAD", "OPTIONS") or uploads:
            await self._app(scope, receive, send)
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        else:
            return  # whoever asked is gone
        if names_other_machines(body, _own_hosts(headers)):
            await _refuse(scope, receive, send)
            return
        read: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return read.pop() if read else await receive()

        await self._app(scope, again, send)


def is_kept(path: str, folder: Path) -> bool:
    """Whether a path names a file in a folder within `folder`, as uploads and outlines are kept there."""
    try:
        if not Path(path).is_absolute() or ".." in Path(path).parts:
            return False
        real = Path(path).resolve(strict=True)
        return real.is_file() and real.parent.parent == folder.resolve()
    except (OSError, ValueError, RuntimeError):
        return False


def names_other_machines(body: bytes, own_hosts: set[str]) -> bool:
    """Whether JSON holds, at any depth, a `path` that is an address, or a `url` of a host that is not ours.

    A page sends back the `url` that it was given for its own upload; Gradio reads its `path` alone.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return False  # Gradio reads it the same way, and refuses it
    for name, value in _texts(content):
        if ADDRESS.match(value) and (name == "path" or _host(value) not in own_hosts):
            return True
    return False


def _texts(content: Any) -> Iterator[tuple[str, str]]:
    waiting = [content]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from ((name, part[name]) for name in ("path", "url") if isinstance(part.get(name), str))
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _own_hosts(headers: Headers) -> set[str]:
    """Host and port of this server, as the page's reader writes them: behind a proxy in a header of its own."""
    named = [headers.get(name, "").split(",")[0].strip() for name in ("host", "x-forwarded-host")]
    return {host.lower() for host in [*named, urlsplit(headers.get("origin", "")).netloc] if host}


def _host(address: str) -> str:
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(REFUSAL, status_code=400)(scope, receive, send)
