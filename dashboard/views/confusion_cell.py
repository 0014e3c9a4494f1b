"""One cell of a confusion matrix: which one is chosen, by a click or by its boxes, and its frames."""

from collections.abc import Collection, Mapping

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


def clicked(figure: str) -> None:
    """Chooses the cell that was clicked in the figure of this name."""
    points = st.session_state[f"figure {figure}"]["selection"]["points"]
    if points:
        label, predicted = points[0]["customdata"]
        put("truth", label)
        put("said", predicted)


def draw(study: str, readers: Mapping[str, pd.DataFrame], cells: pd.DataFrame) -> None:
    """Boxes for the cell of `cells`, and the frames that a reader called so, the most confident answers first.

    `readers` are the answers of one reader, or of two: then of the frames that both answered.
    """
    st.subheader("One cell", anchor=False, divider="gray")
    classes, chosen = list(dict.fromkeys(cells["label"])), choice(cells)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = select("True class", classes, "truth", width=260, first=chosen[0], always=True)
        predicted = select("Said", classes, "said", width=260, first=chosen[1], always=True)
        parts = {name: _of_class(part, label, predicted) for name, part in readers.items()}
        both = set.intersection(*(set(part["index"]) for part in parts.values()))
        called = {
            name: both.intersection(part.loc[part["predicted"] == predicted, "index"]) for name, part in parts.items()
        }
        answered = pd.concat(parts.values(), ignore_index=True)
        answered = answered[answered["index"].isin(set().union(*called.values()))]
        table = mistakes.said_table(answered, list(parts)).sort_values("confidence", ascending=False, kind="stable")
        start = said.turn(len(table), PAGE, "confusion page")
    shown = table.iloc[start : start + PAGE]
    place = f"; {start + 1} to {start + len(shown)} shown, the most confident first" if len(shown) else ""
    st.caption(f"{_counted(label, predicted, called, len(both))}{place}")
    if data.dataset(study) is None:
        st.info(finished.GONE)
    elif len(shown):
        said.frames(study, shown, list(parts), columns=COLUMNS, key="confusion")


def _of_class(part: pd.DataFrame, label: str, predicted: str) -> pd.DataFrame:
    """An answer to each frame of the class: of several seeds one that is `predicted`, where there is one."""
    part = part[part["label"] == label]
    return part.loc[(part["predicted"] != predicted).sort_values(kind="stable").index].drop_duplicates("index")


def _counted(label: str, predicted: str, called: Mapping[str, Collection[int]], of: int) -> str:
    what = "rightly called so" if label == predicted else f"called {predicted}"
    if len(called) == 1:
        return "".join(f"{len(frames)} of {of} frames of {label} {what} by {name}" for name, frames in called.items())
    each = ", ".join(f"{len(frames)} by {name}" for name, frames in called.items())
    return f"Of the {of} frames of {label} that both answered, {what}: {each}"
