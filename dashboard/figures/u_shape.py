"""The U-Net as rectangles and links: where its units lie in a drawing, and how what learns and what is frozen look."""

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.palette import FAINT, INK, Colours
from dashboard.figures.rows import parts, rows
from engine.architectures import UNET_UNITS

LEARNS: dict[tuple[Colours, bool], str] = {
    ("red-green", False): "#2f8148",
    ("red-green", True): "#57b974",
    ("colour-blind safe", False): "#bd6410",
    ("colour-blind safe", True): "#ef9f4d",
}
"""Fill of what learns: green as in the paper, or orange, for (name, dark page)."""
ON_LEARNS = {False: "#ffffff", True: "#12181d"}
FROZEN = {False: "#4f86ba", True: "#6d9ccb"}
ON_FROZEN = {False: "#e3edf6", True: "#22323f"}
LEVELS = {"1": 0, "2": 1, "3": 2, "4": 3, "5a": 4, "5b": 4, "6": 3, "7": 2, "8": 1, "9": 0}
"""Poolings before each unit of the U-Net."""
WIDTHS, OVERLAP = (1.0, 1.25, 1.55, 1.95, 3.2), 0.4
HEIGHTS, GAP = (1.0, 0.8, 0.66, 0.55, 0.47), 0.2
"""Drawn sizes by level: filters grow and sides shrink, but not by the factor 2 that they have."""
SIDES = ("1", "9"), ("2", "8"), ("3", "7"), ("4", "6")
"""Blocks that a skip connection joins."""
MOST_NAMED = 8
"""Units of another network that can carry their names, one above the other."""
Box = tuple[float, float, float, float]
"""Left, right, bottom, top."""


def boxes() -> dict[str, Box]:
    """Box of each unit of the U-Net, in a drawing from 0 to 1 across and up."""
    across = 2 * sum(WIDTHS[:4]) + WIDTHS[4] - 8 * OVERLAP
    up = sum(HEIGHTS) + 4 * GAP
    tops = [sum(HEIGHTS[level:]) + (4 - level) * GAP for level in range(5)]
    found: dict[str, Box] = {}
    left = 0.0
    for unit, level in LEVELS.items():
        wide = WIDTHS[level] / (2 if level == 4 else 1)
        found[unit] = (left / across, (left + wide) / across, (tops[level] - HEIGHTS[level]) / up, tops[level] / up)
        left += wide - (0 if unit == "5a" else OVERLAP)
    return found


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A rectangle that is drawn: a unit, or a part of it where its convolutions differ."""

    label: str
    state: str
    """learns, adapters, frozen; or mixed, the label alone of a unit that is drawn in parts."""
    box: Box


@dataclass(frozen=True, kw_only=True)
class Link:
    """A line between two units, with an arrow's head at its end."""

    x: tuple[float, float]
    y: tuple[float, float]
    angle: int
    """Where the head points: 0 is up, 90 right."""


def _within(box: Box, frame: Box) -> Box:
    wide, high = frame[1] - frame[0], frame[3] - frame[2]
    return frame[0] + box[0] * wide, frame[0] + box[1] * wide, frame[2] + box[2] * high, frame[2] + box[3] * high


def pieces_of(part: pd.DataFrame, frame: Box, most_named: int = MOST_NAMED) -> list[Piece]:
    """Rectangles of one strategy in its frame: a unit whose convolutions all do the same is one of them.

    Of another network than the U-Net, units are named where there are at most `most_named`.
    """
    if not part["drawn"].all():
        # Input on top, output at the bottom: names lie on their units whatever the width.
        high = 1 / max(len(part), 3)
        found = [(row, (0.1, 0.9, 1 - (n + 1) * high, 1 - n * high)) for n, row in enumerate(rows(part))]
        return [
            Piece(label=row.unit if len(part) <= most_named else "", state=row.state, box=_within(box, frame))
            for row, box in found
        ]
    pieces = []
    for unit, convolutions in parts(part, "unit"):
        left, right, bottom, top = boxes()[unit]
        states = list(convolutions["state"])
        # The output convolution takes no adapter, which is no reason to draw it apart.
        states = states[:1] if set(states[:-1]) <= {"adapters"} else states
        states = states[:1] if len(set(states)) == 1 else states
        step = (right - left) / len(states)
        for n, state in enumerate(states):
            box = (left + n * step, left + (n + 1) * step, bottom, top)
            pieces.append(Piece(label=str(unit) if len(states) == 1 else "", state=state, box=_within(box, frame)))
        if len(states) > 1:
            pieces.append(Piece(label=str(unit), state="mixed", box=_within(boxes()[unit], frame)))
    return pieces


