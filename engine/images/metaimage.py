"""MetaImage: `.mhd` with its `.raw` or `.zraw` beside it, and `.mha` with the pixels in it (CAMUS and ITK use it).

A header of lines `Key = value`, as https://itk.org/Wiki/ITK/MetaIO/Documentation describes. Planes of the first two
axes as they are stored, all further axes are frames.
"""

import math
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engine.errors import DataError
from engine.images import limits
from engine.images.kept import Kept
from engine.images.planes import Opened, Plane, luma
from engine.images.source import Stream, printable

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
_LONGEST_LINE = 64 * 2**10
_STEP = 2**20


def open_metaimage(stream: Stream, shown: str, beside: Path | None) -> Opened:
    """The image whose header is in a stream; `beside` is its own path, where a file of pixels may lie beside it.

    Raises DataError.
    """
    header, end = _header(stream, shown)
    sides = _numbers(header, "DimSize", shown)
    if len(sides) < 2 or any(side < 1 or side != int(side) for side in sides):
        raise DataError(f"{shown}: DimSize = {header.get('DimSize', '')} holds no plane of pixels; export it again")
    width, height = int(sides[0]), int(sides[1])
    limits.check_size(height, width, shown)
    frames = math.prod(int(side) for side in sides[2:])
    limits.check_frames(frames, shown)
    channels = int(header.get("ElementNumberOfChannels", "1"))
    code = _TYPES.get(header.get("ElementType", "").removesuffix("_ARRAY"))
    if code is None or channels not in (1, 3) or (channels == 3 and code != "u1"):
        raise DataError(
            f"{shown}: {channels} x {header.get('ElementType', 'no ElementType')} is not read; save gray values or "
            "8-bit RGB"
        )
    is_big = _is_true(header.get("BinaryDataByteOrderMSB", header.get("ElementByteOrderMSB", "False")))
    if not _is_true(header.get("BinaryData", "True")):
        raise DataError(f"{shown}: its pixels are written as text; save them as binary data")
    dtype = np.dtype("u1" if code == "u1" else (">" if is_big else "<") + code)
    is_packed = _is_true(header.get("CompressedData", "False"))
    plane_bytes = height * width * channels * dtype.itemsize
    if is_packed:
        limits.check_unpacked(frames * plane_bytes, shown)
    pixels, skipped = _pixel_file(header, end, shown, beside, plane_bytes * frames)

    def planes(which: range) -> Iterator[Plane]:
        with _opened(pixels, stream) as raw:
            raw.seek(skipped)
            source = _Unpacking(raw) if is_packed else raw
            start = 0 if is_packed else skipped
            for number in which:
                source.seek(start + number * plane_bytes)
                content = source.read(plane_bytes)
                if len(content) < plane_bytes:
                    raise DataError(f"{shown}: ends within frame {number + 1} of {frames}; copy or export it again")
                values = np.frombuffer(content, dtype)
                if channels == 3:
                    yield luma(values.reshape(height, width, 3))
                else:
                    yield values.reshape(height, width)

    return Opened(
        kept=Kept(
            format="MetaImage",
            frames=frames,
            height=height,
            width=width,
            source_height=height,
            source_width=width,
            spacing_mm=_spacing(header, shown),
        ),
        planes=planes,
        is_deep=code != "u1",
    )


def _header(stream: Stream, shown: str) -> tuple[dict[str, str], int]:
    """The header's keys and values, and the place after it."""
    header: dict[str, str] = {}
    stream.seek(0)
    while (line := stream.readline(_LONGEST_LINE)) and stream.tell() < limits.LARGEST_HEADER:
        key, equals, value = line.decode("ascii", "replace").partition("=")
        if not equals:
            break
        header[key.strip()] = printable(value, most=300)
        if key.strip() == "ElementDataFile":
            return header, stream.tell()
    raise DataError(f"{shown}: a MetaImage header without ElementDataFile; copy or export it again")


def _pixel_file(
    header: Mapping[str, str], end: int, shown: str, beside: Path | None, needed: int
) -> tuple[Path | None, int]:
    """The file that holds the pixels (None for the header's own), and how many bytes come before them."""
    named = header["ElementDataFile"]
    before = int(header.get("HeaderSize", "0"))
    if named in ("LOCAL", "Local", "local"):
        return None, end
    if beside is None:
        raise DataError(f"{shown}: its pixels lie in another file, '{named}'; save both as one .mha file")
    if named.startswith("LIST") or "%" in named or not named or Path(named).name != named or "\\" in named:
        raise DataError(f"{shown}: ElementDataFile = {named} is not a file beside it; save it as one .mha file")
    raw = beside.parent / named
    if not raw.is_file():
        raise DataError(f"{shown}: no file '{named}' beside it, which holds its pixels; copy both")
    if raw.resolve().parent != beside.resolve().parent:
        raise DataError(f"{shown}: '{named}' is a link to another folder; copy the file itself")
    size = raw.stat().st_size
    if size > limits.LARGEST_BYTES:
        raise DataError(f"{shown}: '{named}' has more than {limits.LARGEST_BYTES / 2**30:.0f} GiB; save fewer frames")
    # -1 says that the pixels are the end of the file, whatever comes before.
    return raw, max(size - needed, 0) if before == -1 else max(before, 0)


@contextmanager
def _opened(path: Path | None, stream: Stream) -> Iterator[Stream]:
    if path is None:
        yield stream
    else:
        with path.open("rb") as raw:
            yield raw


class _Unpacking:
    """A zlib stream that is read forwards, a piece at a time."""

    def __init__(self, raw: Stream) -> None:
        self._raw = raw
        self._unpacker = zlib.decompressobj()
        self._place = 0

    def seek(self, place: int) -> None:
        """Goes forwards to `place`; what lies between is unpacked and dropped."""
        while self._place < place and self.read(min(_STEP, place - self._place)):
            pass

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        pieces: list[bytes] = []
        while size > 0 and not self._unpacker.eof:  # what stands behind the stream is left where it is
            packed = self._unpacker.unconsumed_tail or self._raw.read(_STEP)
            piece = self._unpacker.decompress(packed, size)
            if not piece and not packed:
                break
            pieces.append(piece)
            size -= len(piece)
            self._place += len(piece)
        return b"".join(pieces)


def _numbers(header: Mapping[str, str], key: str, shown: str) -> list[float]:
    try:
        return [float(text) for text in header.get(key, "").split()]
    except ValueError:
        raise DataError(f"{shown}: {key} = {header[key][:60]} are not numbers; export it again") from None


def _spacing(header: Mapping[str, str], shown: str) -> tuple[float, float] | None:
    """Distance of rows and of columns in mm, MetaImage's unit."""
    sides = _numbers(header, "ElementSpacing" if "ElementSpacing" in header else "ElementSize", shown)
    if len(sides) < 2 or not all(math.isfinite(side) and side > 0 for side in sides[:2]):
        return None
    return sides[1], sides[0]


def _is_true(text: str) -> bool:
    return re.fullmatch(r"true|1|yes", text, re.IGNORECASE) is not None
