"""Masks: one image under several strategies, all test images of a cell, Fig. 7, and head circumferences."""

import streamlit as st

from dashboard import data
from dashboard.figures.circumference import is_measured
from dashboard.figures.structures import key
from dashboard.views import finished, head_circumference, mask_gallery, one_image, stages
from dashboard.views.choice import switch

PARTS = {
    "one image": one_image.draw,
    "gallery": mask_gallery.draw,
    "before and after": stages.draw,
    "head circumference": head_circumference.draw,
}


def page() -> None:
    """A switch, and the part that it names; head circumferences only where the data set has them."""
    study = finished.begin("Masks", "Predicted masks")
    if study is None:
        return
    source = data.dataset(study)
    if source is None:
        st.info(finished.GONE)
        return
    names = [name for name in PARTS if name != "head circumference" or is_measured(source.table)]
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        part = switch("Show", names, "masks")
        trials = finished.done(study)
    if part != "head circumference":
        st.html(key(source.structures))
    PARTS[part](study, source, trials)
