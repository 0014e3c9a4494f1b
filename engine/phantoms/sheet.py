"""A contact sheet: every view and category through both scanners, a heart over its beat, for people to look at."""

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from engine.phantoms.abdominal import abdominal_image
from engine.phantoms.abdominal_views import CATEGORIES
from engine.phantoms.cardiac import cardiac_frame
from engine.phantoms.cardiac_views import VIEWS
from engine.phantoms.scanner import ABDOMINAL_SCANNERS, CARDIAC_SCANNERS

GRAYS = 24
"""Gray values of the sheet: speckle does not compress, and more could not be told apart."""
_GAP, _NAME, _HEAD = 3, 92, 44

Tile = UInt8[np.ndarray, "height width"]


def contact_sheet(tile: int = 112, seed: int = 0, patients: int = 3) -> Image.Image:
    """A gray picture: cardiac views on the left, abdominal categories on the right, tiles of side `tile` pixels.

    A row per class: `patients` patients through scanner A, then others through B. Below the cardiac views one patient
    over a beat through both scanners.
    """
    block = _NAME + 2 * patients * (tile + _GAP) + 3 * _GAP
    rows = max(len(VIEWS) + 3, len(CATEGORIES))
    sheet = Image.new("L", (2 * block + 4 * _GAP, _HEAD + rows * (tile + _GAP)), 255)
    heart = [(view, _cardiac_row(view, tile, seed, patients)) for view in VIEWS]
    abdomen = [(label, _abdominal_row(label, tile, seed, patients)) for label in CATEGORIES]
    _block(sheet, heart, 0, 0, "scanner A: a cart", "scanner B: a pocket device")
    _block(sheet, abdomen, block + 4 * _GAP, 0, "scanner A: a newer cart", "scanner B: an older cart")
    _beat(sheet, tile, seed, patients)
    said = "Simulated; shows the method, not evidence."
    ImageDraw.Draw(sheet).text((_NAME, sheet.height - 60), said, fill=0, font=ImageFont.load_default(15))
    levels = np.round(np.asarray(sheet) / 255 * (GRAYS - 1)) * (255 / (GRAYS - 1))
    return Image.fromarray(levels.astype(np.uint8)).quantize(GRAYS)


def _cardiac_row(view: str, tile: int, seed: int, patients: int) -> list[Tile]:
    return [
        cardiac_frame(patient, patient * len(VIEWS), tile, seed, scanner, view=view).image
        for scanner in CARDIAC_SCANNERS.values()
        for patient in range(patients)
    ]


def _abdominal_row(label: str, tile: int, seed: int, patients: int) -> list[Tile]:
    return [
        abdominal_image(patient, patient, tile, seed, scanner, label=label).image
        for scanner in ABDOMINAL_SCANNERS.values()
        for patient in range(patients)
    ]


def _beat(sheet: Image.Image, tile: int, seed: int, patients: int) -> None:
    """The same patient in six moments of a beat (as far as there is room), through A and as B would show it."""
    phases = [0.0, 0.15, 0.38, 0.56, 0.72, 0.9][: 2 * patients]
    same = replace(CARDIAC_SCANNERS["B"], stream=CARDIAC_SCANNERS["A"].stream)
    rows = [
        (name, [cardiac_frame(1, 0, tile, seed, scanner, view="A4C", phase=phase).image for phase in phases])
        for name, scanner in (("A4C through A", CARDIAC_SCANNERS["A"]), ("the same through B", same))
    ]
    top = (len(VIEWS) + 0.5) * (tile + _GAP)
    _block(
        sheet,
        rows,
        0,
        round(top),
        "one patient over a beat: end of diastole, systole,",
        "end of systole, filling, rest, atrium",
    )


def _block(
    sheet: Image.Image, rows: list[tuple[str, list[Tile]]], left: int, top: int, head_left: str, head_right: str
) -> None:
    """Rows of tiles with their names, and what stands over the two halves."""
    draw = ImageDraw.Draw(sheet)
    font, small = ImageFont.load_default(15), ImageFont.load_default(12)
    tile = rows[0][1][0].shape[0]
    middle = len(rows[0][1]) // 2
    half = left + _NAME + middle * (tile + _GAP) + 2 * _GAP
    for x, head in ((left + _NAME, head_left), (half, head_right)):
        draw.text((x, top + _HEAD - 22), head, fill=0, font=font)
    for number, (name, tiles) in enumerate(rows):
        y = top + _HEAD + number * (tile + _GAP)
        draw.text((left + 2, y + tile // 2 - 22), name.replace(" ", "\n"), fill=0, font=small)
        for column, image in enumerate(tiles):
            x = left + _NAME + column * (tile + _GAP) + (2 * _GAP if column >= middle else 0)
            sheet.paste(Image.fromarray(image), (x, y))
