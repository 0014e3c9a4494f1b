"""The switches above the table."""

from dashboard.figures.cells import Rate
from dashboard.figures.measures import MEASURES
from dashboard.figures.palette import Colours
from dashboard.views.choice import several, switch

MEAN_OF_SEEDS = "mean of seeds"


def choose_show() -> str:
    """ours, published or difference."""
    options = ["ours", "published", "difference"]
    return switch("Show", options, "show")


def choose_measure(names: list[str]) -> str:
    """The column of the measure shown, of those that were measured."""
    return MEASURES[switch("Measure", names, "measure")].column


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


def choose_seed(seeds: list[int]) -> int | None:
    """The seed shown, None for all, averaged within each fold; asked for only where there are several."""
    if len(seeds) < 2:
        return None
    names = {MEAN_OF_SEEDS: None, **{str(seed): seed for seed in seeds}}
    return names[switch("Seed", list(names), "seed")]


def choose_others(study: str, studies: list[str]) -> list[str]:
    """Other studies whose rows stand below; asked for only where there are any."""
    others = sorted(name for name in studies if name != study)
    return several("With", others, "with") if others else []
