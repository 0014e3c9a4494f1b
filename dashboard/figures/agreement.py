"""Ours against the published Table II: how far strategies come out in the same order, row by row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures.means import between, means_table, varies
from dashboard.figures.pairs import SECOND
from dashboard.figures.palette import ACCENT, FAINT, GRID, INK, empty, layout
from dashboard.figures.rows import parts, rows
from engine.significance import agreement_table

BAND = {False: "rgba(102,114,127,.20)", True: "rgba(154,167,180,.24)"}
"""Of the ceiling."""
ROW, TOP, FOOT = 44, 34, 58
FAR = 3
"""Places that a strategy has moved to be drawn in the second colour."""
STEP, HEAD, BELOW = 25, 62, 26
"""Pixels: of a rank, of a panel's title, and below a panel."""
SIDE = 0.34
"""Part of a panel that the names on either side take."""
NOTHING = "Needs complete cells of strategies and fractions that the published table has, too."


def stands_for(facts: Mapping[str, Any], cells: pd.DataFrame) -> dict[str, str]:
    """For each data set of our cells, the published rows that it stands beside, as `published_cells` names them."""
    compared = facts["data"].get("compare_with")
    return dict.fromkeys(cells["dataset"], f"{compared}, Amiri et al. 2020") if compared else {}


def stand_in(facts: Mapping[str, Any]) -> str:
    """`BUS-UCLM, stands in for BUS`; "" where the study names no published data set."""
    name, compared = str(facts["data"]["name"]), facts["data"].get("compare_with")
    if not compared:
        return ""
    ours = f"{name} of this study" if name == compared else name
    return f"{ours}, stands in for {compared}"


