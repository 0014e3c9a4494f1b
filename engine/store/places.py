"""Where the files of a store lie: a folder of this machine, or any pyarrow file system."""

import os
import posixpath
import uuid
from collections.abc import Iterable
from contextlib import suppress
from errno import EEXIST, ENOTEMPTY
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from pyarrow import fs


class Entry(NamedTuple):
    """A file or folder in a folder."""

    name: str
    is_folder: bool
    size: int = 0
    """Bytes; 0 of a folder."""
    changed: int = 0
    """When it was last written, in nanoseconds; 0 of a folder."""


@runtime_checkable
class Place(Protocol):
    """What files are kept by, each path absolute. Everything raises OSError where the place refuses.

    Files are written in one step: nobody sees half of one.
    """

    def write(self, path: str, content: bytes) -> None:
        """Put `content` there, in place of what was there, with the folders above it."""

    def read(self, path: str, *, fresh: bool = False) -> bytes | None:
        """The content, None where there is no such file; not what was read a moment ago where `fresh`."""

    def entries(self, path: str) -> Iterable[Entry]:
        """Everything in a folder, nothing where there is no such folder."""

    def entry(self, path: str) -> Entry | None:
        """The file with its size and time, None where there is none."""

    def move(self, path: str, target: str) -> None:
        """Put a file elsewhere, in place of what is there. Raises FileNotFoundError."""

    def delete(self, path: str) -> None:
        """Remove a file. May raise FileNotFoundError where it is gone already."""

    def delete_empty(self, path: str) -> None:
        """Remove a folder where nothing is in it."""


class Folder:
    """Files of this machine: written aside, made safe on the disk, and renamed."""

    def write(self, path: str, content: bytes) -> None:
        """As `Place`."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with aside.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(target)
        finally:
            # Where the write itself failed, its error is the one to tell.
            with suppress(OSError):
                aside.unlink()

    def read(self, path: str, *, fresh: bool = False) -> bytes | None:
        """As `Place`."""
        try:
            return Path(path).read_bytes()
        except FileNotFoundError:
            return None

    def entries(self, path: str) -> Iterable[Entry]:
        """As `Place`."""
        with suppress(FileNotFoundError), os.scandir(path) as found:
            return [_entry(entry) for entry in found]
        return []

    def entry(self, path: str) -> Entry | None:
        """As `Place`."""
        try:
            state = Path(path).stat()
        except FileNotFoundError:
            return None
        return Entry(Path(path).name, False, state.st_size, state.st_mtime_ns)

    def move(self, path: str, target: str) -> None:
        """As `Place`."""
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(path).replace(target)

    def delete(self, path: str) -> None:
        """As `Place`."""
        Path(path).unlink()

    def delete_empty(self, path: str) -> None:
        """As `Place`."""
        try:
            Path(path).rmdir()
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in (ENOTEMPTY, EEXIST):
                raise


class ArrowPlace:
    """Files of a pyarrow file system, where closing a stream puts the file there at once."""

    def __init__(self, file_system: fs.FileSystem) -> None:
        self._file_system = file_system

    def write(self, path: str, content: bytes) -> None:
        """As `Place`."""
        self._file_system.create_dir(posixpath.dirname(path), recursive=True)
        with self._file_system.open_output_stream(path) as stream:
            stream.write(content)

    def read(self, path: str, *, fresh: bool = False) -> bytes | None:
        """As `Place`."""
        try:
            with self._file_system.open_input_file(path) as stream:
                content: bytes = stream.read()
                return content
        except FileNotFoundError:
            return None

    def entries(self, path: str) -> Iterable[Entry]:
        """As `Place`."""
        found = self._file_system.get_file_info(fs.FileSelector(path, allow_not_found=True))
        return [self._told(each) for each in found]

    def entry(self, path: str) -> Entry | None:
        """As `Place`."""
        found = self._file_system.get_file_info(path)
        return self._told(found) if found.type == fs.FileType.File else None

    def move(self, path: str, target: str) -> None:
        """As `Place`."""
        self._file_system.create_dir(posixpath.dirname(target), recursive=True)
        self._file_system.move(path, target)

    def delete(self, path: str) -> None:
        """As `Place`."""
        self._file_system.delete_file(path)

    def delete_empty(self, path: str) -> None:
        """As `Place`."""
        if not self._file_system.get_file_info(fs.FileSelector(path, allow_not_found=True)):
            with suppress(FileNotFoundError):
                self._file_system.delete_dir(path)

    @staticmethod
    def _told(found: fs.FileInfo) -> Entry:
        if found.type == fs.FileType.Directory:
            return Entry(found.base_name, True)
        return Entry(found.base_name, False, found.size or 0, found.mtime_ns or 0)


def _entry(entry: "os.DirEntry[str]") -> Entry:
    if entry.is_dir():
        return Entry(entry.name, True)
    try:
        state = entry.stat()
    except FileNotFoundError:  # moved or deleted since it was listed
        return Entry(entry.name, False)
    return Entry(entry.name, False, state.st_size, state.st_mtime_ns)
