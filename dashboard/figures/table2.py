"""Table II: strategies in columns with their parameters, data set and fraction in rows, each row coloured by itself."""

from collections.abc import Mapping
from html import escape
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.answer import false_positives
from dashboard.figures.measures import MEASURES, Measure
from dashboard.figures.palette import ACCENT, FAINT, INK, PLAIN, SCALES, Colours, empty, layout
from dashboard.figures.repeats import SOURCE as REPEATS
from dashboard.figures.rows import rows

ROW, HEADER, GAP = 1.0, 0.72, 0.18
"""Heights of a row, of a data set's name above its rows, and of the space before it; in rows."""
ROW_PIXELS = 42
TOP_PIXELS = 82
FEWEST_COLOURED = 3
"""Complete cells from which an unfinished row is coloured."""
DASH = "–"
NOT_INFERIOR = "≈"
"""Mark of a cell that is not inferior to the reference within the study's margin."""
SQUARE = ["source", "percent", "strategy", "start", "network", "study"]
Kind = Literal["mean", "difference"]


def stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The cells of several studies, by the study's name, one below the other; of several, each row names its study."""
    named = [
        table if len(tables) == 1 else table.assign(dataset=f"{study}: " + table["dataset"])
        for study, table in tables.items()
    ]
    return pd.concat(named, ignore_index=True)


def table2_table(cells: pd.DataFrame, *, measure: str = "Dice", kind: Kind = "mean") -> pd.DataFrame:
    """A row per cell of the drawn table: its place, text, colour level and hover text.

    `row_label` is the data set's name and the fraction. `level` runs from 0 (worst of the row) to 1 (best), NaN
    for a cell without a value or alone in its row; of differences, 0.5 is none. `coloured` tells of a row's cells
    that they may have one: of two values one would always be the worst. `best` marks the best of a complete row.
    Every row has a cell for every strategy: one that does not exist is an en dash. Cells may have the columns `low`
    and `high` (an interval of the mean, with `interval`, how it was made), `images` (how many the mean is over) and
    `not_inferior` (with `recommended`).
    """
    shown = MEASURES[measure]
    columns = list(dict.fromkeys(cells["strategy"]))
    rows = list(dict.fromkeys(zip(cells["dataset"], cells["fraction"], strict=True)))
    grid = pd.MultiIndex.from_tuples(
        [(dataset, fraction, name) for dataset, fraction in rows for name in columns],
        names=["dataset", "fraction", "strategy"],
    )
    table = cells.set_index(list(grid.names)).reindex(grid).reset_index()
    table["exists"] = table["folds"].notna()
    table["row"] = np.repeat(np.arange(len(rows)), len(columns))
    table["column"] = np.tile(np.arange(len(columns)), len(rows))
    table["row_label"] = [
        f"{name} {fraction:g} %" for name, fraction in zip(table["dataset"], table["fraction"], strict=True)
    ]
    table["percent"] = [f"{fraction:g} %" for fraction in table["fraction"]]
    means = table.groupby("row")["mean"]
    low, high, known = means.transform("min"), means.transform("max"), means.transform("count")
    if kind == "difference":
        most = float(table["mean"].abs().max() or 1.0)
        table["level"] = 0.5 + table["mean"] / (2 * most)
        table["coloured"], table["best"] = True, False
    else:
        spread = (high - low).where(high > low, np.nan)
        above = high - table["mean"] if shown.lower_is_better else table["mean"] - low
        table["level"] = (above / spread).where(spread.notna(), 0.5).where(table["mean"].notna())
        whole = table["complete"].fillna(True).astype(bool).groupby(table["row"]).transform("all")
        table["coloured"] = whole | (known >= FEWEST_COLOURED)
        table["level"] = table["level"].where(table["coloured"] & (known > 1))
        top = low if shown.lower_is_better else high
        equal = table["mean"].round(shown.digits) == top.round(shown.digits)
        table["best"] = table["mean"].notna() & equal & (known > 1) & whole
    # Folds that failed with one strategy are not those of another: such a row compares nothing.
    table["repeats"] = table["source"].eq(REPEATS).groupby(table["row"]).transform("any")
    table["level"] = table["level"].where(~table["repeats"])
    table["coloured"], table["best"] = table["coloured"] | table["repeats"], table["best"] & ~table["repeats"]
    records: list[dict[str, Any]] = [
        {str(key): value for key, value in row.items()} for row in table.to_dict("records")
    ]
    table["text"] = [_text(cell, shown, kind) for cell in records]
    table["hover"] = [_hover(cell, shown, kind) for cell in records]
    return table


