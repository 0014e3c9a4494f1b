"""The lease that keeps two runs of one study apart."""

import fcntl
import json
import os
import socket
import time
from datetime import UTC, datetime
from errno import ENOLCK, ENOSYS, EOPNOTSUPP
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.errors import StoreError
from engine.store.files import Files, said

NO_LOCKS = (ENOLCK, ENOSYS, EOPNOTSUPP)
TRIES = 20
"""A page that asks whether a run is alive holds a shared lock for some microseconds; a run then tries again."""
WAIT_SECONDS = 0.025


class Lease:
    """Held by one run of a study at a time.

    In a folder: a lock of the kernel on a file that is never deleted. The kernel frees it with the process, however
    that ends, and knows it in every container that mounts the same folder of one host. What the file says (process,
    host, since) only names the holder: it stays when the lease is free. Subprocesses do not inherit it, since Python's
    descriptors close on exec. In a bucket: an object that is renewed (`engine.store.bucket_lease`). Raises StoreError
    where another run holds it, or where the place has no means to keep runs apart.
    """

    def __init__(self, files: Files, study: str) -> None:
        self._held: Any
        if files.local:
            self._held = _FileLock(_path(files, study), study)
        elif files.root.startswith("s3://"):
            from engine.store.bucket_lease import lease_of  # loads boto3, which local stores need not

            self._held = lease_of(files, _name(files, study), study)
        else:
            raise StoreError(f"{files.root}: runs need a local folder or s3:// for their results; reading works there")

    def __enter__(self) -> "Lease":
        self._held.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.give_back()

    @property
    def is_lost(self) -> bool:
        """Whether another run may have it by now, which happens to one in a bucket that cannot be reached."""
        return bool(self._held.lost)

    def require(self) -> None:
        """Raises StoreError where the lease was lost."""
        if self.is_lost:
            raise StoreError(f"{self._held.lost}; the same command goes on from what is stored")


class _FileLock:
    """A lease in a folder."""

    lost = ""
    """Never: the kernel keeps it."""

    def __init__(self, path: Path, study: str) -> None:
        self._path = path
        self._study = study
        self._descriptor: int | None = None

    def take(self) -> None:
        """Hold it from here on. Raises StoreError where another run does."""
        with said(self._path, "made"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            self._lock(descriptor)
            with said(self._path, "written"):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(_myself()).encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def give_back(self) -> None:
        """Let others run."""
        if self._descriptor is not None:
            # Unlocked by word, since a forked child may hold a copy of the descriptor.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, descriptor: int) -> None:
        for attempt in range(TRIES):
            if attempt:
                time.sleep(WAIT_SECONDS)
            with said(self._path, "locked"):
                if _locked(descriptor, fcntl.LOCK_EX):
                    return
        raise StoreError(
            f"study '{self._study}' is being run by {_holder(self._path)}; "
            f"wait for it with --wait, look on with whichlayers watch {self._study}, end it with whichlayers stop "
            f"{self._study}, or give this run another --name"
        )


def is_running(files: Files, study: str) -> bool:
    """Whether a run holds the lease of `study`. Makes no file.

    False where the file system has no locks: no run can hold a lease there.
    """
    if files.root.startswith("s3://"):
        from engine.store.bucket_lease import is_held

        return bool(is_held(files, _name(files, study)))
    if not files.local:
        return False
    path = _path(files, study)
    with said(path, "read"):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return not _locked(descriptor, fcntl.LOCK_SH)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return False
            raise
        finally:
            os.close(descriptor)


def _name(files: Files, study: str) -> str:
    """Beside the study's folder, not in it: who deletes the folder under a run does not free its lease."""
    files.path(study)
    return f".leases/{study}.json"


def _path(files: Files, study: str) -> Path:
    return Path(files.path(_name(files, study)))


def _locked(descriptor: int, kind: int) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _myself() -> dict[str, Any]:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"process": os.getpid(), "host": socket.gethostname(), "since": since}


def _holder(path: Path) -> str:
    """The holder in words, as its lease says, or as far as it has said yet."""
    try:
        holder = json.loads(path.read_text())
        return f"process {holder['process']} on {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
