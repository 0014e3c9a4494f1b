"""Every request counted, timed and logged."""

import logging
import time
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnected

from dashboard.gauges import REQUEST_SECONDS, REQUESTS, WEBSOCKETS
from dashboard.sign_in import WHO

LOG = logging.getLogger("whichlayers.requests")
PARTS = {
    "inference": "live", "reader": "reader", "thumbnails": "pictures", "media": "pictures", "exports": "exports",
    "sign-in": "sign-in", "sign-out": "sign-in", "healthz": "health", "readyz": "health", "metrics": "health",
}  # fmt: skip
"""First step of a path -> which part of the server answers it; others are pages."""

NAMELESS = {"inference": 3, "_stcore": 2, "reader": 2, "static": 3}
"""First step of a path -> steps that name nobody and nothing; of others it is one."""


class Observed:
    """The ASGI program behind it, with every request counted, timed and logged (`whichlayers.requests`)."""

    def __init__(self, program: ASGIApp, prefix: str = "") -> None:
        self._program, self._prefix = program, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts by part of the server and status; no address, name or query goes into a figure."""
        if scope["type"] == "websocket":
            # Streamlit speaks on where a page was left while it was being drawn.
            with WEBSOCKETS.labels(self._part(scope["path"])).track_inprogress(), suppress(WebSocketDisconnected):
                await self._program(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._program(scope, receive, send)
            return
        begun, part = time.perf_counter(), self._part(scope["path"])

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                seconds = time.perf_counter() - begun
                REQUESTS.labels(part, str(message["status"])).inc()
                REQUEST_SECONDS.labels(part).observe(seconds)
                if LOG.isEnabledFor(logging.INFO) and part != "health":
                    LOG.info(
                        "%s %s",
                        scope["method"],
                        self._told(scope["path"]),
                        extra={"facts": _facts(scope, message, seconds)},
                    )
            await send(message)

        await self._program(scope, receive, send_and_count)

    def _told(self, path: str) -> str:
        """The path as far as it names a part of the server: behind it are studies, readers, files and secrets."""
        steps = [step.partition("=")[0] for step in path.removeprefix(self._prefix).lstrip("/").split("/")]
        known = next((most for first, most in NAMELESS.items() if steps[0] == first), 1)
        return f"{self._prefix}/{'/'.join(steps[:known])}{'/…' if len(steps) > known else ''}"

    def _part(self, path: str) -> str:
        step = path.removeprefix(self._prefix).lstrip("/").split("/")[0]
        return PARTS.get(step, "pages")


def _facts(scope: Scope, message: Message, seconds: float) -> dict[str, Any]:
    client = scope.get("client")
    return {
        "status": message["status"],
        "milliseconds": round(seconds * 1000, 1),
        "address": client[0] if client else "",
        "who": scope.get(WHO, ""),
    }
