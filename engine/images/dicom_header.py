"""What a DICOM header says of its frames: size, ultrasound region, pixel size, frame time, scanner; and no name.

Patient and study become a salted hash here and go no further. Texts of the header appear in no message.
"""

import hashlib
import hmac
import math
import secrets
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import DataError
from engine.images import limits
from engine.images.kept import UNCUT, Box, Kept
from engine.images.source import Stream, printable

_TAGS = [
    "SOPClassUID", "Modality", "Manufacturer", "ManufacturerModelName", "PatientID", "IssuerOfPatientID",
    "StudyInstanceUID", "FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate",
    "SequenceOfUltrasoundRegions", "PixelSpacing", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel",
    "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
]  # fmt: skip
_DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_CENTIMETRE = 3  # Physical Units X Direction
_TWO_DIMENSIONAL = 1  # Region Spatial Format
_LONGEST_TEXT = 64
_SALT = secrets.token_bytes(32)


@dataclass(frozen=True, kw_only=True)
class DicomHeader:
    """The header of a DICOM file with frames, checked."""

    dataset: Any
    """pydicom's Dataset of the elements that are used here."""
    syntax: Any
    """Transfer syntax, pydicom's UID."""
    rows: int
    columns: int
    frames: int
    samples: int
    """Values per pixel, 1 or 3."""
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    photometric: str
    kept: Kept
    """What may be told; its box is the ultrasound region, not yet applied to height and width."""


def read_header(stream: Stream, shown: str, salt: bytes | None) -> DicomHeader:
    """The header, up to the pixels. Raises DataError, and as pydicom does.

    `salt` None takes one that lives as long as this process.
    """
    import pydicom

    stream.seek(0)
    guarded = _Guarded(stream, shown)
    dataset = pydicom.dcmread(guarded, specific_tags=_TAGS, stop_before_pixels=True, force=True)
    syntax = getattr(dataset.file_meta, "TransferSyntaxUID", None) or _implied_syntax(dataset)
    if syntax == _DEFLATED_FRAMES:
        raise _deflated(shown)
    if "Rows" not in dataset or "Columns" not in dataset:
        raise DataError(f"{shown}: DICOM without an image; export the images, not the report")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    limits.check_size(rows, columns, shown)
    frames = int(dataset.get("NumberOfFrames") or 1)
    limits.check_frames(frames, shown)
    samples, allocated = int(dataset.get("SamplesPerPixel") or 1), int(dataset.get("BitsAllocated") or 8)
    stored = int(dataset.get("BitsStored") or allocated)
    if samples not in (1, 3) or allocated not in (8, 16, 32) or not 1 <= stored <= allocated:
        raise DataError(
            f"{shown}: {samples} values per pixel of {stored} bits in {allocated} are not read; export it as 8-bit"
        )
    box, fits, notes = _region(dataset, rows, columns)
    return DicomHeader(
        dataset=dataset,
        syntax=syntax,
        rows=rows,
        columns=columns,
        frames=frames,
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        is_signed=bool(dataset.get("PixelRepresentation")),
        photometric=str(dataset.get("PhotometricInterpretation") or "MONOCHROME2").strip(),
        kept=Kept(
            format=f"DICOM, {printable(syntax.name, most=120)}",
            frames=frames,
            height=rows,
            width=columns,
            source_height=rows,
            source_width=columns,
            spacing_mm=_spacing(dataset, fits=fits),
            frame_ms=_frame_ms(dataset) if frames > 1 else None,
            scanner=_scanner(dataset),
            group=_group(dataset, salt or _SALT),
            box=box,
            notes=notes,
        ),
    )


class _Guarded:
    """A stream that refuses to be read on and on in search of the pixels, and to be unpacked whole."""

    def __init__(self, stream: Stream, shown: str) -> None:
        self._stream, self._shown, self._left = stream, shown, limits.LARGEST_HEADER
        self.seek, self.tell, self.close = stream.seek, stream.tell, lambda: None

    def read(self, size: int = -1) -> bytes:
        """As the stream's own; raises DataError past the limit, and for all that is left.

        pydicom asks for the rest of a file only to unpack a deflated one, however large it becomes, and whatever stands
        before the element that says so.
        """
        if size < 0:
            raise _deflated(self._shown)
        content = self._stream.read(min(size, self._left + 1))
        self._left -= len(content)
        if self._left < 0:
            raise DataError(
                f"{self._shown}: no pixels within the first {limits.LARGEST_HEADER / 2**20:.0f} MiB of the header; "
                "export it again"
            )
        return content


