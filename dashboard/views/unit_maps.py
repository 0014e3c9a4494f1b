"""The feature maps of units: how much they changed, then each map before fine-tuning beside itself after."""

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.figures.feature_maps import CHANGE, caption, changes, changes_table, feature_table, pair, told
from dashboard.figures.rows import rows
from dashboard.inference.worker import Maps
from dashboard.views import drawn
from dashboard.views.chart import is_dark
from dashboard.views.tiles import grid

COLUMNS = 4


def draw(image: np.ndarray, maps: dict[str, Maps], source: pd.Series, most: int) -> None:
    """The image beside the changes of all maps, then the `most` changed maps of each unit; `source` is its row."""
    tables = {f"unit {unit}": feature_table(*both) for unit, both in maps.items()}
    left, right = st.columns([1, 4], gap="large", vertical_alignment="center")
    left.image(image, "truth and prediction after fine-tuning", "stretch", alt="The image with both outlines")
    with right:
        table = changes_table(tables)
        drawn.draw(changes(table, dark=is_dark()), table, "changes", alt="Change of each map", note=CHANGE)
    aspect = float(source["source_width"]) / float(source["source_height"])
    for (unit, (before, after)), ordered in zip(maps.items(), tables.values(), strict=True):
        st.subheader(f"Unit {unit}", anchor=False, divider="gray")
        size = f"{before.shape[2]} × {before.shape[1]} pixels"
        st.caption(f"{told(ordered)} · maps of {size} · left before fine-tuning, right after")
        shown = ordered.head(most)
        pictures = [pair(before[row.channel], after[row.channel], aspect=aspect) for row in rows(shown)]
        grid(pictures, [caption(row) for _, row in shown.iterrows()], columns=COLUMNS, key=f"maps-{unit}")
