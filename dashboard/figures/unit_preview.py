"""Units ranked by their gradients before any training, beside what each of them reached when it learned alone."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures.palette import ACCENT, FAINT, FOLDS, GRID, INK, empty, layout
from dashboard.figures.rows import rows
from engine.architectures import Strategy, parse_strategy
from engine.errors import StrategyError
from engine.ranking import FoldNorms, normalised
from engine.significance.agreement import OrderAgreement

ROW, TOP, FOOT = 27, 34, 48
NONE_YET = "no single-block trials yet"
BLOCK_5 = ("5a", "5b")
COLUMNS = [
    "unit", "parameters", "relative", "sd", "lowest", "highest", "normalised", "rank", "measured_folds", "strategy",
    "mean", "values", "fold_numbers", "gain", "gains", "folds",
]  # fmt: skip


def alone(names: Sequence[str], model: str, units: Sequence[str]) -> dict[tuple[str, ...], str]:
    """The strategies under which one unit learns alone (or the U-Net's block 5), by that unit."""
    wanted = {(unit,) for unit in units} | ({BLOCK_5} if set(BLOCK_5) <= set(units) else set())
    found: dict[tuple[str, ...], str] = {}
    for name in names:
        try:
            strategy = parse_strategy(name, model, units)
        except StrategyError:
            continue
        if strategy == Strategy(name=strategy.name, units=strategy.units) and strategy.units in wanted:
            found[strategy.units] = name
    return found


def unit_preview_table(
    found: Sequence[FoldNorms], cells: pd.DataFrame, untuned: Sequence[float] = (), model: str = "unet"
) -> pd.DataFrame:
    """A row per unit, input to output: what its gradients say, and what it reached when it learned alone.

    `found` are the folds of one start weights and fraction, `cells` the row of Table II of the same, `untuned` what the
    start weights reach as they are, fold by fold. The U-Net's block 5 is one row where only the whole of it was
    trained. `relative` is the mean over folds of the relative gradient norm; `mean` is NaN before a cell is complete,
    `gain` over `untuned` also where that is not known. Columns: `COLUMNS`.
    """
    if not found:
        return pd.DataFrame(columns=COLUMNS)
    units = found[0].norms.units
    strategies = alone([str(name) for name in cells["strategy"]], model, units)
    places: list[tuple[str, ...]] = [(unit,) for unit in units]
    if BLOCK_5 in strategies and not {("5a",), ("5b",)} & set(strategies):
        places = [BLOCK_5 if place == ("5a",) else place for place in places if place != ("5b",)]
    by_name: Mapping[str, Any] = {row.strategy: row for row in rows(cells)}
    records: list[dict[str, Any]] = []
    for place in places:
        values = [one.norms.relative(place) for one in found]
        cell = by_name.get(strategies.get(place, ""))
        reached = [float(value) for value in cell.values] if cell is not None and cell.complete else []
        gains = [own - other for own, other in zip(reached, untuned, strict=False)]
        gains = gains if len(untuned) == len(reached) else []
        records.append(
            {
                "unit": "5" if place == BLOCK_5 else place[0],
                "parameters": sum(found[0].norms.parameters[units.index(unit)] for unit in place),
                "relative": float(np.mean(values)),
                "sd": float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"),
                "lowest": min(values), "highest": max(values), "measured_folds": len(values),
                "strategy": strategies.get(place, ""),
                "mean": float(cell.mean) if cell is not None and reached else float("nan"),
                "values": reached, "fold_numbers": list(cell.fold_numbers) if cell is not None and reached else [],
                "gains": gains, "folds": len(reached), "gain": _mean(gains),
            }
        )  # fmt: skip
    table = pd.DataFrame(records)
    table["normalised"] = list(normalised(dict(zip(table["unit"], table["relative"], strict=True))).values())
    table["rank"] = table["relative"].rank(ascending=False, method="min").astype(int)
    return table[COLUMNS]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def order_sentence(agreement: OrderAgreement, measure: str) -> str:
    """How far the ranking and what came of it agree, in words."""
    count = len(agreement.strategies)
    if agreement.tau is None:
        return f"No rank correlation: {agreement.reason}."
    interval = (
        f" (95 % interval {agreement.low:.2f} to {agreement.high:.2f}, {agreement.interval_by})"
        if agreement.low is not None and agreement.high is not None
        else f" ({agreement.reason})"
    )
    return (
        f"Kendall's tau-b between the relative gradient norm and the {measure} that a unit reaches alone: "
        f"**{agreement.tau:.2f}**{interval}, over {count} units. 1 is the same order, 0 none, -1 the reverse."
    )


def unit_preview(table: pd.DataFrame, *, measure: str = "Dice", dark: bool = False) -> go.Figure:
    """Bars of the normalised norm on the left; on the right the gain over the untuned network, folds as small dots."""
    if table.empty:
        return empty("The units are not ranked yet.", dark=dark)
    figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.06, column_widths=[0.5, 0.5])
    figure.update_layout(layout(dark=dark, height=TOP + FOOT + ROW * len(table), hovermode="closest", bargap=0.35))
    figure.update_layout(margin={"l": 70, "r": 14, "t": TOP, "b": FOOT})
    units, scale = [str(unit) for unit in table["unit"]], 1 / (float(table["relative"].max()) or 1.0)
    figure.add_bar(
        x=table["normalised"], y=units, orientation="h", marker={"color": ACCENT[dark]}, row=1, col=1,
        error_x={
            "type": "data", "symmetric": False, "array": (table["highest"] - table["relative"]) * scale,
            "arrayminus": (table["relative"] - table["lowest"]) * scale, "color": FAINT[dark], "thickness": 1.2,
            "width": 3,
        },
        hovertext=[_hover(row) for row in rows(table)], hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    gains = bool(table["gain"].notna().any())
    column, each = ("gain", "gains") if gains else ("mean", "values")
    words = f"gain in {measure} over the untuned network" if gains else f"{measure} that is reached"
    known = table[table[column].notna()]
    if known.empty:
        figure.add_annotation(
            text=NONE_YET, showarrow=False, x=0.5, y=0.5, xref="x2 domain", yref="y2 domain",
            font={"size": 14, "color": FAINT[dark]},
        )  # fmt: skip
        figure.update_xaxes(visible=False, row=1, col=2)
    dots = [
        (str(row.unit), f"{escape(str(row.strategy))}, fold {number}", value)
        for row in rows(known)
        for number, value in zip(row.fold_numbers, getattr(row, each), strict=True)
    ]
    figure.add_scatter(
        x=[value for *_, value in dots], y=[unit for unit, *_ in dots], hovertext=[told for _, told, _ in dots],
        mode="markers", marker={"size": 5, "color": FOLDS[1], "opacity": 0.7}, row=1, col=2,
        hovertemplate="%{hovertext}<br>" + words + " %{x:.3f}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=known[column], y=[str(unit) for unit in known["unit"]], mode="markers", row=1, col=2,
        marker={"size": 10, "color": FOLDS[1]},
        hovertext=[
            f"<b>{escape(str(row.strategy))}</b><br>{words} {getattr(row, column):.3f}{_sd(getattr(row, each))}, "
            f"over {row.folds} fold{'s' if row.folds > 1 else ''}"
            for row in rows(known)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    plain: dict[str, Any] = {"gridcolor": GRID[dark], "zeroline": False, "fixedrange": True}
    title: dict[str, Any] = {"font": {"size": 13}, "standoff": 6}
    figure.update_xaxes(**plain)
    figure.update_xaxes(
        title={"text": "relative gradient norm, part of the largest", **title}, rangemode="tozero", col=1
    )
    figure.update_xaxes(title={"text": words if len(known) else "", **title}, nticks=6, col=2)
    if gains:
        figure.add_vline(x=0, line={"color": FAINT[dark], "width": 1}, row=1, col=2)
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=units[::-1], fixedrange=True, showgrid=False,
        tickfont={"size": 13}, range=[-0.6, len(units) - 0.4],
    )  # fmt: skip
    for place, text in ((1, "before any training"), (2, "after training it alone")):
        figure.add_annotation(
            x=0, xref=f"x{place if place > 1 else ''} domain", y=1, yref="paper", yanchor="bottom", yshift=6,
            xanchor="left", text=f"<b>{text}</b>", showarrow=False, font={"size": 13, "color": INK[dark]},
        )  # fmt: skip
    return figure


def _sd(values: Sequence[float]) -> str:
    known = [value for value in values if not np.isnan(value)]
    return f", sd {np.std(known, ddof=1):.3f}" if len(known) > 1 else ""


def _hover(row: Any) -> str:
    spread = (
        f", {row.lowest:.3g} to {row.highest:.3g} over {row.measured_folds} folds" if row.measured_folds > 1 else ""
    )
    return (
        f"<b>{escape(str(row.unit))}</b>, {row.parameters:,} parameters<br>"
        f"relative gradient norm {row.relative:.3g}{spread}<br>rank {row.rank}"
    )
