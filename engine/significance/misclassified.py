"""Frames on which readers are wrong, chosen by agreement, with the classes that each finds most probable."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from engine.errors import DataError
from engine.significance.answers import on_common_frames, one_answer_each

ABOUT = ["index", "image", "group", "scanner", "label"]
"""What is told of a frame, where it is known."""


def misclassified(
    readers: Mapping[str, pd.DataFrame],
    classes: Sequence[str],
    *,
    wrong: Sequence[str],
    right: Sequence[str] = (),
    most: int = 3,
    ascending: bool = False,
) -> pd.DataFrame:
    """Frames that all readers in `wrong` have wrong and all in `right` have right, the most confident first.

    Columns: index and what else is known of image, group, scanner, label; said (tuple, in the order of wrong and
    right), confidence (mean over those with probabilities of what they gave the class that they said; NaN of persons
    alone), probable (of each reader a tuple of (class, probability), the `most` probable first, () of a person).
    `classes` is the order of the probabilities. Source: Cheng and Malhi 2017, Fig. 7.

    Raises DataError where a reader is unknown, or as `answers.on_common_frames` does.
    """
    chosen = list(dict.fromkeys([*wrong, *right]))
    if unknown := [name for name in chosen if name not in readers]:
        raise DataError(f"no answers of reader '{unknown[0]}'; there are: {'; '.join(readers)}")
    if not chosen or set(wrong) & set(right):
        raise DataError("misclassified frames: choose readers that are wrong, and others that are right")
    sides = [one_answer_each(side) for side in on_common_frames({name: readers[name] for name in chosen}).values()]
    held = np.logical_and.reduce(
        [side["accuracy"].to_numpy() == (0 if name in wrong else 1) for name, side in zip(chosen, sides, strict=True)]
    )
    about = sides[0].loc[held, [name for name in ABOUT if name in sides[0]]].reset_index(drop=True)
    own = [side[held].reset_index(drop=True) for side in sides]
    probable = [[_probable(values, classes, most) for values in _probabilities(side)] for side in own]
    sure = np.array([[float(each[0][1]) if each else np.nan for each in side] for side in probable])
    known = (~np.isnan(sure)).sum(axis=0)
    about["said"] = pd.Series(list(zip(*(side["predicted"] for side in own), strict=True)), dtype=object)
    about["confidence"] = np.where(known > 0, np.nansum(sure, axis=0) / np.maximum(known, 1), np.nan)
    about["probable"] = pd.Series(list(zip(*probable, strict=True)), dtype=object)
    return about.sort_values(
        ["confidence", "index"], ascending=[ascending, True], na_position="last", ignore_index=True
    )


def _probabilities(side: pd.DataFrame) -> list[Any]:
    return list(side["probabilities"]) if "probabilities" in side else [None] * len(side)


def _probable(values: Any, classes: Sequence[str], most: int) -> tuple[tuple[str, float], ...]:
    if values is None or np.size(values) == 0 or np.isnan(np.asarray(values, dtype=float)).any():
        return ()
    if np.size(values) != len(classes):
        raise DataError(f"{np.size(values)} probabilities of a frame, but {len(classes)} classes: {', '.join(classes)}")
    order = np.argsort(-np.asarray(values, dtype=float), kind="stable")[:most]
    return tuple((str(classes[place]), float(values[place])) for place in order)
