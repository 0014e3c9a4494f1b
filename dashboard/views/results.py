"""Results: the answer in words, Table II filled while the study runs, and the cell that was chosen."""

import streamlit as st

from dashboard import data
from dashboard.figures.cells import rates
from dashboard.views import cell, headline, switches, table


def page() -> None:
    """Choices above, then the table, then the folds, curves and images of one cell; parts renew themselves in a run."""
    study = st.session_state["current"]
    facts = data.facts(study) if study else {}
    st.title(facts.get("question") or study or "Which layers should be fine-tuned?", anchor=False)
    if study is None or not facts:
        headline.before(study)
        with st.container(horizontal=True):
            colours = switches.choose_colours()
        table.published(colours)
        return
    every = 2 if data.is_busy(study) else None
    top = st.container()
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        show = switches.choose_show()
        measure = switches.choose_measure()
        rate = switches.choose_rate(rates(data.plan(study)))
        colours = switches.choose_colours()
    with top:
        st.fragment(headline.draw, run_every=every)(study, rate, measure)
    middle = st.container()
    if show != "published":
        chosen = cell.choose(study)
        st.fragment(cell.draw, run_every=every and 2 * every)(study, *chosen, rate, measure)
    with middle:  # drawn last, since it frames the cell that is chosen below it
        st.fragment(table.draw, run_every=every)(study, rate, measure, show, colours)
    headline.crashes(study)
