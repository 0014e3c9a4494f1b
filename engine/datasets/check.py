"""What a folder of images holds, and everything that is wrong with it: `whichlayers check FOLDER`."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from engine.datasets.class_findings import caveats, classes_found, scanners_found
from engine.datasets.confounding import associations
from engine.datasets.folder import Decoded, decode
from engine.datasets.funnel import Step
from engine.datasets.layouts import list_classes, list_folder
from engine.datasets.listing import Entry, Listing, counting_order, in_short, mask_problems, some
from engine.datasets.lookalikes import NEAR_BITS, NearDuplicate, near_duplicates, perceptual_hash
from engine.datasets.report import CheckReport, Spread, StructureFound
from engine.datasets.structures import MASK
from engine.errors import DataError

FEW_GROUPS = 5
"""Fewer groups than the paper's folds: some folds would have no test set of their own."""


def check(
    folder: str | Path,
    *,
    mask: str | Sequence[str] = MASK,
    label: str | None = None,
    where: Mapping[str, Sequence[str]] | None = None,
    steps: Sequence[Step] = (),
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """What the folder holds and everything that is wrong with it; bad input becomes `problems`, not an exception.

    `mask` and `where` as in `read_folder`. With `label`, the column of the class, it is looked through as for telling
    classes apart: masks count for nothing. `steps` keep or drop further images, after `where`; `progress` is called
    with (images read, images in all).
    """
    root, for_classes = Path(folder).expanduser(), label is not None
    try:
        if label is None:
            listing = list_folder(root, mask=mask, where=where, steps=steps)
        else:
            listing = list_classes(root, label=label, where=where, steps=steps)
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
            found = _measure(decode(root, entry), len(listing.structures))
        except DataError as error:
            problems.extend(error.problems)
        else:
            entries.append(entry)
            measured.append(found)
        if progress is not None:
            progress(number + 1, len(listing.entries))
    if not listing.entries and not problems:
        problems.append(f"{root.name}: no images found; add some or correct the manifest")
    problems.extend(
        _identical_line(entries[first], entries[later], for_classes=for_classes)
        for first, later in _identical_pairs(measured)
    )
    pairs, count = near_duplicates(
        [entry.name for entry in entries],
        [entry.group for entry in entries],
        [found.perceptual_hash for found in measured],
        [found.digest for found in measured],
    )
    notes = [*listing.notes, *_notes(listing, entries, measured, pairs, count, for_classes=for_classes)]
    warnings = caveats(listing.entries, root) if for_classes else ()
    shorter_sides = [min(found.height, found.width) for found in measured]
    return CheckReport(
        folder=root.name,
        layout=listing.layout,
        images=len(listing.entries),
        readable=len(entries),
        classes=_counts(entry.label for entry in listing.entries),
        groups=_counts(entry.group for entry in listing.entries),
        scanners=_counts(entry.scanner for entry in listing.entries),
        splits=_counts(entry.split for entry in listing.entries),
        funnel=listing.funnel,
        where=listing.where,
        by_class=classes_found(listing.entries) if for_classes else (),
        by_scanner=scanners_found(entries, shorter_sides) if for_classes else (),
        associations=associations(listing.entries),
        caveats=warnings,
        width=_spread([found.width for found in measured]),
        height=_spread([found.height for found in measured]),
        sizes=dict(Counter(f"{found.width} x {found.height}" for found in measured).most_common()),
        masks=sum(bool(entry.masks) for entry in listing.entries),
        mask_percent=_spread([found.mask_percent for found in measured if found.mask_percent]),
        structures=_structures(listing, measured),
        overlap_images=sum(bool(found.overlap) for found in measured),
        overlap_pixels=sum(found.overlap for found in measured),
        empty_masks=tuple(
            entry.name for entry, found in zip(entries, measured, strict=True) if found.mask_percent == 0
        ),
        near_duplicates=pairs,
        near_duplicate_pairs=count,
        problems=in_short(problems),
        notes=(*notes, *warnings),
    )


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What is kept of a decoded image."""

    width: int
    height: int
    mask_percent: float | None
    structure_percent: tuple[float, ...]
    """By structure; empty where there is no mask."""
    overlap: int
    digest: str
    perceptual_hash: int
    was_scaled: bool


def _measure(decoded: Decoded, structures: int) -> _Measured:
    height, width = decoded.pixels.shape
    mask = decoded.mask if structures else None
    percent: list[float] = []
    if mask is not None:
        percent = [100 * float(np.mean(mask == number)) for number in range(1, structures + 1)]
    return _Measured(
        width=width,
        height=height,
        mask_percent=None if mask is None else 100 * float(np.mean(mask > 0)),
        structure_percent=tuple(percent),
        overlap=decoded.overlap,
        digest=decoded.digest,
        perceptual_hash=perceptual_hash(decoded.pixels),
        was_scaled=decoded.scaled_range is not None,
    )


def _structures(listing: Listing, measured: Sequence[_Measured]) -> tuple[StructureFound, ...]:
    found: list[StructureFound] = []
    for place, (structure, absent) in enumerate(zip(listing.structures, listing.absent(), strict=True)):
        percent = [image.structure_percent[place] for image in measured if image.structure_percent]
        outlined = [value for value in percent if value]
        found.append(
            StructureFound(
                name=structure.name,
                column=structure.column,
                images=len(outlined),
                absent=absent,
                percent=_spread(outlined),
            )
        )
    return tuple(found)


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


def _identical_line(first: Entry, later: Entry, *, for_classes: bool) -> str:
    if first.group and later.group and first.group != later.group:
        leak = f", and would leak between their groups {first.group} and {later.group}"
    else:
        leak = ""
    if for_classes and first.label != later.label:
        leak += f", and another class ({later.label or 'none'}, not {first.label or 'none'})"
    name = "" if later.place == later.name else f" {later.name}"
    return f"{later.place}:{name} has the same pixels as {first.name}{leak}; keep one of the two"


def _notes(
    listing: Listing,
    entries: Sequence[Entry],
    measured: Sequence[_Measured],
    pairs: Sequence[NearDuplicate],
    pair_count: int,
    *,
    for_classes: bool,
) -> list[str]:
    """One line per thing that is allowed but should be known before a study is planned."""
    if not listing.entries:
        return []
    notes = [] if for_classes else _mask_notes(listing, entries, measured)
    scaled = [entry.name for entry, found in zip(entries, measured, strict=True) if found.was_scaled]
    if scaled:
        notes.append(f"{len(scaled)} images deeper than 8 bits, each scaled by its own range: {some(scaled)}")
    notes.extend(_group_notes(listing.entries))
    across = [pair for pair in pairs if pair.across_groups]
    if across:
        notes.append(
            f"{len(across)} near-duplicate pairs lie in different groups and would leak between training and test: "
            + some([f"{pair.first} and {pair.second} ({pair.bits} bits of 64)" for pair in across])
            + "; give both the same group"
        )
    if pair_count > len(across):
        where = "in the same group" if entries and all(entry.group for entry in entries) else "without known groups"
        notes.append(f"{pair_count - len(across)} near-duplicate pairs {where} (at most {NEAR_BITS} bits of 64 apart)")
    if not for_classes:
        notes.extend(found.line for found in associations(listing.entries) if found.is_mixed_up)
    return notes


def _mask_notes(listing: Listing, entries: Sequence[Entry], measured: Sequence[_Measured]) -> list[str]:
    if not listing.has_masks:
        return ["no masks: fit for classification (--labels), not for finding outlines"]
    notes: list[str] = []
    assumed = sum(not entry.masks and entry.is_normal for entry in listing.entries)
    if assumed:
        notes.append(f"{assumed} images labelled normal have no mask file; their masks are taken as empty")
    notes.extend(_structure_notes(listing, entries, measured))
    full = [entry.name for entry, found in zip(entries, measured, strict=True) if found.mask_percent == 100]
    if full:
        notes.append(f"{len(full)} masks cover the whole image: {some(full)}")
    return notes


def _structure_notes(listing: Listing, entries: Sequence[Entry], measured: Sequence[_Measured]) -> list[str]:
    if len(listing.structures) < 2:
        return []
    notes = [
        f"{absent} images have no mask in column '{structure.column}' but one of another structure; "
        f"{structure.name} is taken as absent there"
        for structure, absent in zip(listing.structures, listing.absent(), strict=True)
        if absent
    ]
    shared = [entry.name for entry, found in zip(entries, measured, strict=True) if found.overlap]
    if shared:
        pixels = sum(found.overlap for found in measured)
        notes.append(
            f"structures overlap in {len(shared)} images ({pixels:,} pixels), which go to the later one named: "
            + some(shared)
        )
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
        notes.append(f"{len(torn)} groups stand in several sets of the column 'split': {some(torn)}")
    return notes
