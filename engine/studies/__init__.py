"""Studies as things to keep: listed, renamed, archived, deleted, and carried as one file. Needs no torch."""

from engine.studies.changes import archive, contents, delete, idle, rename, unarchive
from engine.studies.listing import StudyRow, study_rows
from engine.studies.packing import pack
from engine.studies.unpacking import DAMAGED, Unpacked, unpack

__all__ = [
    "DAMAGED", "StudyRow", "Unpacked", "archive", "contents", "delete", "idle", "pack", "rename", "study_rows",
    "unarchive", "unpack",
]  # fmt: skip
