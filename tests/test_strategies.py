"""Freezing, and the proof of it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.architectures import (
    UNET_UNITS,
    parse_strategy,
    trainable_parameters,
    unet_convolutions,
    unet_parameters,
)
from engine.errors import StrategyError
from engine.models import UNet
from engine.strategies import freeze_all_but, frozen_hash, tensor_names, trained_tensors


@pytest.mark.parametrize("width", [4, 16])
def test_units_partition_the_unet_with_the_counts_that_planning_uses(width: int) -> None:
    network = UNet(width)
    names = tensor_names(network)
    state = network.state_dict()
    assert tuple(names) == UNET_UNITS
    assert sorted(name for own in names.values() for name in own) == sorted(state)
    assert {unit: sum(state[name].numel() for name in own) for unit, own in names.items()} == unet_parameters(width)


@settings(max_examples=20, deadline=None)
@given(st.sets(st.sampled_from(UNET_UNITS), min_size=1))
def test_only_the_named_units_learn(units: set[str]) -> None:
    network = UNet(2)
    learning = freeze_all_but(network, tuple(units))
    counts = unet_parameters(2)
    assert sum(parameter.numel() for parameter in learning) == sum(counts[unit] for unit in units)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == sum(counts[unit] for unit in units)
    assert set(trained_tensors(network, tuple(units))) == {n for unit in units for n in tensor_names(network)[unit]}


def test_the_hash_sees_any_change_of_a_frozen_unit_and_none_of_a_learning_one() -> None:
    network = UNet(2)
    before = frozen_hash(network, ("9",))
    with torch.no_grad():
        network.output.bias.add_(1)  # type: ignore[union-attr]
    assert frozen_hash(network, ("9",)) == before
    with torch.no_grad():
        next(network.block3.parameters()).view(-1)[0].add_(1e-6)
    assert frozen_hash(network, ("9",)) != before


def test_the_hash_sees_buffers_too() -> None:
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.BatchNorm2d(3)
            self.last = nn.Conv2d(3, 1, 1)

        def units(self) -> dict[str, list[nn.Module]]:
            return {"first": [self.first], "last": [self.last]}

    network = Normalised()
    before = frozen_hash(network, ("last",))
    network.first(torch.rand(2, 3, 4, 4))  # statistics drift in training mode although nothing learns
    assert frozen_hash(network, ("last",)) != before


def test_units_that_leave_a_tensor_out_or_share_one_are_refused() -> None:
    class Wrong(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)

        def units(self) -> dict[str, list[nn.Module]]:
            return {"a": [self.first], "b": [self.first, self.second]}

    with pytest.raises(StrategyError) as caught:
        tensor_names(Wrong())
    assert any("'first.weight' is in unit 'a' and in unit 'b'" in problem for problem in caught.value.problems)
    assert any("'third.weight' is in no unit" in problem for problem in caught.value.problems)


def test_an_unknown_unit_brings_the_known_ones() -> None:
    with pytest.raises(StrategyError, match=r"unknown units 12; this network has 1, 2, 3"):
        freeze_all_but(UNet(2), ("1", "12"))


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(1, 23), min_size=1))
def test_only_the_named_convolutions_learn(numbers: set[int]) -> None:
    strategy = parse_strategy(f"convolutions {','.join(map(str, numbers))}")
    network = UNet(2)
    learning = freeze_all_but(network, strategy.units)
    assert sum(parameter.numel() for parameter in learning) == trainable_parameters(strategy, "unet", 2)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert {number for number, c in enumerate(convolutions, start=1) if c.weight.requires_grad} == numbers
    assert len(trained_tensors(network, strategy.units)) == 2 * len(numbers)


def test_convolutions_partition_the_unet_as_units_do() -> None:
    network = UNet(2)
    names = tensor_names(network, ("1.1",))
    assert list(names) == list(unet_convolutions(2))
    assert sorted(name for own in names.values() for name in own) == sorted(network.state_dict())


def test_units_and_convolutions_together_are_no_partition() -> None:
    with pytest.raises(StrategyError, match=r"unknown units 5\.1; this network has 1, 2"):
        freeze_all_but(UNet(2), ("1", "5.1"))


def test_the_hash_of_frozen_convolutions_sees_their_block_mates() -> None:
    network = UNet(2)
    before = frozen_hash(network, ("9.4",))
    with torch.no_grad():
        network.output.bias.add_(1)  # type: ignore[union-attr]
    assert frozen_hash(network, ("9.4",)) == before
    with torch.no_grad():
        network.block9[2].bias.add_(1)  # type: ignore[union-attr,operator]
    assert frozen_hash(network, ("9.4",)) != before


def test_a_module_that_is_no_part_of_the_network_is_refused() -> None:
    class Elsewhere(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(2, 2)

        def units(self) -> dict[str, list[nn.Module]]:
            return {"a": [self.first, nn.Linear(2, 2)], "b": [self.first]}

    with pytest.raises(StrategyError) as caught:
        tensor_names(Elsewhere())
    assert caught.value.problems[0] == "unit 'a' has a Linear that is no part of the network"


def test_a_module_that_is_used_at_two_places_is_in_one_unit() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(2, 2)
            self.again = self.first

        def units(self) -> dict[str, list[nn.Module]]:
            return {"a": [self.first]}

    assert len(tensor_names(Shared())["a"]) == len(Shared().state_dict()) == 4
