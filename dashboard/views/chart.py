"""Figures on the page: the table as a chart that can be clicked, and the look that all charts share."""

import hashlib
import pickle
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeVar

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard.figures.cells import for_file
from dashboard.figures.palette import Colours
from dashboard.figures.table2 import SQUARE, table2
from dashboard.views.choice import put, switch

Picture = Literal["png", "svg"]
Made = TypeVar("Made", go.Figure, pd.DataFrame)


def config(name: str, picture: Picture = "png") -> dict[str, Any]:
    """Settings of a chart: the only button saves it as a picture of this name, nothing leaves for another host."""
    return {
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": picture, "filename": name, "scale": 2 if picture == "png" else 1},
    }


CHART = config("whichlayers")


def choose_picture() -> Picture:
    """Kind of file that the button above a chart saves."""
    return "svg" if switch("Save charts as", ["PNG", "SVG"], "picture") == "SVG" else "png"


def is_dark() -> bool:
    """Whether the page is dark now."""
    return st.context.theme.type == "dark"


def once(make: Callable[..., Made], table: pd.DataFrame, **options: Any) -> Made:
    """`make(table, **options)`, kept by content: Plotly's checks are a third of a page's time. Not to be changed."""
    content = pickle.dumps((make.__module__, make.__qualname__, table, sorted(options.items())))
    made: Made = _made(hashlib.sha256(content).hexdigest(), make, table, options)
    return made


@st.cache_resource(max_entries=96, show_spinner=False)
def _made(content: str, _make: Callable[..., Any], _table: pd.DataFrame, _options: Mapping[str, Any]) -> Any:
    return _make(_table, **_options)


def draw_table(
    table: pd.DataFrame, colours: Colours, *, selected: Mapping[str, str] | None = None, picture: Picture = "png"
) -> None:
    """Table II; where a cell is `selected`, a click on another of the same study chooses that one."""
    columns = int(table["column"].max()) + 1 if len(table) else 1
    figure = once(table2, table, colours=colours, dark=is_dark(), selected=selected and dict(selected))
    st.html(f"<style>:root {{--table-width: {54 + 70 * columns}px}}</style>")
    with st.container(key="table2"):
        if selected is not None:
            st.plotly_chart(
                figure, theme=None, config=config("table2", picture), key="table", on_select=_clicked,
                selection_mode="points",
                alt="Table II: means by strategy and fraction; choose a cell below by its select boxes",
            )  # fmt: skip
        else:
            st.plotly_chart(
                figure, theme=None, config=config("table2", picture), key="published table", alt="Published Table II"
            )


def _clicked() -> None:
    points = st.session_state["table"]["selection"]["points"]
    if not points:
        return
    square = dict(zip(SQUARE, points[0]["customdata"], strict=True))
    if square["source"] == "ours" and square["study"] == st.session_state["current"]:
        put("row", square["percent"])
        put("strategy", square["strategy"])
        for key in ("start", "network"):
            if square[key]:
                put(key, square[key])
        st.session_state["cell clicked"] = True


def as_csv(label: str, table: pd.DataFrame, name: str) -> None:
    """A button that gives a table as a file."""
    st.download_button(
        f"{label} (CSV)", partial(for_file, table), f"{name}.csv", "text/csv", key=f"file {name}",
        icon=":material/download:", on_click="ignore", type="tertiary",
    )  # fmt: skip
