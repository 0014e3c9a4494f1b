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
from engine.datasets.listing import KNOWN_FIELDS, Entry, Listing, mask_problems
from engine.errors import DataError
from engine.images import read_image, read_mask, resize_image, resize_mask


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """One image of a folder with its mask, at the size of the file."""

    pixels: UInt8[np.ndarray, "height width"]
    """Gray values."""
    mask: UInt8[np.ndarray, "height width"] | None
    """1 on the structure; all 0 for an image labelled normal without a mask file; None where there is no mask."""
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
        image = read_image(folder / entry.image, name=entry.image)
    except DataError as error:
        problems.extend(error.problems)
    mask: UInt8[np.ndarray, "height width"] | None = None
    for file in entry.masks:
        try:
            part = read_mask(folder / file, name=file)
            if entry.mask_kind == "outline":
                part = fill_outline(part, name=file)
        except DataError as error:
            problems.extend(error.problems)
            continue
        if image is not None and part.shape != image.pixels.shape:
            problems.append(
                f"{file}: mask of {_size(part)} pixels for {entry.image} of {_size(image.pixels)}; "
                "export both at the same size"
            )
            continue
        # Where the image itself is unreadable only the parts' own problems matter.
        mask = part if mask is None or mask.shape != part.shape else mask | part
    if image is None or problems:
        raise DataError(problems)
    if not entry.masks and entry.is_normal:
        mask = np.zeros(image.pixels.shape, np.uint8)
    return Decoded(pixels=image.pixels, mask=mask, scaled_range=image.scaled_range)


def read_folder(
    folder: str | Path,
    *,
    image_size: int,
    mask: str = "mask",
    where: Mapping[str, Sequence[str]] | None = None,
    name: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """The folder's images and masks, stretched to `image_size` x `image_size`, with what is known of each.

    `mask` is the manifest's column whose mask is learned, `where` keeps rows by column, `name` is shown on
    pages (the folder's name where None), `progress` is called with (images read, images in all).
    Raises DataError with a line for everything that is wrong with any file.
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
            if decoded.mask is not None:
                masks[number] = resize_mask(decoded.mask, image_size)
                vanished += bool(decoded.mask.any() and not masks[number].any())
        if progress is not None:
            progress(number + 1, total)
    if problems:
        raise DataError(problems)
    return make_dataset(
        name=name or root.name,
        provenance=_provenance(root, listing, twice=total - len(digests), vanished=vanished, image_size=image_size),
        images=images,
        masks=masks,
        table=_table(listing, sizes),
    )


def _size(pixels: np.ndarray) -> str:
    height, width = pixels.shape
    return f"{width} x {height}"


def _table(listing: Listing, sizes: Sequence[tuple[int, int]]) -> pd.DataFrame:
    entries = listing.entries
    columns: dict[str, list[str] | list[int] | list[float]] = {"image": [entry.image for entry in entries]}
    for column in KNOWN_FIELDS:
        columns[column] = [entry.value(column) for entry in entries]
    columns["source_height"] = [height for height, _ in sizes]
    columns["source_width"] = [width for _, width in sizes]
    columns["spacing_mm"] = [entry.spacing_mm for entry in entries]
    for column in listing.columns:
        if column not in columns:
            columns[column] = [entry.value(column) for entry in entries]
    return pd.DataFrame(columns)


def _provenance(root: Path, listing: Listing, *, twice: int, vanished: int, image_size: int) -> str:
    """One line that pages show: what the images are, where they come from, and what a reader should know."""
    parts = [f"{root.name}: {len(listing.entries)} images ({listing.layout})"]
    heading = _source_heading(root / "SOURCE.md")
    if heading:
        parts.append(heading)
    if twice:
        parts.append(f"{twice} with the same pixels as another (`whichlayers check` names them)")
    if vanished:
        parts.append(f"{vanished} masks too small to be seen at {image_size} x {image_size}")
    return "; ".join(parts)


def _source_heading(path: Path) -> str:
    """The first heading of the data set's own description; "" where there is none."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as lines:
        return next((line.lstrip("#").strip() for line in lines if line.startswith("#")), "")
