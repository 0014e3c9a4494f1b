"""VGG16 as torchvision has it (Simonyan and Zisserman 2015, arXiv:1409.1556, configuration D)."""

from torch import nn

from engine.architectures.layers import FC6_SIDES, VGG16_CONVOLUTIONS, vgg16_layers
from engine.models.classifier import Classifier, convolution, fully_connected, named

DROPOUT = 0.5
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, as torchvision's weights expect them."""


def build_vgg16(width: int, classes: int) -> Classifier:
    """VGG16 with random weights; 134,305,611 parameters at width 64 with 11 classes."""
    layer = {unit: own["layer"] for unit, own in vgg16_layers(width, classes).items()}
    stages: dict[str, nn.Module] = {}
    for stage, (_, count) in VGG16_CONVOLUTIONS.items():
        for number in range(1, count + 1):
            unit = f"{stage}_{number}"
            stages[unit] = named(layer=convolution(layer[unit]), activation=nn.ReLU(inplace=True))
        stages[unit].add_module("pool", nn.MaxPool2d(2))
    connected = [layer[unit] for unit in ("fc6", "fc7", "fc8")]
    return Classifier(
        {**stages, **fully_connected(connected, side=FC6_SIDES["vgg16"], dropout=DROPOUT)}, mean=MEAN, spread=SPREAD
    )
