"""Learning curves of many cells as small multiples: loss and validation score, strategies across, fractions down."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.curves import SEED, Line, one_line, with_validation
from dashboard.figures.palette import FAINT, GRID, INK, SIGNS, empty, fold_look, layout
from dashboard.figures.rows import parts

LOSS, SCORE = "loss", "validation"
TESTS = {LOSS: "test_loss", SCORE: "test_accuracy"}
"""Drawn where iterations are fixed; they choose nothing."""
TESTED = "test"
"""What the scores are of where no image validates."""
PANEL_HEIGHT = {LOSS: 150, SCORE: 120}
PANEL_WIDTH = 150
"""Pixels, at least."""
GAP, BETWEEN = 22, 0.012
"""Between two rows, in pixels, and between two columns, as a part of the width."""
CUT_ABOVE = 4.0
"""Losses above this many times the 90th percentile are left outside the axis, so that one bad start hides nothing."""
COLUMNS = ["id", "strategy", "fraction", "fold", "seed", "state", "cut_at", "best_epoch"]


def curve_sheet_table(epochs: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """A row per epoch of the counted attempts: cell, fold, seed, losses, `validation` (Dice or accuracy), and `best`.

    In the order of `trials`; `cut_at` is the epoch of a cap below 200, missing where the training stopped by itself.
    """
    counted = trials.dropna(subset=["number"])[[*COLUMNS, "number"]].astype({"number": "int64"})
    order = {value: place for place, value in enumerate(dict.fromkeys(counted["strategy"]))}
    table = with_validation(epochs).merge(counted, on=["id", "number"])
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
    drawn = [name for name in ("training_loss", "validation_loss", TESTS[LOSS]) if name in table]
    losses = table[drawn].dropna(axis="columns", how="all").to_numpy(dtype=np.float64)
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return 0.0, 1.0, 0
    top = min(float(finite.max()), CUT_ABOVE * float(np.quantile(finite, 0.9)))
    return 0.0, top * 1.05, int((~(losses <= top * 1.05)).any(axis=1).sum())


def scored(epochs: pd.DataFrame) -> str:
    """What the scores of a sheet are of: validation images, or `TESTED` where the test curve alone is there."""
    known = with_validation(epochs)
    return TESTED if known[SCORE].isna().all() and has_test(epochs) else SCORE


def has_test(epochs: pd.DataFrame, kind: str = SCORE) -> bool:
    """Whether there is a curve of test images; older stores have none of their loss."""
    return TESTS[kind] in epochs and bool(epochs[TESTS[kind]].notna().any())


def shows(measure: str = "Dice", score: str = SCORE) -> list[str]:
    """What a sheet can show: losses with scores, or one of them; `score` is what `scored` says."""
    return [f"{LOSS} and {measure}", LOSS, f"{score} {measure}"]


def curve_sheet(
    table: pd.DataFrame,
    *,
    show: str = "loss and Dice",
    measure: str = "Dice",
    loss: str = "binary cross entropy",
    dark: bool = False,
) -> go.Figure:
    """A panel per strategy and fraction with shared axes: a colour per fold, training dashed, validation solid.

    Scores of test images are dotted, alone where no image validates. `show` is one of `shows`. Marks, a symbol
    per fold, are the epochs whose weights were kept. `loss` names what the loss axis shows.
    """
    if not len(table):
        return empty("No training of these cells has ended yet.", dark=dark)
    strategies, fractions = list(dict.fromkeys(table["strategy"])), list(dict.fromkeys(table["fraction"]))
    both = shows(measure, scored(table))
    kinds = [LOSS, SCORE] if show == both[0] else [LOSS if show == LOSS else SCORE]
    panels = [(fraction, kind) for fraction in fractions for kind in kinds]
    axes = _axes(panels, len(strategies), table, {LOSS: loss, SCORE: both[2]}, dark=dark)
    traces: list[dict[str, Any]] = []
    notes = [_title(name, axes[f"xaxis{_number(place)}"], dark=dark) for place, name in enumerate(strategies)]
    several = table["seed"].nunique() > 1
    columns = ["training_loss", "validation_loss", SCORE, *(name for name in TESTS.values() if name in table)]
    for (fraction, strategy), part in parts(table, ["fraction", "strategy"]):
        lines = {int(fold): one_line(own, columns) for fold, own in parts(part, "fold")}
        for kind in kinds:
            number = _number(panels.index((fraction, kind)) * len(strategies) + strategies.index(strategy))
            at = {"type": "scatter", "xaxis": f"x{number}", "yaxis": f"y{number}"}
            traces += [{**at, **drawn} for drawn in _panel(part, lines, kind, measure, several=several, dark=dark)]
            if kind == kinds[0] and (text := endings(part)):
                notes.append(_ending(text, number, above=kind == LOSS, dark=dark))
    # A dictionary made into a figure at once: hundreds of curves and axes, one by one, take seconds.
    height, margin = sum(PANEL_HEIGHT[kind] + GAP for _, kind in panels) + 90, {"l": 62, "r": 8, "t": 44, "b": 46}
    return go.Figure(data=traces, layout={**layout(dark=dark, height=height, margin=margin, annotations=notes), **axes})


def _number(place: int) -> str:
    """What the axes of a panel are called behind their letter: "", 2, 3, ..., row by row."""
    return str(place + 1) if place else ""


def _panel(
    part: pd.DataFrame, lines: Mapping[int, Line], kind: str, measure: str, *, several: bool, dark: bool
) -> list[dict[str, Any]]:
    """The curves of one cell, and a mark on the epochs whose weights were kept."""
    curves = {"training_loss": "3px,3px", "validation_loss": "solid"} if kind == LOSS else {SCORE: "solid"}
    curves = {column: dash for column, dash in curves.items() if part[column].notna().any()}
    if has_test(part, kind):
        curves[TESTS[kind]] = "1px,3px"
    traces: list[dict[str, Any]] = []
    for fold, line in lines.items():
        colour, _ = fold_look(fold)
        for column, dash in curves.items():
            said = f"{SCORE} {measure}" if column == SCORE else column.replace("_", " ")
            traces.append(
                {
                    "x": line.epoch, "y": line.values[column], "mode": "lines", "name": f"fold {fold}, {said}",
                    "line": {"color": colour, "width": 1.2 if dash != "solid" else 1.7, "dash": dash},
                    "hovertemplate": f"fold {fold}{SEED * several}, epoch %{{x}}<br>{said} %{{y:.4f}}<extra></extra>",
                    **({"customdata": line.seed} if several else {}),
                }
            )  # fmt: skip
    best = part[part["best"]]
    looks = [fold_look(int(fold)) for fold in best["fold"]]
    kept = {
        "x": best["epoch"], "y": best["validation_loss" if kind == LOSS else SCORE], "mode": "markers",
        "name": "best epoch", "customdata": best[["fold", SCORE, "seed"]],
        "marker": {
            "size": 8, "color": [colour for colour, _ in looks], "symbol": [symbol for _, symbol in looks],
            "line": {"width": 1.5, "color": INK[dark]},
        },
        "hovertemplate": f"fold %{{customdata[0]}}{', seed %{customdata[2]}' * several}<br>kept: epoch %{{x}}<br>"
        f"validation {measure} %{{customdata[1]:.3f}}<extra></extra>",
    }  # fmt: skip
    return [*traces, kept]


def _title(name: str, axis: Mapping[str, Any], *, dark: bool) -> dict[str, Any]:
    """The strategy's name above its column."""
    return {
        "text": _wrapped(name), "showarrow": False, "xref": "paper", "yref": "paper", "x": sum(axis["domain"]) / 2,
        "y": 1.0, "xanchor": "center", "yanchor": "bottom", "font": {"size": 12, "color": INK[dark]},
    }  # fmt: skip


