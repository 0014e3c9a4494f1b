"""How much of a file is read at most, checked before anything is decoded: a small file can claim to be a large one."""

from engine.errors import DataError

LARGEST_PIXELS = 64_000_000
"""Pixels of the largest frame that is decoded (8,000 x 8,000)."""

LARGEST_BYTES = 4 * 2**30
"""Bytes of the largest file that is opened; a clip is read frame by frame, so this bounds time, not memory."""

LARGEST_HEADER = 32 * 2**20
"""Bytes of a DICOM or MetaImage header that are read in search of the pixels."""

LARGEST_UNPACKED = 4 * 2**30
"""Bytes that a compressed volume (.nii.gz, compressed MetaImage) may unpack to."""

MOST_FRAMES = 1_000_000
"""Frames of the longest clip: eleven hours at 25 a second."""


def check_size(height: int, width: int, shown: str) -> None:
    """Raises DataError where a frame is empty or too large to be decoded."""
    if height < 1 or width < 1:
        raise DataError(f"{shown}: claims frames of {width} x {height} pixels; export it again")
    if height * width > LARGEST_PIXELS:
        raise DataError(f"{shown}: more than {LARGEST_PIXELS:,} pixels, not decoded; reduce it or crop it to the scan")


def check_frames(frames: int, shown: str) -> None:
    """Raises DataError where a file claims no frame, or more than a clip can have."""
    if frames < 1:
        raise DataError(f"{shown}: holds no frame; export it again")
    if frames > MOST_FRAMES:
        raise DataError(f"{shown}: claims {frames:,} frames, more than {MOST_FRAMES:,}; cut the clip")


def check_unpacked(size: int, shown: str) -> None:
    """Raises DataError where a compressed volume would unpack to too many bytes."""
    if size > LARGEST_UNPACKED:
        raise DataError(
            f"{shown}: unpacks to {size / 2**30:.0f} GiB, more than {LARGEST_UNPACKED / 2**30:.0f}; save fewer frames"
        )
