"""Results by subgroup of the images: by any column of the data set that parts them, or by quarters of a number."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.palette import ACCENT, FAINT, FOLDS, GRID, INK, empty, layout
from dashboard.figures.rows import parts
from engine.significance import bootstrap_interval
from engine.significance.intervals import why_same
from engine.significance.measured import drawn_by, mean_over_seeds, why_no_interval

FEWEST, MOST = 2, 12
"""Values of a column that parts images into subgroups."""
FEWEST_NUMBERS = 20
"""Different numbers in a column from which its quarters are subgroups."""
FEWEST_IMAGES = 5
"""Images that at least two subgroups of a column have."""
NAMELESS = ("image", "group")
"""Columns that name images or patients: no subgroups."""
LAST = ("split", "spacing_mm", "source_height", "source_width")
"""Columns that are offered after those of the manifest."""
COLUMNS = ["strategy", "subgroup", "mean", "low", "high", "images", "groups", "folds", "note"]


def subgroup_columns(table: pd.DataFrame) -> list[str]:
    """Columns of a data set's table that part its images: of 2 to 12 values, or of numbers, by quarters.

    Two of the subgroups have some images at least. Label and scanner come first, then the manifest's further columns,
    quarters last.
    """
    found = [str(name) for name in table if name not in NAMELESS]
    found = [name for name in found if (subgroup_names(table, name).value_counts() >= FEWEST_IMAGES).sum() > 1]
    return sorted(
        found, key=lambda name: (name in LAST, name not in ("label", "scanner"), table[name].nunique() > MOST)
    )


def subgroup_names(table: pd.DataFrame, column: str) -> pd.Series:
    """The subgroup of each image by `column`, by its place in the table; missing where the column says nothing.

    Values as they are where there are 2 to 12, ordered; quarters such as `0.19 to 0.25` of more numbers; else missing.
    """
    values = table[column].where(table[column].notna() & (table[column].astype(str).str.strip() != ""))
    number = values.nunique()
    numeric = pd.to_numeric(values, errors="coerce").astype(float)
    is_numeric = bool(numeric.notna().sum() == values.notna().sum())
    if FEWEST <= number <= MOST:
        order = sorted(values.dropna().unique(), key=lambda value: float(value) if is_numeric else str(value))
        named = values.map(lambda value: _plain(value) if is_numeric else str(value), na_action="ignore")
        names = list(dict.fromkeys(_plain(value) if is_numeric else str(value) for value in order))
        return pd.Series(pd.Categorical(named, categories=names, ordered=True), index=table.index)
    if is_numeric and number >= FEWEST_NUMBERS:
        ends = np.unique(np.quantile(numeric.dropna(), [0, 0.25, 0.5, 0.75, 1]))
        if len(ends) > 2:
            labels = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(ends)]
            if len(set(labels)) == len(labels):
                return pd.Series(pd.cut(numeric, list(ends), labels=labels, include_lowest=True), index=table.index)
    return pd.Series(pd.Categorical([None] * len(table), categories=[]), index=table.index)


def by_column(images: pd.DataFrame, names: pd.Series) -> pd.DataFrame:
    """The test images with their `subgroup`; `names` are those of the data set's images, as `subgroup_names` says."""
    own = names.astype(object).reindex(images["index"]).to_numpy()
    return images.assign(subgroup=pd.Categorical(own, categories=names.cat.categories))


def by_structure(images: pd.DataFrame, structures: Sequence[str]) -> pd.DataFrame:
    """A row per test image and structure that it has, with the Dice of that structure, which is its `subgroup`."""
    each = [() if values is None else tuple(values) for values in images["class_dice"]]
    found = []
    for place, name in enumerate(structures):
        dice = [values[place] if len(values) > place else np.nan for values in each]
        found.append(images.assign(subgroup=name, dice=pd.Series(dice, index=images.index, dtype=float)))
    table = pd.concat(found, ignore_index=True).dropna(subset=["dice"])
    return table.assign(subgroup=pd.Categorical(table["subgroup"], categories=list(structures)))


def subgroups_table(
    images: pd.DataFrame, parted: pd.DataFrame, strategies: Sequence[str], *, resamples: int = 10_000
) -> pd.DataFrame:
    """A row per strategy and subgroup, then one of all: mean Dice over images, its interval, images, groups, folds.

    `images` are rows of `gallery.tested` of one fraction, `parted` the same by column or by structure.
    Images without a structure are left out; seeds are averaged. The interval is a bootstrap over groups (over images
    where they name none), and absent with two folds or fewer, as `note` says.
    """
    found = []
    every, parted = (table[~table["empty_truth"].astype(bool)] for table in (images, parted))
    for strategy in strategies:
        own, all_own = (table[table["strategy"] == strategy] for table in (parted, every))
        subgroups = [(name, own[own["subgroup"] == name]) for name in parted["subgroup"].cat.categories]
        for name, part in [*subgroups, ("all images", all_own)]:
            if not len(part):
                continue
            each = mean_over_seeds(part)
            drawn = drawn_by(each["group"])
            units = each["group"] if drawn == "group" else each["index"]
            folds = int(each["fold"].nunique())
            why = why_no_interval(folds, int(units.nunique()), drawn, "the mean")
            values = each["dice"].to_numpy(np.float64)
            low, high = np.nan, np.nan
            if not why:
                low, high = bootstrap_interval(values, units, scale="part", resamples=resamples)
            if not why and np.isnan(low):
                why = why_same("the mean", float(values.mean()), drawn, "part")
            found.append(
                {
                    "strategy": strategy,
                    "subgroup": str(name),
                    "mean": float(values.mean()),
                    "low": low,
                    "high": high,
                    "images": int(each["index"].nunique()),
                    "groups": int(each["group"].nunique()) if drawn == "group" else 0,
                    "folds": folds,
                    "note": why or f"95 % bootstrap over {units.nunique()} {drawn}s",
                }
            )
    return pd.DataFrame(found, columns=COLUMNS)


