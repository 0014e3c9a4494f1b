"""How the units of a strategy learn: freeze the others, or adapt them, and prove what stayed as it was."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from engine.architectures import Method
from engine.errors import StrategyError
from engine.models.adapters import adapters, add_adapters, base_tensors, merge
from engine.models.network import (
    Network,
    freeze_all_but,
    frozen_names,
    hold_statistics,
    keeps_statistics,
    statistics_names,
    tensor_names,
)

__all__ = [
    "Network",
    "Statistics",
    "begin_epoch",
    "freeze_all_but",
    "frozen_hash",
    "hash_of_tensors",
    "hold_statistics",
    "merge",
    "prepare",
    "tensor_names",
    "trained_tensors",
    "unfrozen",
]

Statistics = Literal["hold", "update"]
"""What happens to running statistics (batch normalisation) in frozen units: held, or updated by the new images."""

LEARNING: tuple[Method, ...] = ("fine-tune", "gradual unfreezing", "auto rates")
"""Methods under which the parameters of a strategy's units change themselves."""


def prepare(
    network: Network, units: Sequence[str], method: Method = "fine-tune", rank: int = 0, seed: int = 0
) -> list[nn.Parameter]:
    """The parameters that will learn, for the optimiser; every other one is frozen.

    Those of `units`, or with `LoRA` new adapters of `rank` on their convolutions larger than 1x1, whose random
    numbers come from `seed`; the network's output is as before. With `statistics only` no parameter learns. Raises
    StrategyError where a unit is unknown, where there is nothing to adapt, and where no unit keeps statistics.
    """
    if method == "statistics only":
        if not keeps_statistics(network, units):
            raise StrategyError(
                "strategy 'statistics only': the network has no normalisation that keeps statistics; leave it out"
            )
        return freeze_all_but(network, ())
    if method != "LoRA":
        return freeze_all_but(network, units)
    names = [name for unit in units for name in tensor_names(network, units)[unit]]
    freeze_all_but(network, ())
    return add_adapters(network, names, rank, seed)


def unfrozen(units: Sequence[str], epoch: int, every: int) -> tuple[str, ...]:
    """Units that learn in `epoch` (counted from 1) of gradual unfreezing, in the order of `units`.

    The last one first; after `every` epochs the one before it joins (Howard and Ruder 2018, Section 3.3).
    """
    count = min(len(units), 1 + (epoch - 1) // every)
    return tuple(units[len(units) - count :])


def begin_epoch(
    network: Network,
    units: Sequence[str],
    *,
    method: Method,
    epoch: int,
    every: int,
    statistics: Statistics = "hold",
) -> None:
    """Training mode for what learns in `epoch`; statistics of frozen units are held, or follow the new images.

    Under gradual unfreezing the units that wait are frozen; an optimiser that passes over parameters without a
    gradient (Adam, with gradients set to None) leaves them as they are.
    """
    now = tuple(units)
    if method == "gradual unfreezing":
        now = unfrozen(units, epoch, every)
        freeze_all_but(network, now)
    network.train()
    if statistics == "hold":
        hold_statistics(network, now)


def trained_tensors(network: Network, units: Sequence[str], statistics: Statistics = "hold") -> dict[str, Tensor]:
    """Copies of what training may have changed, by its names in the state dict: the tensors of `units`, and under
    `update` the running statistics of all others; weights with an adapter come merged.
    """
    names = tensor_names(network, units)
    state = {
        **base_tensors(network),
        **{f"{path}.weight": module.weight for path, module in adapters(network).items()},
    }
    changed = dict.fromkeys(name for unit in units for name in names[unit])
    if statistics == "update":
        changed |= dict.fromkeys(sorted(statistics_names(network)))
    return {name: state[name].detach().clone() for name in changed}  # type: ignore[operator]


def frozen_hash(
    network: Network, units: Sequence[str], method: Method = "fine-tune", statistics: Statistics = "hold"
) -> str:
    """SHA-256 over names, shapes and bytes of every tensor that must stay as it is.

    Those are the tensors outside `units`, parameters and buffers; under `update` the parameters alone. Under `LoRA`
    those of `units` too: adapters learn beside a network that is frozen as a whole, and the hash is to be taken before
    `merge`, which puts them into the weights. Under `statistics only` all but the running statistics of `units`.
    """
    frozen, state = frozen_names(network, units if method in LEARNING else ()), base_tensors(network)
    if statistics == "update":
        frozen -= statistics_names(network)
    elif method == "statistics only":
        own = tensor_names(network, units)
        frozen -= statistics_names(network) & {name for unit in units for name in own[unit]}
    return hash_of_tensors({name: state[name] for name in frozen})


def hash_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, hex, over names, types, shapes and bytes of `tensors`, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous().cpu()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
