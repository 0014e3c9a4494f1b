"""Layout: a folder per class with its images, no masks: `healthy/1.png`, `ill/2.png`. For classification."""

from pathlib import Path

from engine.datasets.listing import Entry, Listing, files_of, folders_of
from engine.images import is_image_file

LAYOUT = "class folders"


def matches(folder: Path) -> bool:
    """True where folders of the folder hold images and none of them is a folder of masks."""
    below = folders_of(folder)
    if {"images", "masks"} & set(below):
        return False
    return any(is_image_file(folder / label / name) for label in below for name in files_of(folder / label))


def list_images(folder: Path) -> Listing:
    """The images of all classes; the class is the folder's name."""
    entries: list[Entry] = []
    notes: list[str] = []
    for label in folders_of(folder):
        names = files_of(folder / label)
        images = [name for name in names if is_image_file(folder / label / name)]
        notes.extend(f"{label}/{name}: not an image, not used" for name in names if name not in set(images))
        if not images:
            notes.append(f"{label}: a folder without images, not used")
        entries.extend(
            Entry(
                place=f"{label}/{name}",
                image=f"{label}/{name}",
                masks=(),
                without_mask=f"{label}/{name}: has no mask; class folders hold none",
                label=label,
            )
            for name in images
        )
    return Listing(layout=LAYOUT, entries=tuple(entries), notes=tuple(notes))
