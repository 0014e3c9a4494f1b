"""Test images of the trials that count, a row each: what statistics are made from."""

import numpy as np
import pandas as pd

from dashboard.figures.cells import CELL
from dashboard.figures.intervals import BALANCED
from engine.trial import Task

FIELDS = ("index", "group", "image", "dice", "iou", "hd95", "empty_truth", "predicted_pixels", "accuracy", "top2")
"""Fields of the store's test images that `test_table` takes; of classes also those of `OF_CLASSES`."""
OF_CLASSES = ("label",)
SCORE = "score"


def fields_of(task: Task) -> tuple[str, ...]:
    """Fields of the store's test images that pages of such a study need."""
    return (*FIELDS, *OF_CLASSES) if task == "classification" else FIELDS


def test_table(images: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """A row per test image and counted training: those that converged, in cells whose folds are all done.

    `images` are the store's test images, an attempt's in one piece, with a categorical `id`; `trials` as
    `cells.trial_table` makes them. Columns: start, network, fraction, strategy, fold, seed, learning_rate, and
    those of `images`. Start, network and strategy are categorical.
    """
    wanted = counted(trials)[[*CELL, "fold", "seed", "learning_rate", "id", "number"]]
    # An attempt's images lie in one piece: they are taken piece by piece, so that many rows stay cheap.
    codes, number = images["id"].cat.codes.to_numpy(), images["number"].to_numpy()
    new = np.flatnonzero(np.r_[True, (codes[1:] != codes[:-1]) | (number[1:] != number[:-1])])[: len(images)]
    pieces = pd.DataFrame(
        {
            "id": images["id"].cat.categories.to_numpy(dtype=object)[codes[new]],
            "number": number[new],
            "_first": new,
            "_count": np.diff(np.r_[new, len(images)]),
        }
    )
    found = wanted.merge(pieces.astype({"id": wanted["id"].dtype}), on=["id", "number"])
    count = found["_count"].to_numpy()
    first = found["_first"].to_numpy() - np.r_[0, np.cumsum(count)[:-1]][: len(count)]
    rows = np.repeat(first, count) + np.arange(count.sum())
    table = images.drop(columns=["id", "number"]).take(rows).reset_index(drop=True)
    owner = np.repeat(np.arange(len(found)), count)
    return table.assign(**{name: _repeated(found[name], owner) for name in [*CELL, "fold", "seed", "learning_rate"]})


def counted(trials: pd.DataFrame) -> pd.DataFrame:
    """The trainings that a mean of Table II is of: those that converged, in cells whose folds are all done."""
    complete = trials["closed"].groupby([trials[name] for name in CELL]).transform("all")
    found: pd.DataFrame = trials[complete & trials["converged"]].astype({"number": "int64"})
    return found


def with_score(images: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The test images with a `score` by `measure`, of which more is better; a distance that is undefined is worst."""
    if measure == "hd95":
        return images.assign(**{SCORE: -images["hd95"].astype(float).fillna(np.inf)})
    return images.assign(**{SCORE: images["iou" if measure == "iou" else "dice"]})


def _repeated(values: pd.Series, owner: np.ndarray) -> pd.Categorical | np.ndarray:
    if pd.api.types.is_numeric_dtype(values):
        return values.take(owner).to_numpy()
    codes, names = pd.factorize(values)
    return pd.Categorical.from_codes(codes[owner], categories=pd.Index(names, dtype=str))


def mean_over_seeds(images: pd.DataFrame, column: str = "dice") -> pd.DataFrame:
    """A row per cell, fold and image, `dice` being the mean of `column` over seeds; as `engine.significance` takes it.

    Normal images are left out, where Dice says nothing; of the false-positive rate they are all there is. Of balanced
    accuracy, which single images do not have, `dice` is whether the image is right, and `label` its class.
    """
    normal = images["empty_truth"].astype(bool)
    if column == "false_positive_rate":
        images = images[normal].assign(false_positive_rate=lambda rows: (rows["predicted_pixels"] > 0).astype(float))
    else:
        images = images[~normal]
    kept = ["group", "label"] if column == BALANCED else ["group"]
    column = "accuracy" if column == BALANCED else column
    images = images.dropna(subset=[column]) if column in images else images.iloc[:0].assign(**{column: np.nan})
    key = [*CELL, "fold", "index"]
    group = images.groupby(key, sort=False).ngroup().to_numpy()
    table = images[[*key, *kept]].iloc[np.unique(group, return_index=True)[1]].reset_index(drop=True)
    return table.assign(dice=np.bincount(group, images[column].to_numpy(dtype=float)) / np.bincount(group))
