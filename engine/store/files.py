"""Whole files, written at once or not at all, on any pyarrow file system."""

import contextlib
import os
import posixpath
import uuid
from pathlib import Path

from pyarrow import fs

from engine.errors import StoreError


class Files:
    """Files under one root. A reader never sees half a file; files are not changed, only replaced.

    On a local folder a file is written aside and renamed; elsewhere (S3) one PUT does the same.
    """

    def __init__(self, root: str | Path, file_system: fs.FileSystem | None = None, cache: Path | None = None) -> None:
        if file_system is None:
            if "://" in str(root):
                file_system, path = fs.FileSystem.from_uri(str(root))
            else:
                file_system, path = fs.LocalFileSystem(), str(Path(root).absolute())
        else:
            path = str(root)
        self.file_system = file_system
        self.root = path
        self.local = isinstance(file_system, fs.LocalFileSystem)
        self._cache = cache

    def _path(self, name: str) -> str:
        return posixpath.join(self.root, name)

    def write(self, name: str, content: bytes) -> None:
        """Put `content` under `name`, replacing what was there in one step.

        Raises StoreError where the place cannot be written (no right, disk full).
        """
        path = self._path(name)
        try:
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
                    aside.unlink(missing_ok=True)
            else:
                self.file_system.create_dir(posixpath.dirname(path), recursive=True)
                with self.file_system.open_output_stream(path) as stream:
                    stream.write(content)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written ({error}); free some space or choose another --store"
            ) from error

    def read(self, name: str) -> bytes | None:
        """The content of `name`, or None where there is no such file."""
        try:
            with self.file_system.open_input_file(self._path(name)) as stream:
                content: bytes = stream.read()
                return content
        except FileNotFoundError:
            return None

    def names(self, folder: str, *, recursive: bool = False) -> list[tuple[str, bool]]:
        """(name below `folder`, is a folder) of everything in it, sorted; files being written are left out."""
        base = self._path(folder)
        found = self.file_system.get_file_info(fs.FileSelector(base, allow_not_found=True, recursive=recursive))
        entries = [(posixpath.relpath(entry.path, base), entry.type == fs.FileType.Directory) for entry in found]
        return sorted(entry for entry in entries if not posixpath.basename(entry[0]).startswith("."))

    def delete(self, name: str) -> None:
        """Remove `name`; nothing happens where it is gone already."""
        with contextlib.suppress(FileNotFoundError):
            self.file_system.delete_file(self._path(name))

    def delete_folder(self, name: str) -> None:
        """Remove the folder `name` with all that is in it."""
        with contextlib.suppress(FileNotFoundError):
            self.file_system.delete_dir(self._path(name))

    def local_path(self, name: str) -> Path:
        """A path on this machine that holds `name`: itself, or its copy in the cache (files never change)."""
        if self.local:
            return Path(self._path(name))
        if self._cache is None:
            raise StoreError(f"{self.root} is not on this machine; name a folder to mirror it into")
        copy = self._cache / name
        if not copy.exists():
            content = self.read(name)
            if content is None:
                raise FileNotFoundError(name)
            Files(self._cache).write(name, content)
        return copy
