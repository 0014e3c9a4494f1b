"""The map of an embedding: images as points or pictures, coloured by class, scanner, answer or set of the fold."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy.linalg import orthogonal_procrustes

from dashboard.figures.palette import ACCENT, FAINT, GRID, INK, PLAIN, SCALES, empty, layout
from dashboard.figures.rows import rows
from engine.embeddings import PARTS, EmbeddingMap

COLOUR_BY = {"class": "label", "right or wrong": "answer", "scanner": "scanner", "set": "part"}
"""What points can be coloured by -> column."""
RIGHT, WRONG, UNTESTED = "right", "wrong", "not tested"
NAMELESS = "not named"
HUES = ("#1591b5", "#dd7f35", "#6a58b8", "#3f8f4f", "#b8456b", "#c9a227", "#4b6a9b", "#a0522d", "#63b7a5", "#9a7fb8",
        "#77804a")  # fmt: skip
"""Colours of classes; with the marks, classes stay apart for every common colour blindness."""
MARKS = ("circle", "diamond", "square", "cross", "triangle-up", "x", "star", "triangle-down", "pentagon")
FIXED = {RIGHT: ("#1591b5", "circle"), WRONG: ("#dd7f35", "x"), UNTESTED: ("#9aa7b4", "circle")}
MANY = 4000
"""Points above which they are drawn smaller and clearer."""
ACROSS = 15
"""Pictures that fit beside each other on a map; where they would overlap, one stands for its neighbours."""
HEIGHT = 600


class Look(NamedTuple):
    """How the points of a value are drawn."""

    colour: str
    mark: str


def map_table(found: EmbeddingMap, frames: pd.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """A row per point: x, y, index, image, label, group, scanner, part, predicted, probability, answer.

    `frames` is the data set's table; `tested` has what the trial said of test images (index, predicted, accuracy,
    probabilities). `answer` says whether that was right; of images that were not tested it says so.
    """
    table = frames.iloc[found.index][["image", "label", "group", "scanner"]].reset_index(drop=True)
    table = table.assign(
        index=found.index.astype(int),
        x=found.places[:, 0].astype(float),
        y=found.places[:, 1].astype(float),
        part=pd.Series(np.array(PARTS)[found.part], dtype=str),
    )
    said = tested.drop_duplicates("index").set_index("index")
    said = said.assign(
        probability=[np.nan if part is None or not len(part) else float(max(part)) for part in said["probabilities"]]
    )
    table = table.join(said[["predicted", "accuracy", "probability"]], on="index")
    own = table["part"] == "test"
    table["answer"] = np.select(
        [own & (table["accuracy"] == 1), own & (table["accuracy"] == 0)], [RIGHT, WRONG], UNTESTED
    )
    table["predicted"] = table["predicted"].where(table["answer"] != UNTESTED, "").fillna("").astype(str)
    return table.drop(columns="accuracy")


def turned(table: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """The same map turned and mirrored, such that frames of both lie as near to their places in `like` as can be.

    Distances stay: directions have no meaning in such maps. Below three common frames nothing is turned.
    """
    common = table[["index", "x", "y"]].merge(like[["index", "x", "y"]], on="index", suffixes=("", "_like"))
    if len(common) < 3:
        return table
    own, theirs = (common[list(names)].to_numpy(float) for names in (("x", "y"), ("x_like", "y_like")))
    turn, _ = orthogonal_procrustes(own - own.mean(axis=0), theirs - theirs.mean(axis=0))
    places = table[["x", "y"]].to_numpy(float) @ turn
    return table.assign(x=places[:, 0], y=places[:, 1])


def values(tables: Sequence[pd.DataFrame], by: str, classes: Sequence[str]) -> list[str]:
    """The values that points of the maps have, in the order of the legend: of classes the study's order."""
    column = COLOUR_BY[by]
    there = {value or NAMELESS for table in tables for value in table[column].unique()}
    order = {"label": list(classes), "answer": list(FIXED), "part": list(PARTS)}.get(column, [])
    return [*(value for value in order if value in there), *sorted(there - set(order))]


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A colour and a mark for each value."""
    found = {}
    for place, name in enumerate(names):
        colour, mark = FIXED.get(name, (HUES[place % len(HUES)], MARKS[place % len(MARKS)]))
        found[name] = Look(colour=colour, mark=mark)
    return found


def embedding_map(
    table: pd.DataFrame,
    by: str,
    looks_of: Mapping[str, Look],
    *,
    method: str,
    dark: bool = False,
    chosen: Sequence[int] = (),
    pictures: Mapping[int, str] | None = None,
) -> go.Figure:
    """The points of `map_table`, a trace per value; `customdata` is the frame's place in the data set.

    Where frames are `chosen` (by place in the data set) all others are faint. `pictures` are addresses of the frames
    that are drawn as such.
    """
    if not len(table):
        return empty("No image of this set is on the map.", dark=dark, height=HEIGHT)
    many, drawn = len(table) > MANY, pictures or {}
    figure = go.Figure(layout=_layout(method, dark=dark))
    shown = table[COLOUR_BY[by]].replace("", NAMELESS)
    any_chosen = bool(table["index"].isin(list(chosen)).any())
    for name, look in looks_of.items():
        part = table[shown == name]
        if not len(part):
            continue
        framed = part["index"].isin(list(drawn)).to_numpy()
        size = np.where(framed, 1.0, 4.0 if many or drawn else 8.0)
        figure.add_scattergl(
            x=part["x"].to_numpy(np.float32),
            y=part["y"].to_numpy(np.float32),
            mode="markers",
            name=f"{escape(str(name))} ({len(part):,})",
            customdata=part["index"].to_numpy(np.int32),
            text=_hover(part),
            hovertemplate="%{text}<extra></extra>",
            marker={
                "color": look.colour,
                "symbol": look.mark,
                "size": size if drawn else float(size[0]),
                "opacity": 0.6 if many else 0.85,
                "line": {"width": 0},
            },
            selectedpoints=np.flatnonzero(part["index"].isin(list(chosen))) if any_chosen else None,
            unselected={"marker": {"opacity": 0.03 if many else 0.12}},
        )
    _draw_pictures(figure, table, drawn, looks_of, shown)
    return figure


def spread(table: pd.DataFrame) -> list[int]:
    """Frames (places in the data set) that can be drawn as pictures without lying on each other."""
    places, side = table[["x", "y"]].to_numpy(float), _side(table)
    free, found = np.ones(len(places), dtype=bool), []
    for point in range(len(places)):
        if free[point]:
            found.append(int(table["index"].iloc[point]))
            free &= np.abs(places - places[point]).max(axis=1) >= side
    return found


def _side(table: pd.DataFrame) -> float:
    """Side of a picture in units of the map."""
    widths = table[["x", "y"]].max() - table[["x", "y"]].min()
    return max(float(widths.max()), 1e-6) / ACROSS


def selection(points: Sequence[Mapping[str, Any]]) -> list[int]:
    """Frames (places in the data set) of points as a chart reports them, each once."""
    found = (point.get("customdata") for point in points)
    return list(
        dict.fromkeys(int(value[0] if isinstance(value, list) else value) for value in found if value is not None)
    )


def confusion_table(table: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Test frames of `map_table` by true class (rows) and class that was said (columns); classes that occur only."""
    tested = table[table["answer"] != UNTESTED]
    there = set(tested["label"]) | set(tested["predicted"])
    names = [name for name in classes if name in there]
    counts = pd.crosstab(tested["label"], tested["predicted"]).reindex(index=names, columns=names, fill_value=0)
    return counts.rename_axis(index="true class", columns="said")


