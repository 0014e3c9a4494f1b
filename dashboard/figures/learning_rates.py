"""What each strategy reaches at each learning rate: strategies across, parts of the images down, rates on the axis.

No paper varied the rate. Which rate counts is what validation images say; the test images that are drawn choose none.
"""

from math import ceil, floor, log10
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.cells import (
    CELL,
    CHOSEN,
    in_rows,
    in_table,
    strategy_order,
    trial_table,
    with_network,
    with_results,
)
from dashboard.figures.palette import ACCENT, GRID, GROUND, INK, empty, layout
from dashboard.figures.rows import parts, rows

NOTE = (
    "Lines: means over folds; small dots: folds; gray: the other strategies of the row, to compare. Ring: the rate "
    "that validation images choose in most trainings (several where they tie); test images choose nothing. Rates that "
    "not every fold was trained with are dots without a line. Folds share most training images: their dots are no "
    "interval."
)
ONE = "Every training of this study has the same learning rate. Several: `learning_rates: [1e-4, 3e-4]` in its file."
NOT_YET = "No strategy has been trained with all its learning rates yet."
PANEL_WIDTH, PANEL_HEIGHT, TOP, FOOT, LEFT = 130, 170, 46, 62, 76
"""Pixels."""
RING, DOT = 14, 4
MOST_TICKS = 4
"""Rates that are written below an axis; more of them are told by decades."""


def learning_rates_table(
    plan: pd.DataFrame, attempts: pd.DataFrame, dataset: str, *, measure: str = "dice"
) -> pd.DataFrame:
    """A row per row of Table II, strategy and learning rate, of cells all of whose rates are trained.

    `mean` and `sd` (n - 1) are over the folds that converged (each the mean over its seeds), `values` those folds,
    `folds` how many were trained at this rate and `of` how many the strategy has; `failed` counts trainings left out.
    `validation` is the mean over folds of Dice or accuracy on validation images, `chosen` how many trainings' rate
    this is when validation images choose, of `choices`; where no rate converged nothing is chosen.
    """
    key = ["dataset", *CELL]
    trials = in_rows(with_results(with_network(in_table(plan)), attempts), plan, dataset)
    decided = in_rows(trial_table(plan, attempts, CHOSEN), plan, dataset)
    over = decided.groupby(key)["closed"].all()
    decided = decided[decided["converged"].astype(bool)]
    choices, times = decided.groupby(key).size(), decided.groupby([*key, "learning_rate"]).size()
    found: list[dict[str, Any]] = []
    for place, cell in parts(trials, key):
        if not over[place]:
            continue
        of = cell["fold"].nunique()
        for rate, part in parts(cell.sort_values("learning_rate"), "learning_rate"):
            good = part[part["converged"].astype(bool)]
            by_fold = good.assign(value=pd.to_numeric(good[measure]).astype(float)).groupby("fold")
            values = by_fold["value"].mean()
            found.append(
                dict(zip(key, place, strict=True))
                | {"learning_rate": float(rate), "mean": values.mean(), "sd": values.std(ddof=1)}
                | {"values": values.to_list(), "validation": by_fold["validation"].mean().mean()}
                | {"folds": part["fold"].nunique(), "of": of, "failed": len(part) - len(good)}
                | {"chosen": int(times.get((*place, rate), 0)), "choices": int(choices.get(place, 0))}
            )
    table = pd.DataFrame(found, columns=[*key, *COLUMNS])
    order = {name: number for number, name in enumerate(strategy_order(plan))}
    table = table.assign(_order=table["strategy"].map(order))
    by = ["dataset", "fraction", "_order", "learning_rate"]
    return table.sort_values(by, ascending=[True, False, True, True]).drop(columns="_order").reset_index(drop=True)


COLUMNS = ["learning_rate", "mean", "sd", "values", "validation", "folds", "of", "failed", "chosen", "choices"]


def has_several(table: pd.DataFrame) -> bool:
    """Whether a plan, or a table, has rates to compare."""
    return bool(table["learning_rate"].nunique() > 1 or ("draws" in table and table["draws"].max() > 1))


