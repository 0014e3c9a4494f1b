"""PNG, JPEG, TIFF, BMP and GIF, by Pillow; several pages or frames as a clip.

Colour becomes luma (ITU-R BT.601), transparency lies on black, the camera's orientation (EXIF) is applied.
"""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageOps

from engine.errors import DataError
from engine.images import limits
from engine.images.kept import Kept
from engine.images.planes import Opened, Plane
from engine.images.source import Stream

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF")
_STRIP = 512  # rows
_MOST_PAGES = 20_000  # of a TIFF, whose pages can only be counted one by one


def open_picture(stream: Stream, shown: str) -> Opened:
    """The picture in a stream, its first frame decoded once its size was found sound.

    Raises DataError, and as Pillow does.
    """
    with _image(stream) as image:
        limits.check_size(image.height, image.width, shown)
        frames = _count(image, shown)
    with _image(stream) as image:
        image.load()
        # PNG may tell its orientation behind the pixels, so it is known only now.
        ImageOps.exif_transpose(image, in_place=True)
        first: Image.Image = image
        duration = image.info.get("duration")
        kept = Kept(
            format=image.format or "",
            frames=frames,
            height=first.height,
            width=first.width,
            source_height=first.height,
            source_width=first.width,
            frame_ms=float(duration) if frames > 1 and isinstance(duration, int | float) and duration > 0 else None,
        )

    def read(which: range, values: Callable[[Image.Image], Plane]) -> Iterator[Plane]:
        if which and which[0] == 0:
            yield values(first)
            which = which[1:]
        if not which:
            return
        with _image(stream) as again:
            for number in which:
                again.seek(number)
                limits.check_size(again.height, again.width, shown)
                again.load()
                plane = values(ImageOps.exif_transpose(again))
                if plane.shape != (first.height, first.width):
                    raise DataError(f"{shown}: frames differ in size; save one image per file")
                yield plane

    return Opened(
        kept=kept,
        planes=lambda which: read(which, _luma),
        masks=lambda which: read(which, _distinct_colours),
        is_deep=_is_deep(first),
        blurs=kept.format in ("JPEG", "MPO"),
    )


def _image(stream: Stream) -> Image.Image:
    stream.seek(0)
    return Image.open(stream, formats=_FORMATS)


def _count(image: Image.Image, shown: str) -> int:
    """Frames of the picture; the picture must not be used afterwards."""
    # A phone's JPEG with a preview in it (MPO) is one picture.
    if image.format == "MPO":
        return 1
    frames = 1
    if image.format == "TIFF":
        try:
            while frames <= _MOST_PAGES:
                image.seek(frames)
                frames += 1
        except EOFError:
            return frames
        raise DataError(f"{shown}: more than {_MOST_PAGES:,} pages; save fewer frames in a file")
    frames = int(getattr(image, "n_frames", 1))
    limits.check_frames(frames, shown)
    return frames


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _on_black(image: Image.Image) -> Image.Image:
    """The image without transparency or palette: mode L, RGB, 1, I, I;16 or F."""
    if image.mode in ("L", "1") or _is_deep(image):
        return image
    if image.has_transparency_data:
        opaque = Image.new("RGB", image.size)
        for top in range(0, image.height, _STRIP):  # a strip at a time, for the sake of memory
            strip = image.crop((0, top, image.width, min(top + _STRIP, image.height))).convert("RGBA")
            black = Image.new("RGBA", strip.size, (0, 0, 0, 255))
            opaque.paste(Image.alpha_composite(black, strip).convert("RGB"), (0, top))
        return opaque
    return image.convert("RGB")


def _luma(image: Image.Image) -> Plane:
    """uint8 values of an 8-bit or colour image; the file's own values of a deeper one."""
    plain = _on_black(image)
    return _values(plain if _is_deep(plain) else plain.convert("L"))


def _distinct_colours(image: Image.Image) -> Plane:
    """One number per pixel, ordered from dark to light, that differs where colours differ."""
    plain = _on_black(image)
    if plain.mode != "RGB":
        return _values(plain)
    colours = np.asarray(plain).astype(np.int64)
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return red.astype(np.uint8)
    # BT.601 luma in thousandths decides which of two colours is darker; the colour itself keeps equals apart.
    return (299 * red + 587 * green + 114 * blue) * 2**24 + red * 2**16 + green * 2**8 + blue


def _values(image: Image.Image) -> Plane:
    values = np.asarray(image)
    return values.astype(np.uint8) if values.dtype == np.bool_ else values
