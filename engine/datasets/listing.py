"""What a folder of images holds before a pixel is decoded: one `Entry` per image, and what is wrong or worth saying."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Literal

from engine.datasets.structures import Structure
from engine.errors import DataError

KNOWN_FIELDS = ("label", "group", "scanner", "split")
"""What can be known of an image in every layout; `where` can filter by these and by a manifest's further columns."""
# What `engine.images` says of a file whose whole format is refused: seldom said of one file alone.
_FORMAT_PROBLEM = re.compile(r"(?P<file>.+?): (?P<what>a JPEG mask, .+|no decoder for .+)")


@dataclass(frozen=True, kw_only=True)
class MaskFile:
    """One mask of an image."""

    file: str
    """Relative to the folder, with '/'."""
    structure: int = 1
    """Class number of what it outlines, 1 for the first structure."""
    value: int | None = None
    """Value of the structure in a file that holds several; None where the file holds one."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image of a folder: its files and what is known of it."""

    place: str
    """Where a message about this image points: `manifest.csv:4`, or the image's own name."""
    image: str
    """Image file, relative to the folder, with '/'."""
    masks: tuple[MaskFile, ...]
    """Its masks, those of one structure to be united; none where the image has no mask."""
    mask_kind: Literal["filled", "outline"] = "filled"
    """`outline` where the file holds a closed line that is to be filled."""
    without_mask: str = ""
    """The line that says what mask is missing, and the remedy, for an image without one."""
    label: str = ""
    """Class; "" where unknown."""
    group: str = ""
    """Patient, study or clip; "" where unknown."""
    scanner: str = ""
    """Device; "" where unknown."""
    split: str = ""
    """Set that the data's authors put it in; "" where they say nothing."""
    spacing_mm: float = float("nan")
    """Side of one pixel of the file in mm; NaN where unknown."""
    frame: int | None = None
    """Number of the frame in a file of several, from 0; None where the file has one."""
    further: Mapping[str, str] = field(default_factory=dict)
    """A manifest's further columns, as text."""

    @property
    def name(self) -> str:
        """What tables and messages call it: the file, with the frame where it has several."""
        return self.image if self.frame is None else f"{self.image} frame {self.frame + 1}"

    @property
    def is_normal(self) -> bool:
        """True where the label says that there is nothing to outline, so that a mask may be missing."""
        return self.label.casefold() == "normal"

    def value(self, column: str) -> str:
        """The text in a column that `where` can filter by."""
        return str(getattr(self, column)) if column in KNOWN_FIELDS else self.further[column]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One line of a funnel: what a step leaves."""

    step: str
    """What was kept or dropped, in words."""
    left: int
    """Images left."""
    removed: int
    """Images that the step removed."""
    classes: Mapping[str, int]
    """Images left of each class; "" where the class is unknown."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The images of a folder in a fixed order, with all that is wrong or worth saying about their files."""

    layout: str
    """How the files lie, in words."""
    entries: tuple[Entry, ...]
    """The images, in a fixed order."""
    problems: tuple[str, ...] = ()
    """One line per mistake: place, value, remedy."""
    notes: tuple[str, ...] = ()
    """One line per thing that is allowed but should be known."""
    columns: tuple[str, ...] = KNOWN_FIELDS
    """Columns that `where` can filter by."""
    structures: tuple[Structure, ...] = ()
    """What is outlined, those left out whose column does not exist."""
    repeated: int = 0
    """Rows left out since they say again, word for word, what an earlier one says."""
    funnel: tuple[Stage, ...] = ()
    """How many images each step left; none where every image was taken."""
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The `where` of a study file that takes the same images; {} where every image was taken."""

    @property
    def has_masks(self) -> bool:
        """True where at least one image has a mask."""
        return any(entry.masks for entry in self.entries)

    def absent(self) -> tuple[int, ...]:
        """By structure how many images have a mask, but none of it."""
        outlined = [{mask.structure for mask in entry.masks} for entry in self.entries if entry.masks]
        return tuple(
            sum(number not in numbers for numbers in outlined) for number in range(1, len(self.structures) + 1)
        )


def path_inside(folder: Path, relative: str, *, place: str) -> str:
    """`relative` in its plain form (`images/a.png`), once it is sure to name a file inside the resolved `folder`.

    `place` begins the message. Raises DataError where it leaves the folder, by '..', as an absolute path or
    through a symbolic link, and where there is no such file.
    """
    if "\\" in relative:
        raise DataError(f"{place}: '{relative}' has backslashes; write '/' between folder and file")
    plain = PurePosixPath(relative)
    if plain.is_absolute() or ".." in plain.parts:
        raise DataError(
            f"{place}: '{relative}' leaves the folder; copy the file into it and name it relative to the folder"
        )
    # Odd bytes and very long names make the system call itself fail.
    try:
        resolved = (folder / plain).resolve()
        exists = resolved.is_file()
    except (OSError, ValueError) as error:
        raise DataError(f"{place}: '{relative}' is no usable file name ({error}); rename the file") from None
    if not resolved.is_relative_to(folder):
        raise DataError(f"{place}: '{relative}' is a link that leaves the folder; copy the file itself into the folder")
    if not exists:
        raise DataError(f"{place}: no file '{relative}'; correct the name or add the file")
    return plain.as_posix()


def files_of(folder: Path) -> list[str]:
    """Names of the files directly in `folder`, in the order that people count (2 before 10), hidden ones left out."""
    names = [path.name for path in folder.iterdir() if not path.is_dir() and not path.name.startswith(".")]
    return sorted(names, key=counting_order)


def folders_of(folder: Path) -> list[str]:
    """Names of the folders directly in `folder`, in order, hidden ones left out."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def counting_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts `benign (2).png` before `benign (10).png`."""
    parts: list[tuple[int, int, str]] = []
    number = ""
    for letter in name + "\0":
        if letter.isascii() and letter.isdigit():
            number += letter
            continue
        if number:
            parts.append((0, int(number), number))
            number = ""
        parts.append((1, 0, letter))
    return tuple(parts)


