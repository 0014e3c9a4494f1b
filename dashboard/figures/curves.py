"""Learning curves of one cell: loss on training and validation images, fold by fold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float, Int

from dashboard.figures.palette import FAINT, GRID, INK, empty, fold_look, layout
from dashboard.figures.rows import parts

SEED = ", seed %{customdata}"
"""In a text on hover, where there are several seeds."""
TRAINED = ("start", "network", "strategy", "fraction", "learning_rate", "fold", "seed")
"""What tells trainings apart, in files of their epochs."""


def curves_table(epochs: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """A row per epoch of the counted attempts: fold, seed, epoch, losses, `validation` (Dice or accuracy), `best`."""
    wanted = trials[["id", "number", "fold", "seed", "learning_rate", "best_epoch"]].dropna(subset=["number"])
    table = with_validation(epochs).merge(wanted.astype({"number": "int64"}), on=["id", "number"])
    table["best"] = table["epoch"] == table["best_epoch"]
    return table.sort_values(["fold", "seed", "epoch"]).reset_index(drop=True)


def tidy_curves(curves: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The epochs as they are written to a file: what was trained in front, a row per epoch, without empty columns.

    `curves` as `curves_table` or `curve_sheet.curve_sheet_table` has them, of the trainings in `trials`; `best` marks
    the epoch whose weights were kept.
    """
    told = trials.drop_duplicates("id")[["id", *(name for name in TRAINED if name in trials)]]
    table = told.merge(curves.drop(columns=list(TRAINED), errors="ignore"), on="id", how="right")
    first = [name for name in (*TRAINED, "epoch", "training_loss", "validation_loss", "validation") if name in table]
    last = [name for name in table if name not in first and name not in ("validation_dice", "validation_accuracy")]
    return table[[name for name in (*first, *last) if not (table[name].isna() | table[name].eq("")).all()]]


def with_validation(epochs: pd.DataFrame) -> pd.DataFrame:
    """The epochs with `validation`: Dice, or accuracy of a classification; missing where nothing validates."""
    known = epochs.reindex(columns=["validation_dice", "validation_accuracy", "validation_loss"]).astype(float)
    validation = known["validation_dice"].fillna(known["validation_accuracy"])
    return epochs.assign(validation=validation, validation_loss=known["validation_loss"])


@dataclass(frozen=True, kw_only=True)
class Line:
    """Trainings one after the other as one line that breaks between them: one for each would take seconds to draw."""

    epoch: Int[np.ndarray, " point"]
    seed: Int[np.ndarray, " point"]
    values: dict[str, Float[np.ndarray, " point"]]
    """By column; NaN where the line breaks."""


def one_line(trainings: pd.DataFrame, columns: Sequence[str]) -> Line:
    """The line of each of `columns`; takes the epochs of each training (`id`) in one piece."""
    owner = trainings["id"].to_numpy(dtype=object)
    begins = np.flatnonzero(owner[1:] != owner[:-1]) + 1
    epoch, seed = (trainings[name].to_numpy(dtype=np.int64) for name in ("epoch", "seed"))
    return Line(
        epoch=np.insert(epoch, begins, epoch[begins]),
        seed=np.insert(seed, begins, seed[begins]),
        values={name: np.insert(trainings[name].to_numpy(dtype=np.float64), begins, np.nan) for name in columns},
    )


def curves(
    table: pd.DataFrame, *, measure: str = "Dice", loss: str = "binary cross entropy", dark: bool = False
) -> go.Figure:
    """Training dashed, validation solid, a colour per fold, its symbol on the epoch whose weights were kept."""
    if not len(table):
        return empty("No training of this cell has ended yet.", dark=dark, height=230)
    figure = go.Figure(layout=layout(dark=dark, height=230, margin={"l": 52, "r": 8, "t": 8, "b": 48}))
    several = table["seed"].nunique() > 1
    for fold, part in parts(table, "fold"):
        (colour, symbol), name = fold_look(int(fold)), f"fold {int(fold)}"
        said = name + SEED * several
        dashes = {"training_loss": "4px,3px", "validation_loss": "solid"}
        line = one_line(part, list(dashes))
        for column, dash in dashes.items():
            figure.add_scatter(
                x=line.epoch, y=line.values[column], mode="lines", name=f"{name}, {column.split('_')[0]}",
                customdata=line.seed if several else None,
                line={"color": colour, "width": 1.5 if column == "training_loss" else 2.2, "dash": dash},
                hovertemplate=f"{said}, {column.split('_')[0]}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
            )  # fmt: skip
        best = part[part["best"]]
        figure.add_scatter(
            x=best["epoch"], y=best["validation_loss"], mode="markers", name=f"{name}, best epoch",
            customdata=best["seed"] if several else None, text=[f"{value:.3f}" for value in best["validation"]],
            marker={"size": 10, "symbol": symbol, "color": colour, "line": {"width": 2, "color": INK[dark]}},
            hovertemplate=f"{said}<br>kept: epoch %{{x}}<br>validation {measure} %{{text}}<extra></extra>",
        )  # fmt: skip
    title = {"font": {"size": 12, "color": FAINT[dark]}}
    figure.update_xaxes(
        title={"text": "epoch (dashed: training, solid: validation, mark: weights kept)", **title},
        gridcolor=GRID[dark], zeroline=False, fixedrange=True, showgrid=False,
    )  # fmt: skip
    figure.update_yaxes(
        title={"text": loss, **title}, gridcolor=GRID[dark], zeroline=False, fixedrange=True,
        rangemode="tozero", nticks=5,
    )  # fmt: skip
    return figure
