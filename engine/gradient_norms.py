"""Relative gradient norms: how much each unit of a network is asked to move, for its size, by some batches.

Lee et al. 2022, "Surgical fine-tuning improves adaptation to distribution shifts" (arXiv:2210.11466), call the ratio of
a layer's gradient norm to its parameter norm RGN, take its mean over five batches of training images, divide by the
largest, and multiply each layer's learning rate with the result, anew before every epoch (Auto-RGN).
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from engine.models.network import Network, tensor_names
from engine.optimiser import Optimiser
from engine.ranking import GradientNorms, normalised

AUTO_BATCHES = 5
"""Batches before every epoch that decide the rates of the strategy `auto`, as in the authors' code."""


def gradient_norms(network: Network, units: Sequence[str], losses: Iterable[Tensor]) -> GradientNorms:
    """Norms over the parameters of `units` for each of `losses`, which are computed when they are asked for.

    The network is in evaluation mode meanwhile, and left so: nothing drops out, no statistics move, no random number
    is drawn. Parameters that are frozen count as those that do not move: their gradient is 0.
    """
    network.eval()
    names = tensor_names(network, units)
    owner = {name: unit for unit in units for name in names[unit]}
    learning = [(owner[name], parameter) for name, parameter in network.named_parameters() if name in owner]
    moving = [(unit, parameter) for unit, parameter in learning if parameter.requires_grad]
    rows: list[tuple[float, ...]] = []
    for loss in losses:
        found = torch.autograd.grad(loss, [parameter for _, parameter in moving], allow_unused=True)
        squares = dict.fromkeys(units, 0.0)
        for (unit, _), gradient in zip(moving, found, strict=True):
            squares[unit] += 0.0 if gradient is None else _square(gradient)
        rows.append(tuple(squares.values()))
    return GradientNorms(
        units=tuple(units),
        parameters=tuple(sum(one.numel() for own, one in learning if own == unit) for unit in units),
        squared_parameters=tuple(
            sum((_square(one.detach()) for own, one in learning if own == unit), 0.0) for unit in units
        ),
        squared_gradients=tuple(rows),
    )


def relative_gradient_norms(network: Network, units: Sequence[str], losses: Iterable[Tensor]) -> dict[str, float]:
    """||gradient|| / ||parameters|| of each of `units`, mean over `losses`, as `gradient_norms` takes them."""
    return gradient_norms(network, units, losses).by_unit


def set_unit_rates(optimiser: Optimiser, norms: Mapping[str, float]) -> None:
    """Each group of `optimiser` learns at its first rate times the normalised norm of its `unit`."""
    factors = normalised(norms)
    for group in optimiser.groups:
        group.rate = group.first_rate * factors[group.unit]


def _square(tensor: Tensor) -> float:
    return float(tensor.double().square().sum())
