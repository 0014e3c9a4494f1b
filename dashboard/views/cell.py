"""One cell of the table: its folds, learning curves, and best and worst test images."""

from collections.abc import Mapping
from pathlib import PurePosixPath

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures.answer import false_positives
from dashboard.figures.cells import in_table, of_start, starts, strategy_order, with_network
from dashboard.figures.curves import curves, curves_table
from dashboard.figures.folds import folds, folds_table
from dashboard.figures.measures import Measure, measure_of
from dashboard.figures.mistakes import said_table
from dashboard.figures.rows import rows
from dashboard.figures.shared_folds import has_shared_folds
from dashboard.figures.structures import key
from dashboard.views import said
from dashboard.views.chart import config, is_dark, once
from dashboard.views.choice import select
from dashboard.views.table import Shown

SHOWN = 4
"""Worst test images shown, and best ones."""
ENDS = {
    "worst": "Worst test images",
    "best": "Best test images",
    "normal": "Normal test images with most pixels predicted",
}


def choose(study: str) -> dict[str, str]:
    """Select boxes for the cell, which a click in the table sets too; they also work from the keyboard.

    Gives the percent, strategy, start and network that are chosen; "" where there is nothing to choose.
    """
    plan = with_network(in_table(data.plan(study)))
    percents = [f"{value:g} %" for value in sorted(set(plan["fraction"]), reverse=True)]
    names, networks = starts(plan), sorted(set(plan["network"]))
    st.subheader("One cell", anchor=False, divider="gray")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = {
            "percent": select("Part of the images", percents, "row", width=160),
            "strategy": select("Strategy", strategy_order(plan), "strategy", width=260),
        }
        several = select("Start weights", names, "start", width=260) if len(names) > 1 else ""
        network = select("Network", networks, "network", width=220) if len(networks) > 1 else ""
    return {**chosen, "start": several or next(iter(names), ""), "network": network}


def draw(study: str, chosen: Mapping[str, str], shown: Shown) -> None:
    """Folds and curves side by side, test images below once all folds of the cell are done."""
    measure, percent, strategy = measure_of(shown.measure), chosen["percent"], chosen["strategy"]
    fraction = float(percent.removesuffix(" %"))
    trials = _of(data.trials(study, shown.rate, shown.seed), chosen)
    trials = trials[(trials["fraction"] == fraction) & (trials["strategy"] == strategy)]
    if not len(trials):
        st.info("This cell is not in the study.")
        return
    facts = data.facts(study)
    by_fold = _of(data.folds(study, shown.rate, shown.measure, shown.seed), chosen)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**Folds** · {strategy}, {percent}")
        unit = next((unit for unit in by_fold["hd95_unit"] if unit), "")
        table = folds_table(by_fold, fraction, strategy, str(facts.get("reference") or "whole network"))
        figure = once(folds, table, measure=measure.title(unit), shared=has_shared_folds(facts), dark=is_dark())
        settings = config("folds", shown.picture)
        st.plotly_chart(figure, theme=None, config=settings, key="folds", alt=f"{measure.name} of each fold")
    with right:
        table = curves_table(data.epochs(study, trials), trials)
        st.markdown(f"**Learning curves** · {_epochs(table)}")
        figure = once(curves, table, measure=measure.main, loss=data.loss_name(study), dark=is_dark())
        settings = config("curves", shown.picture)
        st.plotly_chart(figure, theme=None, config=settings, key="curves", alt="Loss by epoch, a colour per fold")
    if trials["closed"].all():
        cells = _of(data.cells(study, shown.rate, shown.measure, shown.seed), chosen)
        for cell in rows(cells[(cells["fraction"] == fraction) & (cells["strategy"] == strategy)]):
            if told := false_positives(cell):
                st.caption(f"{told[:1].upper()}{told[1:]}; Dice and IoU are of the other images.")
        (_images if measure.task == "segmentation" else _frames)(study, trials, measure)
    else:
        st.caption(f"{trials['closed'].sum()} of {len(trials)} trials done. Test images come with the last one.")


def _of(table: pd.DataFrame, chosen: Mapping[str, str]) -> pd.DataFrame:
    """The rows that stand in the row of the table that is chosen."""
    found = of_start(table, chosen["start"])
    return found[found["network"] == chosen["network"]]


def _epochs(table: pd.DataFrame) -> str:
    ran = table.groupby("id")["epoch"].max()
    if not len(ran):
        return "none yet"
    return f"{ran.min()} epochs" if ran.min() == ran.max() else f"{ran.min()} to {ran.max()} epochs"


def _frames(study: str, trials: pd.DataFrame, measure: Measure) -> None:
    """Test images of a classification: those that are wrong with most confidence, and those that are just right."""
    if data.dataset(study) is None:
        st.info("The study's images are no longer in the cache: run the study again to read them anew.")
        return
    name = str(trials["strategy"].iloc[0])
    images = data.test_images(study, trials).drop_duplicates("index")
    table = said_table(images.assign(reader=name), [name])
    right = table["right"].map(all).astype(bool)
    for title, part, first in (
        ("Wrong, most confident", table[~right], False), ("Right, least confident", table[right], True),
    ):  # fmt: skip
        if len(part):
            ordered = part.sort_values("confidence", ascending=first, kind="stable")
            st.markdown(f"**{title}** · {len(part)} of {len(table)} test images")
            said.frames(study, ordered.head(2 * SHOWN), [name], columns=2 * SHOWN, key=title.split(",")[0].lower())


def _images(study: str, trials: pd.DataFrame, measure: Measure) -> None:
    shown = data.extremes(study, trials, SHOWN, measure.column)
    pictures = data.pictures(study, trials, SHOWN, measure.column)
    if pictures is None:
        st.info("The study's images are no longer in the cache: run the study again to read them anew.")
        st.dataframe(shown[["end", "image", "group", "fold", "dice", "iou", "predicted_pixels"]], hide_index=True)
        return
    column = measure.column if measure.column in shown else "dice"
    for end, title in ENDS.items():
        part = shown[shown["end"] == end]
        if not len(part):
            continue
        st.html(f"<b>{title}</b> · {key(data.facts(study)['data'].get('structures') or ())}")
        with st.container(key=f"{end}-images"):
            for place, row in zip(st.columns(SHOWN), rows(part), strict=False):
                group = f" · {row.group}" if row.group else ""
                where = f"{PurePosixPath(row.image).name}{group} · fold {row.fold}"
                value = getattr(row, column)
                found = f"{measure_of(column).name} " + ("undefined" if pd.isna(value) else f"{value:.2f}")
                if end == "normal":
                    found = f"normal, {row.predicted_pixels:,} pixels predicted"
                place.image(
                    pictures[row.Index], f"**{found}** · {where}", "stretch", output_format="PNG",
                    alt=f"{row.image}, truth and prediction",
                )  # fmt: skip
