"""Whole files, written at once or not at all, wherever they lie."""

import fcntl
import hashlib
import os
import posixpath
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from pyarrow import fs

from engine.errors import StoreError
from engine.store.places import ArrowPlace, Entry, Folder, Place

FETCHED_AT_ONCE = 16
SECOND = 10**9
"""Nanoseconds; servers tell times to the second."""


class Files:
    """Files under one root. A reader never sees half a file; files are not changed, only replaced.

    Names are relative, their parts apart by '/'. Every method raises StoreError for a name that could lead out of
    the root, and where the place refuses (no right, disk full, a file in the way, a server that does not answer).
    """

    def __init__(
        self,
        root: str | Path,
        file_system: fs.FileSystem | None = None,
        cache: Path | None = None,
        *,
        patient: bool = False,
    ) -> None:
        self.local = file_system is None and "://" not in str(root)
        self.root = str(Path(root).absolute()) if self.local else str(root)
        """The folder, or the address."""
        self.place: Place
        if file_system is not None:
            self.local = isinstance(file_system, fs.LocalFileSystem)
            self.place, self._base = Folder() if self.local else ArrowPlace(file_system), str(root)
        elif self.local:
            self.place, self._base = Folder(), self.root
        else:
            self.place, self._base = _remote(self.root, patient)
        self._cache = cache

    def patient(self) -> "Files":
        """The same files for who would rather wait than fail, where storage is away for a while."""
        return Files(self.root, cache=self._cache, patient=True) if self.root.startswith("s3://") else self

    def path(self, name: str) -> str:
        """Path of `name` in its place. Raises StoreError for names that could lead out of the root, or hold a NUL."""
        if "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise StoreError(f"{name!r} cannot be a name in {self.root}; expected one without '..', '.' or outer '/'")
        return posixpath.join(self._base, name)

    def write(self, name: str, content: bytes) -> None:
        """Put `content` under `name`, replacing what was there in one step."""
        path = self.path(name)
        with said(self._shown(path), "written"):
            self.place.write(path, content)

    def read(self, name: str) -> bytes | None:
        """The content of `name`, or None where there is no such file."""
        path = self.path(name)
        with said(self._shown(path), "read"):
            return self.place.read(path)

    def names(self, folder: str | None = None) -> list[tuple[str, bool]]:
        """(name, is a folder) of everything in `folder` (None is the root), sorted, without hidden files.

        Files that are being written are hidden ones.
        """
        return [(entry.name, entry.is_folder) for entry in self.entries(folder)]

    def entries(self, folder: str | None = None) -> list[Entry]:
        """Everything in `folder` as `names` lists it, with what changes when a file is replaced."""
        base = self._base if folder is None else self.path(folder)
        with said(self._shown(base), "listed"):
            return sorted(entry for entry in self.place.entries(base) if not entry.name.startswith("."))

    def move(self, name: str, to: str) -> None:
        """Put the file `name` under the name `to`, in place of what is there; nothing happens where it is gone."""
        path, target = self.path(name), self.path(to)
        with said(self._shown(path), "moved"), suppress(FileNotFoundError):
            self.place.move(path, target)

    def delete(self, name: str) -> None:
        """Remove the file `name`; nothing happens where it is gone already."""
        path = self.path(name)
        with said(self._shown(path), "deleted"), suppress(FileNotFoundError):
            self.place.delete(path)

    def delete_empty(self, folder: str) -> None:
        """Remove `folder` where nothing is in it, hidden files included; nothing happens otherwise."""
        path = self.path(folder)
        with said(self._shown(path), "deleted"):
            self.place.delete_empty(path)

    def local_path(self, name: str, entry: Entry | None = None) -> Path:
        """A path on this machine that holds `name`: itself, or its copy in the mirror, made once per machine.

        `entry` is what a listing said of it just now, which saves asking. Raises FileNotFoundError where there is no
        such file in a remote place.
        """
        path = self.path(name)
        if self.local:
            return Path(path)
        if self._cache is None:
            raise StoreError(f"{self.root} is not on this machine; name a folder to mirror it into")
        copy = self._cache / name
        if entry is None:
            with said(self._shown(path), "read"):
                entry = self.place.entry(path)
        if entry is None:
            raise FileNotFoundError(name)
        if not _is_copy(copy, entry):
            with alone(self._cache, name):
                if not _is_copy(copy, entry):
                    with said(self._shown(path), "read"):
                        content = self.place.read(path, fresh=True)
                    if content is None:
                        raise FileNotFoundError(name)
                    with said(copy, "written"):
                        _put(copy, content, entry.changed)
        return copy

    def mirror(self, entries: Sequence[tuple[str, Entry]]) -> None:
        """Copy what the mirror lacks of these (name, entry), several at once; nothing is done for local files."""
        if self.local or self._cache is None:
            return
        cache = self._cache
        lacking = [(name, entry) for name, entry in entries if not _is_copy(cache / name, entry)]
        if lacking:
            with ThreadPoolExecutor(FETCHED_AT_ONCE) as pool:
                list(pool.map(self._mirrored, *zip(*lacking, strict=True)))

    def _mirrored(self, name: str, entry: Entry) -> None:
        with suppress(FileNotFoundError):  # whoever wants it notices
            self.local_path(name, entry)

    def _shown(self, path: str) -> str:
        """A path in words: the address of what is not on this machine."""
        return path if self.local else f"{self.root.rstrip('/')}{path.removeprefix(self._base)}"


@contextmanager
def said(path: str | Path, what: str) -> Iterator[None]:
    """Turns an OSError into a StoreError of one line that names `path` and the remedy."""
    try:
        yield
    except OSError as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{path} cannot be {what} ({reason}); put it right or choose another --store") from error


@contextmanager
def alone(cache: Path, name: str) -> Iterator[None]:
    """Keeps two processes of a machine from fetching the same file."""
    lock = cache / ".locks" / hashlib.sha256(name.encode()).hexdigest()[:2]
    with said(lock, "locked"):
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        with suppress(OSError):  # without locks a file may be fetched twice, which harms nobody
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_copy(copy: Path, entry: Entry) -> bool:
    """Whether the mirror's file is what the entry tells of."""
    try:
        state = copy.stat()
    except OSError:
        return False
    return state.st_size == entry.size and state.st_mtime_ns // SECOND == entry.changed // SECOND


def _put(copy: Path, content: bytes, changed: int) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    aside = copy.with_name(f".{copy.name}.{uuid.uuid4().hex}")
    try:
        aside.write_bytes(content)
        os.utime(aside, ns=(changed, changed))
        aside.replace(copy)
    finally:
        with suppress(OSError):
            aside.unlink()


def _remote(uri: str, patient: bool) -> tuple[Place, str]:
    if uri.startswith("s3://"):
        from engine.store.s3 import bucket_of  # loads boto3, which local stores need not

        return bucket_of(uri, patient=patient)
    try:
        file_system, path = fs.FileSystem.from_uri(uri)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(
            f"{uri} cannot be opened ({reason}); choose another --store: a folder, or s3://bucket/folder"
        ) from error
    return ArrowPlace(file_system), path
