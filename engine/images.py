"""Read one image or mask file as an array, and bring arrays to the network's square. Needs no torch.

PNG, JPEG, TIFF and BMP. Colour becomes luma (ITU-R BT.601), transparency lies on black, the camera's
orientation (EXIF) is applied. 8-bit values stay as they are; deeper ones are scaled by the file's own range.
"""

import struct
import zlib
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Num, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.errors import DataError

Stream = BytesIO | BufferedReader
"""An open file, or bytes in memory such as an upload."""

READABLE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
"""Endings of files that can be read."""

KNOWN_UNREADABLE = {
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".mhd": "MetaImage",
    ".mha": "MetaImage",
    ".dcm": "DICOM",
    ".dicom": "DICOM",
}
"""Endings of medical formats that cannot be read yet, with the format's name."""

LARGEST_PIXELS = 64_000_000
"""Pixels of the largest image that is decoded (8,000 x 8,000); a small file can claim far more (decompression bomb)."""

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
_FULL_VALUES = (1, 255, 65535)
# What Pillow's decoders raise on damaged files, besides OSError: found by feeding them damaged files.
_DAMAGED = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, struct.error, zlib.error)


@dataclass(frozen=True, kw_only=True)
class GrayImage:
    """One image file as gray values."""

    pixels: UInt8[np.ndarray, "height width"]
    """Gray values, 0 to 255."""
    scaled_range: tuple[float, float] | None
    """Lowest and highest value in the file, where they were scaled to 0 and 255; None where values are the file's."""


def image_suffix(name: str) -> str:
    """The ending that says what a file holds, in small letters: `.png`, `.nii.gz`; "" where there is none."""
    lower = name.lower()
    return ".nii.gz" if lower.endswith(".nii.gz") else Path(lower).suffix


def is_image_name(name: str) -> bool:
    """True where the file's ending is that of an image, readable now or not; hidden files are no images."""
    suffix = image_suffix(name)
    return not name.startswith(".") and (suffix in READABLE_SUFFIXES or suffix in KNOWN_UNREADABLE)


def read_image(source: Path | Stream, *, name: str | None = None) -> GrayImage:
    """The gray image in a file or open stream.

    `name` stands in messages in place of the path. Raises DataError with one line (file, what, remedy).
    """
    shown = _shown(source, name)
    values = _luma(_decode(source, shown), shown)
    if values.dtype == np.uint8:
        return GrayImage(pixels=values, scaled_range=None)
    if not np.isfinite(values).all():
        raise DataError(f"{shown}: holds values that are not finite; save it as 8-bit or 16-bit PNG")
    low, high = float(values.min()), float(values.max())
    scaled = (values.astype(np.float64) - low) * (255 / (high - low) if high > low else 0)
    return GrayImage(pixels=np.rint(scaled).astype(np.uint8), scaled_range=(low, high))


def read_mask(source: Path | Stream, *, name: str | None = None) -> UInt8[np.ndarray, "height width"]:
    """The mask in a file or open stream: 1 on the structure, 0 elsewhere.

    Of two values the lower (darker) is background. A single value is an empty mask where it is 0, a mask of
    the whole image where it is the highest that masks use (1, 255, 65535); any other single value could mean
    either and is refused. JPEG is refused: its compression blurs the edge, no threshold is the annotator's.
    Raises DataError with one line.
    """
    shown = _shown(source, name)
    image = _decode(source, shown)
    if image.format in ("JPEG", "MPO"):
        raise DataError(f"{shown}: a JPEG mask, whose edges compression has blurred; export the mask as PNG")
    values = _distinct_colours(image, shown)
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


def resize_image(pixels: UInt8[np.ndarray, "height width"], size: int) -> UInt8[np.ndarray, "size size"]:
    """The image stretched to a square of `size` pixels a side, as in Amiri et al. 2020; antialiased."""
    # Pillow widens its bilinear filter by the factor of reduction, so nothing is skipped when shrinking.
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))


def resize_mask(mask: UInt8[np.ndarray, "height width"], size: int) -> UInt8[np.ndarray, "size size"]:
    """The 0/1 mask stretched to a square of `size` pixels a side: 1 where the structure covers at least half."""
    covered = Image.fromarray(mask * np.uint8(255)).resize((size, size), Image.Resampling.BOX)
    return (np.asarray(covered) >= 128).astype(np.uint8)


