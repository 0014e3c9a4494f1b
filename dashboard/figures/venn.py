"""Which readers have a frame right, as circles with a count in every region (Cheng and Malhi 2017, Fig. 4).

Markers in the regions can be clicked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import atan2, cos, hypot, pi, sin, sqrt

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.palette import ACCENT, FAINT, INK, empty, layout
from dashboard.figures.rows import rows
from engine.significance import MOST_CIRCLES, Circle, VennLayout, venn_layout

COLOURS = ("#0072b2", "#e69f00", "#cc79a7")
"""Of the circles: blue, orange and purple of Okabe and Ito's palette, apart for every common colour blindness."""
DASHES = ("solid", "dash", "dot")
"""Of the circles' lines, so that they are told apart without colour too."""
SIDE, HEAD, EDGE = 540, 64, 0.16
"""Height and the legend's height in pixels; space around the circles, in their units (together they have area 1)."""
FITS = 0.038
"""Room that a count needs; one of a narrower region stands outside, with a line to it."""
APART = 0.26
"""Angle in radians between counts that stand outside."""
SHORT = 0.035
"""How far the line to a region ends before the count."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a region's count stands."""

    x: float
    y: float
    leads_to: tuple[float, float] | None = None
    """The region's middle, where the count stands outside of it."""
    words: str = ""
    """What stands before the count, of a region that is not drawn."""


def counts(regions: pd.DataFrame) -> dict[tuple[str, ...], int]:
    """Frames by readers that have them right, of the regions of `engine.significance.agreement_regions`."""
    return {tuple(row.right): int(row.images) for row in rows(regions)}


def venn_table(regions: pd.DataFrame, readers: Sequence[str]) -> pd.DataFrame:
    """A row per region: region, images, part (of all frames), wanted, achieved (of the circles' area).

    The last two are NaN outside of the circles and with more readers than circles.
    """
    drawn = pd.DataFrame(columns=["right", "wanted", "achieved"])
    if 0 < len(readers) <= MOST_CIRCLES:
        drawn = venn_layout(counts(regions), readers).regions[["right", "wanted", "achieved"]]
    return regions[["region", "right", "images", "part"]].merge(drawn, on="right", how="left").drop(columns="right")


def note(regions: pd.DataFrame, readers: Sequence[str]) -> str:
    """How far areas are off, which regions are not drawn, and who has no circle."""
    if not 0 < len(readers) <= MOST_CIRCLES:
        return f"Circles show {MOST_CIRCLES} readers at most; the table has every region."
    found = venn_layout(counts(regions), readers)
    told = []
    if found.circles:
        told.append(
            f"Areas are about in proportion to frames: {100 * found.residual:.1f} % of the circles' area lies in a "
            "region that should be smaller."
        )
    if found.not_drawn:
        names = "; ".join(_named(regions, right) for right in found.not_drawn)
        told.append(f"No room in circles for: {names}; counted below them.")
    if found.without_circle:
        told.append(f"Right on no frame, so without a circle: {', '.join(found.without_circle)}.")
    return " ".join([*told, "Click a count for its frames."])


def venn(regions: pd.DataFrame, readers: Sequence[str], *, dark: bool = False, chosen: str | None = None) -> go.Figure:
    """Circles of one to three readers with the number of frames in every region, also outside of all.

    `regions` as `engine.significance.agreement_regions` gives them. A marker's custom data are (region,); that of the
    `chosen` region is framed.
    """
    if not len(regions) or not regions["images"].sum():
        return empty("No frame that all these readers answered.", dark=dark)
    if not 0 < len(readers) <= MOST_CIRCLES:
        return empty(f"Circles show {MOST_CIRCLES} readers at most; the table has every region.", dark=dark)
    found = venn_layout(counts(regions), readers)
    figure = go.Figure(layout=layout(dark=dark, height=SIDE, hovermode="closest", clickmode="event+select"))
    for circle in found.circles:
        _draw(figure, circle, list(readers).index(circle.reader))
    _name(figure, regions, readers)
    left, right, low, high = _frame(found)
    places = _places(found, regions, left, right, low)
    _count(figure, regions, places, _sizes(found, (SIDE - HEAD) / (high - low)), chosen, dark)
    figure.update_layout(
        margin={"l": 6, "r": 6, "t": HEAD, "b": 6}, showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 13}, "itemclick": False,
                "itemdoubleclick": False},
    )  # fmt: skip
    figure.update_xaxes(visible=False, range=[left, right], fixedrange=True)
    figure.update_yaxes(visible=False, range=[low, high], fixedrange=True, scaleanchor="x", scaleratio=1)
    return figure


def _draw(figure: go.Figure, circle: Circle, number: int) -> None:
    box = {
        "type": "circle", "layer": "below", "x0": circle.x - circle.radius, "x1": circle.x + circle.radius,
        "y0": circle.y - circle.radius, "y1": circle.y + circle.radius,
    }  # fmt: skip
    figure.add_shape(**box, fillcolor=COLOURS[number], opacity=0.25, line={"width": 0})
    figure.add_shape(**box, line={"width": 2.5, "color": COLOURS[number], "dash": DASHES[number]})


def _name(figure: go.Figure, regions: pd.DataFrame, readers: Sequence[str]) -> None:
    frames = int(regions["images"].sum())
    for number, name in enumerate(readers):
        right = sum(images for own, images in counts(regions).items() if name in own)
        figure.add_scatter(
            x=[None], y=[None], mode="lines", hoverinfo="skip",
            line={"width": 3, "color": COLOURS[number], "dash": DASHES[number]},
            name=f"{escape(name)}: {right:,} right ({100 * right / frames:.1f} %)",
        )  # fmt: skip


