"""A Ray of our own for one run."""

import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import ray
from ray._raylet import Config  # type: ignore[attr-defined]

from engine.search.early import early
from engine.search.starting import PATIENCE, SETTINGS, WORKERS, RayError, own_folder, starting_ray

TRIES = 2
"""A Ray that began to start early may have failed while the machine was busy."""
ANSWER_SECONDS = 5.0


@contextmanager
def own_ray(cores: int) -> Iterator[Path]:
    """A Ray that gives trials so many cores; gives a folder for what Tune writes.

    It goes with the block. Where this process is connected to a Ray already, that one is used and stays; one that
    `early_ray` began to start is used and ends with its own block. Raises RayError.
    """
    os.environ.update(SETTINGS)
    with ExitStack() as stack:
        if ray.is_initialized():
            yield stack.enter_context(own_folder())
            return
        for left in reversed(range(TRIES)):
            starting = (early() if left else None) or stack.enter_context(starting_ray(cores))
            stack.callback(ray.shutdown)
            try:
                _connect(**starting.told())
                break
            except RayError:
                if not left:
                    raise
                starting.end()
        yield starting.folder


def _connect(address: str, auth: str) -> None:
    """Raises RayError."""
    host, _, port = address.rpartition(":")
    ended_by = signal.getsignal(signal.SIGTERM)
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()  # Ray asks for many minutes
        if auth:  # with a token, which Ray takes by itself only in the process that started the cluster
            os.environ["RAY_AUTH_MODE"] = auth
            Config.initialize("")
        with _environment({**WORKERS, **PATIENCE}):
            ray.init(address=address, logging_level="ERROR", log_to_driver=False)
    except Exception as error:
        ray.shutdown()
        reason = " ".join(str(error).split())[:200]
        raise RayError(f"Ray started and cannot be reached ({reason}); try again") from error
    except SystemExit:  # by the handler that Ray puts there, which looks like a failure
        raise KeyboardInterrupt from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ended_by)


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """These variables for what is started in the block."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
