"""Every strategy against the study's reference: paired differences first, then the paper's own test."""

from functools import partial

import streamlit as st

from dashboard import data
from dashboard.differences import differences, tukey
from dashboard.figures.cells import Rate, for_file
from dashboard.figures.paired import paired
from dashboard.figures.rows import rows
from dashboard.views import drawn, headline
from dashboard.views.chart import is_dark, once
from dashboard.views.choice import select
from engine.significance import as_published

NOTE = (
    "Thick lines: 95 % intervals by bootstrap over groups of test images, folds pooled; thin: for all strategies of "
    "the row at once; dashed: the margin. ≈: shown to lose no more than the margin (one-sided bound, corrected for the "
    "number of cheaper strategies). Smallest loss: what the study would have found with 80 % power at that bound's "
    "level. A difference that is not significant is not a proof of equality."
)
WRITTEN = ("difference", "low", "high", "p")


def draw(study: str, rate: Rate) -> None:
    """The figure of one row of Table II, the family of its tests, and Tukey's tables; nothing while trials are run."""
    if data.is_busy(study):
        st.caption("Differences are computed when the run is over.")
        return
    with st.spinner("Comparing test image by test image…"):
        found = differences(study, rate)
    firsts = found.against.drop_duplicates(["dataset", "fraction"])
    places = {f"{row.dataset} {row.fraction:g} %": row for row in rows(firsts)}
    if not places:
        st.info("Needs the reference and another strategy, all of whose folds are done.")
        return
    shown = places[select("Row of Table II", list(places), "differences of", width=320)]
    own = found.against[(found.against["dataset"] == shown.dataset) & (found.against["fraction"] == shown.fraction)]
    figure = once(paired, own, reference=found.reference, margin=found.margin, dark=is_dark())
    alt = f"Dice of each strategy minus that of {found.reference}"
    note = (
        f"{NOTE} p: {found.family}. Intervals: {own['note'].iloc[0]}. {headline.split_note(data.facts(study))}".strip()
    )
    drawn.draw(figure, found.against, "differences", alt=alt, note=note, narrowest=700)
    _as_published(study, rate)


@st.fragment
def _as_published(study: str, rate: Rate) -> None:
    label = f"{as_published.LABEL[:1].upper()}{as_published.LABEL[1:]}, so p is too small"
    published = st.expander(label, icon=":material/history_edu:", key="tukey", on_change="rerun", bind="query-params")
    if not published.open:  # computed for those who look
        return
    with published, st.spinner("Integrating Tukey's distribution…"):
        found = tukey(study, rate)
        for name, table in (("strategies", found.strategies), ("fractions", found.fractions)):
            tested = table[table["p"].notna()].drop(columns=["label", "reason"])
            st.markdown(f"**Over {name}**")
            if not len(tested):
                st.info("; ".join(dict.fromkeys(table["reason"])) or f"Needs two {name}.")
                continue
            written = {column: st.column_config.NumberColumn(format="%.3f") for column in WRITTEN}
            st.dataframe(tested, hide_index=True, key=f"tukey {name}", column_config=written)
            st.download_button(
                "CSV", partial(for_file, table), f"{study}-tukey-{name}.csv", "text/csv", key=f"file tukey {name}",
                icon=":material/download:", on_click="ignore", type="tertiary",
            )  # fmt: skip
