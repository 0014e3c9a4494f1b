"""What readers say of frames: answers checked, weighed, and held to the same frames.

A reader is whoever classifies frames: a trained network (all folds and seeds of a cell) or a person. Answers are a
DataFrame with a row per frame that was answered, of a network once per seed: `COLUMNS`, and where known fold, seed,
scanner, kind ("network" or "person"), top2 (1 or 0) and probabilities (an array per row, in the order of the classes).
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from engine.errors import DataError
from engine.significance.measured import drawn_by

COLUMNS = ("index", "group", "label", "predicted")
"""Place of the frame in the data set, its group ("" where unknown), its true class, and the class that was said."""


def answered(answers: pd.DataFrame, who: str = "answers") -> pd.DataFrame:
    """The answers in the order of frames with the columns accuracy (1 right, 0 wrong), weight and unit.

    `weight` is one over the number of answers to the frame, so that every frame counts once however many seeds were
    trained. `unit` is what a bootstrap draws: the group where every answer names one, else the frame. `who` stands
    first in messages.

    Raises DataError where a column is absent, an answer names no class or is not what its `accuracy` says, or a frame
    has two true classes.
    """
    if missing := [name for name in COLUMNS if name not in answers]:
        raise DataError(f"{who}: column '{missing[0]}' is missing; expected {', '.join(COLUMNS)}")
    for column, what in (("label", "true class"), ("predicted", "class that was said")):
        if none := int((answers[column].fillna("") == "").sum()):
            raise DataError(f"{who}: {none} of {len(answers)} rows have no {what}; leave out frames without an answer")
    table = answers.sort_values([name for name in ("index", "fold", "seed") if name in answers], kind="stable")
    right = (table["label"].astype(str) == table["predicted"].astype(str)).astype(float)
    if "accuracy" in table and (wrong := int((table["accuracy"].astype(float) != right).sum())):
        raise DataError(
            f"{who}: the accuracy of {wrong} of {len(table)} rows is not that of label and predicted; "
            "expected 1 where they are the same class, else 0"
        )
    by_frame = table.groupby("index")
    if double := by_frame["label"].nunique().gt(1).sum():
        raise DataError(f"{who}: {double} frames have two true classes; expected answers about one data set")
    unit = table["group"] if drawn_by(table["group"]) == "group" else table["index"]
    weight = 1.0 / by_frame["index"].transform("size")
    return table.assign(accuracy=right, weight=weight, unit=unit).reset_index(drop=True)


def one_answer_each(answers: pd.DataFrame) -> pd.DataFrame:
    """One row of checked answers per frame: of several seeds the first, of several folds the first."""
    order = [name for name in ("index", "seed", "fold") if name in answers]
    return answers.sort_values(order, kind="stable").drop_duplicates("index").reset_index(drop=True)


def on_common_frames(readers: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The checked answers of each reader to the frames that all of them answered.

    Raises DataError as `answered` does, and where two readers' frames have different true classes.
    """
    checked = {name: answered(table, name) for name, table in readers.items()}
    common = set.intersection(*(set(table["index"]) for table in checked.values())) if checked else set()
    found = {name: table[table["index"].isin(common)].reset_index(drop=True) for name, table in checked.items()}
    truths = {name: one_answer_each(table)["label"].astype(str) for name, table in found.items()}
    for name, truth in truths.items():
        first, other = next(iter(truths.items()))
        if differ := int((truth != other).sum()):
            raise DataError(
                f"'{first}' and '{name}' have other true classes for {differ} of {len(truth)} frames; "
                "expected answers about one data set"
            )
    return found


def folds_of(readers: Sequence[pd.DataFrame], *, fixed_test_set: bool) -> int | None:
    """Fewest folds that a network's answers come from; None where every reader answered with one and the same mind.

    That is a person, answers without folds, and with `fixed_test_set` a network that all test frames were kept from
    (as in Cheng and Malhi 2017): then there is no more than one training whose folds could differ.
    """
    folds = [
        table["fold"].nunique()
        for table in readers
        if "fold" in table and not fixed_test_set and not ("kind" in table and (table["kind"] == "person").all())
    ]
    return min(folds) if folds else None


def classes_of(readers: Sequence[pd.DataFrame], classes: Sequence[str] | None) -> list[str]:
    """`classes`, or where None all that are true or said, sorted.

    Raises DataError where an answer has a class that is not among them.
    """
    known = {str(name) for table in readers for column in ("label", "predicted") for name in table[column]}
    if classes is None:
        return sorted(known)
    if strange := sorted(known - set(classes)):
        raise DataError(f"answers: class '{strange[0]}' is not one of the study's: {', '.join(classes)}")
    return list(classes)
