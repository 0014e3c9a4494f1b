"""Ray's processes, started by a process of their own, in a folder of their own that goes when the run does.

Starting them in this process would fork it while it works on arrays, and a fork waits for ever for the threads of
OpenBLAS where another thread uses them. Nothing heavy is imported here: Ray comes up while this process loads PyTorch.
"""

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.errors import WhichLayersError
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
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",  # a trial that was stopped leaves its worker to the next one
}
STARTER = {"RAY_prestart_worker_first_driver": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
"""The starter is Ray's first driver, and needs neither workers nor what they would need."""
PATIENCE = {"RAY_gcs_rpc_server_reconnect_timeout_s": "20"}
"""Of a Ray of our own: without its GCS a run only waits for its end."""
LONGEST_FOLDER = 38
"""Letters of the folder's path: Ray puts sockets below it, whose paths may have 107."""
SHORT = Path("/tmp")
LOCK = "lock"
ABANDONED_SECONDS = 3600.0
"""Age at which a folder without a lock is no longer one that is being made."""
END_SECONDS = 30.0
"""Time that Ray has to end; then its processes are killed."""


class RayError(WhichLayersError):
    """Ray cannot be started on this machine as it is."""


class Starting:
    """A Ray that is coming up in `folder`, or is up; its daemons and workers inherit the starter's settings."""

    def __init__(self, cores: int, folder: Path, mark: Mapping[str, str]) -> None:
        self.folder, self._words = folder, folder / "starter.log"
        self._told: Mapping[str, str] = {}
        there, here = os.pipe()
        self._answer = os.fdopen(there)
        try:
            with self._words.open("w") as words:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", Path(__file__).with_name("starter.py"), str(here), str(cores), folder],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=words,
                    pass_fds=(here,),
                    env={**os.environ, **SETTINGS, **WORKERS, **STARTER, **PATIENCE, **mark},
                    start_new_session=True,  # Ctrl-C is for the run
                )
        except BaseException:
            self._answer.close()
            raise
        finally:
            os.close(here)

    def told(self) -> Mapping[str, str]:
        """Where Ray answers ("address"), once it does, and "auth", Ray's own word on tokens. Raises RayError."""
        if not self._told:
            line = self._answer.readline()
            self._told = json.loads(line) if line else {"problem": self._last_word()}
        if "problem" not in self._told and self._process.poll() is not None:
            self._told = {"problem": self._last_word()}
        if "problem" in self._told:
            raise RayError(
                f"Ray could not be started ({self._told['problem']}); is the machine very busy, or short of memory? "
                "Try again"
            )
        return self._told

    def end(self) -> None:
        """Ends Ray, and waits for it; one that is still coming up is killed, and what is left of it is the guard's."""
        if self._answer.closed:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            coming = select.poll()
            coming.register(self._answer)
            if not self._told and not coming.poll(0):
                self._process.kill()
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answer.close()

    def _last_word(self) -> str:
        lines = self._words.read_text(errors="replace").splitlines()
        return lines[-1][:200] if lines else "its starter was ended"


@contextmanager
def starting_ray(cores: int) -> Iterator[Starting]:
    """A Ray that gives trials so many cores, and begins to start.

    Nothing of it stays behind: its processes and its folder go with the block, and after `kill -9` at once.
    """
    with own_folder() as folder, _guarded(folder) as mark:
        starting = Starting(cores, folder, mark)
        try:
            yield starting
        finally:
            starting.end()


@contextmanager
def _guarded(folder: Path) -> Iterator[dict[str, str]]:
    """A process that ends what is left of Ray and removes `folder`, with the block or where this one is killed.

    Gives the environment variable by which it knows Ray's processes.
    """
    token = uuid.uuid4().hex
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")), token, str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the run
    )
    try:
        yield {MARK: token}
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait()


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
