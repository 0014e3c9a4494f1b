"""One file of JSON lines that is only ever added to; a line is on disk when `append` returns."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from engine.errors import StoreError
from engine.reader_study.frames import fsync_folder
from engine.store.files import said
from engine.store.lease import NO_LOCKS

Record = dict[str, Any]
Line = tuple[int, Record | None]
"""Number in the file, from 1, and the record; None where the line cannot be read."""


def lines(content: bytes, first: int = 1) -> list[Line]:
    """The lines of a file that are not empty, numbered from `first`.

    A last line without an end is a record where it is whole, for then it was written in full.
    """
    return [
        (number, _record(line)) for number, line in enumerate(content.split(b"\n"), start=first) if line.strip(b"\0 ")
    ]


class Journal:
    """The file at `path`. Used by many threads and processes at once: who appends holds the kernel's lock on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = RLock()
        self._offset = 0
        self._ended = 0  # line ends before the offset
        self._torn = False  # the last line has no end
        self._descriptor: int | None = None
        self._file: tuple[int, int] | None = None

    @contextmanager
    def held(self) -> Iterator[list[Line]]:
        """Holds the file and gives what was added since it was last held; made where it is not there.

        Raises StoreError where it cannot be read or made, or is not the file any more that was held before.
        """
        with self._lock:
            with said(self.path, "written"):
                self._descriptor = self._opened()
            try:
                # A file system without locks has one server only: its threads are kept apart here.
                with suppress_no_locks():
                    fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                yield self._added()
            finally:
                os.close(self._descriptor)
                self._descriptor = None

    def append(self, record: Mapping[str, Any]) -> Line:
        """Adds a line, inside `held`. Raises StoreError where the disk does not take it: it does not count then."""
        assert self._descriptor is not None, "append inside `held`"
        line = json.dumps(dict(record), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with said(self.path, "written"):
            # What a killed server left of a line stays a line of its own.
            waiting = memoryview(b"\n" + line if self._torn else line)
            while waiting:
                waiting = waiting[os.write(self._descriptor, waiting) :]
            os.fsync(self._descriptor)
            self._offset = os.fstat(self._descriptor).st_size
        self._ended += 2 if self._torn else 1
        self._torn = False
        return self._ended, dict(record)

    def _opened(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        try:
            return os.open(self.path, flags)
        except FileNotFoundError:
            if self._file is not None:
                raise self._replaced() from None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, flags | os.O_CREAT, 0o666)
        fsync_folder(self.path.parent)
        return descriptor

    def _replaced(self) -> StoreError:
        return StoreError(f"{self.path} was replaced or cut while it was open; begin again under the same name")

    def _added(self) -> list[Line]:
        assert self._descriptor is not None
        with said(self.path, "read"):
            state = os.fstat(self._descriptor)
            content = os.pread(self._descriptor, max(state.st_size - self._offset, 0), self._offset)
        own = state.st_dev, state.st_ino
        if self._file not in (None, own) or state.st_size < self._offset:
            raise self._replaced()
        self._file = own
        found = lines(content, self._ended + 1)
        self._ended += content.count(b"\n")
        self._torn = not content.endswith(b"\n") if content else self._torn
        self._offset += len(content)
        return found


@contextmanager
def suppress_no_locks() -> Iterator[None]:
    """Goes on where the file system has no locks."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def _record(line: bytes) -> Record | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
