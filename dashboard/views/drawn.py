"""What the pages of figures share: our cells beside published ones, and a figure with its table to take away."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import data
from dashboard.figures.cells import Rate, for_file
from dashboard.views import headline
from dashboard.views.chart import Picture, config
from dashboard.views.choice import select
from dashboard.views.switches import choose_rate
from engine import published as paper

SOURCE = f"{paper.CITATION.short}, [doi:{paper.CITATION.doi}]({paper.CITATION.url})"


def planned(study: str | None) -> bool:
    """Whether there is a study whose trials are planned; without one the published figures are drawn."""
    return bool(study and data.facts(study))


def begin(title: str) -> str | None:
    """Title of a page, and the study it shows; None, said on the page, where only published figures are drawn."""
    study: str | None = st.session_state["current"]
    st.title(title, anchor=False)
    if study and planned(study):
        headline.matters(study)
        headline.caveat(study)
        return study
    what = "This study is being prepared" if study else "No study yet"
    st.caption(f"{what}: until there are results, the published ones are drawn. {SOURCE}.")
    return None


def rate(study: str | None) -> Rate:
    """The learning rate shown, asked for where there are several; "" without a study."""
    return choose_rate(data.choices(study).rates) if study else ""


def cells(study: str | None, rate: Rate) -> pd.DataFrame:
    """Cells of the study, and below them those of the published data set that it names (of all where it names none).

    Of a classification study its own cells of accuracy.
    """
    if study is None:
        return data.published_table()
    ours = data.marked_cells(study, rate, data.main(study).column)
    if data.task(study) == "classification":
        return ours
    theirs = data.published_table(data.facts(study)["data"].get("compare_with"))
    return pd.concat([ours, theirs], ignore_index=True)


def renewed(study: str | None, draw: Callable[..., None], *arguments: object) -> None:
    """Draws a part of the page, and again every few seconds while the study runs."""
    st.fragment(draw, run_every=4 if study and data.is_busy(study) else None)(study, *arguments)


def choose_dataset(cells: pd.DataFrame, first: str = "", key: str = "data") -> pd.DataFrame:
    """The cells of the data set that is chosen, asked for where there are several; `first` is the one shown first."""
    names = sorted(dict.fromkeys(cells["dataset"]), key=lambda name: not str(name).startswith(first))
    chosen = names[0] if len(names) == 1 else select("Data set", names, key, width=280)
    found: pd.DataFrame = cells[cells["dataset"] == chosen]
    return found


def draw(
    figure: go.Figure,
    table: pd.DataFrame,
    name: str,
    *,
    alt: str,
    note: str,
    narrowest: int = 0,
    on_select: Callable[[], None] | Literal["ignore"] = "ignore",
) -> None:
    """The figure, what it shows in words, and its numbers as a file; it scrolls on screens below `narrowest` pixels."""
    picture: Picture = "svg" if st.session_state.get("chosen picture") == "SVG" else "png"  # as `choose_picture` says
    st.html(f"<style>.st-key-{name} {{overflow-x: auto}} .st-key-{name} > * {{min-width: {narrowest}px}}</style>")
    with st.container(key=name):
        st.plotly_chart(
            figure, theme=None, config=config(name, picture), key=f"figure {name}", alt=alt, on_select=on_select,
            selection_mode="points",
        )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        st.caption(note, width="stretch")
        file = st.container(width="content")
    file.download_button(
        "CSV", partial(for_file, table), f"{st.session_state['current'] or 'published'}-{name}.csv", "text/csv",
        key=f"file {name}", help="The numbers of this figure", icon=":material/download:", on_click="ignore",
        type="tertiary",
    )  # fmt: skip
