"""Keeps what is computed from a study's files: of each question the answer for the state that was asked of last.

A study that trains changes every few seconds, and nobody asks for what it was before: kept by version, sixteen plans
and tables of one study were as much memory as sixteen studies. Whoever asks waits while another computes the same
question's answer, as with Streamlit's caches.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import wraps
from threading import Lock
from typing import Any, Concatenate, ParamSpec, TypeVar

import streamlit as st

P = ParamSpec("P")
Found = TypeVar("Found")


@dataclass
class _Slot:
    lock: Lock = field(default_factory=Lock)
    version: str | None = None
    found: Any = None


def one_version(
    studies: int,
) -> Callable[[Callable[Concatenate[str, str, str, P], Found]], Callable[Concatenate[str, str, str, P], Found]]:
    """Keeps answers of a function of (store, study, version of the study, what else decides), computed by one caller.

    At most `studies` answers are kept, of studies or of what else decides; the one that was asked last goes last.
    """

    def keep(
        compute: Callable[Concatenate[str, str, str, P], Found],
    ) -> Callable[Concatenate[str, str, str, P], Found]:
        def slot(*key: Hashable) -> _Slot:
            return _Slot()

        slot.__module__, slot.__qualname__ = compute.__module__, compute.__qualname__  # what Streamlit tells caches by
        slots = st.cache_resource(max_entries=studies, show_spinner=False)(slot)

        @wraps(compute)
        def asked(root: str, study: str, version: str, /, *rest: P.args, **named: P.kwargs) -> Found:
            own = slots(root, study, *rest, *named.items())
            with own.lock:
                if own.version != version:
                    own.found, own.version = compute(root, study, version, *rest, **named), version
                found: Found = own.found
                return found

        return asked

    return keep
