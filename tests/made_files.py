"""Small files of every kind that the readers know, made by the libraries that others write them with."""

import base64
import gzip
import io
import struct
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence

ROWS, COLUMNS = 12, 16
_DOWN, _ACROSS = np.mgrid[0:ROWS, 0:COLUMNS]
GRAY = ((_ACROSS * 11 + _DOWN * 7) % 256).astype(np.uint8)
"""What the encoded frames below hold."""
COLOUR = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=-1)

NATIVE = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
HTJ2K = "1.2.840.10008.1.2.4.201"
JPEG_2000_PART_2 = "1.2.840.10008.1.2.4.92"
MPEG2 = "1.2.840.10008.1.2.4.100"
H264 = "1.2.840.10008.1.2.4.102"
HEVC = "1.2.840.10008.1.2.4.107"

PATIENT, NUMBER, STUDY = "Doe^Jane", "PAT-4711", "1.2.3.4"
"""Who the made DICOM files say they are of."""

# No library here writes these. GDCM 3.2.6, ImageChangeTransferSyntax to JPEGLosslessProcess14_1 of GRAY, of COLOUR, and
# of GRAY * 16 in 12 bits; OpenJPH 0.26.3 through imagecodecs 2026.3.6, htj2k_encode(GRAY) and of COLOUR.
LOSSLESS_GRAY = base64.b64decode(
    "/9j/wwALCAAMABABAREA/8QAFgABAQEAAAAAAAAAAAAAAAAABAMI/9oACAEBAAEAAM/rWta1rWta1rWu61rWta1rWta1ruta1rWta1rWta7rWta1"
    "rWta1rWu61rWta1rWta1ruta1rWta1rWta7rWta1rWta1rWu61rWta1rWta1ruta1rWta1rWta7rWta1rWta1rWu61rWta1rWta1ruta1rWta1rW"
    "ta//2Q=="
)
LOSSLESS_COLOUR = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/8MAEQgADAAQA1IRAEcRAEIRAP/EABgAAQEBAQEAAAAAAAAAAAAAAAQDAggH/9oADANSAEcAQgABAADn/wB/5/WS"
    "qyWWSqyWWSqyWWSqyWWSqyWWSqyWWSqyWWSt4bWSyyVWSyyVWSyyVWSyyVWSyyVWSyyVWSyyVWS14UWSqyWWSqyWWSqyWWSqyWWSqyWWSqyWWSqy"
    "WWSt4bWSyyVWSyyVWSyyVWSyyVWSyyVWSyyVWSyyVWS14UWSqyWWSqyWWSqyWWSqyWWSqyWWSqyWWSqyWWSt4bWSyyVWSyyVWSyyVWSyyVWSyyVW"
    "SyyVWSyyVWS14UWSqyWWSqyWWSqyWWSqyWWSqyWWSqyWWSqyWWSt4bWSyyVWSyyVWSyyVWSyyVWSyyVWSyyVWSyyVWS14UWSqyWWSqyWWSqyWWSq"
    "yWWSqyWWSqyWWSqyWWSt4bWSyyVWSyyVWSyyVWSyyVWSyyVWSyyVWSyyVWS14UWSqyWWSqyWWSqyWWSqyWWSqyWWSqyWWSqyWWSt4bWSyyVWSyyV"
    "WSyyVWSyyVWSyyVWSyyVWSyyVWS3/9kA"
)
LOSSLESS_DEEP = base64.b64decode(
    "/9j/wwALEAAMABABAREA/8QAFgABAQEAAAAAAAAAAAAAAAAACAcQ/9oACAEBAAEAAMsFgsFgsFgsFgsFgsFgsFgsLgsFgsFgsFgsFgsFgsFgsFgs"
    "LgsFgsFgsFgsFgsFgsFgsFgsLgsFgsFgsFgsFgsFgsFgsFgsLgsFgsFgsFgsFgsFgsFgsFgsLgsFgsFgsFgsFgsFgsFgsFgsLgsFgsFgsFgsFgsF"
    "gsFgsFgsLgsFgsFgsFgsFgsFgsFgsFgsLgsFgsFgsFgsFgsFgsFgsFgsLgsFgsFgsFgsFgsFgsFgsFgsLgsFgsFgsFgsFgsFgsFgsFgsLgsFgsFg"
    "sFgsFgsFgsFgsFgsP//ZAA=="
)
HTJ2K_GRAY = base64.b64decode(
    "/0//UQApQAAAAAAQAAAADAAAAAAAAAAAAAAAEAAAAAwAAAAAAAAAAAABBwEB/1AACAACAAAAAv9SAAwAAgABAAUEBEAB/1wAEyBIUFBQUFBQUFBQ"
    "UFBQSEhI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAGEAAf+TwCXfAId0AADAEsASgMgBB3QA9gCHdADAE0ARgKL4AIJ0AAYzAMAV"
    "EATgEMKgAjACdgDee8HJvrUAwCqgFWBERETngKenwncATJIk+hJ79knsuAD/2Q=="
)
HTJ2K_COLOUR = base64.b64decode(
    "/0//UQAvQAAAAAAQAAAADAAAAAAAAAAAAAAAEAAAAAwAAAAAAAAAAAADBwEBBwEBBwEB/1AACAACAAAAA/9SAAwAAgABAQUEBEAB/1wAEyBQWFhY"
    "WFhYWFhYWFhYUFBQ/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAUgAAf+TwBKA8QDHdADAEoALAYd0AMASgL8BB3QAAAAAwAlgBKD5"
    "AMd0AP0AR3QAwAlgBKAsAYd0ALIBB3QAwAlgBKCQAYd0AO4BB3QAwAlA6P0QUwDACaAEgBTKAQJ0AO0KMwDACaAEYEjkAQJ0AAozAMAJYATQAqDV"
    "qOJ0ANwD310lAED4Qff/FHYAwAqYAVIIgvygIjCCdgAsy7LAAAG+tgDACpgBUqIo/qAiMIJ2AL7v+8AAAb62AMAVkATwBVAwGPsZSFt2JQKBaQD+"
    "7jrrueYAAPCAETCYmGA4AMAWtAFsQBXgAAAAAAAAAAAAAN5JtZ04DQAsVK27AAAAAABAQEBAQEBAQHICDyAxwBoqVK28AAAAAAAAAAAGgBoqVK25"
    "AMAVcAVgSiml1OeKenACdwBaVVVV+nJ798nsuAD/2Q=="
)


