"""Images: the study's frames with their masks outlined, filtered, sorted and paged, and its Table I."""

import math

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures.answer import caveats, images_line
from dashboard.figures.frames import caption, filtered
from dashboard.figures.shared_folds import OWN, has_shared_folds
from dashboard.figures.table1 import of_study

PAGE = 24
COLUMNS = 6
ORDERS = {"name": "image", "group": "group", "smallest structure": "coverage", "largest structure": "coverage"}


def page() -> None:
    """Filters above, frames in a grid, Table I below."""
    study = st.session_state["current"]
    st.title("Images", anchor=False)
    facts = data.facts(study) if study else {}
    if not facts:
        st.info("The images appear here when a study has read them." if study else "No study yet, so no images.")
        return
    st.caption(". ".join(told for told in (images_line(facts), caveats(facts, of=["data"])) if told))
    dataset = data.dataset(study)
    if dataset is None:
        st.info("The study's images are no longer in the cache: run the study again to read them anew.")
    else:
        table = data.frames(study)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            shown = _choose(table)
            first = _turn(len(shown))
        outlined = "" if dataset.classes else ", masks outlined"
        st.caption(f"{min(first + 1, len(shown))} to {min(first + PAGE, len(shown))} of {len(shown)} images{outlined}")
        _grid(study, shown.iloc[first : first + PAGE])
    st.subheader("Table I of this study", anchor=False, divider="gray")
    drawn = "" if has_shared_folds(facts) else f"{OWN[:1].upper()}{OWN[1:]}; these are the counts of one such draw."
    notes = ("Images in training, validation and test sets.", drawn, facts["data"].get("split_note"))
    st.caption(" ".join(note for note in notes if note))
    st.dataframe(of_study(facts), hide_index=True, width="content")


def _choose(table: pd.DataFrame) -> pd.DataFrame:
    wanted = {}
    for column in ("label", "group", "scanner", "split"):
        options = sorted(value for value in set(table[column]) if value)
        if len(options) > 1:
            wanted[column] = st.multiselect(column.capitalize(), options, key=column, bind="query-params", width=240)
    orders = [name for name, column in ORDERS.items() if column != "coverage" or table["coverage"].notna().any()]
    order = st.selectbox("Order", orders, key="order", bind="query-params", width=200)
    return filtered(table, wanted, ORDERS[order], descending=order.startswith("largest"))


def _turn(images: int) -> int:
    pages = max(math.ceil(images / PAGE), 1)
    if st.session_state.get("page", 1) > pages:
        st.session_state["page"] = pages
    if pages == 1:
        return 0
    number = st.number_input(f"Page of {pages}", 1, pages, key="page", bind="query-params", width=140)
    return (number - 1) * PAGE


def _grid(study: str, rows: pd.DataFrame) -> None:
    pictures = data.frame_pictures(study, tuple(rows["index"]))
    with st.container(key="frames"):
        for start in range(0, len(rows), COLUMNS):
            for column, place in zip(st.columns(COLUMNS), range(start, min(start + COLUMNS, len(rows))), strict=False):
                row = rows.iloc[place]
                alt = str(row["image"])
                column.image(pictures[place], caption(row), "stretch", output_format="PNG", alt=alt)  # as it is kept