def learning_rates(table: pd.DataFrame, *, measure: str = "Dice", dark: bool = False) -> go.Figure:
    """A panel per strategy and row of Table II; the scale of a row is shared, the axis of rates by all."""
    if not has_several(table):
        return empty(NOT_YET, dark=dark, height=120)
    strategies = list(dict.fromkeys(table["strategy"]))
    lines = list(dict.fromkeys(zip(table["dataset"], table["fraction"], strict=True)))
    several = table["dataset"].nunique() > 1
    traces: list[dict[str, Any]] = []
    axes: dict[str, Any] = {}
    notes = []
    height, wide = TOP + FOOT + len(lines) * PANEL_HEIGHT, 1 / len(strategies)
    ticks = _ticks(table["learning_rate"])
    for down, (dataset, fraction) in enumerate(lines):
        row = table[(table["dataset"] == dataset) & (table["fraction"] == fraction)]
        for across, name in enumerate(strategies):
            number = str(down * len(strategies) + across + 1)
            at = {"type": "scatter", "xaxis": f"x{number}", "yaxis": f"y{number}"}
            for other, part in parts(row, "strategy"):
                if other != name:
                    traces.append(
                        {**at, **_line(part), "line": {"color": GRID[dark], "width": 1.2}, "hoverinfo": "skip"}
                    )
            own = row[row["strategy"] == name]
            traces += [{**at, **drawn} for drawn in _panel(own, measure, dark=dark)]
            top, below = 1 - down / len(lines), 1 - (down + 1) / len(lines)
            axes[f"xaxis{number}"] = {
                "type": "log", "domain": [(across + 0.06) * wide, (across + 0.97) * wide], "anchor": f"y{number}",
                "matches": "x1" if number != "1" else None, "showgrid": False, "zeroline": False, "fixedrange": True,
                "showline": True, "linecolor": GRID[dark], "tickfont": {"size": 11}, "ticks": "outside", "ticklen": 4,
                "tickcolor": GRID[dark], **ticks, "showticklabels": down == len(lines) - 1,
                "range": _ends(np.log10(table["learning_rate"]), 0.12),
            }  # fmt: skip
            axes[f"yaxis{number}"] = {
                "domain": [below + 0.06 / len(lines), top - 0.04 / len(lines)], "anchor": f"x{number}",
                "range": _ends(pd.Series([one for found in row["values"] for one in found], dtype=float), 0.06),
                "gridcolor": GRID[dark], "zeroline": False, "fixedrange": True, "nticks": 5, "tickformat": ".2f",
                "showticklabels": not across,
            }  # fmt: skip
            if not across:
                title = f"<b>{fraction:g} %</b> · {measure}" + (f"<br>{dataset}" if several else "")
                axes[f"yaxis{number}"]["title"] = {"text": title, "standoff": 8, "font": {"size": 12}}
            if not down:
                middle = sum(axes[f"xaxis{number}"]["domain"]) / 2
                notes.append(_text(name.replace(" ", "<br>", 1) if len(name) > 16 else name, middle, 1.0, dark))
    foot = _text("learning rate (logarithmic)", 0.5, 0.0, dark) | {"yanchor": "top", "yshift": -26}
    margin = {"l": LEFT, "r": 6, "t": TOP, "b": FOOT}
    return go.Figure(
        data=traces,
        layout={
            **layout(dark=dark, height=height, margin=margin, hovermode="closest", annotations=[*notes, foot]),
            **axes,
        },
    )


def _panel(own: pd.DataFrame, measure: str, *, dark: bool) -> list[dict[str, Any]]:
    """Folds, the line of means, and on it the marks with what they say."""
    ink = ACCENT[dark]
    dots = [(row.learning_rate, value) for row in rows(own) for value in row.values if row.folds > 1]
    ringed = own[(own["chosen"] > 0) & (own["chosen"] == own["chosen"].max())]
    return [
        {"x": [x for x, _ in dots], "y": [y for _, y in dots], "mode": "markers", "hoverinfo": "skip", "opacity": 0.55,
         "marker": {"size": DOT, "color": ink}},
        {**_line(own), "line": {"color": ink, "width": 2}, "hoverinfo": "skip"},
        {"x": ringed["learning_rate"], "y": ringed["mean"], "mode": "markers", "hoverinfo": "skip", "name": "chosen",
         "marker": {"size": RING, "color": GROUND[dark], "line": {"width": 2, "color": INK[dark]}}},
        {"x": own["learning_rate"], "y": own["mean"], "mode": "markers", "marker": {"size": 6, "color": ink},
         "hovertext": [_told(row, measure) for row in rows(own)], "hovertemplate": "%{hovertext}<extra></extra>",
         "name": "mean"},
    ]  # fmt: skip


def _line(part: pd.DataFrame) -> dict[str, Any]:
    """Through the rates that every fold was trained with."""
    whole = part[part["folds"] == part["of"]]
    return {"x": whole["learning_rate"], "y": whole["mean"], "mode": "lines"}


def _told(row: Any, measure: str) -> str:
    folds = f"{len(row.values)} of {row.of} folds" if len(row.values) < row.of else f"{row.of} folds"
    lines = [f"<b>{row.strategy}</b> · {row.fraction:g} % · learning rate {row.learning_rate:g}"]
    spread = "" if pd.isna(row.sd) else f", sd {row.sd:.3f}"
    lines.append("no training converged" if pd.isna(row.mean) else f"test {measure} {row.mean:.3f}{spread}, {folds}")
    if not pd.isna(row.validation):
        lines.append(f"validation {measure} {row.validation:.3f}")
    if row.chosen:
        lines.append(f"chosen on validation in {row.chosen} of {row.choices} trainings")
    if row.failed:
        lines.append(f"{row.failed} failed to converge, left out")
    return "<br>".join(lines)


def _ticks(found: pd.Series) -> dict[str, Any]:
    """Every rate where they are few, else the decades among them; where those are fewer than two, the ends, too."""
    known = sorted(set(found))
    if len(known) > MOST_TICKS:
        decades = [10.0**power for power in range(ceil(log10(known[0])), floor(log10(known[-1])) + 1)]
        known = decades if len(decades) > 1 else sorted({known[0], *decades, known[-1]})
    return {"tickvals": known, "ticktext": [_written(rate) for rate in known]}


def _written(rate: float) -> str:
    """`1e-4`, `1.25e-4`: three digits at most."""
    digits, power = f"{rate:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def _ends(values: pd.Series, room: float) -> list[float]:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low):
        return [0.0, 1.0]
    spare = max((high - low) * room, 0.01)
    return [low - spare, high + spare]


def _text(text: str, x: float, y: float, dark: bool) -> dict[str, Any]:
    return {
        "text": text, "x": x, "y": y, "xref": "paper", "yref": "paper", "showarrow": False, "xanchor": "center",
        "yanchor": "bottom", "yshift": 4, "font": {"size": 12, "color": INK[dark]},
    }  # fmt: skip
