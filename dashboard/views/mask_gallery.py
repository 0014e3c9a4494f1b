"""All test images of a cell with truth and prediction, in the order of their Dice, page by page."""

import math

import pandas as pd
import streamlit as st

from dashboard import data_images
from dashboard.figures.gallery import caption, gallery_table, orders, summary
from dashboard.figures.rows import rows
from dashboard.views import finished
from dashboard.views.choice import select
from dashboard.views.tiles import grid
from engine.datasets import Dataset

PAGE = 24
COLUMNS = 6


def draw(study: str, source: Dataset, trials: pd.DataFrame) -> None:
    """The cell, its mean, and its test images."""
    if not len(trials):
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        trials = finished.choose_strategy(finished.choose_percent(trials))
        images = data_images.test_images(study, trials)
        table = gallery_table(images, select("Order", orders(images), "gallery order", width=180))
        first = _turn(len(table))
    shown = table.iloc[first : first + PAGE]
    st.caption(f"{summary(images)} · images {first + 1} to {first + len(shown)} of {len(table)}")
    pictures = [
        data_images.picture(study, row.index_, row.predicted_mask, truth=True, longest=340)
        for row in rows(shown.rename(columns={"index": "index_"}))
    ]
    units = sorted({unit for unit in trials.get("hd95_unit", []) if isinstance(unit, str) and unit})
    several = images["seed"].nunique() > 1
    captions = [
        caption(row, seeds=several, structures=source.structures, unit=units[0] if len(units) == 1 else "")
        for _, row in shown.iterrows()
    ]
    grid(pictures, captions, columns=COLUMNS, key="gallery")


def _turn(images: int) -> int:
    pages = max(math.ceil(images / PAGE), 1)
    if st.session_state.get("gallery page", 1) > pages:
        st.session_state["gallery page"] = pages
    if pages == 1:
        return 0
    number = st.number_input(f"Page of {pages}", 1, pages, key="gallery page", bind="query-params", width=140)
    return (number - 1) * PAGE