def _frame(found: VennLayout) -> tuple[float, float, float, float]:
    """Left, right, lower and upper end of what is drawn."""
    circles = found.circles or (Circle(reader="", x=0.0, y=0.0, radius=0.3),)
    below = EDGE + 0.1 * (1 + len(found.not_drawn))
    return (
        min(circle.x - circle.radius for circle in circles) - EDGE,
        max(circle.x + circle.radius for circle in circles) + EDGE,
        min(circle.y - circle.radius for circle in circles) - below,
        max(circle.y + circle.radius for circle in circles) + EDGE,
    )


def _places(found: VennLayout, regions: pd.DataFrame, left: float, right: float, low: float) -> dict[str, Place]:
    """Where each region's count stands; an empty region without room has none."""
    places = {}
    narrow: dict[str, tuple[float, float]] = {}
    known = {row.right: row for row in rows(found.regions)}
    bottom = low + 0.06
    for row in rows(regions):
        middle = known.get(row.right)
        if middle is not None and middle.room >= FITS:
            places[row.region] = Place(x=middle.x, y=middle.y)
        elif middle is not None and middle.room > 0 and row.images:
            narrow[row.region] = (middle.x, middle.y)
        elif not row.right:
            places[row.region] = Place(x=(left + right) / 2, y=bottom, words="right for nobody: ")
        elif row.images:
            number = found.not_drawn.index(row.right) + 1
            words = f"right for {row.region}: "
            places[row.region] = Place(x=(left + right) / 2, y=bottom + 0.1 * number, words=words)
    return places | _outside(found.circles, narrow)


def _outside(circles: Sequence[Circle], narrow: Mapping[str, tuple[float, float]]) -> dict[str, Place]:
    """Counts of narrow regions around the circles, apart from each other."""
    if not narrow:
        return {}
    x, y = (float(np.mean([getattr(circle, axis) for circle in circles])) for axis in "xy")
    angles = {region: atan2(middle[1] - y, middle[0] - x) for region, middle in narrow.items()}
    order = sorted(angles, key=angles.__getitem__)
    for _ in range(len(order)):
        for one, other in pairwise(order):
            lacking = APART - (angles[other] - angles[one])
            if lacking > 0:
                angles[one], angles[other] = angles[one] - lacking / 2, angles[other] + lacking / 2
    if len(order) > 1 and (lacking := APART - (angles[order[0]] + 2 * pi - angles[order[-1]])) > 0:
        angles[order[0]] += lacking
    places = {}
    for region, middle in narrow.items():
        across, up = cos(angles[region]), sin(angles[region])
        far = max(_leaves(circle, x, y, across, up) for circle in circles) + 0.08
        places[region] = Place(x=x + far * across, y=y + far * up, leads_to=middle)
    return places


def _leaves(circle: Circle, x: float, y: float, across: float, up: float) -> float:
    """How far a ray from (x, y) runs until it is out of the circle; 0 where it does not meet it."""
    along = across * (circle.x - x) + up * (circle.y - y)
    aside = across * (circle.y - y) - up * (circle.x - x)
    return along + sqrt(circle.radius**2 - aside**2) if abs(aside) < circle.radius else 0.0


def _sizes(found: VennLayout, pixels: float) -> dict[tuple[str, ...], float]:
    """Pixels across of each region's marker."""
    return {row.right: float(np.clip(2 * row.room * pixels, 30, 90)) for row in rows(found.regions)}


def _count(
    figure: go.Figure,
    regions: pd.DataFrame,
    places: Mapping[str, Place],
    sizes: Mapping[tuple[str, ...], float],
    chosen: str | None,
    dark: bool,
) -> None:
    for place in places.values():
        if place.leads_to is not None:
            (x, y), short = place.leads_to, 1 - SHORT / hypot(place.x - place.leads_to[0], place.y - place.leads_to[1])
            figure.add_shape(
                type="line", x0=x, y0=y, x1=x + short * (place.x - x), y1=y + short * (place.y - y),
                line={"width": 1, "color": FAINT[dark]},
            )  # fmt: skip
    shown = [row for row in rows(regions) if row.region in places]
    size = [40 if places[row.region].leads_to or places[row.region].words else sizes[row.right] for row in shown]
    framed = [row.region == chosen for row in shown]
    for row, each in zip(shown, framed, strict=True):
        place = places[row.region]
        if place.leads_to is not None or place.words:
            figure.add_annotation(
                x=place.x, y=place.y, text=f"{escape(place.words)}<b>{row.images:,}</b>", showarrow=False,
                font={"size": 14, "color": INK[dark]}, bordercolor=ACCENT[dark], borderwidth=2.5 if each else 0,
            )  # fmt: skip
    inside = [not (places[row.region].leads_to or places[row.region].words) for row in shown]
    figure.add_scatter(
        x=[places[row.region].x for row in shown], y=[places[row.region].y for row in shown], mode="markers+text",
        text=[f"<b>{row.images:,}</b>" if within else "" for row, within in zip(shown, inside, strict=True)],
        textfont={"size": 15, "color": INK[dark]}, textposition="middle center", showlegend=False,
        marker={"size": size, "color": "rgba(0,0,0,0)",
                "line": {"width": [3 if each and within else 0 for each, within in zip(framed, inside, strict=True)],
                         "color": ACCENT[dark]}},
        customdata=[[row.region] for row in shown], name="regions",
        hovertext=[f"<b>right for {escape(row.region)}</b><br>{row.images:,} frames, {100 * row.part:.1f} % of all"
                   for row in shown],
        hovertemplate="%{hovertext}<extra></extra>",
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def _named(regions: pd.DataFrame, right: tuple[str, ...]) -> str:
    return next(str(row.region) for row in rows(regions) if row.right == right)
