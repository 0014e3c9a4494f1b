"""Balanced accuracy of cells of Table II: a mean over classes, with an interval over groups of test images."""

import pandas as pd

from engine.errors import DataError
from engine.significance.estimates import Part, estimate, resampled_parts
from engine.significance.measured import CELL, drawn_by
from engine.significance.resampling import FIELDS, RESAMPLES

COLUMNS = ("strategy", "fold", "index", "group", "label", "accuracy")


def balanced_intervals(
    images: pd.DataFrame, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """A row per cell, as `cell_intervals` has them, of balanced accuracy.

    `images` has a row per test image (and seed): strategy, fold, index, group ("" where unknown), label (true class),
    accuracy (1 right, 0 wrong), and those columns of `CELL` that tell cells apart. The mean is Table II's: over folds,
    of the mean over the fold's classes, of the part of the class that is right. A resample draws whole groups, takes
    each class's part of what was drawn, and their mean; a class of which nothing was drawn is left out of it.

    Raises DataError where a column is absent or an image names no class.
    """
    if missing := [name for name in COLUMNS if name not in images]:
        raise DataError(f"test images: column '{missing[0]}' is missing; expected {', '.join(COLUMNS)}")
    if none := int((images["label"].fillna("").astype(str) == "").sum()):
        raise DataError(f"test images: {none} of {len(images)} name no true class; balanced accuracy needs them all")
    by = [name for name in CELL if name in images]
    found = [
        {**dict(zip(by, place, strict=True)), **_cell(part, confidence=confidence, resamples=resamples, seed=seed)}
        for place, part in images.groupby(by, sort=True, observed=True)
    ]
    return pd.DataFrame(found, columns=[*by, *FIELDS]).astype({"low": float, "high": float})


def _cell(images: pd.DataFrame, *, confidence: float, resamples: int, seed: int) -> dict[str, float | int | str | None]:
    """The fields of `CellInterval`, of the images of one cell."""
    order = images.sort_values(["fold", "index", "accuracy"])
    rows = order.groupby(["fold", "index"], as_index=False).agg(
        {"group": "first", "label": "first", "accuracy": "mean"}
    )
    drawn, labels, by_fold = drawn_by(rows["group"]), rows["label"].astype(str), rows.groupby("fold")
    classes = sorted(set(labels))
    of_class = rows.groupby(["fold", labels])["index"].transform("size")
    weight = 1.0 / (of_class * by_fold["label"].transform("nunique") * by_fold.ngroups)
    own = {name: weight.where(labels == name, 0.0) for name in classes}
    parts: dict[str, Part] = {name: (own[name] * rows["accuracy"], own[name]) for name in classes}
    found = resampled_parts(
        parts, rows["group" if drawn == "group" else "index"], resamples=resamples, seed=seed
    ).mean_over(classes, {name: float(own[name].sum()) for name in classes})
    one = estimate(
        found, "mean", what="the balanced accuracy", drawn=drawn, folds=by_fold.ngroups, confidence=confidence
    )
    return {
        "mean": one.value, "low": one.low, "high": one.high, "confidence": confidence, "folds": by_fold.ngroups,
        "images": len(rows), "resampled": drawn, "units": one.units, "note": one.note,
    }  # fmt: skip