def _deflated(shown: str) -> DataError:
    return DataError(f"{shown}: deflated DICOM is not read; save it uncompressed or as JPEG, such as with dcmconv +te")


def _implied_syntax(dataset: Any) -> Any:
    """The transfer syntax of a file that names none, from how its elements were written."""
    from pydicom import uid

    implicit, little = dataset.original_encoding
    if not little:
        return uid.ExplicitVRBigEndian
    return uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian


def _regions(dataset: Any) -> Sequence[Any]:
    return list(dataset.get("SequenceOfUltrasoundRegions") or ())


def _main_region(dataset: Any) -> Any | None:
    """The largest two-dimensional region, of others the largest; None where the header names none."""
    regions = [region for region in _regions(dataset) if _corners(region) is not None]
    flat = [region for region in regions if region.get("RegionSpatialFormat") == _TWO_DIMENSIONAL]
    return max(flat or regions, key=_area, default=None)


def _corners(region: Any) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom, all inside the region."""
    names = ("MinX0", "MinY0", "MaxX1", "MaxY1")
    values = [region.get(f"RegionLocation{name}") for name in names]
    if any(value is None for value in values):
        return None
    left, top, right, bottom = (int(value) for value in values)
    return left, top, right, bottom


def _area(region: Any) -> int:
    left, top, right, bottom = _corners(region) or (0, 0, 0, 0)
    return (right - left) * (bottom - top)


def _region(dataset: Any, rows: int, columns: int) -> tuple[Box | None, bool, tuple[str, ...]]:
    """The part of the frame to keep (None for all of it), whether the header names it, and what should be known."""
    region = _main_region(dataset)
    if region is None:
        return None, False, (f"the header names no ultrasound region: {UNCUT}",)
    left, top, right, bottom = _corners(region) or (0, 0, 0, 0)
    # Exporters that count the last pixel as the one behind it are off by one.
    if not (0 <= left < right <= columns and 0 <= top < bottom <= rows):
        return (
            None,
            False,
            (
                f"the region in the header ({left}, {top} to {right}, {bottom}) does not fit the {columns} x {rows} "
                f"frame: {UNCUT}, and the pixel size is unknown",
            ),
        )
    right, bottom = min(right, columns - 1), min(bottom, rows - 1)
    box = Box(top=top, left=left, height=bottom - top + 1, width=right - left + 1)
    others = len(_regions(dataset)) - 1
    notes = (f"{others} further regions of the header were cut away or overlap",) if others else ()
    return (None if (box.height, box.width) == (rows, columns) else box), True, notes


def _spacing(dataset: Any, *, fits: bool) -> tuple[float, float] | None:
    """Distance of rows and of columns in mm: from the region that was kept, else the header's pixel spacing."""
    region = _main_region(dataset)
    if region is not None:
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        if not fits or units != (_CENTIMETRE, _CENTIMETRE):
            return None
        sides = [10 * abs(float(region.get(f"PhysicalDelta{axis}") or 0)) for axis in "YX"]
    else:
        sides = [float(side) for side in dataset.get("PixelSpacing") or ()]
    if len(sides) != 2 or not all(math.isfinite(side) and 0 < side < 1000 for side in sides):
        return None
    return sides[0], sides[1]


def _frame_ms(dataset: Any) -> float | None:
    time = float(dataset.get("FrameTime") or 0) or _middle_step(dataset.get("FrameTimeVector"))
    rate = float(dataset.get("CineRate") or dataset.get("RecommendedDisplayFrameRate") or 0)
    step = time or (1000 / rate if rate else 0)
    return step if math.isfinite(step) and step > 0 else None


def _middle_step(steps: Any) -> float:
    """The median of the times between frames, in ms; 0 where none is named."""
    # The first is 0: each is the time since the frame before.
    found = [float(step) for step in steps[1:]] if isinstance(steps, Sequence) and not isinstance(steps, str) else []
    return statistics.median(found) if found else 0.0


def _scanner(dataset: Any) -> str:
    parts = [str(dataset.get(name) or "").strip() for name in ("Manufacturer", "ManufacturerModelName")]
    return printable(" ".join(part for part in parts if part), most=_LONGEST_TEXT)


def _group(dataset: Any, salt: bytes) -> str:
    """A hash of the patient's number with who gave it, of the study where there is none; "" without either."""
    patient = str(dataset.get("PatientID") or "").strip()
    if patient:
        named = f"patient\0{dataset.get('IssuerOfPatientID') or ''}\0{patient}"
    else:
        study = str(dataset.get("StudyInstanceUID") or "").strip()
        if not study:
            return ""
        named = f"study\0{study}"
    return hmac.new(salt, named.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]
