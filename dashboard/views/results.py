"""Results: the answer in words, Table II filled while the study runs, the cell that was chosen, Tables I and III."""

import streamlit as st

from dashboard import data
from dashboard.views import cell, chart, export, headline, paper_tables, switches, table


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
    choices, top = data.choices(study), st.container()
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        shown = table.Shown(
            what=switches.choose_show() if data.task(study) == "segmentation" else "ours",
            measure=switches.choose_measure(data.measures(study)),
            rate=switches.choose_rate(choices.rates),
            seed=switches.choose_seed(choices.seeds),
            others=tuple(switches.choose_others(study, _alike(study))),
            colours=switches.choose_colours(),
            picture=chart.choose_picture(),
        )
    with top:
        st.fragment(headline.draw, run_every=every)(study, shown)
    middle, chosen = st.container(), None
    if shown.what != "published":
        chosen = cell.choose(study)
        st.fragment(cell.draw, run_every=every and 2 * every)(study, chosen, shown)
    with middle:  # drawn last, since it frames the cell that is chosen below it
        st.fragment(table.draw, run_every=every)(study, shown, chosen)
    if shown.what != "published":
        export.buttons(study, shown.rate, shown.colours)
        st.fragment(paper_tables.draw, run_every=every and 4 * every)(study, shown.rate)
    headline.crashes(study)
    # Last, since it takes a second where images are many; what is above can be read meanwhile.
    if not every and sum(
        data.compute_statistics(one, data.rate_of(one, shown.rate), shown.measure, shown.seed if one == study else None)
        for one in (study, *shown.others)
    ):
        st.rerun()


def _alike(study: str) -> list[str]:
    """Studies whose rows can stand in one table with this one's: they can be read, and measure the same."""
    own = data.task(study)
    return [name for name in data.studies() if data.is_planned(name) and data.task(name) == own]
