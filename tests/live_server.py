"""The Live program alone, in a process of its own, mounted under a prefix as the dashboard mounts it."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

PREFIX = "/layers/inference"


@dataclass(frozen=True, kw_only=True)
class LiveServer:
    """A program that is being served."""

    address: str
    """With the prefix, without a slash at the end."""
    process_id: int


@contextmanager
def served(store: Path, cache: Path, refresh_seconds: float = 10.0) -> Iterator[LiveServer]:
    """The program on `store`, served until the block ends (by SIGTERM)."""
    # Another program's folder, which ours must leave alone.
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(cache / "another program's")}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.live_server", str(store), str(cache), str(refresh_seconds)],
        cwd=Path(__file__).resolve().parents[1],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, "the server ended before it listened"
            yield LiveServer(address=address, process_id=process.pid)
        finally:
            process.terminate()
            process.wait(timeout=20)


def main(store: str, cache: str, refresh_seconds: str) -> None:
    """Serve until SIGTERM; prints the address first."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Mount, Route

    from dashboard.live import program as live_program
    from dashboard.server import free_socket

    live_program.REFRESH_SECONDS = float(refresh_seconds)
    live_program.MAX_FILE = "20mb"
    program = live_program.build(store, Path(cache))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with program.router.lifespan_context(program):
            yield

    async def icon(request: Request) -> Response:
        return Response(status_code=204)

    app = Starlette(routes=[Route("/favicon.ico", icon), Mount(PREFIX, program)], lifespan=lifespan)
    listening = free_socket("127.0.0.1", 0)
    print(f"http://127.0.0.1:{listening.getsockname()[1]}{PREFIX}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)).run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
