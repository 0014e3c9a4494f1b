"""One ASGI program on one port: the Streamlit pages, the mounted Gradio program, and what watches over the server."""

import asyncio
import contextlib
import gc
import ipaddress
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st
import uvicorn
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp
from streamlit.web import bootstrap

from dashboard import exports, kept_uploads, limits, logs, reader_page, thumbnails, watching
from dashboard.figures.palette import GROUND
from dashboard.inference import aside
from dashboard.launch import uploads
from dashboard.live import program as live_program
from dashboard.observed import Observed
from dashboard.origin import OwnPagesOnly
from dashboard.pages import PAGES
from dashboard.places import cache_root, store_root
from dashboard.sign_in import SignIn
from dashboard.sign_in.settings import SignInSettings
from dashboard.sign_in.settings import load as load_sign_in
from engine.errors import WhichLayersError

THEME = {
    "theme.baseRadius": "6px",
    "theme.showWidgetBorder": True,
    "theme.headingFontWeights": [700, 650, 650],
    "theme.headingFontSizes": ["1.75rem", "1.3rem", "1.1rem"],
    "theme.light.primaryColor": "#0b6e8a",
    "theme.light.backgroundColor": GROUND[False],
    "theme.light.secondaryBackgroundColor": "#f6f7f8",
    "theme.light.textColor": "#1f2933",
    "theme.dark.primaryColor": "#4fc3e0",
    "theme.dark.backgroundColor": GROUND[True],
    "theme.dark.secondaryBackgroundColor": "#1d2328",
    "theme.dark.textColor": "#e6eaee",
}
OPTIONS = {
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "client.showErrorLinks": False,
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "server.enableAgentApi": False,
    "server.headless": True,
    "runner.magicEnabled": False,
    "runner.postScriptGC": False,  # a full collection after every page took longer than the page; see below
    "logger.level": "warning",
    "server.maxUploadSize": limits.UPLOAD_BYTES // limits.MEGABYTE,
    **THEME,
}
"""Set here and not in `.streamlit/config.toml`, so that they hold from any working directory."""
SILENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""Environment of the server, and of the runs that its pages start: nothing is told to anybody."""


COLLECT_SECONDS = 30.0
SWEEP_SECONDS = 600.0
GRACE_SECONDS = 2
"""How long connections may take to close once the server is told to stop."""
LARGEST_MESSAGE = 32 * 2**20
"""Bytes of a message that a websocket takes: a frame of the Live page's stream, and what a page's widgets say."""


def create(
    store: str | None = None,
    cache: Path | None = None,
    prefix: str = "",
    hosts: Collection[str] = (),
    sign_in: SignInSettings | None = None,
) -> ASGIApp:
    """The ASGI program. `prefix` is the path under which a reverse proxy serves it, such as `/layers`; it keeps it.

    It answers under addresses, this machine's name and the names in `hosts`, to its own pages (`dashboard.origin`),
    and, with `sign_in`, to those who signed in.

    The store and cache are told to the pages by WHICHLAYERS_STORE and WHICHLAYERS_CACHE: one program per process.
    """
    prefix = "/" + prefix.strip("/") if prefix.strip("/") else ""
    os.environ["WHICHLAYERS_STORE"] = store or store_root()
    os.environ["WHICHLAYERS_CACHE"] = str(cache or cache_root())
    os.environ.update(SILENT)
    os.environ["WHICHLAYERS_SIGN_OUT"] = f"{prefix}/sign-out" if sign_in else ""
    bootstrap.load_config_options({**OPTIONS, "server.baseUrlPath": prefix.strip("/")})
    inference = live_program.build(store_root(), cache_root())

    @asynccontextmanager
    async def lifespan(app: st.App) -> AsyncIterator[dict[str, Any]]:
        # A mounted program's own lifespan is not run by the one that mounts it.
        looking_after = [asyncio.create_task(work()) for work in (_sweep_now_and_then, _collect_now_and_then)]
        async with inference.router.lifespan_context(inference):
            yield {}
        for task in looking_after:
            task.cancel()

    routes: list[BaseRoute] = [
        *watching.routes(prefix),
        Mount(f"{prefix}/inference", app=inference),
        Mount(f"{prefix}/reader", app=reader_page.build(store_root(), cache_root())),
        *thumbnails.routes(prefix),
        *exports.routes(prefix),
        *(Route(f"{prefix}/{page}", _open(page, prefix)) for page in PAGES),
    ]
    program: ASGIApp = st.App(Path(__file__).with_name("app.py"), routes=routes, lifespan=lifespan)
    program = limits.BodyLimits(program, limits.of_server(prefix))
    if sign_in is not None:
        program = SignIn(program, sign_in, prefix)
    return Observed(OwnPagesOnly(program, hosts), prefix)


async def _sweep_now_and_then() -> None:
    """Looks after what is kept of uploads and exports; also after what an earlier server that was killed has left."""
    while True:
        sweeps: list[Callable[[], object]] = [kept_uploads.sweep_frames, exports.sweep]
        sweeps += [partial(aside.sweep, cache_root()), partial(uploads.sweep, cache_root())]
        for sweep in sweeps:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(sweep)
        await asyncio.sleep(SWEEP_SECONDS)


async def _collect_now_and_then() -> None:
    """Frees what pages have left in circles: in place of Streamlit's full collection after every run of a page."""
    while True:
        await asyncio.sleep(COLLECT_SECONDS)
        await asyncio.to_thread(gc.collect)


