"""The frames of Mistakes on one sheet, to put into a paper: images, and bars of their most probable classes, as SVG."""

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from dashboard.figures.mistakes import OTHERS, top_table
from dashboard.figures.palette import FONT, INK
from dashboard.figures.rows import rows
from dashboard.png import png

COLUMNS = 6
WIDTH, GAP = 150, 14
"""Pixels of a tile and of the space between two."""
LINE, BAR = 15, 13
"""Pixels of a line of words and of a bar with its space."""
NAME, NUMBER = 58, 30
"""Pixels of a class's name left of its bar, and of the percent right of it."""


def mistakes_sheet(
    table: pd.DataFrame,
    pictures: Sequence[UInt8[np.ndarray, "height width rgb"]],
    readers: Sequence[str],
    classes: Sequence[str],
) -> str:
    """An SVG with the frames of `mistakes.said_table`, `COLUMNS` in a row; `pictures` are theirs, in their order.

    Each tile has its true class, what every reader says, and bars of the most probable classes, the true one dark.
    """
    tiles = [_tile(row, picture, readers, classes) for row, picture in zip(rows(table), pictures, strict=True)]
    body, top = [], 0.0
    for begin in range(0, len(tiles), COLUMNS):
        line = tiles[begin : begin + COLUMNS]
        for place, (drawn, _) in enumerate(line):
            body.append(f"<g transform='translate({place * (WIDTH + GAP)},{top:g})'>{drawn}</g>")
        top += max(height for _, height in line) + GAP
    width, height = COLUMNS * (WIDTH + GAP) - GAP, max(top - GAP, 1)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height:g}' viewBox='0 0 {width} {height:g}' "
        f'font-family="{FONT}" font-size="11" fill="{INK[False]}">'
        f"<rect width='100%' height='100%' fill='#ffffff'/>{''.join(body)}</svg>"
    )


def _tile(row: Any, picture: np.ndarray, readers: Sequence[str], classes: Sequence[str]) -> tuple[str, float]:
    high = WIDTH * picture.shape[0] / picture.shape[1]
    parts = [f"<image width='{WIDTH}' height='{high:g}' href='data:image/png;base64,{_png(picture)}'/>"]
    y = high + LINE
    parts.append(f"<text y='{y:g}' font-weight='600' font-size='13'>{escape(str(row.label))}</text>")
    for name, right, said, values in zip(readers, row.right, row.said, row.probabilities, strict=True):
        y += LINE
        told = f"{'✓' if right else '✗'} {name}" + ("" if right else f": {said}")
        parts.append(f"<text y='{y:g}' textLength='{min(WIDTH, 5.4 * len(told)):g}'>{escape(told)}</text>")
        if not isinstance(values, np.ndarray | list | tuple):
            continue
        for one in rows(top_table(np.asarray(values), classes, str(row.label)).rename(columns={"class": "name"})):
            y += BAR
            length = (WIDTH - NAME - NUMBER) * one.probability
            colour = INK[False] if one.true else OTHERS[False]
            parts.append(
                f"<text y='{y:g}' font-size='10'>{escape(_short(str(one.name)))}</text>"
                f"<rect x='{NAME}' y='{y - 8:g}' width='{max(length, 0.8):.1f}' height='8' fill='{colour}'/>"
                f"<text x='{WIDTH}' y='{y:g}' font-size='10' text-anchor='end'>{100 * one.probability:.0f} %</text>"
            )
    return "".join(parts), y + 4


def _short(name: str) -> str:
    return name if len(name) <= 11 else f"{name[:10]}…"


def _png(picture: np.ndarray) -> str:
    return base64.b64encode(png(picture)).decode()
