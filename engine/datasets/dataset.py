"""What every reader gives back and everything later works on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from engine.errors import DataError

COLUMNS = {
    "image": str,  # name shown: file name, or number of a made image
    "label": str,  # class; "" where unknown
    "group": str,  # patient, study or clip that stays on one side of a split; "" where unknown
    "scanner": str,  # "" where unknown
    "split": str,  # "train", "test", ... as the manifest says; "" where it says nothing
    "source_height": int,  # pixels before resizing
    "source_width": int,
    "spacing_mm": float,  # side of one source pixel; NaN where unknown
}
"""Columns of `Dataset.table`, a row per image; a manifest's further columns follow as text."""


ONE_STRUCTURE = ("mask",)
"""Names of structures where nobody has named one."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Gray images with masks or classes, resized to the network's square, and what is known of each."""

    name: str
    """Name shown on pages, such as `hc18_fetal_head` or `SUS (simulated)`."""
    provenance: str
    """One line: what these images are and where they come from; pages always show it."""
    images: UInt8[np.ndarray, "image height width"]
    """Gray values, 0 to 255."""
    masks: UInt8[np.ndarray, "image mask_height mask_width"]
    """Number of the structure (1 for the first of `structures`), 0 elsewhere; of side 0 where classes are learned."""
    table: pd.DataFrame
    """A row per image with at least the columns of `COLUMNS`."""
    fingerprint: str
    """SHA-256, hex, of images, masks and groups: what decides the numbers of a trial. Where classes are learned, of
    classes, labels and given sets too."""
    structures: tuple[str, ...] = ONE_STRUCTURE
    """Names of what the masks outline, in the order of their numbers; none where classes are learned."""
    classes: tuple[str, ...] = ()
    """Names of the classes that are told apart, sorted; none where masks are learned."""
    caveats: tuple[str, ...] = ()
    """What a reader of results must know of these images, a line each; pages always show them."""

    @property
    def has_groups(self) -> bool:
        """True where every image names its group."""
        return bool((self.table["group"] != "").all())

    def groups_for_splits(self, by: Literal["group", "image", "given"]) -> list[str] | None:
        """What must stay on one side of a split: the group of each image, or by image the image itself.

        Where the sets are given, it is the group, or the image itself where it names none. Groups (or images) that
        share an image to the pixel are one, so that it cannot leak; they are called `first + second`, in the order of
        the table. None where every image may go its own way.
        """
        groups = [str(name) for name in self.table["image" if by == "image" else "group"]]
        if by == "given":
            groups = [group or str(image) for group, image in zip(groups, self.table["image"], strict=True)]
        first_with = dict[bytes, str]()
        united = {group: group for group in groups}

        def find(group: str) -> str:
            return group if united[group] == group else find(united[group])

        for group, image in zip(groups, self.images, strict=True):
            other = first_with.setdefault(hashlib.sha256(np.ascontiguousarray(image).data).digest(), group)
            united[find(group)] = find(other)
        members = dict[str, list[str]]()
        for group in dict.fromkeys(groups):
            members.setdefault(find(group), []).append(group)
        if by == "image" and len(members) == len(groups):
            return None
        return [" + ".join(members[find(group)]) for group in groups]


def make_dataset(
    *,
    name: str,
    provenance: str,
    images: UInt8[np.ndarray, "image height width"],
    masks: UInt8[np.ndarray, "image mask_height mask_width"] | None = None,
    table: pd.DataFrame,
    structures: Sequence[str] | None = None,
    classes: Sequence[str] = (),
    caveats: Sequence[str] = (),
) -> Dataset:
    """A Dataset with its fingerprint; missing columns of `table` are filled with "" or NaN.

    With `classes` it is for classification: every label is one of them, and `masks` is None or of side 0. Raises
    DataError where the numbers of images, masks and rows differ, masks number more structures than named, or labels
    and classes do not fit.
    """
    structures = tuple(structures) if structures is not None else () if classes else ONE_STRUCTURE
    if masks is None:
        masks = np.zeros((len(images), 0, 0), np.uint8)
    if not len(images) == len(masks) == len(table):
        raise DataError(
            f"{name}: {len(images)} images, {len(masks)} masks and {len(table)} rows; expected as many of each"
        )
    expected = (0, 0) if classes else images.shape[1:]
    if masks.shape[1:] != expected:
        raise DataError(f"{name}: masks of {_size(masks)} pixels; expected {' x '.join(map(str, expected))}")
    highest = int(masks.max(initial=0))
    if highest > len(structures):
        raise DataError(
            f"{name}: masks number {highest} structures, but {len(structures)} are named ({', '.join(structures)})"
        )
    table = table.reset_index(drop=True)
    for column, kind in COLUMNS.items():
        if column not in table:
            missing = {str: "", float: np.nan, int: images.shape[1] if column == "source_height" else images.shape[2]}
            table[column] = missing[kind]
    classes = tuple(sorted(set(classes)))
    if classes and (problems := _class_problems(name, table, classes)):
        raise DataError(problems)
    digest = hashlib.sha256()
    digest.update(repr((images.shape, str(images.dtype))).encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(masks).data)
    digest.update("\0".join(table["group"].astype(str)).encode())
    if len(structures) > 1:
        # The same masks are another task where a further structure could have been found and is not there.
        digest.update(f"\0{len(structures)} structures".encode())
    if classes:
        columns = [[str(value) for value in table[column]] for column in ("label", "split")]
        digest.update(f"\0{json.dumps([classes, *columns])}".encode())
    return Dataset(
        name=name,
        provenance=provenance,
        images=images,
        masks=masks,
        table=table,
        fingerprint=digest.hexdigest(),
        structures=structures,
        classes=classes,
        caveats=tuple(caveats),
    )


def is_sound(dataset: Dataset) -> bool:
    """Whether the content is what the fingerprint says."""
    again = make_dataset(
        name=dataset.name,
        provenance=dataset.provenance,
        images=dataset.images,
        masks=dataset.masks,
        table=dataset.table,
        structures=dataset.structures,
        classes=dataset.classes,
    )
    return again.fingerprint == dataset.fingerprint


def _size(masks: np.ndarray) -> str:
    return f"{masks.shape[1]} x {masks.shape[2]}"


def _class_problems(name: str, table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """What keeps images from being told apart by class, a line each."""
    if len(classes) == 1:
        return [f"{name}: one class only ('{classes[0]}'); classes to tell apart are two or more"]
    labels = table["label"].astype(str)
    problems: list[str] = []
    nameless = table.loc[labels == "", "image"]
    if len(nameless):
        problems.append(
            f"{name}: {len(nameless)} of {len(table)} images have no class (the first: {nameless.iloc[0]}); "
            "fill in their labels, or leave them out"
        )
    for label in sorted(set(labels) - {"", *classes}):
        images = table.loc[labels == label, "image"]
        problems.append(
            f"{name}: {len(images)} images are labelled '{label}' (the first: {images.iloc[0]}), which is none of the "
            f"classes {', '.join(classes)}; correct the label, or name the class"
        )
    return problems
