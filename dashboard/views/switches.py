"""The switches above the table."""

from dashboard.figures.cells import Rate
from dashboard.figures.palette import Colours
from dashboard.views.choice import switch

MEASURES = {"Dice": "dice", "IoU": "iou"}


def choose_show() -> str:
    """ours, published or difference."""
    options = ["ours", "published", "difference"]
    return switch("Show", options, "show")


def choose_measure() -> str:
    """The column of the measure shown."""
    return MEASURES[switch("Measure", list(MEASURES), "measure")]


def choose_colours() -> Colours:
    """Red and green as in the paper, or blue and orange."""
    options: list[Colours] = ["red-green", "colour-blind safe"]
    return "red-green" if switch("Colours", list(options), "colours") == "red-green" else "colour-blind safe"


def choose_rate(rates: list[Rate]) -> Rate:
    """The learning rate shown; asked for only where there are several."""
    if len(rates) < 2:
        return rates[0]
    names = {rate if isinstance(rate, str) else f"{rate:g}": rate for rate in rates}
    return names[switch("Learning rate", list(names), "rate")]
