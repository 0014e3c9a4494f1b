"""The built-in data sets for classification: simulated cardiac views and abdominal categories."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd

from engine.datasets.dataset import Dataset, make_dataset
from engine.errors import DataError
from engine.phantoms import ABDOMINAL_SCANNERS, CARDIAC_SCANNERS, CATEGORIES, VIEWS, Phantoms, abdominal, cardiac

CAVEAT = "simulated; shows the method, not evidence"
_KINDS = {
    "cardiac phantoms": (cardiac, CARDIAC_SCANNERS, tuple(VIEWS), "cardiac views"),
    "abdominal phantoms": (abdominal, ABDOMINAL_SCANNERS, tuple(CATEGORIES), "abdominal categories"),
}
PHANTOM_CLASSES = {kind: classes for kind, (_, _, classes, _) in _KINDS.items()}
"""The classes of each kind, in the order of its data sets, before an image is made."""


def phantom_dataset(
    *,
    kind: Literal["cardiac phantoms", "abdominal phantoms"],
    images: int,
    image_size: int,
    seed: int = 0,
    scanner: Literal["A", "B", "A and B"] = "A",
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """A Dataset of `images` simulated images with a class each, grouped by patient.

    With "A and B" the first half comes from A, the rest from B, and nobody was seen by both. The table also says
    `phase` (part of the heart beat, 0 the end of diastole; "" in the abdomen). `progress` hears how many of how many
    images are made. Raises DataError where no image is asked for.
    """
    if images < 1:
        raise DataError(f"data.images: {images}; write 1 or more")
    make, scanners, classes, words = _KINDS[kind]
    chosen = ["A", "B"] if scanner == "A and B" else [scanner]
    first = -(-images // len(chosen))
    counts = dict(zip(chosen, (first, images - first), strict=False))
    parts: list[Phantoms] = []
    for name in chosen:
        before = sum(len(part.images) for part in parts)
        said = None if progress is None else (lambda done, before=before: progress(before + done, images))
        parts.append(make(counts[name], image_size, seed, scanners[name], progress=said))
    table = pd.concat([_table(part, scanners[part.scanner].shown) for part in parts], ignore_index=True)
    devices = " and ".join(f"{name} ({scanners[name].centre_frequency_mhz} MHz)" for name in chosen)
    return make_dataset(
        name=f"{kind}, scanner {scanner}",
        provenance=(
            f"{images} images of {len(classes)} {words} of {table['group'].nunique()} patients, drawn and scanned here "
            f"through {devices}, seed {seed}; {CAVEAT}"
        ),
        images=np.concatenate([part.images for part in parts]),
        table=table,
        classes=classes,
        caveats=(CAVEAT,),
    )


def _table(part: Phantoms, shown: str) -> pd.DataFrame:
    """A row per image."""
    return pd.DataFrame(
        {
            "image": [f"{group} image {frame:02d}" for group, frame in zip(part.groups, part.frames, strict=True)],
            "label": list(part.labels),
            "group": list(part.groups),
            "scanner": f"{part.scanner} ({shown})",
            "phase": ["" if np.isnan(phase) else f"{phase:.2f}" for phase in part.phase],
            "spacing_mm": part.spacing_mm,
        }
    )