def _shown(source: Path | Stream, name: str | None) -> str:
    return name or (source.name if isinstance(source, Path) else "image")


def _decode(source: Path | Stream, shown: str) -> Image.Image:
    """The decoded image, upright; raises DataError."""
    if isinstance(source, Path):
        suffix = image_suffix(source.name)
        if suffix in KNOWN_UNREADABLE:
            raise DataError(
                f"{shown}: {KNOWN_UNREADABLE[suffix]} files ({suffix}) cannot be read yet; export the frames as PNG"
            )
        if suffix not in READABLE_SUFFIXES:
            raise DataError(
                f"{shown}: ending '{suffix}' is not that of an image; known: {', '.join(READABLE_SUFFIXES)}"
            )
    try:
        if isinstance(source, Path):
            with source.open("rb") as stream:
                return _decode_stream(stream, shown)
        return _decode_stream(source, shown)
    except FileNotFoundError:
        raise DataError(f"{shown}: no such file; check the name") from None
    except PermissionError:
        raise DataError(f"{shown}: no permission to read it; allow it, such as with chmod u+r") from None
    except IsADirectoryError:
        raise DataError(f"{shown}: a folder, not a file; give an image file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(_too_large(shown)) from None
    except UnidentifiedImageError:
        raise DataError(f"{shown}: not a PNG, JPEG, TIFF or BMP image, whatever its name; export it again") from None
    except _DAMAGED as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{shown}: truncated or damaged ({why}); copy or export it again") from None


def _decode_stream(stream: Stream, shown: str) -> Image.Image:
    with Image.open(stream, formats=_FORMATS) as image:
        file_format = image.format
        if image.width * image.height > LARGEST_PIXELS:
            raise DataError(_too_large(shown))
        # A phone's JPEG with a preview in it (MPO) is one picture; other files with frames are clips or volumes.
        if file_format != "MPO" and getattr(image, "n_frames", 1) > 1:
            raise DataError(f"{shown}: {getattr(image, 'n_frames', 1)} frames in one file; save one image per file")
        image.load()
        upright = ImageOps.exif_transpose(image)
        upright.format = file_format
        return upright


def _too_large(shown: str) -> str:
    return f"{shown}: more than {LARGEST_PIXELS:,} pixels, not decoded; reduce it or crop it to the scan"


def _on_black(image: Image.Image) -> Image.Image:
    """The image without transparency or palette: mode L, RGB, 1, I, I;16 or F."""
    if image.mode in ("L", "1", "F") or image.mode.startswith("I"):
        return image
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colour.size, (0, 0, 0, 255)), colour).convert("RGB")
    return image.convert("RGB")


def _luma(image: Image.Image, shown: str) -> Num[np.ndarray, "height width"]:
    """uint8 values of an 8-bit or colour image; the file's own values of a deeper one."""
    plain = _on_black(image)
    return _values(plain if plain.mode.startswith("I") or plain.mode == "F" else plain.convert("L"), shown)


def _distinct_colours(image: Image.Image, shown: str) -> Num[np.ndarray, "height width"]:
    """One number per pixel, ordered from dark to light, that differs where colours differ."""
    plain = _on_black(image)
    if plain.mode != "RGB":
        return _values(plain, shown)
    colours = np.asarray(plain).astype(np.int64)
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return red.astype(np.uint8)
    # BT.601 luma in thousandths decides which of two colours is darker; the colour itself keeps equals apart.
    return (299 * red + 587 * green + 114 * blue) * 2**24 + red * 2**16 + green * 2**8 + blue


def _values(image: Image.Image, shown: str) -> Num[np.ndarray, "height width"]:
    values = np.asarray(image)
    if values.ndim != 2 or values.size == 0:
        raise DataError(
            f"{shown}: expected one plane of pixels, found an array of shape {values.shape}; save it as PNG"
        )
    return values.astype(np.uint8) if values.dtype == np.bool_ else values


def _distinct(values: Num[np.ndarray, "height width"]) -> Num[np.ndarray, " value"]:
    """The distinct values, ascending."""
    if values.dtype == np.uint8:
        return np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    return np.unique(values)
