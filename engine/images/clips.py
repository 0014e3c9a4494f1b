"""Open any file that ultrasound is kept in: what it holds, and its frames one at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from engine.errors import DataError
from engine.images import limits
from engine.images.dicom import open_dicom
from engine.images.kept import Kept
from engine.images.kinds import HEAD_BYTES, kind_of
from engine.images.metaimage import open_metaimage
from engine.images.nifti import open_nifti
from engine.images.pictures import open_picture
from engine.images.planes import Opened, Plane
from engine.images.source import Stream, one_line, opened_stream, shown_name, unknown
from engine.images.video import open_video

_STRIP = 512  # rows


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A file that is open for reading: a picture (one frame), a clip or a volume."""

    kept: Kept
    """What was kept of it."""
    opened: Opened
    """Its reader."""
    shown: str
    """What messages call it."""

    @property
    def is_dicom(self) -> bool:
        """True where its header may name a person, so that no message repeats what it says."""
        return self.kept.format.startswith("DICOM")

    def planes(self, which: range | None = None, *, as_mask: bool = False) -> Iterator[Plane]:
        """The frames of these numbers (from 0; None for all) in the file's own values, ascending, after the cut.

        `as_mask` gives a number per colour. Raises DataError with one line; ends early where the file does.
        """
        read = (self.opened.masks or self.opened.planes) if as_mask else self.opened.planes
        source = read(range(self.kept.frames) if which is None else which)
        while True:
            with one_line(self.shown, quote=not self.is_dicom):
                plane = next(source, None)
                if plane is None:
                    return
                if self.kept.box is not None:
                    plane = self.kept.box.cut(plane)
                if plane.dtype.kind == "f" and not as_mask and not np.isfinite(plane).all():
                    raise DataError(f"{self.shown}: holds values that are not finite; save it as 8-bit or 16-bit PNG")
            yield plane

    @cached_property
    def scaled_range(self) -> tuple[float, float] | None:
        """Lowest and highest value over all frames, which become 0 and 255; None where values are 8-bit already.

        Reads the whole file once, where it is deeper than 8 bits.
        """
        *_, found = [None, *self.spans()]
        return found

    def spans(self) -> Iterator[tuple[float, float]]:
        """Lowest and highest value up to each frame, the last of them `scaled_range`; none where values are 8-bit.

        For whoever cannot wait for the whole file. Raises DataError with one line.
        """
        low, high = np.inf, -np.inf
        for plane in self.planes() if self.opened.is_deep else ():
            low, high = min(low, float(plane.min())), max(high, float(plane.max()))
            yield low, high

    def frames(
        self, which: range | None = None, *, scaled_range: tuple[float, float] | None = None
    ) -> Iterator[UInt8[np.ndarray, "height width"]]:
        """The frames of these numbers (from 0; None for all) as gray values, each decoded when it is asked for.

        Values deeper than 8 bits are scaled by the range of the whole file, so that a clip does not flicker:
        `scaled_range` where it is known already, else the file is read for it first. Raises DataError with one line.
        """
        for plane in self.planes(which):
            yield to_gray(plane, scaled_range or self.scaled_range)


@contextmanager
def open_clip(
    source: Path | Stream,
    *,
    name: str | None = None,
    salt: bytes | None = None,
    cut: bool = True,
    most: int = limits.MOST_FRAMES,
) -> Iterator[Clip]:
    """The file, open while the context lasts: a path, an open file or bytes in memory. Its type is that of its content.

    `name` stands in messages in place of the path. `salt` goes into the group's hash; None takes one of this process,
    so that groups can be compared within it and never be looked up. `cut` False keeps whole frames, text and all.
    `most` as of `open_video`.
    Sizes are checked before anything is decoded. Raises DataError with one line (file, what, remedy).
    """
    shown = shown_name(source, name)
    with _guarded_stream(source, shown) as stream:
        with one_line(shown):
            kind = kind_of(stream.read(HEAD_BYTES))
        if kind is None:
            raise unknown(shown)
        with one_line(shown, quote=kind != "DICOM"):
            opened = _open(kind, source, stream, shown, salt, most)
        try:
            yield Clip(kept=_cut(opened.kept) if cut else replace(opened.kept, box=None), opened=opened, shown=shown)
        finally:
            opened.close()


@contextmanager
def _guarded_stream(source: Path | Stream, shown: str) -> Iterator[Stream]:
    """The stream; what goes wrong when opening it is one line, what goes wrong later is not this function's."""
    opening = opened_stream(source, shown)
    with one_line(shown):
        stream = opening.__enter__()
    try:
        yield stream
    finally:
        opening.__exit__(None, None, None)


def _open(kind: str, source: Path | Stream, stream: Stream, shown: str, salt: bytes | None, most: int) -> Opened:
    if kind == "DICOM":
        return open_dicom(stream, shown, salt)
    if kind == "NIfTI":
        return open_nifti(stream, shown)
    if kind == "MetaImage":
        return open_metaimage(stream, shown, source if isinstance(source, Path) else None)
    if kind == "video":
        return open_video(source, shown, most)
    return open_picture(stream, shown)


def _cut(kept: Kept) -> Kept:
    """What is kept after the cut to the box."""
    box = kept.box
    if box is None:
        return kept
    away = 1 - box.height * box.width / (kept.source_height * kept.source_width)
    return replace(
        kept,
        height=box.height,
        width=box.width,
        cut_away=f"{100 * away:.0f} % of each {kept.source_width} x {kept.source_height} frame, outside the region "
        "that the header names",
    )


def to_gray(plane: Plane, ends: tuple[float, float] | None) -> UInt8[np.ndarray, "height width"]:
    """The plane as gray values; `ends` become 0 and 255, None leaves 8-bit values as they are."""
    if ends is None:
        return np.ascontiguousarray(plane)
    low, high = ends
    gray = np.empty(plane.shape, np.uint8)
    for top in range(0, len(plane), _STRIP):  # a strip at a time: as float64 a frame is eight times as large
        scaled = (plane[top : top + _STRIP].astype(np.float64) - low) * (255 / (high - low) if high > low else 0)
        gray[top : top + _STRIP] = np.rint(scaled).clip(0, 255)
    return gray
