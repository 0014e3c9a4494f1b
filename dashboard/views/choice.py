"""Choices that live in the page's address: a link shows what its sender saw, a way back finds what was chosen."""

from collections.abc import Collection, Mapping, Sequence

import streamlit as st


def switch(label: str, options: Sequence[str], key: str) -> str:
    """One of few options, side by side."""
    st.segmented_control(label, options, required=True, key=_recall(key, options))
    return _tell(key, options)


def put(key: str, value: str) -> None:
    """Chooses for the reader, as after a click in a chart.

    The widget is another one from then on: a part of the page that renews itself while the browser has not heard of
    the choice yet sends what the widget said before, and would take the choice back.
    """
    st.session_state[f"chosen {key}"] = value
    st.session_state[f"put {key}"] = st.session_state.get(f"put {key}", 0) + 1


def current(key: str, options: Collection[str], first: str) -> str:
    """What is chosen of `options`: in the widget, on the page before, or in the address; else `first`."""
    asked = (st.session_state.get(_widget(key)), st.session_state.get(f"chosen {key}"), st.query_params.get(key))
    return next((str(value) for value in asked if value in options), first)


def select(
    label: str,
    options: Sequence[str],
    key: str,
    *,
    width: int | None = None,
    first: str | None = None,
    always: bool = False,
    counts: Mapping[str, int] | None = None,
) -> str:
    """One of many options, in a list, at first `first` or the first of them.

    `always` names it in the address even where it is the first; `counts` are written behind the options that have one.
    """
    widget = _recall(key, options, first)
    known = counts or {}

    def shown(option: str) -> str:
        return f"{option} ({known[option]:,})" if option in known else option

    st.selectbox(label, options, key=widget, width=width or "stretch", format_func=shown if counts else str)
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


def _widget(key: str) -> str:
    count = st.session_state.get(f"put {key}", 0)
    return f"{key} {count}" if count else key


def _recall(key: str, options: Sequence[str], first: str | None = None) -> str:
    # Streamlit forgets a widget's value when another page is shown, so a copy is kept.
    widget = _widget(key)
    st.session_state[widget] = current(key, options, options[0] if first is None else first)
    return widget


def _tell(key: str, options: Sequence[str], *, always: bool = False) -> str:
    value = str(st.session_state[_widget(key)])
    st.session_state[f"chosen {key}"] = value
    if value != options[0] or always:
        if st.query_params.get(key) != value:
            st.query_params[key] = value
    elif key in st.query_params:
        del st.query_params[key]
    return value
