"""A Ray cluster that is there already: joined for a run, and left as it was."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import ray

from engine.preparation import Places
from engine.search.nodes import ClusterError, nodes, places
from engine.search.starting import SETTINGS, WORKERS
from engine.store import Store
from engine.study_settings import Study

LOCAL = "local"
"""Address of no cluster: a Ray of our own."""
ANSWER_SECONDS = 5.0
CLUSTER_TRIES = 3
"""More attempts at a trial than on one machine, since nodes may go as well as workers."""
FAR = "ray://"
CLIENT_TRIES = 3
"""Connections to `ray://`: the head starts a process for each, which a busy head may lose."""
NOT_STARTED = ("Starting Ray client server failed", "Proxy failed to Connect to backend")
"""What Ray says of a lost one."""


@contextmanager
def joined(address: str) -> Iterator[None]:
    """This process, a node of the cluster at `address` ('auto' or HOST:PORT), is connected to it.

    A process that is connected already stays so. Raises ClusterError where nothing answers there.
    """
    os.environ.update(SETTINGS)
    if ray.is_initialized():
        yield
        return
    ended_by = signal.getsignal(signal.SIGTERM)
    connect(address)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ended_by)  # Ray puts an exit of its own there, which looks like a failure
    try:
        yield
    finally:
        ray.shutdown()  # leaves; the cluster stays


@contextmanager
def places_of(address: str, study: Study, store: Store) -> Iterator[Places]:
    """What the study's trials may take of the cluster, to which this process is connected meanwhile.

    Raises ClusterError and StudyFileError.
    """
    with joined(address):
        yield places(nodes(store), study)


def connect(address: str) -> None:
    """Connect to the cluster at `address`. Raises ClusterError in one line."""
    require_answer(address)
    workers = {**WORKERS, "RAY_CHDIR_TO_TRIAL_DIR": SETTINGS["RAY_CHDIR_TO_TRIAL_DIR"]}
    for left in reversed(range(CLIENT_TRIES)):
        try:
            ray.init(
                address=address,
                runtime_env={"env_vars": workers},
                logging_level="ERROR",
                log_to_driver=False,
            )
            return
        except Exception as error:
            ray.shutdown()
            busy = any(words in str(error) for words in NOT_STARTED)
            if busy and left:
                continue
            remedy = "is its head overloaded? Try again" if busy else "start one with 'ray start --head'"
            raise ClusterError(
                f"--address {address}: no Ray cluster can be used there ({reason_of(error)}); {remedy}, or leave out "
                "--address"
            ) from error


def reason_of(error: Exception) -> str:
    """What it says in one line; of a traceback of the head's, its end."""
    said = str(error).strip()
    if "Traceback (most recent call last)" in said:
        said = said.splitlines()[-1]
    return " ".join(said.split())[:240] or type(error).__name__


def require_answer(address: str) -> None:
    """Raises ClusterError where nothing listens at HOST:PORT, or `address` is of another kind."""
    if address in ("auto", LOCAL):
        return
    if address.startswith(FAR) and find_spec("grpc") is None:
        raise ClusterError(f"--address {address}: ray:// needs one more package; pip install 'ray[client]'")
    host, _, port = address.removeprefix(FAR).rpartition(":")
    if address.startswith(FAR) and not host:
        host, port = port, "10001"
    if "://" in address.removeprefix(FAR) or not host or not port.isdigit():
        raise ClusterError(
            f"--address {address}: expected auto, HOST:PORT (6379 by default) or ray://HOST:PORT (10001 by default)"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"--address {address}: nothing answers there ({error}); is the cluster up, and its port open?"
        ) from error
