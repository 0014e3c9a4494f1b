"""What the engine asks of a network: units that partition it, so that some can be frozen and held."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

from torch import Tensor, nn

from engine.errors import StrategyError
from engine.models.adapters import adapters, base_tensors


@runtime_checkable
class Network(Protocol):
    """An `nn.Module` that names its units: images in, logits out. The other methods are as `nn.Module` has them."""

    def units(self) -> Mapping[str, Sequence[nn.Module]]:
        """The modules of each unit, shallow to deep; together they hold every parameter and buffer once."""
        ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def named_modules(self, *, remove_duplicate: bool = True) -> Iterable[tuple[str, nn.Module]]: ...
    def named_parameters(self) -> Iterable[tuple[str, nn.Parameter]]: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def get_submodule(self, target: str) -> nn.Module: ...
    def state_dict(self) -> dict[str, Tensor]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any], *, strict: bool = True, assign: bool = False) -> Any: ...
    def to(self, *args: Any, **kwargs: Any) -> "Network": ...
    def train(self) -> "Network": ...
    def eval(self) -> "Network": ...
    def requires_grad_(self, requires_grad: bool = True) -> "Network": ...


@runtime_checkable
class Finer(Protocol):
    """A network that has a finer partition beside its units."""

    def finer_units(self) -> Mapping[str, Sequence[nn.Module]]:
        """The modules of each finer unit, shallow to deep."""
        ...


class NamedUnits(nn.Module):
    """A network of another's making, with units named from outside. State dict, names and modes are the network's.

    Images, which come in [0, 1], reach it less `mean` and divided by `spread`.
    """

    def __init__(
        self,
        network: nn.Module,
        units: Mapping[str, Sequence[nn.Module]],
        *,
        mean: float = 0.0,
        spread: float = 1.0,
    ) -> None:
        super().__init__()
        self.network = network
        self._units = dict(units)
        self._mean, self._spread = mean, spread

    def units(self) -> Mapping[str, Sequence[nn.Module]]:
        """The modules of each unit, shallow to deep."""
        return self._units

    def forward(self, images: Tensor) -> Any:
        """What the network itself gives."""
        return self.network((images - self._mean) / self._spread)

    # Names without this wrapper's own prefix: weights load into the network itself, and from it.
    def named_modules(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Module]]:
        """As the network gives them."""
        return cast(Iterator[tuple[str, nn.Module]], self.network.named_modules(*args, **kwargs))

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """As the network gives them."""
        return self.network.named_parameters(*args, **kwargs)

    def get_submodule(self, target: str) -> nn.Module:
        """As the network gives it."""
        return self.network.get_submodule(target)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """As the network gives it."""
        state: dict[str, Any] = self.network.state_dict(*args, **kwargs)
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As the network does it."""
        return self.network.load_state_dict(state_dict, *args, **kwargs)


def tensor_names(network: Network, units: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """Names in the state dict (parameters and buffers) of each unit, or of each finer unit where `units` are such.

    Raises StrategyError where `units` are not all of one partition, and where the partition is none: a tensor in
    no unit, or in two.
    """
    paths: dict[int, list[str]] = {}
    for path, module in network.named_modules(remove_duplicate=False):
        paths.setdefault(id(module), []).append(path)
    state = tuple(base_tensors(network))
    names: dict[str, tuple[str, ...]] = {}
    seen: dict[str, str] = {}
    problems = []
    for unit, modules in _partition(network, units).items():
        own: list[str] = []
        for module in modules:
            if id(module) not in paths:
                problems.append(f"unit '{unit}' has a {type(module).__name__} that is no part of the network")
            for path in paths.get(id(module), ()):
                own += [name for name in state if name.startswith(f"{path}." if path else "")]
        for name in own:
            if name in seen:
                twice = "twice in unit '{0}'" if seen[name] == unit else "in unit '{1}' and in unit '{0}'"
                problems.append(f"'{name}' is {twice.format(unit, seen[name])}; it must be in one")
            seen[name] = unit
        names[unit] = tuple(own)
    problems += [f"'{name}' is in no unit; add its module to one" for name in state if name not in seen]
    if problems:
        raise StrategyError(problems)
    return names


def _partition(network: Network, units: Sequence[str]) -> Mapping[str, Sequence[nn.Module]]:
    coarse = network.units()
    if all(unit in coarse for unit in units):
        return coarse
    if isinstance(network, Finer) and all(unit in network.finer_units() for unit in units):
        return network.finer_units()
    unknown = [unit for unit in units if unit not in coarse]
    raise StrategyError(f"unknown units {', '.join(unknown)}; this network has {', '.join(coarse)}")


def frozen_names(network: Network, units: Sequence[str]) -> set[str]:
    """Names of the tensors that stay as they are while `units` learn: of all, where adapters learn in their place."""
    names = tensor_names(network, units)
    return {name for unit, own in names.items() if adapters(network) or unit not in units for name in own}


def freeze_all_but(network: Network, units: Sequence[str]) -> list[nn.Parameter]:
    """Freeze every unit that is not in `units`; gives the parameters that learn.

    Raises StrategyError with the known units where one of `units` is unknown.
    """
    frozen = frozen_names(network, units)
    learning = []
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in frozen)
        if name not in frozen:
            learning.append(parameter)
    return learning


def statistics_names(network: Network) -> set[str]:
    """Names of the buffers in the state dict: running statistics of normalisation, which move without learning."""
    buffers = {
        f"{path}.{name}" if path else name
        for path, module in network.named_modules()
        for name, _ in module.named_buffers(recurse=False)
    }
    return buffers & set(base_tensors(network))


def keeps_statistics(network: Network, units: Sequence[str]) -> bool:
    """Whether one of `units` has statistics. Raises StrategyError where a unit is unknown."""
    names = tensor_names(network, units)
    return any(statistics_names(network) & set(names[unit]) for unit in units)


def hold_statistics(network: Network, units: Sequence[str]) -> None:
    """Evaluation mode for each module of a frozen unit that keeps statistics (batch normalisation).

    To be called after `network.train()`, which would let them drift. Dropout, which keeps none, stays active.
    """
    frozen = frozen_names(network, units)
    for path, module in network.named_modules():
        if any((f"{path}.{name}" if path else name) in frozen for name, _ in module.named_buffers(recurse=False)):
            module.training = False  # not eval(), which would reach into the modules inside it
