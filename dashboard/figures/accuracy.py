"""Accuracy of every reader with its interval, beside published ones; other measures; accuracy of parts of frames."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.palette import ACCENT, FAINT, FOLDS, GRID, INK, empty, layout
from dashboard.figures.readers import (
    KNOWN_SCANNER,
    OUT_OF_THE_BOX,
    PERSON,
    short_network,
    shown_strategy,
)
from dashboard.figures.rows import parts, rows
from engine.significance.accuracy import Accuracy

ORDER = (KNOWN_SCANNER, OUT_OF_THE_BOX, "from scratch", "output layers", "input layers")
"""Groups of bars in the order of Pasdeloup et al. 2018; others follow as they come, persons last."""
COLUMNS = [
    "source", "study", "reader", "kind", "network", "strategy", "fraction", "accuracy", "low", "high", "sd", "values",
    "images", "groups", "folds", "note",
]  # fmt: skip
OF_ATTEMPTS = ["training_accuracy", "kept_accuracy", "seconds_per_image", "training_images"]
MEASURED = ["top2", "balanced_accuracy", "balanced_low", "balanced_high", *OF_ATTEMPTS]
ROW, HEADER, FOOT = 24, 30, 50
"""Pixels of a bar, of a group's name above its bars, and of the axis."""
LETTER = 7.4
"""Pixels of a letter where a saved picture is shown in a wider font than the page's."""


def accuracy_table(answers: pd.DataFrame, found: Mapping[str, Accuracy]) -> pd.DataFrame:
    """A row per reader: accuracy over all its frames with its 95 % interval, sd and values over folds, frames, groups.

    Takes rows as `dashboard.answers` gives them, and what `engine.significance.accuracy_interval` says of each reader.
    `strategy` is as pages call it, a person's name of a person; `note` says how the interval was made or why none.
    """
    rows_of = []
    for reader, part in parts(answers, "reader"):
        first, person, one = part.iloc[0], part["kind"].iloc[0] == PERSON, found[reader]
        by_fold = [] if person else part.groupby("fold")["accuracy"].mean().tolist()
        rows_of.append(
            {
                "source": "ours", "study": first["study"], "reader": reader, "kind": first["kind"],
                "network": PERSON if person else short_network(str(first["model"])),
                "strategy": reader if person else shown_strategy(str(first["strategy"])),
                "fraction": float("nan") if person else float(first["fraction"]),
                "accuracy": one.accuracy.value, "low": _number(one.accuracy.low), "high": _number(one.accuracy.high),
                "sd": float(np.std(by_fold, ddof=1)) if len(by_fold) > 1 else float("nan"), "values": by_fold,
                "images": one.images, "groups": one.accuracy.units if one.resampled == "group" else 0,
                "folds": len(by_fold), "note": one.accuracy.note,
            }
        )  # fmt: skip
    return pd.DataFrame(rows_of, columns=COLUMNS)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def measures_table(
    table: pd.DataFrame, answers: pd.DataFrame, found: Mapping[str, Accuracy], attempts: pd.DataFrame
) -> pd.DataFrame:
    """The readers of `accuracy_table` with the columns `MEASURED`; missing where not measured.

    Top-2 and balanced accuracy are over all frames; the others means over folds. `attempts` has a row per training
    with its id.
    """
    ids = answers[["reader", "id", "fold"]].drop_duplicates()
    known = attempts.reindex(columns=["id", *OF_ATTEMPTS]).astype(dict.fromkeys(OF_ATTEMPTS, float))
    by_fold = ids.merge(known, on="id").groupby(["reader", "fold"], sort=False)[OF_ATTEMPTS].mean()
    measures = table.join(by_fold.groupby("reader", sort=False).mean(), on="reader")
    tops = {name: one.top2.value if one.top2 else float("nan") for name, one in found.items()}
    measures["top2"] = measures["reader"].map(tops)
    for column, field in (("balanced_accuracy", "value"), ("balanced_low", "low"), ("balanced_high", "high")):
        told = {name: _number(getattr(one.balanced, field)) for name, one in found.items()}
        measures[column] = measures["reader"].map(told).astype(float)
    for reader, part in parts(answers[answers["kind"] == PERSON], "reader"):
        measures.loc[measures["reader"] == reader, "seconds_per_image"] = float(part["seconds"].astype(float).median())
    return measures


def on_known_scanner(measures: pd.DataFrame) -> pd.DataFrame:
    """The start weights as they are on their own held-out images, as rows of `accuracy_table`; without intervals."""
    known = measures[(measures["strategy"] == OUT_OF_THE_BOX) & measures["kept_accuracy"].notna()]
    nothing: pd.Series = pd.Series([[]] * len(known), index=known.index, dtype=object)
    return known.assign(
        strategy=KNOWN_SCANNER, accuracy=known["kept_accuracy"], low=np.nan, high=np.nan, sd=np.nan, values=nothing,
        images=0, groups=0, folds=0, note="held-out images of what the start weights learned from",
    )[COLUMNS]  # fmt: skip


