"""Units of each network, strategies by name, exact parameter counts. Needs no torch.

A unit is a part of a network that learns or stays frozen as a whole; units partition the parameters.
A strategy says which units learn, how (all at once, one after the other, through adapters), and from which weights.
"""

from engine.architectures.classifiers import (
    CLASSIFIER_STRATEGIES,
    CLASSIFIER_UNITS,
    CLASSIFIERS,
    ClassifierFacts,
    classifier_parameters,
    cumulative_strategies,
    default_classes,
    default_crop,
    default_image_size,
    default_width,
    last_unit,
    normalised_units,
    smallest_image_size,
)
from engine.architectures.counting import extra_strategies, parameters, strategy_table, trainable_parameters
from engine.architectures.layers import Layer, Layers, classifier_layers
from engine.architectures.parsing import STRATEGIES, UNITS, parse_strategy, unit_names
from engine.architectures.strategy import Method, Start, Strategy
from engine.architectures.unet import (
    EXTRA,
    SMP_UNITS,
    UNET_CONVOLUTIONS,
    UNET_DROPOUT,
    UNET_STAGES,
    UNET_STRATEGIES,
    UNET_UNITS,
    first_learning_stage,
    output_channels,
    unet_convolutions,
    unet_hidden_numbers,
    unet_parameters,
)

__all__ = [
    "CLASSIFIERS",
    "CLASSIFIER_STRATEGIES",
    "CLASSIFIER_UNITS",
    "EXTRA",
    "SMP_UNITS",
    "STRATEGIES",
    "UNET_CONVOLUTIONS",
    "UNET_DROPOUT",
    "UNET_STAGES",
    "UNET_STRATEGIES",
    "UNET_UNITS",
    "UNITS",
    "ClassifierFacts",
    "Layer",
    "Layers",
    "Method",
    "Start",
    "Strategy",
    "classifier_layers",
    "classifier_parameters",
    "cumulative_strategies",
    "default_classes",
    "default_crop",
    "default_image_size",
    "default_width",
    "extra_strategies",
    "first_learning_stage",
    "last_unit",
    "normalised_units",
    "output_channels",
    "parameters",
    "parse_strategy",
    "smallest_image_size",
    "strategy_table",
    "trainable_parameters",
    "unet_convolutions",
    "unet_hidden_numbers",
    "unet_parameters",
    "unit_names",
]
