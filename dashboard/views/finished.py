"""What several pages choose before they show test images: a rate, a part of the images, strategies that are done."""

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures.gallery import finished, percent
from dashboard.views import drawn, headline
from dashboard.views.choice import select

GONE = "The study's images are no longer in the cache: run the study again to read them anew."
WAITING = "Test images are shown once all folds of a cell are done: none is yet."


def begin(title: str, what: str) -> str | None:
    """Title of a page, and the study it shows; None, said on the page, where there is none yet."""
    study: str | None = st.session_state["current"]
    st.title(title, anchor=False)
    if study and data.facts(study):
        headline.matters(study)
        headline.caveat(study)
        return study
    st.info(f"{what} appear here when a study has trained." if study else f"No study yet, so no {what.lower()}.")
    return None


def done(study: str) -> pd.DataFrame:
    """The trainings at the chosen rate of cells whose folds are all closed; says where there is none."""
    found = finished(data.trials(study, drawn.rate(study)))
    if not len(found):
        st.info(WAITING)
    return found


def converged(trials: pd.DataFrame) -> pd.DataFrame:
    """Those that count in means; says where there are trainings and none of them converged."""
    found: pd.DataFrame = trials[trials["converged"]]
    if len(trials) and not len(found):
        st.info("None of these trainings converged: failed ones are left out of means.")
    return found


def choose_percent(trials: pd.DataFrame) -> pd.DataFrame:
    """The trainings on the part of the images that is chosen."""
    fractions = {percent(value): value for value in sorted(set(trials["fraction"]), reverse=True)}
    chosen = select("Part of the images", list(fractions), "row", width=160)
    found: pd.DataFrame = trials[trials["fraction"] == fractions[chosen]]
    return found


def choose_strategy(trials: pd.DataFrame, label: str = "Strategy", key: str = "strategy") -> pd.DataFrame:
    """The trainings of the strategy that is chosen."""
    name = select(label, list(dict.fromkeys(trials["strategy"])), key, width=260)
    return trials[trials["strategy"] == name]
