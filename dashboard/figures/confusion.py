"""True against said classes: one reader's confusion, and two readers' difference without the diagonal.

Cheng and Malhi 2017, Fig. 3 and 5. Transparent squares on top of the cells can be clicked.
"""

from collections.abc import Collection, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.palette import ACCENT, FAINT, INK, PLAIN, SCALES, empty, layout
from dashboard.figures.rows import rows
from engine.significance import WithoutExcess, accuracy_without_excess, difference_confusion
from engine.significance import confusion as counted

Cell = tuple[str, str]
"""True class, and the class that was said."""
ROW, COLUMN, FOOT = 42, 52, 10
"""Pixels of a row, of the narrowest column, and below the last row."""
LETTER, LINE = 6.4, 16
"""Pixels of a letter of a class's name, and of a line."""
STEPS = (0.0, 0.15, 0.5, 1.0)
"""Parts of a row at which the sequential palette's colours stand: more of them where errors are."""
NOTHING = "No frame that was answered."


def confusion_table(answers: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """A row per true and said class of one reader: label, predicted, images, of (frames of the true class), part.

    Of several seeds every frame counts once, so `images` may be broken. `part` is NaN for a class without frames.

    Raises DataError as `engine.significance.confusion` does.
    """
    found = counted(answers, classes)
    table = _cells(classes)
    table["images"] = found.counts.ravel()
    table["of"] = np.repeat(found.counts.sum(axis=1), len(classes))
    table["part"] = found.parts.ravel()
    return table


def difference_table(reader: pd.DataFrame, network: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """A row per true and said class: label, predicted, excess (errors of reader minus network), of, images.

    Of frames that both answered: `of` is their number in the true class, `images` in all. NaN on the diagonal.

    Raises DataError as `engine.significance.difference_confusion` does.
    """
    found = difference_confusion(reader, network, classes)
    frames = reader[reader["index"].isin(network["index"])].drop_duplicates("index")
    table = _cells(classes)
    table["excess"] = found.excess.ravel()
    table["of"] = table["label"].map(frames["label"].astype(str).value_counts()).fillna(0).astype(int)
    return table.assign(images=found.images)


def without_excess(
    reader: pd.DataFrame, network: pd.DataFrame, classes: Sequence[str], cells: Sequence[Cell]
) -> WithoutExcess:
    """The reader's accuracy without the excess errors of `cells`; raises as the engine's functions do."""
    return accuracy_without_excess(difference_confusion(reader, network, classes), cells)


def _cells(classes: Sequence[str]) -> pd.DataFrame:
    number = len(classes)
    return pd.DataFrame({"label": np.repeat(list(classes), number), "predicted": list(classes) * number})


def confusion(
    table: pd.DataFrame, *, normalised: bool = True, dark: bool = False, chosen: Collection[Cell] = ()
) -> go.Figure:
    """Count and percent of the row in every cell; coloured by percent where `normalised`, else by count.

    A square's custom data are (label, predicted); `chosen` cells are framed.
    """
    if not len(table) or not table["images"].sum():
        return empty(NOTHING, dark=dark)
    values = table["part"] if normalised else table["images"] / table["images"].max()
    shades = list(zip(STEPS, [PLAIN[dark], *SCALES["colour-blind safe", dark][3:]], strict=True))
    texts = [_text(row) for row in rows(table)]
    figure = _matrix(table, values, texts, [_told(row) for row in rows(table)], (0.0, 1.0), shades, dark)
    for place in range(table["label"].nunique()):
        _frame(figure, place, place, FAINT[dark], 1.0)
    return _with_chosen(figure, table, chosen, dark)


def difference(
    table: pd.DataFrame,
    *,
    reader: str = "the reader",
    network: str = "the network",
    dark: bool = False,
    chosen: Collection[Cell] = (),
    without: Collection[Cell] = (),
) -> go.Figure:
    """Excess errors of `reader` (orange) and of `network` (blue) in every cell off the diagonal.

    A square's custom data are (label, predicted); `chosen` cells are framed, those of `without` by dots.
    """
    if not len(table) or not table["of"].sum():
        return empty("No frame that both answered.", dark=dark)
    most = max(1.0, float(table["excess"].abs().max()))
    orange, *_, blue = SCALES["colour-blind safe", dark]
    shades = [(0.0, blue), (0.5, PLAIN[dark]), (1.0, orange)]
    texts = ["" if np.isnan(row.excess) or not row.excess else _signed(row.excess) for row in rows(table)]
    told = [_told_difference(row, reader, network) for row in rows(table)]
    figure = _matrix(table, table["excess"], texts, told, (-most, most), shades, dark)
    return _with_chosen(_with_chosen(figure, table, without, dark, dash="dot"), table, chosen, dark)


def narrowest(classes: Sequence[str]) -> int:
    """Pixels below which the figure would not be legible."""
    return 150 + COLUMN * len(classes)


def note(table: pd.DataFrame) -> str:
    """What the cells say, and the accuracy."""
    frames, right = table["images"].sum(), table.loc[table["label"] == table["predicted"], "images"].sum()
    if not frames:
        return ""
    return (
        f"Rows: true class with its number of frames; columns: what was said. In each cell frames, and percent of the "
        f"row. {_count(right)} of {frames:,.0f} frames are right ({100 * right / frames:.1f} %)."
    )


def difference_note(table: pd.DataFrame, reader: str, network: str) -> str:
    """What the cells say."""
    frames = int(table["images"].iloc[0]) if len(table) else 0
    return (
        f"Errors of {reader} minus those of {network} on the {frames:,} frames that both answered; right answers (the "
        f"diagonal) are left out. Orange: more errors of {reader}; blue: more of {network}."
    )


def excess_note(found: WithoutExcess, reader: str, network: str) -> str:
    """The accuracy without the excess errors, in a sentence."""
    cells, removed = len(found.cells), _count(found.removed)
    errors = "error" if removed == "1" else f"{removed} errors"
    return (
        f"{reader} has {100 * found.as_it_is:.1f} % right. Without the {errors} that it makes more than {network} in "
        f"{'this cell' if cells == 1 else f'these {cells} cells'} it would be "
        f"{100 * found.accuracy:.1f} %."
    )


def _matrix(
    table: pd.DataFrame,
    values: pd.Series,
    texts: list[str],
    hover: list[str],
    span: tuple[float, float],
    shades: Sequence[tuple[float, str]],
    dark: bool,
) -> go.Figure:
    classes = list(dict.fromkeys(table["label"]))
    number, frames = len(classes), table.drop_duplicates("label")["of"]
    shape = (number, number)
    longest = LETTER * max(len(name) for name in classes)
    head = 2 * LINE + 10 if longest < COLUMN else max(2 * LINE, longest) + 16
    figure = go.Figure(layout=layout(dark=dark, height=round(head + ROW * number + FOOT), hoverdistance=45))
    figure.add_heatmap(
        z=values.to_numpy(dtype=np.float64).reshape(shape), text=np.array(texts, dtype=object).reshape(shape),
        texttemplate="%{text}", textfont={"size": 14, "color": INK[dark]}, hoverinfo="skip",
        zmin=span[0], zmax=span[1], showscale=False, xgap=2, ygap=2,
        colorscale=[list(step) for step in shades],
    )  # fmt: skip
    figure.add_scatter(
        x=list(range(number)) * number, y=np.repeat(np.arange(number), number), mode="markers",
        marker={"symbol": "square", "size": ROW - 6, "color": "rgba(0,0,0,0)", "line": {"width": 0}},
        customdata=table[["label", "predicted"]].to_numpy(), hovertext=hover, name="cells",
        hovertemplate="%{hovertext}<extra></extra>", selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
    )  # fmt: skip
    figure.update_layout(
        margin={"l": 118, "r": 6, "t": head, "b": FOOT}, clickmode="event+select", hovermode="closest"
    )  # fmt: skip
    figure.update_xaxes(
        side="top", tickvals=list(range(number)), ticktext=[escape(name) for name in classes], tickfont={"size": 12},
        tickangle=0 if longest < COLUMN else -90, range=[-0.5, number - 0.5], showgrid=False, zeroline=False, ticks="",
        fixedrange=True,
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(number)), range=[number - 0.5, -0.5], showgrid=False, zeroline=False, ticks="",
        fixedrange=True, automargin=True, tickfont={"size": 12}, ticklabelstandoff=6,
        ticktext=[f"{escape(name)} <span style='color:{FAINT[dark]}'>{of:,.0f}</span>"
                  for name, of in zip(classes, frames, strict=True)],
    )  # fmt: skip
    figure.add_annotation(
        x=0, y=1, xref="paper", yref="paper", xanchor="right", yanchor="bottom", xshift=-6, yshift=4, align="right",
        text="said →<br>true class, frames ↓", showarrow=False, font={"size": 12, "color": FAINT[dark]},
    )  # fmt: skip
    return figure


def _with_chosen(
    figure: go.Figure, table: pd.DataFrame, chosen: Collection[Cell], dark: bool, dash: str = "solid"
) -> go.Figure:
    classes = list(dict.fromkeys(table["label"]))
    for label, predicted in chosen:
        if label in classes and predicted in classes:
            _frame(figure, classes.index(label), classes.index(predicted), ACCENT[dark], 3.0, dash)
    return figure


def _frame(figure: go.Figure, row: int, column: int, colour: str, width: float, dash: str = "solid") -> None:
    figure.add_shape(
        type="rect", x0=column - 0.48, x1=column + 0.48, y0=row - 0.47, y1=row + 0.47,
        line={"color": colour, "width": width, "dash": dash}, layer="above",
    )  # fmt: skip


def _count(images: float) -> str:
    """`12`, or `12.5` where seeds say different things."""
    return f"{images:,.0f}" if abs(images - round(images)) < 0.05 else f"{images:,.1f}"


def _signed(excess: float) -> str:
    return f"{'+' if excess > 0 else '−'}{_count(abs(excess))}"


def _text(row: Any) -> str:
    if not row.images:
        return ""
    percent = f"{100 * row.part:.0f}" if row.part >= 0.005 else "&lt; 1"
    return f"{_count(row.images)}<br><span style='font-size:11px'>{percent} %</span>"


def _told(row: Any) -> str:
    right = "right" if row.label == row.predicted else f"said of it: {escape(row.predicted)}"
    if not row.of:
        return f"<b>{escape(row.label)}</b><br>no frame of this class"
    part = f"{_count(row.images)} of {_count(row.of)} frames ({100 * row.part:.1f} %)"
    return f"<b>{escape(row.label)}</b>, {right}<br>{part}"


def _told_difference(row: Any, reader: str, network: str) -> str:
    head = f"<b>{escape(row.label)}</b>, n = {row.of:,} frames"
    if row.label == row.predicted:
        return f"{head}<br>right answers are left out"
    head += f"<br>said of it: {escape(row.predicted)}"
    if not row.excess:
        return f"{head}<br>as many errors of both"
    who = reader if row.excess > 0 else network
    return f"{head}<br>{_count(abs(row.excess))} more of {escape(who)}"
