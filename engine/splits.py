"""Which images train, validate and test: fixed folds, nested fractions, by group or by image. Needs no torch.

Every choice is a sort by SHA-256 of (seed, fold, name), so the same seed gives the same split on every
machine and under every version of every library. Folds depend on their number and the seed alone; the
order in which a fold's pool fills depends on the seed and the fold. Nothing depends on pixels, strategies
or rates.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from math import ceil
from typing import Literal

import pandas as pd

from engine.errors import DataError

FULL_POOL_TOLERANCE = 0.05
"""Percent: `66.7` of three folds means everything outside the test fold, although it is 66.67 there."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Places of the images (counted from 0, ascending) in the three sets of one fold and fraction."""

    training: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    by: Literal["group", "image"]
    """`group`: no group has images both in the test set and in the pool."""
    validation_by: Literal["group", "image"]
    """`group`: no group has images both in the training and in the validation set."""
    note: str
    """What a reader must know beside the numbers; "" where nothing is unusual."""


def full_pool_percent(of: int) -> float:
    """Percent of the data set that lies outside one of `of` test folds: 80 with five."""
    return 100 * (of - 1) / of


def make_split(*, images: int, groups: Sequence[str] | None, of: int, fold: int, fraction: float, seed: int) -> Split:
    """The split of `images` images for test fold `fold` (from 0) `of` folds and a pool of `fraction` percent.

    `groups` names the group of each image; None splits by image. The pool is a percentage of the whole
    data set, rounded half up, taken from outside the test fold; the largest fraction takes everything
    there. Validation is a fifth of the pool, rounded, and at least one image. Of two fractions of the same
    fold, the smaller one's training and validation sets lie inside the larger one's (with groups: as long
    as the smaller pool holds two groups). By group, groups stay whole and come closest to these numbers
    (Amiri et al. 2020, Table I; by group and nested: ours).

    Raises DataError where folds, groups or images are too few, or the fraction is impossible.
    """
    _require_possible(images=images, groups=groups, of=of, fold=fold, fraction=fraction)
    members = _members(images, groups)
    folds = _folds(members, of=of, seed=seed)
    outside = [name for number, names in enumerate(folds) if number != fold for name in names]
    order = _shuffled(outside, "pool", seed, fold)
    wanted = sum(len(members[name]) for name in order) if _is_full(fraction, of) else _rounded(fraction, images)
    pool = _prefix(order, members, wanted)
    size = sum(len(members[name]) for name in pool)
    _require_two(min(wanted, size), images=images, of=of, fraction=fraction)

    notes: list[str] = []
    by: Literal["group", "image"] = "image" if groups is None else "group"
    if size != wanted:
        notes.append(f"{fraction:g} % is {wanted} of {images} images; the pool has {size}, because groups stay whole")
    validation_by = by
    if by == "group" and len(pool) == 1:
        validation_by = "image"
        notes.append(f"the pool is one group ('{pool[0]}'), so validation is drawn from it by image")
        members = {str(place): [place] for place in members[pool[0]]}
        pool = _shuffled(list(members), "one group", seed, fold)

    validates = _validates([len(members[name]) for name in pool])
    sets: dict[bool, list[int]] = {True: [], False: []}
    for name, is_validation in zip(pool, validates, strict=True):
        sets[is_validation].extend(members[name])
    tested = _members(images, groups)
    return Split(
        training=tuple(sorted(sets[False])),
        validation=tuple(sorted(sets[True])),
        test=tuple(sorted(place for name in folds[fold] for place in tested[name])),
        by=by,
        validation_by=validation_by,
        note="; ".join(notes),
    )


def batches_per_epoch(images: int, of: int = 5, batch_size: int = 2) -> int:
    """Optimiser steps per epoch for every fraction: those of the training part of fold 0's full pool, by image.

    27 for SUS, 52 BUS, 258 FUS, 77 X-ray with five folds and two images per step (Amiri et al. 2020, II-C).
    """
    pool = images - ceil(images / of)
    return ceil((pool - _validates([1] * pool).count(True)) / batch_size)


def table1(
    images: int,
    groups: Sequence[str] | None = None,
    *,
    of: int = 5,
    fractions: Sequence[float] = (80.0, 50.0, 5.0),
    seed: int = 0,
    folds: Sequence[int] | None = None,
) -> pd.DataFrame:
    """A row per fraction and fold: how many images train, validate and test (Amiri et al. 2020, Table I).

    Columns: fraction, fold, training, validation, test, validation_by, note. Raises as `make_split`.
    """
    rows: list[dict[str, float | int | str]] = []
    for fraction in fractions:
        for fold in range(of) if folds is None else folds:
            split = make_split(images=images, groups=groups, of=of, fold=fold, fraction=fraction, seed=seed)
            rows.append(
                {
                    "fraction": fraction,
                    "fold": fold,
                    "training": len(split.training),
                    "validation": len(split.validation),
                    "test": len(split.test),
                    "validation_by": split.validation_by,
                    "note": split.note,
                }
            )
    columns = ["fraction", "fold", "training", "validation", "test", "validation_by", "note"]
    return pd.DataFrame(rows, columns=columns)


