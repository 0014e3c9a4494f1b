"""What adapting costs: Dice or accuracy on the new images against what is left on the start weights' own images."""

from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.accuracy import network_colours
from dashboard.figures.labels import Obstacle, labels
from dashboard.figures.palette import FAINT, GRID, INK, empty, layout
from dashboard.figures.readers import NETWORK, OUT_OF_THE_BOX
from dashboard.figures.rows import rows
from engine.trial import AS_PRETRAINED

HEIGHT = 400
AS_THEY_ARE = (OUT_OF_THE_BOX, AS_PRETRAINED)
"""Names of start weights that learned nothing of the new images."""
OWN = "the start weights' own images"
COLUMNS = ["name", "network", "strategy", "fraction", "value", "low", "high", "kept", "images", "folds"]


def kept_of_readers(measures: pd.DataFrame) -> pd.DataFrame:
    """A row per network reader whose accuracy on the start weights' own held-out images was measured.

    Takes rows as `accuracy.measures_table` gives them. Columns: name, network, strategy, fraction, value (accuracy on
    the test images) with its 95 % interval (low, high), kept (on the start weights' images, mean over folds), images,
    folds.
    """
    known = measures[(measures["kind"] == NETWORK) & measures["kept_accuracy"].notna() & measures["accuracy"].notna()]
    names = {"reader": "name", "accuracy": "value", "kept_accuracy": "kept"}
    return known.rename(columns=names)[COLUMNS].reset_index(drop=True)


def kept_of_cells(cells: pd.DataFrame, pretrained: pd.DataFrame) -> pd.DataFrame:
    """A row per complete cell of our own whose Dice on the start weights' held-out images was measured.

    Columns as `kept_of_readers`, with `images` missing; `pretrained` are the start weights as they are, as
    `cells.pretrained_table` has them: those that these cells began from come first.
    """
    ours = cells[(cells["source"] == "ours") & cells["complete"].astype(bool)]
    starts = set(ours["start"]) - {""}
    as_is = pretrained[pretrained["complete"].astype(bool) & pretrained["start"].isin(starts)]
    names = as_is["start"] if len(starts) > 1 else AS_PRETRAINED
    as_is = as_is.assign(name=names, strategy=AS_PRETRAINED, network="", fraction=0.0)
    ours = ours.assign(name=ours["strategy"])
    both = [part.reindex(columns=[*COLUMNS, "mean"]) for part in (as_is, ours) if len(part)]
    table = pd.concat(both, ignore_index=True) if both else pd.DataFrame(columns=[*COLUMNS, "mean"])
    numbers = ("fraction", "mean", "low", "high", "kept", "images", "folds")
    table = table.astype(dict.fromkeys(numbers, float)).assign(value=lambda found: found["mean"])
    return table[table["kept"].notna() & table["value"].notna()][COLUMNS].reset_index(drop=True)


