"""DICOM, single and multi-frame: uncompressed, RLE, JPEG, JPEG Lossless, JPEG-LS, JPEG 2000, HTJ2K, MPEG and H.264.

By pydicom and its plugins; 8-bit JPEG Lossless by Pillow, whose libjpeg-turbo decodes it since version 3. Frames are
read from the file one at a time.
"""

import io
import logging
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.errors import DataError
from engine.images.codestream import stream_size
from engine.images.dicom_header import DicomHeader, read_header
from engine.images.planes import Opened, Plane, luma
from engine.images.source import Stream
from engine.images.video import open_video

_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_RLE = "1.2.840.10008.1.2.5"
_JPEG_FAMILY = "1.2.840.10008.1.2.4."
_LOSSLESS = (f"{_JPEG_FAMILY}57", f"{_JPEG_FAMILY}70")
_JPEG_LS = (f"{_JPEG_FAMILY}80", f"{_JPEG_FAMILY}81")
_JPEG_2000 = tuple(_JPEG_FAMILY + number for number in ("90", "91", "201", "202", "203"))
_EXTENDED = f"{_JPEG_FAMILY}51"
_LOSSY = tuple(_JPEG_FAMILY + number for number in ("50", "51", "81", "91", "203"))
_STILL = tuple(
    _JPEG_FAMILY + number for number in ("50", "51", "57", "70", "80", "81", "90", "91", "201", "202", "203")
)
_VIDEO = tuple(
    f"{_JPEG_FAMILY}{number}{ending}" for number in range(100, 109) for ending in ("", ".1")
)  # MPEG-2, MPEG-4 AVC (H.264), HEVC; ".1" where a frame is in pieces
_UNDEFINED = 0xFFFFFFFF


