"""What the pages of classification share: whose answers are shown, and frames with what was said of them."""

import math
from collections.abc import Sequence
from typing import Literal

import pandas as pd
import streamlit as st

from dashboard import answers, data, data_images
from dashboard.figures import mistakes
from dashboard.figures.readers import NETWORK, PERSON
from dashboard.figures.rows import rows
from dashboard.views import drawn, finished, headline
from dashboard.views.chart import is_dark
from dashboard.views.choice import select, several

MOST_ROWS = 24
"""Rows of a table that is not scrolled."""
NOTHING = "No answer yet: networks stand here once all folds of a cell are done, and persons with their first frame."


def begin(title: str) -> str | None:
    """Title of a page with what its results come from, and the study it shows; None, said there, without one."""
    study = finished.begin(title, "Answers of networks and persons")
    if study is not None:
        headline.told_of(study)
    return study


def choose(study: str) -> pd.DataFrame:
    """The answers to show: at the chosen rate, with those of other studies of the same frames where some are chosen."""
    others = answers.comparable(study)
    rate = drawn.rate(study)
    chosen = several("With", others, "with") if others else []
    return answers.answers(study, rate=rate, others=chosen)


def first_reader(study: str, table: pd.DataFrame) -> str:
    """A person where one has answered, else the study's reference on most images, else the first network."""
    people = table.loc[table["kind"] == PERSON, "reader"]
    return str(people.iloc[0]) if len(people) else reference(study, table)


def reference(study: str, table: pd.DataFrame) -> str:
    """The study's reference on most images, else the first reader."""
    own = table[table["strategy"] == data.facts(study).get("reference")]
    own = own if len(own) else table
    return str(own.sort_values("fraction", ascending=False, kind="stable")["reader"].iloc[0])


def choose_reader(table: pd.DataFrame, label: str, key: str, first: str) -> str:
    """One reader; `first` stands first."""
    names = answers.readers(table)
    return select(label, [first, *(name for name in names if name != first)], key, width=300)


def beside(table: pd.DataFrame, first: str, most: int = 2) -> list[str]:
    """Networks to hold beside a reader where none is chosen: those on as many images first."""
    networks = table[(table["kind"] == NETWORK) & (table["reader"] != first)]
    fraction = table.loc[table["reader"] == first, "fraction"].iloc[0]
    fraction = table["fraction"].max() if pd.isna(fraction) else fraction
    near = networks.assign(_far=(networks["fraction"] - fraction).abs()).sort_values("_far", kind="stable")
    return list(dict.fromkeys(near["reader"]))[:most]


def frames(study: str, part: pd.DataFrame, readers: Sequence[str], *, columns: int, key: str) -> None:
    """Frames of `mistakes.said_table` as tiles: the image, its class, what each reader says, and bars."""
    classes, dark = answers.classes(study), is_dark()
    narrow = f".st-key-{key}-images [data-testid='stColumn'] {{min-width: calc(50% - 0.75rem)}}"
    st.html(f"<style>@media (max-width: 640px) {{{narrow}}}</style>")
    with st.container(key=f"{key}-images", gap="medium"):
        for begin in range(0, len(part), columns):
            for column, row in zip(st.columns(columns), rows(part.iloc[begin : begin + columns]), strict=False):
                with column:
                    picture = data_images.picture(study, int(row.index), longest=320)
                    st.image(picture, width="stretch", alt=f"{row.image}, {row.label}")
                    st.html(mistakes.tile(row, readers, classes, dark=dark))


def numbers(table: pd.DataFrame, key: str, *, whole: Sequence[str] = ()) -> None:
    """A table with one decimal (p values with three, those in `whole` with none), a dash where a number is missing.

    Of many rows it scrolls.
    """
    shown, formats = table.copy(), {}
    for name in table.select_dtypes("float").columns:
        decimals = 0 if name in whole else 3 if name in ("p", "chi-square") else 1
        if table[name].notna().all():
            formats[name] = st.column_config.NumberColumn(format=f"%.{decimals}f")
        else:
            shown[name] = [f"{value:,.{decimals}f}" if pd.notna(value) else "–" for value in table[name]]
            formats[name] = st.column_config.TextColumn(alignment="right")
    height: Literal["content", "auto"] = "content" if len(shown) <= MOST_ROWS else "auto"
    st.dataframe(shown, hide_index=True, column_config=formats, key=key, height=height)


def turn(frames: int, page: int, key: str) -> int:
    """Place of the first frame on the chosen page."""
    pages = max(math.ceil(frames / page), 1)
    if st.session_state.get(key, 1) > pages:
        st.session_state[key] = pages
    if pages == 1:
        return 0
    number = st.number_input(f"Page of {pages}", 1, pages, key=key, bind="query-params", width=140)
    return (number - 1) * page


def named(names: Sequence[str]) -> str:
    """Readers as one line of choices names them."""
    return ", ".join(names) or "none"