def _text(cell: dict[str, Any], measure: Measure, kind: Kind) -> str:
    if not cell["exists"]:
        return DASH
    if not cell["complete"]:
        return f"{cell['folds_done']:.0f}/{cell['folds']:.0f}"
    if np.isnan(cell["mean"]):
        return "failed" if cell["failed"] == cell["trainings"] else DASH
    if kind == "difference":
        return measure.write(cell["mean"], sign=True)
    number = measure.write(cell["mean"])
    number = f"<b>{number}</b>" if cell["best"] else number
    # Marks, since a mean of fewer folds looks like any other, and so does one with folds that learned nothing.
    number += "<sup>†</sup>" if cell["failed"] else ""
    number += "<sup>‡</sup>" if cell["collapsed"] else ""
    number += f"<sup>{NOT_INFERIOR}</sup>" if cell.get("not_inferior") is True else ""
    spread = f"({measure.write(cell['sd'])})" if not np.isnan(cell["sd"]) else "1 fold"
    return f"{number}<br><span style='font-size:11px'>{spread}</span>"


def _hover(cell: dict[str, Any], measure: Measure, kind: Kind) -> str:
    lines = [f"<b>{escape(cell['strategy'])}</b> · {escape(cell['row_label'])}"]
    if not cell["exists"]:
        return "<br>".join([*lines, "no failed fold trained again" if cell["repeats"] else "not in this study"])
    if cell["repeats"]:
        lines.append(f"{cell['folds']:.0f} failed fold{'s' * (cell['folds'] > 1)} trained again, not ranked")
    if not cell["complete"]:
        lines.append(f"{cell['folds_done']:.0f} of {cell['folds']:.0f} folds done; test values come with the last")
        if not np.isnan(cell["validation"]):
            lines.append(f"validation {measure.main} so far {cell['validation']:.3f}")
    elif np.isnan(cell["mean"]):
        lines.append(_why_no_mean(cell, measure))
    elif kind == "difference":
        lines.append(f"{measure.name} here minus published {measure.write(cell['mean'], sign=True)}")
        lines += [
            f"{where} {measure.write(cell[f'mean_{side}'])}{_spread(cell[f'sd_{side}'], measure)}, "
            f"over {_folds(cell[f'over_{side}'])}"
            for side, where in (("here", "here"), ("there", "published"))
        ]
    else:
        lines += _mean(cell, measure)
    if cell["values"] and kind == "mean":
        shown = [measure.write(value) or "did not converge" for value in cell["values"]]
        lines.append(f"folds: {' · '.join(shown)}")
    if kind == "mean" and (told := false_positives(SimpleNamespace(**cell))):
        lines.append(told)
    if cell["failed"]:
        mean_all = "" if np.isnan(cell["mean_all"]) else f"; mean over all folds {measure.write(cell['mean_all'])}"
        again = " again" if cell["repeats"] else ""
        lines.append(f"{cell['failed']:.0f} of {cell['trainings']:.0f} failed to converge{again}, left out{mean_all}")
    if cell["crashed"]:
        lines.append(f"{cell['crashed']:.0f} crashed")
    if cell["collapsed"]:
        lines.append(f"{cell['collapsed']:.0f} collapsed ({measure.collapse}), kept in the mean")
    if cell["cut"]:
        lines.append(cell["cut"])
    lines.append(f"learning rate {', '.join(f'{rate:g}' for rate in cell['rates'])}")
    return "<br>".join([*lines, *_cost(cell, measure)])


def _why_no_mean(cell: dict[str, Any], measure: Measure) -> str:
    if cell["source"] == "published":
        return "the text of the paper does not give this value"
    if cell["failed"] == cell["trainings"]:
        return "no training converged"
    if measure.column == "hd95" and "," in cell["hd95_unit"]:
        return f"folds are in different units ({cell['hd95_unit']}), so they have no mean"
    if measure.column == "false_positive_rate" and not cell["normal_images"]:
        return "no test image is normal, so there are no false positives to count"
    return f"{measure.name} not measured"


