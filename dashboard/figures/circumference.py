"""Head circumference in mm from predicted masks against the data set's own: Bland-Altman plot and its figures."""

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import UInt8

from dashboard.figures.palette import ACCENT, FAINT, GRID, INK, empty, fold_look, layout
from dashboard.figures.rows import parts, rows
from dashboard.figures.structures import unpacked
from engine.circumference import fit_ellipse

COLUMN = "head_circumference_mm"
"""Manifest column of the circumference that a reader measured."""
REFERENCES = {"the data set's own": "manifest_mm", "true mask's ellipse": "truth_mm"}
"""What predictions are held against, by the column that has it."""
COLUMNS = ["index", "image", "group", "fold", "predicted_mm", "truth_mm", "manifest_mm"]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far predicted circumferences are from a reference, in mm. NaN without images."""

    images: int
    """Images that have both."""
    mean_difference: float
    """Predicted minus reference."""
    sd: float
    """Standard deviation of the differences (n - 1)."""
    mean_absolute: float
    low: float
    """Limits of agreement: mean minus 1.96 standard deviations (Bland & Altman 1986)."""
    high: float
    without_ellipse: int
    """Images whose prediction allows no ellipse."""
    without_reference: int


def is_measured(table: pd.DataFrame) -> bool:
    """Whether a data set's table has circumferences and pixel sizes to hold masks against."""
    return COLUMN in table and bool((_numbers(table[COLUMN]).notna() & table["spacing_mm"].notna()).any())


def circumference_table(
    images: pd.DataFrame, masks: UInt8[np.ndarray, "image height width"], table: pd.DataFrame
) -> pd.DataFrame:
    """A row per test image whose pixel size is known: its circumferences in mm, NaN where a mask allows no ellipse.

    `images` are rows of `gallery.tested` with predicted masks, `masks` and `table` the data set's. Masks at the
    network's size are scaled back to the source's pixels; several structures count as one, seeds are averaged.
    """
    side = masks.shape[1]
    manifest = _numbers(table[COLUMN]) if COLUMN in table else pd.Series(np.nan, index=table.index)
    found = []
    known = images[images["index"].map(table["spacing_mm"]).notna()]
    for (index, image, group, fold), part in parts(known, ["index", "image", "group", "fold"]):
        source = table.loc[index]
        spacing = float(source["spacing_mm"])
        pixel = (float(source["source_height"]) / side * spacing, float(source["source_width"]) / side * spacing)
        masks_of_seeds = [np.asarray(unpacked(packed, side).any(axis=0)) for packed in part["predicted_mask"]]
        predictions = [fit_ellipse(mask, pixel) for mask in masks_of_seeds]
        lengths = [ellipse.circumference for ellipse in predictions if ellipse is not None]
        truth = fit_ellipse(np.asarray(masks[index]), pixel)
        found.append(
            {
                "index": int(index),
                "image": image,
                "group": group,
                "fold": int(fold),
                "predicted_mm": float(np.mean(lengths)) if lengths else np.nan,
                "truth_mm": np.nan if truth is None else truth.circumference,
                "manifest_mm": float(manifest[index]),
            }
        )
    return pd.DataFrame(found, columns=COLUMNS)


def agreement(table: pd.DataFrame, reference: str, measured: str = "predicted_mm") -> Agreement:
    """How well the column `measured` agrees with the column `reference`, over the images that have both."""
    both = table.dropna(subset=[measured, reference])
    differences = (both[measured] - both[reference]).astype(float)
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    return Agreement(
        images=len(both),
        mean_difference=mean,
        sd=sd,
        mean_absolute=float(differences.abs().mean()),
        low=mean - 1.96 * sd,
        high=mean + 1.96 * sd,
        without_ellipse=int(table[measured].isna().sum()),
        without_reference=int((table[measured].notna() & table[reference].isna()).sum()),
    )


