"""Sets that the data come with: a column says which images train and which are tested (Cheng and Malhi 2017)."""

from collections.abc import Mapping, Sequence
from typing import Literal

from engine.errors import DataError
from engine.splits.pool import VALIDATION, Split, class_note, fill_pool, members_of, require_share, shuffled

Part = Literal["training", "validation", "test"]
_PARTS: Mapping[str, Part] = {
    "train": "training", "training": "training", "val": "validation", "valid": "validation",
    "validation": "validation", "test": "test",
}  # fmt: skip
"""What the column may say, in small letters."""
_COLUMN = "column 'split'"
_SHOWN = 3


def given_split(
    *,
    sets: Sequence[str],
    groups: Sequence[str] | None,
    fraction: float,
    seed: int,
    validation: float = VALIDATION,
    labels: Sequence[str] | None = None,
) -> Split:
    """The split that `sets` gives, with `fraction` percent of the training set as the pool; 0 and 100 take all of it.

    `sets` says `train`, `test` or `validation` of each image, `groups` names its group (None: every image is its own).
    Of two fractions the smaller one's pool lies inside the larger one's, groups whole. Where images are given to
    validate, those do, whatever the fraction, and the pool trains; else `validation` percent of the pool do. With 0 %
    none validates. `labels` as in `make_split`.

    Raises DataError where a set is not named or unknown, there are no training or test images, or a group has images
    on both sides.
    """
    parts = _parts(sets)
    _require_possible(parts, groups, fraction=fraction, validation=validation)
    places = {part: [place for place, is_in in enumerate(parts) if is_in == part] for part in _PARTS.values()}
    members = {
        name: [place for place in own if parts[place] == "training"]
        for name, own in members_of(len(parts), groups).items()
    }
    order = shuffled([name for name, own in members.items() if own], "given", seed)
    has_own = bool(places["validation"])
    training, validating, validation_by, notes = fill_pool(
        order,
        members,
        fraction=fraction or 100.0,
        images=len(places["training"]),
        what="training images",
        largest=100.0,
        validation=0.0 if has_own else validation,
        by="image" if groups is None else "group",
        key=("given", seed),
    )
    if has_own and validation:
        validating = places["validation"]
        torn = _shared(parts, groups, "training", "validation")
        if torn:
            validation_by = "image"
            notes.append(f"{_some(torn)} {_have(torn)} images in the given training and validation sets")
    elif has_own:
        notes.append(f"{len(places['validation'])} images given for validation are not used, since nothing validates")
    absent = class_note(labels, training=training, test=places["test"])
    return Split(
        training=tuple(training),
        validation=tuple(validating),
        test=tuple(places["test"]),
        by="given",
        validation_by=validation_by,
        note="; ".join([*notes, *([absent] if absent else [])]),
    )


def parts_of(sets: Sequence[str]) -> list[Part | None]:
    """The set of each image as its column says it, in any letter case; None where it says nothing known."""
    return [_PARTS.get(name.strip().casefold()) for name in sets]


def _parts(sets: Sequence[str]) -> list[Part]:
    if not any(name.strip() for name in sets):
        raise DataError(
            f"{_COLUMN}: no image says its set; write 'train' or 'test' for each image, or choose another 'split.by'"
        )
    found = parts_of(sets)
    problems: list[str] = []
    if empty := sum(not name.strip() for name in sets):
        problems.append(
            f"{_COLUMN}: {empty} of {len(sets)} images say no set; write 'train' or 'test', or leave them out"
        )
    unknown = dict.fromkeys(name for name, part in zip(sets, found, strict=True) if part is None and name.strip())
    if unknown:
        problems.append(
            f"{_COLUMN}: {_some([repr(name) for name in unknown])} is no set; expected 'train', 'test' or 'validation'"
        )
    if problems:
        raise DataError(problems)
    return [part for part in found if part is not None]


def _require_possible(
    parts: Sequence[Part], groups: Sequence[str] | None, *, fraction: float, validation: float
) -> None:
    problems = [
        f"{_COLUMN}: no image is given as '{word}'; name some, or choose another 'split.by'"
        for word, part in (("train", "training"), ("test", "test"))
        if part not in parts
    ]
    if not 0 <= fraction <= 100:
        problems.append(f"fraction {fraction:g} % asked; a pool has more than 0 and at most 100 % of the training set")
    problems.extend(require_share(validation))
    if groups is not None and len(groups) != len(parts):
        problems.append(f"{len(groups)} group names for {len(parts)} images; expected one for each")
    else:
        named: dict[str, Part] = {"train": "training", "validation": "validation"}
        for word, part in named.items():
            if torn := _shared(parts, groups, part, "test"):
                problems.append(
                    f"{_COLUMN}: {_some(torn)} {_have(torn)} images given as '{word}' and as 'test'; give a patient's "
                    "images the same set, and of identical images keep one"
                )
    if problems:
        raise DataError(problems)


def _shared(parts: Sequence[Part], groups: Sequence[str] | None, first: Part, second: Part) -> list[str]:
    """Groups with images in both sets, in the order of the images."""
    if groups is None:
        return []
    inside = {part: [name for name, own in zip(groups, parts, strict=True) if own == part] for part in (first, second)}
    other = set(inside[second])
    return [name for name in dict.fromkeys(inside[first]) if name in other]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"
