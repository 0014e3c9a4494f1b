"""Who reads: a person under a name or pseudonym, with what is asked before the first frame."""

import hashlib
import math
import re
import unicodedata
from dataclasses import dataclass

from engine.errors import DataError

EXPOSURES = ("none", "a few", "many", "unknown")
"""How much of the study's images a reader had seen before (Cheng and Malhi 2017: had dictated a few of the studies)."""
LONGEST_NAME, LONGEST_NOTE = 60, 500
"""Letters."""
MOST_YEARS, MOST_EXAMINATIONS = 80.0, 10_000_000


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A person, as asked at the start."""

    name: str
    """Name or pseudonym; capitals and spaces make no other reader."""
    years: float
    """Years of experience with such images."""
    examinations: int
    """Such examinations that were done or read so far, about."""
    exposure: str
    """How much of the study's images was seen before: one of `EXPOSURES`."""
    note: str = ""
    """What else there is to say, such as a speciality."""


def tidy_name(name: str) -> str:
    """The name as it is shown: composed letters, single spaces."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def reader_id(name: str) -> str:
    """Name of the reader's file: plain letters of the name, and eight of its SHA-256 that keep readers apart.

    The same for names that differ in capitals and spaces only.
    """
    key = tidy_name(unicodedata.normalize("NFKC", name)).casefold()
    plain = unicodedata.normalize("NFKD", key).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:40].strip("-") or "reader"
    return f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def checked(reader: Reader) -> Reader:
    """The reader with a tidy name and note. Raises DataError with a line for each answer that cannot be kept."""
    name, note = tidy_name(reader.name), " ".join(reader.note.split())
    problems: list[str] = []
    if not name:
        problems.append("name: empty; give a name or a pseudonym")
    if len(name) > LONGEST_NAME:
        problems.append(f"name: {len(name)} letters; at most {LONGEST_NAME}")
    if not name.isprintable():
        problems.append("name: holds signs that cannot be printed; type it anew")
    if not (math.isfinite(reader.years) and 0 <= reader.years <= MOST_YEARS):
        problems.append(f"years of experience: {reader.years:g}; expected 0 to {MOST_YEARS:g}")
    if not 0 <= reader.examinations <= MOST_EXAMINATIONS:
        problems.append(f"examinations: {reader.examinations}; expected 0 to {MOST_EXAMINATIONS}")
    if reader.exposure not in EXPOSURES:
        problems.append(f"seen before: '{reader.exposure}'; expected one of {', '.join(EXPOSURES)}")
    if len(note) > LONGEST_NOTE or not note.isprintable():
        problems.append(f"note: at most {LONGEST_NOTE} printable letters; shorten it")
    if problems:
        raise DataError(problems)
    return Reader(name=name, years=reader.years, examinations=reader.examinations, exposure=reader.exposure, note=note)
