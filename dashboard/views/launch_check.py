"""What a study comes to before it starts: mistakes with their lines, images, trials, time and disk."""

import csv
import io
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.figures.answer import duration
from dashboard.launch import runs
from dashboard.launch.study_text import value_at
from dashboard.places import cache_root, command, store_root
from engine.architectures import CLASSIFIERS
from engine.errors import WhichLayersError

CHECK_SECONDS = 300


def before(text: str) -> bool:
    """Mistakes of the file; without any (True) a button that counts trials and estimates their time."""
    try:
        study = runs.checked(text)
    except WhichLayersError as error:
        st.error("  \n".join(error.problems))
        return False
    st.caption(f"'{study.name}': no mistake in the file.")
    file = f"{study.name}.yaml"
    told = command("run", file, "--dry-run")
    if st.button("Count trials and estimate the time", icon=":material/timer:", key="form estimate", help=f"`{told}`"):
        try:
            with st.spinner("Reading images and timing a training step of each strategy …"):
                st.session_state["estimate"] = (text, runs.estimate(text, store_root(), cache_root()))
        except WhichLayersError as error:
            st.error("  \n".join(error.problems))
    asked, found = st.session_state.get("estimate", ("", {}))
    if asked == text:
        _estimate(found)
    _ranking(text, command("preview", file))
    return True


def _ranking(text: str, told: str) -> None:
    """Units ranked by their gradients, when asked: a hint of what is worth trying."""
    if st.button("Rank the units", icon=":material/low_priority:", key="form rank", help=f"`{told}`"):
        try:
            with st.spinner(
                "Measuring gradients on training images; start weights are made first where there are none …"
            ):
                st.session_state["ranking"] = (text, runs.ranked(text, store_root(), cache_root()))
        except WhichLayersError as error:
            st.error("  \n".join(error.problems))
    asked, found = st.session_state.get("ranking", ("", {}))
    if asked != text:
        return
    for start, table in pd.DataFrame(found["units"]).groupby("start", sort=False):
        folds = int(table["folds"].iloc[0])
        st.caption(f"{start}, {found['fraction']:g} % of the images, mean of {folds} fold{'' if folds == 1 else 's'}")
        st.dataframe(
            table.sort_values("rank")[["rank", "unit", "parameters", "relative", "normalised"]],
            hide_index=True, height="content",
            column_config={
                "rank": st.column_config.NumberColumn(width=48),
                "unit": st.column_config.TextColumn(width=58),
                "parameters": st.column_config.NumberColumn(width=86, format="localized"),
                "relative": st.column_config.NumberColumn(
                    "relative norm", width=98, format="%.3g", help="Norm of the gradient over that of the parameters."
                ),
                "normalised": st.column_config.ProgressColumn(
                    "of largest", width=100, min_value=0, max_value=1, format="%.2f"
                ),
            },
        )  # fmt: skip
    st.caption(found["note"])


def _estimate(found: Mapping[str, Any]) -> None:
    """Trials, time, disk; then each strategy's share."""
    low, high = duration(found["low_seconds"]), duration(found["high_seconds"])
    with st.container(horizontal=True):
        st.metric("Trials to run", found["left"], help=f"{found['trials']} in all.")
        if found["done"]:
            st.metric(
                "Trials closed already", found["done"], help="Completed, or stopped early or by hand: not run again."
            )
        st.metric("Time", low if low == high else f"{low} to {high}", help="Early stopping decides.")
        st.metric("Disk", f"{found['disk_bytes'] / 1e6:,.0f} MB", help=f"{found['free_bytes'] / 1e9:,.0f} GB are free.")
    start = duration(found["start_seconds"])
    before = f" Before that up to {start} for start weights." if found["start_seconds"] >= 1 else ""
    st.caption(f"{found['at_once']} at once on {found['device']}, {found['precision']}.{before}")
    st.dataframe(_strategies(found["strategies"]), hide_index=True)
    for note in found["notes"]:
        st.caption(f":material/info: {note}")


def _strategies(costs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "strategy": [cost["strategy"] for cost in costs],
            "trials": [cost["trials"] for cost in costs],
            "ms a step": [round(1000 * cost["step_seconds"]) for cost in costs],
            "a trial": [f"{duration(cost['low_seconds'])} to {duration(cost['high_seconds'])}" for cost in costs],
        }
    )


def folder(tree: object) -> None:
    """What `whichlayers check` says of the folder, when asked: of the masks or classes that the study learns."""
    path = value_at(tree, ("data", "folder"))
    if not path:
        st.caption("Give a folder, or upload a zip; how it should look: `whichlayers check --help`.")
        return
    if not Path(str(path)).is_dir():
        st.error(f"{path}: no folder on the machine of this server")
        return
    words = ["check", str(path), *_options(tree)]
    told = shlex.join(["whichlayers", *words])
    if st.button("Check the images", icon=":material/fact_check:", key="form check", help=f"`{told}`"):
        with st.spinner("Looking through the folder …"):
            try:
                done = subprocess.run(
                    [sys.executable, "-m", "whichlayers", *words],
                    capture_output=True, text=True, timeout=CHECK_SECONDS, check=False,
                )  # fmt: skip
                st.session_state["checked"] = (words, f"{done.stdout}\n{done.stderr}".strip())
            except subprocess.TimeoutExpired:
                st.session_state["checked"] = (words, f"still looking after {CHECK_SECONDS // 60} minutes")
    asked, said = st.session_state.get("checked", ([], ""))
    if asked == words:
        st.code(said, language=None)


def _options(tree: object) -> list[str]:
    """The options of `whichlayers check` that look at what the study's images are read as."""
    own, name = value_at(tree, ("data",)), value_at(tree, ("model", "name"))
    found: Mapping[str, Any] = own if isinstance(own, Mapping) else {}
    where = found.get("where")
    words = []
    if (found.get("learn") or ("labels" if name in CLASSIFIERS else "masks")) == "labels":
        words += ["--labels", *(["--label", str(found["label"])] if found.get("label") else [])]
    else:
        words += [word for column in _listed(found.get("mask")) for word in ("--mask", column)]
    for column, values in where.items() if isinstance(where, Mapping) else ():
        words += ["--where", f"{column}={_quoted(_listed(values))}"]
    return words


def _quoted(values: Sequence[str]) -> str:
    """The values with commas between them, those in quotes that have one themselves."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def _listed(value: Any) -> list[str]:
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return [] if value is None else [str(one) for one in value] if several else [str(value)]
