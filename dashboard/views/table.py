"""Table II with its switches: ours, published or the difference."""

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures.cells import Rate, for_file
from dashboard.figures.comparison import beside, difference_cells, why_no_difference
from dashboard.figures.palette import Colours
from dashboard.figures.table2 import FEWEST_COLOURED, table2_table
from dashboard.views.chart import draw_table
from engine import published as paper

SOURCE = (
    f"{paper.CITATION.short}, Table II, width {paper.WIDTH}, {paper.IMAGE_SIZE} × {paper.IMAGE_SIZE} pixels, "
    f"[doi:{paper.CITATION.doi}]({paper.CITATION.url})."
)


def published(colours: Colours) -> None:
    """The whole published table with its source."""
    draw_table(table2_table(data.published_table()), colours)
    st.caption(f"{SOURCE} A mean that the text at hand does not give stays missing. †: failed trainings left out.")


def draw(study: str, rate: Rate, measure: str, show: str, colours: Colours) -> None:
    """The table that `show` names, or the sentence that says why there is none."""
    if st.session_state.pop("cell clicked", False):
        st.rerun()  # the cell below stands outside this fragment
    if show == "published":
        published(colours)
        return
    name = "Dice" if measure == "dice" else "IoU"
    facts, ours = data.facts(study), data.cells(study, rate, measure)
    compared = facts["data"].get("compare_with")
    theirs = beside(ours, data.published_table(compared)) if compared and measure == "dice" else None
    if show == "difference":
        why = why_no_difference(facts, measure, sizes=paper.SIZES, width=paper.WIDTH, image_size=paper.IMAGE_SIZE)
        if why or theirs is None:
            st.info(why, icon=":material/difference:")
        else:
            draw_table(
                table2_table(difference_cells(ours, theirs), measure=name, kind="difference"), colours, clickable=True
            )
        return
    shown = ours if theirs is None else pd.concat([ours, theirs], ignore_index=True)
    drawn = table2_table(shown, measure=name)
    draw_table(drawn, colours, clickable=True)
    st.caption(_note(ours, theirs, coloured=bool(drawn["coloured"].all())))
    _downloads(study, ours, data.folds(study, rate, measure))


def _note(ours: pd.DataFrame, theirs: pd.DataFrame | None, *, coloured: bool) -> str:
    words = ["Mean (sd) over folds; bold: highest of its row; colours run from a row's lowest to its highest."]
    failed = ours["failed"].sum() + (theirs["failed"].sum() if theirs is not None else 0)
    words += ["†: some trainings failed to converge and are left out, see on hover."] if failed else []
    words += ["1/2: folds done."] if not ours["complete"].all() else []
    words += [] if coloured else [f"A row is coloured once {FEWEST_COLOURED} of its cells are complete."]
    words += [f"Published rows for comparison, not as a target: {SOURCE}"] if theirs is not None else []
    return " ".join(words)


def _downloads(study: str, cells: pd.DataFrame, folds: pd.DataFrame) -> None:
    with st.container(horizontal=True, gap="medium"):
        for label, table, name in (("Table", cells, "table2"), ("Folds", folds, "folds")):
            st.download_button(
                f"{label} (CSV)", for_file(table), f"{study}-{name}.csv", "text/csv",
                icon=":material/download:", on_click="ignore", type="tertiary",
            )  # fmt: skip
