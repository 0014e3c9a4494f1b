"""The network as pre-trained, after fine-tuning on few images, and on many (Amiri et al. 2020, Fig. 7)."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.intervals import INTERVAL, mean_intervals
from dashboard.figures.means import between, varies
from dashboard.figures.palette import ACCENT, FAINT, GRID, empty, fold_look, layout
from dashboard.figures.rows import parts, rows
from dashboard.figures.shared_folds import COLUMN
from engine.significance.paired import in_same_folds

AS_IS = "no fine-tuning"
RESAMPLES = 2000
"""Of an interval on hover, which is told to three digits."""
NEEDED = ("strategy", "fold", "index", "group", "dice")


def stages_table(as_pretrained: pd.DataFrame, fine_tuned: pd.DataFrame) -> pd.DataFrame:
    """Test images of the start weights as they are and of one strategy at its smallest and largest fraction.

    Takes rows as `gallery.tested` gives them, adds `stage` ("no fine-tuning", "5 %", "80 %"), and keeps the images
    that all stages were tested on. Empty where one stage has none.
    """
    if not len(as_pretrained) or not len(fine_tuned):
        return fine_tuned.iloc[:0].assign(stage="")
    fractions = sorted({fine_tuned["fraction"].min(), fine_tuned["fraction"].max()})
    stages = [as_pretrained.assign(stage=AS_IS)]
    stages += [fine_tuned[fine_tuned["fraction"] == value].assign(stage=f"{value:g} %") for value in fractions]
    common = set.intersection(*(set(stage["index"]) for stage in stages))
    return pd.concat([stage[stage["index"].isin(common)] for stage in stages], ignore_index=True)


def chosen_images(stages: pd.DataFrame, number: int) -> list[int]:
    """Indices of `number` images, evenly spaced by their Dice without fine-tuning, lowest first."""
    first = stages[(stages["stage"] == AS_IS) & ~stages["empty_truth"].astype(bool)]
    ordered = first.sort_values(["dice", "image"], kind="stable")["index"].drop_duplicates().tolist()
    places = np.linspace(0, len(ordered) - 1, min(number, len(ordered)))
    return [int(ordered[round(place)]) for place in places]


def stage_row(stages: pd.DataFrame, index: int) -> pd.DataFrame:
    """A row per stage of one image, in the order of the stages; of several seeds the first."""
    own = stages[stages["index"] == index].sort_values(["seed", "fold"], kind="stable")
    own = own.drop_duplicates("stage").set_index("stage")
    return own.reindex(list(dict.fromkeys(stages["stage"]))).reset_index()


def pretrained_table(stages: pd.DataFrame) -> pd.DataFrame:
    """A row per stage and fold: `value` is the mean Dice of the fold's images with a structure, `images` their number.

    Seeds are averaged within the fold. `low`, `high`, `interval` and `of` (how many test images) are those of the
    stage's mean, as `intervals.mean_intervals` gives them. `shared_folds` says whether folds of one
    number are the same images in all stages, so that what was before and after belongs together.
    """
    measured = stages[~stages["empty_truth"].astype(bool)]
    found = [
        {"stage": stage, "fold": int(fold), "value": float(part["dice"].mean()), "images": part["index"].nunique()}
        for (stage, fold), part in parts(measured, ["stage", "fold"])
    ]
    table = pd.DataFrame(found, columns=["stage", "fold", "value", "images"])
    of_means = mean_intervals(measured.assign(strategy=measured["stage"])[list(NEEDED)], "dice", resamples=RESAMPLES)
    of_means = of_means.reindex(columns=["strategy", *INTERVAL]).rename(columns={"strategy": "stage", "images": "of"})
    return table.merge(of_means, on="stage", how="left").assign(**{COLUMN: in_same_folds(measured)})


def means(table: pd.DataFrame) -> dict[str, str]:
    """`0.861 (0.012)` of each stage: mean over folds, and standard deviation where there are several."""
    shown = {}
    for stage, part in parts(table, "stage"):
        spread = f" ({part['value'].std(ddof=1):.3f})" if len(part) > 1 else ""
        shown[str(stage)] = f"{part['value'].mean():.3f}{spread}"
    return shown


def pretrained(table: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """Mean Dice of the stages, joined by a line, with a dot per fold; folds are joined where stages have the same."""
    if not len(table):
        return empty("No test of the start weights as they are is done yet.", dark=dark, height=260)
    figure = go.Figure(layout=layout(dark=dark, height=260, margin={"l": 54, "r": 10, "t": 10, "b": 48}))
    names = list(dict.fromkeys(table["stage"]))
    shared = bool(table[COLUMN].all())
    for fold, part in parts(table, "fold"):
        colour, symbol = fold_look(int(fold)) if shared else (FAINT[dark], "circle")
        figure.add_scatter(
            x=part["stage"], y=part["value"], mode="lines+markers" if shared else "markers", name=f"fold {fold}",
            customdata=part[["images"]], line={"width": 1, "color": colour}, opacity=0.85,
            marker={"size": 9, "color": colour, "symbol": symbol},
            hovertemplate=f"fold {fold}, %{{x}}<br>mean Dice %{{y:.3f}}, n = %{{customdata[0]}} images<extra></extra>",
        )  # fmt: skip
    mean = table.groupby("stage", sort=False)["value"].mean()
    figure.add_scatter(
        x=names, y=mean[names], mode="lines+markers", name="mean", hovertext=[_told(table, name) for name in names],
        line={"width": 3, "color": ACCENT[dark]},
        marker={"size": 26, "symbol": "line-ew", "line": {"width": 3, "color": ACCENT[dark]}},
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    title = {"font": {"size": 12, "color": FAINT[dark]}}
    dots = "thin: folds" if shared else "dots: folds, other ones in each stage"
    figure.update_xaxes(
        title={"text": "part of the images that was fine-tuned on", **title}, type="category", fixedrange=True,
        showgrid=False, zeroline=False, categoryorder="array", categoryarray=names,
        range=[-0.45, len(names) - 0.55],
    )  # fmt: skip
    figure.update_yaxes(
        title={"text": f"Dice ({dots}, thick: mean)", **title}, range=[-0.03, 1.02], gridcolor=GRID[dark],
        zeroline=False, fixedrange=True,
    )  # fmt: skip
    return figure


def _told(table: pd.DataFrame, stage: str) -> str:
    """The mean of a stage in words."""
    own = table[table["stage"] == stage]
    first = next(rows(own))
    mean, sd = float(own["value"].mean()), float(own["value"].std(ddof=1))
    lines = [f"<b>{stage}</b>", f"mean Dice {varies(mean, sd, len(own), float(first.of))}"]
    return "<br>".join([*lines, *between(first.low, first.high, first.interval)])
