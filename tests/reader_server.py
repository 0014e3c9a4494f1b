"""The reader page alone, in a process of its own, mounted under a prefix as the dashboard mounts it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PREFIX = "/layers/reader"


@dataclass(frozen=True, kw_only=True)
class ReaderServer:
    """A page that is being served."""

    address: str
    """With the prefix and a slash at the end."""
    process: "subprocess.Popen[str]"


@contextmanager
def served(store: Path, cache: Path, port: int = 0) -> Iterator[ReaderServer]:
    """The page on `store`, served until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.reader_server", str(store), str(cache), str(port)],
        cwd=Path(__file__).resolve().parents[1],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, "the server ended before it listened"
            yield ReaderServer(address=address, process=process)
        finally:
            process.kill()
            process.wait(timeout=20)


def main(store: str, cache: str, port: str) -> None:
    """Serve until killed; prints the address first."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from dashboard import reader_page

    app = Starlette(routes=[Mount(PREFIX, reader_page.build(store, Path(cache)))])
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", int(port)))
    listening.listen()
    print(f"http://127.0.0.1:{listening.getsockname()[1]}{PREFIX}/", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
