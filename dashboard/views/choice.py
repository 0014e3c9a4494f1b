"""Choices that live in the page's address: a link shows what its sender saw, a way back finds what was chosen."""

from collections.abc import Mapping, Sequence

import streamlit as st


def switch(label: str, options: Sequence[str], key: str) -> str:
    """One of few options, side by side."""
    _recall(key, options)
    st.segmented_control(label, options, required=True, key=key)
    return _tell(key, options)


def select(
    label: str,
    options: Sequence[str],
    key: str,
    *,
    width: int | None = None,
    always: bool = False,
    counts: Mapping[str, int] | None = None,
) -> str:
    """One of many options, in a list; `always` names it in the address even where it is the first.

    `counts` are written behind the options that have one.
    """
    _recall(key, options)
    known = counts or {}

    def shown(option: str) -> str:
        return f"{option} ({known[option]:,})" if option in known else option

    st.selectbox(label, options, key=key, width=width or "stretch", format_func=shown if counts else str)
    return _tell(key, options, always=always)


def several(
    label: str, options: Sequence[str], key: str, *, width: int = 240, placeholder: str = "other studies"
) -> list[str]:
    """Any number of options, none at first."""
    asked = (st.session_state.get(key), st.session_state.get(f"chosen {key}"), st.query_params.get_all(key))
    chosen = next(found for found in asked if found is not None)
    st.session_state[key] = [value for value in chosen if value in options]
    st.multiselect(label, options, key=key, width=width, placeholder=placeholder)
    values = [str(value) for value in st.session_state[key]]
    st.session_state[f"chosen {key}"] = values
    if values and st.query_params.get_all(key) != values:
        st.query_params[key] = values
    elif not values and key in st.query_params:
        del st.query_params[key]
    return values


def _recall(key: str, options: Sequence[str]) -> None:
    # Streamlit forgets a widget's value when another page is shown, so a copy is kept.
    asked = (st.session_state.get(key), st.session_state.get(f"chosen {key}"), st.query_params.get(key))
    st.session_state[key] = next((value for value in asked if value in options), options[0])


def _tell(key: str, options: Sequence[str], *, always: bool = False) -> str:
    value = str(st.session_state[key])
    st.session_state[f"chosen {key}"] = value
    if value != options[0] or always:
        if st.query_params.get(key) != value:
            st.query_params[key] = value
    elif key in st.query_params:
        del st.query_params[key]
    return value
