"""Learning curves of one cell: loss on training and validation images, fold by fold."""

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.palette import FAINT, FOLDS, GRID, INK, empty, layout
from dashboard.figures.rows import parts


def curves_table(epochs: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """A row per epoch of the counted attempts: fold, seed, epoch, losses, validation Dice, and whether it is best."""
    wanted = trials[["id", "number", "fold", "seed", "learning_rate", "best_epoch"]].dropna(subset=["number"])
    table = epochs.merge(wanted.astype({"number": "int64"}), on=["id", "number"])
    table["best"] = table["epoch"] == table["best_epoch"]
    return table.sort_values(["fold", "seed", "epoch"]).reset_index(drop=True)


def curves(table: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """Training dashed, validation solid, a colour per fold, a ring on the epoch whose weights were kept."""
    if not len(table):
        return empty("No training of this cell has ended yet.", dark=dark, height=230)
    figure = go.Figure(layout=layout(dark=dark, height=230, margin={"l": 52, "r": 8, "t": 8, "b": 48}))
    for (fold, seed), part in parts(table, ["fold", "seed"]):
        colour, name = FOLDS[int(fold) % len(FOLDS)], f"fold {int(fold)}"
        name += f", seed {seed}" if table["seed"].nunique() > 1 else ""
        for column, dash in (("training_loss", "4px,3px"), ("validation_loss", "solid")):
            figure.add_scatter(
                x=part["epoch"], y=part[column], mode="lines", name=f"{name}, {column.split('_')[0]}",
                line={"color": colour, "width": 1.5 if column == "training_loss" else 2.2, "dash": dash},
                hovertemplate=f"{name}, {column.split('_')[0]}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
            )  # fmt: skip
        best = part[part["best"]]
        figure.add_scatter(
            x=best["epoch"], y=best["validation_loss"], mode="markers", name=f"{name}, best epoch",
            customdata=best[["validation_dice"]],
            marker={"size": 10, "symbol": "circle", "color": colour, "line": {"width": 2, "color": INK[dark]}},
            hovertemplate=f"{name}<br>kept: epoch %{{x}}<br>validation Dice %{{customdata[0]:.3f}}<extra></extra>",
        )  # fmt: skip
    title = {"font": {"size": 12, "color": FAINT[dark]}}
    figure.update_xaxes(
        title={"text": "epoch (dashed: training, solid: validation, ring: weights kept)", **title},
        gridcolor=GRID[dark], zeroline=False, fixedrange=True, showgrid=False,
    )  # fmt: skip
    figure.update_yaxes(
        title={"text": "binary cross entropy", **title}, gridcolor=GRID[dark], zeroline=False, fixedrange=True,
        rangemode="tozero", nticks=5,
    )  # fmt: skip
    return figure
