"""Paired differences in accuracy against one reader, by bootstrap over groups, with McNemar's counts; as published."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.palette import ACCENT, FAINT, GRID, INK, empty, layout
from dashboard.figures.rows import rows
from engine.significance.as_published import tukey_over_strategies
from engine.significance.chi_square import chi_square_yates

ROW, TOP, FOOT = 30, 30, 50
"""Pixels of a row, of the columns' titles, and of the axis."""


def differences(table: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """A dot per reader in percentage points with its 95 % interval, and McNemar's counts beside it.

    `table` is that of `engine.significance.paired_accuracy.accuracy_family`, `second` being the reader held against.
    """
    if not len(table):
        return empty("Needs a second reader of the same frames.", dark=dark, height=140)
    height = TOP + ROW * len(table) + FOOT
    figure = go.Figure(layout=layout(dark=dark, height=height, hovermode="closest"))
    figure.update_layout(margin={"l": 10, "r": 210, "t": TOP, "b": FOOT})
    places = list(range(len(table)))
    figure.add_vline(x=0, line={"color": INK[dark], "width": 1.2})
    for y, row in zip(places, rows(table), strict=True):
        if not np.isnan(row.low):
            figure.add_scatter(
                x=[100 * row.low, 100 * row.high], y=[y, y], mode="lines", hoverinfo="skip", name="interval",
                line={"width": 2.4, "color": ACCENT[dark]},
            )  # fmt: skip
    figure.add_scatter(
        x=100 * table["difference"], y=places, mode="markers", marker={"size": 11, "color": ACCENT[dark]},
        hovertext=[_told(row) for row in rows(table)], hovertemplate="%{hovertext}<extra></extra>", name="difference",
    )  # fmt: skip
    beside = {"xref": "paper", "xanchor": "left", "xshift": 10, "showarrow": False}
    for y, row in zip(places, rows(table), strict=True):
        figure.add_annotation(
            x=1, y=y, align="left", text=f"{row.only_first:,} : {row.only_second:,}  {p_value(row.p_holm)}", **beside,
            font={"size": 13, "color": INK[dark]},
        )  # fmt: skip
    figure.add_annotation(
        x=1, y=1, yref="paper", yanchor="bottom", text="only it : only the other right, p", **beside,
        font={"size": 12, "color": FAINT[dark]},
    )  # fmt: skip
    figure.update_yaxes(
        range=[len(table) - 0.5, -0.5], tickvals=places, ticktext=[escape(str(name)) for name in table["first"]],
        zeroline=False, showgrid=False, fixedrange=True, automargin=True, ticklabelstandoff=6,
    )  # fmt: skip
    text = f"accuracy minus that of {table['second'].iloc[0]} (percentage points)"
    figure.update_xaxes(
        title={"text": escape(text), "font": {"size": 13}}, gridcolor=GRID[dark], zeroline=False, fixedrange=True,
        nticks=9,
    )  # fmt: skip
    return figure


def p_value(p: float) -> str:
    """`p = 0.021`, `p < 0.001`, or "" where there is none."""
    return "" if pd.isna(p) else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _told(row: Any) -> str:
    lines = [f"<b>{escape(str(row.first))}</b>", f"{100 * row.difference:+.1f} percentage points"]
    if not np.isnan(row.low):
        lines.append(f"95 % interval {100 * row.low:+.1f} to {100 * row.high:+.1f}")
    folds = "" if np.isnan(row.folds) else f", {row.folds:.0f} folds"
    lines.append(f"n = {row.images:,} frames, {row.units:,} {row.resampled}s{folds}")
    lines.append(f"both right {row.both:,}, neither {row.neither:,}")
    if not np.isnan(row.p_mcnemar):
        lines.append(f"McNemar ({row.test}) {p_value(row.p_mcnemar)}, corrected {p_value(row.p_holm)}")
    return "<br>".join([*lines, str(row.note)])


def note(table: pd.DataFrame, description: str) -> str:
    """What the lines and p values are, or why there is none."""
    if not len(table):
        return ""
    reasons = " ".join(f"{reason[:1].upper()}{reason[1:]}." for reason in dict.fromkeys(table["note"]))
    return f"{description[:1].upper()}{description[1:]}. {reasons} Not different is not equal."


def chi_square_table(answers: pd.DataFrame, reference: str, readers: Sequence[str]) -> pd.DataFrame:
    """A row per reader against `reference`: right answers of how many each, chi-square with Yates' correction, p.

    As Cheng and Malhi 2017 test. Every frame counts once, of several seeds the first.
    """
    counts = {name: _right(answers, name) for name in dict.fromkeys([reference, *readers])}
    found = []
    for name in readers:
        if name != reference:
            test = chi_square_yates(*counts[name], *counts[reference])
            right = {"right": counts[name][0], "frames": counts[name][1]}
            found.append({"reader": name, **right, "chi-square": test.chi2, "p": test.p, "reason": test.reason})
    table = pd.DataFrame(found, columns=["reader", "right", "frames", "chi-square", "p", "reason"])
    return table.assign(against=reference)


def scanners_table(answers: pd.DataFrame, readers: Sequence[str]) -> pd.DataFrame:
    """A row per reader and pair of scanners: right answers of how many on each, chi-square with Yates' correction."""
    found = []
    for name in readers:
        own = answers[answers["reader"] == name].drop_duplicates("index")
        scanners = sorted(set(own["scanner"]) - {""})
        counts = {scanner: _right(own[own["scanner"] == scanner], name) for scanner in scanners}
        for place, first in enumerate(scanners):
            for second in scanners[place + 1 :]:
                test = chi_square_yates(*counts[first], *counts[second])
                found.append(
                    {
                        "reader": name, "scanners": f"{first}, {second}",
                        "right": "; ".join("{} of {}".format(*counts[scanner]) for scanner in (first, second)),
                        "chi-square": test.chi2, "p": test.p,
                    }
                )  # fmt: skip
    return pd.DataFrame(found, columns=["reader", "scanners", "right", "chi-square", "p"])


def _right(answers: pd.DataFrame, name: str) -> tuple[int, int]:
    own = answers[answers["reader"] == name].sort_values(["seed", "fold"], kind="stable").drop_duplicates("index")
    return int(own["accuracy"].sum()), len(own)


def tukey_table(networks: pd.DataFrame) -> pd.DataFrame:
    """Tukey's HSD over folds of every two networks: first, second, difference, low, high (percentage points), p."""
    folds = networks.groupby(["reader", "fold"], sort=False)["accuracy"].mean().reset_index()
    folds = folds.rename(columns={"reader": "strategy", "accuracy": "value"}).assign(dataset="", fraction=0.0)
    table = tukey_over_strategies(folds)
    for name in ("difference", "low", "high"):
        table[name] = 100 * table[name]
    return table[["first", "second", "difference", "low", "high", "p", "reason"]]
