"""Mistakes: frames on which readers were wrong, by agreement and confidence, with the most probable classes as bars."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from dashboard import answers, data, data_images
from dashboard.figures import mistakes
from dashboard.figures.cells import for_file
from dashboard.figures.mistakes_sheet import mistakes_sheet
from dashboard.figures.rows import rows
from dashboard.views import finished, said
from dashboard.views.choice import select, several

PAGE = 24
COLUMNS = 6


def page() -> None:
    """Whose answers, which agreement and classes; then the frames."""
    study = said.begin("Mistakes")
    if study is None:
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        table = said.choose(study)
        if not len(table):
            st.info(said.NOTHING)
            return
        first = said.choose_reader(table, "First reader", "reader", said.first_reader(study, table))
        usual = said.beside(table, first)
        names = [name for name in answers.readers(table) if name != first]
        others = several("Other readers", names, "beside", width=420, placeholder=said.named(usual)) or usual
    readers = [first, *others]
    each = pd.concat([answers.of_reader(table, name) for name in readers])
    found = mistakes.said_table(each, readers)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        counts = mistakes.counts(found)
        which = select("Frames", list(counts), "agreement", width=280, counts=counts)
        labels = several("True classes", answers.classes(study), "true", width=300, placeholder="all")
        order = select("Order", list(mistakes.ORDERS), "mistakes order", width=210)
        shown = mistakes.chosen_table(found, which, labels=labels, ascending=mistakes.ORDERS[order])
        start = said.turn(len(shown), PAGE, "mistakes page")
    part = shown.iloc[start : start + PAGE]
    st.caption(_told(len(found), shown, part, start, readers))
    if data.dataset(study) is None:
        st.info(finished.GONE)
    elif len(part):
        said.frames(study, part, readers, columns=COLUMNS, key="mistakes")
    if len(shown):
        _downloads(study, shown, part, readers)


def _downloads(study: str, shown: pd.DataFrame, part: pd.DataFrame, readers: list[str]) -> None:
    classes, there = answers.classes(study), data.dataset(study) is not None
    pictures = [data_images.picture(study, int(row.index), longest=320) for row in rows(part)] if there else []
    table = for_file(mistakes.for_file(shown, readers, classes))
    files: list[tuple[str, str, str, Callable[[], str]]] = [
        ("All of these frames (CSV)", "csv", "text/csv", lambda: table)
    ]
    if pictures:
        sheet = partial(mistakes_sheet, part, pictures, readers, classes)
        files.append(("This page as a figure (SVG)", "svg", "image/svg+xml", sheet))
    with st.container(horizontal=True, gap="medium"):
        for label, ending, kind, made in files:
            st.download_button(
                label, made, f"{study}-mistakes.{ending}", kind, icon=":material/download:", on_click="ignore",
                type="tertiary",
            )  # fmt: skip


def _told(frames: int, shown: pd.DataFrame, part: pd.DataFrame, start: int, readers: list[str]) -> str:
    place = f"{start + 1} to {start + len(part)} of {len(shown)}" if len(shown) else "None"
    return (
        f"{place} of these frames; {frames} frames were seen by {' and '.join(readers)}. Bars: the "
        f"{mistakes.SHOWN} most probable classes, the true one dark. Confidence is the probability of the class that "
        "was said, mean over the networks shown."
    )
