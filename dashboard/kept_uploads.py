"""Uploaded frames and what was drawn of them, as files: how long they stay, and how much of them."""

import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

MOST_BYTES = 2 * 2**30
"""Of all frames and outlines together; the oldest go first."""
SPARED_SECONDS = 60.0
"""Files that are younger may still be looked at, and stay."""
LEAST_FREE_BYTES = 2**30
"""Of the disk; below it nothing is taken."""
LONGEST_SECONDS = 3600.0
"""Files that are older are deleted. Not by Gradio's `delete_cache`: its task ends for good at the first file that comes
while it looks through them."""
_SWEEPING = Lock()


def forget_deleted(names: Iterable[set[str]]) -> None:
    """Takes files that are gone out of Gradio's sets of the files that it made, which grow without end otherwise."""
    for known in names:
        # A copy is made in one step, while other threads add to the set.
        known.difference_update([name for name in known.copy() if not os.path.lexists(name)])


def sweep_frames(most_bytes: int | None = None) -> int:
    """Sweep the folder of the Live program; gives the bytes that are left."""
    from gradio.utils import get_upload_folder  # takes over a second to load, which no page has to wait for

    most = MOST_BYTES if most_bytes is None else most_bytes
    with _SWEEPING:
        return sweep(Path(get_upload_folder()), older_than_seconds=LONGEST_SECONDS, most_bytes=most)


def sweep(folder: Path, *, older_than_seconds: float, most_bytes: int = MOST_BYTES) -> int:
    """Delete files older than that, then the oldest until `most_bytes` are left; gives the bytes that are left.

    Also what an upload that broke off has left behind. Links are deleted, never followed.
    """
    now = time.time()
    found: list[tuple[float, int, Path]] = []
    for place, folders, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(place, name)
            try:
                about = path.lstat()
            except OSError:
                continue
            found.append((about.st_mtime, about.st_size, path))
        for name in folders:
            path = Path(place, name)
            if path.is_symlink():
                path.unlink(missing_ok=True)
                continue
            # A folder is made just before its file.
            if _age(path, now) > SPARED_SECONDS:
                _remove_if_empty(path)
    found.sort()
    left = sum(size for _, size, _ in found)
    for changed, size, path in found:
        age = now - changed
        if age <= older_than_seconds and (left <= most_bytes or age <= SPARED_SECONDS):
            break
        try:
            path.unlink(missing_ok=True)
        except OSError:
            continue
        left -= size
        if path.parent != folder:
            _remove_if_empty(path.parent)
    return left


def has_room(folder: Path) -> bool:
    """Whether the disk that holds `folder` has room for an upload."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    return shutil.disk_usage(there).free >= LEAST_FREE_BYTES


def _age(path: Path, now: float) -> float:
    try:
        return now - path.lstat().st_mtime
    except OSError:
        return 0.0


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return
