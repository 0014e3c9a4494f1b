"""Running: the study's trials by state, live curves, the table as it fills, and the buttons that steer the run."""

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures import trial_states
from dashboard.launch import runs
from dashboard.places import cache_root
from dashboard.views import filling, headline, steer
from dashboard.views.chart import config, is_dark
from engine import steering
from engine.errors import WhichLayersError

EVERY = 2
"""Seconds after which the page looks again."""


def page() -> None:
    """State and buttons on top, then curves and table, trials and failures; renews itself while the run is at work."""
    st.title("Running", anchor=False)
    study: str | None = st.session_state["current"]
    if study is None:
        st.info("No study yet. Launch one, or begin one with `whichlayers run FILE`.")
        st.page_link(st.session_state["pages"]["launch"], label="Launch a study", icon=":material/rocket_launch:")
        return
    filling.looks(study)
    # When a run begins or ends, the frame draws the page again (`dashboard.app.watch`).
    st.fragment(_page, run_every=EVERY if data.is_busy(study) else None)(study)


def _page(study: str) -> None:
    progress = data.progress(study)
    try:
        states = steering.trial_states(data.store(), study)
    except WhichLayersError:
        states = pd.DataFrame(columns=["id", "state", "number"])
    if states.empty:
        st.info("This study is being prepared: images are read and start weights are made before trials are planned.")
    else:
        figure = trial_states.trial_states(trial_states.counts(states), dark=is_dark())
        st.plotly_chart(figure, theme=None, config=config("trials", "png"), key="trials by state")
    headline.caveat(study)
    headline.progress(study)
    steer.machine(progress)
    steer.study(study, progress, states)
    if progress.get("alive"):
        filling.curves(study)
        filling.standing(study)
    if len(states):
        steer.trials(study, states)
        steer.failures(study)
    _log(study)


def _log(study: str) -> None:
    log = runs.latest_log(study, cache_root())
    if log is not None and (said := runs.last_lines(log)):
        with st.expander("What its run says"):
            st.code(said, language=None)
