"""MP4, MOV, AVI, WebM, MPEG: by OpenCV, whose wheels carry FFmpeg under the LGPL. One frame in memory at a time."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engine.errors import DataError
from engine.images import limits
from engine.images.kept import Kept
from engine.images.kinds import VIDEO_BOXES
from engine.images.planes import Opened, Plane
from engine.images.source import Stream

# Formats are named so that no file, whatever it claims to be, makes FFmpeg open another file or an address.
_OPTIONS = (
    "protocol_whitelist;file"
    "|format_whitelist;mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpeg,mpegts,mpegvideo,h264,hevc"
    f"|max_pixels;{limits.LARGEST_PIXELS}"
)


def open_video(source: Path | Stream, shown: str, most: int = limits.MOST_FRAMES) -> Opened:
    """The clip in a file; bytes in memory are written aside for reading, and deleted by `close`. Raises DataError.

    Where the file names no number of frames, `most` are counted: a clip with more is refused, or with a `most` of one's
    own taken for one of so many.
    """
    path, close = (source, _nothing) if isinstance(source, Path) else _written_aside(source)
    try:
        kept = _kept(path, shown, most)
    except BaseException:
        close()
        raise

    def planes(which: range) -> Iterator[Plane]:
        import cv2

        with _capture(path, shown) as capture:
            place = 0
            for number in which:
                while place < number and capture.grab():
                    place += 1
                is_read, frame = capture.read()
                if place < number or not is_read:
                    return
                place += 1
                if frame.shape[:2] != (kept.height, kept.width):
                    raise DataError(f"{shown}: frames differ in size; save it again as one video")
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)

    return Opened(kept=kept, planes=planes, blurs=True, close=close)


def _kept(path: Path, shown: str, most: int) -> Kept:
    import cv2

    with _capture(path, shown) as capture:
        width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        limits.check_size(height, width, shown)
        frames, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
        code = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=False)
        is_exact = _names_its_frames(path)
        if not (is_exact and 1 <= frames <= limits.MOST_FRAMES):
            # MPEG and WebM name no number of frames, at most a time: they are counted.
            frames, last = 0, most + (most == limits.MOST_FRAMES)
            while frames < last and capture.grab():
                frames += 1
            limits.check_frames(int(frames), shown)
    codec = "".join(letter for letter in code.decode("ascii", "replace") if letter.isalnum())
    return Kept(
        format=f"video, {codec}" if codec else "video",
        frames=int(frames),
        height=height,
        width=width,
        source_height=height,
        source_width=width,
        frame_ms=1000 / rate if 0.1 <= rate <= 10_000 else None,
    )


def _names_its_frames(path: Path) -> bool:
    """True for MP4, MOV and AVI, whose tables hold every frame."""
    with path.open("rb") as stream:
        head = stream.read(12)
    return head[4:8] in VIDEO_BOXES or head[:4] == b"RIFF"


@contextmanager
def _capture(path: Path, shown: str) -> Iterator[Any]:
    """OpenCV's reader at the first frame. Raises DataError where there is no video that it can decode."""
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = _OPTIONS
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    try:
        if not capture.isOpened():
            raise DataError(
                f"{shown}: no video that can be decoded; truncated, or of an unknown codec: save it as H.264 in MP4"
            )
        yield capture
    finally:
        capture.release()


def _written_aside(stream: Stream) -> tuple[Path, Callable[[], None]]:
    """A file with the stream's content, and what deletes it."""
    stream.seek(0)
    with tempfile.NamedTemporaryFile(prefix="whichlayers-", suffix=".video", delete=False) as aside:
        path = Path(aside.name)

    def delete() -> None:
        with suppress(OSError):
            path.unlink()

    try:
        with path.open("wb") as writing:
            shutil.copyfileobj(stream, writing)
    except BaseException:
        delete()
        raise
    return path, delete


def _nothing() -> None:
    pass
