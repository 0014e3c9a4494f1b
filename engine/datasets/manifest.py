"""Layout: a folder with `manifest.csv`, usually beside `images/` and `masks/`.

Columns `image` (required), `mask`, `label`, `group`, `scanner`, `split` and a spacing; further columns are kept.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from engine.datasets.dataset import COLUMNS
from engine.datasets.listing import KNOWN_FIELDS, Entry, Listing, MaskFile, did_you_mean
from engine.datasets.structures import MASK, Structure
from engine.errors import DataError
from engine.images import is_image_file

MANIFEST = "manifest.csv"
LAYOUT = "manifest.csv"
SPACING_COLUMNS = ("spacing_mm", "pixel_size_mm", "pixel_size_mm_at_pack_size")
"""Columns that hold the side of one image pixel in mm; a manifest uses one of them."""
KNOWN_COLUMNS = ("image", MASK, *KNOWN_FIELDS, *SPACING_COLUMNS)
# difflib's likeness: 0.76 catches 'lables' and leaves words of their own alone ('task' is 0.75 like 'mask').
_MISSPELT = 0.76


def matches(folder: Path) -> bool:
    """True where the folder has a manifest."""
    return (folder / MANIFEST).is_file()


def list_images(folder: Path, structures: Sequence[Structure]) -> Listing:
    """The images that the manifest names, row by row, with the masks of `structures`, numbered from 1."""
    try:
        header, rows = _table(folder / MANIFEST)
    except DataError as error:
        return Listing(layout=LAYOUT, entries=(), problems=error.problems)
    problems = _header_problems(header, [structure.column for structure in structures], folder)
    if "image" not in header:
        return Listing(layout=LAYOUT, entries=(), problems=tuple(problems))
    structures = tuple(structure for structure in structures if structure.column in header)
    entries: list[Entry] = []
    for line, cells in rows:
        place = f"{MANIFEST}:{line}"
        if len(cells) != len(header):
            problems.append(
                f"{place}: {len(cells)} cells under {len(header)} columns; put cells that hold commas in double quotes"
            )
            continue
        row = dict(zip(header, cells, strict=True))
        if not row["image"]:
            problems.append(f"{place}: the column 'image' is empty; name an image file or delete the line")
            continue
        try:
            entries.append(_entry(row, structures, place))
        except DataError as error:
            problems.extend(error.problems)
    named = {PurePosixPath(row_cells[header.index("image")]).as_posix() for _, row_cells in rows if row_cells}
    further = [name for name in header if name not in KNOWN_COLUMNS]
    return Listing(
        layout=LAYOUT,
        entries=tuple(entries),
        problems=tuple(problems),
        notes=tuple(_unnamed(folder, named)),
        columns=(*KNOWN_FIELDS, *further),
        structures=structures,
    )


def _table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header, and each row that is not blank with its line number, cells without surrounding blanks."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{MANIFEST}: cannot be read ({error.strerror}); allow reading it") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(f"{MANIFEST}:{line}: not UTF-8 text; save it as 'CSV UTF-8'") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    first_line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((first_line, [cell.strip() for cell in cells]))
            first_line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{MANIFEST}:{first_line}: not CSV ({error}); save it again as 'CSV UTF-8'") from None
    if not rows:
        raise DataError(f"{MANIFEST}: empty; write a first line with the columns image,mask,label,group,scanner,split")
    (_, header), *body = rows
    if "image" not in header and any(mark in header[0] for mark in ";\t"):
        raise DataError(f"{MANIFEST}:1: columns are not separated by commas; save it as 'CSV UTF-8 (comma delimited)'")
    if not body:
        raise DataError(f"{MANIFEST}: no line below the columns; write one line per image")
    return header, body


def _header_problems(header: list[str], masks: Sequence[str], folder: Path) -> list[str]:
    problems = [
        f"{MANIFEST}:1: column '{name}' stands twice; delete or rename one of them"
        for name in sorted({name for name in header if header.count(name) > 1})
    ]
    misspelt: set[str] = set()
    has_spacing = any(name in header for name in SPACING_COLUMNS)
    absent = [name for name in KNOWN_COLUMNS if name not in header and not (has_spacing and name in SPACING_COLUMNS)]
    for name in header:
        # `mask_vessel` or `group_size` is a column of its own, not a slip of the pen.
        if name in KNOWN_COLUMNS or any(name.startswith(f"{known}_") for known in KNOWN_COLUMNS):
            continue
        swapped = [known for known in absent if sorted(name.lower()) == sorted(known)]
        close = swapped or get_close_matches(name.lower(), absent, n=1, cutoff=_MISSPELT)
        if close:
            misspelt.add(close[0])
            problems.append(f"{MANIFEST}:1: unknown column '{name}'; did you mean '{close[0]}'?")
        elif name in COLUMNS or name == "":
            problems.append(f"{MANIFEST}:1: column '{name}' cannot be used; give it another name")
    if "image" not in header and "image" not in misspelt:
        problems.append(f"{MANIFEST}:1: no column 'image'; name the image files in a column 'image'")
    # A folder for classification has no masks, and nobody who asks for nothing else misses them.
    if (folder / "masks").is_dir() or list(masks) != [MASK]:
        columns = [name for name in header if name.startswith(MASK)]
        problems.extend(
            f"{MANIFEST}:1: no column '{mask}' with mask files{did_you_mean(mask, columns)}"
            for mask in masks
            if mask not in header and mask not in misspelt
        )
    used = [name for name in SPACING_COLUMNS if name in header]
    if len(used) > 1:
        problems.append(f"{MANIFEST}:1: several columns of pixel size ({', '.join(used)}); keep that of these files")
    return problems


def _entry(row: Mapping[str, str], structures: Sequence[Structure], place: str) -> Entry:
    columns = [structure.column for structure in structures]
    named = " or ".join(f"'{column}'" for column in columns)
    spacing_mm = math.nan
    for name in SPACING_COLUMNS:
        if row.get(name):
            spacing_mm = _positive(row[name], f"{place}: column '{name}'")
    return Entry(
        place=place,
        image=row["image"],
        masks=tuple(
            MaskFile(file=row[column], structure=number)
            for number, column in enumerate(columns, start=1)
            if row.get(column)
        ),
        without_mask=(
            f"{place}: {row['image']} has no mask in column {named}; name a mask file, "
            "label it 'normal' where there is nothing to outline, or leave it out with a `where`"
        ),
        label=row.get("label", ""),
        group=row.get("group", ""),
        scanner=row.get("scanner", ""),
        split=row.get("split", ""),
        spacing_mm=spacing_mm,
        further={name: text for name, text in row.items() if name not in KNOWN_COLUMNS},
    )


def _positive(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise DataError(f"{place}: '{text}' is not a size in mm; write a number such as 0.285, or nothing")
    return value


def _unnamed(folder: Path, named: set[str]) -> list[str]:
    """A note where image files lie in the folder's `images/` that no row names."""
    below = folder / "images"
    if not below.is_dir():
        return []
    files = (path for path in below.rglob("*") if path.is_file() and is_image_file(path))
    unnamed = sorted({path.relative_to(folder).as_posix() for path in files} - named)
    if not unnamed:
        return []
    shown = ", ".join(unnamed[:5]) + (", ..." if len(unnamed) > 5 else "")
    return [f"{MANIFEST}: {len(unnamed)} files in images/ are named in no row and not used: {shown}"]
