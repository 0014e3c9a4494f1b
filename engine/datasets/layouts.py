"""Which layout a folder has, and what it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engine.datasets import busi, camus, class_folders, hc18, manifest
from engine.datasets.classes import LABEL, named_by
from engine.datasets.crops import Crop, crop_problems
from engine.datasets.file_headers import with_headers
from engine.datasets.funnel import Step, narrow, steps_of
from engine.datasets.listing import Listing, files_of, folders_of, keep_usable
from engine.datasets.structures import MASK, Structure, structures_of
from engine.errors import DataError
from engine.images import is_image_file

EXPECTED = (
    "expected manifest.csv (columns image,mask,label,group,scanner,split), "
    "BUSI's (benign/benign (1).png with benign (1)_mask.png), HC18's (000_HC.png with 000_HC_Annotation.png), "
    "CAMUS's (patient0001/patient0001_2CH_ED.mhd with patient0001_2CH_ED_gt.mhd), "
    "or a folder of images per class"
)
"""The layouts that are known, for messages."""


def list_folder(
    folder: Path,
    *,
    mask: str | Sequence[str] = MASK,
    where: Mapping[str, Sequence[str]] | None = None,
    steps: Sequence[Step] = (),
) -> Listing:
    """What the folder holds: its layout, images, problems and notes; no pixel is decoded.

    `where`, then `steps`, decide which images are taken. Raises DataError where the folder cannot be read as any
    layout, or `mask` as structures (see `structures_of`). What is wrong with single files becomes `problems`.
    """
    structures = structures_of(mask)
    root, listing = _listing(folder, structures)
    return keep_usable(narrow(listing, (*steps_of(where), *steps), LABEL), root)


def list_classes(
    folder: Path,
    *,
    label: str = LABEL,
    where: Mapping[str, Sequence[str]] | None = None,
    steps: Sequence[Step] = (),
    crop: Crop = None,
) -> Listing:
    """What the folder holds to tell apart by class, as `list_folder`; masks count for nothing.

    `label` is the column that names the class, `crop` the central squares (see `engine.datasets.crops`).
    """
    root, listing = _listing(folder, ())
    narrowed = narrow(listing, (*steps_of(where), *steps), label)
    problems = (*narrowed.problems, *crop_problems(listing.entries, narrowed.entries, crop))
    return keep_usable(named_by(replace(narrowed, problems=problems), label), root)


def _listing(folder: Path, structures: tuple[Structure, ...]) -> tuple[Path, Listing]:
    """The folder without links and all that it holds."""
    root = _readable_folder(folder)
    try:
        return root, with_headers(_list(root, structures), root)
    except OSError as error:
        name = Path(error.filename or root).name
        raise DataError(f"{root.name}: '{name}' cannot be read ({error.strerror}); allow reading it") from None


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
    if camus.matches(folder):
        return camus.list_images(folder, structures)
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
        if any(layout.matches(lower) for layout in (manifest, camus, hc18, busi)):
            return f"{folder.name}: the images lie one folder down; give {folder.name}/{name}"
    if "images" in below:
        return (
            f"{folder.name}: no manifest.csv beside images/; write one with the columns image,mask and a line per image"
        )
    if any(is_image_file(folder / name) for name in files_of(folder)):
        return f"{folder.name}: images without masks, classes or manifest.csv; {EXPECTED}"
    return f"{folder.name}: no images found; {EXPECTED}"
