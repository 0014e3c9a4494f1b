"""Agreement: which frames readers have right together and alone, as circles and counts, and the frames themselves."""

import streamlit as st

from dashboard import answers, data
from dashboard.figures import venn
from dashboard.figures.agreement_rows import frames_told, region_rows, short_names
from dashboard.views import agreement_parts, drawn, finished, said
from dashboard.views.chart import is_dark
from dashboard.views.choice import put, select, several
from engine.errors import DataError
from engine.significance import agreement_regions

KEY = "region"


def page() -> None:
    """Readers above; circles and counts beside each other; the frames of the chosen region."""
    study = said.begin("Agreement")
    if study is None:
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        table = said.choose(study)
        if not len(table):
            st.info(said.NOTHING)
            return
        first = said.first_reader(study, table)
        usual = [first, *said.beside(table, first)]
        readers = several("Readers: two or three", answers.readers(table), "readers", width=640,
                          placeholder=said.named(usual)) or usual  # fmt: skip
    if len(readers) < 2:
        st.info("Choose a second reader: agreement is between readers.")
        return
    names = short_names(readers)
    try:
        regions = agreement_regions({names[name]: table[table["reader"] == name] for name in readers})
    except DataError as error:
        st.info("  \n".join(error.problems))
        return
    shown, answered = region_rows(regions), table.groupby("reader")["index"].nunique()
    left, right = st.columns([3, 2], gap="large")
    with right:
        counts = dict(zip(shown["right for"][::-1], shown["frames"][::-1], strict=True))
        chosen = select("Frames that are right for", list(counts), KEY, counts=counts)
        agreement_parts.counts(shown)
    with left:
        short = list(names.values())
        told = frames_told(regions, {names[name]: int(answered[name]) for name in readers})
        drawn.draw(
            venn.venn(regions, short, dark=is_dark(), chosen=chosen), venn.venn_table(regions, short), "agreement",
            alt="Venn diagram: frames that readers have right", note=f"{told} {venn.note(regions, short)}",
            on_select=_clicked,
        )  # fmt: skip
    if data.dataset(study) is None:
        st.info(finished.GONE)
        return
    frames = regions.loc[regions["region"] == chosen, "frames"].iloc[0]
    agreement_parts.frames(study, table, readers, chosen, frames)


def _clicked() -> None:
    points = st.session_state["figure agreement"]["selection"]["points"]
    if points:
        found = points[0]["customdata"]
        put(KEY, str(found[0] if isinstance(found, list) else found))
