"""The network as pre-trained, on few images and on many: the same test images, as in Fig. 7 of Amiri et al. 2020."""

from pathlib import PurePosixPath

import pandas as pd
import streamlit as st

from dashboard import data_images
from dashboard.figures.pretrained import chosen_images, means, pretrained, pretrained_table, stage_row, stages_table
from dashboard.figures.rows import rows
from dashboard.views import drawn, finished
from dashboard.views.chart import is_dark
from dashboard.views.choice import select
from dashboard.views.tiles import grid
from engine.datasets import Dataset

SHOWN = 4
NONE = (
    "This study did not test its start weights as they are (strategy “as pre-trained”): run it again with a current "
    "version to add these trials. Start weights for another number of structures cannot be tested so."
)


def draw(study: str, source: Dataset, trials: pd.DataFrame) -> None:
    """Mean Dice of the three stages beside the images, a row per image and a column per stage."""
    tests = data_images.start_tests(study)
    if not len(tests):
        st.info(NONE)
        return
    if not tests["closed"].all():
        st.info(f"{tests['closed'].sum()} of {len(tests)} tests of the start weights are done; they come last.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        starts = list(dict.fromkeys(tests["start"]))
        start = select("Start weights", starts, "start", width=260) if len(starts) > 1 else starts[0]
        trials = finished.converged(trials[trials["start"] == start])
        if not len(trials):
            return
        chosen = finished.choose_strategy(trials)
    before = data_images.test_images(study, tests[tests["start"] == start])
    table = stages_table(before, data_images.test_images(study, chosen))
    by_fold = pretrained_table(table)
    left, right = st.columns(2, gap="large")
    with left:
        figure = pretrained(by_fold, dark=is_dark())
        note = "Standard deviations over folds. Trainings that failed are left out."
        drawn.draw(figure, by_fold, "stages", alt="Mean Dice before and after fine-tuning", note=note)
    if not len(table):
        return
    told = means(by_fold)
    pictures, captions = [], []
    for index in chosen_images(table, SHOWN):
        for found in rows(stage_row(table, index)):
            pictures.append(data_images.picture(study, index, found.predicted_mask, truth=True, longest=360))
            captions.append(f"**Dice {found.dice:.2f}** · {PurePosixPath(found.image).name}")
    with right:
        heads = [f"**{stage}**  \nmean Dice {mean}" for stage, mean in told.items()]
        grid(pictures, captions, columns=len(heads), key="stages", heads=heads)