def kept_task(table: pd.DataFrame, *, measure: str = "Dice", start: str = OWN, dark: bool = False) -> go.Figure:
    """A named dot per strategy, accuracy in percent; the start weights as they are hollow, with lines through them."""
    if not len(table):
        what = "the same classes" if measure == "accuracy" else "their own task"
        text = f"Not measured: needs complete cells, and start weights with held-out images of {what}."
        return empty(text, dark=dark, height=180)
    scale, unit = (100.0, " (%)") if measure == "accuracy" else (1.0, "")
    figure = go.Figure(layout=layout(dark=dark, height=HEIGHT, hovermode="closest"))
    figure.update_layout(margin={"l": 62, "r": 14, "t": 12, "b": 56})
    value, kept = scale * table["value"], scale * table["kept"]
    across, up = _range(value, scale), _range(kept, scale)
    colours = network_colours(table, dark=dark)
    as_they_are = table["strategy"].isin(AS_THEY_ARE)
    points = [(_part(x, across), _part(y, up)) for x, y in zip(value, kept, strict=True)]
    line, lines = {"color": FAINT[dark], "width": 1, "dash": "2px,3px"}, list[Obstacle]()
    for (x, y), at, left, is_plain in zip(points, value, kept, as_they_are, strict=True):
        if is_plain:
            figure.add_vline(x=at, line=line)
            figure.add_hline(y=left, line=line)
            lines += [Obstacle(begin=(x, 0.0), end=(x, 1.0)), Obstacle(begin=(0.0, y), end=(1.0, y))]
    inks = [colours[name] for name in table["network"]]
    figure.add_scatter(
        x=value, y=kept, mode="markers", hovertext=[_told(row, measure, start) for row in rows(table)],
        hovertemplate="%{hovertext}<extra></extra>",
        marker={"size": 11, "color": inks, "line": {"width": 2, "color": inks},
                "symbol": ["circle-open" if one else "circle" for one in as_they_are]},
    )  # fmt: skip
    several, fractions = table["network"].nunique() > 1, table.loc[~as_they_are, "fraction"].nunique() > 1
    names = [_name(row, network=several, fraction=fractions) for row in rows(table)]
    for x, y, name, label in zip(value, kept, names, labels(points, names, lines), strict=True):
        figure.add_annotation(
            x=x, y=y, ax=label.right, ay=-label.up, text=escape(name), xanchor=label.anchor, yanchor="middle",
            showarrow=True, arrowhead=0, arrowwidth=1, standoff=7, borderpad=0,
            arrowcolor=FAINT[dark] if label.far else "rgba(0,0,0,0)", font={"size": 13, "color": INK[dark]},
        )  # fmt: skip
    plain = {"gridcolor": GRID[dark], "zeroline": False, "fixedrange": True, "nticks": 7}
    figure.update_xaxes(
        range=across, title={"text": f"{measure} on the test images{unit}", "font": {"size": 13}}, **plain
    )
    text = f"{measure} left on {escape(start)}{unit}"
    figure.update_yaxes(range=up, title={"text": text, "font": {"size": 13}}, **plain)
    return figure


def start_named(names: Iterable[str]) -> str:
    """Whose held-out images they are: of the only start weights that have a name, or of several."""
    known = set(names) - {""}
    return next(iter(known)) if len(known) == 1 else OWN


def kept_note(measure: str = "Dice", start: str = OWN) -> str:
    """What the dots are."""
    held_out = "the start weights' own held-out images" if start == OWN else f"held-out images of {start}"
    return (
        f"{measure[:1].upper()}{measure[1:]} on {held_out} after fine-tuning, mean over folds, against that on test "
        "images; hollow: start weights as they are."
    )


def _name(row: Any, *, network: bool, fraction: bool) -> str:
    if row.strategy == AS_PRETRAINED:
        return str(row.name)
    parts = [str(row.strategy), *([str(row.network)] if network else [])]
    return ", ".join([*parts, *([f"{row.fraction:g} %"] if fraction and row.strategy != OUT_OF_THE_BOX else [])])


def _range(values: pd.Series, scale: float) -> list[float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = max((high - low) * 0.15, 0.02 * scale)
    return [max(low - room, -0.02 * scale), min(high + room, 1.009 * scale)]


def _part(value: float, ends: list[float]) -> float:
    return (value - ends[0]) / (ends[1] - ends[0])


def _told(row: Any, measure: str, start: str) -> str:
    def written(value: float) -> str:
        return f"{100 * value:.1f} %" if measure == "accuracy" else f"{value:.3f}"

    many = "the" if np.isnan(row.images) else f"{row.images:,.0f}"
    lines = [f"<b>{escape(str(row.name))}</b>", f"{measure} {written(row.value)} on {many} test images"]
    if not np.isnan(row.low):
        lines.append(f"95 % interval {written(row.low)} to {written(row.high)}")
    folds = f"{row.folds:.0f} fold{'s' if row.folds > 1 else ''}"
    return "<br>".join([*lines, f"{written(row.kept)} left on {escape(start)}, mean over {folds}"])