def links_of(frame: Box) -> list[Link]:
    """Skip connections, poolings and upsamplings, each from its begin to its end."""
    places = {unit: _within(box, frame) for unit, box in boxes().items()}
    found = []
    for left, right in SIDES:
        a, b = places[left], places[right]
        found.append(Link(x=(a[1], b[0]), y=((a[2] + a[3]) / 2, (b[2] + b[3]) / 2), angle=90))
    for one, other in pairwise(UNET_UNITS):
        a, b = places[one], places[other]
        if one != "5a":
            x, down = (b[0] + a[1]) / 2, a[2] > b[2]
            found.append(Link(x=(x, x), y=(a[2], b[3]) if down else (a[3], b[2]), angle=180 if down else 0))
    return found


def draw(
    figure: go.Figure,
    pieces: list[Piece],
    links: list[Link],
    *,
    colours: Colours,
    dark: bool,
    size: int,
    narrowest: int,
) -> None:
    """A trace for all links, frozen boxes, boxes that learn, and names, whatever the number of drawings.

    `size` is the letters', `narrowest` the pixels that a length of 1 has at least: too long names are left out.
    """
    figure.add_scatter(
        x=[x for link in links for x in (*link.x, None)], y=[y for link in links for y in (*link.y, None)],
        mode="lines", hoverinfo="skip", line={"color": FAINT[dark], "width": 1},
    )  # fmt: skip
    figure.add_scatter(
        x=[link.x[1] for link in links], y=[link.y[1] for link in links], mode="markers", hoverinfo="skip",
        marker={"symbol": "arrow", "angle": [link.angle for link in links], "size": size * 0.55,
                "color": FAINT[dark]},
    )  # fmt: skip
    adapters = [_within((0, 1, 0, 0.3), piece.box) for piece in pieces if piece.state == "adapters"]
    frozen = [piece.box for piece in pieces if piece.state in ("frozen", "adapters")]
    learns = [piece.box for piece in pieces if piece.state == "learns"] + adapters
    hatch = {"shape": "/", "size": size * 0.45, "solidity": 0.14, "fgcolor": FROZEN[dark], "bgcolor": ON_FROZEN[dark]}
    for found, look, line in (
        (frozen, {"fillpattern": hatch}, FROZEN[dark]),
        (learns, {"fillcolor": LEARNS[colours, dark]}, ON_LEARNS[dark]),
    ):
        figure.add_scatter(
            x=[x for left, right, _, _ in found for x in (left, right, right, left, left, None)],
            y=[y for _, _, low, high in found for y in (low, low, high, high, low, None)],
            mode="lines", fill="toself", hoverinfo="skip", line={"color": line, "width": 1}, **look,
        )  # fmt: skip
    named = [
        (piece, ON_LEARNS[dark] if piece.state == "learns" else INK[dark])
        for piece in pieces
        if piece.label and (piece.box[1] - piece.box[0]) * narrowest > 0.5 * size * len(piece.label)
    ]
    lifted = {"adapters": 0.15}  # above the adapters, which lie at the bottom
    figure.add_scatter(
        x=[(piece.box[0] + piece.box[1]) / 2 for piece, _ in named],
        y=[(piece.box[2] + piece.box[3]) / 2 + (piece.box[3] - piece.box[2]) * lifted.get(piece.state, 0.0)
           for piece, _ in named],
        mode="text", text=[f"<b>{piece.label}</b>" for piece, _ in named], hoverinfo="skip",
        textfont={"size": size, "color": [ink for _, ink in named],
                  "shadow": ["auto" if piece.state == "mixed" else "none" for piece, _ in named]},
    )  # fmt: skip
