"""The sentences above the table: the answer, where everything comes from, what a run is doing or why it ended."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard import data
from dashboard.figures.answer import caveats, progress_line
from dashboard.figures.measures import MAIN
from dashboard.figures.rows import rows
from dashboard.places import command
from dashboard.views.table import Shown


def before(study: str | None) -> None:
    """What stands in place of results while there are none."""
    if study is None:
        st.markdown(
            "No study yet. Run the built-in one with `make demo`, or your own images with "
            "`whichlayers run STUDY.yaml --data FOLDER`: it appears here by itself. Until then, the published table."
        )
        return
    st.markdown(
        "This study is being prepared: its table appears when its trials are planned. Until then, the published one."
    )
    st.fragment(progress, run_every=2)(study)


def draw(study: str, shown: Shown) -> None:
    """What is the matter, the answer and the recommendation, the provenance and the progress."""
    matters(study)
    running = data.is_busy(study)
    st.markdown(data.answer(study, shown.rate, shown.measure, shown.seed))
    advised = shown.measure in MAIN and not running
    if advised and (found := data.advice(study, shown.rate, shown.seed)):
        said, note = found
        st.markdown(said, help=note)
    told_of(study)
    caveat(study)
    progress(study)
    if running:  # rows that were finished since: they are shown when this part renews itself
        data.compute_statistics(study, shown.rate, shown.measure, shown.seed)


def matters(study: str) -> None:
    """What is the matter with the study's results: damaged files, earlier versions, crashed and missing trainings."""
    for line in data.notes(study):
        st.warning(line)


def told_of(study: str) -> None:
    """What data, start weights and network the results come from."""
    st.caption(data.provenance(study))


def caveat(study: str) -> None:
    """What must be known of data and search before anything is concluded from results, where there is something."""
    if known := caveats(data.facts(study)):
        st.caption(f":material/info: {known}")


def split_note(facts: Mapping[str, Any]) -> str:
    """What must be known of how the images were split (what was united, what validates by image); "" where nothing."""
    note = str(facts["data"].get("split_note") or "").rstrip(".")
    return f"{note[:1].upper()}{note[1:]}." if note else ""


def progress(study: str) -> None:
    """How far a run is, or why it ended before its end and the command that goes on."""
    now = data.progress(study)
    state = now.get("state")
    if state is None or state == "finished":
        return
    busy = state in data.BUSY
    if busy and now.get("alive"):
        planned = now.get("trials") or 0
        done = now.get("closed", 0) / planned if state == "running" and planned else float(now.get("fraction") or 0)
        st.progress(min(max(done, 0.0), 1.0), progress_line(now))
        return
    reason = str(now.get("error") or "").strip()
    (st.error if state == "failed" else st.warning)(
        f"{progress_line(now)}  \n"
        + (f"{reason}  \n" if reason else "")
        + f"What was finished is kept. To go on with what is missing: `{command('run', study)}`"
    )


def crashes(study: str) -> None:
    """Trials that crashed and were not made good by a later attempt, with their tracebacks."""
    crashed = data.crashed(study)
    if not len(crashed):
        return
    with st.expander(f"Crashed attempts ({len(crashed)})", icon=":material/error:"):
        for row in rows(crashed):
            st.markdown(f"**{row.strategy}**, {row.fraction:g} %, fold {row.fold}, attempt {row.number}")
            st.code(row.error or "no traceback was stored", language=None, wrap_lines=True)
