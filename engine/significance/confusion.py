"""Confusion of true and said classes: counts, two readers' difference, and accuracy without excess errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from engine.errors import DataError
from engine.significance.answers import answered, classes_of, on_common_frames

Cell = tuple[str, str]
"""True class, and the class that was said."""


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How many frames of each class were called what."""

    classes: tuple[str, ...]
    counts: Float[np.ndarray, "truth said"]
    """Frames; of several seeds their mean, so that rows always add up to the frames of the class."""

    @property
    def parts(self) -> Float[np.ndarray, "truth said"]:
        """Part of the true class's frames, rows adding up to 1; NaN for a class without frames."""
        frames = self.counts.sum(axis=1, keepdims=True)
        found: Float[np.ndarray, "truth said"] = np.full(self.counts.shape, np.nan)
        np.divide(self.counts, frames, out=found, where=frames > 0)
        return found


@dataclass(frozen=True, kw_only=True)
class DifferenceConfusion:
    """Errors of a reader minus those of a network on the frames that both answered."""

    classes: tuple[str, ...]
    excess: Float[np.ndarray, "truth said"]
    """Frames; positive where the reader makes more such errors, NaN on the diagonal."""
    images: int
    right: float
    """Frames that the reader has right (of several seeds their mean)."""


@dataclass(frozen=True, kw_only=True)
class WithoutExcess:
    """A reader's accuracy where some of its errors were no more than another's."""

    accuracy: float
    """With the excess errors counted as right."""
    as_it_is: float
    removed: float
    """Frames: the excess errors of all chosen cells."""
    images: int
    cells: pd.DataFrame
    """A row per chosen cell: truth, said, excess (reader minus network), removed (0 where the network errs more)."""


def confusion(answers: pd.DataFrame, classes: Sequence[str] | None = None) -> Confusion:
    """Frames by true class (rows) and said class (columns), in the order of `classes` (sorted where None).

    Every frame counts once: of several seeds each counts in part. Source: `sklearn.metrics.confusion_matrix`.

    Raises DataError where a class is unknown, or as `answers.answered` does.
    """
    table = answered(answers)
    return _counted(table, classes_of([table], classes))


def difference_confusion(
    reader: pd.DataFrame, network: pd.DataFrame, classes: Sequence[str] | None = None
) -> DifferenceConfusion:
    """Errors of `reader` minus those of `network` by true and said class (Cheng and Malhi 2017, Fig. 5).

    Raises DataError where a class is unknown, or as `answers.on_common_frames` does.
    """
    both = on_common_frames({"reader": reader, "network": network})
    names = classes_of(list(both.values()), classes)
    own, other = (_counted(table, names).counts for table in both.values())
    excess = own - other
    np.fill_diagonal(excess, np.nan)
    return DifferenceConfusion(
        classes=tuple(names), excess=excess, images=both["reader"]["index"].nunique(), right=float(np.trace(own))
    )


def accuracy_without_excess(difference: DifferenceConfusion, cells: Sequence[Cell]) -> WithoutExcess:
    """The reader's accuracy if in each of `cells` it made no more errors than the network.

    The excess errors become right answers; a cell in which the network errs more has none to remove. Source: Cheng
    and Malhi 2017, Results (76.6 and 77.5 % without excess errors between liver views).

    Raises DataError where a cell names an unknown class or lies on the diagonal, or where there are no common frames.
    """
    problems = [
        f"'{name}' is not one of the classes: {', '.join(difference.classes)}"
        for name in dict.fromkeys(name for cell in cells for name in cell)
        if name not in difference.classes
    ]
    problems += [
        f"'{truth}' said of '{said}' is no error; choose cells off the diagonal"
        for truth, said in cells
        if truth == said
    ]
    if not difference.images:
        problems.append("no common frames: the two readers answered different frames")
    if problems:
        raise DataError(problems)
    place = difference.classes.index
    rows = [
        {
            "truth": truth,
            "said": said,
            "excess": (excess := float(difference.excess[place(truth), place(said)])),
            "removed": max(excess, 0.0),
        }
        for truth, said in dict.fromkeys(cells)
    ]
    table = pd.DataFrame(rows, columns=["truth", "said", "excess", "removed"])
    removed = float(table["removed"].sum())
    return WithoutExcess(
        accuracy=(difference.right + removed) / difference.images,
        as_it_is=difference.right / difference.images,
        removed=removed,
        images=difference.images,
        cells=table,
    )


def _counted(table: pd.DataFrame, classes: Sequence[str]) -> Confusion:
    from sklearn.metrics import confusion_matrix  # here, since it takes a second to load

    if not len(table) or not classes:
        counts = np.zeros((len(classes), len(classes)))
    else:
        counts = confusion_matrix(
            table["label"].astype(str),
            table["predicted"].astype(str),
            labels=list(classes),
            sample_weight=table["weight"].to_numpy(dtype=np.float64),
        )
    return Confusion(classes=tuple(classes), counts=np.asarray(counts, dtype=np.float64))
