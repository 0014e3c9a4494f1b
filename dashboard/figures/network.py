"""Fig. 1: the U-Net drawn for each strategy. What learns is solid and green, what is frozen hatched and blue."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.cells import in_table, strategy_order
from dashboard.figures.palette import ACCENT, FAINT, INK, Colours, empty, layout
from dashboard.figures.rows import parts, rows
from dashboard.figures.u_shape import LEVELS, boxes, draw, links_of, pieces_of
from engine.architectures import (
    SMP_UNITS,
    UNET_CONVOLUTIONS,
    Start,
    Strategy,
    output_channels,
    trainable_parameters,
    unet_convolutions,
)

TILE, TITLE, BETWEEN, TOP = 112.0, 40.0, 30.0, 22.0
"""Pixels of a small drawing's height, of its name above it, of the space below it, and of the space above all."""
ACROSS = 5
LONGEST = 22
"""Letters of a name in one line."""


def planned_strategies(plan: pd.DataFrame) -> list[Strategy]:
    """The strategies of a plan in the order of its table, as their trials say them."""
    first = {row.strategy: row for row in rows(in_table(plan).drop_duplicates("strategy"))}
    found = []
    for name in strategy_order(plan):
        row = first[name]
        smp, random = row.model == "smp", pd.isna(row.start_weights)
        start: Start = "encoder" if smp else "random" if random else "start weights"
        found.append(
            Strategy(
                name=name, units=tuple(row.units), start=start, method=row.method, rank=int(row.rank),
                network="smp" if smp else "study",
            )
        )  # fmt: skip
    return found


def network_table(
    strategies: Sequence[Strategy],
    *,
    width: int,
    image_size: int,
    classes: int = 1,
    units: Sequence[str] | None = None,
    counts: Mapping[str, Mapping[str, int]] | None = None,
) -> pd.DataFrame:
    """A row per strategy and convolution of the U-Net, or unit of another network: does it learn, and what is it?

    `state` is learns, adapters (beside the frozen convolution) or frozen; `place` counts the strategies. `filters` is
    the number of output channels and `side` the map's side in pixels. `units` are those of another network, of which
    no sizes are known here; `counts` has `trainable` and `total` of their strategies, as the study's facts say them.
    """
    counts, found = counts or {}, []
    shapes = unet_convolutions(width, classes=output_channels(classes))
    every = sum(_parameters(shape) for shape in shapes.values())
    for place, strategy in enumerate(strategies):
        drawn = units is None and strategy.network == "study"
        known: Mapping[str, int | None] = counts.get(strategy.name, {})
        if drawn:
            known = {"trainable": trainable_parameters(strategy, "unet", width, classes=classes), "total": every}
        common = {
            "strategy": strategy.name, "place": place, "drawn": drawn, "note": _note(strategy),
            "trainable": known.get("trainable"), "total": known.get("total"),
        }  # fmt: skip
        if not drawn:
            names = tuple(units or ()) if strategy.network == "study" else SMP_UNITS
            found += [
                {**common, "unit": unit, "part": unit, "state": _state(strategy, unit, unit, 0)} for unit in names
            ]
        for unit, names in UNET_CONVOLUTIONS.items() if drawn else ():
            for name in names:
                kernel, inputs, filters = shapes[name]
                found.append(
                    {
                        **common, "unit": unit, "part": name, "state": _state(strategy, unit, name, kernel),
                        "kernel": kernel, "inputs": inputs, "filters": filters,
                        "side": image_size // 2 ** LEVELS[unit], "parameters": _parameters(shapes[name]),
                    }
                )  # fmt: skip
    columns = "strategy place drawn note trainable total unit part state kernel inputs filters side parameters"
    return pd.DataFrame(found, columns=columns.split())


def _parameters(shape: tuple[int, int, int]) -> int:
    kernel, inputs, outputs = shape
    return kernel * kernel * inputs * outputs + outputs


def _state(strategy: Strategy, unit: str, part: str, kernel: int) -> str:
    if unit not in strategy.units and part not in strategy.units:
        return "frozen"
    if strategy.method == "LoRA":
        return "frozen" if kernel == 1 else "adapters"
    return "learns"


