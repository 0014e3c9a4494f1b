"""Images and masks of a folder on disk as a Dataset, whatever known layout they lie in."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from engine.datasets.dataset import Dataset, make_dataset
from engine.datasets.hc18 import fill_outline
from engine.datasets.layouts import list_folder
from engine.datasets.listing import KNOWN_FIELDS, Entry, Listing, in_short, mask_problems
from engine.datasets.structures import MASK, numbers_in, resize_labels, unite
from engine.errors import DataError
from engine.images import read_image, read_mask, resize_image


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """One image of a folder with its mask, at the size of the file."""

    pixels: UInt8[np.ndarray, "height width"]
    """Gray values."""
    mask: UInt8[np.ndarray, "height width"] | None
    """Number of the structure, 0 elsewhere; all 0 for an image labelled normal without a mask file; None where there
    is no mask."""
    overlap: int
    """Pixels that several structures claim; the last of them has them."""
    scaled_range: tuple[float, float] | None
    """Lowest and highest value of a file deeper than 8 bits, scaled to 0 and 255."""

    @property
    def digest(self) -> str:
        """The same for two images with the same pixels, whatever their files."""
        return hashlib.sha256(repr(self.pixels.shape).encode() + self.pixels.tobytes()).hexdigest()


def decode(folder: Path, entry: Entry) -> Decoded:
    """The image's pixels and its united masks. Raises DataError with a line per file that cannot be used."""
    problems: list[str] = []
    image = None
    try:
        image = read_image(folder / entry.image, name=entry.image, frame=entry.frame)
    except DataError as error:
        problems.extend(error.problems)
    parts: dict[int, UInt8[np.ndarray, "height width"]] = {}
    for mask in entry.masks:
        try:
            part = read_mask(folder / mask.file, name=mask.file, frame=entry.frame, value=mask.value)
            # Outlines drawn on the whole frame are cut as the frame is.
            if (
                image is not None
                and image.kept.box
                and part.shape == (image.kept.source_height, image.kept.source_width)
            ):
                part = image.kept.box.cut(part)
            if entry.mask_kind == "outline":
                part = fill_outline(part, name=mask.file)
        except DataError as error:
            problems.extend(error.problems)
            continue
        if image is not None and part.shape != image.pixels.shape:
            problems.append(
                f"{mask.file}: mask of {_size(part)} pixels for {entry.image} of {_size(image.pixels)}; "
                "export both at the same size"
            )
            continue
        # Where the image itself is unreadable only the parts' own problems matter.
        known = parts.get(mask.structure)
        parts[mask.structure] = part if known is None or known.shape != part.shape else known | part
    if image is None or problems:
        raise DataError(problems)
    height, width = image.pixels.shape
    labels, overlap = unite(parts, height, width)
    return Decoded(
        pixels=image.pixels,
        mask=labels if parts or entry.is_normal else None,
        overlap=overlap,
        scaled_range=image.scaled_range,
    )


