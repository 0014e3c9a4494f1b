"""One ASGI program on one port: the Streamlit pages, the mounted Gradio program, and the health check."""

import ipaddress
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st
import uvicorn
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from streamlit.web import bootstrap

from dashboard import live_inference, reader_page, thumbnails
from dashboard.health import HEALTHY
from dashboard.origin import OwnPagesOnly
from dashboard.pages import PAGES
from dashboard.places import cache_root, store_root
from engine.errors import WhichLayersError

THEME = {
    "theme.baseRadius": "6px",
    "theme.showWidgetBorder": True,
    "theme.headingFontWeights": [700, 650, 650],
    "theme.headingFontSizes": ["1.75rem", "1.3rem", "1.1rem"],
    "theme.light.primaryColor": "#0b6e8a",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f6f7f8",
    "theme.light.textColor": "#1f2933",
    "theme.dark.primaryColor": "#4fc3e0",
    "theme.dark.backgroundColor": "#14181c",
    "theme.dark.secondaryBackgroundColor": "#1d2328",
    "theme.dark.textColor": "#e6eaee",
}
"""Addresses of the pages, as in `app.py`."""
OPTIONS = {
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "client.showErrorLinks": False,
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "server.enableAgentApi": False,
    "server.headless": True,
    "runner.magicEnabled": False,
    "logger.level": "warning",
    **THEME,
}
"""Set here and not in `.streamlit/config.toml`, so that they hold from any working directory."""


def create(
    store: str | None = None, cache: Path | None = None, prefix: str = "", hosts: Collection[str] = ()
) -> OwnPagesOnly:
    """The ASGI program. `prefix` is the path under which a reverse proxy serves it, such as `/layers`; it keeps it.

    It answers under addresses, this machine's name and the names in `hosts`, and to its own pages (`dashboard.origin`).

    The store and cache are told to the pages by WHICHLAYERS_STORE and WHICHLAYERS_CACHE: one program per process.
    """
    prefix = "/" + prefix.strip("/") if prefix.strip("/") else ""
    os.environ["WHICHLAYERS_STORE"] = store or store_root()
    os.environ["WHICHLAYERS_CACHE"] = str(cache or cache_root())
    bootstrap.load_config_options({**OPTIONS, "server.baseUrlPath": prefix.strip("/")})
    inference = live_inference.build(store_root(), cache_root())

    @asynccontextmanager
    async def lifespan(app: st.App) -> AsyncIterator[dict[str, Any]]:
        # A mounted program's own lifespan is not run by the one that mounts it.
        async with inference.router.lifespan_context(inference):
            yield {}

    routes: list[BaseRoute] = [
        Route(f"{prefix}/healthz", _health),
        Mount(f"{prefix}/inference", app=inference),
        Mount(f"{prefix}/reader", app=reader_page.build(store_root(), cache_root())),
        *thumbnails.routes(prefix),
        *(Route(f"{prefix}/{page}", _open(page, prefix)) for page in PAGES),
    ]
    return OwnPagesOnly(st.App(Path(__file__).with_name("app.py"), routes=routes, lifespan=lifespan), hosts)


def _open(page: str, prefix: str) -> Callable[[Request], Awaitable[RedirectResponse]]:
    # Streamlit's own way with the address of a page is to try `/images/_stcore/health` first and log the failure.
    async def to_start(request: Request) -> RedirectResponse:
        query = urlencode([("open", page), *request.query_params.multi_items()])
        return RedirectResponse(f"{prefix}/?{query}", status_code=307)

    return to_start


async def _health(request: Request) -> Response:
    # A page that is not there is answered with 200 and the pages' own HTML: only the body tells.
    return Response(HEALTHY, media_type="application/json")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def free_socket(host: str, port: int) -> socket.socket:
    """A socket that listens at `host`:`port` (0: any free port). Raises WhichLayersError where it is taken."""
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
) -> None:
    """Serve until Ctrl-C. Raises WhichLayersError where the port is taken.

    An address that others can reach must be asked for, and brings a warning: there is no sign-in.
    """
    listening = free_socket(host, port)
    port = listening.getsockname()[1]
    if not is_loopback(host):
        print(
            f"warning: listening on {host}: everyone who reaches port {port} sees the results and images; there is "
            "no sign-in. Use --host 127.0.0.1, or put a reverse proxy with sign-in in front.",
            file=sys.stderr,
        )
    app = create(store, cache, prefix, [host, *hosts])
    shown = host if host not in ("0.0.0.0", "::") else "127.0.0.1"
    url = f"http://{shown}:{port}/" + (prefix.strip("/") + "/" if prefix.strip("/") else "")
    print(f"WhichLayers: {url}", flush=True)
    if open_browser:
        threading.Timer(1.0, webbrowser.open, [url]).start()
    config = uvicorn.Config(app, log_level="warning", ws_max_size=64 * 2**20, timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listening])