def parted_table(found: Mapping[str, Accuracy]) -> pd.DataFrame:
    """A row per reader and class, then per scanner: `of`, `part`, accuracy with its interval, images, groups, note."""
    tables = []
    for reader, one in found.items():
        names = {
            "class": "part",
            "recall": "accuracy",
            "recall_low": "low",
            "recall_high": "high",
            "recall_note": "note",
        }
        by_class = one.classes.rename(columns=names).assign(of="class")
        by_scanner = one.scanners.rename(columns={"scanner": "part"}).assign(of="scanner")
        tables += [part.assign(reader=reader) for part in (by_class, by_scanner) if len(part)]
    columns = ["reader", "of", "part", "accuracy", "low", "high", "images", "groups", "note"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def ordered(table: pd.DataFrame) -> list[str]:
    """The strategies in the order of the bars: `ORDER`, then others as they come, persons last."""
    networks = table[table["kind"] != PERSON]
    names = list(dict.fromkeys(networks["strategy"]))
    first = [name for name in ORDER if name in names]
    people = list(dict.fromkeys(table.loc[table["kind"] == PERSON, "strategy"]))
    return [*first, *(name for name in names if name not in first), *people]


def network_colours(table: pd.DataFrame, *, dark: bool) -> dict[str, str]:
    """A colour per network and persons' ink, the same wherever they are drawn together."""
    shades = (ACCENT[dark], *FOLDS[1:])
    names = [name for name in dict.fromkeys(table["network"]) if name != PERSON]
    return {**{name: shades[place % len(shades)] for place, name in enumerate(names)}, PERSON: FAINT[dark]}


def accuracy(table: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """Bars of accuracy in percent, a group per strategy and a bar per network; published ones hollow."""
    known = table.dropna(subset=["accuracy"])
    if not len(known):
        return empty("Bars stand here once all folds of a strategy are done.", dark=dark, height=180)
    places, heads, height = _places(known)
    figure = go.Figure(layout=layout(dark=dark, height=round(height + FOOT), hovermode="closest", barmode="overlay"))
    longest = max((len(_name(row)) for row in rows(known)), default=0)
    figure.update_layout(margin={"l": round(LETTER * longest) + 10, "r": 60, "t": 6, "b": FOOT})
    colours = network_colours(known, dark=dark)
    for row in rows(known.rename(columns={"values": "known"})):
        colour, own = colours[row.network], row.source == "ours"
        y = places[row.Index]
        figure.add_bar(
            y=[y], x=[100 * row.accuracy], orientation="h", width=ROW * 0.72, hovertext=[_told(row)],
            hovertemplate="%{hovertext}<extra></extra>", name=_name(row),
            marker={"color": colour if own else "rgba(0,0,0,0)", "line": {"color": colour, "width": 0 if own else 1.8}},
        )  # fmt: skip
        low, high = _whisker(row)
        if not np.isnan(low):
            figure.add_scatter(
                x=[100 * low, 100 * high], y=[y, y], mode="lines", hoverinfo="skip",
                line={"color": INK[dark], "width": 1.6}, name=f"{_name(row)}, interval",
            )  # fmt: skip
        ends = [value for value in (row.accuracy, high) if not np.isnan(value)]
        figure.add_annotation(
            x=100 * max(ends), y=y, text=f"<b>{100 * row.accuracy:.1f}</b>", showarrow=False, xanchor="left", xshift=6,
            font={"size": 13, "color": INK[dark]},
        )  # fmt: skip
    for name, y in heads.items():
        figure.add_annotation(
            x=0, y=y, text=f"<b>{escape(name)}</b>", showarrow=False, xanchor="left", yanchor="middle",
            font={"size": 13, "color": FAINT[dark]},
        )  # fmt: skip
    figure.update_yaxes(
        range=[height, 0], tickvals=[places[place] for place in known.index], zeroline=False, showgrid=False,
        ticktext=[escape(_name(row)) for row in rows(known)], fixedrange=True, automargin=True, ticklabelstandoff=6,
    )  # fmt: skip
    figure.update_xaxes(
        range=[0, 100], title={"text": "accuracy on the test images (%)", "font": {"size": 13}}, dtick=20,
        gridcolor=GRID[dark], zeroline=False, fixedrange=True,
    )  # fmt: skip
    return figure


def _places(table: pd.DataFrame) -> tuple[dict[Any, float], dict[str, float], float]:
    """Middle of each row's bar, of each group's name, and the whole height; in pixels from the top."""
    places: dict[Any, float] = {}
    heads: dict[str, float] = {}
    top = 0.0
    people = set(table.loc[table["kind"] == PERSON, "strategy"])
    for name in ordered(table):
        if name in people and "persons" not in heads:
            heads["persons"] = top + HEADER / 2 + 3
            top += HEADER
        elif name not in people:
            heads[name] = top + HEADER / 2 + 3
            top += HEADER
        for place in table.index[table["strategy"] == name]:
            places[place] = top + ROW / 2
            top += ROW
    return places, heads, top + 4


def _name(row: Any) -> str:
    if row.source != "ours":
        return f"{row.strategy if row.kind == PERSON else row.network}, published"
    if row.kind == PERSON:
        return str(row.reader)
    return str(row.network) if np.isnan(row.fraction) or not row.fraction else f"{row.network}, {row.fraction:g} %"


def _whisker(row: Any) -> tuple[float, float]:
    if row.source == "ours" or not np.isnan(row.low):
        return float(row.low), float(row.high)
    return (row.accuracy - row.sd, row.accuracy + row.sd) if not np.isnan(row.sd) else (np.nan, np.nan)


def _told(row: Any) -> str:
    spread = "" if np.isnan(row.sd) else f", sd {100 * row.sd:.1f}"
    lines = [f"<b>{escape(_name(row))}</b> · {escape(str(row.strategy))}", f"{100 * row.accuracy:.1f} %{spread}"]
    if not np.isnan(row.low):
        lines.append(f"95 % interval {100 * row.low:.1f} to {100 * row.high:.1f} %")
    groups = f" of {row.groups:.0f} groups" if row.groups else ""
    folds = f", {row.folds:.0f} fold{'s' if row.folds > 1 else ''}" if row.folds else ""
    lines.append(f"n = {row.images:,.0f} images{groups}{folds}" if row.images else "")
    if len(row.known) > 1:
        lines.append(f"folds: {' · '.join(f'{100 * value:.1f}' for value in row.known)}")
    lines.append(str(row.note))
    return "<br>".join(line for line in lines if line)


def note(table: pd.DataFrame) -> str:
    """What the bars and whiskers are, and why some have none."""
    words = []
    ours = table[table["source"] == "ours"]
    if ours["low"].notna().any():
        words.append(
            "Part of all test frames that is right. Whiskers: 95 % intervals over groups of frames (over frames where "
            "they name no group), see on hover."
        )
    without = ours["low"].isna() & ours["accuracy"].notna() & (ours["images"] > 0)
    words += [f"{reason}." for reason in dict.fromkeys(ours.loc[without, "note"])]
    theirs = table[table["source"] == "published"]
    if len(theirs):
        names = ", ".join(dict.fromkeys(theirs["reader"]))
        words.append(f"Hollow: published ({names}), for comparison, not as a target; whiskers: ± as printed.")
    return " ".join(words)


def shown_table(measures: pd.DataFrame, parted: pd.DataFrame) -> pd.DataFrame:
    """The measures as a page's table: accuracies in percent, a column per scanner, a row per reader."""
    percent = {
        "accuracy": "accuracy (%)", "top2": "top-2 (%)", "balanced_accuracy": "balanced (%)",
        "training_accuracy": "on training images (%)", "kept_accuracy": "left on start images (%)",
    }  # fmt: skip
    shown = measures[["reader"]].copy()
    for column, title in percent.items():
        if measures[column].notna().any():
            shown[title] = 100 * measures[column].astype(float)
        if column == "accuracy":
            shown["95 % interval"] = _ends(measures["low"], measures["high"])
            shown["sd over folds"] = 100 * measures["sd"]
        if column == "balanced_accuracy":
            shown["balanced, 95 % interval"] = _ends(measures["balanced_low"], measures["balanced_high"])
    wide = parted[parted["of"] == "scanner"].pivot(index="reader", columns="part", values="accuracy")
    for scanner in list(wide.columns) if len(wide.columns) > 1 else []:
        shown[f"scanner {scanner} (%)"] = 100 * measures["reader"].map(wide[scanner])
    shown["ms per image"] = 1000 * measures["seconds_per_image"].astype(float)
    shown["training images"] = measures["training_images"].astype(float)
    for column in ("images", "groups", "folds"):
        shown[column] = measures[column]
    return shown


def _ends(low: pd.Series, high: pd.Series) -> list[str]:
    """`78.1 to 93.4`, or "" where there is no interval."""
    both = zip(low.astype(float), high.astype(float), strict=True)
    return ["" if np.isnan(below) else f"{100 * below:.1f} to {100 * above:.1f}" for below, above in both]


def classes_table(parted: pd.DataFrame, readers: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    """Accuracy of each class in percent, a row per reader and a column per class with its number of frames."""
    own = parted[parted["of"] == "class"]
    number = own.groupby("part")["images"].max()
    wide = own.pivot(index="reader", columns="part", values="accuracy").reindex(index=list(readers))
    there = [name for name in classes if name in wide]
    table = 100 * wide[there]
    table.columns = pd.Index([f"{name} (n = {number[name]})" for name in there])
    return table.reset_index()
