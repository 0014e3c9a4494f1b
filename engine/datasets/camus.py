"""Layout of CAMUS (Leclerc et al. 2019, 10.1109/TMI.2019.2900516): a folder per patient, `.mhd` or `.nii.gz`.

`patient0001/patient0001_2CH_ED.mhd` has `patient0001_2CH_ED_gt.mhd`, whose values are 1 in the left ventricle, 2 in its
myocardium, 3 in the left atrium. Both views at both phases are images; the sequences between them have no outlines by
hand in every version and are not used. The patient is the group, the view the label.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from engine.datasets.listing import KNOWN_FIELDS, Entry, Listing, MaskFile, did_you_mean, files_of, folders_of
from engine.datasets.structures import MASK, Structure

LAYOUT = "CAMUS archive"
VALUES = {MASK: 1, "mask_ventricle": 1, "mask_myocardium": 2, "mask_atrium": 3}
"""What a study file can call the structures, and their values in the outlines."""
SCANNER = "GE Vivid E95"
"""All of CAMUS was recorded on it (Leclerc et al. 2019, Section III-A)."""
_IMAGE = re.compile(
    r"^(?P<patient>patient\d+)_(?P<view>[24]CH)_(?P<phase>E[DS])(?P<ending>\.mhd|\.mha|\.nii|\.nii\.gz)$"
)
_QUALITY = re.compile(r"^\s*ImageQuality\s*:\s*(\w+)", re.MULTILINE)


def matches(folder: Path) -> bool:
    """True where a folder of the folder holds an image named as in the archive."""
    return any(_IMAGE.match(name) for below in folders_of(folder) for name in files_of(folder / below))


def list_images(folder: Path, structures: Sequence[Structure]) -> Listing:
    """Both views at both phases of every patient, with the outlines of `structures`, numbered from 1."""
    problems = [
        f"mask: no column '{structure.column}' in the layout '{LAYOUT}'{did_you_mean(structure.column, list(VALUES))}"
        for structure in structures
        if structure.column not in VALUES
    ]
    known = tuple(structure for structure in structures if structure.column in VALUES)
    entries: list[Entry] = []
    for below in folders_of(folder):
        names = set(files_of(folder / below))
        for name in sorted(names):
            match = _IMAGE.match(name)
            if not match:
                continue
            outline = f"{name.removesuffix(match['ending'])}_gt{match['ending']}"
            entries.append(
                Entry(
                    place=f"{below}/{name}",
                    image=f"{below}/{name}",
                    masks=tuple(
                        MaskFile(file=f"{below}/{outline}", structure=number, value=VALUES[structure.column])
                        for number, structure in enumerate(known, start=1)
                        if outline in names
                    ),
                    without_mask=f"{below}/{name}: has no outline '{outline}'; expected beside the image",
                    label=match["view"],
                    group=match["patient"],
                    scanner=SCANNER,
                    further={
                        "phase": match["phase"],
                        "quality": _quality(folder / below / f"Info_{match['view']}.cfg"),
                    },
                )
            )
    return Listing(
        layout=LAYOUT,
        entries=tuple(entries),
        problems=tuple(problems),
        columns=(*KNOWN_FIELDS, "phase", "quality"),
        structures=known,
    )


def _quality(path: Path) -> str:
    """`Good`, `Medium` or `Poor`, as the authors judged the view; "" where they do not say."""
    try:
        found = _QUALITY.search(path.read_text(encoding="utf-8", errors="replace")[:10_000])
    except OSError:
        return ""
    return found[1] if found else ""
