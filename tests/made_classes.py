"""Folders of images with classes that tests write for themselves."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.made_folders import write_image

COLUMNS = ("label", "group", "scanner", "split", "doppler", "annotated", "anatomy")


def write_frames(folder: Path, rows: Sequence[Mapping[str, str]], *, height: int = 24, width: int = 32) -> Path:
    """Writes an image per row and a manifest with the columns of `COLUMNS`; gives the folder back."""
    lines = [",".join(("image", *COLUMNS))]
    for number, row in enumerate(rows):
        write_image(folder / f"images/{number}.png", number, height=height, width=width)
        lines.append(",".join((f"images/{number}.png", *(row.get(column, "") for column in COLUMNS))))
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def views(images: int = 12, **further: str) -> list[dict[str, str]]:
    """Rows of the classes `kidney` and `liver` in turn, three to a patient, scanners A and B by patient."""
    return [
        {
            "label": ("kidney", "liver")[number % 2],
            "group": f"patient {number // 3}",
            "scanner": "AB"[number // 3 % 2],
            **further,
        }
        for number in range(images)
    ]
