"""Curves of the trainings that run now: losses on the left, the validation score on the right, a colour for each."""

from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures.curve_sheet import loss_range
from dashboard.figures.palette import FAINT, FOLDS, GRID, empty, layout
from dashboard.figures.rows import parts, rows

HEIGHT = 250
AXES = ("fold", "seed", "repeat", "learning_rate", "start")
"""What tells trainings of one strategy and fraction apart."""


def live_table(curves: pd.DataFrame) -> pd.DataFrame:
    """The epochs of `engine.live_curves` with `name` and `colour` of their training.

    A name says what differs between the trainings. A training keeps its colour while others come and go, unless two
    of them have the same one.
    """
    first = curves.drop_duplicates("id")
    names = dict(zip(first["id"], _names(first), strict=True))
    colours = _colours([str(one) for one in first["id"]])
    return curves.assign(name=curves["id"].map(names), colour=curves["id"].map(colours))


def _names(trials: pd.DataFrame) -> list[str]:
    words = {
        "fold": "fold {}", "seed": "seed {}", "repeat": "repeat {}", "learning_rate": "rate {:g}", "start": "from {}",
    }  # fmt: skip
    differ = [name for name in AXES if trials[name].nunique() > 1 or name == "fold"]
    return [
        ", ".join([f"{row['strategy']}, {row['fraction']:g} %", *(words[name].format(row[name]) for name in differ)])
        for row in trials.to_dict(orient="records")
    ]


def _colours(ids: list[str]) -> dict[str, str]:
    """By the first letters of the id; the next free one where another training has it."""
    taken: dict[int, str] = {}
    found = {}
    for one in sorted(ids):
        place = int(one[:6], 16) % len(FOLDS)
        while place in taken and len(taken) < len(FOLDS):
            place = (place + 1) % len(FOLDS)
        taken.setdefault(place, one)
        found[one] = FOLDS[place]
    return found


def live_key(table: pd.DataFrame) -> str:
    """Which colour is which training, and which line which loss, in HTML."""
    first = table.drop_duplicates("id")
    lines = [("solid", str(row.colour), str(row.name)) for row in rows(first)]
    return " &nbsp; ".join(
        f"<span style='white-space:nowrap;font-size:0.9rem'><span style='display:inline-block;width:22px;"
        f"vertical-align:middle;border-top:2px {style} {colour}'></span> {escape(name)}</span>"
        for style, colour, name in [*lines, ("dashed", "gray", "training"), ("solid", "gray", "validation")]
    )


def live(table: pd.DataFrame, *, measure: str = "Dice", loss: str = "loss", dark: bool = False) -> go.Figure:
    """Losses (training dashed, validation solid) and the validation `measure` by epoch, a colour per training."""
    if table.empty:
        return empty("No training has finished an epoch yet.", dark=dark, height=HEIGHT)
    figure = make_subplots(1, 2, horizontal_spacing=0.09)
    figure.update_layout(layout(dark=dark, height=HEIGHT, margin={"l": 58, "r": 10, "t": 10, "b": 44}))
    for _, part in parts(table, "id"):
        name, colour = escape(str(part["name"].iloc[0])), part["colour"].iloc[0]
        lines: list[tuple[int, str, str, str]] = [
            (1, "training_loss", "3px,3px", "training loss"),
            (1, "validation_loss", "solid", "validation loss"),
            (2, "validation", "solid", f"validation {measure}"),
        ]
        for column, key, dash, words in lines:
            figure.add_scatter(
                x=part["epoch"], y=part[key], mode="lines+markers" if len(part) == 1 else "lines", row=1, col=column,
                line={"color": colour, "width": 1.8 if dash == "solid" else 1.3, "dash": dash},
                marker={"size": 6, "color": colour},
                hovertemplate=f"{name}<br>epoch %{{x}}: {words} %{{y:.4f}}<extra></extra>",
            )  # fmt: skip
    low, high, _ = loss_range(table)
    look: dict[str, Any] = {"font": {"size": 12, "color": FAINT[dark]}, "standoff": 6}
    plain: dict[str, Any] = {"gridcolor": GRID[dark], "zeroline": False, "fixedrange": True}
    epochs = [int(table["epoch"].min()) - 0.5, max(int(table["epoch"].max()), int(table["epoch"].min()) + 4) + 0.5]
    figure.update_xaxes(**plain, title={"text": "epoch", **look}, range=epochs, showgrid=False, nticks=8)
    figure.update_yaxes(**plain, nticks=5)
    figure.update_yaxes(title={"text": loss, **look}, range=[low, high], row=1, col=1)
    figure.update_yaxes(title={"text": f"validation {measure}", **look}, range=[0, 1.02], row=1, col=2)
    return figure


def standing_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Strategies ranked by validation within each row of Table II, as far as the run has come.

    Columns: dataset, fraction, rank, strategy, folds_done, folds, validation (mean over the folds that are done) and
    test (NaN until all folds are done). Cells without a fold have no rank and come last.
    """
    key = ["dataset", "fraction"]
    table = cells[[*key, "strategy", "folds_done", "folds", "validation", "complete"]].assign(
        test=cells["mean"].where(cells["complete"].astype(bool))
    )
    table["rank"] = table.groupby(key, sort=False)["validation"].rank(ascending=False, method="min")
    order = {
        place: number
        for number, place in enumerate(dict.fromkeys(zip(table["dataset"], table["fraction"], strict=True)))
    }
    table["_row"] = [order[place] for place in zip(table["dataset"], table["fraction"], strict=True)]
    table = table.sort_values(["_row", "rank"], kind="stable", na_position="last")
    columns = [*key, "rank", "strategy", "folds_done", "folds", "validation", "test"]
    return table[columns].astype({"rank": "Int64"}).reset_index(drop=True)
