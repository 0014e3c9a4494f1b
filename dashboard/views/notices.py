"""What an action had to say: it stays for a while, since pages draw themselves again for reasons of their own."""

import time

import streamlit as st

SECONDS = 30.0
"""How long a line stays readable."""


def say(key: str, *lines: str) -> None:
    """Keeps `lines` for the place `key` of this session, instead of what was said there before."""
    st.session_state[f"said {key}"] = (time.monotonic(), lines)


def said(key: str) -> tuple[str, ...]:
    """What was said at `key` not long ago."""
    at, lines = st.session_state.get(f"said {key}", (0.0, ()))
    return lines if time.monotonic() - at < SECONDS else ()
