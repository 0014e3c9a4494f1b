"""SGD of large fully connected layers without a whole gradient: made and used block by block, in the caches.

A step of FC6 of VGG16 (103 million weights) waits for memory, not for arithmetic: its gradient is written, read and
given back, and under bfloat16 it and the weights are turned from one precision into the other. Here the layer keeps
what a gradient is made of (its inputs and what came back for its outputs, some megabytes); after the optimiser's step
the weights are updated a few rows at a time by the same fused kernel of SGD, and under bfloat16 the copy of
the weights that the next step computes with is written while the rows are at hand. The numbers are those of SGD, up
to the rounding of products that are summed in another order.
"""

from types import TracebackType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.optimiser import Group, Optimiser, sgd_step

LARGE = 4_000_000
"""Weights of a layer from which this pays; a smaller one lies in the caches as a whole."""
BLOCK = 1_000_000
"""Weights that are updated at a time: 4 MB of each of weights, momentum and gradient."""


class LargeLayers:
    """Takes the weights of large layers off an optimiser and updates them after each of its steps, until it is left.

        with LargeLayers(network, optimiser):
            ...   # forward, backward, optimiser.step() as ever

    Does nothing where the optimiser is not SGD, the weights are not on the processor, or no layer is large. The
    momentum begins at nought with it. Gradients of several backward passes before one step add up as ever; who looks
    at the gradients of these weights, which stay None, must not use it.
    """

    def __init__(self, network: nn.Module, optimiser: Optimiser | None) -> None:
        self._layers: list[_Layer] = []
        self._optimiser = optimiser
        if optimiser is None or optimiser.kind != "sgd":
            return
        groups = {id(weight): group for group in optimiser.groups for weight in group.weights}
        for module in network.modules():
            if isinstance(module, nn.Linear) and id(module.weight) in groups and _can_be_taken(module):
                group = groups[id(module.weight)]
                group.weights = [one for one in group.weights if one is not module.weight]
                self._layers.append(_Layer(module, group, optimiser))

    @property
    def modules(self) -> list[nn.Linear]:
        """The layers that are updated here."""
        return [layer.module for layer in self._layers]

    def __enter__(self) -> "LargeLayers":
        for layer in self._layers:
            layer.module.forward = layer.forward  # type: ignore[method-assign]
        if self._optimiser is not None:
            self._optimiser.also.append(self._update)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for layer in self._layers:
            del layer.module.forward
        if self._optimiser is not None:
            self._optimiser.also.remove(self._update)

    def _update(self) -> None:
        for layer in self._layers:
            layer.update()


def _can_be_taken(module: nn.Linear) -> bool:
    return (
        module.weight.numel() >= LARGE
        and module.weight.device.type == "cpu"
        and module.bias is not None
        and module.bias.requires_grad
    )


class _Layer:
    """One layer, with its momentum and what its next gradient is made of."""

    def __init__(self, module: nn.Linear, group: Group, optimiser: Optimiser) -> None:
        self.module, self._group, self._optimiser = module, group, optimiser
        self._momentum = torch.zeros_like(module.weight) if optimiser.momentum else None
        self._parts: list[tuple[Tensor, Tensor]] = []
        self._rows = max(1, BLOCK // module.in_features)
        self._gradient = torch.empty(self._rows, module.in_features)
        self._half: Tensor | None = None

    def forward(self, input: Tensor) -> Tensor:
        """The layer's outputs, as `nn.Linear` gives them, under autocast too."""
        weight: Tensor = self.module.weight.detach()
        bias: Tensor = self.module.bias
        if torch.is_autocast_enabled("cpu"):
            kind = torch.get_autocast_dtype("cpu")
            if self._half is None or self._half.dtype != kind:
                self._half = weight.to(kind)
            weight, input, bias = self._half, input.to(kind), bias.to(kind)
        if not (torch.is_grad_enabled() and self.module.weight.requires_grad):
            return functional.linear(input, weight, bias)
        with torch.autocast("cpu", enabled=False):
            return cast(Tensor, _Recorded.apply(input, weight, bias, self))

    def record(self, inputs: Tensor, back: Tensor) -> None:
        """Keep what the gradient is made of."""
        self._parts.append((inputs, back))

    @torch.no_grad()
    def update(self) -> None:
        """One step of SGD, a block of rows at a time."""
        if not self._parts:
            return
        inputs, back = (torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*self._parts, strict=True))
        self._parts.clear()
        weight = self.module.weight.detach()
        for first in range(0, len(weight), self._rows):
            rows = slice(first, min(first + self._rows, len(weight)))
            gradient = self._gradient[: rows.stop - first]
            if inputs.dtype == gradient.dtype:
                torch.mm(back[:, rows].T, inputs, out=gradient)
            else:
                gradient.copy_(torch.mm(back[:, rows].T, inputs))
            sgd_step(
                [weight[rows]],
                [gradient],
                [self._momentum[rows] if self._momentum is not None else None],
                rate=self._group.rate,
                momentum=self._optimiser.momentum,
                weight_decay=self._optimiser.weight_decay,
            )
            if self._half is not None:
                self._half[rows].copy_(weight[rows])


class _Recorded(torch.autograd.Function):
    """A fully connected layer whose weights' gradient is never made."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, layer: _Layer) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.layer = layer
        return functional.linear(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *backs: Tensor) -> tuple[Tensor | None, None, Tensor, None]:
        (back,) = backs
        inputs, weight = ctx.saved_tensors
        ctx.layer.record(inputs, back)
        return back @ weight if ctx.needs_input_grad[0] else None, None, back.sum(dim=0), None
