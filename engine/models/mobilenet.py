"""MobileNet v1 as timm's `mobilenetv1_100` has it (Howard et al. 2017, arXiv:1704.04861)."""

from torch import nn

from engine.architectures.layers import mobilenet_layers
from engine.models.classifier import Classifier, averaged, named, normalised

HALVING = (2, 4, 6, 12)
"""Blocks whose depthwise convolution halves the side."""
MEAN, SPREAD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
"""As timm's weights expect colours."""


def build_mobilenet(width: int, classes: int) -> Classifier:
    """MobileNet v1 with random weights; 3,218,251 parameters at width 32 with 11 classes."""
    units = mobilenet_layers(width, classes)
    stages: dict[str, nn.Module] = {"stem": named(layer=normalised(units["stem"]["layer"], nn.ReLU6(), stride=2))}
    for number in range(1, 14):
        own = units[f"block{number}"]
        stages[f"block{number}"] = named(
            depthwise=normalised(own["depthwise"], nn.ReLU6(), stride=2 if number in HALVING else 1),
            pointwise=normalised(own["pointwise"], nn.ReLU6()),
        )
    stages["block13"].add_module("pool", averaged())
    head = units["head"]["layer"]
    stages["head"] = named(layer=nn.Linear(head.inputs, head.outputs))
    return Classifier(stages, mean=MEAN, spread=SPREAD)
