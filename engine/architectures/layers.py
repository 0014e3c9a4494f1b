"""The layers of the classifiers, unit by unit: kernels and channels, from which counts and networks are made.

Needs no torch. `width` is the number of filters of the first layer; all other layers grow with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.errors import StrategyError, StudyFileError

Layers = Mapping[str, Mapping[str, "Layer"]]
"""Unit by unit, input to output, the layers of each by name."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution with a square kernel; a fully connected layer is one of kernel side 1."""

    kernel: int
    inputs: int
    outputs: int
    groups: int = 1
    normalised: bool = False
    """Batch normalisation follows, and takes the place of the bias."""

    @property
    def inputs_of_one(self) -> int:
        """Numbers that one output is computed from."""
        return self.kernel**2 * self.inputs // self.groups

    @property
    def parameters(self) -> int:
        """Weights with biases, or with scales and shifts of the normalisation."""
        return self.inputs_of_one * self.outputs + self.outputs * (2 if self.normalised else 1)


FC6_SIDES = {"caffenet": 6, "vgg16": 7}
"""Side of the map that FC6 sees: of the last pooling at the default image size; other sizes are pooled to it."""
VGG16_CONVOLUTIONS = {"conv1": (1, 2), "conv2": (2, 2), "conv3": (4, 3), "conv4": (8, 3), "conv5": (8, 3)}
"""Multiples of the width and number of the convolutions of each stage (Simonyan and Zisserman 2015, Table 1, D)."""
MOBILENET_OUTPUTS = (2, 4, 4, 8, 8, 16, 16, 16, 16, 16, 16, 32, 32)
"""Multiples of the width that each of the 13 blocks gives (Howard et al. 2017, Table 1)."""
CVCNET_TRANSITIONS = (2, 4, 6)
"""Blocks that end in a transition, which halves channels and side; ours."""
CVCNET_BRANCHES = {"one": 2, "reduce3": 3, "three": 4, "reduce5": 1, "five": 1, "pooled": 1}
"""Eighths of the growth (twice the width) in each branch of an inception module, in the proportions of the first one
of GoogLeNet (Szegedy et al. 2015, Table 1); ours."""


def caffenet_layers(width: int, classes: int) -> Layers:
    """Of Caffe's reference model: five convolutions, three of them in two groups, and FC6 to FC8.

    Raises StudyFileError for an odd width, which two groups cannot share.
    """
    if width % 2:
        raise StudyFileError(f"width {width}: two groups of filters need an even number, such as {width + 1}")
    conv1, conv2, conv3, hidden = width, _even(256 * width / 96), 4 * width, _even(4096 * width / 96)
    side = FC6_SIDES["caffenet"]
    return {
        "conv1": {"layer": Layer(kernel=11, inputs=3, outputs=conv1)},
        "conv2": {"layer": Layer(kernel=5, inputs=conv1, outputs=conv2, groups=2)},
        "conv3": {"layer": Layer(kernel=3, inputs=conv2, outputs=conv3)},
        "conv4": {"layer": Layer(kernel=3, inputs=conv3, outputs=conv3, groups=2)},
        "conv5": {"layer": Layer(kernel=3, inputs=conv3, outputs=conv2, groups=2)},
        **_fully_connected(side * side * conv2, hidden, classes),
    }


def vgg16_layers(width: int, classes: int) -> Layers:
    """Thirteen 3x3 convolutions in five stages, and FC6 to FC8 (Simonyan and Zisserman 2015, configuration D)."""
    found: dict[str, Mapping[str, Layer]] = {}
    inputs = 3
    for stage, (multiple, count) in VGG16_CONVOLUTIONS.items():
        for number in range(1, count + 1):
            found[f"{stage}_{number}"] = {"layer": Layer(kernel=3, inputs=inputs, outputs=multiple * width)}
            inputs = multiple * width
    return {**found, **_fully_connected(FC6_SIDES["vgg16"] ** 2 * inputs, 64 * width, classes)}


def mobilenet_layers(width: int, classes: int) -> Layers:
    """A convolution, 13 depthwise separable blocks, and one fully connected layer (Howard et al. 2017, Table 1)."""
    found: dict[str, Mapping[str, Layer]] = {
        "stem": {"layer": Layer(kernel=3, inputs=3, outputs=width, normalised=True)}
    }
    inputs = width
    for number, multiple in enumerate(MOBILENET_OUTPUTS, start=1):
        outputs = multiple * width
        found[f"block{number}"] = {
            "depthwise": Layer(kernel=3, inputs=inputs, outputs=inputs, groups=inputs, normalised=True),
            "pointwise": Layer(kernel=1, inputs=inputs, outputs=outputs, normalised=True),
        }
        inputs = outputs
    return {**found, "head": {"layer": Layer(kernel=1, inputs=inputs, outputs=classes)}}


def cvcnet_layers(width: int, classes: int) -> Layers:
    """Of our reconstruction of CVCNet: a convolution, eight inception modules with dense connections, and one fully
    connected layer.

    A module's four branches stand behind what came in, as in DenseNet; transitions halve the channels.
    """
    found: dict[str, Mapping[str, Layer]] = {
        "stem": {"layer": Layer(kernel=5, inputs=1, outputs=width, normalised=True)}
    }
    sizes = {name: max(1, round(2 * width * eighths / 8)) for name, eighths in CVCNET_BRANCHES.items()}
    inputs = width
    for number in range(1, 9):
        wide, middle = {"three": 3, "five": 5}, {"three": "reduce3", "five": "reduce5"}
        block = {
            name: Layer(
                kernel=wide.get(name, 1),
                inputs=sizes[middle[name]] if name in middle else inputs,
                outputs=outputs,
                normalised=True,
            )
            for name, outputs in sizes.items()
        }
        inputs += sum(sizes[name] for name in ("one", "three", "five", "pooled"))
        if number in CVCNET_TRANSITIONS:
            block["transition"] = Layer(kernel=1, inputs=inputs, outputs=inputs // 2, normalised=True)
            inputs //= 2
        found[f"block{number}"] = block
    return {**found, "head": {"layer": Layer(kernel=1, inputs=inputs, outputs=classes)}}


def _fully_connected(inputs: int, hidden: int, classes: int) -> dict[str, Mapping[str, Layer]]:
    return {
        "fc6": {"layer": Layer(kernel=1, inputs=inputs, outputs=hidden)},
        "fc7": {"layer": Layer(kernel=1, inputs=hidden, outputs=hidden)},
        "fc8": {"layer": Layer(kernel=1, inputs=hidden, outputs=classes)},
    }


def _even(filters: float) -> int:
    return max(2, 2 * round(filters / 2))


LAYERS: dict[str, Callable[[int, int], Layers]] = {
    "caffenet": caffenet_layers,
    "vgg16": vgg16_layers,
    "mobilenet": mobilenet_layers,
    "cvcnet": cvcnet_layers,
}


def classifier_layers(model: str, width: int, classes: int) -> Layers:
    """The layers of each unit of a classifier with `classes` outputs, input to output.

    Raises StrategyError for another model, StudyFileError for a width that it cannot have.
    """
    if model not in LAYERS:
        raise StrategyError(f"unknown classifier '{model}'; known: {', '.join(LAYERS)}")
    if width < 1 or classes < 2:
        raise StudyFileError(
            f"{model}: {width} filters and {classes} classes; expected 1 filter and 2 classes at least"
        )
    return LAYERS[model](width, classes)
