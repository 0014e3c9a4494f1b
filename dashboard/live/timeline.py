"""What trained trials say of a clip over time: areas, or probabilities of classes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.palette import FOLDS, FONT
from dashboard.inference.messages import ClipBegun, ClipRow, area_mm2

MOST_POINTS = 2000
"""Frames that a timeline keeps: of longer clips every second, fourth ... one."""
MOST_CLASSES = 5
"""Classes that are drawn: those with the highest probability in any frame."""
QUIET = "#7f8b96"
"""Of words and lines, readable on light and dark ground."""
DASHES = ("solid", "dot")
"""Of the first trial and the second."""


@dataclass(kw_only=True)
class Timeline:
    """The rows of a clip, thinned out as it gets longer, so that they never grow beyond `MOST_POINTS`."""

    begun: ClipBegun
    trials: tuple[str, ...]
    """What the trials are called."""
    rows: list[tuple[ClipRow, ...]] = field(default_factory=list)
    every: int = 1
    """Frames from one kept row to the next."""

    def add(self, rows: Sequence[tuple[ClipRow, ...]]) -> None:
        """Take in the next frames' rows."""
        self.rows += [row for row in rows if (row[0].frame - 1) % self.every == 0]
        while len(self.rows) > MOST_POINTS:
            self.every *= 2
            self.rows = [row for row in self.rows if (row[0].frame - 1) % self.every == 0]


def timeline_table(kept: Timeline) -> pd.DataFrame:
    """A row per kept frame, trial and structure (or class): `at`, `frame`, `trial`, `name`, `value`.

    `at` is in seconds, or the frame's number where the file says no time. `value` is an area in mm2, in pixels where
    the size of a pixel is unknown, or a probability.
    """
    clip = kept.begun.kept
    first, step = _axis(kept)
    rows = []
    for frame in kept.rows:
        at = first + (frame[0].frame - 1) * step
        for place, row in enumerate(frame):
            for name, value in zip(kept.begun.names[place], row.values, strict=True):
                size = None if kept.begun.classifies[place] else area_mm2(clip, value)
                rows.append((at, row.frame, place, name, value if size is None else size))
    return pd.DataFrame(rows, columns=["at", "frame", "trial", "name", "value"])


def timeline(kept: Timeline, table: pd.DataFrame, *, frames: int | None = None) -> go.Figure:
    """Lines over time: a colour per structure or class, dotted of the second trial; probabilities share an axis.

    `frames` is how many the drawn clip has, once it can be played: the figure then has a marker at the first one, and
    in its `meta` what `dashboard.live.player` moves it by.
    """
    figure = go.Figure(layout=_layout(kept))
    if frames is not None:
        first, step = _axis(kept)
        figure.update_layout(meta={"first": first, "step": step})
        figure.add_vline(first, line={"color": QUIET, "width": 2})
        if frames > 1:
            figure.update_xaxes(range=[first, first + step * (frames - 1)])
    several = len(kept.trials) > 1
    mixed = len(set(kept.begun.classifies)) > 1
    for place, trial in enumerate(kept.trials):
        classifies = kept.begun.classifies[place]
        own = table[table["trial"] == place]
        names = list(kept.begun.names[place])
        if classifies and len(names) > MOST_CLASSES:
            peaks = own.groupby("name", sort=False)["value"].max().nlargest(MOST_CLASSES)
            names = [name for name in names if name in peaks.index]
        for number, name in enumerate(names):
            line = own[own["name"] == name]
            figure.add_scatter(
                x=line["at"],
                y=line["value"],
                customdata=line["frame"],
                name=(f"{name} · {trial}" if len(names) > 1 else trial) if several else name,
                mode="lines" if len(line) > 1 else "markers",
                line={"color": FOLDS[number % len(FOLDS)], "dash": DASHES[place % 2], "width": 2},
                yaxis="y2" if mixed and classifies else "y",
                hovertemplate=f"frame %{{customdata}}: %{{y:{'.1%' if classifies else ',.5~g'}}}<extra>{name}</extra>",
            )
    return figure


def _axis(kept: Timeline) -> tuple[float, float]:
    """Where the first frame stands on the axis of time, and how far each one is from the next."""
    frame_ms = kept.begun.kept.frame_ms
    return (1.0, 1.0) if frame_ms is None else (0.0, frame_ms / 1000)


def _layout(kept: Timeline) -> go.Layout:
    clip = kept.begun.kept
    area = f"area ({'pixels' if clip.spacing_mm is None else 'mm²'})"
    classes = {"title": "probability", "range": [0, 1.02], "tickformat": ".0%", "gridcolor": "rgba(127,139,150,.25)"}
    areas = {"title": area, "rangemode": "tozero", "gridcolor": "rgba(127,139,150,.25)"}
    only_classes = all(kept.begun.classifies)
    return go.Layout(
        height=260,
        margin={"l": 60, "r": 20, "t": 10, "b": 44},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "color": QUIET, "size": 13},
        hovermode="x",
        hoverdistance=-1,  # a click anywhere is one on the nearest frame
        showlegend=len(kept.trials) > 1 or len(kept.begun.names[0]) > 1,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        xaxis={"title": "frame" if clip.frame_ms is None else "seconds", "gridcolor": "rgba(127,139,150,.25)"},
        yaxis=classes if only_classes else areas,
        yaxis2={**classes, "overlaying": "y", "side": "right", "showgrid": False},
    )
