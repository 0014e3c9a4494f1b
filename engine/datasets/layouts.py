"""Which layout a folder has, and what it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engine.datasets import busi, class_folders, hc18, manifest
from engine.datasets.listing import Listing, files_of, folders_of, keep_usable, keep_where
from engine.datasets.structures import MASK, Structure, structures_of
from engine.errors import DataError
from engine.images import is_image_name

EXPECTED = (
    "expected manifest.csv (columns image,mask,label,group,scanner,split), "
    "BUSI's (benign/benign (1).png with benign (1)_mask.png), HC18's (000_HC.png with 000_HC_Annotation.png), "
    "or a folder of images per class"
)
"""The layouts that are known, for messages."""


def list_folder(
    folder: Path, *, mask: str | Sequence[str] = MASK, where: Mapping[str, Sequence[str]] | None = None
) -> Listing:
    """What the folder holds: its layout, images, problems and notes; no pixel is decoded.

    Raises DataError where the folder cannot be read as any layout, or `mask` as structures (see `structures_of`).
    What is wrong with single files becomes `problems` of the listing.
    """
    structures = structures_of(mask)
    root = _readable_folder(folder)
    try:
        listing = _list(root, structures)
    except OSError as error:
        name = Path(error.filename or root).name
        raise DataError(f"{root.name}: '{name}' cannot be read ({error.strerror}); allow reading it") from None
    if where:
        listing = keep_where(listing, where)
    return keep_usable(listing, root)


def _readable_folder(folder: Path) -> Path:
    """The folder without links; raises DataError where there is none that can be listed."""
    shown = folder.name or str(folder)
    if not folder.exists():
        raise DataError(f"{shown}: no such folder; check the path")
    if not folder.is_dir():
        raise DataError(f"{shown}: a file, not a folder; unpack it and give the folder with the images")
    try:
        is_empty = next(folder.iterdir(), None) is None
    except PermissionError:
        raise DataError(f"{shown}: no permission to read the folder; allow it, such as with chmod u+rx") from None
    if is_empty:
        raise DataError(f"{shown}: the folder is empty; {EXPECTED}")
    return folder.resolve()


def _list(folder: Path, structures: tuple[Structure, ...]) -> Listing:
    if manifest.matches(folder):
        return manifest.list_images(folder, structures)
    if hc18.matches(folder):
        listing = hc18.list_images(folder)
    elif busi.matches(folder):
        listing = busi.list_images(folder)
    elif class_folders.matches(folder):
        listing = class_folders.list_images(folder)
    else:
        raise DataError(_unknown_layout(folder))
    why = f"since the layout '{listing.layout}' has one mask per image"
    problems = [
        f"mask: no column '{structure.column}', {why}; leave it out"
        for structure in structures
        if structure.column != MASK
    ]
    known = tuple(structure for structure in structures if structure.column == MASK)
    return replace(listing, problems=(*listing.problems, *problems), structures=known)


def _unknown_layout(folder: Path) -> str:
    below = folders_of(folder)
    for name in below:
        lower = folder / name
        if any(layout.matches(lower) for layout in (manifest, hc18, busi)):
            return f"{folder.name}: the images lie one folder down; give {folder.name}/{name}"
    if "images" in below:
        return (
            f"{folder.name}: no manifest.csv beside images/; write one with the columns image,mask and a line per image"
        )
    if any(is_image_name(name) for name in files_of(folder)):
        return f"{folder.name}: images without masks, classes or manifest.csv; {EXPECTED}"
    return f"{folder.name}: no images found; {EXPECTED}"
