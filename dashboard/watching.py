"""What those ask who watch over the server: does it answer, can it do its work, what does it measure."""

import asyncio
import math
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dashboard import study_gauges
from dashboard.health import HEALTHY
from dashboard.inference.worker import shared_worker
from dashboard.places import store_root
from engine.errors import WhichLayersError
from engine.store import Store

READY_SECONDS = 2.0
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def routes(prefix: str = "") -> list[BaseRoute]:
    """`/healthz`, `/readyz` and `/metrics` below the path that the server has."""
    found = study_gauges.TrialsAndSessions()

    async def metrics(request: Request) -> Response:
        return Response(await asyncio.to_thread(study_gauges.text, found), headers={"Content-Type": PROMETHEUS})

    return [
        Route(f"{prefix}/healthz", _healthy),
        Route(f"{prefix}/readyz", _Ready().__call__),
        Route(f"{prefix}/metrics", metrics),
    ]


async def _healthy(request: Request) -> Response:
    # A page that is not there is answered with 200 and the pages' own HTML: only the body tells.
    return Response(HEALTHY, media_type="application/json")


class _Ready:
    """Looks once for all who ask within `READY_SECONDS`: anybody may ask, and a look takes a thread for up to 10 s."""

    def __init__(self) -> None:
        self._looking, self._looked, self._found = asyncio.Lock(), -math.inf, dict[str, bool]()

    async def __call__(self, request: Request) -> Response:
        """200 where the store can be read and frames are answered, else 503; the body says which of the two."""
        async with self._looking:
            if time.monotonic() - self._looked > READY_SECONDS:
                self._found = await asyncio.to_thread(readiness)
                self._looked = time.monotonic()
        return JSONResponse(self._found, 200 if all(self._found.values()) else 503)


def readiness() -> dict[str, bool]:
    """Whether results can be read, and whether the inference process answers; True where none is needed yet."""
    try:
        Store.at(store_root()).studies()
        readable = True
    except (WhichLayersError, OSError):
        readable = False
    return {"store": readable, "inference": shared_worker(store_root()).answers()}
