"""Fig. 6: what blocks 1,2,8,9 reach alone, and what learning the rest adds up to the whole network."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.means import between, means_table, varies
from dashboard.figures.palette import FAINT, GRID, INK, Colours, empty, layout
from dashboard.figures.rows import rows
from dashboard.figures.shared_folds import COLUMN, OWN, with_shared_folds
from dashboard.figures.u_shape import FROZEN, LEARNS

PART, WHOLE = "blocks 1,2,8,9", "whole network"
FRACTION = 80.0
"""The paper's figure; a study without it is shown at its largest fraction."""
LOSS = {False: "#b03a2e", True: "#f08a7e"}
"""Of a rest that is negative: the whole network scores less than the four blocks."""
ROW, TOP, FOOT = 52, 34, 48
"""Pixels of a bar with its space, of the key above, and of the axis below."""
NBSP = "\u00a0"
OF_MEAN = {"sd": "sd", "folds": "value_folds", "images": "images", "low": "low", "high": "high", "interval": "interval"}
"""What stands behind a mean on hover, and its column of `means_table`."""


def gain_table(cells: pd.DataFrame, fraction: float = FRACTION) -> pd.DataFrame:
    """A row per data set: Dice that the four blocks `reached`, of the `whole` network, the `rest` between them, folds.

    Columns that begin with `reached_` and `whole_` are sd, folds, test images and interval of these two means.
    `share` is reached / whole in percent. `rests` are the differences fold by fold, where folds are known and both
    strategies have the same (`shared_folds`). At `fraction` where the data set has it, else at its largest one; data
    sets without both cells are left out.
    """
    done = means_table(with_shared_folds(cells), COLUMN).dropna(subset=["mean"])
    found = []
    for dataset in dict.fromkeys(done["dataset"]):
        here = done[done["dataset"] == dataset]
        part, whole = (here[here["strategy"] == name].set_index("fraction") for name in (PART, WHOLE))
        both = sorted(set(part.index) & set(whole.index))
        if not both:
            continue
        at = fraction if fraction in both else both[-1]
        low, high = part.loc[at], whole.loc[at]
        shared = bool(low[COLUMN] and high[COLUMN])
        rests = [b - a for a, b in zip(low["values"], high["values"], strict=False)] if shared else []
        found.append(
            {
                "source": low["source"], "dataset": dataset, "fraction": float(at), "reached": float(low["mean"]),
                "whole": float(high["mean"]), "rest": float(high["mean"] - low["mean"]),
                "share": float(100 * low["mean"] / high["mean"]) if high["mean"] else float("nan"),
                "folds": int(min(low["value_folds"], high["value_folds"])), "rests": rests,
                COLUMN: shared,
                **{f"reached_{name}": low[column] for name, column in OF_MEAN.items()},
                **{f"whole_{name}": high[column] for name, column in OF_MEAN.items()},
            }
        )  # fmt: skip
    columns = "source dataset fraction reached whole rest share folds rests"
    sides = [f"{side}_{name}" for side in ("reached", "whole") for name in OF_MEAN]
    return pd.DataFrame(found, columns=[*columns.split(), COLUMN, *sides])


