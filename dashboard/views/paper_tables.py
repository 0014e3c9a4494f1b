"""Tables I and III of a study, the published ones below its own: images of each fold; Dice and minutes."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures.cells import Rate
from dashboard.figures.measures import main_of, task_of
from dashboard.figures.minutes import PUBLISHED_ON, STRATEGIES, table3_table
from dashboard.figures.shared_folds import OWN, has_shared_folds
from dashboard.figures.table1 import SETS, table1_table
from dashboard.views import drawn, headline
from dashboard.views.chart import as_csv, once

FORMATS = {"minutes": "%.2f", "%": "%.0f", "epochs": "%.0f"}
"""Of numbers, by the first word of their column."""
WITH_GROUPS = 180
"""Pixels of a column that tells of images and of groups."""


def draw(study: str, rate: Rate) -> None:
    """Both tables, each with its numbers as a file; Table III has what is complete so far."""
    facts = data.facts(study)
    _table1(study, facts)
    _table3(study, facts, rate)


def _table1(study: str, facts: Mapping[str, Any]) -> None:
    st.subheader("Table I: images of each fold", anchor=False, divider="gray")
    sizes = data.sizes(study)
    counted = [name for name in SETS if f"{name}_groups" in sizes and sizes[f"{name}_groups"].notna().any()]
    wide = dict.fromkeys(counted, st.column_config.TextColumn(width=WITH_GROUPS))
    shown = once(table1_table, sizes)
    st.dataframe(shown, hide_index=True, width="content", height="content", column_config=wide, key="table 1",
                 alt="Table I: images in training, validation and test sets")  # fmt: skip
    notes = ["Pool: training and validation images together; a range where folds differ."]
    notes += [] if has_shared_folds(facts) else [f"{OWN[:1].upper()}{OWN[1:]}; these are the counts of one such draw."]
    notes += [headline.split_note(facts)]
    notes += [f"Published: {drawn.SOURCE}."] if (sizes["source"] == "published").any() else []
    st.caption(" ".join(filter(None, notes)))
    as_csv("Table I", sizes, f"{study}-table1")


def _table3(study: str, facts: Mapping[str, Any], rate: Rate) -> None:
    measure = main_of(facts).main
    st.subheader(f"Table III: {measure} and minutes", anchor=False, divider="gray")
    first, every = data.minutes(study, rate, wait=False)
    if not len(every):
        st.info("Needs a strategy whose folds are all done.")
        return
    if task_of(facts) == "classification":  # whose papers name no such strategies
        first = every[every["fraction"] == every["fraction"].max()]
    elif not facts["data"].get("compare_with"):
        first = first[first["source"] == "ours"]
    theirs = first[first["source"] == "published"]
    named = len(first) > len(theirs)
    if named:
        _numbers(first, measure, "table 3")
    words = [
        f"Ours on {every['machine'].iloc[0] or 'a machine that the study does not name'}: wall time of a training,"
    ]
    words += ["slowed by what trained beside it. Epochs: median. % of whole: of the whole network's mean minutes."]
    if (every["failed"] > 0).any():
        words += ["Trainings that failed to converge are left out of the mean, not of minutes and epochs."]
    words += [] if named else [f"Of {', '.join(STRATEGIES)} none is complete."]
    words += [f"Published: {drawn.SOURCE}, on a {PUBLISHED_ON}."] if named and len(theirs) else []
    st.caption(" ".join(words))
    if len(every) > len(first) - len(theirs):
        with st.expander("Every strategy and part of the images", expanded=not named):
            _numbers(every, measure, "every table 3")
    both = [part for part in (every, theirs) if len(part)]
    as_csv("Table III", pd.concat(both, ignore_index=True), f"{study}-table3")


def _numbers(table: pd.DataFrame, measure: str, key: str) -> None:
    shown = once(table3_table, table, measure=measure)
    formats = {
        name: st.column_config.NumberColumn(format=FORMATS.get(name.split()[0], "%.3f"))
        for name in shown.select_dtypes("float").columns
    }
    st.dataframe(shown, hide_index=True, width="content", height="content", placeholder="–", column_config=formats,
                 key=key, alt=f"Table III: {measure} and minutes of a training")  # fmt: skip
