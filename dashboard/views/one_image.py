"""One test image under several strategies, as in Fig. 5 of Amiri et al. 2020."""

import pandas as pd
import streamlit as st

from dashboard import data, data_images
from dashboard.figures.mask_rows import captions, frame_size, images_table, labels, mask_row_table, median_first
from dashboard.figures.rows import rows
from dashboard.figures.structures import box_around, one_each, unpacked
from dashboard.views import finished
from dashboard.views.choice import select
from dashboard.views.tiles import grid
from engine.datasets import Dataset

COLUMNS = 6
MOST = 13
"""Strategies shown where none is chosen: the paper's."""


def draw(study: str, source: Dataset, trials: pd.DataFrame) -> None:
    """Choices, then image, truth and a tile per strategy; at first the image with the reference's median Dice."""
    if not len(trials):
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        trials = finished.choose_percent(trials)
        known = list(dict.fromkeys(trials["strategy"]))
        chosen = st.multiselect(
            "Strategies", known, key="row strategies", bind="query-params", placeholder="all", width=420
        )
        zoomed = st.toggle("Zoom to the structure", key="zoom", bind="query-params")
    shown = (chosen or known)[:MOST]
    facts = data.facts(study)
    reference = next((name for name in known if name == facts.get("reference")), known[0])
    table = images_table(data_images.test_images(study, trials[trials["strategy"] == reference]), reference)
    say = f"Test image (the first has the median Dice of {reference}, the others follow from the highest)"
    index = int(table["index"].iloc[labels(table).index(select(say, median_first(table), "image"))])
    own = trials[trials["strategy"].isin(shown)]
    if not facts["data"].get("new_folds"):
        own = own[own["fold"].isin(set(table.loc[table["index"] == index, "fold"]))]
    tiles = mask_row_table(data_images.test_images(study, own), index, shown)
    side = source.masks.shape[1]
    truth = one_each(source.masks[index], len(source.structures))
    predictions = [unpacked(packed, side) for packed in tiles["predicted_mask"] if packed is not None]
    box = box_around([truth, *predictions]) if zoomed else None
    pictures = [
        data_images.picture(study, index, row.predicted_mask, truth=row.kind != "image", box=box) for row in rows(tiles)
    ]
    grid(pictures, captions(tiles, frame_size(source.table.iloc[index])), columns=COLUMNS, key="row")