def read_folder(
    folder: str | Path,
    *,
    image_size: int,
    mask: str | Sequence[str] = MASK,
    where: Mapping[str, Sequence[str]] | None = None,
    name: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """The folder's images and masks, stretched to `image_size` x `image_size`, with what is known of each.

    `mask` names the manifest's columns whose masks are learned (see `structures_of`): of one, masks hold 0 and 1; of
    several, numbers in the order of the columns. A structure is absent where its cell is empty and another's is not.
    `where` keeps rows by column, `name` is shown on pages (the folder's name where None), `progress` is called with
    (images read, images in all). Raises DataError with a line for everything that is wrong with any file.
    """
    root = Path(folder).expanduser()
    listing = list_folder(root, mask=mask, where=where)
    root = root.resolve()
    problems = list(listing.problems)
    total = len(listing.entries)
    if not listing.has_masks:
        # Where files or columns are missing, those lines say already why there are no masks.
        if not problems:
            problems.append(
                f"{root.name}: no image has a mask (layout: {listing.layout}); finding outlines needs a mask per image"
            )
    else:
        problems.extend(mask_problems(listing))
    images = np.zeros((total, image_size, image_size), np.uint8)
    masks = np.zeros_like(images)
    sizes: list[tuple[int, int]] = []
    digests: set[str] = set()
    overlaps: list[int] = []
    vanished = 0
    for number, entry in enumerate(listing.entries):
        try:
            decoded = decode(root, entry)
        except DataError as error:
            problems.extend(error.problems)
        else:
            images[number] = resize_image(decoded.pixels, image_size)
            sizes.append((decoded.pixels.shape[0], decoded.pixels.shape[1]))
            digests.add(decoded.digest)
            overlaps.append(decoded.overlap)
            if decoded.mask is not None:
                masks[number] = resize_labels(decoded.mask, image_size)
                vanished += len(numbers_in(decoded.mask) - numbers_in(masks[number]))
        if progress is not None:
            progress(number + 1, total)
    if problems:
        raise DataError(in_short(problems))
    heading = source_heading(root / "SOURCE.md")
    parts = [
        f"{root.name}: {total} images ({listing.layout}){where_text(where or {})}",
        *([heading] if heading else []),
        *_mask_facts(listing, overlaps),
    ]
    if listing.repeated:
        parts.append(f"{listing.repeated} rows that repeat another left out")
    if total > len(digests):
        parts.append(f"{total - len(digests)} with the same pixels as another (`whichlayers check` names them)")
    if vanished:
        parts.append(f"{vanished} masks too small to be seen at {image_size} x {image_size}")
    return make_dataset(
        name=name or root.name,
        provenance="; ".join(parts),
        images=images,
        masks=masks,
        table=table_of(listing, sizes),
        structures=tuple(structure.name for structure in listing.structures),
    )


def _size(pixels: np.ndarray) -> str:
    height, width = pixels.shape
    return f"{width} x {height}"


def table_of(listing: Listing, sizes: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """A row per image with what is known of it; `sizes` are height and width in pixels before resizing."""
    entries = listing.entries
    columns: dict[str, list[str] | list[int] | list[float]] = {"image": [entry.name for entry in entries]}
    for column in KNOWN_FIELDS:
        columns[column] = [entry.value(column) for entry in entries]
    columns["source_height"] = [height for height, _ in sizes]
    columns["source_width"] = [width for _, width in sizes]
    columns["spacing_mm"] = [entry.spacing_mm for entry in entries]
    for column in listing.columns:
        if column not in columns:
            columns[column] = [entry.value(column) for entry in entries]
    return pd.DataFrame(columns)


def where_text(where: Mapping[str, Sequence[str]]) -> str:
    """` where label is benign or malignant and scanner is A`; "" where every row is kept."""
    wanted = {column: [values] if isinstance(values, str) else values for column, values in where.items()}
    conditions = [f"{column} is {' or '.join(v or 'empty' for v in values)}" for column, values in wanted.items()]
    return f" where {' and '.join(conditions)}" if conditions else ""


def _mask_facts(listing: Listing, overlaps: Sequence[int]) -> list[str]:
    """What a reader should know of the masks, beyond that there is one per image in the column `mask`."""
    structures = listing.structures
    if len(structures) == 1:
        (only,) = structures
        return [] if only.name == MASK else [f"structure {only.name} (column {only.column})"]
    named = [f"{number} {structure.name}" for number, structure in enumerate(structures, start=1)]
    facts = [f"structures {', '.join(named)}"]
    facts.extend(
        f"{structure.name} absent in {count} images"
        for structure, count in zip(structures, listing.absent(), strict=True)
        if count
    )
    if any(overlaps):
        facts.append(
            f"structures overlap in {sum(map(bool, overlaps))} images ({sum(overlaps):,} pixels, which go to the later)"
        )
    return facts


def source_heading(path: Path) -> str:
    """The first heading of the data set's own description; "" where there is none."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as lines:
        return next((line.lstrip("#").strip() for line in lines if line.startswith("#")), "")
