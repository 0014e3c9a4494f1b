"""Colours and the common look of all figures, for light and dark pages."""

from typing import Any, Literal

import plotly.graph_objects as go

Colours = Literal["red-green", "colour-blind safe"]

SCALES: dict[tuple[str, bool], tuple[str, ...]] = {
    ("red-green", False): ("#e2806a", "#f2b07f", "#f8e0a8", "#e0e8ab", "#aad496", "#6bb77a"),
    ("red-green", True): ("#93382d", "#91522c", "#7d672c", "#5f6b2e", "#3a6b38", "#1d6b40"),
    ("colour-blind safe", False): ("#e5943e", "#f2b877", "#f7e6cf", "#d7e5f1", "#9cc4e6", "#64a4da"),
    ("colour-blind safe", True): ("#94540f", "#77532b", "#55514a", "#40586d", "#2b5f89", "#1a659f"),
}
"""Worst to best, for (name, dark page). Blue and orange stay apart for every common colour blindness."""

GROUND = {False: "#ffffff", True: "#14181c"}
"""Of the page, and of figures that are saved from it."""
INK = {False: "#1f2933", True: "#e6eaee"}
FAINT = {False: "#66727f", True: "#9aa7b4"}
GRID = {False: "#e4e8ec", True: "#2c343c"}
PLAIN = {False: "#f1f3f5", True: "#232a31"}
"""Fill of a cell that has no colour yet."""
ACCENT = {False: "#0b6e8a", True: "#4fc3e0"}
FOLDS = ("#0072b2", "#d55e00", "#00a08c", "#a33ae6", "#73633f", "#8585f2", "#8c4d80", "#c07a48", "#ea5583", "#d83fd0")
"""One per fold, legible on light and dark pages; blue and vermilion of Okabe and Ito, then what stays farthest from
those before it for every common colour blindness."""
SIGNS = {
    "circle": "●", "diamond": "◆", "square": "■", "triangle-up": "▲", "cross": "✚", "triangle-down": "▼",
    "star": "★", "x": "✖", "hexagon": "⬢", "pentagon": "⬟",
}  # fmt: skip
"""Symbols of the folds, with what stands for each in a line of text: so no fold is told by its colour alone."""
TRUTH, PREDICTION = (255, 209, 26), (38, 214, 232)
"""Yellow and cyan, as outlines on gray images."""

FONT = "'Source Sans', 'Source Sans 3', 'Source Sans Pro', sans-serif"


def fold_look(fold: int) -> tuple[str, str]:
    """Colour and symbol of a fold."""
    return FOLDS[fold % len(FOLDS)], list(SIGNS)[fold % len(SIGNS)]


def layout(*, dark: bool, height: int, **more: Any) -> dict[str, Any]:
    """Layout entries that all figures share: the page's ground, font and ink."""
    return {
        "height": height,
        "paper_bgcolor": GROUND[dark],
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": INK[dark]},
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
        "showlegend": False,
        "template": "none",
        "hoverlabel": {"font": {"family": FONT, "size": 13}, "align": "left"},
        "dragmode": False,
        **more,
    }


def empty(text: str, *, dark: bool = False, height: int = 200) -> go.Figure:
    """A figure without data that says why it is empty."""
    figure = go.Figure(layout=layout(dark=dark, height=height))
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    place = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"}
    figure.add_annotation(text=text, showarrow=False, font={"color": FAINT[dark], "size": 14}, **place)
    return figure
