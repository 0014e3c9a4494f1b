"""Layer by layer: blocks that join one after the other, from the input on or from the output on, and each alone."""

import streamlit as st

from dashboard.figures.cells import Rate
from dashboard.figures.layers import NOTE, layers, layers_table
from dashboard.figures.means import interval_note
from dashboard.views import drawn
from dashboard.views.chart import choose_picture, is_dark

MAKES = "tune_configs/layerwise.yaml"
"""The study file that has all series."""
SERIES = 24
"""Strategies of all series in blocks: nine alone, seven more from each end, and the whole network that ends both."""
EXAMPLE = "BUS"


def page() -> None:
    """One figure; it renews itself while the study runs."""
    study = drawn.begin("Layer by layer")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        rate = drawn.rate(study)
        cells = drawn.choose_dataset(drawn.cells(study, rate), "" if study else EXAMPLE, "layers data")
        choose_picture()
    drawn.renewed(study, _layers, rate, cells["dataset"].iloc[0])


def _layers(study: str | None, rate: Rate, dataset: str) -> None:
    cells = drawn.cells(study, rate)
    table = layers_table(cells[cells["dataset"] == dataset])
    if not table["mean"].notna().any():
        st.info(f"No strategy of a series is complete in this study. `whichlayers run {MAKES}` runs all of them.")
        return
    if table["strategy"].nunique() < SERIES:
        st.caption(f"Only what was run is drawn; `whichlayers run {MAKES}` runs each step of each series.")
    alt = "Dice by the number of blocks that learn, from the input on, from the output on, and alone"
    note = f"{dataset}. {NOTE} {interval_note(table)}"
    drawn.draw(layers(table, dark=is_dark()), table, "layers", alt=alt, note=note, narrowest=620)
