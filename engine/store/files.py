"""Whole files, written at once or not at all, on any pyarrow file system."""

import os
import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EEXIST, ENOTEMPTY
from pathlib import Path
from typing import NamedTuple

from pyarrow import fs

from engine.errors import StoreError


class Entry(NamedTuple):
    """A file or folder in a folder."""

    name: str
    is_folder: bool
    size: int = 0
    """Bytes; 0 of a folder."""
    changed: int = 0
    """When it was last written, in nanoseconds; 0 of a folder."""


class Files:
    """Files under one root. A reader never sees half a file; files are not changed, only replaced.

    Names are relative, their parts apart by '/'. On a local folder a file is written aside and renamed;
    elsewhere (S3) one PUT does the same. Every method raises StoreError for a name that could lead out of
    the root, and where the file system refuses (no right, disk full, a file in the way).
    """

    def __init__(self, root: str | Path, file_system: fs.FileSystem | None = None, cache: Path | None = None) -> None:
        if file_system is None:
            if "://" in str(root):
                file_system, path = _remote(str(root))
            else:
                file_system, path = fs.LocalFileSystem(), str(Path(root).absolute())
        else:
            path = str(root)
        self.file_system = file_system
        self.root = path
        self.local = isinstance(file_system, fs.LocalFileSystem)
        self._cache = cache

    def path(self, name: str) -> str:
        """Path of `name` on the file system. Raises StoreError for names that could lead out of the root."""
        if any(part in ("", ".", "..") for part in name.split("/")):
            raise StoreError(f"'{name}' cannot be a name in {self.root}; expected one without '..', '.' or outer '/'")
        return posixpath.join(self.root, name)

    def write(self, name: str, content: bytes) -> None:
        """Put `content` under `name`, replacing what was there in one step."""
        path = self.path(name)
        with said(path, "written"):
            if self.local:
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
            else:
                self.file_system.create_dir(posixpath.dirname(path), recursive=True)
                with self.file_system.open_output_stream(path) as stream:
                    stream.write(content)

    def read(self, name: str) -> bytes | None:
        """The content of `name`, or None where there is no such file."""
        path = self.path(name)
        with said(path, "read"):
            try:
                with self.file_system.open_input_file(path) as stream:
                    content: bytes = stream.read()
                    return content
            except FileNotFoundError:
                return None

    def names(self, folder: str | None = None) -> list[tuple[str, bool]]:
        """(name, is a folder) of everything in `folder` (None is the root), sorted, without hidden files.

        Files that are being written are hidden ones.
        """
        return [(entry.name, entry.is_folder) for entry in self.entries(folder)]

    def entries(self, folder: str | None = None) -> list[Entry]:
        """Everything in `folder` as `names` lists it, with what changes when a file is replaced."""
        base = self.root if folder is None else self.path(folder)
        with said(base, "listed"):
            found = _local_entries(base) if self.local else _entries(self.file_system, base)
        return sorted(entry for entry in found if not entry.name.startswith("."))

    def move(self, name: str, to: str) -> None:
        """Put the file `name` under the name `to`, in place of what is there; nothing happens where it is gone."""
        path, target = self.path(name), self.path(to)
        with said(path, "moved"), suppress(FileNotFoundError):
            self.file_system.create_dir(posixpath.dirname(target), recursive=True)
            self.file_system.move(path, target)

    def delete(self, name: str) -> None:
        """Remove the file `name`; nothing happens where it is gone already."""
        path = self.path(name)
        with said(path, "deleted"), suppress(FileNotFoundError):
            self.file_system.delete_file(path)

    def delete_empty(self, folder: str) -> None:
        """Remove `folder` where nothing is in it, hidden files included; nothing happens otherwise."""
        path = self.path(folder)
        with said(path, "deleted"):
            if self.local:
                try:
                    Path(path).rmdir()
                except FileNotFoundError:
                    pass
                except OSError as error:
                    if error.errno not in (ENOTEMPTY, EEXIST):
                        raise
            elif not self.file_system.get_file_info(fs.FileSelector(path, allow_not_found=True)):
                with suppress(FileNotFoundError):
                    self.file_system.delete_dir(path)

    def local_path(self, name: str) -> Path:
        """A path on this machine that holds `name`: itself, or its copy in the cache (files never change).

        Raises FileNotFoundError where it is to be copied and is not there.
        """
        path = self.path(name)
        if self.local:
            return Path(path)
        if self._cache is None:
            raise StoreError(f"{self.root} is not on this machine; name a folder to mirror it into")
        copy = self._cache / name
        if not copy.exists():
            content = self.read(name)
            if content is None:
                raise FileNotFoundError(name)
            Files(self._cache).write(name, content)
        return copy


@contextmanager
def said(path: str | Path, what: str) -> Iterator[None]:
    """Turns an OSError into a StoreError of one line that names `path` and the remedy."""
    try:
        yield
    except OSError as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{path} cannot be {what} ({reason}); put it right or choose another --store") from error


def _local_entries(base: str) -> list[Entry]:
    with suppress(FileNotFoundError), os.scandir(base) as found:
        return [_local_entry(entry) for entry in found]
    return []


def _local_entry(entry: "os.DirEntry[str]") -> Entry:
    if entry.is_dir():
        return Entry(entry.name, True)
    try:
        state = entry.stat()
    except FileNotFoundError:  # moved or deleted since it was listed
        return Entry(entry.name, False)
    return Entry(entry.name, False, state.st_size, state.st_mtime_ns)


def _entries(file_system: fs.FileSystem, base: str) -> list[Entry]:
    return [
        Entry(entry.base_name, True)
        if entry.type == fs.FileType.Directory
        else Entry(entry.base_name, False, entry.size or 0, entry.mtime_ns or 0)
        for entry in file_system.get_file_info(fs.FileSelector(base, allow_not_found=True))
    ]


def _remote(uri: str) -> tuple[fs.FileSystem, str]:
    try:
        file_system, path = fs.FileSystem.from_uri(uri)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(
            f"{uri} cannot be opened ({reason}); choose another --store: a folder, or s3://bucket/folder"
        ) from error
    return file_system, path
