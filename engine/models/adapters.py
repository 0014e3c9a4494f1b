"""Low-rank adapters beside frozen convolutions (LoRA, Hu et al. 2021, arXiv:2106.09685)."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from engine.errors import StrategyError


@runtime_checkable
class Module(Protocol):
    """The part of `nn.Module` that adapters need."""

    def named_modules(self, *, remove_duplicate: bool = True) -> Iterable[tuple[str, nn.Module]]:
        """As `nn.Module` gives them."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """As `nn.Module` gives it."""
        ...


class LowRank(nn.Module):
    """W + B A: A of `rank` x (inputs of one output pixel), B of outputs x `rank`.

    B begins at zero, so that the network begins as it was; A begins as a linear layer does, from `seed`. The
    product's factor alpha / rank is 1: the paper leaves alpha at a first rank, since tuning it is tuning the rate.
    """

    def __init__(self, weight: Float[Tensor, "output input height width"], rank: int, seed: int) -> None:
        super().__init__()
        inputs = weight[0].numel()
        bound = 1 / math.sqrt(inputs)
        down = torch.empty(rank, inputs).uniform_(-bound, bound, generator=torch.Generator().manual_seed(seed))
        self.down = nn.Parameter(down.to(weight.device))
        self.up = nn.Parameter(torch.zeros(len(weight), rank, device=weight.device))

    def forward(self, weight: Float[Tensor, "output input height width"]) -> Float[Tensor, "output input height width"]:
        """The weight that the convolution uses, in float32 whatever the precision around it."""
        with torch.autocast(weight.device.type, enabled=False):
            return weight + (self.up @ self.down).view(weight.shape)


def add_adapters(network: Module, names: Iterable[str], rank: int, seed: int) -> list[nn.Parameter]:
    """The parameters of new adapters on every convolution larger than 1x1 with tensors among `names`.

    Each adapter's random numbers depend on `seed` and on its convolution, not on which others have one. Raises
    StrategyError where there is no such convolution, or where one's weight is computed from others.
    """
    wanted, learning = tuple(names), list[nn.Parameter]()
    for path, module in list(network.named_modules()):
        inside = any(name.startswith(f"{path}.") for name in wanted)
        if not inside or not isinstance(module, nn.Conv2d) or max(module.kernel_size) == 1:
            continue
        if "weight" not in dict(module.named_parameters(recurse=False)):
            raise StrategyError(f"'{path}' has no plain weight (weight_norm or the like), which LoRA needs; remove it")
        digest = hashlib.sha256(f"{seed} {path}".encode()).digest()
        adapter = LowRank(module.weight, rank, int.from_bytes(digest[:8], "big") >> 1)
        parametrize.register_parametrization(module, "weight", adapter)
        learning += adapter.parameters()
    if not learning:
        raise StrategyError("LoRA: the chosen units have no convolution larger than 1x1; choose units that have one")
    return learning


def adapters(network: Module) -> dict[str, nn.Module]:
    """The convolutions that have an adapter, by their path in the network."""
    return {
        path: module
        for path, module in network.named_modules()
        if parametrize.is_parametrized(module, "weight")
        and isinstance(cast(nn.ModuleDict, module.parametrizations)["weight"][0], LowRank)  # type: ignore[index]
    }


def base_tensors(network: Module) -> Mapping[str, Tensor]:
    """The state dict as it would be without adapters: weights under them by their plain names."""
    adapted = adapters(network)
    if not adapted:
        return network.state_dict()
    tensors: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        path, _, rest = name.partition(".parametrizations.weight.")
        if path not in adapted or not rest:
            tensors[name] = tensor
        elif rest == "original":
            tensors[f"{path}.weight"] = tensor
    return tensors


def merge(network: Module) -> None:
    """Put every adapter's product into its convolution's weight, and remove the adapter."""
    for module in adapters(network).values():
        parametrize.remove_parametrizations(module, "weight")
