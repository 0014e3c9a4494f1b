"""What must be known of images before classes are learned from them: how many, whose, and from where."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.datasets.confounding import associations, by_class
from engine.datasets.listing import Entry, some

TINY = 10
"""Images of a class below which its accuracy is hardly known: one image is ten percent."""
_ONE_GROUP = 0.5
"""Part of a class's images from one group from which that is said."""
_WARNINGS = re.compile(r"\b(caveats?|confounded|claims?)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=\.)\s+")


@dataclass(frozen=True, kw_only=True)
class ClassFound:
    """One class."""

    name: str
    images: int
    groups: int
    """Groups (patients, studies or clips) with an image of it; 0 where they are unknown."""
    largest_group: int
    """Images of the group that has most of them; 0 where groups are unknown."""
    scanners: Mapping[str, int]
    """Images per scanner; "" where it is unknown."""
    splits: Mapping[str, int]
    """Images per set of the data's authors."""


@dataclass(frozen=True, kw_only=True)
class ScannerFound:
    """One scanner."""

    name: str
    """ "" where it is unknown."""
    images: int
    groups: int
    """Groups with an image from it; 0 where they are unknown."""
    classes: int
    smallest_side: int
    """Shorter side of its smallest image in pixels: the largest central square that all its images have."""


def classes_found(entries: Sequence[Entry]) -> tuple[ClassFound, ...]:
    """The classes of images, in order of their names; images without a class are left out."""
    found = []
    for label, own in by_class(entries).items():
        groups = Counter(entry.group for entry in own if entry.group)
        found.append(
            ClassFound(
                name=label,
                images=len(own),
                groups=len(groups),
                largest_group=max(groups.values(), default=0),
                scanners=dict(sorted(Counter(entry.scanner for entry in own).items())),
                splits=dict(sorted(Counter(entry.split for entry in own).items())),
            )
        )
    return tuple(found)


def scanners_found(entries: Sequence[Entry], shorter_sides: Sequence[int]) -> tuple[ScannerFound, ...]:
    """The scanners of images, in order of their names; `shorter_sides` in pixels, one per image."""
    return tuple(
        ScannerFound(
            name=scanner,
            images=len(own),
            groups=len({entry.group for entry, _ in own} - {""}),
            classes=len({entry.label for entry, _ in own} - {""}),
            smallest_side=min(side for _, side in own),
        )
        for scanner in sorted({entry.scanner for entry in entries})
        if (own := [pair for pair in zip(entries, shorter_sides, strict=True) if pair[0].scanner == scanner])
    )


def class_notes(entries: Sequence[Entry]) -> list[str]:
    """One line per thing that limits what can be said of classes: mixed up with an origin, few images, few groups."""
    found = classes_found(entries)
    if len(found) < 2:
        return []
    notes = [one.line for one in associations(entries) if one.line]
    if tiny := [f"{one.name} ({one.images})" for one in found if one.images < TINY]:
        notes.append(f"fewer than {TINY} images of a class: {some(tiny)}; accuracy there is hardly known")
    if all(entry.group for entry in entries):
        if lone := [one.name for one in found if one.groups == 1]:
            notes.append(f"one group only of a class: {some(lone)}; split by group, it trains or is tested, not both")
        if most := [
            f"{one.name} ({one.largest_group} of {one.images})"
            for one in found
            if one.groups > 1 and one.images >= TINY and one.largest_group > _ONE_GROUP * one.images
        ]:
            notes.append(f"more than half of a class's images from one group: {some(most)}")
        if len({entry.group for entry in entries}) == len(entries):
            notes.append("every group is a single image: whether images of one patient are kept apart is not known")
    lacking = {
        word: [one.name for one in found if not one.splits.get(word)]
        for word in sorted({entry.split for entry in entries} - {""})
    }
    notes.extend(
        f"no image of a class in the set '{word}' of the column 'split': {some(absent)}"
        for word, absent in lacking.items()
        if absent
    )
    return notes


def caveats(entries: Sequence[Entry], root: Path) -> tuple[str, ...]:
    """What pages must say beside results of these images: `class_notes`, and what the data's own SOURCE.md warns of.

    Of SOURCE.md they are the sentences that say 'caveat', 'confounded' or 'claim'.
    """
    return (*class_notes(entries), *source_warnings(root))


def source_warnings(root: Path) -> list[str]:
    """The sentences of the folder's SOURCE.md that warn of something; none where there is no such file."""
    path = root / "SOURCE.md"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    sentences = [sentence.strip("-*# ") for line in lines for sentence in _SENTENCE_END.split(line)]
    return [f"SOURCE.md: {sentence}" for sentence in sentences if _WARNINGS.search(sentence)]
