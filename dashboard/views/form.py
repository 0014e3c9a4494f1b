"""Fields of the study file: empty where it leaves a key out, with the default behind; a change rewrites the file."""

from collections.abc import Sequence

import streamlit as st

from dashboard.launch.study_text import Entry, Key, entries, read, shown, typed, value_at, with_value
from dashboard.views import notices
from engine.errors import StudyFileError

FILE = "study file"
"""Key of the session under which the text lies; a widget of that name would be forgotten with the page."""
FIELDS, TEXT = "fields drawn", "text drawn"
"""Keys of the session: how often fields, and the text, were replaced by the other. It is part of their widgets' keys:
what a browser still holds of an earlier one is no change. It does say it, as a part of the page that renews itself
asks before the browser has drawn the later ones; what is called then looks first whether the widget is the current."""
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


def hold(widget: str, value: object) -> None:
    """Lets a widget show `value`; one that does already is not told, lest it undo what is being typed into it."""
    if widget not in st.session_state or st.session_state[widget] != value:
        st.session_state[widget] = value


def ask_text(label: str, *, height: int) -> None:
    """The study file as a text that can be changed."""
    widget = f"form text {st.session_state[TEXT]}"
    hold(widget, text())
    st.text_area(
        label, key=widget, height=height, on_change=_typed, args=(widget,),
        help="Change it here, or by the form: both are the same study.",
    )  # fmt: skip


def _typed(widget: str) -> None:
    if widget == f"form text {st.session_state[TEXT]}":
        replace(st.session_state[widget])


def ask(key: Key, *, label: str = "", width: int | None = None) -> None:
    """The widget of one key: a list where its words are few, else a line to type in."""
    entry, widget = ENTRIES[key], state(key)
    tree = read(text())
    words = _words(entry)
    current = shown(entry, tree)
    if words:
        hold(widget, current if current in words else None)
        st.selectbox(
            label or entry.label, words, key=widget, help=entry.field.doc, placeholder=_default(entry) or "choose …",
            on_change=_changed, args=(entry, widget), width=width or "stretch", index=None,
        )  # fmt: skip
        return
    hold(widget, current)
    st.text_input(
        label or entry.label, key=widget, help=entry.field.doc, placeholder=_default(entry), on_change=_changed,
        args=(entry, widget), width=width or "stretch",
    )  # fmt: skip


def ask_list(key: Key, label: str, options: Sequence[str], *, new: bool = True, placeholder: str = "") -> None:
    """A list of which `options` are the usual entries; others can be typed."""
    entry, widget = ENTRIES[key], state(key)
    found = value_at(read(text()), key)
    items = [] if found is None else [found] if isinstance(found, str | int | float) else list(found)
    hold(widget, [_text(item) for item in items])
    every = list(dict.fromkeys([*options, *st.session_state[widget]]))
    st.multiselect(
        label, every, key=widget, help=entry.field.doc, accept_new_options=new, on_change=_listed,
        args=(entry, widget), placeholder=placeholder or _default(entry),
    )  # fmt: skip


def _text(item: object) -> str:
    return f"{item:g}" if isinstance(item, float) else str(item)


def chosen(key: Key, widget: str) -> None:
    """Writes what the widget of a key says into the file, if it is the current one."""
    if widget == state(key):
        put(key, st.session_state[widget])


def _listed(entry: Entry, widget: str) -> None:
    if widget != state(entry.key):
        return
    items = ", ".join(f'"{item}"' if "," in item else item for item in st.session_state[widget])
    put(entry.key, typed(entry, items))


def _changed(entry: Entry, widget: str) -> None:
    if widget != state(entry.key):
        return
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