def _ending(text: str, number: str, *, above: bool, dark: bool) -> dict[str, Any]:
    """Words in the corner of a panel that its curves leave free."""
    return {
        "text": text, "showarrow": False, "xref": f"x{number} domain", "yref": f"y{number} domain", "x": 1,
        "y": 1 if above else 0, "xanchor": "right", "yanchor": "top" if above else "bottom", "align": "right",
        "font": {"size": 11, "color": FAINT[dark]},
    }  # fmt: skip


def _axes(
    panels: list[tuple[float, str]], columns: int, table: pd.DataFrame, names: Mapping[str, str], *, dark: bool
) -> dict[str, dict[str, Any]]:
    """Axes of every panel, row by row from the top: named with their units on the left and below, alike in all."""
    words = {"font": {"size": 12, "color": FAINT[dark]}}
    plain = {"gridcolor": GRID[dark], "zeroline": False, "fixedrange": True, "nticks": 4}
    heights = [PANEL_HEIGHT[kind] for _, kind in panels]
    whole, width = sum(heights) + GAP * (len(panels) - 1), (1 - BETWEEN * (columns - 1)) / columns
    ends = {LOSS: [*loss_range(table)[:2]], SCORE: [0, 1.02]}
    epochs = [0.5, int(table["epoch"].max()) + 0.5]
    axes: dict[str, dict[str, Any]] = {}
    for row, (fraction, kind) in enumerate(panels):
        top, lowest = 1 - (sum(heights[:row]) + GAP * row) / whole, row == len(panels) - 1
        for column in range(columns):
            number, left = _number(row * columns + column), column * (width + BETWEEN)
            axes[f"xaxis{number}"] = {
                **plain, "anchor": f"y{number}", "domain": [left, min(left + width, 1.0)], "range": epochs,
                "showgrid": False, "linecolor": GRID[dark], "showline": True, "showticklabels": lowest,
                **({"matches": "x"} if number else {}),
                **({"title": {"text": "epoch", "standoff": 4, **words}} if lowest else {}),
            }  # fmt: skip
            axes[f"yaxis{number}"] = {
                **plain, "anchor": f"x{number}", "domain": [max(top - heights[row] / whole, 0.0), top],
                "range": ends[kind], "showticklabels": column == 0,
            }  # fmt: skip
        title = f"<b>{fraction:g} %</b><br>{names[kind]}"
        axes[f"yaxis{_number(row * columns)}"]["title"] = {"text": title, "standoff": 6, **words}
    return axes


def fold_key(folds: list[int]) -> str:
    """The colours and symbols of the folds, in HTML."""
    looks = {fold: fold_look(fold) for fold in folds}
    return " &nbsp; ".join(
        f"{_line('solid', colour)}<span style='color:{colour}'>{SIGNS[symbol]}</span> fold {fold}"
        for fold, (colour, symbol) in looks.items()
    )


def key(folds: list[int], score: str = SCORE) -> str:
    """What lines and colours mean, in HTML; `score` is what `scored` says."""
    training, test = f"{_line('dashed', 'gray')} training", f"{_line('dotted', 'gray')} test"
    lines = test if score == TESTED else f"{_line('solid', 'gray')} validation &nbsp; ● weights kept"
    return f"{fold_key(folds)} &nbsp;·&nbsp; {training} &nbsp; {lines}"


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
