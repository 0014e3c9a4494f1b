"""Reader study: the page on which a person classifies test frames, and how far each reader is."""

from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.views.chart import is_dark
from dashboard.views.finished import begin
from engine import reader_study

HEIGHT = """<style>
.st-key-reader iframe {height: calc(100vh - 11rem); min-height: 30rem}
.st-key-reader, .st-key-reader [data-testid="stElementContainer"] {height: auto}
</style>"""
SHOWN = {
    "reader": "Reader",
    "answered": "Answered",
    "frames": "Frames",
    "seconds": "Seconds a frame (median)",
    "hours": "Hours",
    "undone": "Undone",
    "sittings": "Sittings",
    "opened": "Labelled frames opened",
    "labelled_seconds": "Seconds with labelled frames",
    "years": "Years of experience",
    "examinations": "Examinations",
    "exposure": "Seen before",
    "note": "Note",
}
"""Nothing here says whether an answer was right: the pages of results do."""


def page() -> None:
    """The reader page in a frame, a way to have it alone, and the readers."""
    study = begin("Reader study", "Readers")
    if study is None:
        return
    there = data.store()
    prefix = st.get_option("server.baseUrlPath").strip("/")
    query = urlencode({"study": study, "theme": "dark" if is_dark() else "light"})
    address = f"{'/' + prefix if prefix else ''}/reader/?{query}"
    st.html(HEIGHT)
    st.caption(
        "A person classifies the test frames by key and stands beside the networks on the pages of results. "
        f"For long sittings, [open it in a window of its own]({address}): the other pages show classes."
    )
    for line in reader_study.damaged(there, study):
        st.warning(line)
    with st.container(key="reader"):
        st.iframe(address, height=700, alt="Classification of frames by a person")
    readers = reader_study.summary(there, study)
    if len(readers):
        with st.expander(f"Readers ({len(readers)})", icon=":material/group:"):
            st.dataframe(_shown(readers), hide_index=True, width="stretch")


def _shown(readers: pd.DataFrame) -> pd.DataFrame:
    table = readers[list(SHOWN)].rename(columns=SHOWN)
    return table.round({"Seconds a frame (median)": 1, "Hours": 2, "Seconds with labelled frames": 0})
