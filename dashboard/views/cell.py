"""One cell of the table: its folds, learning curves, and best and worst test images."""

from pathlib import PurePosixPath

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures.answer import false_positives
from dashboard.figures.cells import Rate, strategy_order
from dashboard.figures.curves import curves, curves_table
from dashboard.figures.folds import folds, folds_table
from dashboard.figures.outlines import extremes_table
from dashboard.figures.rows import rows
from dashboard.views.chart import CHART, is_dark
from dashboard.views.choice import select
from dashboard.views.switches import MEASURES

KEY = "<span style='color:#e3b400'>■</span> truth yellow, <span style='color:#1fc3d6'>■</span> prediction cyan"
SHOWN = 4
"""Worst test images shown, and best ones."""
ENDS = {
    "worst": "Worst test images",
    "best": "Best test images",
    "normal": "Normal test images with most pixels predicted",
}


def choose(study: str) -> tuple[str, str]:
    """Select boxes for the cell, which a click in the table sets too; they also work from the keyboard."""
    plan = data.plan(study)
    percents = [f"{value:g} %" for value in sorted(set(plan["fraction"]), reverse=True)]
    st.subheader("One cell", anchor=False, divider="gray")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        percent = select("Part of the images", percents, "row", width=160)
        strategy = select("Strategy", strategy_order(plan), "strategy", width=260)
    return percent, strategy


def draw(study: str, percent: str, strategy: str, rate: Rate, measure: str) -> None:
    """Folds and curves side by side, test images below once all folds of the cell are done."""
    name = {column: shown for shown, column in MEASURES.items()}[measure]
    fraction = float(percent.removesuffix(" %"))
    trials = data.trials(study, rate)
    trials = trials[(trials["fraction"] == fraction) & (trials["strategy"] == strategy)]
    if not len(trials):
        st.info("This cell is not in the study.")
        return
    by_fold = data.folds(study, rate, measure)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**Folds** · {strategy}, {percent}")
        figure = folds(folds_table(by_fold, fraction, strategy), measure=name, dark=is_dark())
        st.plotly_chart(figure, theme=None, config=CHART, key="folds", alt=f"{name} of each fold")
    with right:
        table = curves_table(data.epochs(study, trials), trials)
        st.markdown(f"**Learning curves** · {_epochs(table)}")
        figure = curves(table, dark=is_dark())
        st.plotly_chart(figure, theme=None, config=CHART, key="curves", alt="Loss by epoch, a colour per fold")
    if trials["closed"].all():
        cells = data.cells(study, rate, measure)
        for cell in rows(cells[(cells["fraction"] == fraction) & (cells["strategy"] == strategy)]):
            if told := false_positives(cell):
                st.caption(f"{told[:1].upper()}{told[1:]}; Dice and IoU are of the other images.")
        _images(study, trials, name, measure)
    else:
        st.caption(f"{trials['closed'].sum()} of {len(trials)} trials done. Test images come with the last one.")


def _epochs(table: pd.DataFrame) -> str:
    ran = table.groupby("id")["epoch"].max()
    if not len(ran):
        return "none yet"
    return f"{ran.min()} epochs" if ran.min() == ran.max() else f"{ran.min()} to {ran.max()} epochs"


def _images(study: str, trials: pd.DataFrame, name: str, measure: str) -> None:
    chosen = extremes_table(data.test_images(study, trials), trials, SHOWN, measure)
    pictures = data.pictures(study, trials, SHOWN, measure)
    if pictures is None:
        st.info("The study's images are no longer in the cache: run the study again to read them anew.")
        st.dataframe(chosen[["end", "image", "group", "fold", "dice", "iou", "predicted_pixels"]], hide_index=True)
        return
    for end, title in ENDS.items():
        shown = chosen[chosen["end"] == end]
        if not len(shown):
            continue
        st.html(f"<b>{title}</b> · {KEY}")
        with st.container(key=f"{end}-images"):
            for column, row in zip(st.columns(SHOWN), rows(shown), strict=False):
                group = f" · {row.group}" if row.group else ""
                where = f"{PurePosixPath(row.image).name}{group} · fold {row.fold}"
                found = f"{name} {getattr(row, measure):.2f}"
                if end == "normal":
                    found = f"normal, {row.predicted_pixels:,} pixels predicted"
                column.image(
                    pictures[row.Index], f"**{found}** · {where}", "stretch", alt=f"{row.image}, truth and prediction"
                )
