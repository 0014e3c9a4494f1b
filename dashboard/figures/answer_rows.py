"""Answers of a classification study's networks: a row per test image of every complete cell, all folds together."""

import pandas as pd

from dashboard.figures.cells import starts, with_network, with_results
from dashboard.figures.image_rows import counted
from dashboard.figures.readers import NETWORK, PERSON, reader_name
from engine.trial import AS_PRETRAINED

FIELDS = ("image", "index", "group", "scanner", "label", "predicted", "accuracy", "top2", "probabilities")
"""Fields of the store's test images that an answer has."""
OF_TRIAL = ["id", "number", "reader", "strategy", "fraction", "fold", "seed", "model", "start", "learning_rate"]
COLUMNS = [
    "study", "id", "reader", "kind", "strategy", "fraction", "fold", "seed", "model", "start", "learning_rate",
    *("index", "image", "group", "scanner", "label", "predicted", "accuracy", "top2", "probabilities", "seconds"),
]  # fmt: skip


def answering(plan: pd.DataFrame, attempts: pd.DataFrame, trainings: pd.DataFrame) -> pd.DataFrame:
    """The trainings of complete cells that converged, and the tests of start weights as they are, with `reader`.

    `trainings` are `cells.trial_table`'s rows. A reader is a cell: all its folds and seeds.
    """
    tests = with_network(plan)
    tests = tests[tests["strategy"] == AS_PRETRAINED].drop_duplicates(["start", "fold"])
    done = [counted(part) for part in (with_results(tests, attempts), trainings) if len(part)]
    wanted = pd.concat([part for part in done if len(part)] or done, ignore_index=True)
    several = len(starts(plan)) > 1
    return wanted.assign(reader=[reader_name(row, several_starts=several) for row in wanted.to_dict("records")])


def network_answers(wanted: pd.DataFrame, images: pd.DataFrame, study: str) -> pd.DataFrame:
    """A row per test image of the trainings `wanted`, in their order; columns are `COLUMNS`.

    `images` are the store's test images with the columns of `FIELDS`.
    """
    places = wanted[OF_TRIAL].assign(_order=range(len(wanted)))
    found = images.astype({"id": str}).merge(places, on=["id", "number"])
    found = found.sort_values(["_order", "index"], kind="stable", ignore_index=True)
    return found.assign(study=study, kind=NETWORK, seconds=float("nan"))[COLUMNS]


def person_answers(answers: pd.DataFrame, study: str) -> pd.DataFrame:
    """What persons answered (`engine.reader_study.answers`) as rows like those of networks; columns are `COLUMNS`."""
    nothing = float("nan")
    found = answers.assign(study=study, kind=PERSON, strategy="", fraction=nothing, seed=0, model="", start="")
    return found.assign(learning_rate=nothing)[COLUMNS]