def _mean(cell: dict[str, Any], measure: Measure) -> list[str]:
    """What is said of a mean: how it varies, its interval, its rank beside the reference."""
    unit = f" {cell['hd95_unit']}" if measure.column == "hd95" and cell["hd95_unit"] else ""
    images = cell.get("images", np.nan)
    number = "" if np.isnan(images) else f", n = {images:,.0f} test images"
    spread = _spread(cell["sd"], measure)
    folds = cell["folds"] - cell["failed"] if cell["trainings"] == cell["folds"] else cell["folds"]
    if cell["repeats"]:  # a fold may have failed more than once
        folds = sum(not np.isnan(value) for value in cell["values"])
    lines = [f"{measure.name} {measure.write(cell['mean'])}{unit}{spread}, over {_folds(folds)}{number}"]
    if not np.isnan(cell.get("low", np.nan)):
        lines.append(f"95 % interval {measure.write(cell['low'])} to {measure.write(cell['high'])}, {cell['interval']}")
    if cell.get("not_inferior") is True:
        lines.append(f"{NOT_INFERIOR} {cell['recommended']}")
    if measure.column == "hd95" and cell["hd95_undefined"]:
        none = f"{cell['hd95_undefined']:.0f}"
        lines.append(f"undefined in {none} test images, in which nothing was predicted: counted, not averaged")
    return lines


def _spread(sd: float, measure: Measure) -> str:
    return "" if np.isnan(sd) else f", sd {measure.write(sd)}"


def _folds(number: Any) -> str:
    return f"{number:.0f} fold{'s' if number > 1 else ''}"


def _cost(cell: dict[str, Any], measure: Measure) -> list[str]:
    """What a training costs and what it leaves of the old task, where that is known."""
    found = []
    if not np.isnan(cell["minutes"]):
        found.append(f"{cell['minutes']:.1f} min a training")
    if not np.isnan(cell["megabytes"]) and cell["source"] == "ours":
        found.append(f"{cell['megabytes']:.2g} MB trained")
    if not np.isnan(cell["kept"]):
        found.append(f"{measure.main} left on the start weights' own images {cell['kept']:.3f}")
    return [" · ".join(found)] if found else []


def parameter_rows(table: pd.DataFrame) -> pd.DataFrame:
    """A row per strategy: parameters that learn, of how many, and percent (Amiri et al. 2020, Table II, top).

    0 and NaN where nobody knows yet. Where rows are of different networks, the first row's counts stand.
    """
    counts = table[table["exists"]].drop_duplicates("column").set_index("column").sort_index()
    percent = 100 * counts["trainable"] / counts["total"].where(counts["total"] > 0)
    return counts[["strategy", "trainable", "total"]].assign(percent=percent).reset_index(drop=True)