def confusion(counts: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """The counts of `confusion_table` as a small matrix, right answers on the diagonal."""
    if not len(counts):
        return empty("None of these frames was tested.", dark=dark, height=120)
    names = [str(name) for name in counts.index]
    share = counts.to_numpy(float) / np.maximum(counts.to_numpy().sum(axis=1, keepdims=True), 1)
    wrong = ~np.eye(len(names), dtype=bool)
    orange, *_, blue = SCALES["colour-blind safe", dark]
    head = 34 + 7 * max(map(len, names))
    figure = go.Figure(
        layout=layout(dark=dark, height=head + 8 + 26 * len(names), margin={"l": 8, "r": 8, "t": head, "b": 8})
    )
    figure.add_heatmap(
        z=np.where(wrong, share, -share),
        x=names, y=names, zmin=-1, zmax=1, showscale=False, xgap=2, ygap=2,
        colorscale=[[0, blue], [0.5, PLAIN[dark]], [1, orange]],
        text=[[str(value) if value else "" for value in line] for line in counts.to_numpy()],
        texttemplate="%{text}", textfont={"color": INK[dark]},
        customdata=100 * share,
        hovertemplate="true: %{y}<br>said: %{x}<br>%{text} frames, %{customdata:.0f} % of the class<extra></extra>",
    )  # fmt: skip
    title = {"font": {"size": 12, "color": FAINT[dark]}, "standoff": 4}
    plain = {"ticks": "", "showgrid": False, "tickfont": {"size": 12}}
    figure.update_xaxes(side="top", title={"text": "said (frames)", **title}, tickangle=-90, **plain)
    figure.update_yaxes(autorange="reversed", title={"text": "true class", **title}, automargin=True, **plain)
    return figure


def about(table: pd.DataFrame) -> str:
    """`56 images: 40 right, 16 wrong` of a map or a part of it."""
    counts = table["answer"].value_counts()
    told = [f"{counts[name]:,} {name}" for name in (RIGHT, WRONG) if counts.get(name)]
    if counts.get(UNTESTED):
        told.append(f"{counts[UNTESTED]:,} not tested")
    return f"{len(table):,} image{'s' if len(table) != 1 else ''}" + (f": {', '.join(told)}" if told else "")


def tile(row: Any) -> str:
    """A frame in words, as HTML: its class and what was said, then name, group, scanner and set, a line each."""
    mark = {RIGHT: " ✓", WRONG: " ✗"}.get(row.answer, "")
    said = f"said {escape(str(row.predicted))}" if row.answer == WRONG else "&nbsp;"
    sure = "" if pd.isna(row.probability) or not mark else f" {100 * row.probability:.0f} %"
    told = escape(_where(row), quote=True)
    line = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
    return (
        f"<div style='font-size:13px;line-height:18px;{line}'><b>{escape(str(row.label))}</b>{mark}{sure}</div>"
        f"<div style='font-size:12px;line-height:16px;{line}'>{said}</div>"
        f"<div style='font-size:12px;line-height:16px;opacity:0.7;{line}' title='{told}'>{told}</div>"
    )


def _layout(method: str, *, dark: bool) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "showgrid": False,
        "zeroline": False,
        "showticklabels": False,
        "linecolor": GRID[dark],
        "mirror": True,
        "showline": True,
        "title": {"font": {"size": 12, "color": FAINT[dark]}, "standoff": 6},
    }
    across, up = ({**axis, "title": {**axis["title"], "text": f"{method} {number} (no unit)"}} for number in (1, 2))
    return layout(
        dark=dark,
        height=HEIGHT,
        showlegend=True,
        legend={
            "orientation": "h",
            "y": 1.01,
            "yanchor": "bottom",
            "x": 0,
            "itemsizing": "constant",
            "font": {"size": 12},
        },
        xaxis=across,
        # Distances are alike in both directions.
        yaxis={**up, "scaleanchor": "x", "scaleratio": 1},
        margin={"l": 24, "r": 34, "t": 10, "b": 28},
        modebar={"orientation": "v", "bgcolor": "rgba(0,0,0,0)", "color": FAINT[dark], "activecolor": ACCENT[dark]},
        dragmode="lasso",
        hovermode="closest",
        selectdirection="any",
    )


