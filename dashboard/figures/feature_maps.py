"""Feature maps of a unit before and after fine-tuning, those that changed most first (Amiri et al. 2020, S2)."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float32, UInt8
from PIL import Image

from dashboard.figures.palette import ACCENT, FAINT, FOLDS, GRID, empty, layout
from dashboard.figures.rows import parts
from engine.architectures import UNITS

GAP = 6
"""Pixels between the map before and the map after."""
CHANGE = (
    "Change of a map: norm of (after − before) over the sum of both norms. 0: the same; 1: silent before or after. "
    "Left before, right after, each pair in one gray scale (black: lowest value, white: 99.5th percentile). A unit "
    "that is frozen changes where a unit before it was trained."
)


def unit_names(plan: pd.DataFrame, trial_id: str) -> list[str]:
    """Units of the trial's network, input to output: those of its architecture, or the most that a strategy trains."""
    model = plan.loc[plan["id"] == trial_id, "model"].iloc[0]
    most: list[str] = max((list(units) for units in plan.loc[plan["model"] == model, "units"]), key=len)
    return list(UNITS.get(str(model), most))


def feature_table(
    before: Float32[np.ndarray, "channel height width"], after: Float32[np.ndarray, "channel height width"]
) -> pd.DataFrame:
    """A row per map, most changed first (of equals the strongest): channel, change, highest values, silent.

    `change` is the norm of the difference over the sum of both norms; a map that is 0 everywhere before and after is
    silent, with change 0.
    """
    flat = [maps.reshape(len(maps), -1).astype(np.float64) for maps in (before, after)]
    sizes = np.linalg.norm(flat[0], axis=1) + np.linalg.norm(flat[1], axis=1)
    difference = np.linalg.norm(flat[1] - flat[0], axis=1)
    table = pd.DataFrame(
        {
            "channel": np.arange(len(before)),
            "change": np.divide(difference, sizes, out=np.zeros_like(sizes), where=sizes > 0),
            "before": flat[0].max(axis=1),
            "after": flat[1].max(axis=1),
            "silent": sizes == 0,
        }
    )
    # Many maps wake up or fall silent, with a change of 1: of these the strong ones first.
    order = pd.DataFrame({"change": -table["change"].round(2), "size": -sizes}).sort_values(
        ["change", "size"], kind="stable"
    )
    return table.loc[order.index].reset_index(drop=True)


def pair(
    before: Float32[np.ndarray, "height width"],
    after: Float32[np.ndarray, "height width"],
    *,
    aspect: float = 1.0,
    longest: int = 200,
) -> UInt8[np.ndarray, "drawn_height drawn_width"]:
    """Both maps side by side in one gray scale: black is the lowest value of the two, white their 99.5th percentile.

    Each in the source's proportions `aspect` with a longer side of `longest` pixels; their own pixels stay visible.
    """
    both = np.stack([before, after])
    low, high = float(both.min()), float(np.quantile(both, 0.995))
    high = high if high > low else float(both.max())  # a few bright pixels are all that there is
    width, height = (longest, round(longest / aspect)) if aspect >= 1 else (round(longest * aspect), longest)
    drawn = np.full((height, 2 * width + GAP), 128, np.uint8)
    for place, values in ((0, before), (width + GAP, after)):
        gray = np.clip((values - low) / (high - low) * 255, 0, 255) if high > low else np.zeros_like(values)
        small = Image.fromarray(gray.round().astype(np.uint8))
        drawn[:, place : place + width] = np.asarray(small.resize((width, height), Image.Resampling.NEAREST))
    return drawn


def caption(row: pd.Series) -> str:
    """`map 12 · change 0.43`."""
    return f"map {row['channel']} · " + ("silent" if row["silent"] else f"change **{row['change']:.2f}**")


def told(table: pd.DataFrame) -> str:
    """How much a unit's maps changed, in a line."""
    heard = table[~table["silent"]]
    number = int(table["silent"].sum())
    silent = f"; {number} map{' is' if number == 1 else 's are'} silent before and after" if number else ""
    if not len(heard):
        return f"all {len(table)} maps are silent before and after"
    if not heard["change"].any():
        return f"none of {len(table)} maps changed: neither this unit nor one before it was trained{silent}"
    return f"median change {heard['change'].median():.2f} over {len(heard)} maps{silent}"


def changes_table(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows of `feature_table` of several units below each other, with their `unit`, silent maps left out."""
    found = [table[~table["silent"]].assign(unit=unit) for unit, table in tables.items()]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["channel", "change", "unit"])


def changes(table: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """A dot per map at its change, a row per unit, with the unit's median."""
    if not len(table):
        return empty("No map of these units says anything of this image.", dark=dark, height=150)
    units = list(dict.fromkeys(table["unit"]))
    height = 66 + 46 * len(units)
    figure = go.Figure(layout=layout(dark=dark, height=height, margin={"l": 8, "r": 16, "t": 8, "b": 48}))
    for number, (unit, part) in enumerate(parts(table, "unit")):
        place = len(units) - 1 - number
        # Spread by the channel, so that equal changes do not hide each other.
        spread = ((part["channel"].to_numpy() * 0.618034) % 1 - 0.5) * 0.5
        figure.add_scatter(
            x=part["change"], y=place + spread, mode="markers", name=str(unit), customdata=part[["channel"]],
            marker={"size": 6, "opacity": 0.6, "color": ACCENT[dark] if number == 0 else FOLDS[1],
                    "symbol": "circle" if number == 0 else "diamond"},
            hovertemplate=f"{unit}, map %{{customdata[0]}}<br>change %{{x:.3f}}<extra></extra>",
        )  # fmt: skip
        middle = float(part["change"].median())
        figure.add_shape(
            type="line", x0=middle, x1=middle, y0=place - 0.34, y1=place + 0.34,
            line={"color": FAINT[dark], "width": 3},
        )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(units))), ticktext=[str(unit) for unit in reversed(units)], zeroline=False,
        showgrid=False, fixedrange=True, automargin=True, ticklabelstandoff=6, range=[-0.6, len(units) - 0.4],
    )  # fmt: skip
    figure.update_xaxes(
        title={
            "text": "change of each map (0 same, 1 silent on one side; bar: median)",
            "font": {"size": 12, "color": FAINT[dark]},
        },
        range=[-0.02, 1.02], gridcolor=GRID[dark], zeroline=False, fixedrange=True,
    )  # fmt: skip
    return figure
