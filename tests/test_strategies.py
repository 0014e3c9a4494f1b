"""Freezing, and the proof of it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.architectures import UNET_UNITS, unet_parameters
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
