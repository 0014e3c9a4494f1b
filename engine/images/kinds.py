"""What a file is, by its first bytes; and the endings by which a folder's images are found before any is opened."""

import gzip
import re
import zlib
from pathlib import Path
from typing import Literal

Kind = Literal["picture", "DICOM", "NIfTI", "MetaImage", "video"]
"""What a file is read as."""

HEAD_BYTES = 1024
"""First bytes of a file that `kind_of` looks at."""

READABLE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".dcm", ".dicom", ".nii", ".nii.gz", ".mhd", ".mha",
    ".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv", ".mpg", ".mpeg",
)  # fmt: skip
"""Endings of files that are taken for images or clips."""

FORMATS = "PNG, JPEG, TIFF or BMP image, GIF, DICOM, NIfTI or MetaImage file or video"
"""What can be read, for messages."""

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM", b"GIF87a", b"GIF89a")
VIDEO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
"""How an MP4 or MOV may begin, after 4 bytes of length."""
_STREAMS = (b"\x1a\x45\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")  # Matroska and WebM, MPEG
_TRANSPORT = 188  # bytes of a packet of an MPEG transport stream, each of which begins with 0x47
_META_KEY = re.compile(
    rb"\s*(ObjectType|ObjectSubType|NDims|Comment|TransformType|TransformMatrix|DimSize|BinaryData)\s*="
)
_DATA_ELEMENT = re.compile(rb"[\x02\x08]\0.\0[A-Z]{2}", re.DOTALL)


def image_suffix(name: str) -> str:
    """The ending that says what a file holds, in small letters: `.png`, `.nii.gz`; "" where there is none."""
    lower = name.lower()
    return ".nii.gz" if lower.endswith(".nii.gz") else Path(lower).suffix


def is_image_name(name: str) -> bool:
    """True where the file's ending is that of an image or clip; hidden files are no images."""
    return not name.startswith(".") and image_suffix(name) in READABLE_SUFFIXES


def is_image_file(path: Path) -> bool:
    """True for a file with the ending of an image, and for DICOM whose name says nothing, such as `IM_0001`."""
    if is_image_name(path.name):
        return True
    # A scanner's own names have no ending, or end in a number, being an address such as 1.2.840.113619.2.
    # DICOMDIR is the table of contents of a folder of DICOM.
    if path.name.startswith(".") or path.name == "DICOMDIR" or re.search(r"\.[A-Za-z]\w*$", path.name):
        return False
    try:
        with path.open("rb") as stream:
            return kind_of(stream.read(HEAD_BYTES)) == "DICOM"
    except OSError:
        return False


def kind_of(head: bytes) -> Kind | None:
    """What a file that begins with `head` is; None where it is nothing that can be read. Looks at no name."""
    if head[128:132] == b"DICM":
        return "DICOM"
    if head.startswith(_PICTURES):
        return "picture"
    if is_nifti(head) or (head.startswith(b"\x1f\x8b") and is_nifti(_unpacked(head))):
        return "NIfTI"
    if _META_KEY.match(head):
        return "MetaImage"
    if head[4:8] in VIDEO_BOXES or head.startswith(_STREAMS) or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return "video"
    if len(head) > 2 * _TRANSPORT and head[0] == head[_TRANSPORT] == head[2 * _TRANSPORT] == 0x47:
        return "video"
    return "DICOM" if _DATA_ELEMENT.match(head) else None  # written without the preamble, as old scanners do


def is_nifti(head: bytes) -> bool:
    """True for the first bytes of a NIfTI-1 or NIfTI-2 file, unpacked."""
    return head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"


def _unpacked(head: bytes) -> bytes:
    """What the first bytes of a gzip file unpack to, as far as they go."""
    try:
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(head, HEAD_BYTES)
    except (zlib.error, gzip.BadGzipFile):
        return b""
