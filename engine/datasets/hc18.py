"""Layout of the HC18 challenge (van den Heuvel et al. 2018): `000_HC.png` with `000_HC_Annotation.png`.

The annotation is the outline of the head, which is filled. The number before the underscore is the woman's and
becomes the group. Pixel sizes come from `training_set_pixel_size_and_HC.csv`, in the folder or above it.
"""

import csv
import math
import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from scipy import ndimage

from engine.datasets.listing import Entry, Listing, MaskFile, files_of
from engine.errors import DataError
from engine.images import is_image_name

LAYOUT = "HC18 archive"
PIXEL_SIZES = "training_set_pixel_size_and_HC.csv"
_IMAGE = re.compile(r"^(?P<woman>\d+)_\d*HC\.png$")
_ANNOTATION = re.compile(r"^(?P<image>\d+_\d*HC)_Annotation\.png$")
_TRAINING = "training_set"


def matches(folder: Path) -> bool:
    """True where the folder, or `training_set` in it, holds an image named as in the archive."""
    return _image_folder(folder) is not None


def list_images(folder: Path) -> Listing:
    """The images, each with the file of its outline."""
    below = _image_folder(folder)
    if below is None:
        return Listing(layout=LAYOUT, entries=())
    problems: list[str] = []
    sizes, size_problems = _pixel_sizes(folder)
    problems.extend(size_problems)
    names = files_of(folder / below)
    annotations = {match["image"]: name for name in names if (match := _ANNOTATION.match(name))}
    prefix = f"{below}/" if below else ""
    entries: list[Entry] = []
    notes: list[str] = []
    for name in names:
        match = _IMAGE.match(name)
        if not match:
            if not _ANNOTATION.match(name) and is_image_name(name):
                notes.append(f"{prefix}{name}: not named as in HC18 (000_HC.png), not used")
            continue
        annotation = annotations.pop(name.removesuffix(".png"), None)
        spacing_mm, circumference = sizes.get(name, (math.nan, ""))
        if sizes and name not in sizes:
            notes.append(f"{prefix}{name}: not in {PIXEL_SIZES}; its pixel size stays unknown")
        entries.append(
            Entry(
                place=prefix + name,
                image=prefix + name,
                masks=(MaskFile(file=prefix + annotation),) if annotation else (),
                mask_kind="outline",
                without_mask=(
                    f"{prefix}{name}: has no annotation '{name.removesuffix('.png')}_Annotation.png'; "
                    "expected beside the image"
                ),
                group=match["woman"],
                spacing_mm=spacing_mm,
                further={"head_circumference_mm": circumference} if sizes else {},
            )
        )
    problems.extend(
        f"{prefix}{name}: an annotation without its image '{image}.png'; add the image or delete the annotation"
        for image, name in annotations.items()
    )
    if below and (folder / "test_set").is_dir():
        notes.append("test_set: not used, since the archive has no annotations for it")
    columns = (*Listing(layout=LAYOUT, entries=()).columns, *(("head_circumference_mm",) if sizes else ()))
    return Listing(layout=LAYOUT, entries=tuple(entries), problems=tuple(problems), notes=tuple(notes), columns=columns)


def fill_outline(outline: UInt8[np.ndarray, "height width"], *, name: str) -> UInt8[np.ndarray, "height width"]:
    """1 on a closed outline and inside it, 0 elsewhere; an outline that is filled already stays as it is.

    Raises DataError where the line is not closed, so that filling it gains fewer pixels than it has itself.
    """
    filled = np.asarray(ndimage.binary_fill_holes(outline)).astype(np.uint8)
    drawn = int(outline.sum())
    if drawn and int(filled.sum()) < 2 * drawn:
        rows, columns = np.nonzero(outline)
        box = (int(np.ptp(rows)) + 1) * (int(np.ptp(columns)) + 1)
        # A filled ellipse covers pi / 4 of its box, a line a few percent of it.
        if drawn < 0.5 * box:
            raise DataError(f"{name}: the outline is not closed, filling it fills nothing; close the line")
    return filled


def _image_folder(folder: Path) -> str | None:
    """ "" or `training_set`, whichever holds images named as in the archive; None where neither does."""
    for below in ("", _TRAINING):
        path = folder / below
        if path.is_dir() and any(_IMAGE.match(name) for name in files_of(path)):
            return below
    return None


def _pixel_sizes(folder: Path) -> tuple[dict[str, tuple[float, str]], list[str]]:
    """By image name its pixel size in mm and head circumference in mm as text; and what is wrong with the file."""
    places = (folder, folder / _TRAINING, folder.parent)
    path = next((place / PIXEL_SIZES for place in places if (place / PIXEL_SIZES).is_file()), None)
    if path is None:
        return {}, []
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return {}, [f"{PIXEL_SIZES}: cannot be read ({error}); take the file of the archive"]
    sizes: dict[str, tuple[float, str]] = {}
    problems: list[str] = []
    for line, cells in enumerate(rows[1:], start=2):
        if not any(cells):
            continue
        try:
            spacing_mm = float(cells[1])
        except (IndexError, ValueError):
            spacing_mm = math.nan
        if not (math.isfinite(spacing_mm) and spacing_mm > 0):
            problems.append(
                f"{PIXEL_SIZES}:{line}: expected file name, pixel size in mm, circumference; found {cells}; correct it"
            )
            continue
        sizes[cells[0].strip()] = (spacing_mm, cells[2].strip() if len(cells) > 2 else "")
    return sizes, problems
