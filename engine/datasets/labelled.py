"""Images of a folder with the classes that are to be told apart, as a Dataset: class folders, or a manifest."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from engine.datasets.class_findings import caveats
from engine.datasets.classes import LABEL
from engine.datasets.confounding import by_class
from engine.datasets.crops import Crop, central_square, side_of, too_small
from engine.datasets.dataset import Dataset, make_dataset
from engine.datasets.folder import decode, source_heading, table_of, where_text
from engine.datasets.layouts import list_classes
from engine.datasets.listing import in_short, some
from engine.errors import DataError
from engine.images import resize_image


def read_labelled(
    folder: str | Path,
    *,
    image_size: int,
    label: str = LABEL,
    where: Mapping[str, Sequence[str]] | None = None,
    crop: Crop = None,
    name: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """The folder's images, `image_size` x `image_size`, with the class of each in the table's column `label`.

    `label` names the manifest's column of the class, `where` keeps rows by column, `crop` cuts central squares out
    before images are resized (None stretches whole images); `name` and `progress` as in `read_folder`. Raises
    DataError with a line for everything that is wrong with any file.
    """
    root = Path(folder).expanduser()
    listing = list_classes(root, label=label, where=where, crop=crop)
    root = root.resolve()
    problems = list(listing.problems)
    sides_are_known = not any(line.startswith("crop:") for line in problems)
    total = len(listing.entries)
    images = np.zeros((total, image_size, image_size), np.uint8)
    sizes: list[tuple[int, int]] = []
    digests: set[str] = set()
    small: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for number, entry in enumerate(listing.entries):
        try:
            decoded = decode(root, entry)
        except DataError as error:
            problems.extend(error.problems)
        else:
            pixels = decoded.pixels
            height, width = pixels.shape
            digests.add(decoded.digest)
            if sides_are_known and (side := side_of(entry, height, width, crop)):
                if side > min(height, width):
                    small[entry.scanner].append((entry.name, min(height, width)))
                else:
                    pixels = central_square(pixels, side)
            sizes.append((pixels.shape[0], pixels.shape[1]))
            images[number] = resize_image(pixels, image_size)
        if progress is not None:
            progress(number + 1, total)
    if isinstance(crop, Mapping):
        problems.extend(too_small(small, crop))
    if problems:
        raise DataError(in_short(problems))
    counted = by_class(listing.entries)
    parts = [
        f"{root.name}: {total} images ({listing.layout}){where_text(where or {})}",
        *([heading] if (heading := source_heading(root / "SOURCE.md")) else []),
        f"{len(counted)} classes{'' if label == LABEL else f' (column {label})'}: "
        + some([f"{name} {len(own)}" for name, own in counted.items()], most=12),
        *_crop_facts(crop),
    ]
    if listing.repeated:
        parts.append(f"{listing.repeated} rows that repeat another left out")
    if total > len(digests):
        parts.append(f"{total - len(digests)} with the same pixels as another (`whichlayers check` names them)")
    return make_dataset(
        name=name or root.name,
        provenance="; ".join(parts),
        images=images,
        table=table_of(listing, sizes),
        classes=tuple(counted),
        caveats=caveats(listing.entries, root),
    )


def _crop_facts(crop: Crop) -> list[str]:
    if crop is None:
        return []
    if crop == "square":
        return ["the largest central square of each"]
    return [f"central squares: {', '.join(f'{side} of {scanner}' for scanner, side in crop.items())}"]
