"""A split, and how its pool fills: a prefix of one fixed order of groups, whose roles nest with it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import ceil
from typing import Literal

from engine.errors import DataError

VALIDATION = 20.0
"""Percent of the pool that validates (Amiri et al. 2020, Table I)."""
FULL_POOL_TOLERANCE = 0.05
"""Percent: `66.7` of three folds means everything outside the test fold, although it is 66.67 there."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Places of the images (counted from 0, ascending) in the three sets of one fold and fraction."""

    training: tuple[int, ...]
    validation: tuple[int, ...]
    """None where training goes on for fixed iterations."""
    test: tuple[int, ...]
    by: Literal["group", "image", "given"]
    """`group`: no group has images both in the test set and in the pool; `given`: nor here, and the sets are given."""
    validation_by: Literal["group", "image"]
    """`group`: no group has images both in the training and in the validation set."""
    note: str
    """What a reader must know beside the numbers; "" where nothing is unusual."""


def members_of(images: int, groups: Sequence[str] | None) -> dict[str, list[int]]:
    """Places of the images of each group; by image, each image is a group of its own."""
    members: dict[str, list[int]] = {}
    for place in range(images):
        members.setdefault(str(place) if groups is None else groups[place], []).append(place)
    return members


def shuffled(names: Sequence[str], *key: str | int) -> list[str]:
    """The names in an order that `key` and they alone decide."""

    def place(name: str) -> bytes:
        return hashlib.sha256(json.dumps([*key, name]).encode()).digest()

    return sorted(names, key=place)


def is_full(fraction: float, largest: float) -> bool:
    """True where `fraction` percent means everything that may be taken, which is `largest` percent."""
    return fraction >= largest - FULL_POOL_TOLERANCE


def fill_pool(
    order: Sequence[str],
    members: Mapping[str, Sequence[int]],
    *,
    fraction: float,
    images: int,
    what: str,
    largest: float,
    validation: float,
    by: Literal["group", "image"],
    key: Sequence[str | int],
) -> tuple[list[int], list[int], Literal["group", "image"], list[str]]:
    """Places that train and that validate, what the latter go by, and notes: `fraction` percent of `images` `what`.

    They are taken from the front of `order`, all of it from `largest` percent on; `validation` percent of them
    validate, and one at least where it is not 0. Groups stay whole and come closest to these numbers; only a pool of
    a single group is shared out by image, in an order that `key` decides. Raises DataError where images are too few.
    """
    least = 2 if validation else 1
    wanted = sum(len(members[name]) for name in order) if is_full(fraction, largest) else _rounded(fraction, images)
    pool = _prefix(order, members, wanted, least)
    size = sum(len(members[name]) for name in pool)
    if (found := min(wanted, size)) < least:
        enough = ceil(100 * (100 * least - 50) / images) / 100  # half an image more is rounded up
        larger = "" if enough > largest else f"a larger fraction ({enough:g} % at least), or "
        need = "training and validation need one each" if validation else "training needs one"
        raise DataError(f"{fraction:g} % of {images} {what} is a pool of {found}; {need}: take {larger}more images")
    notes: list[str] = []
    if size != wanted:
        notes.append(f"{fraction:g} % is {wanted} of {images} {what}; the pool has {size}, because groups stay whole")
    validation_by = by
    if by == "group" and len(pool) == 1 and validation:
        validation_by = "image"
        notes.append(f"the pool is one group ('{pool[0]}'), so validation is drawn from it by image")
        members = {str(place): [place] for place in members[pool[0]]}
        pool = shuffled(list(members), "one group", *key)
    sets: dict[bool, list[int]] = {True: [], False: []}
    for name, is_validation in zip(pool, validates([len(members[name]) for name in pool], validation), strict=True):
        sets[is_validation].extend(members[name])
    return sorted(sets[False]), sorted(sets[True]), validation_by, notes


def validates(sizes: Sequence[int], percent: float) -> list[bool]:
    """For each group of a pool, in order: does it validate? `percent` of the images do, as nearly as groups allow.

    A group's role depends on the groups before it only, so that sets nest; the smaller of the first two validates, so
    that two groups suffice. With groups of one image a pool of p has round(p percent / 100) validation images (Amiri
    et al. 2020, Table I, a fifth) and one at least; none with 0 percent.
    """
    part = Fraction(str(percent)) / 100
    roles: list[bool] = []
    images = validation = 0
    for place, size in enumerate(sizes):
        images += size
        if place < 2 <= len(sizes) and part:
            role = (place == 1) == (sizes[1] <= sizes[0])
        else:
            role = abs(validation + size - part * images) < abs(validation - part * images)
        validation += size if role else 0
        roles.append(role)
    return roles


def class_note(labels: Sequence[str] | None, *, training: Sequence[int], test: Sequence[int]) -> str:
    """The classes of which no image trains, or none is tested; "" where every class is in both sets."""
    if labels is None:
        return ""
    absent = {
        name: sorted(set(labels) - {labels[place] for place in places})
        for name, places in (("training", training), ("test", test))
    }
    return "; ".join(
        f"no {name} image of class{'es' * (len(missing) > 1)} {', '.join(missing)}"
        for name, missing in absent.items()
        if missing
    )


def require_share(validation: float) -> list[str]:
    """A problem where `validation` is no percentage that leaves images to train on."""
    if 0 <= validation < 100:
        return []
    return [f"validation of {validation:g} % asked; expected 0 (none), or less than 100 % of the pool"]


def _prefix(order: Sequence[str], members: Mapping[str, Sequence[int]], wanted: int, least: int) -> list[str]:
    """The first names of `order` that come closest to `wanted` images, and have `least` of them if they can.

    Always a prefix of the same order, so that a smaller pool lies inside a larger one.
    """
    best, best_distance, size = len(order), None, 0
    for count, name in enumerate(order, start=1):
        size += len(members[name])
        distance = abs(size - wanted)
        if size >= least and (best_distance is None or distance < best_distance):
            best, best_distance = count, distance
    return list(order[:best])


def _rounded(fraction: float, images: int) -> int:
    """`fraction` percent of `images`, half up (42.5 -> 43), free of binary rounding."""
    return int((Decimal(str(fraction)) * images / 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))