def table2(
    table: pd.DataFrame,
    *,
    colours: Colours = "red-green",
    dark: bool = False,
    selected: Mapping[str, str] | None = None,
) -> go.Figure:
    """The table as one heatmap with its text, under transparent squares that can be clicked.

    A square's custom data are the columns `SQUARE`. `selected` names the values of some of them of the one of our
    cells that is framed.
    """
    if not len(table):
        return empty("No trial is planned yet.", dark=dark)
    lines = table.drop_duplicates("row")
    tops, edges, headers, level = _places(lines)
    columns = int(table["column"].max()) + 1
    z = np.full((len(edges) - 1, columns), np.nan)
    text = np.full(z.shape, "", dtype=object)
    slots = [edges.index(top) for top in tops]
    for cell in rows(table):
        # Cells without a colour lie below the scale's first half, which is plain.
        z[slots[cell.row], cell.column] = -1.0 if np.isnan(cell.level) else cell.level
        text[slots[cell.row], cell.column] = cell.text
    scale = SCALES[colours, dark]
    steps = [[0.0, PLAIN[dark]], [0.49, PLAIN[dark]]]
    steps += [[0.5 + 0.5 * place / (len(scale) - 1), colour] for place, colour in enumerate(scale)]
    centres = [tops[row] + ROW / 2 for row in table["row"]]
    figure = go.Figure(
        [
            go.Heatmap(
                z=z,
                x=np.arange(columns + 1) - 0.5,
                y=edges,
                text=text,
                texttemplate="%{text}",
                textfont={"size": 15, "color": INK[dark]},
                zmin=-1,
                zmax=1,
                colorscale=steps,
                showscale=False,
                xgap=2,
                ygap=2,
                hoverinfo="skip",
            ),
            go.Scatter(
                x=table["column"],
                y=centres,
                mode="markers",
                marker={"symbol": "square", "size": 34, "color": "rgba(0,0,0,0)", "line": {"width": 0}},
                customdata=table[SQUARE].fillna("").to_numpy(),
                hovertext=table["hover"],
                hovertemplate="%{hovertext}<extra></extra>",
            ),
        ],
        layout=layout(dark=dark, height=round(TOP_PIXELS + ROW_PIXELS * level) + 8, hoverdistance=45),
    )
    figure.update_layout(
        margin={"l": 54, "r": 4, "t": TOP_PIXELS, "b": 6}, clickmode="event+select", hovermode="closest"
    )
    figure.update_xaxes(
        side="top",
        tickvals=list(range(columns)),
        ticktext=[_column_title(row, dark) for row in rows(parameter_rows(table))],
        tickfont={"size": 13 if columns < 10 else 12},
        ticks="",
        showgrid=False,
        zeroline=False,
        fixedrange=True,
        range=[-0.5, columns - 0.5],
        tickangle=0,
    )
    figure.update_yaxes(
        range=[level, 0],
        tickvals=[top + ROW / 2 for top in tops],
        ticktext=[f"{fraction:g} %" for fraction in lines["fraction"]],
        tickfont={"size": 14},
        ticklabelstandoff=8,
        ticks="",
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    for top, name in headers:
        figure.add_annotation(
            x=0, xref="paper", y=top, yref="y", text=f"<b>{escape(name)}</b>", showarrow=False,
            xanchor="left", yanchor="middle", xshift=2, font={"size": 13, "color": FAINT[dark]},
        )  # fmt: skip
    for cell in rows(table[table["mean"].notna() & ~table["coloured"]]):
        _frame(figure, cell.column, tops[cell.row], {"color": FAINT[dark], "width": 1})
    if selected is not None:
        ours = table[table["source"] == "ours"]
        for cell in rows(ours[(ours[list(selected)] == list(selected.values())).all(axis=1)]):
            _frame(figure, cell.column, tops[cell.row], {"color": ACCENT[dark], "width": 3})
    return figure


def _frame(figure: go.Figure, column: int, top: float, line: dict[str, Any]) -> None:
    figure.add_shape(
        type="rect", x0=column - 0.49, x1=column + 0.49, y0=top + 0.02, y1=top + ROW - 0.02, line=line,
        fillcolor="rgba(0,0,0,0)",
    )  # fmt: skip


def _places(rows: pd.DataFrame) -> tuple[list[float], list[float], list[tuple[float, str]], float]:
    """Top of each row, all edges of the heatmap's slots, (middle, name) of each data set, and the whole height."""
    tops: list[float] = []
    edges: list[float] = [0.0]
    headers: list[tuple[float, str]] = []
    level, before = 0.0, None
    for name in rows["dataset"]:
        if name != before:
            level += HEADER + (GAP if before is not None else 0.0)
            headers.append((level - HEADER / 2, name))
            edges.append(level)
            before = name
        tops.append(level)
        level += ROW
        edges.append(level)
    return tops, edges, headers, level


def _column_title(row: Any, dark: bool) -> str:
    words = escape(row.strategy).split(" ")
    half = (len(words) + 1) // 2
    lines = [escape(row.strategy)] if len(row.strategy) < 10 else [" ".join(words[:half]), " ".join(words[half:])]
    name = "<br>".join(f"<b>{line}</b>" for line in lines if line)
    small = f"<span style='font-size:11px;color:{FAINT[dark]}'>"
    known = row.total > 0
    counts = (f"{row.trainable:,.0f}", f"{row.percent:.1f} %") if known else (DASH, DASH)
    return "<br>".join(
        [f"<span style='color:{INK[dark]}'>{name}</span>", *(f"{small}{count}</span>" for count in counts)]
    )
