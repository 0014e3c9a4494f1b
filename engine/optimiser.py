"""Adam and SGD by PyTorch's fused kernels, without PyTorch's optimiser classes.

Those load PyTorch's compiler with their first step, which no training here uses: seconds, and memory, in every worker.
They also copy weights that lie channels last to and fro around each step; here the kernels get them as they
lie in memory, which changes no number.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

BETAS = (0.9, 0.999)
"""Adam's decay of the mean of gradients and of their squares (Kingma and Ba 2015, algorithm 1)."""
EPSILON = 1e-8


@dataclass(kw_only=True)
class Group:
    """Weights that learn at one rate."""

    weights: list[nn.Parameter]
    rate: float
    unit: str = ""
    """The unit of the network whose weights these are, where each unit has a group of its own."""
    first_rate: float = field(init=False)

    def __post_init__(self) -> None:
        self.first_rate = self.rate


class Optimiser:
    """Adam, or SGD with momentum and weight decay, over groups of weights; steps pass over weights without gradient.

    A weight's state begins with its first gradient, so that units may begin to learn one after the other.
    """

    def __init__(
        self,
        groups: Iterable[Group],
        kind: Literal["adam", "sgd"] = "adam",
        *,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        self.groups, self.kind, self.momentum, self.weight_decay = list(groups), kind, momentum, weight_decay
        self.also: list[Callable[[], None]] = []
        """What moves after each step, as weights that are kept elsewhere."""
        self._state: dict[nn.Parameter, tuple[Tensor, ...]] = {}

    def forget_gradients(self) -> None:
        """The next backward pass begins at nought."""
        for group in self.groups:
            for weight in group.weights:
                weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights by their gradients."""
        for group in self.groups:
            moving = [weight for weight in group.weights if weight.grad is not None]
            if moving:
                (self._adam if self.kind == "adam" else self._sgd)(moving, group.rate)
        for move in self.also:
            move()

    def _adam(self, moving: list[nn.Parameter], rate: float) -> None:
        weights, gradients = _as_they_lie(moving)
        for weight, lying in zip(moving, weights, strict=True):
            if weight not in self._state:
                count = torch.zeros((), dtype=torch.float32, device=weight.device)
                self._state[weight] = (torch.zeros_like(lying), torch.zeros_like(lying), count)
        means, squares, counts = (list(each) for each in zip(*(self._state[one] for one in moving), strict=True))
        adam(
            weights,
            gradients,
            means,
            squares,
            [],
            counts,
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=rate,
            weight_decay=self.weight_decay,
            eps=EPSILON,
            maximize=False,
        )

    def _sgd(self, moving: list[nn.Parameter], rate: float) -> None:
        weights, gradients = _as_they_lie(moving)
        buffers: list[Tensor | None] = [None] * len(moving)
        if self.momentum:
            for weight, lying in zip(moving, weights, strict=True):
                if weight not in self._state:
                    self._state[weight] = (torch.zeros_like(lying),)
            buffers = [self._state[one][0] for one in moving]
        sgd_step(weights, gradients, buffers, rate=rate, momentum=self.momentum, weight_decay=self.weight_decay)


def sgd_step(
    weights: list[Tensor],
    gradients: list[Tensor],
    buffers: list[Tensor | None],
    *,
    rate: float,
    momentum: float,
    weight_decay: float,
) -> None:
    """One step of SGD in place; a buffer of momentum begins as zeros, and is None without momentum."""
    sgd(
        weights,
        gradients,
        buffers,
        fused=True,
        weight_decay=weight_decay,
        momentum=momentum,
        lr=rate,
        dampening=0.0,
        nesterov=False,
        maximize=False,
    )


def _as_they_lie(moving: list[nn.Parameter]) -> tuple[list[Tensor], list[Tensor]]:
    """Weights and their gradients with their axes in the order in which the weights lie in memory."""
    weights, gradients = [], []
    for weight in moving:
        order = sorted(range(weight.dim()), key=weight.stride, reverse=True)
        assert weight.grad is not None
        weights.append(weight.detach().permute(order))
        gradients.append(weight.grad.permute(order).contiguous())
    return weights, gradients
