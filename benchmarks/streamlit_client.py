"""As much of a browser as Streamlit's server can tell: one session over its websocket, with pages that are drawn."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

LARGEST = 256 * 2**20


@dataclass(kw_only=True)
class Drawn:
    """What a page sent until its script had ended."""

    seconds: float
    elements: int
    errors: list[str]
    """Uncaught exceptions that the page shows."""


@dataclass(kw_only=True)
class Session:
    """A session that is open."""

    address: str
    """Of the start page, with its slash."""
    web: httpx.AsyncClient
    stream: ClientConnection
    number: str = ""
    received: int = field(default=0)
    """Bytes."""

    async def draw(self, page: str = "", query: str = "", seconds: float = 60.0) -> Drawn:
        """Runs the script as opening the page does; TimeoutError where it does not end in time."""
        wish = BackMsg()
        wish.rerun_script.query_string = query
        wish.rerun_script.page_name = page
        wish.rerun_script.context_info.timezone = "UTC"
        begun = time.perf_counter()
        await self.stream.send(wish.SerializeToString())
        async with asyncio.timeout(seconds):
            return await self._until_drawn(begun)

    async def _until_drawn(self, begun: float) -> Drawn:
        elements, errors = 0, []
        while True:
            content = await self.stream.recv()
            self.received += len(content)
            message = ForwardMsg.FromString(content if isinstance(content, bytes) else content.encode())
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.number = message.new_session.initialize.session_id or self.number
            elif kind == "delta":
                elements += 1
                if message.delta.new_element.WhichOneof("type") == "exception":
                    errors.append(message.delta.new_element.exception.message)
            elif kind == "script_finished":
                # A page that sends to another one ends, and the other begins.
                if message.script_finished in (
                    ForwardMsg.FINISHED_SUCCESSFULLY,
                    ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY,
                ):
                    return Drawn(seconds=time.perf_counter() - begun, elements=elements, errors=errors)
                if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                    return Drawn(seconds=time.perf_counter() - begun, elements=elements, errors=["compile error"])

    async def upload(self, content: bytes) -> int:
        """Status of the answer to a file that a page's field takes."""
        await self.web.get(f"{self.address}_stcore/health")
        return (
            await self.web.put(
                f"{self.address}_stcore/upload_file/{self.number}/{uuid.uuid4()}",
                files={"file": ("file.zip", content)},
                headers={"X-Xsrftoken": self.web.cookies.get("_streamlit_xsrf") or ""},
            )
        ).status_code


@asynccontextmanager
async def session(address: str, headers: dict[str, str] | None = None) -> AsyncIterator[Session]:
    """A new session of the server whose start page is at `address`."""
    parts = urlsplit(address)
    async with (
        httpx.AsyncClient(timeout=60, headers=headers) as web,
        connect(
            f"ws://{parts.netloc}{parts.path}_stcore/stream", subprotocols=["streamlit"], max_size=LARGEST,
            origin=f"http://{parts.netloc}", additional_headers=headers, open_timeout=60, proxy=None,
        ) as stream,
    ):  # fmt: skip
        yield Session(address=address, web=web, stream=stream)
