"""The frames of the region that was chosen on a map, and a small confusion of them."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from dashboard import data_images
from dashboard.figures.embedding_map import WRONG, about, confusion, confusion_table, tile
from dashboard.figures.rows import rows
from dashboard.views import drawn, map_chart, said
from dashboard.views.chart import is_dark

PAGE, COLUMNS = 16, 8


def draw(study: str, tables: Mapping[str, pd.DataFrame], classes: list[str]) -> None:
    """Wrong ones first; says how to choose where nothing is chosen."""
    after = tables["after"]
    part = after[after["index"].isin(map_chart.chosen().frames)]
    if not len(part):
        st.caption("Draw around a region of a map, or click a point: its frames and their confusion stand here.")
        return
    part = part.assign(_wrong=part["answer"] != WRONG).sort_values(["_wrong", "label", "index"], kind="stable")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"Chosen region · {about(part)}", anchor=False, width="content")
        st.button("Clear", icon=":material/close:", type="tertiary", key="clear map", on_click=map_chart.clear)
    counts = confusion_table(part, classes)
    left, right = st.columns([3, 1], gap="large") if len(counts) else (st.container(), None)
    with left:
        start = said.turn(len(part), PAGE, "map page")
        _tiles(study, part.drop(columns="_wrong").iloc[start : start + PAGE])
    if right:
        with right:
            note = "Test frames of the region, after fine-tuning: rows are true classes, the colour is the row's part."
            drawn.draw(
                confusion(counts, dark=is_dark()), counts.reset_index(), "region", alt="Confusion of the region",
                note=note,
            )  # fmt: skip


def _tiles(study: str, part: pd.DataFrame) -> None:
    narrow = ".st-key-region-images [data-testid='stColumn'] {min-width: calc(25% - 0.75rem)}"
    st.html(f"<style>@media (max-width: 640px) {{{narrow}}}</style>")
    with st.container(key="region-images"):
        for begin in range(0, len(part), COLUMNS):
            for column, row in zip(st.columns(COLUMNS), rows(part.iloc[begin : begin + COLUMNS]), strict=False):
                with column:
                    st.image(
                        data_images.picture(study, int(row.index), longest=240), width="stretch", alt=str(row.label)
                    )
                    st.html(tile(row))
