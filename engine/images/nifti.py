"""NIfTI-1 and NIfTI-2 in one file (`.nii`, `.nii.gz`): planes of the first two axes, as they are stored.

The first axis runs along a row, as image tools show it; all further axes are frames, the third fastest. Nothing is
turned or mirrored by the orientation that the header claims.
"""

import gzip
import logging
import math
from collections.abc import Iterator

import numpy as np

from engine.errors import DataError
from engine.images import limits
from engine.images.kept import Kept
from engine.images.planes import Opened, Plane, luma
from engine.images.source import Stream

_TO_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}
_TO_MS = {"sec": 1000.0, "msec": 1.0, "usec": 0.001}


def open_nifti(stream: Stream, shown: str) -> Opened:
    """The volume in a stream; only its header is read. Raises DataError, and as nibabel does."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)  # it would print what it finds odd
    packed = _unpacked(stream)
    start = packed.read(8)
    packed.seek(0)
    second = start[4:8] == b"n+2\0"
    header = (Nifti2Header if second else Nifti1Header).from_fileobj(packed, check=True)
    shape = tuple(int(side) for side in header.get_data_shape())
    if len(shape) < 2 or min(shape) < 1:
        raise DataError(f"{shown}: holds no plane of pixels (shape {shape}); save an image or a series of images")
    width, height = shape[:2]
    limits.check_size(height, width, shown)
    frames = math.prod(shape[2:])
    limits.check_frames(frames, shown)
    dtype = header.get_data_dtype()
    in_colour = dtype.names is not None
    if dtype.kind == "c" or (in_colour and dtype.names[:3] != ("R", "G", "B")) or dtype.itemsize > 16:
        raise DataError(f"{shown}: values of type {dtype} are no gray values; save them as 8-bit integers")
    plane_bytes = height * width * dtype.itemsize
    if packed is not stream:
        limits.check_unpacked(frames * plane_bytes, shown)
    offset = int(header.get_data_offset())
    zooms = [float(zoom) for zoom in header.get_zooms()]
    space, time = header.get_xyzt_units()

    def planes(which: range) -> Iterator[Plane]:
        volume = _unpacked(stream)
        for number in which:
            volume.seek(offset + number * plane_bytes)
            content = volume.read(plane_bytes)
            if len(content) < plane_bytes:
                raise DataError(f"{shown}: ends within frame {number + 1} of {frames}; copy or export it again")
            values = np.frombuffer(content, dtype).reshape(height, width)
            if in_colour:
                yield luma(np.stack([values[name] for name in ("R", "G", "B")], axis=-1))
            else:
                yield values

    return Opened(
        kept=Kept(
            format="NIfTI",
            frames=frames,
            height=height,
            width=width,
            source_height=height,
            source_width=width,
            spacing_mm=_spacing(zooms[1], zooms[0], space),
            frame_ms=_frame_ms(shape, zooms, time),
            notes=() if space in _TO_MM else _notes(zooms),
        ),
        planes=planes,
        is_deep=not in_colour and dtype != np.uint8,
    )


def _unpacked(stream: Stream) -> Stream | gzip.GzipFile:
    stream.seek(0)
    packed = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    return gzip.GzipFile(fileobj=stream, mode="rb") if packed else stream


def _spacing(down: float, across: float, unit: str) -> tuple[float, float] | None:
    """In mm, which is meant where no unit is named; 1 x 1 without a unit is what a header holds that says nothing."""
    if unit not in _TO_MM and down == across == 1:
        return None
    sides = (down * _TO_MM.get(unit, 1.0), across * _TO_MM.get(unit, 1.0))
    return sides if all(math.isfinite(side) and side > 0 for side in sides) else None


def _notes(zooms: list[float]) -> tuple[str, ...]:
    unknown = zooms[0] == zooms[1] == 1
    return ("the header names no unit: " + ("the pixel size is unknown" if unknown else "taken as millimetres"),)


def _frame_ms(shape: tuple[int, ...], zooms: list[float], unit: str) -> float | None:
    """Time between frames, where the fourth axis is the only one that counts them."""
    if len(shape) < 4 or shape[2] != 1 or unit not in _TO_MS:
        return None
    step = zooms[3] * _TO_MS[unit]
    return step if math.isfinite(step) and step > 0 else None
