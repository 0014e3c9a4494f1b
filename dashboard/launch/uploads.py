"""Images uploaded for a study: one zip, unpacked below the cache under the hash of its content."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import time
import uuid
import zipfile
from io import BytesIO
from pathlib import Path, PurePosixPath

from dashboard.kept_uploads import has_room
from engine.errors import DataError
from engine.images.kinds import FORMATS, HEAD_BYTES, is_image_name, kind_of
from engine.studies import DAMAGED

FOLDER = "uploads"
DATA = (".raw", ".zraw", ".img", ".csv")
"""Pixels whose header is a file of its own, and tables in whatever letters. Beside a MetaImage header pixels may have
any name."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""What no text holds."""
MOST_FILES = 200_000
MOST_BYTES = 50 * 2**30
"""Unpacked."""
MOST_TIMES = 200
"""Times its size that a zip may become: images hardly shrink."""
PART = 2**20
MOST_KEPT_BYTES = 100 * 2**30
"""Of all images that no study was launched with; beyond it the oldest go."""
KEPT_SECONDS = 7 * 86400.0
"""Of images that no study was launched with."""
LAUNCHED = ".launched"
"""Ends the name of the mark beside images that a study was launched with: they stay."""


def unpacked(file: BytesIO, name: str, cache: Path) -> Path:
    """The folder that an uploaded zip holds; a single folder inside stands for the whole.

    Nothing is written outside, links are refused, and the same file is unpacked once. Images, their data and tables are
    unpacked, told by their first bytes; what neither is stays in the zip. Raises DataError where it is no zip, holds
    neither, names places outside, grows beyond the limits or what the disk has free, or has names no file can have.
    """
    place = cache / FOLDER / _hash(file)
    if not place.is_dir():
        waiting = place.with_name(f"{place.name}.{uuid.uuid4().hex}.part")  # two may upload the same at once
        try:
            with zipfile.ZipFile(file) as archive:
                _unpack(archive, file.getbuffer().nbytes, name, waiting)
        except BaseException as error:
            shutil.rmtree(waiting, ignore_errors=True)
            if isinstance(error, DAMAGED) or (isinstance(error, OSError) and error.errno is None):
                raise DataError(f"{name}: a zip that cannot be read ({error}); zip the folder anew") from error
            if isinstance(error, OSError):
                if error.errno == errno.ENOSPC:
                    raise DataError(f"{name}: the server's disk is full; make room, or use a folder instead") from error
                reason = error.strerror or type(error).__name__
                raise DataError(
                    f"{name}: a file cannot be written ({reason}); shorten names, rename files named as folders"
                ) from error
            raise
        try:
            waiting.rename(place)
        except OSError:
            shutil.rmtree(waiting, ignore_errors=True)
            if not place.is_dir():  # else another upload of the same was first
                raise
        _make_room(cache / FOLDER, place)
    os.utime(place)  # of use again, as `sweep` sees it
    with zipfile.ZipFile(file) as archive:  # by all its names: what stays in the zip stood beside the folder, too
        tops = {_path(member).parts[0] for member in archive.infolist() if _path(member).parts}
    inside = [place / top for top in tops if top != "__MACOSX" and not top.startswith(".")]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else place


def keep(folder: str | None, cache: Path) -> None:
    """Marks images as those of a launched study, where they were uploaded: what is resumed must find them."""
    kept = cache.absolute() / FOLDER
    if folder is not None and Path(folder).absolute().is_relative_to(kept):
        name = Path(folder).absolute().relative_to(kept).parts[0]
        (kept / (name + LAUNCHED)).touch()


def sweep(cache: Path, *, older_than_seconds: float = KEPT_SECONDS) -> None:
    """Deletes uploaded images that no study was launched with, and what an unpacking that was killed has left."""
    kept = cache / FOLDER
    if not kept.is_dir():
        return
    for place in kept.iterdir():
        with contextlib.suppress(OSError):  # another server on the same cache was first
            if place.is_dir() and not (kept / (place.name + LAUNCHED)).exists():
                if time.time() - place.stat().st_mtime < older_than_seconds:
                    continue
                _delete(place)


def _make_room(kept: Path, newest: Path) -> None:
    """Deletes the uploads used longest ago that no study was launched with, until the rest has `MOST_KEPT_BYTES`."""
    found = []
    for place in kept.iterdir():
        with contextlib.suppress(OSError):
            if place.is_dir() and not (kept / (place.name + LAUNCHED)).exists():
                sizes = (path.lstat().st_size for path in place.rglob("*") if path.is_file())
                found.append((place == newest, place.stat().st_mtime, sum(sizes), place))
    left = sum(size for _, _, size, _ in found)
    for is_newest, _, size, place in sorted(found):
        if is_newest or left <= MOST_KEPT_BYTES:
            return
        with contextlib.suppress(OSError):
            _delete(place)
        left -= size


def _delete(place: Path) -> None:
    going = place.with_suffix(".part")  # what is half deleted is never taken for the upload
    if going != place:
        place.rename(going)
    shutil.rmtree(going, ignore_errors=True)


def _hash(file: BytesIO) -> str:
    file.seek(0)
    found = hashlib.sha256()
    while part := file.read(PART):
        found.update(part)
    file.seek(0)
    return found.hexdigest()[:24]


def _unpack(archive: zipfile.ZipFile, size: int, name: str, place: Path) -> None:
    # `size` of the file itself: what a zip says of its members may be made up.
    members = [member for member in archive.infolist() if not member.is_dir()]
    if not members:
        raise DataError(f"{name}: an empty zip; zip the folder with its images")
    if len(members) > MOST_FILES:
        raise DataError(f"{name}: {len(members):,} files; at most {MOST_FILES:,} can be uploaded, use a folder instead")
    left = min(MOST_BYTES, max(MOST_TIMES * size, PART))
    with_headers = {_path(member).parent for member in members if member.filename.lower().endswith(".mhd")}
    for member in members:
        path = _path(member)
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or stat.S_ISLNK(member.external_attr >> 16):
            raise DataError(f"{name}: '{member.filename}' leads outside of the zip; zip the folder anew")
        target = place.joinpath(*path.parts)
        with archive.open(member) as source:
            part = source.read(HEAD_BYTES)
            if path.parent not in with_headers and not _is_of_use(path.name, part):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                while part:
                    left -= len(part)
                    if left < 0:
                        raise DataError(f"{name}: grows beyond {MOST_TIMES} times its size; use a folder instead")
                    if not has_room(place):
                        raise DataError(f"{name}: the server's disk is nearly full; make room, or use a folder instead")
                    out.write(part)
                    part = source.read(PART)
    if not place.is_dir():
        raise DataError(f"{name}: holds no image and no table; zip the folder with its images ({FORMATS})")


def _path(member: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(member.filename.replace("\\", "/"))


def _is_of_use(name: str, head: bytes) -> bool:
    """Whether a file that begins so (`HEAD_BYTES`) is an image, the data of one, or a table.

    Damaged files that are named as images are, too: what looks through the folder names them.
    """
    if kind_of(head) or is_image_name(name) or name.lower().endswith(DATA):
        return True
    return not _CONTROL.search(head)
