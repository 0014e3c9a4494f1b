"""What a run has found so far: curves of the trainings that run, strategies ranked by validation, Table II filling."""

import streamlit as st

from dashboard import data
from dashboard.figures.gallery import percent
from dashboard.figures.live import live, live_key, live_table, standing_table
from dashboard.figures.table2 import DASH, table2, table2_table
from dashboard.views.chart import config, is_dark
from engine.live_curves import live_curves

SCORES = ("validation", "test")
RANKED = (
    "Ranked by validation images, over the folds that are done: fewer folds say less. Test values stand in a cell once "
    "all its folds are done, and choose nothing."
)


def looks(study: str) -> None:
    """How narrow the figures may become before they scroll.

    To be drawn outside the part that renews itself: styles that a fragment draws again can find their place gone.
    """
    columns = data.plan(study)["strategy"].nunique() if data.is_planned(study) else 1
    st.html(
        f"<style>:root {{--table-width: {54 + 70 * columns}px}} .st-key-live-curves {{overflow-x: auto}} "
        ".st-key-live-curves > * {min-width: 460px}</style>"
    )


def curves(study: str) -> None:
    """Losses and validation scores of the trainings that run now."""
    found = live_curves(data.store(), study)
    if found.empty or not data.is_planned(study):
        return
    st.subheader("Trainings that run", anchor=False, divider="gray")
    table, measure = live_table(found), data.main(study).main
    st.html(live_key(table))
    figure = live(table, measure=measure, loss=data.loss_name(study), dark=is_dark())
    with st.container(key="live-curves"):
        st.plotly_chart(
            figure, theme=None, config=config("live-curves"), key="live curves",
            alt=f"Loss and validation {measure} by epoch of the trainings that run now",
        )  # fmt: skip


def standing(study: str) -> None:
    """Strategies ranked by validation, and Table II as far as it is filled."""
    if not data.is_planned(study):
        return
    measure = data.main(study)
    cells = data.cells(study, data.choices(study).rates[0], measure.column)
    table = standing_table(cells)
    if not table["folds_done"].any():
        return
    st.subheader("So far", anchor=False, divider="gray")
    figure = table2(table2_table(cells, measure=measure.name), dark=is_dark())
    with st.container(key="table2"):
        st.plotly_chart(
            figure, theme=None, config=config("table2"), key="filling table", alt="Table II as far as it is filled"
        )
    st.caption(RANKED)
    shown = table[table["folds_done"] > 0]
    several = ["dataset"] if shown["dataset"].nunique() > 1 else []
    words = {f"{name} {measure.main}": [measure.write(value) or DASH for value in shown[name]] for name in SCORES}
    shown = shown.assign(
        fraction=shown["fraction"].map(percent),
        folds=[f"{done:.0f}/{of:.0f}" for done, of in zip(shown["folds_done"], shown["folds"], strict=True)],
        **words,
    )
    st.dataframe(
        shown[[*several, "fraction", "rank", "strategy", "folds", *words]], hide_index=True, key=f"standing {study}",
        height="content" if len(shown) < 14 else 460,
    )  # fmt: skip
