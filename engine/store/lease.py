"""The lease that keeps two runs of one study apart."""

import json
import os
import socket
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from engine.errors import StoreError
from engine.store.files import Files


class Lease:
    """Held by one run of a study at a time: a file that is created exclusively and names its process.

    The lease of a process that is gone from this machine is taken over. Raises StoreError where another
    run holds it.
    """

    def __init__(self, files: Files, study: str) -> None:
        if not files.local:
            raise StoreError(f"{files.root}: runs need a local folder for their results; read-only use works anywhere")
        self._path = Path(files.root) / study / "lease.json"
        self._study = study

    def __enter__(self) -> "Lease":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(3):
            try:
                descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                holder = _holder(self._path)
                if _alive(holder):
                    raise StoreError(
                        f"study '{self._study}' is being run by process {holder['process']} on {holder['host']}; "
                        "wait for it, stop it with Ctrl-C, or give this run another --name"
                    ) from None
                # Only one of several heirs can rename it away; the others find no file and try again.
                stale = self._path.with_name(f".lease.{uuid.uuid4().hex}")
                try:
                    self._path.rename(stale)
                except FileNotFoundError:
                    continue
                stale.unlink()
                continue
            with os.fdopen(descriptor, "w") as stream:
                json.dump(_myself(), stream)
            return self
        raise StoreError(f"study '{self._study}': another run took the lease at the same moment; try again")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _holder(self._path).get("process") == os.getpid():
            self._path.unlink(missing_ok=True)


def is_running(files: Files, study: str) -> bool:
    """Whether a process that is alive holds the lease of `study`."""
    return files.local and _alive(_holder(Path(files.root) / study / "lease.json"))


def _myself() -> dict[str, Any]:
    process = psutil.Process()
    return {"process": process.pid, "born": process.create_time(), "host": socket.gethostname()}


def _holder(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content


def _alive(holder: dict[str, Any]) -> bool:
    """Whether the holder may still be at work; one on another host is taken to be."""
    if not holder:
        return False
    if holder["host"] != socket.gethostname():
        return True
    try:
        # A process number is used again after a while: the time of birth tells the two apart.
        return bool(abs(psutil.Process(holder["process"]).create_time() - holder["born"]) < 1.0)
    except psutil.NoSuchProcess:
        return False