def order_table(
    cells: pd.DataFrame,
    published: pd.DataFrame,
    stand_ins: Mapping[str, str],
    *,
    images: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """A row per data set and fraction in both tables, as `engine.significance.agreement_table` has them.

    Only complete cells count. `images` are our test images, with dataset and fraction, for the intervals.
    """
    done = cells[cells["complete"].astype(bool)]
    return agreement_table(done, published, stand_ins, images=images if images is not None and len(images) else None)


def order(table: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """A dot per row with its interval, on a band: how well the published cells, drawn again, agree with themselves."""
    known = table[table["tau"].notna()]
    if not len(known):
        reasons = dict.fromkeys(str(reason) for reason in table["reason"] if reason)
        return empty("<br>".join([NOTHING, *reasons]), dark=dark, height=120)
    figure = go.Figure(layout=layout(dark=dark, height=TOP + FOOT + ROW * len(known), hovermode="closest"))
    figure.update_layout(margin={"l": 10, "r": 96, "t": TOP, "b": FOOT})
    for place, row in enumerate(rows(known)):
        figure.add_shape(
            type="rect", x0=row.ceiling_low, x1=row.ceiling_high, y0=place - 0.34, y1=place + 0.34,
            line={"width": 0}, fillcolor=BAND[dark], layer="below",
        )  # fmt: skip
        figure.add_shape(
            type="line", x0=row.ceiling, x1=row.ceiling, y0=place - 0.34, y1=place + 0.34,
            line={"color": FAINT[dark], "width": 1.5, "dash": "dot"}, layer="below",
        )  # fmt: skip
    places = list(range(len(known)))
    above, below = (known["high"] - known["tau"]).fillna(0), (known["tau"] - known["low"]).fillna(0)
    figure.add_scatter(
        x=known["tau"], y=places, mode="markers",
        marker={"size": 12, "color": ACCENT[dark], "line": {"width": 1, "color": INK[dark]}},
        error_x={"array": above, "arrayminus": below, "color": ACCENT[dark], "thickness": 2, "width": 5,
                 "visible": bool((above + below > 0).any())},
        hovertext=[_hover(row) for row in rows(known)], hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    for place, row in enumerate(rows(known)):
        figure.add_annotation(
            x=1, xref="paper", y=place, xanchor="left", xshift=10, showarrow=False, align="left",
            text=f"<b>{row.tau:.2f}</b> <span style='color:{FAINT[dark]}'>of {row.common}</span>",
        )  # fmt: skip
    figure.add_annotation(
        x=0, y=1, xref="paper", yref="paper", xanchor="left", yanchor="bottom", yshift=8, showarrow=False,
        text=f"<span style='color:{ACCENT[dark]}'>●</span> ours against published"
        f"    <span style='color:{FAINT[dark]}'>▒</span> published, drawn again, against itself (95 %, median dotted)",
    )  # fmt: skip
    low = float(np.nanmin(known[["tau", "low", "ceiling_low"]].to_numpy(dtype=float)))
    figure.update_xaxes(
        range=[min(low - 0.06, -0.06), 1.04], gridcolor=GRID[dark], zeroline=True, zerolinecolor=FAINT[dark],
        fixedrange=True, tickformat=".1f",
        title={"text": "Kendall's τ<sub>b</sub> of the strategies' order (1: the same, 0: none, −1: the reverse)",
               "font": {"size": 12, "color": FAINT[dark]}},
    )  # fmt: skip
    figure.update_yaxes(
        range=[len(known) - 0.45, -0.55], tickvals=places, zeroline=False, showgrid=False, fixedrange=True,
        automargin=True, ticklabelstandoff=8,
        ticktext=[f"{row.dataset}, <b>{row.fraction:g} %</b>" for row in rows(known)],
    )  # fmt: skip
    return figure


def order_note(table: pd.DataFrame) -> str:
    """What the band is, what the intervals vary, and why there is none."""
    ways = dict.fromkeys(table.loc[table["low"].notna(), "interval_by"])
    reasons = dict.fromkeys(str(reason) for reason in table["reason"] if reason)
    said = [
        "The band is what the published cells, drawn again from their means and standard deviations, reach against "
        "themselves: more cannot be expected of another study."
    ]
    said += [
        f"95 % intervals by {way}: like the band they lie somewhat low, since drawing again adds noise." for way in ways
    ]
    return " ".join([*said, *(f"{reason[:1].upper()}{reason[1:]}." for reason in reasons)])


def _hover(row: Any) -> str:
    lines = [f"<b>{row.dataset}, {row.fraction:g} %</b> against {row.published}"]
    lines.append(f"τ<sub>b</sub> {row.tau:.2f} over {row.common} strategies")
    if np.isnan(row.low):
        lines.append(row.reason)
    else:
        lines.append(f"95 % interval {row.low:.2f} to {row.high:.2f} ({row.interval_by})")
    ceiling = f"{row.ceiling:.2f} ({row.ceiling_low:.2f} to {row.ceiling_high:.2f})"
    return "<br>".join([*lines, f"published cells drawn again against themselves: {ceiling}"])


def ranks_table(cells: pd.DataFrame, published: pd.DataFrame, stand_ins: Mapping[str, str]) -> pd.DataFrame:
    """A row per strategy of each data set and fraction that both tables have: means, ranks, places, missing.

    `rank_ours` and `rank_theirs` count from 1 (highest mean) among the strategies with a mean on both sides, ties
    share one; `place_` breaks ties. NaN for a strategy without a mean on one side, which `missing` names. `told_`
    is the mean in words, with n and interval.
    """
    found = []
    done = cells[cells["complete"].astype(bool)]
    for (dataset, fraction), own in parts(done, ["dataset", "fraction"]):
        there = published[(published["dataset"] == stand_ins.get(dataset)) & (published["fraction"] == fraction)]
        both = _in_words(there).merge(_in_words(own), on="strategy", suffixes=("_theirs", "_ours"))
        if not len(both):
            continue
        known = both.dropna(subset=["mean_theirs", "mean_ours"])
        for side in ("theirs", "ours"):
            both[f"rank_{side}"] = known[f"mean_{side}"].rank(ascending=False, method="min")
            both[f"place_{side}"] = known[f"mean_{side}"].rank(ascending=False, method="first")
        missing = np.where(both["mean_theirs"].isna(), "published", np.where(both["mean_ours"].isna(), "ours", ""))
        found.append(both.assign(dataset=dataset, published=stand_ins[dataset], fraction=fraction, missing=missing))
    columns = ["dataset", "published", "fraction", "strategy", "mean_ours", "mean_theirs"]
    columns += ["rank_ours", "rank_theirs", "place_ours", "place_theirs", "missing", "told_ours", "told_theirs"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def _in_words(cells: pd.DataFrame) -> pd.DataFrame:
    means = means_table(cells)
    told = [
        "" if np.isnan(row.mean)
        else "; ".join([varies(row.mean, row.sd, row.value_folds, row.images),
                        *between(row.low, row.high, row.interval)])
        for row in rows(means)
    ]  # fmt: skip
    return means[["strategy", "mean"]].assign(told=told)


def ranks(table: pd.DataFrame, *, across: int = 2, dark: bool = False) -> go.Figure:
    """A panel per data set and fraction, `across` in a line: published ranks left, ours right."""
    panels = [(place, part[part["place_ours"].notna()]) for place, part in parts(table, ["dataset", "fraction"])]
    panels = [(place, part) for place, part in panels if len(part) > 1]
    if not panels:
        return empty(NOTHING, dark=dark, height=120)
    lines = -(-len(panels) // across)
    most = max(len(part) for _, part in panels)
    step = HEAD + STEP * most + BELOW
    figure = make_subplots(
        lines, min(len(panels), across), horizontal_spacing=0.05, vertical_spacing=HEAD / (step * lines)
    )
    figure.update_layout(layout(dark=dark, height=step * lines, hovermode="closest"))
    figure.update_layout(margin={"l": 4, "r": 4, "t": HEAD, "b": BELOW})
    for number, ((dataset, fraction), part) in enumerate(panels):
        at = {"row": number // across + 1, "col": number % across + 1}
        _panel(figure, part, at, dark)
        left = table[(table["dataset"] == dataset) & (table["fraction"] == fraction)]
        title = f"<b>{dataset}, {fraction:g} %</b>"
        if lacking := _lacking(left):
            title += f"<br><span style='font-size:12px;color:{FAINT[dark]}'>{lacking}</span>"
        for x, text, anchor in ((0, "published", "right"), (1, "ours", "left")):
            figure.add_annotation(
                x=x, y=0.2, text=f"<i>{text}</i>", xanchor=anchor, xshift=-10 if x == 0 else 10, showarrow=False,
                font={"size": 12, "color": FAINT[dark]}, **at,
            )  # fmt: skip
        figure.add_annotation(
            x=0.5, y=0.2, yshift=16, text=title, showarrow=False, yanchor="bottom", font={"size": 14}, **at
        )
    room = SIDE / (1 - 2 * SIDE)
    figure.update_xaxes(range=[-room, 1 + room], visible=False, fixedrange=True)
    figure.update_yaxes(range=[most + 0.6, 0.2], visible=False, fixedrange=True)
    return figure


def _panel(figure: go.Figure, part: pd.DataFrame, at: dict[str, int], dark: bool) -> None:
    """A line per strategy, dots at its ends, its name and rank beside them."""
    far = (part["rank_ours"] - part["rank_theirs"]).abs() >= FAR
    for moved, lines in ((False, part[~far]), (True, part[far])):
        ends = [(row.place_theirs, row.place_ours) for row in rows(lines)]
        figure.add_scatter(
            x=[0, 1, None] * len(ends), y=[y for pair in ends for y in (*pair, None)], mode="lines", hoverinfo="skip",
            line={"color": _ink(moved, dark), "width": 2.6 if moved else 1.4}, **at,
        )  # fmt: skip
    hover = [
        f"<b>{row.strategy}</b><br>published, rank {row.rank_theirs:.0f}: {row.told_theirs.replace('; ', '<br>')}"
        f"<br>ours, rank {row.rank_ours:.0f}: {row.told_ours.replace('; ', '<br>')}"
        for row in rows(part)
    ]
    for x, side, position in ((0, "theirs", "middle left"), (1, "ours", "middle right")):
        words = []
        for row, moved in zip(rows(part), far, strict=True):
            rank = f"{getattr(row, f'rank_{side}'):.0f}"
            text = f"{row.strategy}  {rank} " if x == 0 else f" {rank}  {row.strategy}"
            words.append(f"<b>{text}</b>" if moved else text)
        figure.add_scatter(
            x=[x] * len(part), y=part[f"place_{side}"], mode="markers+text", text=words, textposition=position,
            textfont={"size": 12, "color": [SECOND[dark] if moved else INK[dark] for moved in far]},
            marker={"size": 8, "color": [_ink(moved, dark) for moved in far]}, hovertext=hover, cliponaxis=False,
            hovertemplate="%{hovertext}<extra></extra>", **at,
        )  # fmt: skip


def _ink(moved: bool, dark: bool) -> str:
    return SECOND[dark] if moved else FAINT[dark]


def _lacking(part: pd.DataFrame) -> str:
    said = []
    for side, words in (("published", "no published mean"), ("ours", "no mean of ours")):
        names = list(part.loc[part["missing"] == side, "strategy"])
        said += [f"{words}: {', '.join(names) if len(names) < 3 else f'{len(names)} strategies'}"] if names else []
    return "; ".join(said)
