"""The measures that a table can show: their column, whether high or low is good, and how a value is written."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.trial import Task


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is measured on the test images."""

    name: str
    """As the page says it."""
    column: str
    """Column of attempts and, but for balanced accuracy, of test images."""
    task: Task = "segmentation"
    lower_is_better: bool = False
    about: str = ""
    """What is good, in a few words."""

    @property
    def digits(self) -> int:
        """Decimals up to which two values are told apart."""
        return 1 if self.column == "hd95" else 3

    def write(self, value: float, *, sign: bool = False) -> str:
        """The value with as many digits as it has meaning: `0.834`, `4.2`, `12.5 %`; "" of NaN."""
        if math.isnan(value):
            return ""
        plus = "+" if sign else ""
        if self.column == "false_positive_rate":
            return f"{100 * value:{plus}.1f} %"
        return f"{value:{plus}.1f}" if self.column == "hd95" else f"{value:{plus}.3f}"

    def title(self, unit: str = "") -> str:
        """The name with its unit: `HD95 (mm)`."""
        return f"{self.name} ({unit})" if unit and self.column == "hd95" else self.name

    @property
    def said(self) -> str:
        """The name within a sentence: `Dice`, `accuracy`, `top-2 accuracy`."""
        if self.task == "segmentation":
            return self.name
        return "top-2 accuracy" if self.column == "top2" else self.name.lower()

    @property
    def main(self) -> str:
        """The task's first measure as sentences say it, which validation and margins are in."""
        return "Dice" if self.task == "segmentation" else "accuracy"

    @property
    def collapse(self) -> str:
        """What a network predicts that has collapsed (`Attempt.collapsed`)."""
        return "next to nothing but background" if self.task == "segmentation" else "one class for all images"


DICE = Measure(name="Dice", column="dice", about="1 is a perfect mask")
ACCURACY = Measure(
    name="Accuracy", column="accuracy", task="classification", about="part of the test images whose class is right"
)
MEASURES = {
    measure.name: measure
    for measure in (
        DICE,
        Measure(name="IoU", column="iou", about="1 is a perfect mask"),
        Measure(
            name="HD95",
            column="hd95",
            lower_is_better=True,
            about="95 % Hausdorff distance of the outlines, lower is better",
        ),
        Measure(
            name="false positives",
            column="false_positive_rate",
            lower_is_better=True,
            about="part of the normal test images on which something is predicted, lower is better",
        ),
        ACCURACY,
        Measure(
            name="Top-2",
            column="top2",
            task="classification",
            about="part of the test images whose class is among the two most probable ones",
        ),
        Measure(
            name="Balanced accuracy",
            column="balanced_accuracy",
            task="classification",
            about="mean over the classes of the part that is right",
        ),
    )
}
"""By name."""


MAIN = (DICE.column, ACCURACY.column)
"""Columns of the measures that margins, recommendations and validation are in."""
ALWAYS = ("dice", "iou", "accuracy", "top2", "balanced_accuracy")
"""Columns of the measures that every study of their task is offered."""


def task_of(facts: Mapping[str, Any]) -> Task:
    """What a study's networks learn; segmentation where its facts do not say it."""
    return "classification" if (facts.get("settings") or {}).get("task") == "classification" else "segmentation"


def main_of(facts: Mapping[str, Any]) -> Measure:
    """The measure that a study of this task is shown in first."""
    return ACCURACY if task_of(facts) == "classification" else DICE


def measures_of(task: Task) -> dict[str, Measure]:
    """The measures of a task by name, its main one first."""
    return {name: measure for name, measure in MEASURES.items() if measure.task == task}


def in_words_of(text: str, measure: Measure) -> str:
    """A sentence about Dice, said of the measure that was put in its place."""
    if measure.task == "segmentation":
        return text
    said = text.replace("of Dice", f"of {measure.main}").replace("Dice", measure.main)
    return said.replace("only said background", "gave one class to every image")


def measure_of(column: str) -> Measure:
    """The measure with this column."""
    return next(measure for measure in MEASURES.values() if measure.column == column)
