"""Between the press of Launch and the run: what it says when it cannot begin, and the way to the page that shows it."""

import streamlit as st

from dashboard import data
from dashboard.launch import runs
from dashboard.pages import TO_OPEN
from dashboard.places import cache_root, store_root
from dashboard.views import form, notices
from engine.errors import WhichLayersError

STARTING = "launching"
"""Key of the session: the run that is on its way."""


def button(is_sound: bool) -> None:
    """Starts the study of the form; disabled while one is on its way."""
    st.button(
        "Launch", type="primary", icon=":material/rocket_launch:", key="form launch", on_click=_start,
        disabled=not is_sound or STARTING in st.session_state,
    )  # fmt: skip


def go_on() -> None:
    """Opens the page of the run once the store has its study; until then says that it is starting, or why it ended."""
    for line in notices.said("launch"):
        st.error(line)
    launched = st.session_state.get(STARTING)
    if launched is None:
        return
    if _is_settled(launched):
        del st.session_state[STARTING]
        if problems := launched.problems():
            st.error("  \n".join(problems))
        else:
            st.session_state[TO_OPEN] = launched.study
            st.switch_page(st.session_state["pages"]["running"], query_params={"study": launched.study})
    else:
        st.fragment(_wait, run_every=1)(launched)


def _start() -> None:
    notices.say("launch")
    try:
        name = runs.checked(form.text()).name
        before = data.progress(name) if name in data.studies() else None
        st.session_state[STARTING] = runs.launch(form.text(), store_root(), cache_root(), before=before)
    except WhichLayersError as error:
        notices.say("launch", *error.problems)


def _wait(launched: runs.Launched) -> None:
    st.info(f"'{launched.study}' is starting …", icon=":material/hourglass_top:")
    if _is_settled(launched):
        st.rerun()


def _is_settled(launched: runs.Launched) -> bool:
    """Whether the run has ended, or has begun: of a study that was there before, once its settings were accepted.

    Of one that another run was at work on, that one's progress says nothing.
    """
    if launched.process.poll() is not None:
        return True
    now = data.progress(launched.study) if launched.study in data.studies() else {}
    if not now.get("alive") or (launched.beside is not None and now.get("process") == launched.beside):
        return False
    return not launched.is_known or now.get("state") == "running"