def note(table: pd.DataFrame) -> str:
    """What the intervals are, or why there are none; and what subgroups may not be used for."""
    with_interval = table[table["low"].notna()]
    reasons = list(dict.fromkeys(table.loc[table["low"].isna(), "note"]))
    words = []
    if len(with_interval):
        words.append("Lines: 95 % bootstrap intervals over groups, or over images where they name no group.")
        words.append("Folds share training images, which they do not see.")
    words += [f"Without interval: {'; '.join(reasons)}." if len(with_interval) else f"{reasons[0]}."] if reasons else []
    words.append(
        "Subgroups were not drawn at random and many are looked at: a difference here is a question, no finding."
    )
    return " ".join(words)


def look(number: int, *, dark: bool) -> tuple[str, str]:
    """Colour and symbol of the first strategy and of the one beside it."""
    return (ACCENT[dark], "circle") if number == 0 else (FOLDS[1], "diamond")


def key(strategies: Sequence[str], *, dark: bool) -> str:
    """What the colours and shapes of the strategies mean, in HTML."""
    signs = {"circle": "●", "diamond": "◆"}
    looks = [look(number, dark=dark) for number in range(len(strategies))]
    return " &nbsp; ".join(
        f"<span style='color:{colour}'>{signs[symbol]}</span> {escape(name)}"
        for name, (colour, symbol) in zip(strategies, looks, strict=True)
    )


def subgroups(table: pd.DataFrame, *, measure: str = "Dice", dark: bool = False) -> go.Figure:
    """A row per subgroup with its mean and interval; two strategies in two colours and shapes."""
    if not len(table):
        return empty("No test image of these cells is in a subgroup.", dark=dark, height=200)
    names = list(dict.fromkeys(table["subgroup"]))
    names = [name for name in names if name != "all images"] + ["all images"]
    strategies = list(dict.fromkeys(table["strategy"]))
    height = 70 + len(names) * (34 if len(strategies) == 1 else 46)
    figure = go.Figure(layout=layout(dark=dark, height=height, margin={"l": 8, "r": 16, "t": 8, "b": 48}))
    place = {name: len(names) - 1 - number for number, name in enumerate(names)}
    for number, (strategy, part) in enumerate(parts(table, "strategy")):
        colour, symbol = look(number, dark=dark)
        shift = 0.0 if len(strategies) == 1 else 0.16 - 0.32 * number
        told = [_told(row, measure) for row in part.to_dict("records")]
        figure.add_scatter(
            x=part["mean"], y=[place[name] + shift for name in part["subgroup"]], mode="markers", name=strategy,
            text=told, marker={"size": 11, "symbol": symbol, "color": colour},
            error_x={
                "type": "data", "symmetric": False, "array": part["high"] - part["mean"],
                "arrayminus": part["mean"] - part["low"], "thickness": 2, "width": 0, "color": colour,
            },
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    lowest, highest = table[["mean", "low"]].min().min(), table[["mean", "high"]].max().max()
    figure.add_hline(y=0.5, line={"color": GRID[dark], "width": 1.5})
    figure.update_yaxes(
        tickvals=list(place.values()), ticktext=[_tick(name, table) for name in place], zeroline=False,
        showgrid=False, fixedrange=True, automargin=True, ticklabelstandoff=6, range=[-0.6, len(names) - 0.4],
        tickfont={"color": INK[dark]},
    )  # fmt: skip
    figure.update_xaxes(
        title={"text": f"mean {measure} over test images", "font": {"size": 12, "color": FAINT[dark]}},
        gridcolor=GRID[dark], zeroline=False, fixedrange=True, tickformat=".2~f", nticks=6,
        range=[max(float(lowest) - 0.03, -0.02), min(float(highest) + 0.03, 1.02)],
    )  # fmt: skip
    return figure


def _tick(name: str, table: pd.DataFrame) -> str:
    row = table[table["subgroup"] == name].iloc[0]
    groups = f", {_groups(int(row['groups']))}" if row["groups"] else ""
    return f"{name}  <span style='font-size:11px'>(n = {row['images']}{groups})</span>"


def _told(row: Mapping[Any, Any], measure: str) -> str:
    groups = f" of {_groups(int(row['groups']))}" if row["groups"] else ""
    interval = "" if pd.isna(row["low"]) else f", {row['low']:.3f} to {row['high']:.3f}"
    lines = [
        f"{row['strategy']} · {row['subgroup']}",
        f"mean {measure} {row['mean']:.3f}{interval}",
        f"n = {row['images']} images{groups}, {row['folds']} fold{'s' if row['folds'] != 1 else ''}",
        str(row["note"]),
    ]
    return "<br>".join(lines)


def _groups(number: int) -> str:
    return f"{number} group{'s' if number > 1 else ''}"


def _plain(value: object) -> str:
    return f"{float(str(value)):g}"
