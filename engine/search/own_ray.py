"""A Ray of our own for one run, in a folder of its own that goes when the run does, however that ends."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import ray

from engine.errors import WhichLayersError
from engine.hardware import Share
from engine.search.guard import MARK

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C stops at once: every finished trial is stored already
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # our line of trials limits them
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints although it is told not to
}
WORKERS = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",  # a trial that was stopped leaves its worker to the next one
}
PATIENCE = {"RAY_gcs_rpc_server_reconnect_timeout_s": "20"}
"""Of a Ray of our own: without its GCS a run only waits for its end."""
OBJECT_STORE_BYTES = 100 * 2**20
"""Data travel as mapped files, not through Ray's object store, which is small in containers."""
START_TRIES = 3
LONGEST_FOLDER = 38
"""Letters of the folder's path: Ray puts sockets below it, whose paths may have 107."""
SHORT = Path("/tmp")
LOCK = "lock"
ABANDONED_SECONDS = 3600.0
"""Age at which a folder without a lock is no longer one that is being made."""


class RayError(WhichLayersError):
    """Ray cannot be started on this machine as it is."""


@contextmanager
def own_ray(portion: Share, room: int) -> Iterator[Path]:
    """A Ray with room for so many trials at once; gives a folder for what Tune writes.

    Nothing of it stays behind: its processes and its folder go with the block, and after `kill -9` at once. Where this
    process is connected to a Ray already, that one is used and stays.
    """
    os.environ.update(SETTINGS)
    ended_by = signal.getsignal(signal.SIGTERM)
    with own_folder() as folder, ExitStack() as stack:
        if ray.is_initialized():
            yield folder
            return
        stack.enter_context(_guarded(folder))
        _start(portion, room, folder)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ended_by)  # Ray puts an exit of its own there, which looks like a failure
        try:
            yield folder
        finally:
            ray.shutdown()


@contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """A process that ends Ray's processes and removes `folder` where this one dies without a word."""
    token = uuid.uuid4().hex
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")), token, str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the run
    )
    os.environ[MARK] = token
    try:
        yield
    finally:
        del os.environ[MARK]
        guard.kill()  # Ray has ended its own
        guard.wait()
        if guard.stdin is not None:
            guard.stdin.close()


def _start(portion: Share, room: int, folder: Path) -> None:
    """Starts Ray; once more where a busy machine takes longer than Ray waits for itself. Raises RayError.

    Workers inherit their settings from its daemons: with a `runtime_env` Ray's first workers would be of no use.
    """
    with _environment({**WORKERS, **PATIENCE, "OMP_NUM_THREADS": str(portion.threads)}):
        _try_to_start(portion, room, folder)


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


def _try_to_start(portion: Share, room: int, folder: Path) -> None:
    for left in reversed(range(START_TRIES)):
        try:
            ray.init(
                address="local",
                num_cpus=portion.cpu * room,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                logging_level="ERROR",
                log_to_driver=False,
                _temp_dir=str(folder),
            )
            return
        except Exception as error:
            ray.shutdown()
            if not left:
                reason = " ".join(str(error).split())[:200]
                raise RayError(
                    f"Ray could not be started ({reason}); is the machine very busy, or short of memory? Try again"
                ) from error


@contextmanager
def own_folder(base: Path | None = None) -> Iterator[Path]:
    """A new folder in the temporary folder, removed with the block; those of runs that were killed go first.

    A kernel lock on a file in it tells that its run is alive.
    """
    base = base or _base()
    remove_abandoned(base)
    name = uuid.uuid4().hex[:8]
    made = base / f".{name}"
    made.mkdir(mode=0o700)
    descriptor = os.open(made / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    folder = base / name
    try:
        with suppress(OSError):  # without locks nobody can tell, and nobody removes it but this process
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        made.rename(folder)
        yield folder
    finally:
        _remove(folder)
        os.close(descriptor)


def remove_abandoned(base: Path) -> list[str]:
    """Remove the folders of runs that are gone; gives their names."""
    gone = []
    for folder in sorted(base.iterdir()):
        with suppress(OSError):
            if not folder.is_dir() or folder.is_symlink():
                continue
            if folder.name.startswith(".") or not (folder / LOCK).exists():
                if time.time() - folder.stat().st_mtime > ABANDONED_SECONDS:
                    _remove(folder)
                    gone.append(folder.name)
                continue
            descriptor = os.open(folder / LOCK, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its run is alive
                _remove(folder)
                gone.append(folder.name)
            finally:
                os.close(descriptor)
    return gone


def _base() -> Path:
    """The folder of this user's runs in the temporary folder, or a short one where its path leaves no room."""
    own = f"whichlayers-{os.getuid()}"
    for parent in (Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()), SHORT):
        if len(str(parent / own / "12345678")) > LONGEST_FOLDER:
            continue
        base = parent / own
        with suppress(OSError):
            base.mkdir(mode=0o700, exist_ok=True)
            # Anybody may write to the temporary folder: one that another user put there is not ours.
            if not base.is_symlink() and base.stat().st_uid == os.getuid():
                return base
    return Path(tempfile.mkdtemp(prefix="wl-", dir=SHORT))


def _remove(folder: Path) -> None:
    for _ in range(3):  # Ray's last processes may write while it is removed
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.2)
