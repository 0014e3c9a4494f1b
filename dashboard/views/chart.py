"""Figures on the page: the table as a chart that can be clicked, and the look that all charts share."""

import pandas as pd
import streamlit as st

from dashboard.figures.palette import Colours
from dashboard.figures.table2 import table2

CHART = {"displayModeBar": False, "displaylogo": False, "modeBarButtonsToRemove": ["sendChartToCloud"]}


def is_dark() -> bool:
    """Whether the page is dark now."""
    return st.context.theme.type == "dark"


def draw_table(table: pd.DataFrame, colours: Colours, *, clickable: bool = False) -> None:
    """Table II; a click on one of our cells chooses it."""
    columns = int(table["column"].max()) + 1 if len(table) else 1
    selected = (st.session_state["row"], st.session_state["strategy"]) if clickable else None
    figure = table2(table, colours=colours, dark=is_dark(), selected=selected)
    st.html(f"<style>:root {{--table-width: {54 + 70 * columns}px}}</style>")
    with st.container(key="table2"):
        if clickable:
            st.plotly_chart(
                figure, theme=None, config=CHART, key="table", on_select=_clicked, selection_mode="points",
                alt="Table II: mean Dice by strategy and fraction; choose a cell below by its select boxes",
            )  # fmt: skip
        else:
            st.plotly_chart(figure, theme=None, config=CHART, key="published table", alt="Published Table II")


def _clicked() -> None:
    points = st.session_state["table"]["selection"]["points"]
    if not points:
        return
    source, percent, strategy = points[0]["customdata"]
    if source == "ours":
        st.session_state["row"], st.session_state["strategy"] = percent, strategy
        st.session_state["cell clicked"] = True
