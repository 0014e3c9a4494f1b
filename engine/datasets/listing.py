"""What a folder of images holds before a pixel is decoded: one `Entry` per image, and what is wrong or worth saying."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Literal

from engine.errors import DataError

KNOWN_FIELDS = ("label", "group", "scanner", "split")
"""What can be known of an image in every layout; `where` can filter by these and by a manifest's further columns."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image of a folder: its files and what is known of it."""

    place: str
    """Where a message about this image points: `manifest.csv:4`, or the image's own name."""
    image: str
    """Image file, relative to the folder, with '/'."""
    masks: tuple[str, ...]
    """Mask files, relative to the folder, that are united; none where the image has no mask."""
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
    further: Mapping[str, str] = field(default_factory=dict)
    """A manifest's further columns, as text."""

    @property
    def is_normal(self) -> bool:
        """True where the label says that there is nothing to outline, so that a mask may be missing."""
        return self.label.casefold() == "normal"

    def value(self, column: str) -> str:
        """The text in a column that `where` can filter by."""
        return str(getattr(self, column)) if column in KNOWN_FIELDS else self.further[column]


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

    @property
    def has_masks(self) -> bool:
        """True where at least one image has a mask."""
        return any(entry.masks for entry in self.entries)


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
    """`; did you mean 'x'?` where a known name is close, else `; known: a, b, c` (at most twelve)."""
    close = get_close_matches(value, known, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    shown = ", ".join(name or "''" for name in known[:12]) + (", ..." if len(known) > 12 else "")
    return f"; known: {shown or 'none'}"


def keep_where(listing: Listing, where: Mapping[str, Sequence[str]]) -> Listing:
    """The listing with only those entries whose columns hold one of the values named.

    An unknown column, or a value that no image has, becomes a problem of the listing.
    """
    problems = list(listing.problems)
    entries = listing.entries
    for column, wanted in where.items():
        values = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        if column not in listing.columns:
            problems.append(f"where: unknown column '{column}'{did_you_mean(column, listing.columns)}")
            continue
        present = sorted({entry.value(column) for entry in listing.entries})
        problems.extend(
            f"where: no image has {column} '{value}'{did_you_mean(value, present)}"
            for value in values
            if value not in present
        )
        entries = tuple(entry for entry in entries if entry.value(column) in values)
    if listing.entries and not entries and len(problems) == len(listing.problems):
        problems.append(f"where: no image fits the conditions on {', '.join(where)} together; name fewer")
    return replace(listing, entries=entries, problems=tuple(problems))


def keep_usable(listing: Listing, folder: Path) -> Listing:
    """The listing with only those entries that name files inside the resolved `folder`, each image once.

    Every other entry becomes a problem of the listing. Paths come out in their plain form.
    """
    problems = list(listing.problems)
    entries: list[Entry] = []
    first_place: dict[str, str] = {}
    for entry in listing.entries:
        plain: list[str] = []
        for relative in (entry.image, *entry.masks):
            try:
                plain.append(path_inside(folder, relative, place=entry.place))
            except DataError as error:
                problems.extend(error.problems)
        if len(plain) < 1 + len(entry.masks):
            continue
        image, *masks = plain
        if image in first_place:
            problems.append(f"{entry.place}: '{image}' is already named in {first_place[image]}; delete one of the two")
            continue
        first_place[image] = entry.place
        if image in masks:
            problems.append(f"{entry.place}: '{image}' is named as its own mask; name the mask file")
            continue
        entries.append(replace(entry, image=image, masks=tuple(masks)))
    return replace(listing, entries=tuple(entries), problems=tuple(problems))


def mask_problems(listing: Listing) -> list[str]:
    """A line for each image without a mask; an image labelled 'normal' may go without, as an empty mask."""
    return [entry.without_mask for entry in listing.entries if not entry.masks and not entry.is_normal]
