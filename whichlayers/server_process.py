"""The dashboard as a process of its own beside a run, which ends when the run does, however that ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GRACE_SECONDS = 15.0
"""Time that the dashboard has to close its connections."""


@contextmanager
def dashboard_beside(
    store: str, cache: Path, port: int, *, browser: bool = True
) -> Iterator["subprocess.Popen[bytes]"]:
    """The dashboard, served from another process so that training does not slow it down; ended with the block.

    Its standard input is a pipe from this process: where this one is killed, the pipe's end tells the other.
    Raises WhichLayersError at once where the port is taken.
    """
    from dashboard.server import free_socket

    free_socket("127.0.0.1", port).close()
    serve = [sys.executable, "-m", "whichlayers", "serve", "--end-with-input", "--host", "127.0.0.1"]
    places = ["--port", str(port), "--store", store, "--cache", str(cache)]
    # A session of its own: Ctrl-C in the terminal is for the run, which then ends the dashboard.
    process = subprocess.Popen(
        [*serve, *places, "--browser" if browser else "--no-browser"], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def end_with_input() -> None:
    """Watch standard input from now on, and stop this process, as SIGTERM does, once it has ended."""
    threading.Thread(target=_stop_at_end_of_input, name="end with input", daemon=True).start()


def _stop_at_end_of_input() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)  # a connection that does not close keeps nobody's port
