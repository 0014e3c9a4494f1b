"""Published tables of classification: Pasdeloup et al. 2018, and Cheng and Malhi 2017."""

import pandas as pd
import streamlit as st

from dashboard.figures.published_classes import cheng_table, pasdeloup_table
from engine.published import cheng2017, pasdeloup2018
from engine.published.citation import Citation


def page() -> None:
    """The papers one after the other; what they only draw is missing."""
    _title(pasdeloup2018.CITATION)
    st.dataframe(pasdeloup_table(), hide_index=True, width="content", height="content")
    frames = ", ".join(f"{number:,} frames of {scanner}" for scanner, number in pasdeloup2018.FRAMES.items())
    st.caption(f"Accuracy in percent; {frames}; {pasdeloup2018.SPREAD}.")
    _title(cheng2017.CITATION)
    left, right = st.columns(2, gap="large")
    with left:
        _table("Images that each reader got right", cheng_table())
        _table("Chi-square tests, as printed", cheng2017.tests())
    with right:
        _table("Images of each category", cheng2017.classes())
        _table("Counts of the Venn diagram that the text gives", cheng2017.agreement())
    _table("Times, and accuracy without excess errors", cheng2017.times())
    st.caption("Confusion matrices and the other regions are pictures in the paper: they are missing here.")


def _title(citation: Citation) -> None:
    st.subheader(citation.short, anchor=False, divider="gray")
    link = f" [doi:{citation.doi}]({citation.url})" if citation.doi else ""
    st.markdown(f"{citation.authors}: *{citation.title}*. {citation.journal}, {citation.year}.{link}")


def _table(title: str, table: pd.DataFrame) -> None:
    st.caption(title)
    # A column is as wide as its first rows need.
    columns = {"what": st.column_config.TextColumn(width="large")}
    st.dataframe(table, hide_index=True, width="content", height="content", column_config=columns)