def gain(
    table: pd.DataFrame, *, measure: str = "Dice", colours: Colours = "red-green", dark: bool = False
) -> go.Figure:
    """A stacked bar per data set; a negative rest is a hatched piece that runs back from the end of the bar."""
    if not len(table):
        return empty(f"Needs complete cells of <i>{PART}</i> and <i>{WHOLE}</i>.", dark=dark, height=160)
    figure = go.Figure(layout=layout(dark=dark, height=TOP + FOOT + ROW * len(table), barmode="overlay", bargap=0.42))
    figure.update_layout(margin={"l": 10, "r": 150, "t": TOP, "b": FOOT}, hovermode="closest")
    names = [f"<b>{row.dataset.split(', ')[0]}</b> {row.fraction:g} %" for row in rows(table)]
    hovers = [_hover(row, measure) for row in rows(table)]
    minus = table["rest"] < 0
    least = table[["reached", "whole"]].min(axis=1)
    added, lost = table["rest"].where(~minus), (-table["rest"]).where(minus)
    more = LEARNS[colours, dark]
    for base, length, marker in (
        (0 * least, least, {"color": FROZEN[dark]}),
        (least, added, {"color": more}),
        (least, lost, {"color": "rgba(0,0,0,0)", "line": {"color": LOSS[dark], "width": 1.5},
                       "pattern": {"shape": "/", "size": 6, "solidity": 0.35, "fgcolor": LOSS[dark],
                                   "bgcolor": "rgba(0,0,0,0)"}}),
    ):  # fmt: skip
        figure.add_bar(
            y=list(range(len(table))), x=length, base=base, orientation="h", marker=marker, hovertext=hovers,
            hovertemplate="%{hovertext}<extra></extra>",
        )  # fmt: skip
    for place, row in enumerate(rows(table)):
        figure.add_annotation(
            x=min(row.reached, row.whole), y=place, text=f"<b>{row.reached:.3f}</b>", showarrow=False,
            xanchor="right", xshift=-6, font={"color": "#ffffff" if not dark else "#12181d", "size": 14},
        )  # fmt: skip
        ink = more if row.rest >= 0 else LOSS[dark]
        figure.add_annotation(
            x=max(row.reached, row.whole), y=place, xanchor="left", xshift=7, showarrow=False,
            text=f"<span style='color:{ink}'><b>{row.rest:+.3f}</b></span> = {row.whole:.3f}",
            font={"color": INK[dark], "size": 14},
        )  # fmt: skip
    keys = [f"<span style='color:{FROZEN[dark]}'>■ {PART}</span>", f"<span style='color:{more}'>■ the rest adds</span>"]
    keys += [f"<span style='color:{LOSS[dark]}'>▨ the rest takes</span>"] if minus.any() else []
    figure.add_annotation(
        x=0, y=1, xref="paper", yref="paper", xanchor="left", yanchor="bottom", yshift=6, showarrow=False,
        text=f"{NBSP * 4}".join([*keys, f"= {WHOLE}"]), font={"size": 14, "color": INK[dark]},
    )  # fmt: skip
    figure.update_xaxes(
        range=[0, 1], title={"text": f"mean test {measure}", "font": {"size": 13}}, gridcolor=GRID[dark],
        zeroline=False, fixedrange=True, tickformat=".1f",
    )  # fmt: skip
    figure.update_yaxes(
        range=[len(table) - 0.5, -0.5], tickvals=list(range(len(table))), fixedrange=True, zeroline=False,
        ticktext=[f"{name}<br><span style='font-size:12px;color:{FAINT[dark]}'>{_source(row)}</span>"
                  for name, row in zip(names, rows(table), strict=True)],
        showgrid=False, automargin=True, ticklabelstandoff=8,
    )  # fmt: skip
    return figure


def _source(row: Any) -> str:
    if row.source == "published":
        return str(row.dataset).split(", ", 1)[-1]
    return f"{row.folds} fold{'s' if row.folds > 1 else ''}, ours"


def _hover(row: Any, measure: str) -> str:
    lines = [
        f"<b>{row.dataset}</b> {row.fraction:g} %",
        f"{PART}: {measure} {varies(row.reached, row.reached_sd, row.reached_folds, row.reached_images)}",
        *between(row.reached_low, row.reached_high, row.reached_interval),
        f"{WHOLE}: {measure} {varies(row.whole, row.whole_sd, row.whole_folds, row.whole_images)}",
        *between(row.whole_low, row.whole_high, row.whole_interval),
        f"{row.share:.1f} % of the whole network's; the rest {row.rest:+.3f}",
    ]
    if not row.shared_folds:
        return "<br>".join([*lines, f"no rest fold by fold: {OWN}"])
    known = [f"{rest:+.3f}" for rest in row.rests if not np.isnan(rest)]
    return "<br>".join([*lines, f"rest fold by fold: {' · '.join(known)}"] if known else lines)
