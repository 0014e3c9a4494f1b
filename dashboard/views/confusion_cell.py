"""One cell of a confusion matrix: which one is chosen, by a click or by its boxes, and its frames."""

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures import mistakes
from dashboard.views import finished, said
from dashboard.views.choice import current, put, select

PAGE = 12
COLUMNS = 6


def choice(cells: pd.DataFrame) -> tuple[str, str]:
    """True and said class of the chosen cell; at first the most frequent error."""
    first = _first(cells)
    known = set(cells["label"])
    return current("truth", known, first[0]), current("said", known, first[1])


def _first(cells: pd.DataFrame) -> tuple[str, str]:
    errors = cells[cells["label"] != cells["predicted"]].sort_values("images", ascending=False, kind="stable")
    row = errors.iloc[0] if len(errors) else cells.iloc[0]
    return str(row["label"]), str(row["predicted"])


def clicked() -> None:
    """Chooses the cell that was clicked."""
    points = st.session_state["figure confusion"]["selection"]["points"]
    if points:
        label, predicted = points[0]["customdata"]
        put("truth", label)
        put("said", predicted)


def draw(study: str, own: pd.DataFrame, reader: str, cells: pd.DataFrame) -> None:
    """Boxes for the cell, and its frames, the most confident answers first."""
    st.subheader("One cell", anchor=False, divider="gray")
    classes, chosen = list(dict.fromkeys(cells["label"])), choice(cells)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = select("True class", classes, "truth", width=260, first=chosen[0], always=True)
        predicted = select("Said", classes, "said", width=260, first=chosen[1], always=True)
        part = own[(own["label"] == label) & (own["predicted"] == predicted)].drop_duplicates("index")
        table = mistakes.said_table(part, [reader]).sort_values("confidence", ascending=False, kind="stable")
        start = said.turn(len(table), PAGE, "confusion page")
    shown = table.iloc[start : start + PAGE]
    of = own.loc[own["label"] == label, "index"].nunique()
    what = "rightly called so" if label == predicted else f"called {predicted}"
    place = f", {start + 1} to {start + len(shown)} shown, the most confident first" if len(shown) else ""
    st.caption(f"{len(table)} of {of} frames of {label} {what} by {reader}{place}")
    if data.dataset(study) is None:
        st.info(finished.GONE)
    elif len(shown):
        said.frames(study, shown, [reader], columns=COLUMNS, key="confusion")
