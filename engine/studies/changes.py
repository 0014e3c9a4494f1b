"""Rename, archive and delete studies that do not run."""

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from engine.config.checks import NAME
from engine.errors import StoreError
from engine.store import ARCHIVED, Lease, Store
from engine.store.files import said
from engine.studies.listing import files_of

WORDS = {
    "attempts": "results",
    "segments": "results",
    "weights": "weights",
    "embeddings": "embeddings",
    "maps": "embedding maps",
    "previews": "rankings of units",
    "readers": "answers of readers",
    "damaged": "damaged files",
}
"""What the folders of a study hold; all else is its settings."""
DELETED = ".deleted-"


@contextmanager
def idle(store: Store, study: str) -> Iterator[None]:
    """Holds the study's lease, so that no run begins meanwhile.

    Raises StoreError where there is no such study, where it runs, or where the store is not on this machine.
    """
    store.study_text(study)
    if store.progress(study)["alive"]:
        raise StoreError(f"study '{study}' is running; whichlayers stop {study} ends it, then try again")
    with Lease(store.files, study):
        yield


def rename(store: Store, study: str, to: str) -> None:
    """Give a study another name. Raises StoreError where that is taken or no name, and as `idle`."""
    if not store.files.local:
        raise StoreError(f"{store.files.root}: only studies in a folder can be renamed; export it and import it there")
    require_free_name(store, to)
    with idle(store, study), Lease(store.files, to):
        text = store.study_text(study)
        store.files.write(f"{study}/study.yaml", named(text, to).encode())
        source, target = Path(store.files.path(study)), Path(store.files.path(to))
        with said(source, "renamed"):
            source.rename(target)


def archive(store: Store, study: str) -> None:
    """Keep a study, but list it nowhere and refuse to run it. Raises as `idle`."""
    with idle(store, study):
        if not store.is_archived(study):
            store.files.write(f"{study}/{ARCHIVED}", datetime.now(UTC).isoformat(timespec="seconds").encode())


def unarchive(store: Store, study: str) -> None:
    """List a study again. Raises as `idle`."""
    with idle(store, study):
        store.files.delete(f"{study}/{ARCHIVED}")


def contents(store: Store, study: str) -> dict[str, tuple[int, int]]:
    """Files and bytes of a study by what they are, for who is about to delete it. Raises StoreError."""
    store.study_text(study)
    found: dict[str, tuple[int, int]] = {}
    for entry in files_of(store, study):
        folder = entry.name.split("/")[0] if "/" in entry.name else ""
        what = WORDS.get(folder, "settings and plan")
        files, size = found.get(what, (0, 0))
        found[what] = (files + 1, size + entry.size)
    return found


def delete(store: Store, study: str) -> None:
    """Delete a study with all that was trained; decoded images in the cache stay. Raises as `idle`."""
    with idle(store, study):
        if not store.files.local:
            store.files.delete(f"{study}/study.yaml")  # no longer listed from here on
            for entry in list(files_of(store, study)):
                store.files.delete(f"{study}/{entry.name}")
            return
        path = Path(store.files.path(study))
        root = Path(store.files.root)
        with said(path, "deleted"):
            path.rename(root / f"{DELETED}{uuid.uuid4().hex}")  # at once for whoever looks
            for folder in root.glob(f"{DELETED}*"):  # also those of a deletion that was cut off
                shutil.rmtree(folder)


def require_free_name(store: Store, name: str) -> None:
    """Raises StoreError where `name` is no name of a study, or there is a study or folder of that name."""
    if not NAME.fullmatch(name):
        raise StoreError(f"'{name}' cannot be a study's name; expected letters, digits, '-' and '_', 80 at most")
    if (name, True) in store.files.names():
        kept = " (archived)" if store.is_archived(name) else ""
        raise StoreError(f"there is a study '{name}'{kept} in {store.files.root} already; choose another name")


def named(text: str, name: str) -> str:
    """A study file under another name."""
    renamed, count = re.subn(r"(?m)\Aname:.*$|^name:.*$", f"name: {_quoted(name)}", text, count=1)
    return renamed if count else f"name: {_quoted(name)}\n{text}"


def _quoted(name: str) -> str:
    """In quotes, since `no` and `1` are names of studies but other words in YAML."""
    return f'"{name}"'
