"""Networks that tell classes of images apart: sizes, units and strategies by name. Needs no torch."""

from collections.abc import Iterator
from dataclasses import dataclass

from engine.architectures.layers import LAYERS, classifier_layers
from engine.architectures.strategy import Strategy


@dataclass(frozen=True, kw_only=True)
class ClassifierFacts:
    """What a classifier is by default."""

    title: str
    """Name shown."""
    width: int
    """Filters of the first layer."""
    image_size: int
    """Side that images are resized to, in pixels."""
    crop: int
    """Side of the part that the network sees; 0 is the whole image."""
    smallest: int
    """Smallest side that the network can see, in pixels."""
    classes: int
    """Of the paper that used it for ultrasound: Cheng and Malhi 2017, or Pasdeloup et al. 2018."""
    channels: int
    """3 where start weights are of colour images; gray images are repeated."""


CLASSIFIERS: dict[str, ClassifierFacts] = {
    "caffenet": ClassifierFacts(
        title="CaffeNet", width=96, image_size=256, crop=227, smallest=64, classes=11, channels=3
    ),
    "vgg16": ClassifierFacts(title="VGG16", width=64, image_size=256, crop=224, smallest=32, classes=11, channels=3),
    "mobilenet": ClassifierFacts(
        title="MobileNet v1", width=32, image_size=256, crop=224, smallest=32, classes=7, channels=3
    ),
    "cvcnet": ClassifierFacts(
        title="CVCNet (our reconstruction)", width=32, image_size=128, crop=0, smallest=32, classes=7, channels=1
    ),
}

CLASSIFIER_UNITS: dict[str, tuple[str, ...]] = {
    model: tuple(classifier_layers(model, CLASSIFIERS[model].width, CLASSIFIERS[model].classes)) for model in LAYERS
}
"""Units of each classifier, shallow to deep; the last one has an output for each class."""


def classifier_parameters(model: str, width: int, classes: int) -> dict[str, int]:
    """Exact number of parameters of each unit. Raises StrategyError or StudyFileError, as `classifier_layers`."""
    layers = classifier_layers(model, width, classes)
    return {unit: sum(layer.parameters for layer in own.values()) for unit, own in layers.items()}


def normalised_units(model: str) -> tuple[str, ...]:
    """Units with batch normalisation, shallow to deep; empty for CaffeNet and VGG16."""
    layers = classifier_layers(model, CLASSIFIERS[model].width, CLASSIFIERS[model].classes)
    return tuple(unit for unit, own in layers.items() if any(layer.normalised for layer in own.values()))


def default_width(model: str) -> int:
    """Filters of the first layer in the paper: 96, 64 or 32; 64 for the U-Net."""
    return CLASSIFIERS[model].width if model in CLASSIFIERS else 64


def default_image_size(model: str) -> int:
    """Side that images are resized to before a part is cut out, in pixels."""
    return CLASSIFIERS[model].image_size if model in CLASSIFIERS else 256


def default_crop(model: str) -> int:
    """Side of the part of an image that the network sees, in pixels; 0 is the whole image."""
    return CLASSIFIERS[model].crop if model in CLASSIFIERS else 0


def default_classes(model: str) -> int:
    """Classes in the paper that used the classifier for ultrasound; one structure for the U-Net."""
    return CLASSIFIERS[model].classes if model in CLASSIFIERS else 1


def smallest_image_size(model: str) -> int:
    """Smallest side that the network can see, in pixels: of the crop where there is one."""
    return CLASSIFIERS[model].smallest if model in CLASSIFIERS else 32


def last_unit(model: str) -> str:
    """The unit with an output for each class, which begins anew where start weights are for other classes."""
    return CLASSIFIER_UNITS[model][-1]


def _named(model: str) -> Iterator[Strategy]:
    """Strategies of a classifier as the papers and we name them, without those of the first or last k units.

    Input and output layers are the first and last third of the units, rounded (ours; Pasdeloup et al. 2018 do not say
    which layers they are).
    """
    order = CLASSIFIER_UNITS[model]
    third, connected = round(len(order) / 3), tuple(unit for unit in order if unit.startswith("fc"))
    yield Strategy(name="input layers", units=order[:third])
    if connected:
        yield Strategy(name="FC8", units=connected[-1:])
        yield Strategy(name="FC6-8", units=connected)
        fifth = tuple(unit for unit in order if unit.startswith("conv5"))
        yield Strategy(name="conv5 + FC", units=fifth + connected)
    yield Strategy(name="output layers", units=order[-third:])
    if normalised := normalised_units(model):
        yield Strategy(name="statistics only", units=normalised, method="statistics only")
    yield Strategy(name="whole network", units=order)
    yield Strategy(name="from scratch", units=order, start="random")


def _cumulative(model: str) -> Iterator[Strategy]:
    """`first unit`, `first 2 units` ... and `last unit`, `last 2 units` ... of every number but all."""
    order = CLASSIFIER_UNITS[model]
    for side in ("first", "last"):
        for count in range(1, len(order)):
            name = f"{side} unit" if count == 1 else f"{side} {count} units"
            yield Strategy(name=name, units=order[:count] if side == "first" else order[-count:])


def _once(model: str) -> dict[str, Strategy]:
    """Strategies by name, each set of units under its first name: the output layers of CaffeNet are FC6-8."""
    found: dict[object, Strategy] = {}
    for strategy in (*_named(model), *_cumulative(model)):
        found.setdefault(_key(strategy), strategy)
    return {strategy.name: strategy for strategy in found.values()}


def _key(strategy: Strategy) -> object:
    return strategy.units, strategy.start, strategy.method


CLASSIFIER_STRATEGIES: dict[str, dict[str, Strategy]] = {
    model: {
        name: strategy for name, strategy in _once(model).items() if name in {named.name for named in _named(model)}
    }
    for model in CLASSIFIERS
}
"""Strategies of each classifier that the papers or we named; those of the first or last k units stand apart."""


def cumulative_strategies(model: str) -> list[Strategy]:
    """Those of the first 1, 2, ... units, then of the last 1, 2, ... units, under the names that they have."""
    by_units = {_key(strategy): strategy for strategy in _once(model).values()}
    return [by_units[_key(strategy)] for strategy in _cumulative(model)]


def classifier_strategies(model: str) -> dict[str, Strategy]:
    """Every strategy of a classifier by each of its names, in lower case: several names may lead to one strategy."""
    order, canonical = CLASSIFIER_UNITS[model], _once(model)
    by_units = {_key(strategy): strategy for strategy in canonical.values()}
    names = {strategy.name.lower(): by_units[_key(strategy)] for strategy in (*_named(model), *_cumulative(model))}
    for side in ("first", "last"):
        names |= {f"{side} 1 unit": names[f"{side} unit"], f"{side} 1 units": names[f"{side} unit"]}
        names[f"{side} {len(order)} units"] = names["whole network"]
    return names
