"""Networks that tell classes of images apart: chains of units, so that frozen ones can be computed once."""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from engine.architectures import Layer
from engine.errors import StrategyError

Colours = tuple[float, float, float]


class Classifier(nn.Module):
    """A chain of units, the last of which gives a logit for each class.

    Images have one gray channel in [0, 1]. With `mean` and `spread` of three colours it is repeated to three
    channels, less the mean and divided by the spread that start weights were trained with; without them the image
    comes as it is. Where the caller has subtracted a mean image (`mean_subtracted`), the spread alone applies.
    """

    def __init__(
        self, stages: Mapping[str, nn.Module], *, mean: Colours | None = None, spread: Colours = (1.0, 1.0, 1.0)
    ) -> None:
        super().__init__()
        for unit, stage in stages.items():
            self.add_module(unit, stage)
        self.unit_order = tuple(stages)
        self.penultimate = self.unit_order[-2]
        self.mean_subtracted = False
        self._mean, self._spread = mean, spread
        _initialise(self, stages[self.unit_order[-1]])

    def units(self) -> dict[str, list[nn.Module]]:
        """The modules of each unit, shallow to deep; together they hold every parameter and buffer once."""
        return {unit: [self.get_submodule(unit)] for unit in self.unit_order}

    def forward(self, images: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch class"]:
        """Logits, so `softmax` is the caller's."""
        return self._run(self._scaled(images), 0, len(self.unit_order))

    def embedding(self, images: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch feature"]:
        """What the last unit sees: the vector of FC7 after its ReLU, or the average over the last map."""
        return self.hidden_before(images, self.unit_order[-1])

    def hidden_before(self, images: Float[Tensor, "batch 1 height width"], unit: str) -> Float[Tensor, "batch ..."]:
        """What `unit` sees of `images`. Raises StrategyError for an unknown unit."""
        return self._run(self._scaled(images), 0, self._place(unit))

    def logits_from(self, hidden: Float[Tensor, "batch ..."], unit: str) -> Float[Tensor, "batch class"]:
        """Logits by `unit` and all after it, of what `hidden_before` gave for `unit`."""
        return self._run(hidden, self._place(unit), len(self.unit_order))

    def logits_and_embedding(
        self, inputs: Float[Tensor, "batch ..."], unit: str | None = None
    ) -> tuple[Float[Tensor, "batch class"], Float[Tensor, "batch feature"]]:
        """Logits and embedding of images, or with `unit` of what `hidden_before` gave for it."""
        last = len(self.unit_order) - 1
        begin = 0 if unit is None else self._place(unit)
        vectors = self._run(self._scaled(inputs) if unit is None else inputs, begin, last)
        return self._run(vectors, last, last + 1), vectors

    def cacheable_before(
        self, units_that_learn: Collection[str], statistics: Literal["hold", "update"] = "hold"
    ) -> str | None:
        """The first unit that must be computed anew in each step; what comes before may be computed once.

        It learns, drops out, or updates its statistics. None where that is the first unit, or no unit.
        """
        for unit in self.unit_order:
            modules = list(self.get_submodule(unit).modules())
            drops = any(isinstance(module, nn.Dropout) and module.p for module in modules)
            moves = statistics == "update" and any(isinstance(module, nn.BatchNorm2d) for module in modules)
            if unit in units_that_learn or drops or moves:
                return None if unit == self.unit_order[0] else unit
        return None

    def _place(self, unit: str) -> int:
        if unit not in self.unit_order:
            raise StrategyError(f"unknown unit '{unit}'; this network has {', '.join(self.unit_order)}")
        return self.unit_order.index(unit)

    def _run(self, hidden: Tensor, begin: int, end: int) -> Tensor:
        for unit in self.unit_order[begin:end]:
            hidden = self.get_submodule(unit)(hidden)
        return hidden

    def _scaled(self, images: Tensor) -> Tensor:
        if self._mean is None:
            return images
        mean = (0.0, 0.0, 0.0) if self.mean_subtracted else self._mean
        return torch.cat([(images - less) / by for less, by in zip(mean, self._spread, strict=True)], dim=1)


class ToSide(nn.Module):
    """The map averaged, or repeated, to a side of its own; of that side it stays as it is."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, hidden: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel side side"]:
        """The map with `side` rows and columns."""
        if hidden.shape[-2:] == (self.side, self.side):
            return hidden
        return functional.adaptive_avg_pool2d(hidden, self.side)


def named(**modules: nn.Module) -> nn.Sequential:
    """The modules one after the other, under these names."""
    return nn.Sequential(OrderedDict(modules))


def convolution(layer: Layer, *, stride: int = 1, padding: int | None = None) -> nn.Conv2d:
    """The convolution of `layer`, padded to keep the side unless `padding` is given; without bias if normalised."""
    return nn.Conv2d(
        layer.inputs,
        layer.outputs,
        layer.kernel,
        stride=stride,
        padding=layer.kernel // 2 if padding is None else padding,
        groups=layer.groups,
        bias=not layer.normalised,
    )


def normalised(layer: Layer, activation: nn.Module, *, stride: int = 1) -> nn.Sequential:
    """A convolution, batch normalisation and what follows it."""
    return named(
        convolution=convolution(layer, stride=stride),
        normalisation=nn.BatchNorm2d(layer.outputs),
        activation=activation,
    )


def fully_connected(layers: Sequence[Layer], *, side: int, dropout: float) -> dict[str, nn.Module]:
    """FC6 to FC8 as units: FC6 sees a map of `side`; FC7 and FC8 drop a part of what they see in training.

    The dropout after a layer's ReLU belongs to the next unit, so that a frozen layer's own output can be kept.
    """
    six, seven, eight = (nn.Linear(layer.inputs, layer.outputs) for layer in layers)
    return {
        "fc6": named(side=ToSide(side), flat=nn.Flatten(), layer=six, activation=nn.ReLU(inplace=True)),
        "fc7": named(dropout=nn.Dropout(dropout), layer=seven, activation=nn.ReLU(inplace=True)),
        "fc8": named(dropout=nn.Dropout(dropout), layer=eight),
    }


def averaged() -> nn.Sequential:
    """The average over a map as a vector."""
    return named(average=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten())


def _initialise(network: nn.Module, last: nn.Module) -> None:
    """He's initial weights (He et al. 2015), small ones in the last layer, biases at nought."""
    small = set(last.modules())
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if module in small:
                nn.init.normal_(module.weight, std=0.01)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
