"""CVCNet, our reconstruction of the network of Østvik et al. 2018 for views of the heart.

What our texts say: a small network of inception modules with dense connections for gray cardiac frames. Number and
width of the modules, the stem and the transitions are ours.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from engine.architectures.layers import CVCNET_TRANSITIONS, Layer, cvcnet_layers
from engine.models.classifier import Classifier, averaged, named, normalised


class DenseInception(nn.Module):
    """An inception module whose four branches stand behind what came in (Szegedy et al. 2015; Huang et al. 2017)."""

    def __init__(self, layers: Mapping[str, Layer]) -> None:
        super().__init__()
        unit = {
            name: normalised(layer, nn.ReLU(inplace=True)) for name, layer in layers.items() if name != "transition"
        }
        self.one = unit["one"]
        self.three = named(reduce=unit["reduce3"], wide=unit["three"])
        self.five = named(reduce=unit["reduce5"], wide=unit["five"])
        self.pooled = named(pool=nn.MaxPool2d(3, stride=1, padding=1), narrow=unit["pooled"])

    def forward(self, hidden: Float[Tensor, "batch input height width"]) -> Float[Tensor, "batch output height width"]:
        """`hidden` and the four branches, channels one after the other."""
        return torch.cat([hidden, self.one(hidden), self.three(hidden), self.five(hidden), self.pooled(hidden)], dim=1)


def build_cvcnet(width: int, classes: int) -> Classifier:
    """Our reconstruction of CVCNet with random weights; 185,675 parameters at width 32 with 7 classes."""
    units = cvcnet_layers(width, classes)
    stem = normalised(units["stem"]["layer"], nn.ReLU(inplace=True), stride=2)
    stages: dict[str, nn.Module] = {"stem": named(layer=stem, pool=nn.MaxPool2d(3, stride=2, padding=1))}
    for number in range(1, 9):
        own = units[f"block{number}"]
        block = named(module=DenseInception(own))
        if number in CVCNET_TRANSITIONS:
            block.add_module("transition", normalised(own["transition"], nn.ReLU(inplace=True)))
            block.add_module("pool", nn.AvgPool2d(2))
        stages[f"block{number}"] = block
    stages["block8"].add_module("pool", averaged())
    head = units["head"]["layer"]
    stages["head"] = named(layer=nn.Linear(head.inputs, head.outputs))
    return Classifier(stages)
