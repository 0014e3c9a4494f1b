"""A trained network as a file of its own: which, as what, and the file when it is made."""

import streamlit as st

from dashboard.exports import Export
from dashboard.launch.models import KINDS, model_name, zip_model
from dashboard.places import cache_root, store_root
from dashboard.trained_trials import TrainedStudies
from engine.errors import WhichLayersError
from engine.store import Store

MADE = "network taken along"
"""Where a session keeps the last file: what was asked for, and its place on disk."""


def section(study: str) -> None:
    """Below the frame; nothing is made before its button is pressed."""
    trials = _studies(store_root()).trials(study)
    if not trials:
        return
    with st.expander("Take a trained network along", icon=":material/deployed_code:"):
        labels = {trial: label for label, trial in trials}
        first, second, third = st.columns([5, 3, 2], vertical_alignment="bottom")
        trial = first.selectbox(
            "Trained trial: most images first, then best validation", list(labels), format_func=labels.__getitem__
        )
        kind = second.segmented_control("As", list(KINDS), default="safetensors", required=True)
        asked = (study, trial, kind)
        if third.button("Make the file", width="stretch"):
            _make(study, trial, kind)
        made, export = st.session_state.get(MADE, ((), None))
        if export is not None and made == asked and export.file.is_file():  # else it is gone after a day
            said = f"{export.file.name} ({export.file.stat().st_size / 1e6:.1f} MB)"
            st.link_button(said, export.address, icon=":material/download:", type="primary")
        st.caption(
            "With its model card: data, split, start weights, strategy, measures, limits. Its answers are "
            "compared with the network's on test images first. For research, not for diagnosis."
        )


def _make(study: str, trial: str, kind: str) -> None:
    st.session_state.pop(MADE, None)
    export = Export(f"{model_name(study, trial, kind)}.zip")
    with st.spinner("Writing the network and comparing its answers …", show_time=True):
        try:
            zip_model(study, trial, kind, store_root(), cache_root(), export.file)
        except WhichLayersError as error:
            st.error("  \n".join(str(error).splitlines()))
            return
    st.session_state[MADE] = ((study, trial, kind), export)


@st.cache_resource(max_entries=8, show_spinner=False)
def _studies(root: str) -> TrainedStudies:
    return TrainedStudies(Store.at(root))
