"""The measures that a table can show: their column, whether high or low is good, and how a value is written."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is measured on the test images."""

    name: str
    """As the page says it."""
    column: str
    """Column of attempts and of test images."""
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


DICE = Measure(name="Dice", column="dice", about="1 is a perfect mask")
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
    )
}
"""By name."""


def measure_of(column: str) -> Measure:
    """The measure with this column."""
    return next(measure for measure in MEASURES.values() if measure.column == column)
