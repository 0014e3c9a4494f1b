"""One frame of a file as gray values, and one mask."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Num, UInt8

from engine.errors import DataError
from engine.images import limits
from engine.images.clips import Clip, open_clip, to_gray
from engine.images.kept import Kept
from engine.images.source import Stream, shown_name

FRAMES_SOON = 300
"""Of a video that somebody waits for a single frame of: a long one takes minutes to its middle."""
_FULL_VALUES = (1, 255, 65535)


@dataclass(frozen=True, kw_only=True)
class GrayImage:
    """One image file, or one frame of it, as gray values."""

    pixels: UInt8[np.ndarray, "height width"]
    """Gray values, 0 to 255."""
    scaled_range: tuple[float, float] | None
    """Lowest and highest value in the frame, where they were scaled to 0 and 255; None where values are the file's."""
    frame: int
    """Number of the frame in its file, from 0."""
    kept: Kept
    """What was kept of the file."""


def read_image(
    source: Path | Stream, *, name: str | None = None, frame: int | None = None, soon: bool = False
) -> GrayImage:
    """The gray image in a file or open stream, DICOM cut to its ultrasound region.

    `frame` counts from 0; None takes the middle one of a clip or volume (of an even number, the later of the two).
    Colour becomes luma (ITU-R BT.601); 8-bit values stay as they are, deeper ones are scaled by the frame's own range.
    `name` stands in messages in place of the path. Videos are decoded from their first frame on: with `soon` None takes
    the middle one of the first `FRAMES_SOON`. Raises DataError with one line (file, what, remedy).
    """
    with open_clip(source, name=name, most=FRAMES_SOON if soon else limits.MOST_FRAMES) as clip:
        number, values = _plane(clip, frame, as_mask=False, most=FRAMES_SOON if soon else limits.MOST_FRAMES)
        scaled = (float(values.min()), float(values.max())) if clip.opened.is_deep else None
        return GrayImage(pixels=to_gray(values, scaled), scaled_range=scaled, frame=number, kept=clip.kept)


def read_mask(
    source: Path | Stream, *, name: str | None = None, frame: int | None = None, value: int | None = None
) -> UInt8[np.ndarray, "height width"]:
    """The mask in a file or open stream: 1 on the structure, 0 elsewhere; at the file's size, never cut.

    Of two values the lower (darker) is background. A single value is an empty mask where it is 0, a mask of
    the whole image where it is the highest that masks use (1, 255, 65535); any other single value could mean
    either and is refused. JPEG is refused: its compression blurs the edge, no threshold is the annotator's.
    With `value` the structure is where the file holds it, whatever else it holds. `frame` as in `read_image`; a
    file of one frame has it for every number. Raises DataError with one line.
    """
    shown = shown_name(source, name)
    with open_clip(source, name=name, cut=False) as clip:
        if clip.opened.blurs:
            kind = "JPEG" if clip.kept.format in ("JPEG", "MPO") else clip.kept.format
            raise DataError(f"{shown}: a {kind} mask, whose edges compression has blurred; export the mask as PNG")
        _, values = _plane(clip, None if clip.kept.frames == 1 else frame, as_mask=True)
    if value is not None:
        return np.asarray(values == value, np.uint8)
    found = _distinct(values)
    if len(found) > 2:
        listed = ", ".join(f"{value:g}" for value in found[:8]) + (", ..." if len(found) > 8 else "")
        raise DataError(
            f"{shown}: {len(found)} distinct values in a mask ({listed}); expected two, such as 0 and 255: "
            "save one structure per mask file, without smoothing"
        )
    if len(found) == 1 and found[0] not in (0, *_FULL_VALUES):
        raise DataError(
            f"{shown}: the only value in the mask is {found[0]:g}, which could be structure or background; "
            "write 0 for background and 255 for the structure"
        )
    structure: Bool[np.ndarray, "height width"] = values == found[-1] if found[-1] > 0 else np.zeros(values.shape, bool)
    return structure.astype(np.uint8)


def _plane(
    clip: Clip, frame: int | None, *, as_mask: bool, most: int = limits.MOST_FRAMES
) -> tuple[int, Num[np.ndarray, "height width"]]:
    """Number and values of one frame; for None the middle one of the first `most`."""
    frames = clip.kept.frames
    if frame is not None and not 0 <= frame < frames:
        raise DataError(f"{clip.shown}: has no frame {frame + 1}; it has {frames}")
    number = min(frames, most) // 2 if frame is None else frame
    plane = next(clip.planes(range(number, number + 1), as_mask=as_mask), None)
    if plane is None and frame is None:
        # A video's header may claim more frames than there are.
        number = sum(1 for _ in clip.planes()) // 2
        plane = next(clip.planes(range(number, number + 1), as_mask=as_mask), None)
    if plane is None:
        raise DataError(f"{clip.shown}: ends before frame {number + 1} of {frames}; copy or export it again")
    return number, plane


def _distinct(values: Num[np.ndarray, "height width"]) -> Num[np.ndarray, " value"]:
    """The distinct values, ascending."""
    if values.dtype == np.uint8:
        return np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    return np.unique(values)
