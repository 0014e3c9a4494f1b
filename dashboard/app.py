"""Streamlit entry: navigation and page frame only."""

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.navigation.page import StreamlitPage

from dashboard import data
from dashboard.pages import PAGES, TO_OPEN, fits, why_not
from dashboard.places import sign_out_address
from dashboard.views import (
    accuracy,
    agreement,
    comparisons,
    confusion,
    cost,
    curves,
    embedding_map,
    features,
    images,
    launch,
    layer_by_layer,
    live,
    masks,
    mistakes,
    published,
    quality,
    reader_study,
    results,
    running,
    strategies,
    studies,
)
from dashboard.views.choice import put, select
from engine.errors import WhichLayersError
from engine.trial import Task

VIEWS = {
    "launch": launch.page,
    "running": running.page,
    "studies": studies.page,
    "results": results.page,
    "accuracy": accuracy.page,
    "comparisons": comparisons.page,
    "cost": cost.page,
    "layer-by-layer": layer_by_layer.page,
    "published": published.page,
    "confusion": confusion.page,
    "mistakes": mistakes.page,
    "agreement": agreement.page,
    "embedding-map": embedding_map.page,
    "reader-study": reader_study.page,
    "strategies": strategies.page,
    "curves": curves.page,
    "masks": masks.page,
    "features": features.page,
    "quality": quality.page,
    "images": images.page,
    "live": live.page,
}

SHADES = ((88, 168, 104), (165, 207, 143), (240, 168, 115), (217, 105, 79))
STYLE = """<style>
.block-container, [data-testid="stMainBlockContainer"] {padding: 2.2rem 2.4rem 3rem; max-width: 1760px}
.st-key-table2 {overflow-x: auto}
.st-key-table2 > * {min-width: var(--table-width, 0)}
[data-testid="stSidebar"] {min-width: 220px; max-width: 230px}
[data-testid="stIFrame"], iframe {border: 0}
.st-key-live [data-testid="stElementContainer"], .st-key-live iframe {height: calc(100vh - 7rem) !important}
[data-testid="stElementContainer"] {opacity: 1 !important}  /* parts that renew themselves do not fade */
[data-testid="stButtonGroup"] button {min-height: 2.5rem}  /* as tall as the boxes beside them */
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


def task_of(study: str | None) -> Task | None:
    """What the study's networks learn; None where there is none, or its files cannot be read."""
    try:
        return data.task(study) if study and data.facts(study) else None
    except WhichLayersError:
        return None


st.set_page_config("WhichLayers", page_icon=Image.fromarray(ICON), layout="wide")
st.html(STYLE)
names = data.studies()
asked = st.query_params.get("open")  # the server sends the address of a page here, see `server.create`
if st.session_state.get(TO_OPEN) in names:
    put("study", st.session_state.pop(TO_OPEN))
with st.sidebar:
    study = select("Study", names, "study", always=True) if names else None
    if asked not in PAGES:  # a timer of a run that leaves for another page can break that page in the browser
        watch(study)
    if there := sign_out_address():
        st.html(f'<a href="{there}" style="font-size: 0.84rem">Sign out</a>')
st.session_state["current"] = study
task = task_of(study)
pages = {
    address: st.Page(
        VIEWS[address],
        title=title,
        icon=icon,
        url_path=address,
        default=address == "results",
        visibility="visible" if fits(address, task) else "hidden",
    )
    for address, (_, title, icon) in PAGES.items()
}
st.session_state["pages"] = pages
sections: dict[str, list[StreamlitPage]] = {}
for address, (section, _, _) in PAGES.items():
    sections.setdefault(section, []).append(pages[address])
chosen = st.navigation(sections, expanded=True)
if asked in pages:
    kept = {key: st.query_params.get_all(key) for key in st.query_params if key != "open"}
    st.switch_page(pages[asked], query_params=kept)
address = next(name for name, page in pages.items() if page == chosen)
try:
    if task is not None and not fits(address, task):
        st.title(chosen.title, anchor=False)
        st.info(why_not(address, task))
    else:
        chosen.run()
except WhichLayersError as error:
    st.error("  \n".join(error.problems))