def told(found: Agreement) -> str:
    """The agreement in a sentence, with n."""
    if not found.images:
        return f"No image has both circumferences; on {found.without_ellipse} the prediction allows no ellipse."
    words = f"Mean absolute difference **{found.mean_absolute:.1f} mm** (n = {found.images} images)"
    words += f", mean difference {_signed(found.mean_difference)} mm"
    if found.images > 1:
        words += f", limits of agreement {_signed(found.low)} to {_signed(found.high)} mm"
    left_out = [(found.without_ellipse, "whose prediction allows no ellipse")]
    left_out += [(found.without_reference, "without a reference")]
    missing = [f"{number} image{'s' if number > 1 else ''} {why}" for number, why in left_out if number]
    return f"{words}." + (f" Left out: {', '.join(missing)}." if missing else "")


def farthest(table: pd.DataFrame, reference: str, number: int) -> pd.DataFrame:
    """The `number` images whose circumferences differ most, with their `difference` in mm."""
    found = table.assign(difference=table["predicted_mm"] - table[reference]).dropna(subset=["difference"])
    place = found["difference"].abs().sort_values(ascending=False, kind="stable").index
    return found.loc[place].head(number).reset_index(drop=True)


def caption(row: pd.Series, reference: str) -> str:
    """Two lines: `+12.3 mm (190.1 for 177.8)`, then name, group and fold."""
    group = f" · {row['group']}" if row["group"] else ""
    found = f"**{_signed(row['difference'])}\u00a0mm** ({row['predicted_mm']:.1f} for {row[reference]:.1f})"
    return f"{found}  \n{PurePosixPath(str(row['image'])).name}{group} · fold {row['fold']}"


def bland_altman(table: pd.DataFrame, reference: str, *, dark: bool = False) -> go.Figure:
    """Difference against mean of both circumferences, a look per fold, with the mean and the limits of agreement."""
    both = table.dropna(subset=["predicted_mm", reference])
    if not len(both):
        return empty("No image has a predicted and a reference circumference.", dark=dark, height=380)
    figure = go.Figure(layout=layout(dark=dark, height=380, margin={"l": 56, "r": 92, "t": 10, "b": 48}))
    both = both.assign(
        mean=(both["predicted_mm"] + both[reference]) / 2, difference=both["predicted_mm"] - both[reference]
    )
    for fold, part in parts(both, "fold"):
        colour, symbol = fold_look(int(fold))
        told_of = [
            f"{PurePosixPath(str(row.image)).name}{f' · {row.group}' if row.group else ''} · fold {row.fold}<br>"
            f"predicted {row.predicted_mm:.1f} mm, reference {getattr(row, reference):.1f} mm<br>"
            f"difference {_signed(row.difference)} mm"
            for row in rows(part)
        ]
        figure.add_scatter(
            x=part["mean"], y=part["difference"], mode="markers", name=f"fold {fold}", text=told_of,
            marker={"size": 7, "opacity": 0.75, "color": colour, "symbol": symbol},
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    found = agreement(table, reference)
    lines = [("mean", found.mean_difference, "solid")]
    lines += [("−1.96 sd", found.low, "dash"), ("+1.96 sd", found.high, "dash")] if found.images > 1 else []
    for name, height, dash in lines:
        figure.add_hline(y=height, line={"color": ACCENT[dark], "width": 2 if dash == "solid" else 1.4, "dash": dash})
        figure.add_annotation(
            x=1, xref="paper", xanchor="left", y=height, text=f" {name} {_signed(height)}", showarrow=False,
            font={"size": 12, "color": INK[dark]},
        )  # fmt: skip
    title = {"font": {"size": 12, "color": FAINT[dark]}}
    figure.update_xaxes(
        title={"text": "mean of predicted and reference circumference, mm", **title}, gridcolor=GRID[dark],
        zeroline=False, fixedrange=True,
    )  # fmt: skip
    figure.update_yaxes(
        title={"text": "predicted − reference, mm", **title}, gridcolor=GRID[dark], zeroline=True,
        zerolinecolor=FAINT[dark], zerolinewidth=1, fixedrange=True,
    )  # fmt: skip
    return figure


def _signed(millimetres: float) -> str:
    return f"{millimetres:+.1f}".replace("-", "−")


def _numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column, errors="coerce").astype(float)
