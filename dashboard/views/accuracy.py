"""Accuracy of networks and persons with intervals, beside published ones; what it costs; differences and tests."""

import pandas as pd
import streamlit as st

from dashboard import answers, data
from dashboard.figures import accuracy, kept_task, training_size
from dashboard.figures.gallery import percent
from dashboard.figures.published_classes import CHENG, PASDELOUP, published_measures, published_rows
from dashboard.figures.readers import PERSON
from dashboard.views import accuracy_tests, drawn, said
from dashboard.views.chart import choose_picture, is_dark
from dashboard.views.choice import select, switch
from engine.published import cheng2017

EVERY = "every part"


def page() -> None:
    """Bars on top; then tables, training-set size, the old scanner, and paired differences."""
    study = said.begin("Accuracy")
    if study is None:
        _bars(published_rows([*PASDELOUP.values(), *CHENG.values()]))
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        every = said.choose(study)
        if not len(every):
            st.info(said.NOTHING)
            return
        shown = _choose_percent(every)
        # The papers' classes are those of the phantoms; beside others they would only be numbers.
        alike = str(data.facts(study)["data"].get("kind")).endswith("phantoms")
        beside = switch("Published", ["beside", "hidden"][:: 1 if alike else -1], "published") == "beside"
        choose_picture()
    found = answers.accuracies(study, every)
    table = accuracy.accuracy_table(every, found)
    table = accuracy.measures_table(table, every, found, answers.attempts_of(every))
    measures = table[table["reader"].isin(set(shown["reader"]))].reset_index(drop=True)
    rows = [measures, accuracy.on_known_scanner(measures)]
    rows += [published_rows(set(measures["network"]))] if beside else []
    _bars(pd.concat([part for part in rows if len(part)], ignore_index=True))
    st.subheader("Measures", anchor=False, divider="gray")
    parted = accuracy.parted_table({name: found[name] for name in measures["reader"]})
    said.numbers(accuracy.shown_table(measures, parted), "measures", whole=["training images"])
    theirs = published_measures(set(measures["network"])) if beside else pd.DataFrame()
    if len(theirs):
        st.caption(f"The same of {cheng2017.CITATION.short}, on their own images and machines:")
        said.numbers(theirs, "published measures", whole=["training images", "ms per image"])
    st.caption("Accuracy of each class (%): the part of its frames that is right.")
    by_class = accuracy.classes_table(parted, list(measures["reader"]), answers.classes(study))
    said.numbers(by_class, "classes")
    st.subheader("Against training-set size", anchor=False, divider="gray")
    sizes = training_size.training_size_table(table)
    if sizes.loc[sizes["training_images"] > 0, "fraction"].nunique() > 1:
        figure = training_size.training_size(sizes, dark=is_dark())
        drawn.draw(figure, sizes, "training-size", alt="Accuracy by training images", note=accuracy.note(table))
    else:
        st.info("Needs a second part of the images: give several `fractions` in the study file.")
    _kept(study, measures)
    accuracy_tests.draw(study, shown, networks=set(measures["network"]) if beside else set())


def _choose_percent(table: pd.DataFrame) -> pd.DataFrame:
    """The readers on the chosen part of the images; start weights as they are and persons in any case."""
    fractions = {percent(value): value for value in sorted(set(table["fraction"].dropna()) - {0.0}, reverse=True)}
    options = [*fractions, *([EVERY] if len(fractions) > 1 else [])]
    chosen = select("Part of the images", options, "row", width=160) if options else EVERY
    if chosen == EVERY:
        return table
    found: pd.DataFrame = table[table["fraction"].isin([fractions[chosen], 0.0]) | (table["kind"] == PERSON)]
    return found


def _bars(table: pd.DataFrame) -> None:
    figure = accuracy.accuracy(table, dark=is_dark())
    drawn.draw(figure, table, "accuracy", alt="Accuracy by strategy", note=accuracy.note(table), narrowest=520)


def _kept(study: str, measures: pd.DataFrame) -> None:
    st.subheader("What adapting leaves of the old task", anchor=False, divider="gray")
    table, start = kept_task.kept_of_readers(measures), kept_task.start_named(data.plan(study)["start"])
    if not len(table):
        st.info("Not measured: the start weights have no held-out images of the same classes.")
        return
    figure = kept_task.kept_task(table, measure="accuracy", start=start, dark=is_dark())
    note = kept_task.kept_note("accuracy", start)
    drawn.draw(figure, table, "kept-accuracy", alt="Accuracy left on the start weights' images", note=note)
