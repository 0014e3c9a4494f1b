"""Curves: loss and validation or test score of all cells as small multiples, filtered, renewed while a study runs."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures.cells import Rate
from dashboard.figures.curve_sheet import (
    PANEL_WIDTH,
    curve_sheet,
    curve_sheet_table,
    has_test,
    key,
    loss_range,
    scored,
    shows,
)
from dashboard.figures.curves import tidy_curves
from dashboard.figures.gallery import named, percent
from dashboard.views import drawn, finished
from dashboard.views.chart import is_dark, once
from dashboard.views.choice import switch


def page() -> None:
    """Filters above, the sheet below."""
    study = finished.begin("Curves", "Learning curves")
    if study is None:
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        place = st.container(width="content")
        rate = drawn.rate(study)
    trials = named(data.trials(study, rate))
    with place:
        show = switch("Show", shows(data.main(study).main, scored(data.epochs(study, trials))), "curves")
    wanted = _choose(trials)
    drawn.renewed(study, _draw, rate, wanted, show)


def _choose(trials: pd.DataFrame) -> dict[str, list[Any]]:
    """The values wanted of the columns that are filtered; all where none is chosen."""
    options: dict[str, dict[str, Any]] = {
        "strategy": {name: name for name in dict.fromkeys(trials["strategy"])},
        "fraction": {percent(value): value for value in sorted(set(trials["fraction"]), reverse=True)},
        "fold": {f"fold {fold}": fold for fold in sorted(set(trials["fold"]))},
    }
    labels = {"strategy": "Strategies", "fraction": "Parts of the images", "fold": "Folds"}
    wanted = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for column, names in options.items():
            chosen = st.multiselect(
                labels[column], list(names), key=f"curve {column}", bind="query-params", placeholder="all",
                width=460 if column == "strategy" else 230,
            )  # fmt: skip
            wanted[column] = [names[name] for name in chosen or names]
    return wanted


def _draw(study: str, rate: Rate, wanted: dict[str, list[Any]], show: str) -> None:
    trials = named(data.trials(study, rate))
    for column, values in wanted.items():
        trials = trials[trials[column].isin(values)]
    table = curve_sheet_table(data.epochs(study, trials), trials)
    measure, score = data.main(study).main, scored(table)
    st.html(key(sorted(set(table["fold"])), score))
    figure = once(curve_sheet, table, show=show, measure=measure, loss=data.loss_name(study), dark=is_dark())
    above = loss_range(table)[2]
    words = (
        [f"Losses of {above} epochs lie above the shared axis."] if above and show != shows(measure, score)[2] else []
    )
    words += ["Dotted: the test images, which choose nothing."] if has_test(table) else []
    width = 70 + PANEL_WIDTH * table["strategy"].nunique()
    alt = f"Loss and {score} {measure} by epoch, a panel per strategy and part of the images"
    note = " ".join(words)
    drawn.draw(figure, tidy_curves(table, trials), "curve-sheet", alt=alt, note=note, narrowest=width)
