"""What files say beside their pixels (DICOM's patient, scanner and pixel size), and which frames of a clip are used.

Of a clip the middle frame is used, unless the manifest's column `frame` says otherwise: a number (1 is the first),
`all`, or `every 5`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.datasets.listing import Entry, Listing, path_inside, some
from engine.errors import DataError
from engine.images import UNCUT, Kept, image_suffix, open_clip

FRAME = "frame"
"""Manifest column that says which frames of a clip are images."""
_SAYS_NOTHING = (".png", ".jpg", ".jpeg", ".bmp")


def with_headers(listing: Listing, root: Path) -> Listing:
    """The listing, an entry per frame that is used, with group, scanner and pixel size from the files' own headers.

    A header fills a column only where no row of the listing says anything in it. Groups are numbered in the order of
    the listing: the same folder gives the same names on every machine, and none of them can be looked up.
    """
    known: dict[str, Kept] = {}
    for entry in listing.entries:
        if image_suffix(entry.image) not in _SAYS_NOTHING and entry.image not in known:
            kept = _kept(root, entry.image, entry.place)
            if kept is not None:
                known[entry.image] = kept
    if not known:
        return listing
    entries: list[Entry] = []
    problems: list[str] = []
    filling = _Filling(
        groups=not any(entry.group for entry in listing.entries),
        scanners=not any(entry.scanner for entry in listing.entries),
    )
    masks_seen: dict[str, Kept | None] = {}
    for entry in listing.entries:
        kept = known.get(entry.image)
        if kept is None:
            entries.append(entry)
            continue
        told = filling.fill(entry, kept)
        try:
            entries.extend(_frames(told, kept, root, masks_seen))
        except DataError as error:
            problems.extend(error.problems)
    return replace(
        listing,
        entries=tuple(entries),
        problems=(*listing.problems, *problems),
        notes=(*listing.notes, *_notes(known)),
    )


@dataclass(kw_only=True)
class _Filling:
    """Which columns headers fill, and the names given to groups so far."""

    groups: bool
    scanners: bool
    names: dict[str, str] = field(default_factory=dict)

    def fill(self, entry: Entry, kept: Kept) -> Entry:
        """The entry with what its file says."""
        group, scanner, spacing_mm = entry.group, entry.scanner, entry.spacing_mm
        if self.groups and kept.group:
            group = self.names.setdefault(kept.group, f"patient {len(self.names) + 1}")
        if self.scanners:
            scanner = kept.scanner
        if spacing_mm != spacing_mm and kept.pixel_mm is not None:
            spacing_mm = kept.pixel_mm
        return replace(entry, group=group, scanner=scanner, spacing_mm=spacing_mm)


def _kept(root: Path, relative: str, place: str) -> Kept | None:
    """What the file says; None where it cannot be read, which decoding it will say with the remedy."""
    try:
        plain = path_inside(root, relative, place=place)
        with open_clip(root / plain, name=relative) as clip:
            return clip.kept
    except DataError:
        return None


def _frames(entry: Entry, kept: Kept, root: Path, masks_seen: dict[str, Kept | None]) -> list[Entry]:
    """An entry per frame that is used. Raises DataError with one line."""
    frames = kept.frames
    if frames == 1:
        return [entry]
    wish = entry.further.get(FRAME, "").strip().lower()
    numbers = _numbers(wish, frames, entry)
    for mask in entry.masks:
        if mask.file not in masks_seen:
            masks_seen[mask.file] = _kept(root, mask.file, entry.place)
        seen = masks_seen[mask.file]
        mask_frames = 1 if seen is None else seen.frames
        if mask_frames != frames and (mask_frames > 1 or len(numbers) > 1 or not wish):
            raise DataError(
                f"{entry.place}: {entry.image} has {frames} frames and {mask.file} has {mask_frames}; name the frame "
                "of the mask in a column 'frame', or give a mask with a page per frame"
            )
    if len(numbers) > 1 and not entry.group:
        raise DataError(
            f"{entry.place}: {len(numbers)} frames of {entry.image} without a group would stand on both sides of a "
            "split; name the patient or the clip in the column 'group'"
        )
    further: Mapping[str, str] = entry.further
    return [
        replace(entry, frame=number, further={**further, FRAME: str(number + 1)} if FRAME in further else further)
        for number in numbers
    ]


def _numbers(wish: str, frames: int, entry: Entry) -> list[int]:
    """Numbers of the frames that are used, from 0."""
    if wish in ("", "middle"):
        return [frames // 2]
    if wish == "all":
        return list(range(frames))
    found = re.fullmatch(r"(every )?(\d{1,9})", wish)
    if found and found[1] and int(found[2]) > 0:
        return list(range(0, frames, int(found[2])))
    if found and not found[1] and 1 <= int(found[2]) <= frames:
        return [int(found[2]) - 1]
    raise DataError(
        f"{entry.place}: frame '{wish}' of {entry.image}, which has {frames}; write a number from 1 to {frames}, "
        "'all', 'every 5', or nothing for the middle one"
    )


def _notes(known: Mapping[str, Kept]) -> list[str]:
    """What a reader of the data set should know of the files, a line per thing."""
    cut = [name for name, kept in known.items() if kept.box is not None]
    whole = [name for name, kept in known.items() if any(UNCUT in note for note in kept.notes)]
    clips = [name for name, kept in known.items() if kept.frames > 1]
    oblong = [name for name, kept in known.items() if kept.spacing_mm is not None and kept.pixel_mm is None]
    lines = [
        (cut, "cut to the ultrasound region that the header names"),
        (whole, "DICOM without a usable ultrasound region: whole frames are used, text in the picture included"),
        (clips, "of several frames: those of the column 'frame' are used, else the middle one"),
        (oblong, "with pixels that are not square: distances stay in pixels"),
    ]
    return [f"{len(files)} files {words}: {some(files)}" for files, words in lines if files]
