"""Structures that are learned: the manifest columns that hold their masks, and masks of several as class numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from engine.errors import DataError
from engine.images import resize_mask

MASK = "mask"
"""Column of the masks where a folder has one structure."""


@dataclass(frozen=True, kw_only=True)
class Structure:
    """Something that is outlined, such as a nerve."""

    name: str
    """Name that pages show."""
    column: str
    """Manifest column of its mask files."""


def structures_of(mask: str | Sequence[str]) -> tuple[Structure, ...]:
    """The structures that `mask` names, in order: columns, or `name=column` to give one a name of its own.

    A column `mask_vessel` is called `vessel`. Raises DataError where a column or a name is missing or stands twice.
    """
    found: list[Structure] = []
    problems: list[str] = []
    for entry in [mask] if isinstance(mask, str) else mask:
        first, equals, last = (part.strip() for part in entry.partition("="))
        column = last if equals else first
        name = first if equals else first.removeprefix(f"{MASK}_")
        if not name or not column:
            problems.append(f"mask: '{entry}' lacks a name or a column; write 'mask', or such as 'nerve=mask'")
        elif column in {structure.column for structure in found}:
            problems.append(f"mask: column '{column}' is named twice; name every structure's own column")
        elif name in {structure.name for structure in found}:
            problems.append(f"mask: two structures are called '{name}'; name one of them, such as 'second={column}'")
        found.append(Structure(name=name, column=column))
    if not found:
        problems.append("mask: no column named; name the manifest column of the masks, such as 'mask'")
    if problems:
        raise DataError(problems)
    return tuple(found)


def unite(
    masks: Mapping[int, UInt8[np.ndarray, "height width"]], height: int, width: int
) -> tuple[UInt8[np.ndarray, "height width"], int]:
    """One mask of class numbers from a 0/1 mask per class, and how many pixels more than one of them claims.

    There the highest number counts.
    """
    labels, claims = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    for number, mask in sorted(masks.items()):
        labels[mask == 1] = number
        claims += mask
    return labels, int((claims > 1).sum())


def numbers_in(labels: UInt8[np.ndarray, "height width"]) -> set[int]:
    """Numbers of the structures that have a pixel."""
    return {int(number) for number in np.flatnonzero(np.bincount(labels.ravel())) if number}


def resize_labels(labels: UInt8[np.ndarray, "height width"], size: int) -> UInt8[np.ndarray, "size size"]:
    """The class numbers stretched to a square of `size` pixels a side.

    A pixel is structure where structures cover at least half of it, as in `resize_mask`, which this is for a single
    structure; it belongs to the one that covers most of it, of equals to the last.
    """
    numbers = sorted(numbers_in(labels))
    stretched: UInt8[np.ndarray, "size size"] = resize_mask((labels > 0).astype(np.uint8), size)
    if len(numbers) < 2:
        stretched *= labels.max()
        return stretched
    owner, most = np.zeros_like(stretched), np.zeros_like(stretched)
    for number in numbers:
        part = Image.fromarray((labels == number) * np.uint8(255)).resize((size, size), Image.Resampling.BOX)
        covered = np.asarray(part)
        owner[covered >= most] = number
        most = np.maximum(most, covered)
    owner[stretched == 0] = 0
    return owner
