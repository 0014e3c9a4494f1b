"""Files of the cache, written whole or not at all."""

import uuid
from contextlib import suppress
from pathlib import Path


def write_aside(path: Path, content: bytes) -> None:
    """Writes a hidden file beside `path`, then renames it: nobody ever sees half of it, whoever else writes it too.

    Makes the folder where there is none. Raises OSError where the disk refuses; what was there before is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".aside-{uuid.uuid4().hex}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        with suppress(OSError):  # where the writing itself failed, its error is the one to tell
            aside.unlink(missing_ok=True)
