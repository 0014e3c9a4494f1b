"""Paired differences of Dice against the study's reference, one row of Table II at a time, as dots with intervals."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.differences import p_value
from dashboard.figures.palette import ACCENT, FAINT, GRID, INK, empty, layout
from dashboard.figures.rows import rows

ROW, TOP, FOOT = 28, 44, 64
"""Pixels of a row, of the columns' titles, and of the axis."""


def paired(
    table: pd.DataFrame, *, reference: str, margin: float, measure: str = "Dice", dark: bool = False
) -> go.Figure:
    """A dot per strategy: its Dice minus the reference's on the same test images, best first.

    `table` is one row of Table II of `report.comparisons.against_reference`. Thick lines are 95 % intervals, thin ones
    hold for all strategies of the row at once; the dashed line is the margin below the reference. Beside each dot stand
    the corrected p value, a mark where the loss is shown to be within the margin, and the smallest loss that the study
    could have seen.
    """
    if not len(table):
        return empty("Needs the reference and another strategy, all of whose folds are done.", dark=dark, height=140)
    table = table.sort_values("difference", ascending=False, kind="stable").reset_index(drop=True)
    figure = go.Figure(layout=layout(dark=dark, height=TOP + ROW * len(table) + FOOT, hovermode="closest"))
    figure.update_layout(margin={"l": 10, "r": 240, "t": TOP, "b": FOOT})
    figure.add_vline(x=0, line={"color": INK[dark], "width": 1.2})
    figure.add_vline(x=-margin, line={"color": FAINT[dark], "width": 1.2, "dash": "dash"})
    for low, high, width in (("simultaneous_low", "simultaneous_high", 1.0), ("low", "high", 3.0)):
        known = table[table[low].notna()]
        x = [value for row in known[[low, high]].to_numpy() for value in (*row, None)]
        y = [value for place in known.index for value in (place, place, None)]
        figure.add_scatter(
            x=x, y=y, mode="lines", hoverinfo="skip", name=low, line={"width": width, "color": ACCENT[dark]}
        )
    figure.add_scatter(
        x=table["difference"], y=table.index, mode="markers", marker={"size": 10, "color": ACCENT[dark]},
        hovertext=[_told(row, reference, measure) for row in rows(table)],
        hovertemplate="%{hovertext}<extra></extra>", name="difference",
    )  # fmt: skip
    beside: dict[str, Any] = {"xref": "paper", "x": 1, "xanchor": "left", "showarrow": False}
    for row in rows(table):
        mark = "≈ " if row.within_margin else ""
        figure.add_annotation(
            y=row.Index, align="left", text=f"{mark}{p_value(row.p_holm)}", xshift=10, **beside,
            font={"size": 13, "color": INK[dark]},
        )  # fmt: skip
        figure.add_annotation(
            y=row.Index, text=_smallest(row.smallest_difference), xshift=130, **beside,
            font={"size": 13, "color": INK[dark]},
        )  # fmt: skip
    for shift, text in ((10, "≈ within margin,<br>p (Holm)"), (130, "smallest loss<br>it could see")):
        figure.add_annotation(
            y=1, yref="paper", yanchor="bottom", align="left", text=text, xshift=shift, **beside,
            font={"size": 12, "color": FAINT[dark]},
        )  # fmt: skip
    figure.update_yaxes(
        range=[len(table) - 0.5, -0.5], tickvals=list(table.index),
        ticktext=[escape(str(name)) for name in table["strategy"]], zeroline=False, showgrid=False, fixedrange=True,
        automargin=True, ticklabelstandoff=6,
    )  # fmt: skip
    title = escape(f"{measure} minus that of {reference}, same test images")
    figure.update_xaxes(
        title={"text": title, "font": {"size": 13}}, gridcolor=GRID[dark], zeroline=False, fixedrange=True, nticks=9
    )
    return figure


def _smallest(loss: float) -> str:
    return "" if np.isnan(loss) else "none" if loss >= 1 else f"{loss:.3f}"


def _told(row: Any, reference: str, measure: str) -> str:
    lines = [f"<b>{escape(str(row.strategy))}</b> minus {escape(reference)}", f"{measure} {row.difference:+.3f}"]
    if not np.isnan(row.low):
        lines.append(f"95 % interval {row.low:+.3f} to {row.high:+.3f}")
        lines.append(f"all at once {row.simultaneous_low:+.3f} to {row.simultaneous_high:+.3f}")
    if not np.isnan(row.bound):
        lines.append(f"loss at most {row.bound:.3f} (one-sided 95 % bound, corrected)")
    if not np.isnan(row.smallest_difference):
        could = "no loss at all" if row.smallest_difference >= 1 else f"a loss of {row.smallest_difference:.3f}"
        lines.append(f"could have seen {could} (80 % power)")
    lines.append(f"{row.images:,} test images, {row.folds} folds")
    return "<br>".join([*lines, *([f"p = {row.p_holm:.3g} (corrected t, Holm)"] * (not np.isnan(row.p_holm)))])
