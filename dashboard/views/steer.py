"""What steers a study that runs: stop, trials at once, retry, give up one trial. Every button shows its command."""

import hashlib
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data, machine_use
from dashboard.figures.gallery import percent
from dashboard.figures.trial_states import STATES
from dashboard.launch import runs
from dashboard.places import cache_root, command, store_root
from dashboard.views import headline
from engine import steering
from engine.errors import WhichLayersError

EARLY_SECONDS = 3.0
"""Time in which a run that cannot begin has usually said so."""
SHOWN = ["strategy", "fraction", "fold", "learning_rate", "seed"]


def study(study: str, progress: Mapping[str, Any], states: pd.DataFrame) -> None:
    """Stop or go on, retry what failed, and how many trials run at once."""
    alive = bool(progress.get("alive"))
    failed = states["state"].isin(("error", "cancelled")).sum()
    waiting = (states["state"] == "waiting").sum() or states.empty
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        _button(
            "Stop the study", ":material/stop_circle:", ("stop", study), alive,
            lambda: steering.stop(data.store(), study), "It stops within seconds; what is finished is kept.",
        )  # fmt: skip
        _button(
            "Go on", ":material/play_circle:", ("run", study),
            not alive and bool(waiting), lambda: _resume(study), "It is started again, for what is missing.",
        )  # fmt: skip
        _button(
            "Retry failed trials", ":material/replay:", ("retry", study), bool(failed),
            lambda: steering.retry(data.store(), study),
            "They run again now." if alive else "They run again with the next run: press 'Go on'.",
        )  # fmt: skip
        _at_once(study, progress)


def _at_once(study: str, progress: Mapping[str, Any]) -> None:
    now, room = int(progress.get("at_once") or 0), int(progress.get("room") or 0)
    if not progress.get("alive") or not room:
        return
    chosen = st.number_input("Trials at once", 1, room, value=min(max(now, 1), room), key=f"at once {study}", width=140)
    _button(
        "Set", ":material/speed:", ("workers", study, str(chosen)), chosen != now,
        lambda: steering.workers(data.store(), study, int(chosen)), "Trials that run are not cut off.",
    )  # fmt: skip


def trials(study: str, states: pd.DataFrame) -> None:
    """A row per trial by state; the chosen one can be given up."""
    there = [name for name in STATES if (states["state"] == name).any()]
    st.subheader("Trials", anchor=False, divider="gray")
    first = [name for name in ("running", "error") if name in there] or there
    chosen = st.pills(
        "State", there, selection_mode="multi", default=first, key=f"states {study}", format_func=lambda x: STATES[x][0]
    )
    rows = states[states["state"].isin(chosen)].head(500)
    repeated = ["repeat"] if states["repeat"].any() else []
    table = rows[["state", *SHOWN, *repeated]].assign(
        state=rows["state"].map(lambda name: STATES[name][0]), fraction=rows["fraction"].map(percent),
        trial=rows["id"].str[:12],
    )  # fmt: skip
    ids = tuple(rows["id"])
    drawn = f"trials {study} {hashlib.sha256(repr(ids).encode()).hexdigest()[:12]}"
    st.dataframe(
        table, hide_index=True, height="content" if len(table) < 12 else 420, key=drawn,
        on_select=partial(_choose, study, drawn, ids), selection_mode="single-row",
        column_config={"fraction": "part of the images", "learning_rate": "learning rate"},
    )  # fmt: skip
    there_now = states[states["id"] == st.session_state.get(f"trial of {study}")]
    if len(there_now):
        row = there_now.iloc[0]
        short = str(row["id"])[:12]
        about = f"{row['strategy']}, {percent(row['fraction'])}, fold {row['fold']}"
        st.caption(f"Chosen: trial {short} · {about} · {STATES[row['state']][0]}")
        with st.container(horizontal=True):
            _button(
                f"Stop trial {short}", ":material/cancel:", ("stop", study, "--trial", short),
                row["state"] in ("waiting", "running", "error"),
                lambda: steering.cancel(data.store(), study, str(row["id"])), "It is left out, and recorded so.",
            )  # fmt: skip
            _button(
                f"Retry trial {short}", ":material/replay:", ("retry", study, "--trial", short),
                row["state"] in ("error", "cancelled"),
                lambda: steering.retry(data.store(), study, str(row["id"])), "It runs again.",
            )  # fmt: skip
    elif len(table):
        st.caption("Choose a row to stop or retry its trial.")


def _choose(study: str, drawn: str, ids: Sequence[str]) -> None:
    # By its id: the table changes while trials end, and a place in it would soon be another trial's.
    if places := st.session_state[drawn]["selection"]["rows"]:
        st.session_state[f"trial of {study}"] = ids[places[0]]


def failures(study: str) -> None:
    """Crashed trials with their tracebacks."""
    headline.crashes(study)


def machine(progress: Mapping[str, Any]) -> None:
    """How busy the machine of this server is, while a run is at work."""
    if not progress.get("alive"):
        return
    st.caption(machine_use.told(machine_use.machine_use()))


def _button(
    label: str, icon: str, words: tuple[str, ...], possible: bool, act: Callable[[], object], then: str
) -> None:
    told = command(*words)
    if not st.button(label, icon=icon, disabled=not possible, help=f"`{told}`", key=f"steer {' '.join(words)}"):
        return
    try:
        act()
    except WhichLayersError as error:
        st.error("  \n".join(error.problems))
        return
    st.toast(then)


def _resume(study: str) -> None:
    launched = runs.launch(data.store().study_text(study), store_root(), cache_root())
    with suppress(subprocess.TimeoutExpired):
        launched.process.wait(EARLY_SECONDS)
    if problems := launched.problems():
        raise WhichLayersError(problems)
