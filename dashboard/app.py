"""Streamlit entry: navigation and page frame only."""

import numpy as np
import streamlit as st
from PIL import Image

from dashboard import data
from dashboard.views import images, live, results
from dashboard.views.choice import select
from engine.errors import WhichLayersError

SHADES = ((88, 168, 104), (165, 207, 143), (240, 168, 115), (217, 105, 79))
STYLE = """<style>
.block-container, [data-testid="stMainBlockContainer"] {padding: 2.2rem 2.4rem 3rem; max-width: 1760px}
.st-key-table2 {overflow-x: auto}
.st-key-table2 > * {min-width: var(--table-width, 0)}
[data-testid="stSidebar"] {min-width: 220px; max-width: 230px}
[data-testid="stIFrame"], iframe {border: 0}
.st-key-live iframe {height: calc(100vh - 7rem)}
[data-testid="stElementContainer"] {opacity: 1 !important}  /* parts that renew themselves do not fade */
[data-testid="stImage"] img {border-radius: 6px}
[data-testid="stCaptionContainer"] p {font-size: 0.84rem}
@media (max-width: 640px) {
  .block-container, [data-testid="stMainBlockContainer"] {padding: 3.2rem 0.9rem 2rem}
  [class*="-images"] [data-testid="stColumn"], .st-key-frames [data-testid="stColumn"] {min-width: calc(50% - 0.6rem)}
}
</style>"""

ICON = np.repeat(np.repeat(np.array([SHADES], np.uint8).transpose(1, 0, 2), 8, axis=0), 32, axis=1)
"""Four layers; drawn here, since Streamlit's own page icons come from another host."""


@st.fragment(run_every=2)
def watch(study: str | None) -> None:
    """Runs the page again when a study appears, is planned, starts or ends: nothing else changes its parts."""
    now = data.outline(study)
    if st.session_state.setdefault("outline", (study, now)) != (study, now):
        before = st.session_state["outline"]
        st.session_state["outline"] = (study, now)
        if before[0] == study:
            st.rerun()


st.set_page_config("WhichLayers", page_icon=Image.fromarray(ICON), layout="wide")
st.html(STYLE)
pages = {
    "results": st.Page(results.page, title="Results", icon=":material/grid_on:", url_path="results", default=True),
    "images": st.Page(images.page, title="Images", icon=":material/image:", url_path="images"),
    "live": st.Page(live.page, title="Live", icon=":material/videocam:", url_path="live"),
}
chosen = st.navigation(list(pages.values()))
asked = st.query_params.get("open")  # the server sends the address of a page here, see `server.create`
if asked in pages:
    st.switch_page(pages[asked], query_params={key: value for key, value in st.query_params.items() if key != "open"})
names = data.studies()
with st.sidebar:
    study = select("Study", names, "study", always=True) if names else None
    watch(study)
st.session_state["current"] = study
try:
    chosen.run()
except WhichLayersError as error:
    st.error("  \n".join(error.problems))