def did_you_mean(value: str, known: Sequence[str]) -> str:
    """`; did you mean 'x' or 'y'?` where known names are close, else `; known: a, b, c` (at most twelve).

    Close are names in other letter case, names that hold `value`, and names that differ in few letters.
    """
    plain = value.casefold()
    folded = {name.casefold(): name for name in known}
    holding = [name for name in sorted(folded, key=len) if plain == name or (len(plain) > 1 and plain in name)]
    near = [f"'{folded[name]}'" for name in dict.fromkeys([*holding, *get_close_matches(plain, folded)])]
    if near:
        return f"; did you mean {' or '.join(near[:3])}?"
    shown = ", ".join(name or "''" for name in known[:12]) + (", ..." if len(known) > 12 else "")
    return f"; known: {shown or 'none'}"


def keep_usable(listing: Listing, folder: Path) -> Listing:
    """The listing with only those entries that name files inside the resolved `folder`, each image once.

    Every other entry becomes a problem of the listing, but an entry that says the same as an earlier one becomes a
    note. Paths come out in their plain form.
    """
    problems = list(listing.problems)
    entries: list[Entry] = []
    first_entry: dict[tuple[str, int | None], Entry] = {}
    repeated: list[str] = []
    for entry in listing.entries:
        plain: list[str] = []
        for relative in (entry.image, *(mask.file for mask in entry.masks)):
            try:
                plain.append(path_inside(folder, relative, place=entry.place))
            except DataError as error:
                problems.extend(error.problems)
        if len(plain) < 1 + len(entry.masks):
            continue
        image, *files = plain
        masks = tuple(replace(mask, file=file) for mask, file in zip(entry.masks, files, strict=True))
        usable = replace(entry, image=image, masks=masks)
        first = first_entry.setdefault((image, entry.frame), usable)
        if first is not usable:
            differing = _differing(first, usable)
            if not differing:
                repeated.append(entry.place)
                continue
            problems.append(
                f"{entry.place}: '{usable.name}' is already named in {first.place} with another "
                f"{' and '.join(differing)}; delete one of the two"
            )
            continue
        if image in files:
            problems.append(f"{entry.place}: '{image}' is named as its own mask; name the mask file")
            continue
        named = [(mask.file, mask.value) for mask in masks]
        twice = sorted(file for file, value in set(named) if named.count((file, value)) > 1)
        if twice:
            problems.append(f"{entry.place}: '{twice[0]}' is the mask of two structures; name a mask file for each")
            continue
        entries.append(usable)
    notes = list(listing.notes)
    if repeated:
        notes.append(f"{some(repeated)}: the same as an earlier row in every column, not used")
    return replace(
        listing,
        entries=tuple(entries),
        problems=tuple(problems),
        notes=tuple(notes),
        repeated=len(repeated),
    )


def _differing(first: Entry, again: Entry) -> list[str]:
    """Columns in which two entries of one image differ."""
    pairs = {"mask": (first.masks, again.masks), "pixel size": (str(first.spacing_mm), str(again.spacing_mm))}
    pairs |= {column: (first.value(column), again.value(column)) for column in (*KNOWN_FIELDS, *first.further)}
    return [column for column, (one, other) in pairs.items() if one != other]


def mask_problems(listing: Listing) -> list[str]:
    """A line for each image without a mask, and, of several structures, for each that no image has a mask of.

    An image labelled 'normal' may go without, as an empty mask.
    """
    problems = [entry.without_mask for entry in listing.entries if not entry.masks and not entry.is_normal]
    outlined = {mask.structure for entry in listing.entries for mask in entry.masks}
    if len(listing.structures) > 1 and outlined:
        problems.extend(
            f"mask: none of the images has a mask in column '{structure.column}'; leave the column out"
            for number, structure in enumerate(listing.structures, start=1)
            if number not in outlined
        )
    return problems


def in_short(problems: Sequence[str]) -> tuple[str, ...]:
    """The lines, those of files in a format that cannot be used as one line per format: how many, and the first."""
    lines: dict[str, list[str]] = {}
    for line in problems:
        wholesale = _FORMAT_PROBLEM.fullmatch(line)
        lines.setdefault(wholesale["what"] if wholesale else line, []).append(wholesale["file"] if wholesale else "")
    return tuple(f"{some(files, most=1)}: {what}" if files[0] else what for what, files in lines.items())


def some(names: Sequence[str], most: int = 3) -> str:
    """`a, b, c and 5 more`."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
