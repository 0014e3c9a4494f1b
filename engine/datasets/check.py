"""What a folder of images holds, and everything that is wrong with it: `whichlayers check FOLDER`."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.datasets.folder import Decoded, decode
from engine.datasets.layouts import list_folder
from engine.datasets.listing import Entry, Listing, counting_order, mask_problems
from engine.datasets.lookalikes import NEAR_BITS, NearDuplicate, near_duplicates, perceptual_hash
from engine.errors import DataError

FEW_GROUPS = 5
"""Fewer groups than the paper's folds: some folds would have no test set of their own."""
CONFOUNDED = 0.5
"""Cramér's V of label and scanner from which they are called mixed up (0: independent, 1: one tells the other)."""
SHOWN = 10
"""Rows shown of a long table; `--json` holds all."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Smallest, middle and largest of some numbers."""

    minimum: float
    median: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What was found in a folder of images."""

    folder: str
    """Name of the folder."""
    layout: str = ""
    """How the files lie; "" where that is unknown."""
    images: int = 0
    """Images found."""
    readable: int = 0
    """Images that could be read, with their masks."""
    classes: Mapping[str, int] = field(default_factory=dict)
    """Images per class; "" where the class is unknown."""
    groups: Mapping[str, int] = field(default_factory=dict)
    """Images per patient, study or clip."""
    scanners: Mapping[str, int] = field(default_factory=dict)
    """Images per scanner."""
    splits: Mapping[str, int] = field(default_factory=dict)
    """Images per set of the data's authors."""
    width: Spread | None = None
    """Widths in pixels."""
    height: Spread | None = None
    """Heights in pixels."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Images per size (`width x height`), most frequent first."""
    masks: int = 0
    """Images that come with a mask."""
    mask_percent: Spread | None = None
    """Percent of an image's pixels on the structure, over images whose mask is not empty."""
    empty_masks: tuple[str, ...] = ()
    """Images with a mask without structure."""
    near_duplicates: tuple[NearDuplicate, ...] = ()
    """Pairs that look alike, those across groups first; at most 1,000."""
    near_duplicate_pairs: int = 0
    """How many such pairs there are."""
    problems: tuple[str, ...] = ()
    """One line per mistake: file, what, remedy."""
    notes: tuple[str, ...] = ()
    """One line per thing that is allowed but should be known."""

    @property
    def exit_code(self) -> int:
        """2 where there are problems, else 0."""
        return 2 if self.problems else 0

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values that `json` can write."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    def render(self, console: Console) -> None:
        """Prints tables that are readable at a glance, then notes, then problems, a line each."""
        _render(self, console)


