"""Table II with its switches: ours, published or the difference."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures.cells import Rate
from dashboard.figures.comparison import beside, difference_cells, why_no_difference
from dashboard.figures.measures import measure_of
from dashboard.figures.palette import Colours
from dashboard.figures.repeats import HOW, ROW, with_repeats
from dashboard.figures.repeats import SOURCE as REPEATS
from dashboard.figures.table2 import FEWEST_COLOURED, NOT_INFERIOR, stacked, table2_table
from dashboard.views.chart import Picture, as_csv, draw_table, once
from engine import published as paper

SOURCE = (
    f"{paper.CITATION.short}, Table II, width {paper.WIDTH}, {paper.IMAGE_SIZE} × {paper.IMAGE_SIZE} pixels, "
    f"[doi:{paper.CITATION.doi}]({paper.CITATION.url})."
)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What is chosen above the table."""

    what: str
    """ours, published or difference."""
    measure: str
    """Column of the measure."""
    rate: Rate
    seed: int | None
    """None averages seeds within each fold."""
    others: tuple[str, ...]
    """Studies whose rows stand below."""
    colours: Colours
    picture: Picture


def published(colours: Colours, picture: Picture = "png") -> None:
    """The whole published table with its source."""
    cells = data.published_table()
    draw_table(once(table2_table, cells), colours, picture=picture)
    as_csv("Published table", cells, "published-table2")
    st.caption(f"{SOURCE} A mean that the text at hand does not give stays missing. †: failed trainings left out.")


def draw(study: str, shown: Shown, chosen: Mapping[str, str] | None) -> None:
    """The table that is shown, with a frame around the `chosen` cell, or the sentence that says why there is none."""
    if st.session_state.pop("cell clicked", False):
        st.rerun()  # the cell below stands outside this fragment
    if shown.what == "published" or chosen is None:
        published(shown.colours, shown.picture)
        return
    name, facts, selected = measure_of(shown.measure).name, data.facts(study), {**chosen, "study": study}
    ours = data.marked_cells(study, shown.rate, shown.measure, shown.seed, wait=False)
    compared = facts["data"].get("compare_with")
    theirs = beside(ours, data.published_table(compared)) if compared and shown.measure == "dice" else None
    if shown.what == "difference":
        why = why_no_difference(facts, shown.measure, sizes=paper.SIZES, width=paper.WIDTH, image_size=paper.IMAGE_SIZE)
        if why or theirs is None:
            st.info(why, icon=":material/difference:")
        else:
            cells = difference_cells(ours, theirs)
            table = once(table2_table, cells, measure=name, kind="difference")
            draw_table(table, shown.colours, selected=selected, picture=shown.picture)
            as_csv("Difference", cells, f"{study}-difference")
        return
    again = data.repeats(study, shown.rate, shown.measure, shown.seed)
    rows = stacked({study: with_repeats(ours, again), **{other: _other(other, shown) for other in shown.others}})
    rows_drawn = rows if theirs is None else pd.concat([rows, theirs], ignore_index=True)
    drawn = once(table2_table, rows_drawn, measure=name)
    draw_table(drawn, shown.colours, selected=selected, picture=shown.picture)
    st.caption(_note(rows, theirs, shown, coloured=bool(drawn["coloured"].all())))
    _downloads(study, rows, data.folds(study, shown.rate, shown.measure, shown.seed))


def _other(study: str, shown: Shown) -> pd.DataFrame:
    rate = data.rate_of(study, shown.rate)
    ours = data.marked_cells(study, rate, shown.measure, wait=False)
    return with_repeats(ours, data.repeats(study, rate, shown.measure))


def _note(ours: pd.DataFrame, theirs: pd.DataFrame | None, shown: Shown, *, coloured: bool) -> str:
    measure = measure_of(shown.measure)
    unit = ", ".join(sorted({unit for unit in ours["hd95_unit"] if unit}))
    best = "lowest" if measure.lower_is_better else "highest"
    words = [
        f"{measure.title(unit)}, mean (sd) over folds; bold: {best} of its row; colours run from a row's worst to its "
        "best."
    ]
    words += [f"{measure.name}: {measure.about}."] if measure.lower_is_better else []
    failed = ours["failed"].sum() + (theirs["failed"].sum() if theirs is not None else 0)
    words += ["†: some trainings failed to converge and are left out, see on hover."] if failed else []
    if ours["collapsed"].sum():
        words.append(f"‡: some trainings collapsed, predicting {measure.collapse}; they are in the mean.")
    if "not_inferior" in ours and ours["not_inferior"].eq(True).any():
        words.append(f"{NOT_INFERIOR}: not inferior to the study's reference within its margin, see on hover.")
    words += [f"{ROW.strip(' ·').capitalize()}: {HOW}."] if ours["source"].eq(REPEATS).any() else []
    words += ["1/2: folds done."] if not ours["complete"].all() else []
    words += [] if coloured else [f"A row is coloured once {FEWEST_COLOURED} of its cells are complete."]
    words += [f"Published rows for comparison, not as a target: {SOURCE}"] if theirs is not None else []
    return " ".join(words)


def _downloads(study: str, cells: pd.DataFrame, folds: pd.DataFrame) -> None:
    with st.container(horizontal=True, gap="medium"):
        as_csv("Table", cells, f"{study}-table2")
        as_csv("Folds", folds, f"{study}-folds")
