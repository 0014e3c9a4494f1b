"""What fine-tuning costs against what it reaches: strategies that no cheaper one beats are on the front."""

from math import floor, log10
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.labels import Obstacle, labels
from dashboard.figures.means import FIELDS, fold_dots, interval_note, means_table, texts, told
from dashboard.figures.palette import ACCENT, FAINT, GRID, INK, empty, layout
from dashboard.figures.rows import rows

COSTS = {
    "trained parameters": ("trainable", "parameters that learn (logarithmic)", True),
    "minutes": ("minutes", "minutes of one training (mean wall time)", False),
    "megabytes": ("megabytes", "megabytes of the trained weights as float32 (logarithmic)", True),
}
"""Column of the cells, title of the axis, and whether it is logarithmic, for each cost."""
REFERENCE, SCRATCH = "whole network", "from scratch"
MARGIN = 0.01
HEIGHT = 440
FEW_DECADES = 2.0
"""Below so many powers of ten an axis has ticks between them too."""


def pareto_table(
    cells: pd.DataFrame,
    fraction: float,
    cost: str = "trained parameters",
    *,
    reference: str = REFERENCE,
    margin: float = MARGIN,
) -> pd.DataFrame:
    """A row per complete cell of one data set at `fraction` whose cost is known, cheapest first.

    `front`: no strategy that costs as much or less has a higher mean. `from scratch` is no fine-tuning, so it is shown
    and never on the front. `recommended` says how little a strategy is shown to lose, where that is within the margin.
    `least` is the mean of `reference` minus `margin`, NaN without it. `undrawn` names the strategies that train no
    parameter, with their means: they have no place on a logarithmic axis.
    """
    column = COSTS[cost][0]
    prices = cells[column].astype(float) if column in cells else float("nan")
    known = cells.assign(cost=prices, recommended=texts(cells, "recommended"))
    known = means_table(known[known["fraction"] == fraction], "cost", "recommended").dropna(subset=["mean"])
    known = known[known["cost"] > 0].sort_values(["cost", "mean"], ascending=[True, False], kind="stable")
    best, front = -np.inf, []
    for row in rows(known):
        front.append(row.strategy != SCRATCH and row.mean > best)
        best = max(best, row.mean) if front[-1] else best
    whole = known.loc[known["strategy"] == reference, "mean"]
    least = float(whole.iloc[0]) - margin if len(whole) else float("nan")
    columns = [*FIELDS, "cost", "recommended"]
    undrawn = _undrawn(cells, fraction) if COSTS[cost][2] else ""
    told = known[columns].assign(front=front, reference=reference, least=least, undrawn=undrawn)
    return told.reset_index(drop=True)


def _undrawn(cells: pd.DataFrame, fraction: float) -> str:
    none = (cells["fraction"] == fraction) & (cells["trainable"] == 0) & (cells["total"] > 0) & cells["mean"].notna()
    return ", ".join(f"{row.strategy} ({row.mean:.3f})" for row in rows(cells[none]))


def pareto_note(table: pd.DataFrame, margin: float = MARGIN) -> str:
    """What the lines and marks are, and that means alone do not say whether a loss stays within the margin."""
    if not len(table):
        return ""
    first = next(rows(table))
    words = [f"{first.dataset}, {first.fraction:g} % of the images. Step line: the highest mean at each cost."]
    if not np.isnan(first.least):
        words.append(f"Dashed: mean of {first.reference} minus the margin of {margin:g}.")
    words.append("Whether a loss stays within the margin is a question of its interval, not of its mean.")
    words += [f"Small dots: folds. {interval_note(table)}"] if (table["source"] == "ours").any() else []
    words += [f"Trains no parameter, so not drawn (mean): {first.undrawn}."] if first.undrawn else []
    if table["recommended"].any():
        words.append("✓: shown to lose no more than the margin (one-sided 95 % bound, corrected; hover).")
    return " ".join(words)


def with_published_minutes(cells: pd.DataFrame, times: pd.DataFrame) -> pd.DataFrame:
    """Published cells with the minutes that Table III has of three strategies; other cells as they are."""
    known = {
        (row.dataset, float(row.train_percent) if "train_percent" in times else 80.0, row.strategy): row.minutes_mean
        for row in rows(times)
    }
    found = [
        known.get((row.dataset.split(", ")[0], row.fraction, row.strategy)) if row.source == "published" else None
        for row in rows(cells)
    ]
    before = cells["minutes"] if "minutes" in cells else pd.Series(float("nan"), cells.index)
    return cells.assign(minutes=pd.Series(found, cells.index, dtype=float).fillna(before.astype(float)))


