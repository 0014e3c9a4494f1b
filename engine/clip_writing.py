"""Write frames as a clip that browsers play: VP8 in WebM, which OpenCV's wheels can encode (H.264 they cannot)."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from engine.errors import DataError

LONGEST = 640
"""Longest side of a written clip, in pixels: VP8 takes about 30 ms of a processor for a frame of 640 x 480."""
FRAME_MS = 40.0
"""Time of a frame where the source says none."""
SUFFIX = ".webm"

AddFrame = Callable[[UInt8[np.ndarray, "height width 3"]], None]


@contextmanager
def clip_writer(path: Path, *, frame_ms: float | None) -> Iterator[AddFrame]:
    """Gives a function that adds an RGB frame; all frames have the size of the first. One frame in memory at a time.

    Larger frames are reduced to `LONGEST`; sides become even, as VP8 wants them. `frame_ms` None is 25 frames per
    second; more than 60 and fewer than 1 per second are written as those. Raises DataError where the file cannot be
    written. Of a clip without frames no file is made.
    """
    import cv2

    writer: cv2.VideoWriter | None = None
    size = (0, 0)

    def add(frame: UInt8[np.ndarray, "height width 3"]) -> None:
        nonlocal writer, size
        if writer is None:
            size = clip_size(*frame.shape[:2])
            rate = 1000 / written_frame_ms(frame_ms)
            with _quiet():
                writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP80"), rate, size)
            if not writer.isOpened():
                raise DataError(f"{path}: cannot be written as a clip; choose a folder that can be written to")
        shown = frame if frame.shape[1::-1] == size else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        writer.write(cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))

    try:
        yield add
    finally:
        if writer is not None:
            writer.release()


def written_frame_ms(frame_ms: float | None) -> float:
    """How long a frame is shown in a written clip, where the source says `frame_ms`."""
    return min(1000.0, max(1000 / 60, frame_ms or FRAME_MS))


def clip_size(height: int, width: int) -> tuple[int, int]:
    """(width, height) of the written clip: at most `LONGEST`, even, at least 16."""
    scale = min(1.0, LONGEST / max(height, width))
    across, down = (max(16, round(side * scale / 2) * 2) for side in (width, height))
    return across, down


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the line that OpenCV prints for every WebM: that the format knows no tag of four letters."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
