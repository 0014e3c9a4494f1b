"""Accuracy against the number of training images, a line per network and strategy."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.accuracy import ordered
from dashboard.figures.palette import ACCENT, FAINT, FOLDS, GRID, INK, empty, layout
from dashboard.figures.readers import NETWORK, OUT_OF_THE_BOX, short_network
from dashboard.figures.rows import parts, rows

HEIGHT = 380
LOGARITHMIC = 6.0
"""Ratio of most to least training images from which the axis is logarithmic."""
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "cross", "star")
DASHES = ("solid", "6px,3px", "2px,3px")
"""Of the lines of a second and third network."""


def training_size_table(measures: pd.DataFrame) -> pd.DataFrame:
    """A row per network, strategy and fraction with its training images (mean over folds), accuracy and interval.

    Takes rows as `accuracy.measures_table` gives them. Start weights as they are have no training images: 0.
    """
    table = measures[(measures["kind"] == NETWORK) & measures["accuracy"].notna()].copy()
    as_they_are = table["strategy"] == OUT_OF_THE_BOX
    table["training_images"] = table["training_images"].astype(float).where(~as_they_are, 0.0)
    columns = ["network", "strategy", "fraction", "training_images", "accuracy", "low", "high", "sd", "images"]
    columns += ["groups", "folds", "note"]
    places = {name: place for place, name in enumerate(ordered(table))}
    table = table.assign(_place=table["strategy"].map(places))
    by = ["network", "_place", "training_images"]
    return table.sort_values(by, kind="stable")[columns].reset_index(drop=True)


def training_size(table: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """Lines of accuracy in percent with intervals; a dotted line is the start weights as they are."""
    trained = table[table["training_images"] > 0]
    if not len(trained):
        return empty("Points stand here once all folds of a strategy are done.", dark=dark, height=180)
    figure = go.Figure(layout=layout(dark=dark, height=HEIGHT, hovermode="closest", showlegend=True))
    figure.update_layout(
        margin={"l": 58, "r": 12, "t": 10, "b": 56},
        legend={"orientation": "v", "font": {"size": 13}, "x": 1.01, "y": 1, "itemclick": False},
    )
    strategies = list(dict.fromkeys(trained["strategy"]))
    networks = list(dict.fromkeys(table["network"]))
    shades = (ACCENT[dark], *FOLDS[1:])
    for (network, strategy), part in parts(trained, ["network", "strategy"]):
        place, other = strategies.index(strategy), networks.index(network)
        colour = shades[place % len(shades)]
        name = strategy if len(networks) == 1 else f"{strategy}, {network}"
        known = part.dropna(subset=["low"])
        figure.add_scatter(
            x=part["training_images"], y=100 * part["accuracy"], mode="lines+markers", name=escape(name),
            line={"color": colour, "width": 2, "dash": DASHES[other % len(DASHES)]},
            marker={"size": 9, "color": colour, "symbol": SYMBOLS[place % len(SYMBOLS)]},
            hovertext=[_told(row) for row in rows(part)], hovertemplate="%{hovertext}<extra></extra>",
            error_y={
                "type": "data", "symmetric": False, "array": 100 * (part["high"] - part["accuracy"]).fillna(0),
                "arrayminus": 100 * (part["accuracy"] - part["low"]).fillna(0), "thickness": 1.3, "width": 0,
                "color": colour, "visible": bool(len(known)),
            },
        )  # fmt: skip
    for place, row in enumerate(rows(table[table["training_images"] == 0])):
        figure.add_hline(y=100 * row.accuracy, line={"color": INK[dark], "width": 1.2, "dash": "2px,3px"})
        named = OUT_OF_THE_BOX if len(networks) == 1 else f"{row.network}, {OUT_OF_THE_BOX}"
        figure.add_annotation(
            x=place % 2, xref="paper", y=100 * row.accuracy, text=f"{named} {100 * row.accuracy:.1f} %",
            showarrow=False, xanchor="right" if place % 2 else "left", yanchor="bottom",
            xshift=-4 if place % 2 else 4, font={"size": 12, "color": FAINT[dark]},
        )  # fmt: skip
    least, most = trained["training_images"].min(), trained["training_images"].max()
    logarithmic = most / least >= LOGARITHMIC
    figure.update_xaxes(
        type="log" if logarithmic else "linear", title={"text": "training images (mean over folds)"}, zeroline=False,
        gridcolor=GRID[dark], fixedrange=True, showgrid=False, linecolor=GRID[dark], showline=True,
        tickvals=sorted({round(value) for value in trained["training_images"]}), tickformat=",",
    )  # fmt: skip
    ends = np.array([*table["accuracy"], *table["low"], *table["high"]], dtype=float) * 100
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    room = max((high - low) * 0.08, 1.0)
    figure.update_yaxes(
        range=[max(low - room, 0), min(high + room, 101)], title={"text": "accuracy on the test images (%)"},
        gridcolor=GRID[dark], zeroline=False, fixedrange=True, nticks=7,
    )  # fmt: skip
    return figure


def _told(row: Any) -> str:
    interval = "" if np.isnan(row.low) else f"<br>95 % interval {100 * row.low:.1f} to {100 * row.high:.1f} %"
    groups = f" of {row.groups:.0f} groups" if row.groups else ""
    return (
        f"<b>{escape(str(row.strategy))}</b> · {escape(short_network(str(row.network)))}, {row.fraction:g} %<br>"
        f"{100 * row.accuracy:.1f} % after {row.training_images:,.0f} training images{interval}<br>"
        f"n = {row.images:,.0f} test images{groups}, {row.folds:.0f} fold{'s' if row.folds > 1 else ''}"
    )
