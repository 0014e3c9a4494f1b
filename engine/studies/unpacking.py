"""A study out of one file that anybody may have made: nothing is written elsewhere, nothing in it is executed."""

import json
import lzma
import re
import shutil
import stat
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from engine.datasets import is_sound, load_cached
from engine.errors import DataError, StoreError
from engine.store import Lease, Store
from engine.store.files import Files, said
from engine.studies.changes import named, require_free_name
from engine.studies.packing import ABOUT, FORMAT
from engine.trial import RESULT_REVISION

LARGEST_BYTES = 50 * 10**9
"""Size of all that is unpacked."""
MOST_FILES = 500_000
MOST_TIMES = 200
"""Times its size that a packed file may become: results and images hardly shrink."""
LEAST_FREE_BYTES = 10**9
"""Of the disk, which stay free."""
LEFT_SECONDS = 86400.0
"""After which what an import that was killed has left is deleted."""
DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, IndexError,
    UnicodeDecodeError,
)  # fmt: skip
"""What a damaged zip raises; IndexError where a name leads nowhere. Damaged bzip2 is an OSError without a number."""
LONGEST_ABOUT = 100_000
"""Bytes of the description of a packed file."""
CHUNK = 2**20
_WORD = r"[A-Za-z0-9][A-Za-z0-9 ._,=-]{0,199}"
_STUDY = re.compile(
    r"study/(?:study\.yaml|facts\.json|progress\.json|plan\.parquet"
    rf"|(?:attempts|segments)/{_WORD}\.parquet"
    rf"|(?:weights|embeddings)/{_WORD}\.safetensors"
    rf"|maps/{_WORD}\.npz"
    rf"|previews/{_WORD}\.json"
    rf"|readers/{_WORD}\.(?:json|jsonl|csv))",
    re.ASCII,
)
"""Files that a study consists of; all of kinds that hold data and no code (npz files are read without pickle)."""
_DATA = re.compile(r"data/[0-9a-f]{64}/(?:images\.npy|masks\.npy|about\.json|[0-9a-f]{64}\.parquet)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """What came out of a packed file."""

    study: str
    files: int
    size_bytes: int
    notes: tuple[str, ...]
    """What should be known, a sentence each."""


def unpack(
    store: Store,
    file: Path | BytesIO,
    *,
    shown: str = "",
    name: str | None = None,
    cache: Path | None = None,
    largest: int = LARGEST_BYTES,
) -> Unpacked:
    """Put the study in `file` into the store, as `name` where its own is taken; images in it go into `cache`.

    Messages name the file as `shown`, a path by itself where that is empty.

    Raises StoreError where `file` is no packed study, was made by a later version, holds anything but a study's files,
    more than `largest` bytes or than there is room for, or where its name is taken.
    """
    if not store.files.local:
        raise StoreError(f"{store.files.root}: studies are imported into a local folder only")
    shown = shown or str(file)
    with _opened(file, shown) as packed:
        about = _about(packed, shown)
        members = _members(packed, shown, largest)
        study = name or str(about.get("study", ""))
        require_free_name(store, study)
        root = Path(store.files.root)
        notes = _notes(about)
        with said(root, "written"):
            root.mkdir(parents=True, exist_ok=True)
            _sweep(root)
            free = shutil.disk_usage(root).free - LEAST_FREE_BYTES
        if sum(member.file_size for member in members) > free:
            raise StoreError(
                f"{shown}: unpacked it takes more room than the {max(free, 0) / 1e9:.1f} GB that may be filled in "
                f"{root}"
            )
        with Lease(store.files, study):
            aside = root / f".import-{uuid.uuid4().hex}"
            try:
                with said(aside, "written"):
                    size = sum(_extract(packed, member, aside, shown) for member in members)
                    _check(aside, study, shown)
                    _keep_data(aside, cache, notes)
                    require_free_name(store, study)
                    (aside / "study").rename(root / study)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    return Unpacked(study=study, files=len(members), size_bytes=size, notes=tuple(notes))


@contextmanager
def _opened(file: Path | BytesIO, shown: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as packed:
            yield packed
    except FileNotFoundError as error:
        raise StoreError(f"{shown}: no such file") from error
    except DAMAGED as error:
        raise StoreError(
            f"{shown}: not a study that was exported, or damaged ({' '.join(str(error).split())})"
        ) from error
    except OSError as error:
        raise StoreError(f"{shown}: cannot be read ({error.strerror or error})") from error


def _about(packed: zipfile.ZipFile, shown: str) -> dict[str, Any]:
    try:
        if packed.getinfo(ABOUT).file_size > LONGEST_ABOUT:
            raise ValueError(ABOUT)
        with packed.open(ABOUT) as stream:
            about = dict(json.loads(stream.read(LONGEST_ABOUT)))
        made_by = int(about["format"])
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise StoreError(f"{shown}: not a study that was exported; whichlayers export makes such files") from error
    if made_by > FORMAT:
        raise StoreError(
            f"{shown}: format {made_by}, made by whichlayers {about.get('whichlayers', '?')}; this version reads up to "
            f"{FORMAT}: install a newer whichlayers"
        )
    return about


def _members(packed: zipfile.ZipFile, shown: str, largest: int) -> list[zipfile.ZipInfo]:
    """The files to unpack. Raises StoreError for anything that a packed study does not hold."""
    found = [member for member in packed.infolist() if member.filename != ABOUT]
    if len(found) > MOST_FILES:
        raise StoreError(f"{shown}: {len(found)} files; a study has at most {MOST_FILES}")
    seen = set[str]()
    for member in found:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if not (_STUDY.fullmatch(member.filename) or _DATA.fullmatch(member.filename)) or ".." in member.filename:
            raise StoreError(
                f"{shown}: holds '{member.filename[:80]!s}', which is no file of a study; it was not imported"
            )
        if kind not in (0, stat.S_IFREG) or member.flag_bits & 1:
            raise StoreError(f"{shown}: '{member.filename[:80]}' is a link or encrypted; it was not imported")
        if member.filename in seen:
            raise StoreError(f"{shown}: holds '{member.filename[:80]}' twice; it was not imported")
        seen.add(member.filename)
    if "study/study.yaml" not in seen:
        raise StoreError(f"{shown}: holds no study.yaml; it was not imported")
    size = sum(member.file_size for member in found)
    # By where its list of members begins, behind them: what it says of each may be made up.
    if size > max(MOST_TIMES * packed.start_dir, CHUNK):
        raise StoreError(f"{shown}: grows beyond {MOST_TIMES} times its size, as no study does; it was not imported")
    if size > largest:
        raise StoreError(f"{shown}: unpacked it takes {size / 1e9:.1f} GB; at most {largest / 1e9:g} GB are imported")
    return found


def _extract(packed: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, shown: str) -> int:
    """Write one member below `folder`, never more than its header says; gives its bytes."""
    target = folder / member.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with packed.open(member) as source, target.open("xb") as stream:
        while block := _part(source.read):
            written += len(block)
            if written > member.file_size:
                raise StoreError(f"{shown}: '{member.filename[:80]}' is longer than it says; it was not imported")
            stream.write(block)
    return written


def _part(read: Callable[[int], bytes]) -> bytes:
    try:
        return read(CHUNK)
    except OSError as error:  # bzip2 says so of damage
        if error.errno is None:
            raise zipfile.BadZipFile(str(error)) from error
        raise


def _sweep(root: Path) -> None:
    """Deletes what imports that were killed have left."""
    for left in root.glob(".import-*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _check(folder: Path, study: str, shown: str) -> None:
    """Raises StoreError where what was unpacked cannot be read as a study; gives it its name."""
    unpacked = Store(Files(folder))
    text = unpacked.study_text("study")
    if unpacked.plan("study").empty:
        raise StoreError(f"{shown}: the study in it was never planned; it was not imported")
    unpacked.facts("study")
    unpacked.files.write("study/study.yaml", named(text, study).encode())


def _keep_data(folder: Path, cache: Path | None, notes: list[str]) -> None:
    """Put decoded images into the cache where their content is what their name says."""
    for source in sorted((folder / "data").iterdir()) if (folder / "data").is_dir() else []:
        if cache is None:
            notes.append("Its images were left out: no cache was named.")
            continue
        if not _is_sound(source.name, folder):
            notes.append("Its images are damaged and were left out.")
            continue
        target = cache / "data" / source.name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)


def _is_sound(fingerprint: str, folder: Path) -> bool:
    """Whether images are what their fingerprint says."""
    try:
        found = load_cached(fingerprint, folder)
    except DataError:
        return False
    return is_sound(found)


def _notes(about: dict[str, Any]) -> list[str]:
    revision = about.get("result_revision")
    if revision == RESULT_REVISION:
        return []
    return [
        f"Its trials were trained by revision {revision} of the code, this is {RESULT_REVISION}: they are shown, "
        "and a run would train them anew."
    ]
