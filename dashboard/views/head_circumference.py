"""Head circumference in mm: predicted masks against the data set's own, by Bland and Altman."""

import pandas as pd
import streamlit as st

from dashboard import data_images
from dashboard.figures.circumference import REFERENCES, agreement, bland_altman, caption, farthest, told
from dashboard.figures.curve_sheet import fold_key
from dashboard.figures.structures import key
from dashboard.views import drawn, finished
from dashboard.views.chart import is_dark
from dashboard.views.choice import switch
from dashboard.views.tiles import grid
from engine.datasets import Dataset

SHOWN = 6
HOW = (
    "An ellipse is fitted by least squares to the outline of each mask's largest part, scaled back to the source's "
    "pixels (Halir & Flusser 1998); its circumference after Ramanujan (1914). Several images of one woman are not "
    "independent: the limits describe these images, they are no interval."
)


def draw(study: str, source: Dataset, trials: pd.DataFrame) -> None:
    """The cell, how well it agrees, the plot, and what the method itself is off by."""
    trials = finished.converged(trials)
    if not len(trials):
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        chosen = finished.choose_strategy(finished.choose_percent(trials))
        reference = REFERENCES[switch("Held against", list(REFERENCES), "circumference of")]
    table = data_images.circumferences(study, chosen)
    st.markdown(told(agreement(table, reference)))
    st.html(fold_key(sorted(set(table["fold"]))))
    figure = bland_altman(table, reference, dark=is_dark())
    alt = "Difference of predicted and reference circumference against their mean"
    drawn.draw(figure, table, "bland-altman", alt=alt, note=f"{_floor(table)}{HOW}")
    shown = farthest(table, reference, SHOWN)
    st.html(f"<b>Largest differences</b> &nbsp; {key(source.structures)}")
    packed = data_images.test_images(study, chosen).drop_duplicates("index").set_index("index")["predicted_mask"]
    pictures = [data_images.picture(study, index, packed[index], truth=True, longest=340) for index in shown["index"]]
    grid(pictures, [caption(row, reference) for _, row in shown.iterrows()], columns=SHOWN, key="farthest")
    unknown = source.table["spacing_mm"].isna().sum()
    if unknown:
        st.caption(f"{unknown} of {len(source.table)} images have no pixel size and are left out.")


def _floor(table: pd.DataFrame) -> str:
    """How far off the method itself is, where there are true masks and circumferences to tell."""
    floor = agreement(table, "manifest_mm", "truth_mm")
    if not floor.images:
        return ""
    return (
        "The method itself: ellipses through the true masks at the network's size differ from the data set's own by "
        f"{floor.mean_difference:+.1f} mm on average (mean absolute {floor.mean_absolute:.1f} mm, n = {floor.images}). "
    )