def _open(page: str, prefix: str) -> Callable[[Request], Awaitable[RedirectResponse]]:
    # Streamlit's own way with the address of a page is to try `/images/_stcore/health` first and log the failure.
    async def to_start(request: Request) -> RedirectResponse:
        query = urlencode([("open", page), *request.query_params.multi_items()])
        return RedirectResponse(f"{prefix}/?{query}", status_code=307)

    return to_start


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def free_socket(host: str, port: int) -> socket.socket:
    """A socket that listens at `host`:`port` (0: any free port). Raises WhichLayersError where it is taken.

    It names its protocol: asyncio sends small parts at once only through such a one.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise WhichLayersError(
            f"--host {host}: {error.strerror}; use 127.0.0.1, or an address of this machine"
        ) from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise WhichLayersError(
            f"{host}:{port} cannot be used ({error.strerror}); stop the program that holds it, or choose another --port"
        ) from error
    return listening


def serve(
    host: str = "127.0.0.1",
    port: int = 8501,
    prefix: str = "",
    store: str | None = None,
    cache: Path | None = None,
    open_browser: bool = False,
    hosts: Collection[str] = (),
    sign_in: Path | None = None,
    open_to_everybody: bool = False,
    log: str = "text",
) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises WhichLayersError where the port is taken, or the settings are wrong.

    An address that others can reach needs `sign_in`, a file as `dashboard.sign_in.settings` reads it, or the word that
    it is open to everybody.
    """
    settings = load_sign_in(sign_in) if sign_in else None
    if not is_loopback(host) and settings is None and not open_to_everybody:
        raise WhichLayersError(
            f"--host {host}: others can reach it, and nobody has to sign in; make a password with 'whichlayers "
            "password sign-in.yaml' and add --sign-in sign-in.yaml, use --host 127.0.0.1, or say --open-to-everybody"
        )
    listening = free_socket(host, port)
    port = listening.getsockname()[1]
    if log == "json":
        logs.to_json()
    if not is_loopback(host) and settings is None:
        print(
            f"open to everybody: who reaches {host}:{port} sees results and images, and runs studies", file=sys.stderr
        )
    app = create(store, cache, prefix, [host, *hosts], settings)
    if log == "json":
        logs.gather()
    shown = host if host not in ("0.0.0.0", "::") else "127.0.0.1"
    url = f"http://{shown}:{port}/" + (prefix.strip("/") + "/" if prefix.strip("/") else "")
    print(f"WhichLayers: {url}", flush=True)
    if open_browser:
        threading.Timer(1.0, webbrowser.open, [url]).start()
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws_max_size=LARGEST_MESSAGE,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        log_config=None if log == "json" else uvicorn.config.LOGGING_CONFIG,
    )
    uvicorn.Server(config).run(sockets=[listening])
