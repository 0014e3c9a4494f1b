"""Fields of the study file: empty where it leaves a key out, with the default behind; a change rewrites the file."""

from collections.abc import Sequence

import streamlit as st

from dashboard.launch.study_text import Entry, Key, entries, read, shown, typed, value_at, with_value
from dashboard.views import notices
from engine.errors import StudyFileError

FILE = "study file"
"""Key of the session under which the text lies; a widget of that name would be forgotten with the page."""
FIELDS, TEXT = "fields drawn", "text drawn"
"""Keys of the session: how often fields, and the text, were replaced by the other. It is part of their widgets' keys,
so that what a browser still holds of an earlier one is never taken for a change."""
ENTRIES = {entry.key: entry for section in entries().values() for entry in section}


def text() -> str:
    """The study file as it is now."""
    return str(st.session_state[FILE])


def begin(first: str) -> None:
    """The file that the form begins with, where there is none yet."""
    st.session_state.setdefault(FILE, first)
    st.session_state.setdefault(FIELDS, 0)
    st.session_state.setdefault(TEXT, 0)


def replace(file: str) -> None:
    """Another file: all fields are drawn anew."""
    st.session_state[FILE] = file
    st.session_state[FIELDS] += 1


def put(key: Key, value: object) -> None:
    """Writes a value into the file, whose text is drawn anew; None takes the key out."""
    notices.say("form")
    try:
        st.session_state[FILE] = with_value(text(), key, value)
    except StudyFileError as error:
        notices.say("form", *error.problems)
    st.session_state[TEXT] += 1


def state(key: Key) -> str:
    """Key of the field's widget."""
    return f"form {st.session_state[FIELDS]} {'.'.join(key)}"


def ask(key: Key, *, label: str = "", width: int | None = None) -> None:
    """The widget of one key: a list where its words are few, else a line to type in."""
    entry, widget = ENTRIES[key], state(key)
    tree = read(text())
    words = _words(entry)
    current = shown(entry, tree)
    if words:
        st.session_state[widget] = current if current in words else None
        st.selectbox(
            label or entry.label, words, key=widget, help=entry.field.doc, placeholder=_default(entry) or "choose …",
            on_change=_changed, args=(entry, widget), width=width or "stretch", index=None,
        )  # fmt: skip
        return
    st.session_state[widget] = current
    st.text_input(
        label or entry.label, key=widget, help=entry.field.doc, placeholder=_default(entry), on_change=_changed,
        args=(entry, widget), width=width or "stretch",
    )  # fmt: skip


def ask_list(key: Key, label: str, options: Sequence[str], *, new: bool = True, placeholder: str = "") -> None:
    """A list of which `options` are the usual entries; others can be typed."""
    entry, widget = ENTRIES[key], state(key)
    found = value_at(read(text()), key)
    items = [] if found is None else [found] if isinstance(found, str | int | float) else list(found)
    st.session_state[widget] = [_text(item) for item in items]
    every = list(dict.fromkeys([*options, *st.session_state[widget]]))
    st.multiselect(
        label, every, key=widget, help=entry.field.doc, accept_new_options=new, on_change=_listed,
        args=(entry, widget), placeholder=placeholder or _default(entry),
    )  # fmt: skip


def _text(item: object) -> str:
    return f"{item:g}" if isinstance(item, float) else str(item)


def _listed(entry: Entry, widget: str) -> None:
    chosen = ", ".join(f'"{item}"' if "," in item else item for item in st.session_state[widget])
    put(entry.key, typed(entry, chosen))


def _changed(entry: Entry, widget: str) -> None:
    value = st.session_state[widget]
    if value is None:
        put(entry.key, None)
    elif entry.kind == "yes or no":
        put(entry.key, value == "yes")
    else:
        put(entry.key, typed(entry, str(value)))


def _words(entry: Entry) -> list[str]:
    if entry.kind == "yes or no":
        return ["yes", "no"]
    return [str(choice) for choice in entry.field.choices]


def _default(entry: Entry) -> str:
    value = entry.field.default
    if value is None or value in ("", (), {}):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(_text(item) for item in value)
    return _text(value)