def check(
    folder: str | Path,
    *,
    mask: str = "mask",
    where: Mapping[str, Sequence[str]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """What the folder holds and everything that is wrong with it; bad input becomes `problems`, not an exception.

    `mask` and `where` as in `read_folder`; `progress` is called with (images read, images in all).
    """
    root = Path(folder).expanduser()
    try:
        listing = list_folder(root, mask=mask, where=where)
    except DataError as error:
        return CheckReport(folder=root.name or str(root), problems=error.problems)
    root = root.resolve()
    problems = list(listing.problems)
    if listing.has_masks:
        problems.extend(mask_problems(listing))
    entries: list[Entry] = []
    measured: list[_Measured] = []
    for number, entry in enumerate(listing.entries):
        try:
            found = _measure(decode(root, entry))
        except DataError as error:
            problems.extend(error.problems)
        else:
            entries.append(entry)
            measured.append(found)
        if progress is not None:
            progress(number + 1, len(listing.entries))
    if not listing.entries and not problems:
        problems.append(f"{root.name}: no images found; add some or correct the manifest")
    problems.extend(_identical_line(entries[first], entries[later]) for first, later in _identical_pairs(measured))
    pairs, count = near_duplicates(
        [entry.image for entry in entries],
        [entry.group for entry in entries],
        [found.perceptual_hash for found in measured],
        [found.digest for found in measured],
    )
    return CheckReport(
        folder=root.name,
        layout=listing.layout,
        images=len(listing.entries),
        readable=len(entries),
        classes=_counts(entry.label for entry in listing.entries),
        groups=_counts(entry.group for entry in listing.entries),
        scanners=_counts(entry.scanner for entry in listing.entries),
        splits=_counts(entry.split for entry in listing.entries),
        width=_spread([found.width for found in measured]),
        height=_spread([found.height for found in measured]),
        sizes=dict(Counter(f"{found.width} x {found.height}" for found in measured).most_common()),
        masks=sum(bool(entry.masks) for entry in listing.entries),
        mask_percent=_spread([found.mask_percent for found in measured if found.mask_percent]),
        empty_masks=tuple(
            entry.image for entry, found in zip(entries, measured, strict=True) if found.mask_percent == 0
        ),
        near_duplicates=pairs,
        near_duplicate_pairs=count,
        problems=tuple(problems),
        notes=(*listing.notes, *_notes(listing, entries, measured, pairs, count)),
    )


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What is kept of a decoded image."""

    width: int
    height: int
    mask_percent: float | None
    digest: str
    perceptual_hash: int
    was_scaled: bool


def _measure(decoded: Decoded) -> _Measured:
    height, width = decoded.pixels.shape
    return _Measured(
        width=width,
        height=height,
        mask_percent=None if decoded.mask is None else 100 * float(np.mean(decoded.mask)),
        digest=decoded.digest,
        perceptual_hash=perceptual_hash(decoded.pixels),
        was_scaled=decoded.scaled_range is not None,
    )


def _spread(values: Sequence[int] | Sequence[float]) -> Spread | None:
    if not values:
        return None
    return Spread(minimum=float(min(values)), median=float(median(values)), maximum=float(max(values)))


def _counts(values: Any) -> dict[str, int]:
    counted = Counter(values)
    return {value: counted[value] for value in sorted(counted, key=counting_order)}


def _identical_pairs(measured: Sequence[_Measured]) -> list[tuple[int, int]]:
    """(first, later) for each later image with the same pixels as an earlier one."""
    first_place: dict[str, int] = {}
    pairs: list[tuple[int, int]] = []
    for position, found in enumerate(measured):
        first = first_place.setdefault(found.digest, position)
        if first != position:
            pairs.append((first, position))
    return pairs


def _identical_line(first: Entry, later: Entry) -> str:
    if first.group and later.group and first.group != later.group:
        leak = f", and would leak between their groups {first.group} and {later.group}"
    else:
        leak = ""
    name = "" if later.place == later.image else f" {later.image}"
    return f"{later.place}:{name} has the same pixels as {first.image}{leak}; keep one of the two"


def _notes(
    listing: Listing,
    entries: Sequence[Entry],
    measured: Sequence[_Measured],
    pairs: Sequence[NearDuplicate],
    pair_count: int,
) -> list[str]:
    """One line per thing that is allowed but should be known before a study is planned."""
    if not listing.entries:
        return []
    notes: list[str] = []
    if not listing.has_masks:
        notes.append("no masks: fit for classification, not for finding outlines")
    else:
        assumed = sum(not entry.masks and entry.is_normal for entry in listing.entries)
        if assumed:
            notes.append(f"{assumed} images labelled normal have no mask file; their masks are taken as empty")
        full = [entry.image for entry, found in zip(entries, measured, strict=True) if found.mask_percent == 100]
        if full:
            notes.append(f"{len(full)} masks cover the whole image: {_some(full)}")
    scaled = [entry.image for entry, found in zip(entries, measured, strict=True) if found.was_scaled]
    if scaled:
        notes.append(f"{len(scaled)} images deeper than 8 bits, each scaled by its own range: {_some(scaled)}")
    notes.extend(_group_notes(listing.entries))
    across = [pair for pair in pairs if pair.across_groups]
    if across:
        notes.append(
            f"{len(across)} near-duplicate pairs lie in different groups and would leak between training and test: "
            + _some([f"{pair.first} and {pair.second} ({pair.bits} bits of 64)" for pair in across])
            + "; give both the same group"
        )
    if pair_count > len(across):
        where = "in the same group" if entries and all(entry.group for entry in entries) else "without known groups"
        notes.append(f"{pair_count - len(across)} near-duplicate pairs {where} (at most {NEAR_BITS} bits of 64 apart)")
    notes.extend(_confounding_notes(listing.entries))
    return notes


def _group_notes(entries: Sequence[Entry]) -> list[str]:
    groups = {entry.group for entry in entries} - {""}
    unnamed = sum(entry.group == "" for entry in entries)
    if not groups:
        return ["no groups: images are split one by one, so images of one patient may stand on both sides"]
    notes = []
    if unnamed:
        notes.append(f"{unnamed} of {len(entries)} images name no group: splitting by group is off")
    if len(groups) == 1:
        notes.append("one group only: a split by group is impossible")
    elif len(groups) < FEW_GROUPS:
        notes.append(f"{len(groups)} groups only: too few for {FEW_GROUPS} folds by group")
    sets: dict[str, set[str]] = {}
    for entry in entries:
        if entry.group and entry.split:
            sets.setdefault(entry.group, set()).add(entry.split)
    torn = sorted(group for group, names in sets.items() if len(names) > 1)
    if torn:
        notes.append(f"{len(torn)} groups stand in several sets of the column 'split': {_some(torn)}")
    return notes


def _confounding_notes(entries: Sequence[Entry]) -> list[str]:
    """A note where label and scanner go together, so that a network could learn the one for the other."""
    known = [(entry.label, entry.scanner) for entry in entries if entry.label and entry.scanner]
    labels = sorted({label for label, _ in known})
    scanners = sorted({scanner for _, scanner in known})
    if len(labels) < 2 or len(scanners) < 2:
        return []
    counts = np.zeros((len(labels), len(scanners)))
    for label, scanner in known:
        counts[labels.index(label), scanners.index(scanner)] += 1
    strength = cramers_v(counts)
    if bool(((counts > 0).sum(axis=1) == 1).all()):
        return [f"each label occurs on one scanner only: label and scanner cannot be told apart (V = {strength:.2f})"]
    if strength >= CONFOUNDED:
        return [f"label and scanner are mixed up (Cramér's V = {strength:.2f}): a network may learn the scanner"]
    return []


def cramers_v(counts: np.ndarray) -> float:
    """Cramér's V of a table of counts, 0 (independent) to 1; no bias correction. Every row and column has counts."""
    total = counts.sum()
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / total
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    return float(np.sqrt(chi_square / (total * (min(counts.shape) - 1))))


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _render(report: CheckReport, console: Console) -> None:
    # File names may hold square brackets, which rich would read as markup: everything goes through Text.
    layout = f" · {report.layout}" if report.layout else ""
    console.print(Text(f"{report.folder}{layout} · {report.images} images", style="bold"), soft_wrap=True)
    if report.images:
        console.print(_facts(report))
        for title, counts in (
            ("class", report.classes),
            ("group", report.groups),
            ("scanner", report.scanners),
            ("split", report.splits),
        ):
            if set(counts) - {""}:
                console.print(_count_table(title, counts))
    if report.near_duplicates:
        console.print(_pair_table(report))
    for line in report.notes:
        console.print(Text(f"note: {line}", style="yellow"), soft_wrap=True)
    for line in report.problems:
        console.print(Text(f"problem: {line}", style="red"), soft_wrap=True)
    count = len(report.problems)
    verdict = "no problems" if not count else f"{count} problem{'s' if count > 1 else ''}"
    console.print(Text(verdict, style="bold red" if count else "bold green"))


def _facts(report: CheckReport) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    named = {group: count for group, count in report.groups.items() if group}
    rows = [
        ("readable", f"{report.readable} of {report.images}"),
        ("classes", str(len(set(report.classes) - {""}) or "unknown")),
        ("groups", f"{len(named)}, of {min(named.values())} to {max(named.values())} images" if named else "unknown"),
        ("scanners", str(len(set(report.scanners) - {""}) or "unknown")),
        ("width", _spread_text(report.width, "px")),
        ("height", _spread_text(report.height, "px")),
        ("sizes", _some([f"{size} ({count})" for size, count in report.sizes.items()])),
        ("masks", f"{report.masks} of {report.images}"),
    ]
    if report.masks:
        rows.append(("mask covers", _spread_text(report.mask_percent, "%")))
        rows.append(("empty masks", str(len(report.empty_masks))))
    for name, value in rows:
        table.add_row(Text(name, style="dim"), Text(value))
    return table


def _spread_text(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return "none"
    digits = ".1f" if unit == "%" else "g"
    numbers = [format(value, digits) for value in (spread.minimum, spread.median, spread.maximum)]
    return f"{numbers[0]} to {numbers[2]} {unit}, median {numbers[1]}"


def _count_table(title: str, counts: Mapping[str, int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(title)
    table.add_column("images", justify="right")
    largest = sorted(counts.items(), key=lambda item: -item[1]) if len(counts) > SHOWN else list(counts.items())
    for value, count in largest[:SHOWN]:
        table.add_row(Text(value or "(unknown)"), str(count))
    if len(counts) > SHOWN:
        table.add_row(Text(f"{len(counts) - SHOWN} more", style="dim"), str(sum(n for _, n in largest[SHOWN:])))
    return table


def _pair_table(report: CheckReport) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, title=f"{report.near_duplicate_pairs} near-duplicate pairs", title_justify="left"
    )
    table.add_column("image")
    table.add_column("looks like")
    table.add_column("bits of 64", justify="right")
    table.add_column("groups")
    for pair in report.near_duplicates[:SHOWN]:
        across = Text("different: leaks", style="red") if pair.across_groups else Text("same or unknown", style="dim")
        table.add_row(Text(pair.first), Text(pair.second), str(pair.bits), across)
    return table
