"""Live: the Gradio program of the same server, in a frame as high as the window; and trained networks to take along."""

from urllib.parse import urlencode

import streamlit as st

from dashboard.views import take_along
from dashboard.views.chart import is_dark


def page() -> None:
    """The frame; the study is passed on, and the page's theme. Below it, a network as a file."""
    st.title("Live", anchor=False)
    study = st.session_state["current"]
    if study is None:
        st.info("No study yet: when one has trained networks, they are shown your frames here.")
        return
    prefix = st.get_option("server.baseUrlPath").strip("/")
    choice = {"study": study, "trial": st.query_params.get("trial", ""), "__theme": "dark" if is_dark() else "light"}
    query = urlencode({key: value for key, value in choice.items() if value})
    with st.container(key="live"):
        st.iframe(
            f"{'/' + prefix if prefix else ''}/inference/?{query}",
            height=900,
            alt="What a network says of a frame",
        )
    take_along.section(study)
