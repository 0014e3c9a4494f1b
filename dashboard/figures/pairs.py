"""Two strategies side by side over the fractions: means, and the folds that belong together. For Figs. 3 and 4."""

import re
from collections.abc import Mapping
from textwrap import wrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures.means import fold_dots, interval_note, means_table, told
from dashboard.figures.palette import ACCENT, FAINT, GRID, INK, empty, layout
from dashboard.figures.rows import parts, rows
from dashboard.figures.shared_folds import COLUMN, OWN, with_shared_folds

SECOND = {False: "#bf5b16", True: "#f0a35e"}
"""Of the second strategy; blue-green and orange stay apart for every common colour blindness."""
GROUND = {False: "#ffffff", True: "#14181c"}
"""The page, inside of a hollow mark."""
TITLE = 20
"""Letters in one line of a panel's title."""
APART, FOLD_APART = 0.25, 0.1
"""How far a mean and its folds stand beside their fraction; the folds between the means, so that none hides one."""
PANEL, LINE, FOOT = 215, 17, 52
"""Pixels: height of a panel, of a line of its title, and of the axis below all."""


def pairs_table(cells: pd.DataFrame, pairs: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """A row per mean (see `means_table`) of a strategy in a pair: `pair` its name, `side` 0 or 1 (first or second).

    `shared_folds` says whether the folds of both are the same.
    """
    means = means_table(with_shared_folds(cells), COLUMN)
    found = [
        means[means["strategy"] == name].assign(pair=pair, side=side)
        for pair, names in pairs.items()
        for side, name in enumerate(names)
    ]
    return pd.concat(found, ignore_index=True) if found else means.iloc[:0].assign(pair="", side=0)


def spread_note(table: pd.DataFrame) -> str:
    """What the dots and whiskers are, and why there is no interval."""
    ours, published = ((table["source"] == source).any() for source in ("ours", "published"))
    joined = not ours or table.loc[table["source"] == "ours", COLUMN].all()
    how = "joined where both strategies have the same one" if joined else f"not joined: {OWN}"
    words = [f"Small dots: folds, {how}." if ours else "", interval_note(table)]
    words += ["Whiskers of published means: standard deviation over five folds, as published."] if published else []
    return " ".join(word for word in words if word)


def pair_panels(
    table: pd.DataFrame,
    *,
    across: str,
    titles: Mapping[str, str],
    down: str | None = None,
    legend: str = "",
    measure: str = "Dice",
    dark: bool = False,
) -> go.Figure:
    """A panel for each value of the column `across` (with its title) and row for each of `down`, all on one scale."""
    columns = [value for value in titles if value in set(table[across])]
    lines = list(dict.fromkeys(table[down])) if down else [""]
    title = 8 + LINE * (1 + max(titles[value].count("<br>") for value in columns))
    head, between = title + 26 * bool(legend) + 24 * bool(down), 44 if down else 0
    inner = len(lines) * PANEL + (len(lines) - 1) * between
    figure = make_subplots(
        len(lines), len(columns), shared_yaxes="all", shared_xaxes="all", horizontal_spacing=0.06 / len(columns),
        vertical_spacing=between / inner if len(lines) > 1 else 0,
    )  # fmt: skip
    figure.update_layout(layout(dark=dark, height=head + inner + FOOT, hovermode="closest"))
    figure.update_layout(margin={"l": 58, "r": 6, "t": head, "b": FOOT})
    fractions = sorted(set(table["fraction"]))
    low, high, strip = _range(table)
    for line, line_value in enumerate(lines, 1):
        top = max(next(figure.select_yaxes(row=line, col=1)).domain)
        if down:
            _text(figure, f"<b>{line_value}</b>", 0.0, float(top), up=5, colour=FAINT[dark])
        for column, value in enumerate(columns, 1):
            part = table[(table[across] == value) & ((table[down] == line_value) if down else True)]
            left, right = next(figure.select_xaxes(row=line, col=column)).domain
            at = {"row": line, "col": column}
            if len(part):
                _panel(figure, part, fractions, measure, dark, at)
                _failures(figure, part, fractions, strip, dark, at)
            else:
                figure.add_scatter(x=[0], y=[None], **at)
                _text(figure, "not in this study", (left + right) / 2, float(top), up=-PANEL // 2, colour=FAINT[dark])
            if line == 1:
                _text(figure, titles[value], (left + right) / 2, 1.0, up=4 + 24 * bool(down), colour=INK[dark])
    if legend:
        _text(figure, legend, 0.0, 1.0, up=head - 26, colour=INK[dark], size=14)
    _text(figure, "part of the images that trains and validates", 0.5, 0.0, up=-FOOT + 4, colour=INK[dark])
    figure.update_xaxes(
        range=[-0.5, len(fractions) - 0.5], tickvals=list(range(len(fractions))), fixedrange=True, zeroline=False,
        ticktext=[f"{fraction:g} %" for fraction in fractions], showgrid=False, linecolor=GRID[dark], showline=True,
    )  # fmt: skip
    figure.update_yaxes(
        range=[low, high], gridcolor=GRID[dark], zeroline=False, fixedrange=True, nticks=6, tickformat=".2f",
    )  # fmt: skip
    figure.update_yaxes(title={"text": f"test {measure}", "standoff": 8}, col=1)
    return figure


def _text(figure: go.Figure, text: str, x: float, y: float, *, up: int, colour: str, size: int = 13) -> None:
    """Words `up` pixels above a place of the paper, from the left edge where x is 0."""
    figure.add_annotation(
        text=text, x=x, y=y, xref="paper", yref="paper", yshift=up, yanchor="bottom", showarrow=False,
        xanchor="center" if x else "left", font={"size": size, "color": colour},
    )  # fmt: skip


def dataset_titles(table: pd.DataFrame) -> dict[str, str]:
    """The name of each data set, bold, with what is behind its first comma or dot in lines below."""
    found = {}
    for name in dict.fromkeys(table["dataset"].astype(str)):
        first, *others = re.split(r", | · ", name, maxsplit=1)
        bold = [f"<b>{line}</b>" for line in wrap(first, TITLE)]
        found[name] = "<br>".join([*bold, *(line for other in others for line in wrap(other, TITLE))])
    return found


def nothing(text: str, dark: bool) -> go.Figure:
    """The figure in place of panels without data."""
    return empty(text, dark=dark, height=160)


def colour(side: int, dark: bool) -> str:
    """Colour of the first (0) or second (1) strategy of a pair."""
    return (SECOND if side else ACCENT)[dark]


def coloured(names: tuple[str, str], dark: bool, between: str = " · ") -> str:
    """Both names in their colours, each after its mark: what other figures have a legend for."""
    marks = [f"<span style='color:{colour(side, dark)}'>{mark} {names[side]}</span>" for side, mark in enumerate("●◇")]
    return between.join(marks)


def _panel(
    figure: go.Figure, part: pd.DataFrame, fractions: list[float], measure: str, dark: bool, at: dict[str, int]
) -> None:
    """Folds, linked where both have the same ones, then the means with their line."""
    for fraction, both in parts(part, "fraction"):
        known = list(both.sort_values("side")["values"])
        if len(known) == 2 and len(known[0]) == len(known[1]) and both[COLUMN].all():
            x = fractions.index(fraction)
            pairs = [y for pair in zip(*known, strict=True) for y in (*pair, None)]
            figure.add_scatter(
                x=[x - FOLD_APART, x + FOLD_APART, None] * len(known[0]), y=pairs, mode="lines", hoverinfo="skip",
                opacity=0.55, line={"color": FAINT[dark], "width": 1}, **at,
            )  # fmt: skip
    for side, found in parts(part.sort_values(["side", "fraction"]), "side"):
        ink = colour(int(side), dark)
        place, to = [fractions.index(fraction) for fraction in found["fraction"]], 2 * side - 1
        dots = fold_dots(found, [x + FOLD_APART * to for x in place], measure)
        figure.add_scatter(
            x=dots["x"], y=dots["value"], mode="markers", opacity=0.7, marker={"size": 6, "color": ink},
            hovertext=dots["told"], hovertemplate="%{hovertext}<extra></extra>", **at,
        )  # fmt: skip
        down, up = _whiskers(found)
        figure.add_scatter(
            x=[x + APART * to for x in place], y=found["mean"], mode="lines+markers", line={"color": ink, "width": 1.3},
            marker={"symbol": "diamond" if side else "circle", "size": 10, "line": {"color": ink, "width": 2},
                    "color": GROUND[dark] if side else ink},
            error_y={"array": up, "arrayminus": down, "color": ink, "thickness": 1.3, "width": 3,
                     "visible": bool(up.any() or down.any())},
            hovertext=[told(row, measure) for row in rows(found)], hovertemplate="%{hovertext}<extra></extra>", **at,
        )  # fmt: skip


def _failures(
    figure: go.Figure, part: pd.DataFrame, fractions: list[float], strip: float, dark: bool, at: dict[str, int]
) -> None:
    """How many trainings failed, in a strip above all dots, at the dots that they are left out of."""
    for fraction, both in parts(part[part["failed"] > 0], "fraction"):
        lines = [
            f"<span style='color:{colour(row.side, dark)}'>{row.failed:.0f} of {row.trainings:.0f}</span>"
            for row in rows(both.sort_values("side"))
        ]
        side = both["side"].mean()
        figure.add_annotation(
            x=fractions.index(fraction) + APART * (2 * side - 1), y=strip, text="<br>".join([*lines, "failed"]),
            showarrow=False, yanchor="top", font={"size": 12, "color": FAINT[dark]}, **at,
        )  # fmt: skip


def _whiskers(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """How far whiskers reach down and up: intervals of ours, standard deviations of published means."""
    sd = table["sd"].where(table["source"] == "published")
    down, up = (table["mean"] - table["low"]).fillna(sd), (table["high"] - table["mean"]).fillna(sd)
    return down.fillna(0.0).clip(lower=0), up.fillna(0.0).clip(lower=0)


def _range(table: pd.DataFrame) -> tuple[float, float, float]:
    """Ends of the axis, and the height of the failures' strip, which is above all dots."""
    values = [value for found in table["values"] for value in found]
    down, up = _whiskers(table)
    every = np.array([*values, *(table["mean"] - down), *(table["mean"] + up)], dtype=float)
    low, high = (float(np.nanmin(every)), float(np.nanmax(every))) if np.isfinite(every).any() else (0.0, 1.0)
    room = max((high - low) * 0.08, 0.005)
    strip = high + room + (0.3 if table["failed"].any() else 0.0) * (high - low)
    return max(low - room, 0.0), strip, strip
