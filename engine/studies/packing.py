"""A study as one file, to be kept or given away.

whichlayers.json                what the file is: format, versions, name, what it holds
study/...                       the study's folder
data/<fingerprint>/...          decoded images, only where that was asked for
"""

import json
import os
import uuid
import zipfile
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from engine.errors import StoreError
from engine.store import ARCHIVED, Store
from engine.store.files import said
from engine.studies.changes import idle
from engine.studies.listing import files_of
from engine.trial import RESULT_REVISION

FORMAT = 1
ABOUT = "whichlayers.json"
LEFT_OUT = ("requests/", "damaged/", "live.json", ARCHIVED)
"""What is of no use elsewhere."""
PACKED = (".yaml", ".json", ".jsonl", ".csv")
"""Endings of text, which is worth compressing; tables and tensors are compressed, or hardly can be."""


def pack(store: Store, study: str, file: Path, *, cache: Path | None = None) -> int:
    """Write the study into `file` (zip); gives its size in bytes. With `cache`, its decoded images, too.

    Raises StoreError where the study runs, where `file` is there already, or cannot be written.
    """
    if file.exists():
        raise StoreError(f"{file} is there already; choose another file")
    with idle(store, study):
        images = _images(store, study, cache) if cache is not None else []
        aside = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
        with said(file, "written"):
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write(store, study, aside, images)
                size = aside.stat().st_size
                os.link(aside, file)  # unlike a rename it never replaces a file that came meanwhile
            except FileExistsError as error:
                raise StoreError(f"{file} is there already; choose another file") from error
            except OSError:
                if not aside.exists():
                    raise
                aside.replace(file)  # a file system without links
            finally:
                with suppress(OSError):
                    aside.unlink()
    return size


def _write(store: Store, study: str, file: Path, images: list[tuple[Path, str]]) -> None:
    about = {
        "format": FORMAT,
        "whichlayers": version("whichlayers"),
        "result_revision": RESULT_REVISION,
        "study": study,
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": bool(images),
    }
    with zipfile.ZipFile(file, "x", zipfile.ZIP_STORED, allowZip64=True) as packed:
        packed.writestr(ABOUT, json.dumps(about, indent=1))
        for entry in files_of(store, study):
            if entry.name.startswith(LEFT_OUT):
                continue
            how = zipfile.ZIP_DEFLATED if entry.name.endswith(PACKED) else zipfile.ZIP_STORED
            packed.write(store.files.local_path(f"{study}/{entry.name}"), f"study/{entry.name}", how)
        for path, name in images:
            packed.write(path, name, zipfile.ZIP_DEFLATED)


def _images(store: Store, study: str, cache: Path) -> list[tuple[Path, str]]:
    """Files of the study's decoded images and their names in the packed file. Raises StoreError where they are gone."""
    fingerprint = str((store.facts(study).get("data") or {}).get("fingerprint", ""))
    folder = cache / "data" / fingerprint
    found = [path for path in sorted(folder.iterdir()) if path.is_file()] if fingerprint and folder.is_dir() else []
    if not found:
        raise StoreError(
            f"the images of '{study}' are not in the cache {cache}; run the study again, or leave them out"
        )
    return [(path, f"data/{fingerprint}/{path.name}") for path in found if not path.name.startswith(".")]
