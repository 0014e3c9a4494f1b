"""The Gradio program: a frame or clip goes in, what a trained trial sees in it comes out: outlines, or classes."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import fastapi
import gradio as gr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from dashboard import kept_uploads
from dashboard.inference.aside import UPLOADS, Aside
from dashboard.inference.worker import shared_worker
from dashboard.live.answers import LiveAnswers
from dashboard.live.frame_route import answer_frame
from dashboard.live.look import CSS, theme
from dashboard.live.page import page
from dashboard.live.stream import Streams
from dashboard.own_files import OwnFilesOnly
from dashboard.trained_trials import TrainedStudies
from engine.store import Store

MAX_FILE = "200mb"
"""Largest file that is taken."""

SESSIONS = 200
"""Of which Gradio keeps what they were shown, about 0.2 MB each; a call of its API is a session, too. A page that is
forgotten only loses the times of its latest frames."""

FORGET_SECONDS = 600.0

REFRESH_SECONDS = 10.0
"""How often an open page looks for trials that finished since."""


def build(store_root: str, cache: Path) -> fastapi.FastAPI:
    """The Live program on the studies under `store_root`, to be mounted at any path.

    Uploaded frames and drawn outlines lie under `cache` for an hour, in a folder of this program's own. Its lifespan
    must be entered by the program that mounts it: it ends the inference process and deletes the folder.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    kept = Aside(cache, UPLOADS)
    # Whatever was set before: what lies there is deleted after an hour.
    os.environ["GRADIO_TEMP_DIR"] = str(kept.folder)
    worker = shared_worker(store_root, cache)

    @asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
        forgetting = asyncio.create_task(_forget_now_and_then(blocks))
        try:
            yield
        finally:
            forgetting.cancel()
            worker.close()
            kept.leave()

    live = LiveAnswers(TrainedStudies(Store.at(store_root)), worker)
    blocks = page(live, warm=worker.warm, refresh_seconds=REFRESH_SECONDS)
    # Gradio checks where a named file lies only in programs that it started itself.
    blocks.has_launched = True
    blocks.state_session_capacity = SESSIONS

    streams = Streams(worker, live.known)

    async def frame(request: Request) -> Response:
        return await answer_frame(request, live)

    own = fastapi.FastAPI(
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # Before Gradio, which is mounted at every other path.
        routes=[WebSocketRoute("/stream", streams.answer), Route("/frame", frame, methods=["POST"])],
    )
    program: fastapi.FastAPI = gr.mount_gradio_app(
        own,
        blocks,
        path="/",
        theme=theme(),
        css=CSS,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        max_file_size=MAX_FILE,
        show_error=True,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )
    program.add_middleware(OwnFilesOnly)
    return program


async def _forget_now_and_then(blocks: gr.Blocks) -> None:
    while True:
        await asyncio.sleep(FORGET_SECONDS)
        await asyncio.to_thread(kept_uploads.forget_deleted, blocks.temp_file_sets)
