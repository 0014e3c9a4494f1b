"""CaffeNet: Caffe's reference model, AlexNet with pooling before normalisation (Jia et al. 2014, arXiv:1408.5093)."""

from torch import nn

from engine.architectures.layers import FC6_SIDES, Layer, caffenet_layers
from engine.models.classifier import Classifier, convolution, fully_connected, named

DROPOUT = 0.5
MEAN = (122.67891 / 255, 116.66877 / 255, 104.00699 / 255)
"""Mean of ImageNet's colours over its mean image, red first, as Caffe's model subtracts it."""
SPREAD = (0.229, 0.224, 0.225)
"""Of ImageNet's colours. Caffe divides by nothing and lets colours run to 255, blue first; its weights are turned into
this convention when they are loaded, so that the first layer's gradients have a usual size."""


def build_caffenet(width: int, classes: int) -> Classifier:
    """CaffeNet with random weights; 56,913,291 parameters at width 96 with 11 classes.

    Raises StudyFileError for an odd width.
    """
    units = caffenet_layers(width, classes)
    layer = {unit: own["layer"] for unit, own in units.items()}
    return Classifier(
        {
            "conv1": _convolution(layer["conv1"], stride=4, padding=0, pool=True, normalise=True),
            "conv2": _convolution(layer["conv2"], pool=True, normalise=True),
            "conv3": _convolution(layer["conv3"]),
            "conv4": _convolution(layer["conv4"]),
            "conv5": _convolution(layer["conv5"], pool=True),
            **fully_connected(
                [layer[unit] for unit in ("fc6", "fc7", "fc8")], side=FC6_SIDES["caffenet"], dropout=DROPOUT
            ),
        },
        mean=MEAN,
        spread=SPREAD,
    )


def _convolution(
    layer: Layer, *, stride: int = 1, padding: int | None = None, pool: bool = False, normalise: bool = False
) -> nn.Sequential:
    stage = named(layer=convolution(layer, stride=stride, padding=padding), activation=nn.ReLU(inplace=True))
    if pool:
        stage.add_module("pool", nn.MaxPool2d(3, stride=2, ceil_mode=True))  # Caffe counts parts of windows too
    if normalise:
        stage.add_module("response", nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0))
    return stage