def pareto(
    table: pd.DataFrame, *, cost: str = "trained parameters", measure: str = "Dice", margin: float = MARGIN,
    dark: bool = False,
) -> go.Figure:  # fmt: skip
    """A named dot per strategy, the front as a step line, and the reference minus the margin as a dashed one."""
    _, title, logarithmic = COSTS[cost]
    if not len(table):
        return empty(f"Needs complete cells whose {cost} are known.", dark=dark, height=180)
    figure = go.Figure(layout=layout(dark=dark, height=HEIGHT, hovermode="closest"))
    figure.update_layout(margin={"l": 62, "r": 12, "t": 24, "b": 56})
    x_range, y_range = _ranges(table, logarithmic)
    front = table[table["front"]]
    figure.add_scatter(
        x=[*front["cost"], 10 ** x_range[1] if logarithmic else x_range[1]], y=[*front["mean"], front["mean"].max()],
        mode="lines", line={"shape": "hv", "color": ACCENT[dark], "width": 1.6}, opacity=0.7, hoverinfo="skip",
    )  # fmt: skip
    dots = fold_dots(table, list(table["cost"]), measure)
    figure.add_scatter(
        x=dots["x"], y=dots["value"], mode="markers", opacity=0.45, marker={"size": 5, "color": FAINT[dark]},
        hovertext=dots["told"], hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    inks = [ACCENT[dark] if row.front else FAINT[dark] for row in rows(table)]
    figure.add_scatter(
        x=table["cost"], y=table["mean"], mode="markers", hovertext=[_hover(row, cost, measure) for row in rows(table)],
        hovertemplate="%{hovertext}<extra></extra>",
        marker={"size": 11, "color": inks, "line": {"width": 2, "color": inks},
                "symbol": [_symbol(row) for row in rows(table)]},
    )  # fmt: skip
    least, obstacles = float(table["least"].iloc[0]), _steps(front, x_range, y_range, logarithmic)
    if not np.isnan(least):
        figure.add_hline(y=least, line={"color": INK[dark], "width": 1, "dash": "5px,4px"}, opacity=0.7)
        words = f"{table['reference'].iloc[0]} − {margin:g}"
        figure.add_annotation(
            x=0, xref="paper", y=least, text=words, showarrow=False, xanchor="left", yanchor="bottom", xshift=4,
            font={"size": 13, "color": FAINT[dark]},
        )  # fmt: skip
        y = _part(least, y_range)
        obstacles += [Obstacle(begin=(0.0, y), end=(1.0, y)), Obstacle(begin=(0.0, y), end=(0.0, y), words=words)]
    across = [log10(value) if logarithmic else value for value in table["cost"]]
    points = [(_part(x, x_range), _part(y, y_range)) for x, y in zip(across, table["mean"], strict=True)]
    names = [f"{row.strategy} ✓" if row.recommended else row.strategy for row in rows(table)]
    placed = labels(points, names, obstacles)
    for row, x, name, label in zip(rows(table), across, names, placed, strict=True):
        ink = INK[dark] if row.front else FAINT[dark]
        figure.add_annotation(
            x=x, y=row.mean, ax=label.right, ay=-label.up, text=f"<b>{name}</b>" if row.front else name,
            xanchor=label.anchor, yanchor="middle", showarrow=True, arrowhead=0, arrowwidth=1, standoff=7,
            arrowcolor=FAINT[dark] if label.far else "rgba(0,0,0,0)", font={"size": 13, "color": ink}, borderpad=0,
        )  # fmt: skip
    figure.update_xaxes(
        type="log" if logarithmic else "linear", range=x_range, title={"text": title, "font": {"size": 13}},
        gridcolor=GRID[dark], zeroline=False, fixedrange=True, dtick=1 if logarithmic else None, showline=True,
        linecolor=GRID[dark], exponentformat="power" if not logarithmic else None,
    )  # fmt: skip
    if logarithmic and x_range[1] - x_range[0] < FEW_DECADES:
        figure.update_xaxes(tickvals=_between(x_range), tickformat="~s")
    figure.update_yaxes(
        range=y_range, title={"text": f"mean test {measure}", "font": {"size": 13}}, gridcolor=GRID[dark],
        zeroline=False, fixedrange=True, tickformat=".2f" if y_range[1] - y_range[0] > 0.1 else ".3f",
        nticks=7,
    )  # fmt: skip
    return figure


def _part(value: float, ends: list[float]) -> float:
    return (value - ends[0]) / (ends[1] - ends[0])


def _steps(front: pd.DataFrame, x_range: list[float], y_range: list[float], logarithmic: bool) -> list[Obstacle]:
    """The front's steps, which labels should not lie on."""
    x = [_part(log10(cost) if logarithmic else cost, x_range) for cost in front["cost"]] + [1.0]
    y = [_part(mean, y_range) for mean in front["mean"]]
    flat = [Obstacle(begin=(x[n], y[n]), end=(x[n + 1], y[n])) for n in range(len(y))]
    return flat + [Obstacle(begin=(x[n + 1], y[n]), end=(x[n + 1], y[n + 1])) for n in range(len(y) - 1)]


def _ranges(table: pd.DataFrame, logarithmic: bool) -> tuple[list[float], list[float]]:
    values = [value for known in table["values"] for value in known]
    every = np.array([*values, *table["mean"], *table["least"]], dtype=float)
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    room = max((high - low) * 0.1, 0.005)
    cost = table["cost"].map(log10) if logarithmic else table["cost"]
    side = max((cost.max() - cost.min()) * 0.12, 0.2 if logarithmic else 0.1 * cost.max())
    first = cost.min() - side
    return [float(first if logarithmic else max(first, 0.0)), float(cost.max() + side)], [low - room, high + 1.8 * room]


def _between(ends: list[float]) -> list[float]:
    """Once, twice and five times every power of ten within these ends (logarithms)."""
    powers = range(floor(ends[0]), floor(ends[1]) + 1)
    every = [float(times * 10.0**power) for power in powers for times in (1, 2, 5)]
    return [value for value in every if ends[0] <= log10(value) <= ends[1]]


def _symbol(row: Any) -> str:
    return "circle-open" if row.strategy == SCRATCH else "diamond" if row.strategy == row.reference else "circle"


def _hover(row: Any, cost: str, measure: str) -> str:
    price = f"{row.cost:,.0f} {cost}" if cost == "trained parameters" else f"{row.cost:,.3g} {cost}"
    lines = [told(row, measure), price, row.recommended]
    lines += ["on the front: nothing cheaper reaches its mean"] if row.front else []
    return "<br>".join(line for line in lines if line)
