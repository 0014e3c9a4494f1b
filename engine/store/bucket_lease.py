"""The lease of a study whose results lie in a bucket: an object that its holder writes anew every few seconds.

Each write is on condition that the object is still the one that the holder knows, so of two runs one wins. The age of
the object is told by the server's clock alone: clocks of machines need not agree.
"""

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from engine.errors import StoreError
from engine.store.files import Files, said
from engine.store.s3 import Bucket, Object

BEAT_SECONDS = 10.0
EXPIRES_SECONDS = 60.0
"""Age at which the holder is taken to be dead."""
LOST_SECONDS = 45.0
"""Time without a beat after which the holder itself gives up: sooner than anybody else may take over."""
TRIES = 5


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a lease."""

    process: int
    host: str
    since: str
    token: str
    """Its own, to know its writes by."""
    machine: str
    """Boot and process space; "" where the system does not tell."""
    began: float
    """When the process began, which tells it from a later one of the same number."""
    beat: int = 0
    is_free: bool = False
    """Given back."""

    def to_bytes(self) -> bytes:
        """As it stands in the bucket."""
        return json.dumps(asdict(self)).encode()


class BucketLease:
    """As `Lease`, for a bucket."""

    def __init__(self, bucket: Bucket, key: str, study: str, shown: str) -> None:
        self._bucket, self._key, self._study, self._shown = bucket, key, study, shown
        self._me = myself()
        self._version = ""
        self._ended = threading.Event()
        self.lost = ""
        """Why it is no longer ours."""
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    def take(self) -> None:
        """Hold it from here on. Raises StoreError where another run does, or the server knows no conditions."""
        for _ in range(TRIES):
            with said(self._shown, "read"):
                found = self._bucket.get(self._key)
            if found is not None and not is_free(found):
                self._refuse(found)
            version = self._write(None if found is None else found.version)
            if version is not None:
                break
        else:
            raise StoreError(f"study '{self._study}' is being started by another run as well; try again")
        self._version = version
        with said(self._shown, "written"):
            kept = self._bucket.write_if(self._key, self._me.to_bytes(), None)
        if kept is not None:
            raise StoreError(
                f"{self._shown}: this server has no conditional writes (If-None-Match), without which two runs would "
                "mix; choose another --store"
            )
        self._thread.start()

    def give_back(self) -> None:
        """Let others run."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if not self.lost:
            with suppress(OSError):  # it expires
                self._bucket.write_if(self._key, replace(self._me, is_free=True).to_bytes(), self._version)

    def _write(self, version: str | None) -> str | None:
        """The version that we wrote; None where another run was faster."""
        with said(self._shown, "written"):
            written = self._bucket.write_if(self._key, self._me.to_bytes(), version)
            if written is None and (found := self._bucket.get(self._key)) is not None:
                holder = holder_of(found)  # an earlier try of ours whose answer was lost on the way?
                written = found.version if holder is not None and holder.token == self._me.token else None
        return written

    def _beat(self) -> None:
        heard = time.monotonic()
        while not self._ended.wait(BEAT_SECONDS):
            self._me = replace(self._me, beat=self._me.beat + 1)
            try:
                version = self._write(self._version)
            except StoreError as error:
                if time.monotonic() - heard > LOST_SECONDS:
                    self.lost = (
                        f"study '{self._study}': its lease could not be renewed for {LOST_SECONDS:g} s ({error})"
                    )
                    return
                continue
            if version is None:
                self.lost = f"study '{self._study}': another run took over its lease, which was not renewed in time"
                return
            self._version, heard = version, time.monotonic()

    def _refuse(self, found: Object) -> None:
        holder = holder_of(found)
        by = f"process {holder.process} on {holder.host}" if holder else "another process"
        raise StoreError(
            f"study '{self._study}' is being run by {by}, last heard of {found.age_seconds:.0f} s ago (a run that died "
            f"is over after {EXPIRES_SECONDS:.0f} s); wait for it with --wait, look on with whichlayers watch "
            f"{self._study}, end it with whichlayers stop {self._study}, or give this run another --name"
        )


def lease_of(files: Files, name: str, study: str) -> BucketLease:
    """The lease of a study, not taken yet, for files in a bucket."""
    return BucketLease(_bucket(files), files.path(name), study, f"{files.root}/{name}")


def is_held(files: Files, name: str) -> bool:
    """Whether a run holds the lease. Raises StoreError."""
    with said(f"{files.root}/{name}", "read"):
        found = _bucket(files).look(files.path(name))
    return found is not None and not is_free(found)


def _bucket(files: Files) -> Bucket:
    if not isinstance(files.place, Bucket):
        raise StoreError(f"{files.root} is no bucket; only folders and s3:// keep runs apart")
    return files.place


def is_free(found: Object) -> bool:
    """Whether the lease was given back, or its holder is dead."""
    holder = holder_of(found)
    if holder is not None and holder.is_free:
        return True
    if found.age_seconds > EXPIRES_SECONDS:
        return True
    return holder is not None and holder.machine != "" and holder.machine == _machine() and not _lives(holder)


def holder_of(found: Object) -> Holder | None:
    """Who holds it; None where that cannot be read."""
    try:
        return Holder(**json.loads(found.content))
    except (ValueError, TypeError):
        return None


def myself() -> Holder:
    """This process as a holder."""
    return Holder(
        process=os.getpid(),
        host=socket.gethostname(),
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        token=uuid.uuid4().hex,
        machine=_machine(),
        began=psutil.Process().create_time(),
    )


def _machine() -> str:
    """What tells whether the number of a process means the same to two of them."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _lives(holder: Holder) -> bool:
    try:
        return abs(psutil.Process(holder.process).create_time() - holder.began) < 1.0
    except psutil.Error:
        return False
