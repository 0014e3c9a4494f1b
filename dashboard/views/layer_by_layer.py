"""Layer by layer: blocks that join one after the other, from either end, and each alone; what gradients foretold."""

import streamlit as st

from dashboard import data
from dashboard.figures.cells import Rate
from dashboard.figures.layers import NOTE, layers, layers_table
from dashboard.figures.means import interval_note
from dashboard.views import drawn, ranking
from dashboard.views.chart import choose_picture, is_dark

MAKES = "tune_configs/layerwise.yaml"
"""The study file that has all series."""
SERIES = 24
"""Strategies of all series in blocks: nine alone, seven more from each end, and the whole network that ends both."""
EXAMPLE = "BUS"
UNITS_NEED = "Name them in the study file: `first 2 units`, `last 3 units`, or a single unit."
UNITS_NOTE = (
    "A line per part of the images that trains and validates; small dots: folds. In the first two panels more learns "
    "from left to right, up to the whole network; their lines pass over steps that were not run."
)


def page() -> None:
    """One figure; it renews itself while the study runs."""
    study = drawn.begin("Layer by layer")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        rate = drawn.rate(study)
        cells = drawn.choose_dataset(drawn.cells(study, rate), "" if study else EXAMPLE, "layers data")
        choose_picture()
    dataset = cells["dataset"].iloc[0]
    drawn.renewed(study, _layers, rate, dataset)
    if study is not None and dataset in set(data.cells(study, rate, data.main(study).column)["dataset"]):
        drawn.renewed(study, ranking.beside_truth, rate, dataset)


def _layers(study: str | None, rate: Rate, dataset: str) -> None:
    cells = drawn.cells(study, rate)
    masks = study is None or data.task(study) == "segmentation"
    model = "unet" if masks else str(data.plan(study)["model"].iloc[0]) if study else "unet"
    table = layers_table(cells[cells["dataset"] == dataset], model)
    if not table["mean"].notna().any():
        more = f"`whichlayers run {MAKES}` runs all of them." if masks else UNITS_NEED
        st.info(f"No strategy of a series is complete in this study. {more}")
        return
    if masks and table["strategy"].nunique() < SERIES:
        st.caption(f"Only what was run is drawn; `whichlayers run {MAKES}` runs each step of each series.")
    measure = data.main(study).main if study else "Dice"
    alt = f"{measure} by the number of blocks that learn, from the input on, from the output on, and alone"
    note = f"{dataset}. {NOTE if masks else UNITS_NOTE} {interval_note(table)}"
    figure = layers(table, measure=measure, model=model, dark=is_dark())
    drawn.draw(figure, table, "layers", alt=alt, note=note, narrowest=620)
