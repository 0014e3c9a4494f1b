"""Comparisons: transfer against scratch (Fig. 3), shallow against deep (Fig. 4), learning rates, the paper's claims,
and the main analysis: paired differences against the reference, with Tukey's test as published beside it.

Of a classification study: pairs of its own strategies.
"""

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures.cells import Rate, in_table
from dashboard.figures.claims import claims
from dashboard.figures.depth import depth, depth_table, pairs_of
from dashboard.figures.learning_rates import NOTE, ONE, PANEL_WIDTH, has_several, learning_rates
from dashboard.figures.pairs import spread_note
from dashboard.figures.scratch import repeats_note, scratch, scratch_table
from dashboard.learning_rates import tried_rates
from dashboard.views import differences, drawn
from dashboard.views.chart import choose_picture, is_dark, once
from engine import published as paper

EXAMPLE = "BUS"
"""The data set of the paper's Fig. 4."""
COMPARED = f"Published values for comparison, not as a target: {drawn.SOURCE}."
FAILED = "Failed trainings did not converge: they are counted above the mean that they are left out of."


def page() -> None:
    """Five blocks; the figures renew themselves while the study runs."""
    study = drawn.begin("Comparisons")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        rate = drawn.rate(study)
        choose_picture()
    if study and data.task(study) == "classification":
        drawn.renewed(study, _pairs, rate)
        _rates(study)
        return
    st.subheader("Transfer or from scratch", anchor=False, divider="gray")
    drawn.renewed(study, _scratch, rate)
    st.subheader("Shallow or deep", anchor=False, divider="gray")
    cells = drawn.cells(study, rate)
    compared = drawn.choose_dataset(cells[cells["source"] == "published"], EXAMPLE, "published data")
    drawn.renewed(study, _depth, rate, compared)
    if study:
        _rates(study)
    st.subheader("What the paper claims", anchor=False, divider="gray")
    drawn.renewed(study, _claims, rate)
    if study:  # last, since it takes seconds where test images are many
        st.subheader("Paired differences", anchor=False, divider="gray")
        differences.draw(study, rate)


def _scratch(study: str | None, rate: Rate) -> None:
    again = data.repeats(study, rate, data.main(study).column) if study else None
    table = scratch_table(drawn.cells(study, rate), again)
    alt = "Dice of the whole network fine-tuned and from scratch, by fraction and data set"
    note = " ".join(["As Fig. 3. Means of complete cells.", FAILED, *repeats_note(table), spread_note(table), COMPARED])
    drawn.draw(once(scratch, table, dark=is_dark()), table, "scratch", alt=alt, note=note, narrowest=640)


def _depth(study: str | None, rate: Rate, compared: pd.DataFrame) -> None:
    cells = drawn.cells(study, rate)
    table = depth_table(pd.concat([cells[cells["source"] == "ours"], compared]))
    alt = "Dice of shallow and of deep blocks, by fraction"
    note = (
        "As Fig. 4. Scheme 1 takes the path from the input as depth: block 1 is shallow, block 9 deep. Scheme 2 takes "
        "the distance from the top of the U: blocks 1 and 9 are shallow, block 5 is deepest. "
        f"{spread_note(table)} {COMPARED}"
    )
    drawn.draw(once(depth, table, dark=is_dark()), table, "depth", alt=alt, note=note, narrowest=640)


def _rates(study: str) -> None:
    st.subheader("Learning rate", anchor=False, divider="gray")
    if has_several(in_table(data.plan(study))):
        drawn.renewed(study, _tried)
    else:
        st.caption(ONE)


def _tried(study: str) -> None:
    table, measure = tried_rates(study), data.main(study).main
    alt = f"Test {measure} by learning rate, a panel per strategy and part of the images"
    figure = once(learning_rates, table, measure=measure, dark=is_dark())
    narrowest = 80 + PANEL_WIDTH * table["strategy"].nunique()
    drawn.draw(figure, table, "learning-rates", alt=alt, note=NOTE, narrowest=narrowest)


def _pairs(study: str, rate: Rate) -> None:
    cells = drawn.cells(study, rate)
    pairs = pairs_of(cells, str(data.facts(study).get("reference")))
    table = depth_table(cells, pairs)
    figure = once(depth, table, pairs=pairs, measure=data.main(study).main, dark=is_dark())
    alt = "Accuracy of pairs of strategies, by part of the images"
    note = f"Means of complete cells; paired differences with their tests stand on Accuracy. {spread_note(table)}"
    drawn.draw(figure, table, "pairs", alt=alt, note=note, narrowest=640)


def _claims(study: str | None, rate: Rate) -> None:
    table = data.claims(study, rate) if study else paper.claims()
    st.html(claims(table))
    words = ["Verdicts rest on paired differences of test images; “cannot tell” is not “equal”."] * ("verdict" in table)
    words += [f"Claims of {drawn.SOURCE}; the middle column holds them against its own Tables II and III."]
    st.caption(" ".join(words))