def _note(strategy: Strategy) -> str:
    if strategy.method == "LoRA":
        return f"adapters of rank {strategy.rank}"
    if strategy.method == "gradual unfreezing":
        return "last unit first"
    if strategy.method == "auto rates":
        return "rates by gradients"
    return {"random": "from random weights", "encoder": "encoder's own weights"}.get(strategy.start, "")


def networks(
    table: pd.DataFrame, *, colours: Colours = "red-green", dark: bool = False, selected: str | None = None
) -> go.Figure:
    """A small drawing for each strategy, with its name, its parameters that learn, and their part of all.

    The custom data of the point on a drawing is the strategy; `selected` is framed.
    """
    if not len(table):
        return empty("No strategy is planned yet.", dark=dark)
    lines = -(-(int(table["place"].max()) + 1) // ACROSS)
    names = {str(name): wrap(str(name), LONGEST) for name in dict.fromkeys(table["strategy"])}
    title = TITLE + 17 * (max(map(len, names.values())) - 1)
    step = title + TILE + BETWEEN
    figure = go.Figure(
        layout=layout(dark=dark, height=round(lines * step + TOP), hovermode="closest", hoverdistance=60)
    )
    figure.update_layout(margin={"l": 4, "r": 4, "t": TOP, "b": 0}, clickmode="event+select")
    pieces, links, centres = [], [], []
    for name, part in parts(table, "strategy"):
        place = int(part["place"].iloc[0])
        left, top = 1.14 * (place % ACROSS), -(step * (place // ACROSS) + title)
        frame = (left, left + 1, top - TILE, top)
        pieces += pieces_of(part, frame)
        if part["drawn"].all():
            links += links_of(frame)
        centres.append((left + 0.5, top + title / 2 - 2, top - TILE / 2, top - TILE - 10))
        if name == selected:
            figure.add_shape(
                type="rect", x0=left - 0.06, x1=left + 1.06, y0=top + title - 2, y1=top - TILE - 19,
                line={"color": ACCENT[dark], "width": 2},
            )  # fmt: skip
    draw(figure, pieces, links, colours=colours, dark=dark, size=11, narrowest=116)
    x, upper, middle, lower = zip(*centres, strict=True)
    firsts = list(rows(table.drop_duplicates("place")))
    figure.add_scatter(
        x=x, y=lower, mode="text", hoverinfo="skip", text=[row.note for row in firsts],
        textfont={"size": 12, "color": FAINT[dark]},
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=upper, mode="text", hoverinfo="skip", textfont={"size": 14, "color": INK[dark]},
        text=["<br>".join([*(f"<b>{line}</b>" for line in names[row.strategy]), _small(_count(row), dark)])
              for row in firsts],
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=middle, mode="markers", marker={"symbol": "square", "size": TILE, "color": "rgba(0,0,0,0)"},
        customdata=[[row.strategy] for row in firsts], hovertemplate="%{hovertext}<extra></extra>",
        hovertext=[_hover_of_strategy(part) for _, part in parts(table, "strategy")],
    )  # fmt: skip
    figure.update_xaxes(range=[-0.07, ACROSS * 1.14 - 0.07], visible=False, fixedrange=True)
    figure.update_yaxes(range=[-lines * step, 0], visible=False, fixedrange=True)
    return figure


def network(table: pd.DataFrame, *, colours: Colours = "red-green", dark: bool = False) -> go.Figure:
    """One strategy drawn large: filters, size of the maps and parameters beside each unit, convolutions on hover.

    The custom data of the points on a unit is its name.
    """
    if not len(table):
        return empty("No strategy is chosen.", dark=dark)
    drawn = bool(table["drawn"].all())
    figure = go.Figure(
        layout=layout(dark=dark, height=430 if drawn else 24 + 40 * len(table), hovermode="closest", hoverdistance=40)
    )
    figure.update_layout(margin={"l": 158, "r": 158, "t": 6, "b": 50} if drawn else {"l": 4, "r": 4, "t": 6, "b": 6})
    whole = (0.0, 1.0, 0.0, 1.0)
    pieces = pieces_of(table, whole, len(table))
    draw(figure, pieces, links_of(whole) if drawn else [], colours=colours, dark=dark, size=15, narrowest=380)
    found = list(parts(table, "unit"))
    places = boxes() if drawn else {piece.label: piece.box for piece in pieces}
    across = (0.5,) if drawn else (0.1, 0.3, 0.5, 0.7, 0.9)  # points are near wherever a unit is clicked
    spots = [(unit, part, at) for unit, part in found for at in across]
    figure.add_scatter(
        x=[places[unit][0] + at * (places[unit][1] - places[unit][0]) for unit, _, at in spots],
        y=[(places[unit][2] + places[unit][3]) / 2 for unit, *_ in spots],
        mode="markers", marker={"symbol": "square", "size": 40, "color": "rgba(0,0,0,0)"},
        customdata=[[unit] for unit, *_ in spots], hovertemplate="%{hovertext}<extra></extra>",
        hovertext=[_hover_of_unit(part) for _, part, _ in spots],
    )  # fmt: skip
    for unit, part in found if drawn else ():
        left, right, bottom, top = places[unit]
        on_left = unit in "1234"
        place: dict[str, Any] = {"y": (bottom + top) / 2, "yanchor": "middle"}
        place |= {"x": left, "xshift": -9} if on_left else {"x": right, "xshift": 9}
        if unit in ("5a", "5b"):
            on_left = unit == "5a"
            place = {"x": right, "xshift": -8} if on_left else {"x": left, "xshift": 8}
            place |= {"y": bottom, "yanchor": "top", "yshift": -3}
        first = next(rows(part))
        count = _small(f"{part['parameters'].sum():,.0f} parameters", dark)
        size = f"<b>{first.filters:.0f}</b> @ {first.side:.0f}\u00a0×\u00a0{first.side:.0f}"
        figure.add_annotation(
            **place, text=f"{size}<br>{count}",
            xanchor="right" if on_left else "left", align="right" if on_left else "left", showarrow=False,
        )  # fmt: skip
    figure.update_xaxes(range=[-0.005, 1.005], visible=False, fixedrange=True)
    figure.update_yaxes(range=[-0.01, 1.01], visible=False, fixedrange=True)
    return figure


def _small(text: str, dark: bool) -> str:
    return f"<span style='font-size:12px;color:{FAINT[dark]}'>{text}</span>"


def _count(row: Any) -> str:
    if pd.isna(row.trainable):
        return "parameters counted when it is built"
    return f"{row.trainable:,.0f} · {100 * row.trainable / row.total:.1f}\u00a0%"


def _hover_of_strategy(part: pd.DataFrame) -> str:
    first = next(rows(part))
    lines = [f"<b>{first.strategy}</b>", f"{_count(first)} of the parameters learn"]
    lines += [first.note] if first.note else []
    for state, words in (("learns", "learn"), ("adapters", "have adapters"), ("frozen", "frozen")):
        whole = [str(unit) for unit, found in parts(part, "unit") if (found["state"] == state).all()]
        lines += [f"{words}: {', '.join(whole)}"] if whole else []
    return "<br>".join(lines)


def _hover_of_unit(part: pd.DataFrame) -> str:
    first = next(rows(part))
    states = {"learns": "learns", "adapters": "frozen, with adapters beside it", "frozen": "frozen"}
    if not first.drawn:
        return f"<b>{first.unit}</b><br>{states[first.state]}"
    total, word = part["parameters"].sum(), "block" if first.unit.isdigit() else "half of block 5:"
    lines = [
        f"<b>{word} {first.unit}</b>",
        f"{total:,.0f} parameters, {100 * total / first.total:.1f} % of the network",
    ]
    for row in rows(part):
        text = f"{row.kernel:.0f} × {row.kernel:.0f}, {row.inputs:.0f} to {row.filters:.0f} channels"
        lines.append(f"convolution {row.part}: {text}, {row.parameters:,.0f}: {states[row.state]}")
    return "<br>".join(lines)
