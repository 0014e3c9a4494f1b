"""Which studies there are, how far they are, and what room they take."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from engine.store import ARCHIVED, Entry, Store


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """One study in the list."""

    name: str
    question: str
    state: str
    """`preparing`, `running`, `finished`, `stopped`, `failed`; `interrupted` where a run ended without a word, `begun`
    before any."""
    is_running: bool
    trials: int
    closed: int
    failed: int
    cancelled: int
    eta_seconds: float | None
    """Of a run at work."""
    size_bytes: int
    changed: str
    """When a file of it was last written: UTC, ISO 8601; "" where the store cannot tell."""
    archived: str
    """Since when it is archived, UTC; "" where it is not."""


def study_rows(store: Store, *, archived: bool = False) -> list[StudyRow]:
    """A row per study, those that run first, then those that changed last; with `archived` the archived ones."""
    rows = [_row(store, name) for name in store.studies(archived=archived)]
    rows.sort(key=lambda row: row.changed, reverse=True)
    return sorted(rows, key=lambda row: not row.is_running)


def files_of(store: Store, study: str) -> Iterator[Entry]:
    """Every file in the study's folder, its name relative to that; files that are being written are left out."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for entry in store.files.entries(f"{study}/{folder}".rstrip("/")):
            name = f"{folder}/{entry.name}".lstrip("/")
            if entry.is_folder:
                waiting.append(name)
            else:
                yield entry._replace(name=name)


def _row(store: Store, study: str) -> StudyRow:
    now = store.progress(study)
    alive = bool(now["alive"])
    state = str(now.get("state", "begun"))
    files = list(files_of(store, study))
    changed = max((entry.changed for entry in files), default=0)
    return StudyRow(
        name=study,
        question=_question(store, study),
        state="interrupted" if state in ("preparing", "running") and not alive else state,
        is_running=alive,
        trials=int(now.get("trials") or 0),
        closed=int(now.get("closed") or 0),
        failed=int(now.get("failed") or 0),
        cancelled=int(now.get("cancelled") or 0),
        eta_seconds=now.get("eta_seconds") if alive else None,
        size_bytes=sum(entry.size for entry in files),
        changed=datetime.fromtimestamp(changed / 1e9, UTC).isoformat(timespec="seconds") if changed else "",
        archived=(store.files.read(f"{study}/{ARCHIVED}") or b"").decode(errors="replace"),
    )


def _question(store: Store, study: str) -> str:
    try:
        return str(json.loads(store.files.read(f"{study}/facts.json") or b"{}").get("question", ""))
    except (ValueError, AttributeError):
        return ""
