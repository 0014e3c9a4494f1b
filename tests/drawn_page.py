"""A page of the dashboard as Streamlit's script runs it, without a server."""

from collections.abc import Mapping
from typing import Any

from streamlit.testing.v1 import AppTest


def drawn_page(
    page: str, study: str | None, asked: Mapping[str, str | list[str]] = {}, state: Mapping[str, Any] = {}
) -> AppTest:
    """The page (its module in `dashboard.views`) after its script ran.

    `asked` is what its address asks for, `state` what the session holds already.
    """
    test = AppTest.from_function(_script, default_timeout=90)
    test.session_state["page name"], test.session_state["current"] = page, study
    for key, value in state.items():
        test.session_state[key] = value
    for key, value in asked.items():
        test.query_params[key.replace("_", " ")] = value
    test.run()
    assert not test.exception, test.exception
    return test


def texts(test: AppTest) -> str:
    """The words of the page."""
    parts = (test.markdown, test.caption, test.info, test.subheader, test.error)
    return "\n".join(part.value for kind in parts for part in kind)


def _script() -> None:
    import importlib

    import streamlit as st

    importlib.import_module(f"dashboard.views.{st.session_state['page name']}").page()
