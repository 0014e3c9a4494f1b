"""Confusion: what a reader calls the frames of each class, against another reader, and the frames behind a cell."""

from functools import partial

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import answers, data
from dashboard.figures import confusion
from dashboard.figures.published_classes import published_rows
from dashboard.figures.readers import NETWORK, short_network
from dashboard.views import confusion_cell, drawn, said
from dashboard.views.chart import choose_picture, is_dark
from dashboard.views.choice import select, several, switch

NONE = "none"
POOLED = "all folds"
PERCENT, COUNTS = "percent of the class", "counts"
CLICK = " Click a cell for its frames."
"""What the page can do, and a report's file cannot."""


def page() -> None:
    """A reader's matrix, the difference to another one beside it, and the frames of the chosen cell below."""
    study = said.begin("Confusion")
    if study is None:
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        table = said.choose(study)
        if not len(table):
            st.info(said.NOTHING)
            return
        reader = said.choose_reader(table, "Reader", "reader", said.first_reader(study, table))
        other = select(
            "Minus", [NONE, *(name for name in answers.readers(table) if name != reader)], "minus", width=300
        )
        table = _choose_fold(table, reader)
        normalised = switch("Colour by", [PERCENT, COUNTS], "cells") == PERCENT
        choose_picture()
    own, theirs, classes = table[table["reader"] == reader], table[table["reader"] == other], answers.classes(study)
    cells = confusion.confusion_table(own, classes)
    chosen = confusion_cell.choice(cells)
    place, *beside = _places(1 if other == NONE else 2, confusion.narrowest(classes))
    with place:
        note = confusion.note(cells)
        figure = confusion.confusion(cells, normalised=normalised, dark=is_dark(), chosen=[chosen])
        drawn.draw(
            figure, cells, "confusion", alt=f"Confusion of {reader}; choose a cell below by its select boxes",
            note=note and note + CLICK, narrowest=confusion.narrowest(classes),
            on_select=partial(confusion_cell.clicked, "confusion"),
        )  # fmt: skip
    for place in beside:
        with place:
            _difference(own, theirs, classes, reader, other, chosen)
    if told := _published(study, table):
        st.caption(told)
    confusion_cell.draw(study, {reader: own} if other == NONE else {reader: own, other: theirs}, cells)


def _places(number: int, narrowest: int) -> list[DeltaGenerator]:
    """Places for matrices side by side, below each other where the page has no room for so many."""
    if number == 1:
        return [st.container()]
    st.html(f"<style>.st-key-matrices [data-testid='stColumn'] {{min-width: min(100%, {narrowest}px)}}</style>")
    with st.container(key="matrices"):
        return st.columns(number, gap="large")


def _published(study: str, table: pd.DataFrame) -> str:
    """That nothing published stands beside the matrix, where a paper's accuracies stand beside the study's."""
    if not str(data.facts(study)["data"].get("kind")).endswith("phantoms"):
        return ""
    networks = {short_network(str(model)) for model in table.loc[table["kind"] == NETWORK, "model"]}
    papers = published_rows(networks)["reader"].unique()
    told = f"{' and '.join(papers)}: no confusion matrix is at hand in numbers, so none stands here."
    return told if len(papers) else ""


def _choose_fold(table: pd.DataFrame, reader: str) -> pd.DataFrame:
    folds = sorted({int(fold) for fold in table.loc[table["reader"] == reader, "fold"]})
    names = {POOLED: folds, **{f"fold {fold}": [fold] for fold in folds}}
    chosen = names[select("Folds", list(names), "fold", width=130)] if len(folds) > 1 else folds
    found: pd.DataFrame = table[table["fold"].isin(chosen)]
    return found


def _difference(
    own: pd.DataFrame, theirs: pd.DataFrame, classes: list[str], reader: str, other: str, chosen: confusion.Cell
) -> None:
    table = confusion.difference_table(own, theirs, classes)
    more = table[table["excess"] > 0].sort_values("excess", ascending=False, kind="stable")
    pairs = {
        f"{row['label']} → {row['predicted']}": (row["label"], row["predicted"]) for row in more.to_dict("records")
    }
    place = st.container()
    names = several(
        "Without the excess errors of",
        list(pairs),
        "without",
        width=460,
        placeholder="cells with more errors of the first",
    )
    cells = [pairs[name] for name in names]
    with place:
        figure = confusion.difference(
            table, reader=reader, network=other, dark=is_dark(), chosen=[chosen], without=cells
        )
        drawn.draw(
            figure, table, "difference-confusion",
            alt=f"Errors of {reader} minus those of {other}; choose a cell below by its select boxes",
            note=confusion.difference_note(table, reader, other) + CLICK, narrowest=confusion.narrowest(classes),
            on_select=partial(confusion_cell.clicked, "difference-confusion"),
        )  # fmt: skip
    if cells:
        found = confusion.without_excess(own, theirs, classes, cells)
        st.markdown(confusion.excess_note(found, reader, other))
