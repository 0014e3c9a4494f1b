"""Layer by layer: what is reached when blocks join one after the other, from either end, or learn alone."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures.means import fold_dots, means_table, told
from dashboard.figures.palette import FAINT, GRID, INK, empty, layout
from dashboard.figures.rows import parts, rows
from engine.architectures import UNET_CONVOLUTIONS, UNITS, Strategy, parse_strategy
from engine.errors import StrategyError

BLOCKS: dict[str, tuple[str, ...]] = {
    str(block): tuple(
        name for unit, names in UNET_CONVOLUTIONS.items() for name in names if unit.rstrip("ab") == str(block)
    )
    for block in range(1, 10)
}
"""The nine blocks of the U-Net with their convolutions, input to output."""
DIRECTIONS = {
    "shallow to deep": "blocks 1 to …",
    "deep to shallow": "blocks … to 9",
    "alone": "one block alone",
}
"""Title of each panel's axis."""
OF_UNITS = {
    "shallow to deep": "units up to …",
    "deep to shallow": "units from … on",
    "alone": "one unit alone",
}
"""The same of a classifier, whose units stand on the axis by name."""
SHADES = {
    False: ("#8fb8c9", "#4f93ad", "#0b6e8a", "#074a5e", "#03303d"),
    True: ("#2f6f85", "#3f98b3", "#4fc3e0", "#93dbee", "#d3f1f9"),
}
"""Fractions, least first: more images are further from the page's colour."""
NOTE = (
    "A line per part of the images that trains and validates. Large dots: whole blocks; rings: parts of them (half of "
    "block 5, single convolutions); small dots: folds. In the first two panels more learns from left to right, up to "
    "the whole network; their lines pass over steps that were not run. After Amiri, Brooks, Rivaz, MICCAI 2019."
)
HEIGHT, TOP, FOOT = 400, 30, 54
SIDE = 0.17
"""Blocks between the folds of two fractions."""
NEAREST = 16
"""Pixels between two names of lines."""


def layers_table(cells: pd.DataFrame, model: str = "unet") -> pd.DataFrame:
    """A row per mean (see `means_table`) that belongs to a series, with `direction`, `block` and `grain`.

    Series are `shallow to deep` (a run of convolutions from the input on), `deep to shallow` (a run up to the output),
    and `alone` (one block, or one convolution). `block` is the last one that joined, as a number on the axis: 4.5 is
    half of block 5 from the input on. Of what learns alone it is the middle. `grain` tells whole blocks from parts.
    Only plain fine-tuning from start weights counts; the whole network ends both runs. Blocks are those of the U-Net,
    or the units of a classifier `model`, counted from 1.
    """
    means = means_table(cells)
    found = [
        (place, direction, block, grain)
        for place, name in enumerate(means["strategy"])
        for direction, block, grain in series(str(name), model)
    ]
    table = means.iloc[[place for place, *_ in found]].reset_index(drop=True)
    for column, name in enumerate(("direction", "block", "grain"), 1):
        table[name] = [one[column] for one in found]
    order = {name: place for place, name in enumerate(DIRECTIONS)}
    key = table["direction"].map(order)
    return (
        table.assign(_key=key)
        .sort_values(["dataset", "_key", "fraction", "block"], kind="stable")
        .drop(columns="_key")
        .reset_index(drop=True)
    )


