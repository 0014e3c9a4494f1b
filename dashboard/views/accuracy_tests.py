"""Whether readers differ: paired differences over groups first, then the papers' own tests with what they ignore."""

from collections.abc import Collection

import pandas as pd
import streamlit as st

from dashboard import answers
from dashboard.figures import differences
from dashboard.figures.published_classes import published_tests
from dashboard.views import drawn, said
from dashboard.views.chart import is_dark
from engine.published import cheng2017
from engine.significance import as_published, chi_square


def draw(study: str, shown: pd.DataFrame, *, networks: Collection[str] = ()) -> None:
    """Differences against the reader that is chosen, as a figure; then the tables of the published tests.

    Beside them what the papers print of `networks`.
    """
    st.subheader("Paired differences", anchor=False, divider="gray")
    reference = said.choose_reader(shown, "Against", "against", said.reference(study, shown))
    family = answers.family(study, shown, reference)
    figure = differences.differences(family.table, dark=is_dark())
    note = differences.note(family.table, family.description)
    drawn.draw(figure, family.table, "differences", alt="Differences in accuracy", note=note, narrowest=560)
    st.subheader("As published", anchor=False, divider="gray")
    names = answers.readers(shown)
    st.caption(f"{chi_square.LABEL[:1].upper()}{chi_square.LABEL[1:]} (Cheng and Malhi 2017). Against {reference}:")
    said.numbers(
        differences.chi_square_table(shown, reference, names).drop(columns=["against", "reason"]), "chi-square"
    )
    by_scanner = differences.scanners_table(shown, names)
    if len(by_scanner):
        st.caption("Two scanners of one reader, as different frames:")
        said.numbers(by_scanner, "chi-square scanners")
    printed = published_tests(networks)
    if len(printed):
        st.caption(f"As {cheng2017.CITATION.short} print it of their images:")
        st.dataframe(printed, hide_index=True, key="published tests", width="content", height="content")
    tukey = answers.tukey(shown)
    tested = tukey[tukey["p"].notna()]
    st.caption(f"{as_published.LABEL[:1].upper()}{as_published.LABEL[1:]}. Differences in percentage points:")
    if len(tested):
        said.numbers(tested.drop(columns="reason"), "tukey")
    else:
        st.info("; ".join(dict.fromkeys(tukey["reason"])) or "Needs two networks.")
