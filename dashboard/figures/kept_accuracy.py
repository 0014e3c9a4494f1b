"""What adapting costs: accuracy on the new images against what is left on the start weights' own held-out images."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.accuracy import network_colours
from dashboard.figures.labels import labels
from dashboard.figures.palette import FAINT, GRID, INK, empty, layout
from dashboard.figures.readers import NETWORK, OUT_OF_THE_BOX
from dashboard.figures.rows import rows

HEIGHT = 400
COLUMNS = ["reader", "network", "strategy", "fraction", "accuracy", "low", "high", "kept_accuracy", "images", "folds"]


def kept_accuracy_table(measures: pd.DataFrame) -> pd.DataFrame:
    """A row per network reader whose accuracy on the start weights' own held-out images was measured.

    Takes rows as `accuracy.measures_table` gives them; `kept_accuracy` is the mean over folds.
    """
    known = measures[(measures["kind"] == NETWORK) & measures["kept_accuracy"].notna() & measures["accuracy"].notna()]
    return known[COLUMNS].reset_index(drop=True)


def kept_accuracy(
    table: pd.DataFrame, *, start: str = "the start weights' own images", dark: bool = False
) -> go.Figure:
    """A named dot per strategy in percent; the start weights as they are hollow, with lines through them."""
    if not len(table):
        text = "Not measured: the start weights have no held-out images of the same classes."
        return empty(text, dark=dark, height=180)
    figure = go.Figure(layout=layout(dark=dark, height=HEIGHT, hovermode="closest"))
    figure.update_layout(margin={"l": 62, "r": 14, "t": 12, "b": 56})
    across, up = (_range(100 * table[name]) for name in ("accuracy", "kept_accuracy"))
    colours = network_colours(table, dark=dark)
    for row in rows(table[table["strategy"] == OUT_OF_THE_BOX]):
        for line in ({"x": 100 * row.accuracy}, {"y": 100 * row.kept_accuracy}):
            add = figure.add_vline if "x" in line else figure.add_hline
            add(**line, line={"color": FAINT[dark], "width": 1, "dash": "2px,3px"})
    inks = [colours[name] for name in table["network"]]
    as_they_are = table["strategy"] == OUT_OF_THE_BOX
    figure.add_scatter(
        x=100 * table["accuracy"], y=100 * table["kept_accuracy"], mode="markers",
        hovertext=[_told(row, start) for row in rows(table)], hovertemplate="%{hovertext}<extra></extra>",
        marker={"size": 11, "color": inks, "line": {"width": 2, "color": inks},
                "symbol": ["circle-open" if one else "circle" for one in as_they_are]},
    )  # fmt: skip
    points = [(_part(100 * row.accuracy, across), _part(100 * row.kept_accuracy, up)) for row in rows(table)]
    several, fractions = table["network"].nunique() > 1, table.loc[~as_they_are, "fraction"].nunique() > 1
    names = [_name(row, network=several, fraction=fractions) for row in rows(table)]
    for row, name, place in zip(rows(table), names, labels(points, names, []), strict=True):
        figure.add_annotation(
            x=100 * row.accuracy, y=100 * row.kept_accuracy, ax=place.right, ay=-place.up, text=escape(name),
            xanchor=place.anchor, yanchor="middle", showarrow=True, arrowhead=0, arrowwidth=1, standoff=7, borderpad=0,
            arrowcolor=FAINT[dark] if place.far else "rgba(0,0,0,0)", font={"size": 13, "color": INK[dark]},
        )  # fmt: skip
    plain = {"gridcolor": GRID[dark], "zeroline": False, "fixedrange": True, "nticks": 7}
    figure.update_xaxes(range=across, title={"text": "accuracy on the test images (%)"}, **plain)
    figure.update_yaxes(range=up, title={"text": f"accuracy left on {start} (%)"}, **plain)
    return figure


def _name(row: Any, *, network: bool, fraction: bool) -> str:
    parts = [str(row.strategy), *([str(row.network)] if network else [])]
    return ", ".join([*parts, *([f"{row.fraction:g} %"] if fraction and row.strategy != OUT_OF_THE_BOX else [])])


def _range(values: pd.Series) -> list[float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = max((high - low) * 0.15, 2.0)
    return [max(low - room, -2.0), min(high + room, 100.9)]


def _part(value: float, ends: list[float]) -> float:
    return (value - ends[0]) / (ends[1] - ends[0])


def _told(row: Any, start: str) -> str:
    interval = "" if np.isnan(row.low) else f", 95 % interval {100 * row.low:.1f} to {100 * row.high:.1f} %"
    return (
        f"<b>{escape(str(row.reader))}</b><br>{100 * row.accuracy:.1f} % of {row.images:,.0f} test images{interval}<br>"
        f"{100 * row.kept_accuracy:.1f} % left on {escape(start)}, mean over {row.folds:.0f} "
        f"fold{'s' if row.folds > 1 else ''}"
    )
