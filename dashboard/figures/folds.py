"""The folds of one cell: a dot each, with their mean, beside the study's reference."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.means import means_table, of_images, told
from dashboard.figures.palette import ACCENT, FAINT, GRID, empty, fold_look, layout
from dashboard.figures.rows import rows


def folds_table(folds: pd.DataFrame, fraction: float, strategy: str, reference: str = "whole network") -> pd.DataFrame:
    """A row per fold of the cell and of the reference at the same fraction: strategy, fold, value, epochs of each.

    Empty until all folds of the cell are done; the reference stands beside it once its own are.
    """
    rows = folds[folds["fraction"] == fraction]
    parts = []
    for name in dict.fromkeys([strategy, reference]):
        part = rows[rows["strategy"] == name]
        if len(part) and part["done"].all():
            parts.append(part)
        elif name == strategy:
            break
    columns = ["strategy", "fold", "value", "failed", "cut_at", "epochs"]
    return pd.concat(parts)[columns].reset_index(drop=True) if parts else pd.DataFrame(columns=columns)


def with_means(table: pd.DataFrame, cells: pd.DataFrame, measure: str = "Dice") -> pd.DataFrame:
    """The folds with `of`, their test images and groups in words, and `told`, the mean of their cell in words.

    `cells` are those of the same row of Table II; n and interval are said once their statistics are there.
    """
    means = list(rows(means_table(cells)))
    of = {
        (row.strategy, fold): of_images(images, groups)
        for row in means
        for fold, images, groups in zip(row.fold_numbers, row.fold_images, row.fold_groups, strict=False)
    }
    words = {row.strategy: told(row, measure) for row in means}
    places = zip(table["strategy"], table["fold"], strict=True)
    return table.assign(of=[of.get(place, "") for place in places], told=[words.get(n, "") for n in table["strategy"]])


def folds(table: pd.DataFrame, *, measure: str = "Dice", shared: bool = True, dark: bool = False) -> go.Figure:
    """Dots per fold, a line at each mean; folds that did not converge have no dot.

    A colour and symbol is the same fold, the same test images, where the folds are `shared`; else all dots are alike.
    What `with_means` adds stands on hover.
    """
    if not table["value"].notna().any():
        return empty("Test values come when all folds of this cell are done.", dark=dark, height=230)
    figure = go.Figure(layout=layout(dark=dark, height=230, margin={"l": 8, "r": 8, "t": 8, "b": 48}))
    names = list(dict.fromkeys(table["strategy"]))
    for place, name in enumerate(reversed(names)):
        part = table[(table["strategy"] == name) & table["value"].notna()]
        spread = np.linspace(-0.14, 0.14, len(part)) if len(part) > 1 else np.zeros(1)
        looks = [fold_look(int(fold)) if shared else (FAINT[dark], "circle") for fold in part["fold"]]
        figure.add_scatter(
            x=part["value"], y=place + spread, mode="markers", name=name,
            marker={"size": 12, "color": [colour for colour, _ in looks], "symbol": [symbol for _, symbol in looks]},
            hovertext=[_told(row, measure) for row in rows(part)], hovertemplate="%{hovertext}<extra></extra>",
        )  # fmt: skip
        mean = part["value"].mean()
        width, dash = (3, "solid") if name == names[0] else (2, "dot")
        figure.add_shape(
            type="line", x0=mean, x1=mean, y0=place - 0.3, y1=place + 0.3,
            line={"color": ACCENT[dark], "width": width, "dash": dash},
        )  # fmt: skip
        if "told" in part and (words := str(part["told"].iloc[0])):
            figure.add_scatter(
                x=[mean, mean], y=[place - 0.3, place + 0.3], mode="markers", name=f"{name}, mean",
                marker={"size": 14, "color": "rgba(0,0,0,0)"}, hovertext=words,
                hovertemplate="%{hovertext}<extra></extra>",
            )  # fmt: skip
    low, high = table["value"].min(), table["value"].max()
    room = max((high - low) * 0.2, 0.01)
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=list(reversed(names)), range=[-0.6, len(names) - 0.4],
        zeroline=False, showgrid=False, fixedrange=True, automargin=True, ticklabelstandoff=6,
    )  # fmt: skip
    figure.update_xaxes(
        title={"text": f"{measure} on the test images, a dot per fold", "font": {"size": 12, "color": FAINT[dark]}},
        range=[low - room, high + room], gridcolor=GRID[dark], zeroline=False, fixedrange=True, nticks=6,
        tickformat=".3~f",
    )  # fmt: skip
    return figure


def _told(row: Any, measure: str) -> str:
    """A fold in words: its value, what it is measured on, and how long its trainings ran."""
    ran = f", {' and '.join(map(str, row.epochs))} epochs{' (cut off)' * bool(row.cut_at)}" if row.epochs else ""
    return f"{row.strategy}, fold {row.fold}{ran}<br>{measure} {row.value:.3f}{getattr(row, 'of', '')}"