def _hover(part: pd.DataFrame) -> list[str]:
    """Class and answer, then file, group, scanner and set, of each point."""
    lines = []
    for row in rows(part):
        said = {RIGHT: "<br>said so", WRONG: f"<br>said <b>{escape(row.predicted)}</b>"}.get(row.answer, "")
        sure = f", {100 * row.probability:.0f} %" if said and not pd.isna(row.probability) else ""
        lines.append(f"<b>{escape(str(row.label))}</b>{said}{sure}<br>{escape(_where(row))}")
    return lines


def _where(row: Any) -> str:
    """`frame.png · patient 3 · B · test`."""
    return " · ".join(str(one) for one in (PurePosixPath(row.image).name, row.group, row.scanner, row.part) if one)


def _draw_pictures(
    figure: go.Figure,
    table: pd.DataFrame,
    pictures: Mapping[int, str],
    looks_of: Mapping[str, Look],
    shown: pd.Series,
) -> None:
    """Frames at their places, with a border in the colour of their value."""
    part = table.assign(value=shown)[table["index"].isin(list(pictures))]
    if not len(part):
        return
    side = 0.94 * _side(table)
    shared = {"xref": "x", "yref": "y"}
    images = [
        {"source": pictures[int(row.index)], "x": row.x, "y": row.y, "sizex": side, "sizey": side, "sizing": "stretch",
         "xanchor": "center", "yanchor": "middle", "layer": "above", **shared}
        for row in rows(part)
    ]  # fmt: skip
    borders = [
        {"type": "rect", "x0": row.x - side / 2, "x1": row.x + side / 2, "y0": row.y - side / 2, "y1": row.y + side / 2,
         "line": {"color": looks_of[row.value].colour, "width": 2.5}, "layer": "above", **shared}
        for row in rows(part)
    ]  # fmt: skip
    figure.update_layout(images=images, shapes=borders)
