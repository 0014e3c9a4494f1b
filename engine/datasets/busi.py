"""Layout of the BUSI archive (Al-Dhabyani et al. 2020): a folder per class, masks beside the images.

`benign/benign (1).png` has `benign (1)_mask.png`, and `benign (1)_mask_1.png` ... for further lesions, which are
united. The archive names no patients, so groups are unknown.
"""

import re
from pathlib import Path

from engine.datasets.listing import Entry, Listing, MaskFile, files_of, folders_of
from engine.images import image_suffix, is_image_name

LAYOUT = "BUSI archive"
_MASK = re.compile(r"^(?P<image>.+)_mask(_\d+)?$")


def matches(folder: Path) -> bool:
    """True where a folder of the folder holds a file `..._mask.png`."""
    return any(_MASK.match(Path(name).stem) for below in folders_of(folder) for name in files_of(folder / below))


def list_images(folder: Path) -> Listing:
    """The images of all classes, each with the masks beside it."""
    entries: list[Entry] = []
    problems: list[str] = []
    notes: list[str] = []
    for label in folders_of(folder):
        masks: dict[str, list[str]] = {}
        images: list[str] = []
        for name in files_of(folder / label):
            if not is_image_name(name):
                notes.append(f"{label}/{name}: not an image, not used")
                continue
            mask = _MASK.match(_stem(name))
            if mask:
                masks.setdefault(mask["image"], []).append(f"{label}/{name}")
            else:
                images.append(name)
        for name in images:
            stem = _stem(name)
            entries.append(
                Entry(
                    place=f"{label}/{name}",
                    image=f"{label}/{name}",
                    masks=tuple(MaskFile(file=file) for file in masks.pop(stem, ())),
                    without_mask=f"{label}/{name}: has no mask '{stem}_mask.png'; expected beside the image",
                    label=label,
                )
            )
        problems.extend(
            f"{files[0]}: a mask without its image '{stem}.png'; add the image or delete the mask"
            for stem, files in masks.items()
        )
    return Listing(layout=LAYOUT, entries=tuple(entries), problems=tuple(problems), notes=tuple(notes))


def _stem(name: str) -> str:
    return name[: -len(image_suffix(name))]
