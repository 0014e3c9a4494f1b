"""Learning curves of many cells as small multiples: loss and validation Dice, strategies across, fractions down."""

from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures.palette import FAINT, FOLDS, GRID, INK, empty, layout
from dashboard.figures.rows import parts

Show = Literal["loss and Dice", "loss", "validation Dice"]
LOSS, DICE = "loss", "validation Dice"
PANEL_HEIGHT = {LOSS: 150, DICE: 120}
PANEL_WIDTH = 150
"""Pixels, at least."""
CUT_ABOVE = 4.0
"""Losses above this many times the 90th percentile are left outside the axis, so that one bad start hides nothing."""
COLUMNS = ["id", "strategy", "fraction", "fold", "seed", "state", "cut_at", "best_epoch"]


def curve_sheet_table(epochs: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """A row per epoch of the counted attempts: cell, fold, seed, losses, validation Dice, and whether it is the best.

    In the order of `trials`; `cut_at` is the epoch of a cap below 200, missing where the training stopped by itself.
    """
    counted = trials.dropna(subset=["number"])[[*COLUMNS, "number"]].astype({"number": "int64"})
    order = {value: place for place, value in enumerate(dict.fromkeys(counted["strategy"]))}
    table = epochs.merge(counted, on=["id", "number"])
    table["best"] = table["epoch"] == table["best_epoch"]
    table["_place"] = table["strategy"].map(order)
    by = ["fraction", "_place", "fold", "seed", "epoch"]
    ascending = [False, True, True, True, True]
    return table.sort_values(by, ascending=ascending).drop(columns="_place").reset_index(drop=True)


def endings(part: pd.DataFrame) -> str:
    """How the trainings of a cell ended: `cut at 15 (2 of 3)`, `1 of 3 failed`, or "" where all stopped themselves."""
    trainings = part.drop_duplicates("id")
    words = []
    if len(cut := trainings.dropna(subset=["cut_at"])):
        epochs = ", ".join(str(int(epoch)) for epoch in sorted(set(cut["cut_at"])))
        words.append(f"cut at {epochs} ({len(cut)} of {len(trainings)})")
    if failed := int((trainings["state"] == "not_converged").sum()):
        words.append(f"{failed} of {len(trainings)} failed")
    return "<br>".join(words)


def loss_range(table: pd.DataFrame) -> tuple[float, float, int]:
    """Lowest and highest loss of the shared axis, and how many epochs lie above it."""
    losses = table[["training_loss", "validation_loss"]].to_numpy(dtype=np.float64)
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return 0.0, 1.0, 0
    top = min(float(finite.max()), CUT_ABOVE * float(np.quantile(finite, 0.9)))
    return 0.0, top * 1.05, int((~(losses <= top * 1.05)).any(axis=1).sum())


def curve_sheet(
    table: pd.DataFrame, *, show: Show = "loss and Dice", loss: str = "binary cross entropy", dark: bool = False
) -> go.Figure:
    """A panel per strategy and fraction with shared axes: a colour per fold, training dashed, validation solid.

    Rings are the epochs whose weights were kept. `loss` names what the loss axis shows.
    """
    if not len(table):
        return empty("No training of these cells has ended yet.", dark=dark)
    strategies, fractions = list(dict.fromkeys(table["strategy"])), list(dict.fromkeys(table["fraction"]))
    kinds = [LOSS, DICE] if show == "loss and Dice" else [show]
    panels = [(fraction, kind) for fraction in fractions for kind in kinds]
    heights = [PANEL_HEIGHT[kind] for _, kind in panels]
    figure = make_subplots(
        rows=len(panels), cols=len(strategies), shared_xaxes="all", shared_yaxes=False,
        row_heights=heights, horizontal_spacing=0.012, vertical_spacing=22 / (sum(heights) + 22 * len(heights)),
        column_titles=[_wrapped(name) for name in strategies],
    )  # fmt: skip
    figure.update_layout(
        layout(dark=dark, height=sum(heights) + 22 * len(heights) + 90, margin={"l": 62, "r": 8, "t": 44, "b": 46})
    )
    figure.update_annotations(font={"size": 12, "color": INK[dark]})
    several = table["seed"].nunique() > 1
    traces: list[go.Scatter] = []
    places: list[tuple[int, int]] = []
    for (fraction, strategy), part in parts(table, ["fraction", "strategy"]):
        for kind in kinds:
            place = panels.index((fraction, kind)) + 1, strategies.index(strategy) + 1
            panel = _panel(part, kind, several=several, dark=dark)
            traces += panel
            places += [place] * len(panel)
            if (text := endings(part)) and kind == kinds[0]:
                _tell(figure, text, place, above=kind == LOSS, dark=dark)
    # All at once: one by one, hundreds of curves take seconds.
    figure.add_traces(traces, rows=[row for row, _ in places], cols=[column for _, column in places])
    _axes(figure, panels, loss_range(table), loss, dark=dark)
    figure.update_xaxes(range=[0.5, int(table["epoch"].max()) + 0.5])
    return figure


def _panel(part: pd.DataFrame, kind: str, *, several: bool, dark: bool) -> list[go.Scatter]:
    """The curves of one cell, and a mark on the epochs whose weights were kept."""
    traces = []
    for (fold, seed), own in parts(part, ["fold", "seed"]):
        colour, name = FOLDS[int(fold) % len(FOLDS)], f"fold {fold}" + (f", seed {seed}" if several else "")
        curves = {"training_loss": "3px,3px", "validation_loss": "solid"} if kind == LOSS else {DICE: "solid"}
        for column, dash in curves.items():
            said = column.replace("_", " ")
            traces.append(
                go.Scatter(
                    x=own["epoch"], y=own[column.replace(" D", "_d")], mode="lines", name=f"{name}, {said}",
                    line={"color": colour, "width": 1.2 if dash != "solid" else 1.7, "dash": dash},
                    hovertemplate=f"{name}, epoch %{{x}}<br>{said} %{{y:.4f}}<extra></extra>",
                )
            )  # fmt: skip
    best = part[part["best"]]
    kept = go.Scatter(
        x=best["epoch"], y=best["validation_loss" if kind == LOSS else "validation_dice"], mode="markers",
        name="best epoch", customdata=best[["fold", "validation_dice"]],
        marker={
            "size": 8, "color": [FOLDS[int(fold) % len(FOLDS)] for fold in best["fold"]],
            "line": {"width": 1.5, "color": INK[dark]},
        },
        hovertemplate="fold %{customdata[0]}<br>kept: epoch %{x}<br>validation Dice %{customdata[1]:.3f}"
        "<extra></extra>",
    )  # fmt: skip
    return [*traces, kept]


def _tell(figure: go.Figure, text: str, place: tuple[int, int], *, above: bool, dark: bool) -> None:
    """Words in the corner of a panel that its curves leave free."""
    axis = next(figure.select_yaxes(row=place[0], col=place[1]))._plotly_name.removeprefix("yaxis")
    figure.add_annotation(
        text=text, showarrow=False, xref=f"x{axis} domain", yref=f"y{axis} domain", x=1, y=1 if above else 0,
        xanchor="right", yanchor="top" if above else "bottom", align="right", font={"size": 11, "color": FAINT[dark]},
    )  # fmt: skip


def _axes(
    figure: go.Figure,
    panels: list[tuple[float, str]],
    losses: tuple[float, float, int],
    loss: str,
    *,
    dark: bool,
) -> None:
    """Shared axes: named with their units on the left and below, without numbers inside."""
    title = {"font": {"size": 12, "color": FAINT[dark]}}
    plain = {"gridcolor": GRID[dark], "zeroline": False, "fixedrange": True}
    figure.update_xaxes(showgrid=False, linecolor=GRID[dark], showline=True, nticks=4, showticklabels=False, **plain)
    figure.update_xaxes(title={"text": "epoch", **title, "standoff": 4}, showticklabels=True, row=len(panels))
    for row, (fraction, kind) in enumerate(panels, start=1):
        ends = [losses[0], losses[1]] if kind == LOSS else [0, 1.02]
        figure.update_yaxes(range=ends, nticks=4, showticklabels=False, row=row, **plain)
        text = f"<b>{fraction:g} %</b><br>{loss if kind == LOSS else DICE}"
        figure.update_yaxes(title={"text": text, **title, "standoff": 6}, showticklabels=True, row=row, col=1)


def fold_key(folds: list[int]) -> str:
    """The colours of the folds, in HTML."""
    return " &nbsp; ".join(f"{_line('solid', FOLDS[fold % len(FOLDS)])} fold {fold}" for fold in folds)


def key(folds: list[int]) -> str:
    """What lines and colours mean, in HTML."""
    lines = f"{_line('dashed', 'gray')} training &nbsp; {_line('solid', 'gray')} validation"
    return f"{fold_key(folds)} &nbsp;·&nbsp; {lines} &nbsp; ● weights kept"


def _line(style: str, colour: str) -> str:
    look = f"display:inline-block;width:22px;vertical-align:middle;border-top:2px {style} {colour}"
    return f"<span style='{look}'></span>"


def _wrapped(name: str) -> str:
    """The name in two lines where it is long."""
    words, lines = name.split(" "), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > 16:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(lines)
