"""How often pixels of a predicted probability are on the structure: the reliability diagram and its error.

Of a classification: how often images are right that are told their class with a probability.
"""

from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures.palette import FAINT, GRID, empty, layout
from dashboard.figures.rows import parts
from dashboard.figures.subgroups import look
from engine.significance import expected_calibration_error, reliability

NOTE = (
    "Pixels of one image are not independent, nor are images of one patient: the number of pixels is no sample size, "
    "so no interval is drawn. Most pixels are background far from any structure, which makes the error small. "
    "Hollow: bins with less than a thousandth of the pixels."
)
NOTE_OF_IMAGES = (
    "Confidence is the probability of the most probable class. Images of one patient are not independent, so no "
    "interval is drawn. Hollow: bins with less than a thousandth of the images."
)
Of = Literal["pixels", "images"]
"""What is counted: pixels of masks, or images that are classified."""
WORDS: dict[Of, tuple[str, str, str]] = {
    "pixels": ("predicted probability of the structure", "part of the pixels on the structure", "on the structure"),
    "images": ("confidence: probability of the most probable class", "part of the images that is right", "right"),
}
"""Titles of the axes, and what is observed."""
FEW = 0.001
"""Part of the pixels below which a bin tells little."""
COLUMNS = ["strategy", "low", "pixels", "predicted", "observed"]


def calibration_table(bins: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """A row per strategy and bin that holds pixels: low, pixels, mean predicted probability, part on the structure.

    Strategies in the order of `trials`.
    `bins` are the store's (id, number and the fields of Bin); all folds and seeds of a strategy are added up.
    """
    wanted = trials.dropna(subset=["number"])[["id", "number", "strategy"]].astype({"number": "int64"})
    found = reliability(bins.merge(wanted, on=["id", "number"]), ["strategy"])
    order = {name: place for place, name in enumerate(dict.fromkeys(wanted["strategy"]))}
    place = found["strategy"].map(order).sort_values(kind="stable").index
    return found.loc[place, COLUMNS].reset_index(drop=True)


def confidence_bins(images: pd.DataFrame) -> pd.DataFrame:
    """Ten bins of confidence of a classification's test images: id, number and the fields of Bin, images for pixels."""
    known = images[images["probabilities"].map(lambda values: values is not None and len(values) > 0)]
    highest = known["probabilities"].map(max).astype(float)
    found = known[["id", "number"]].assign(
        low=np.minimum(np.floor(highest * 10), 9) / 10, pixels=1, probability_sum=highest,
        positive_pixels=known["accuracy"].astype(int),
    )  # fmt: skip
    return found.groupby(["id", "number", "low"], as_index=False).sum()


def errors_table(table: pd.DataFrame) -> pd.DataFrame:
    """A row per strategy: expected calibration error, and the number of pixels that it is over."""
    found = [
        {
            "strategy": strategy,
            "error": expected_calibration_error(
                part["pixels"].to_numpy(np.int64),
                (part["predicted"] * part["pixels"]).to_numpy(np.float64),
                (part["observed"] * part["pixels"]).round().to_numpy(np.int64),
            ),
            "pixels": int(part["pixels"].sum()),
        }
        for strategy, part in parts(table, "strategy")
    ]
    return pd.DataFrame(found, columns=["strategy", "error", "pixels"])


def told(errors: pd.DataFrame, of: Of = "pixels") -> str:
    """A sentence per strategy: its expected calibration error over how many pixels or images."""
    return "  \n".join(
        f"**{row['strategy']}**: expected calibration error **{row['error']:.3f}** over {row['pixels']:,} test {of}"
        for row in errors.to_dict("records")
    )


def calibration(table: pd.DataFrame, *, of: Of = "pixels", dark: bool = False) -> go.Figure:
    """Part of the pixels on the structure against predicted probability, the diagonal, and pixels per bin below."""
    if not len(table):
        return empty("These trials stored no probabilities: they ran before they were kept.", dark=dark, height=420)
    across, up, observed = WORDS[of]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.76, 0.24], vertical_spacing=0.05)
    figure.update_layout(layout(dark=dark, height=440, margin={"l": 60, "r": 10, "t": 10, "b": 48}))
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": FAINT[dark], "dash": "dot", "width": 1.5},
        hovertemplate="calibrated: as often as predicted<extra></extra>", name="calibrated", row=1, col=1,
    )  # fmt: skip
    for place, (strategy, part) in enumerate(parts(table, "strategy")):
        colour, symbol = look(place, dark=dark)
        few = part["pixels"] < FEW * part["pixels"].sum()
        figure.add_scatter(
            x=part["predicted"], y=part["observed"].where(~few), mode="lines", name=strategy, connectgaps=False,
            line={"color": colour, "width": 2, "dash": "solid" if place == 0 else "dash"}, hoverinfo="skip",
            row=1, col=1,
        )  # fmt: skip
        figure.add_scatter(
            x=part["predicted"], y=part["observed"], mode="markers", name=strategy, cliponaxis=False,
            marker={"size": 9, "color": colour, "symbol": [f"{symbol}-open" if one else symbol for one in few]},
            customdata=part[["low", "pixels"]],
            hovertemplate=f"{strategy}<br>predicted %{{x:.3f}} on average (bin from %{{customdata[0]:.1f}})<br>"
            f"{observed}: %{{y:.1%}}<br>n = %{{customdata[1]:,}} {of}<extra></extra>", row=1, col=1,
        )  # fmt: skip
        figure.add_bar(
            x=part["low"] + 0.05, y=part["pixels"], name=strategy, marker={"color": colour}, opacity=0.85,
            hovertemplate=f"{strategy}<br>n = %{{y:,}} {of}<extra></extra>", row=2, col=1,
        )  # fmt: skip
    title = {"font": {"size": 12, "color": FAINT[dark]}}
    plain = {"gridcolor": GRID[dark], "zeroline": False, "fixedrange": True}
    figure.update_xaxes(range=[-0.01, 1.01], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1], **plain)
    figure.update_xaxes(title={"text": across, **title}, row=2, col=1)
    figure.update_yaxes(title={"text": up, **title}, range=[-0.01, 1.01], **plain, row=1, col=1)
    figure.update_yaxes(title={"text": of, **title}, type="log", dtick=1, exponentformat="SI", **plain, row=2, col=1)
    return figure
