"""Accuracy of one reader: in all, balanced, by class and by scanner, each with an interval over groups of frames."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from engine.errors import DataError
from engine.significance.answers import answered, classes_of, folds_of
from engine.significance.estimates import Estimate, Part, estimate, resampled_parts
from engine.significance.measured import Drawn, drawn_by
from engine.significance.resampling import RESAMPLES

SCANNER_COLUMNS = ["scanner", "images", "groups", "accuracy", "low", "high", "note"]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How often one reader is right."""

    accuracy: Estimate
    """Part of all frames that is right; every frame counts once, as the mean over its seeds."""
    balanced: Estimate
    """Mean over classes of the part of the class's frames that is right."""
    top2: Estimate | None
    """Part of frames whose true class is one of the two most probable; None where nobody knows."""
    confidence: float
    images: int
    answers: int
    """Answers to these frames, of all seeds."""
    folds: int | None
    """Folds that they come from; None where one training or person gave all."""
    resampled: Drawn
    """What is drawn with replacement: whole groups where every frame names its group."""
    classes: pd.DataFrame
    """A row per class: class, images, groups (with such frames), recall, recall_low, recall_high, recall_note, said
    (frames of which it was said; mean over seeds), precision, precision_low, precision_high, precision_note. The
    recall of a class without frames is NaN, and the precision of one that was never said."""
    scanners: pd.DataFrame
    """A row per scanner that is named: scanner, images, groups, accuracy, low, high, note."""


def accuracy_interval(
    answers: pd.DataFrame,
    *,
    classes: Sequence[str] | None = None,
    fixed_test_set: bool = False,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Accuracy:
    """How often the reader is right, with intervals; `answers` are of one reader, all its folds and seeds.

    Frames of all folds are taken together, seeds of a frame averaged. Classes come in the order of `classes` (sorted
    where None). Networks need three folds for an interval, unless `fixed_test_set` says that no test frame was ever
    in a training part; persons don't. All numbers share one draw of groups.

    Raises DataError without answers, or as `answers.answered` does.
    """
    table = answered(answers)
    if not len(table):
        raise DataError("no answers: accuracy needs one frame at least")
    names, folds = classes_of([table], classes), folds_of([table], fixed_test_set=fixed_test_set)
    drawn, frames = drawn_by(table["group"]), table.drop_duplicates("index")
    parts = _parts(table, names)
    found = resampled_parts(parts, table["unit"], resamples=resamples, seed=seed)

    def of(name: str, what: str) -> Estimate:
        return estimate(found, name, what=what, drawn=drawn, folds=folds, confidence=confidence)

    balanced = found.mean_over([f"label {name}" for name in names])
    return Accuracy(
        accuracy=of("accuracy", "the accuracy"),
        balanced=estimate(
            balanced, "mean", what="the balanced accuracy", drawn=drawn, folds=folds, confidence=confidence
        ),
        top2=of("top2", "the top-2 accuracy") if "top2" in parts else None,
        confidence=confidence,
        images=len(frames),
        answers=len(table),
        folds=folds,
        resampled=drawn,
        classes=pd.DataFrame(
            [_class_row(name, frames, float(parts[f"predicted {name}"][1].sum()), of) for name in names]
        ),
        scanners=pd.DataFrame([_scanner_row(name, frames, of) for name in _scanners(table)], columns=SCANNER_COLUMNS),
    )


def _parts(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, Part]:
    right, weight = table["accuracy"] * table["weight"], table["weight"]
    parts = {"accuracy": (right, weight)}
    if "top2" in table and bool(table["top2"].notna().all()):
        parts["top2"] = (table["top2"].astype(float) * weight, weight)
    for column, values in (("label", classes), ("predicted", classes), ("scanner", _scanners(table))):
        for value in values:
            own = (table[column].astype(str) == value).astype(float)
            parts[f"{column} {value}"] = (right * own, weight * own)
    return parts


def _scanners(table: pd.DataFrame) -> list[str]:
    return sorted({str(name) for name in table["scanner"].fillna("")} - {""}) if "scanner" in table else []


def _class_row(
    name: str, frames: pd.DataFrame, said: float, of: Callable[[str, str], Estimate]
) -> dict[str, str | float | None]:
    recall, precision = (
        of(f"label {name}", f"the recall of {name}"),
        of(f"predicted {name}", f"the precision of {name}"),
    )
    return {
        "class": name, "images": int((frames["label"].astype(str) == name).sum()), "groups": recall.units,
        "recall": recall.value, "recall_low": recall.low, "recall_high": recall.high, "recall_note": recall.note,
        "said": said, "precision": precision.value, "precision_low": precision.low, "precision_high": precision.high,
        "precision_note": precision.note,
    }  # fmt: skip


def _scanner_row(name: str, frames: pd.DataFrame, of: Callable[[str, str], Estimate]) -> dict[str, str | float | None]:
    found = of(f"scanner {name}", f"the accuracy on scanner {name}")
    return {
        "scanner": name, "images": int((frames["scanner"].astype(str) == name).sum()), "groups": found.units,
        "accuracy": found.value, "low": found.low, "high": found.high, "note": found.note,
    }  # fmt: skip
