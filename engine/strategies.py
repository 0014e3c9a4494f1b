"""Which units of a network learn: freeze the others, and prove that they stayed as they were."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from engine.errors import StrategyError


@runtime_checkable
class Network(Protocol):
    """A network that names its units."""

    def units(self) -> Mapping[str, Sequence[nn.Module]]:
        """The modules of each unit, shallow to deep."""
        ...

    def named_modules(self) -> Iterable[tuple[str, nn.Module]]:
        """As `nn.Module` gives them."""
        ...

    def named_parameters(self) -> Iterable[tuple[str, nn.Parameter]]:
        """As `nn.Module` gives them."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """As `nn.Module` gives it."""
        ...


def tensor_names(network: Network) -> dict[str, tuple[str, ...]]:
    """Names in the state dict (parameters and buffers) of each unit.

    Raises StrategyError where units do not partition the network: a tensor in none, or in two.
    """
    paths = {id(module): path for path, module in network.named_modules()}
    names: dict[str, tuple[str, ...]] = {}
    seen: dict[str, str] = {}
    problems = []
    for unit, modules in network.units().items():
        own = [f"{paths[id(module)]}.{key}" for module in modules for key in module.state_dict()]
        for name in own:
            if name in seen:
                problems.append(f"'{name}' is in unit '{seen[name]}' and in unit '{unit}'; it must be in one")
            seen[name] = unit
        names[unit] = tuple(own)
    problems += [f"'{name}' is in no unit" for name in network.state_dict() if name not in seen]
    if problems:
        raise StrategyError(problems)
    return names


def freeze_all_but(network: Network, units: Sequence[str]) -> list[nn.Parameter]:
    """Freeze every unit that is not in `units`; gives the parameters that learn.

    Raises StrategyError with the known units where one of `units` is unknown.
    """
    names = tensor_names(network)
    unknown = [unit for unit in units if unit not in names]
    if unknown:
        raise StrategyError(f"unknown units {', '.join(unknown)}; this network has {', '.join(names)}")
    learning = {name for unit in units for name in names[unit]}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in learning)
    return [parameter for name, parameter in network.named_parameters() if name in learning]


def trained_tensors(network: Network, units: Sequence[str]) -> dict[str, Tensor]:
    """Copies of the tensors of `units`, by their names in the state dict."""
    state, names = network.state_dict(), tensor_names(network)
    return {name: state[name].detach().clone() for unit in units for name in names[unit]}


def frozen_hash(network: Network, units: Sequence[str]) -> str:
    """SHA-256 over names, shapes and bytes of every tensor outside `units`, parameters and buffers."""
    names = tensor_names(network)
    return hash_of_tensors(
        {
            name: tensor
            for unit, own in names.items()
            if unit not in units
            for name, tensor in network.state_dict().items()
            if name in own
        }
    )


def hash_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, hex, over names, types, shapes and bytes of `tensors`, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous().cpu()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
