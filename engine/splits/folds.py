"""Test folds that are drawn: each image is tested in one of them, and a fold's pool fills from the others."""

from collections.abc import Mapping, Sequence
from typing import Literal

from engine.errors import DataError
from engine.splits.pool import (
    FULL_POOL_TOLERANCE,
    VALIDATION,
    Split,
    class_note,
    fill_pool,
    members_of,
    require_share,
    shuffled,
)


def full_pool_percent(of: int) -> float:
    """Percent of the data set that lies outside one of `of` test folds: 80 with five."""
    return 100 * (of - 1) / of


def make_split(
    *,
    images: int,
    groups: Sequence[str] | None,
    of: int,
    fold: int,
    fraction: float,
    seed: int,
    validation: float = VALIDATION,
    labels: Sequence[str] | None = None,
) -> Split:
    """The split of `images` images for test fold `fold` (from 0) `of` folds and a pool of `fraction` percent.

    `groups` names the group of each image; None splits by image. The pool is a percentage of the whole
    data set, rounded half up, taken from outside the test fold; the largest fraction takes everything
    there. `validation` percent of the pool validate, rounded, and at least one image; none with 0. Half, a quarter
    and a quarter of the images (Pasdeloup et al. 2018) are four folds, 75 % and 33.33 %. Of two fractions of the same
    fold, the smaller one's training and validation sets lie inside the larger one's (with groups: as long
    as the smaller pool holds two groups). By group, groups stay whole and come closest to these numbers
    (Amiri et al. 2020, Table I; by group and nested: ours). `labels` names the class of each image; folds do not
    depend on it, but the note says of which classes no image trains, or none is tested.

    Raises DataError where folds, groups or images are too few, or the fraction is impossible.
    """
    _require_possible(images=images, groups=groups, of=of, fold=fold, fraction=fraction, validation=validation)
    members = members_of(images, groups)
    folds = _folds(members, of=of, seed=seed)
    outside = [name for number, names in enumerate(folds) if number != fold for name in names]
    by: Literal["group", "image"] = "image" if groups is None else "group"
    training, validating, validation_by, notes = fill_pool(
        shuffled(outside, "pool", seed, fold),
        members,
        fraction=fraction,
        images=images,
        what="images",
        largest=full_pool_percent(of),
        validation=validation,
        by=by,
        key=(seed, fold),
    )
    test = sorted(place for name in folds[fold] for place in members[name])
    absent = class_note(labels, training=training, test=test)
    return Split(
        training=tuple(training),
        validation=tuple(validating),
        test=tuple(test),
        by=by,
        validation_by=validation_by,
        note="; ".join([*notes, *([absent] if absent else [])]),
    )


def _folds(members: Mapping[str, Sequence[int]], *, of: int, seed: int) -> list[list[str]]:
    """Names in each fold: large groups first, each to the fold with the fewest images, chance among equals.

    Groups of one image give folds that differ by one image at most, the larger ones first.
    """
    folds: list[list[str]] = [[] for _ in range(of)]
    sizes = [0] * of
    for name in sorted(shuffled(list(members), "folds", seed), key=lambda name: -len(members[name])):
        smallest = sizes.index(min(sizes))
        folds[smallest].append(name)
        sizes[smallest] += len(members[name])
    return folds


def _require_possible(
    *, images: int, groups: Sequence[str] | None, of: int, fold: int, fraction: float, validation: float
) -> None:
    problems: list[str] = []
    if of < 2:
        problems.append(f"{of} folds asked; a test fold and a pool need at least 2")
    elif not 0 <= fold < of:
        problems.append(f"fold {fold} asked of {of}; folds are counted from 0 to {of - 1}")
    if of >= 2 and not 0 < fraction <= full_pool_percent(of) + FULL_POOL_TOLERANCE:
        most = f"{full_pool_percent(of):.4g}"
        problems.append(f"fraction {fraction:g} % asked; with {of} folds a pool has more than 0 and at most {most} %")
    problems.extend(require_share(validation))
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