def open_dicom(stream: Stream, shown: str, salt: bytes | None) -> Opened:
    """The frames in a DICOM stream, and what its header says that names nobody.

    Raises DataError, with the missing decoder's name where there is none for the file, and as pydicom does.
    """
    for name in ("pydicom", "pylibjpeg"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # they would print what headers hold
    header = read_header(stream, shown, salt)
    vr, length = _pixel_element(stream, header, shown)
    start = stream.tell()
    if header.syntax in _VIDEO:
        return _video(stream, header, shown)
    if header.syntax not in (*_NATIVE, *_STILL, _RLE):
        raise DataError(
            f"{shown}: no decoder for '{header.kept.format.removeprefix('DICOM, ')}'; save it uncompressed or as JPEG, "
            "such as with dcmconv or the scanner's export"
        )
    table = _palette(header) if header.photometric == "PALETTE COLOR" else None

    def planes(which: range) -> Iterator[Plane]:
        if header.syntax in _NATIVE:
            frames = _native_frames(stream, start, length, vr, header, which, shown)
        else:
            frames = _encoded_frames(stream, start, header, which, shown)
        for values, photometric in frames:
            yield _gray(values, photometric, header, table)

    return Opened(
        kept=header.kept,
        planes=planes,
        is_deep=header.samples == 1 and table is None and (header.bits_stored != 8 or header.is_signed),
        blurs=header.syntax in _LOSSY,
    )


def _pixel_element(stream: Stream, header: DicomHeader, shown: str) -> tuple[str, int]:
    """How the pixels are written and how many bytes they have; leaves the stream at the first of them."""
    order = "<" if header.syntax.is_little_endian else ">"
    start = stream.read(8)
    if len(start) < 8 or struct.unpack(f"{order}HH", start[:4]) != (0x7FE0, 0x0010):
        raise DataError(f"{shown}: DICOM without pixels; export the images, not the report")
    if header.syntax.is_implicit_VR:
        return "OW", struct.unpack(f"{order}L", start[4:])[0]
    return start[4:6].decode("ascii", "replace"), struct.unpack(f"{order}L", stream.read(4))[0]


def _options(header: DicomHeader) -> dict[str, Any]:
    return {
        "rows": header.rows,
        "columns": header.columns,
        "number_of_frames": 1,
        "samples_per_pixel": header.samples,
        "photometric_interpretation": header.photometric,
        "bits_allocated": header.bits_allocated,
        "bits_stored": header.bits_stored,
        "pixel_representation": int(header.is_signed),
        "planar_configuration": int(header.dataset.get("PlanarConfiguration") or 0),
        "pixel_keyword": "PixelData",
    }


def _native_frames(
    stream: Stream, start: int, length: int, vr: str, header: DicomHeader, which: range, shown: str
) -> Iterator[tuple[np.ndarray, str]]:
    from pydicom.pixels import get_decoder

    options = {**_options(header), "pixel_vr": vr if vr in ("OB", "OW") else "OW"}
    frame_bytes = header.rows * header.columns * header.samples * (header.bits_allocated // 8)
    if header.photometric == "YBR_FULL_422":
        if length >= header.frames * frame_bytes:
            options["photometric_interpretation"] = "YBR_FULL"  # it says 4:2:2, and holds every value
        else:
            frame_bytes = frame_bytes // 3 * 2
    if length < _UNDEFINED and length >= (header.frames + 1) * frame_bytes:
        raise DataError(
            f"{shown}: the header says {header.frames} frames of {header.columns} x {header.rows}, the pixels hold "
            f"{length // frame_bytes}; export it again"
        )
    decoder = get_decoder(header.syntax)
    for number in which:
        stream.seek(start + number * frame_bytes)
        content = stream.read(frame_bytes)
        if len(content) < frame_bytes:
            raise DataError(f"{shown}: ends within frame {number + 1} of {header.frames}; copy or export it again")
        values, said = decoder.as_array(content + b"\0" * (len(content) % 2), index=0, raw=True, **options)
        yield values, str(said["photometric_interpretation"])


def _encoded_frames(
    stream: Stream, start: int, header: DicomHeader, which: range, shown: str
) -> Iterator[tuple[np.ndarray, str]]:
    from pydicom.encaps import generate_frames

    stream.seek(start)
    wanted = iter(which)
    number = next(wanted, None)
    for place, encoded in enumerate(generate_frames(stream, number_of_frames=header.frames)):
        if number is None:
            return
        if place == number:
            yield _decoded(encoded, header, shown)
            number = next(wanted, None)
    if number is not None:
        raise DataError(f"{shown}: holds {place + 1} of {header.frames} frames; copy or export it again")


def _decoded(encoded: bytes, header: DicomHeader, shown: str) -> tuple[np.ndarray, str]:
    """One frame's values, and the photometric interpretation that they are in."""
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    options = _options(header)
    if header.syntax == _RLE:
        # No run of values takes more than 2 bytes per value; more would be a bomb.
        if len(encoded) > 2 * header.rows * header.columns * header.samples * (header.bits_allocated // 8) + 4096:
            raise DataError(f"{shown}: a frame is longer than it can be; export it again")
    else:
        size = stream_size(encoded, jpeg_2000=header.syntax in _JPEG_2000)
        if size is None:
            raise DataError(f"{shown}: a frame without a size of its own; copy or export it again")
        if (size.height, size.width, size.components) != (header.rows, header.columns, header.samples):
            raise DataError(
                f"{shown}: a frame of {size.width} x {size.height} pixels in {size.components} colours, where the "
                f"header says {header.columns} x {header.rows} in {header.samples}; export it again"
            )
        # Without its end, CharLS decodes for seconds before it gives up.
        if header.syntax in _JPEG_LS and b"\xff\xd9" not in encoded[-16:]:
            raise DataError(f"{shown}: a frame is cut off; copy or export it again")
        if header.syntax in _LOSSLESS and size.precision == 8:
            return _lossless(encoded), header.photometric
        if header.syntax in (_EXTENDED, *_LOSSLESS):
            if size.precision == 8:
                options["bits_stored"] = 8
            elif "gdcm" not in get_decoder(header.syntax).available_plugins:
                raise DataError(
                    f"{shown}: {size.precision}-bit JPEG needs a decoder that is not here; install python-gdcm, or "
                    "save it uncompressed"
                )
    values, said = get_decoder(header.syntax).as_array(encapsulate([encoded]), index=0, raw=True, **options)
    return values, str(said["photometric_interpretation"])


def _lossless(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded), formats=("JPEG",)) as image:
        if "jfif" in image.info or image.info.get("adobe_transform"):
            image.draft("YCbCr", image.size)  # values as they are: the header says what colours they mean
        return np.asarray(image)


def _gray(values: np.ndarray, photometric: str, header: DicomHeader, table: np.ndarray | None) -> Plane:
    if values.ndim == 3:
        if values.dtype != np.uint8:
            values = (values >> max(header.bits_stored - 8, 0)).astype(np.uint8)
        # The first of the three values of YBR is luma by ITU-R BT.601, which gray values are made by here.
        return values[..., 0] if photometric.startswith("YBR") else luma(values)
    if table is not None:
        return np.asarray(table[np.clip(values, 0, len(table) - 1)])
    if header.photometric == "MONOCHROME1":
        lightest = -1 if header.is_signed else 2**header.bits_stored - 1
        is_byte = header.bits_stored <= 8 and not header.is_signed
        return (lightest - values.astype(np.int64)).astype(np.uint8 if is_byte else np.int64)
    return values


def _palette(header: DicomHeader) -> np.ndarray:
    """Luma, 0 to 255, of each stored value."""
    from pydicom.pixels import apply_color_lut

    entries = np.arange(2 ** min(header.bits_stored, 16), dtype=np.uint16)
    colours = np.asarray(apply_color_lut(entries[None], header.dataset))
    if colours.dtype != np.uint8:
        colours = (colours >> 8).astype(np.uint8)
    return np.asarray(luma(colours)[0])


def _video(stream: Stream, header: DicomHeader, shown: str) -> Opened:
    """The video stream in the file, written aside for reading."""
    from pydicom.encaps import generate_fragments, parse_basic_offsets

    parse_basic_offsets(stream)
    with tempfile.NamedTemporaryFile(prefix="whichlayers-", suffix=".video", delete=False) as aside:
        path = Path(aside.name)
    try:
        with path.open("wb") as writing:
            for fragment in generate_fragments(stream):
                writing.write(fragment)
        opened = open_video(path, shown, 1)  # the header says how many frames there are
        kept = opened.kept
        if (kept.height, kept.width) != (header.rows, header.columns):
            raise DataError(
                f"{shown}: a video of {kept.width} x {kept.height} pixels, where the header says {header.columns} x "
                f"{header.rows}; export it again"
            )
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return replace(
        opened,
        kept=replace(header.kept, frame_ms=header.kept.frame_ms or kept.frame_ms),
        close=lambda: path.unlink(missing_ok=True),
    )