def picture(array: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """A picture file."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **options)
    return stream.getvalue()


def jpeg_2000(array: np.ndarray) -> bytes:
    """A JPEG 2000 stream without loss and without the JP2 box around it; colour as YBR_RCT."""
    return picture(array, "JPEG2000", no_jp2=True, irreversible=False, mct=int(array.ndim == 3))


def jpeg_ls(array: np.ndarray) -> bytes:
    """A JPEG-LS stream without loss."""
    import jpeg_ls as encoder

    return bytes(encoder.encode_array(array))


def region(box: tuple[int, int, int, int], *, spacing_cm: float = 0.02, space: int = 1, unit: int = 3) -> Dataset:
    """An ultrasound region: left, top, right and bottom."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = space, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = unit
    item.PhysicalDeltaX = item.PhysicalDeltaY = spacing_cm
    return item


def deflated(size: int, *, behind: int = 0) -> bytes:
    """A deflated DICOM file that unpacks to `size` zeros; `behind` bytes stand before the element that says so."""
    padding = struct.pack("<HH2sHL", 2, 1, b"OB", 0, behind) + bytes(behind) if behind else b""
    syntax = b"1.2.840.10008.1.2.1.99"
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    told = padding + struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    return bytes(128) + b"DICM" + told + packer.compress(bytes(size)) + packer.flush()


def dicom(
    frames: Sequence[np.ndarray] = (GRAY,),
    *,
    syntax: str = NATIVE,
    encoded: Sequence[bytes] | None = None,
    regions: Sequence[Dataset] = (),
    with_preamble: bool = True,
    **elements: Any,
) -> bytes:
    """A DICOM file of a made patient. `encoded` are compressed frames or the fragments of a video."""
    first = np.asarray(frames[0])
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3.4.5"
    dataset.PatientName, dataset.PatientID, dataset.StudyInstanceUID = PATIENT, NUMBER, STUDY
    dataset.Modality, dataset.Manufacturer, dataset.ManufacturerModelName = "US", "Maker", "Model 7"
    dataset.Rows, dataset.Columns = first.shape[:2]
    dataset.SamplesPerPixel = first.shape[2] if first.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if first.ndim == 3 else "MONOCHROME2"
    if first.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * first.dtype.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(first.dtype.kind == "i")
    if len(frames) > 1:
        dataset.NumberOfFrames, dataset.FrameTime = len(frames), 40
    if regions:
        dataset.SequenceOfUltrasoundRegions = DicomSequence(regions)
    if encoded is None:
        content = b"".join(np.asarray(frame).tobytes() for frame in frames)
        dataset.PixelData = content + b"\0" * (len(content) % 2)
        dataset["PixelData"].VR = "OB" if first.dtype.itemsize == 1 else "OW"
    else:
        dataset.PixelData = encapsulate(list(encoded))
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    for name, value in elements.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    stream = io.BytesIO()
    little, implicit = syntax != BIG_ENDIAN, syntax == IMPLICIT
    if with_preamble:
        dataset.save_as(stream, enforce_file_format=True)
    else:
        del dataset.file_meta
        dataset.save_as(stream, implicit_vr=implicit, little_endian=little)
    return stream.getvalue()


def rle(frame: np.ndarray) -> bytes:
    """One RLE frame."""
    from pydicom.pixels.encoders import RLELosslessEncoder

    return bytes(
        RLELosslessEncoder.encode(
            frame, rows=frame.shape[0], columns=frame.shape[1], samples_per_pixel=1 if frame.ndim == 2 else 3,
            bits_allocated=8, bits_stored=8, pixel_representation=0, number_of_frames=1,
            photometric_interpretation="MONOCHROME2" if frame.ndim == 2 else "RGB", planar_configuration=0,
        )
    )  # fmt: skip


def nifti(
    volume: np.ndarray, *, packed: bool = False, spacing: Sequence[float] = (), second: bool = False, unit: str = "mm"
) -> bytes:
    """A NIfTI file of an array whose first axis runs along a row."""
    from nibabel.nifti1 import Nifti1Image
    from nibabel.nifti2 import Nifti2Image

    image = (Nifti2Image if second else Nifti1Image)(volume, np.eye(4), dtype=volume.dtype)
    if spacing:
        image.header.set_zooms(spacing)
    image.header.set_xyzt_units(unit, "sec")
    content = bytes(image.to_bytes())
    return gzip.compress(content) if packed else content


def metaimage(
    volume: np.ndarray, *, packed: bool = False, named: str = "LOCAL", spacing: Sequence[float] = (), big: bool = False
) -> bytes:
    """A MetaImage file of an array whose last axis runs along a row; with `named` the header alone."""
    kinds = {"u1": "MET_UCHAR", "i2": "MET_SHORT", "u2": "MET_USHORT", "f4": "MET_FLOAT"}
    sides = volume.shape[::-1]
    content = volume.astype(volume.dtype.newbyteorder(">")).tobytes() if big else volume.tobytes()
    if packed:
        content = zlib.compress(content)
    lines = [
        "ObjectType = Image",
        f"NDims = {len(sides)}",
        "BinaryData = True",
        f"BinaryDataByteOrderMSB = {big}",
        f"CompressedData = {packed}",
        *([f"ElementSpacing = {' '.join(map(str, spacing))}"] if spacing else []),
        f"DimSize = {' '.join(map(str, sides))}",
        f"ElementType = {kinds[volume.dtype.str[1:]]}",
        f"ElementDataFile = {named}",
    ]
    return ("\n".join(lines) + "\n").encode() + (content if named == "LOCAL" else b"")


def video(frames: Sequence[np.ndarray], ending: str = ".mp4", code: str = "mp4v", rate: float = 25) -> bytes:
    """A video file of gray frames, by OpenCV."""
    import cv2

    height, width = frames[0].shape
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip{ending}"
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), rate, (width, height))
        assert writer.isOpened()
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
        writer.release()
        return path.read_bytes()


def moving(frames: int = 6, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Frames whose brightness says their number: 20, 40, 60, ... with a darker band."""
    made = []
    for number in range(frames):
        frame = np.full((height, width), 20 * (number + 1) % 256, np.uint8)
        frame[:, : width // 4] //= 2
        made.append(frame)
    return made


def clip_frames(frames: int = 5) -> list[np.ndarray]:
    """Small frames that differ in every pixel."""
    return [(GRAY.astype(np.int64) + 10 * number).astype(np.uint8) for number in range(frames)]