def _members(images: int, groups: Sequence[str] | None) -> dict[str, list[int]]:
    """Places of the images of each group; by image, each image is a group of its own."""
    members: dict[str, list[int]] = {}
    for place in range(images):
        members.setdefault(str(place) if groups is None else groups[place], []).append(place)
    return members


def _shuffled(names: Sequence[str], *key: str | int) -> list[str]:
    def place(name: str) -> bytes:
        return hashlib.sha256(json.dumps([*key, name]).encode()).digest()

    return sorted(names, key=place)


def _folds(members: Mapping[str, Sequence[int]], *, of: int, seed: int) -> list[list[str]]:
    """Names in each fold: large groups first, each to the fold with the fewest images, chance among equals.

    Groups of one image give folds that differ by one image at most, the larger ones first.
    """
    folds: list[list[str]] = [[] for _ in range(of)]
    sizes = [0] * of
    for name in sorted(_shuffled(list(members), "folds", seed), key=lambda name: -len(members[name])):
        smallest = sizes.index(min(sizes))
        folds[smallest].append(name)
        sizes[smallest] += len(members[name])
    return folds


def _prefix(order: Sequence[str], members: Mapping[str, Sequence[int]], wanted: int) -> list[str]:
    """The first names of `order` that come closest to `wanted` images, and have two at least if they can.

    Always a prefix of the same order, so that a smaller pool lies inside a larger one.
    """
    best, best_distance, size = len(order), None, 0
    for count, name in enumerate(order, start=1):
        size += len(members[name])
        distance = abs(size - wanted)
        if size >= 2 and (best_distance is None or distance < best_distance):
            best, best_distance = count, distance
    return list(order[:best])


def _validates(sizes: Sequence[int]) -> list[bool]:
    """For each group of a pool, in order: does it validate? A fifth of the images does, as nearly as groups allow.

    A group's role depends on the groups before it only, so that sets nest; the smaller of the first two
    validates, so that two groups suffice. With groups of one image a pool of p has round(0.2 p) validation
    images (Table I) and one at least.
    """
    roles: list[bool] = []
    images = validation = 0
    for place, size in enumerate(sizes):
        images += size
        if place < 2 <= len(sizes):
            role = (place == 1) == (sizes[1] <= sizes[0])
        else:
            role = abs(5 * (validation + size) - images) < abs(5 * validation - images)
        validation += size if role else 0
        roles.append(role)
    return roles


def _rounded(fraction: float, images: int) -> int:
    """`fraction` percent of `images`, half up (42.5 -> 43), free of binary rounding."""
    return int((Decimal(str(fraction)) * images / 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _is_full(fraction: float, of: int) -> bool:
    return fraction >= full_pool_percent(of) - FULL_POOL_TOLERANCE


def _require_possible(*, images: int, groups: Sequence[str] | None, of: int, fold: int, fraction: float) -> None:
    problems: list[str] = []
    if of < 2:
        problems.append(f"{of} folds asked; a test fold and a pool need at least 2")
    elif not 0 <= fold < of:
        problems.append(f"fold {fold} asked of {of}; folds are counted from 0 to {of - 1}")
    if of >= 2 and not 0 < fraction <= full_pool_percent(of) + FULL_POOL_TOLERANCE:
        most = f"{full_pool_percent(of):.4g}"
        problems.append(f"fraction {fraction:g} % asked; with {of} folds a pool has more than 0 and at most {most} %")
    if images < of:
        fewer = f"take at most {images} folds (folds.of), or " if images > 1 else ""
        problems.append(f"{of} folds asked of {images} image{'s' * (images != 1)}; {fewer}add images")
    elif groups is not None and len(groups) != images:
        problems.append(f"{len(groups)} group names for {images} images; expected one for each")
    elif groups is not None and (unnamed := sum(name == "" for name in groups)):
        problems.append(f"{unnamed} of {images} images name no group; name them all, or split by image")
    elif groups is not None and (count := len(set(groups))) < of:
        problems.append(
            f"{of} folds asked of {count} groups; take at most {count} folds (folds.of), or 'split: {{by: image}}'"
        )
    if problems:
        raise DataError(problems)


def _require_two(pool: int, *, images: int, of: int, fraction: float) -> None:
    if pool < 2:
        least = ceil(15000 / images) / 100  # 1.5 images are rounded to 2
        larger = "" if least > full_pool_percent(of) else f"a larger fraction ({least:g} % at least), or "
        raise DataError(
            f"{fraction:g} % of {images} images is a pool of {pool}; training and validation need one each: "
            f"take {larger}more images"
        )
