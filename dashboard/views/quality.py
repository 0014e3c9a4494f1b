"""Quality: how far predicted probabilities can be trusted, and whether subgroups of the images do alike."""

import pandas as pd
import streamlit as st

from dashboard import data, data_images
from dashboard.figures import calibration, subgroups
from dashboard.views import drawn, finished, headline
from dashboard.views.chart import is_dark
from dashboard.views.choice import select

NONE = "none"
STRUCTURE = "structure"


def page() -> None:
    """One or two strategies, then both blocks."""
    study = finished.begin("Quality", "Calibration and subgroups")
    if study is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        trials = finished.converged(finished.done(study))
        if not len(trials):
            return
        chosen = choose(trials)
    if note := headline.split_note(data.facts(study)):
        st.caption(note)
    names = list(dict.fromkeys(chosen["strategy"]))
    if len(names) > 1:
        st.html(subgroups.key(names, dark=is_dark()))
    left, right = st.columns(2, gap="large")
    with left:
        calibration_block(study, chosen)
    with right:
        subgroups_block(study, chosen)


def choose(trials: pd.DataFrame) -> pd.DataFrame:
    """The trainings of one or two strategies on one part of the images."""
    trials = finished.choose_percent(trials)
    first = finished.choose_strategy(trials)
    others = [name for name in dict.fromkeys(trials["strategy"]) if name not in set(first["strategy"])]
    second = select("Beside it", [NONE, *others], "beside", width=260)
    return pd.concat([first, trials[trials["strategy"] == second]])


def calibration_block(study: str, chosen: pd.DataFrame) -> None:
    """The reliability diagram and the expected calibration error of the chosen strategies."""
    st.subheader("Calibration", anchor=False, divider="gray")
    table = calibration.calibration_table(data_images.calibration(study, chosen), chosen)
    of: calibration.Of = "images" if data.task(study) == "classification" else "pixels"
    st.markdown(calibration.told(calibration.errors_table(table), of))
    figure = calibration.calibration(table, of=of, dark=is_dark())
    alt = f"How often {of} of a predicted probability are {calibration.WORDS[of][2]}"
    note = calibration.NOTE if of == "pixels" else calibration.NOTE_OF_IMAGES
    drawn.draw(figure, table, "calibration", alt=alt, note=note)


def subgroups_block(study: str, chosen: pd.DataFrame) -> None:
    """Mean Dice or accuracy by a column of the data set that is chosen."""
    st.subheader("Subgroups", anchor=False, divider="gray")
    source = data.dataset(study)
    if source is None:
        st.info(finished.GONE)
        return
    columns = {name.replace("_", " "): name for name in subgroups.subgroup_columns(source.table)}
    several = len(source.structures) > 1
    if not columns and not several:
        st.info("No column of this data set parts its images: none has 2 to 12 values, or numbers for quarters.")
        return
    options = [*columns, *([STRUCTURE] if several else [])]
    by = select("Subgroups by", options, "subgroups by", width=300)
    images = data_images.test_images(study, chosen)
    if by == STRUCTURE:
        parted = subgroups.by_structure(images, source.structures)
    else:
        parted = subgroups.by_column(images, subgroups.subgroup_names(source.table, columns[by]))
    table = subgroups.subgroups_table(images, parted, list(dict.fromkeys(chosen["strategy"])))
    measure = data.main(study).main
    figure = subgroups.subgroups(table, measure=measure, dark=is_dark())
    drawn.draw(figure, table, "subgroups", alt=f"Mean {measure} of each subgroup", note=subgroups.note(table))