def series(name: str, model: str = "unet") -> list[tuple[str, float, str]]:
    """Direction, place on the axis and grain of each series that a strategy of this name is part of."""
    try:
        strategy = parse_strategy(name, model)
    except StrategyError:
        return []
    if strategy != Strategy(name=strategy.name, units=strategy.units) or not strategy.units:
        return []
    if model != "unet":
        return _series_of_units(strategy.units, UNITS.get(model, ()))
    every = [part for names in BLOCKS.values() for part in names]
    chosen = [part for unit in strategy.units for part in UNET_CONVOLUTIONS.get(unit, (unit,))]
    found: list[tuple[str, float, str]] = []
    if chosen == every[: len(chosen)]:
        place = _place(chosen[-1], 1.0)
        found.append(("shallow to deep", place, "block" if place == int(place) else "part"))
    if chosen == every[-len(chosen) :]:
        place = _place(chosen[0], 0.0)
        found.append(("deep to shallow", 1 + place, "block" if place == int(place) else "part"))
    block = next((block for block, names in BLOCKS.items() if list(names) == chosen), None)
    if block is not None:
        found.append(("alone", float(block), "block"))
    elif len(chosen) == 1:
        found.append(("alone", _place(chosen[0], 0.5) + 0.5, "part"))
    return found


def _series_of_units(chosen: tuple[str, ...], order: tuple[str, ...]) -> list[tuple[str, float, str]]:
    found = []
    if chosen == order[: len(chosen)]:
        found.append(("shallow to deep", float(len(chosen)), "block"))
    if chosen == order[-len(chosen) :]:
        found.append(("deep to shallow", float(len(order) - len(chosen) + 1), "block"))
    if len(chosen) == 1 and chosen[0] in order:
        found.append(("alone", float(order.index(chosen[0]) + 1), "block"))
    return found


def _place(part: str, within: float) -> float:
    """Where a convolution lies: 1 is the end of block 1; `within` runs from its begin (0) to its end (1)."""
    block = part.split(".")[0]
    names = BLOCKS[block]
    return int(block) - 1 + (names.index(part) + within) / len(names)


def layers(table: pd.DataFrame, *, measure: str = "Dice", model: str = "unet", dark: bool = False) -> go.Figure:
    """A panel per direction, a line per fraction with its name at its end, folds as small dots. One data set."""
    if not table["mean"].notna().any():
        such = "<i>block 1</i>, <i>blocks 1,2</i> or <i>blocks 8,9</i>"
        such = such if model == "unet" else "<i>first 2 units</i> or <i>last 3 units</i>"
        return empty(f"Needs complete cells such as {such}.", dark=dark)
    names = list(BLOCKS) if model == "unet" else list(UNITS.get(model, ()))
    titles, last = (DIRECTIONS if model == "unet" else OF_UNITS), len(names) + 0.65
    directions = [name for name in DIRECTIONS if name in set(table["direction"])]
    fractions = sorted(set(table["fraction"]))
    shades = _shades(len(fractions), dark)
    figure = make_subplots(1, len(directions), shared_yaxes=True, horizontal_spacing=0.12 / len(directions))
    figure.update_layout(layout(dark=dark, height=HEIGHT, hovermode="closest"))
    figure.update_layout(margin={"l": 58, "r": 48, "t": TOP, "b": FOOT})
    low, high = _range(table)
    for column, direction in enumerate(directions, 1):
        here, at = table[table["direction"] == direction], {"row": 1, "col": column}
        backwards = direction == "deep to shallow"
        ends: list[tuple[float, float, str, str]] = []
        for fraction, shade in zip(fractions, shades, strict=True):
            line = here[here["fraction"] == fraction]
            aside = SIDE * (fractions.index(fraction) - (len(fractions) - 1) / 2)
            _folds(figure, line, aside, shade, measure, at)
            _line(figure, line, direction, shade, measure, len(names), at)
            known = line[line["mean"].notna()].sort_values("block", ascending=backwards)
            if len(known):
                ends.append((known["block"].iloc[0], known["mean"].iloc[0], f"{fraction:g} %", shade))
        figure.add_annotation(
            x=0.5, xref=f"x{column if column > 1 else ''} domain", y=1, yref="paper", yanchor="bottom", yshift=6,
            text=f"<b>{direction}</b>", showarrow=False, font={"size": 14, "color": INK[dark]},
        )  # fmt: skip
        for (x, _, text, shade), y in zip(ends, _apart([end[1] for end in ends], low, high), strict=True):
            figure.add_annotation(
                x=x, y=y, text=f"<b>{text}</b>", showarrow=False, xanchor="left", xshift=9,
                font={"size": 13, "color": shade}, **at,
            )  # fmt: skip
        figure.update_xaxes(
            range=[last + 0.25, 0.6] if backwards else [0.35, last], tickvals=list(range(1, len(names) + 1)),
            ticktext=names, tickangle=0 if model == "unet" else -60, showgrid=False, automargin=True,
            title={"text": titles[direction], "font": {"size": 13}}, fixedrange=True, showline=True,
            linecolor=GRID[dark], tickcolor=FAINT[dark], zeroline=False, **at,
        )  # fmt: skip
    figure.update_yaxes(
        range=[low, high], gridcolor=GRID[dark], zeroline=False, fixedrange=True, nticks=7,
        tickformat=".2f" if high - low > 0.1 else ".3f",
    )  # fmt: skip
    figure.update_yaxes(title={"text": f"mean test {measure}", "font": {"size": 13}}, col=1)
    return figure


