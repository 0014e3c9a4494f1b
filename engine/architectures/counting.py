"""Exact numbers of parameters: of each unit, of what learns, of every strategy. Needs no torch."""

from dataclasses import replace

from engine.architectures.classifiers import (
    CLASSIFIER_STRATEGIES,
    CLASSIFIER_UNITS,
    CLASSIFIERS,
    classifier_parameters,
    cumulative_strategies,
    default_classes,
    default_width,
)
from engine.architectures.layers import classifier_layers
from engine.architectures.strategy import Strategy
from engine.architectures.unet import (
    EXTRA,
    UNET_CONVOLUTIONS,
    UNET_STRATEGIES,
    convolution_parameters,
    output_channels,
    unet_convolutions,
    unet_parameters,
)
from engine.errors import StrategyError


def parameters(model: str, width: int, *, classes: int | None = None) -> dict[str, int]:
    """Exact number of parameters of each unit of `model`, with `classes` structures or, of a classifier, classes.

    Raises StrategyError where only torch can count them.
    """
    if model in CLASSIFIERS:
        return classifier_parameters(model, width, classes or default_classes(model))
    if model != "unet":
        raise StrategyError(f"unknown model '{model}'; known: {', '.join(('unet', *CLASSIFIERS))}")
    return unet_parameters(width, classes=output_channels(classes or 1))


def trainable_parameters(strategy: Strategy, model: str, width: int, *, classes: int = 1) -> int:
    """Number of parameters that learn under `strategy`, with `classes` structures or, of a classifier, classes.

    An adapter of rank r beside a k x k convolution has r (k k inputs + outputs) (Hu et al. 2021, Section 4.1).
    Raises StrategyError for networks that only torch can count (segmentation-models-pytorch, a user's own).
    """
    if strategy.network != "study":
        raise StrategyError(f"strategy '{strategy.name}': the parameters of this network are counted when it is built")
    counts = parameters(model, width, classes=classes)
    if strategy.method == "statistics only":
        return 0
    if strategy.method == "LoRA":
        return sum(strategy.rank * pair for pair in _pairs(strategy, model, width, classes))
    if model != "unet" or set(strategy.units) <= set(counts):
        return sum(counts[unit] for unit in strategy.units)
    shapes = unet_convolutions(width, classes=output_channels(classes))
    return sum(convolution_parameters(*shapes[name]) for name in strategy.units)


def extra_strategies(model: str) -> list[Strategy]:
    """Rows beside the papers' of one of our networks, run only where a study names them (docs/networks.md)."""
    if model == "unet":
        return list(EXTRA.values())
    units = CLASSIFIER_UNITS[model]
    return [replace(strategy, units=units) for strategy in EXTRA.values() if strategy.network == "study"]


def _listed(model: str) -> list[Strategy]:
    """Each strategy once: those with a name, of the first or last k units, and the rows beside the papers'."""
    if model == "unet":
        return [*UNET_STRATEGIES.values(), *extra_strategies(model)]
    named = CLASSIFIER_STRATEGIES[model]
    cumulative = [strategy for strategy in cumulative_strategies(model) if strategy.name not in named]
    return [*named.values(), *cumulative, *extra_strategies(model)]


def _pairs(strategy: Strategy, model: str, width: int, classes: int) -> list[int]:
    """Numbers that one output is computed from, with the outputs, of each convolution that gets an adapter."""
    if model == "unet":
        shapes = unet_convolutions(width, classes=output_channels(classes))
        chosen = [shapes[name] for unit in strategy.units for name in UNET_CONVOLUTIONS.get(unit, (unit,))]
        return [kernel**2 * inputs + outputs for kernel, inputs, outputs in chosen if kernel > 1]
    layers = classifier_layers(model, width, classes)
    return [
        layer.inputs_of_one + layer.outputs
        for unit in strategy.units
        for layer in layers[unit].values()
        if layer.kernel > 1
    ]


def strategy_table(
    model: str = "unet", width: int | None = None, classes: int | None = None
) -> list[dict[str, str | int | float | None]]:
    """A row per strategy, the paper's in its order first: what learns, of how many (Amiri et al. 2020, Table II, top).

    `width` and `classes` are the paper's where they are left out. Counts are None for the networks of
    segmentation-models-pytorch, which only torch can count.
    """
    width, classes = width or default_width(model), classes or default_classes(model)
    total = sum(parameters(model, width, classes=classes).values())
    rows: list[dict[str, str | int | float | None]] = []
    for strategy in _listed(model):
        trainable = (
            trainable_parameters(strategy, model, width, classes=classes) if strategy.network == "study" else None
        )
        rows.append(
            {
                "strategy": strategy.name,
                "trainable_parameters": trainable,
                "total_parameters": None if trainable is None else total,
                "fraction": None if trainable is None else round(trainable / total, 6),
            }
        )
    return rows