def _folds(figure: go.Figure, line: pd.DataFrame, aside: float, shade: str, measure: str, at: dict[str, int]) -> None:
    """The folds of one fraction, moved aside so that fractions do not lie on each other."""
    dots = fold_dots(line, list(line["block"] + aside), measure)
    figure.add_scatter(
        x=dots["x"], y=dots["value"], mode="markers", opacity=0.6, marker={"size": 5, "color": shade},
        hovertext=dots["told"], hovertemplate="%{hovertext}<extra></extra>", **at,
    )  # fmt: skip


def _line(
    figure: go.Figure, line: pd.DataFrame, direction: str, shade: str, measure: str, blocks: int, at: dict[str, int]
) -> None:
    """Means of one fraction in one direction; whole blocks are larger dots than parts of them."""
    # A run only grows, so its line may pass over what was not run; blocks alone say nothing of those between them.
    runs = [("", line.sort_values("block"))] if direction != "alone" else list(parts(line, "grain"))
    for grain, part in runs:
        if direction == "alone" and grain == "block":
            part = part.set_index("block").reindex([float(block) for block in range(1, blocks + 1)]).reset_index()
        whole = [row.grain == "block" for row in rows(part)]
        figure.add_scatter(
            x=part["block"], y=part["mean"], mode="lines+markers", line={"color": shade, "width": 2},
            opacity=0.6 if grain == "part" else 1.0, hovertemplate="%{hovertext}<extra></extra>",
            hovertext=[told(row, measure) if isinstance(row.strategy, str) else "" for row in rows(part)],
            marker={"size": [8 if block else 5 for block in whole], "color": shade, "opacity": 1,
                    "symbol": ["circle" if block else "circle-open" for block in whole],
                    "line": {"color": shade, "width": 1.5}}, **at,
        )  # fmt: skip


def _shades(number: int, dark: bool) -> list[str]:
    shades = SHADES[dark]
    if number == 1:
        return [shades[2]]
    return [shades[round(place)] for place in np.linspace(0 if number > 3 else 1, len(shades) - 1, number)]


def _apart(heights: list[float], low: float, high: float) -> list[float]:
    """Heights moved up, lowest first, so that names of lines do not lie on each other."""
    least = NEAREST * (high - low) / (HEIGHT - TOP - FOOT)
    placed: dict[int, float] = {}
    below = -np.inf
    for place in np.argsort(heights, kind="stable").tolist():
        placed[place] = below = max(heights[place], below + least)
    return [placed[place] for place in range(len(heights))]


def _range(table: pd.DataFrame) -> tuple[float, float]:
    every = np.array([*table["mean"], *(value for known in table["values"] for value in known)], dtype=float)
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    room = max((high - low) * 0.08, 0.005)
    return low - room, high + 1.5 * room
