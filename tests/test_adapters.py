"""Adapters, gradual unfreezing, and statistics that hold still: what learns, what does not, and the proof."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from engine.architectures import UNET_UNITS, Method, parse_strategy, trainable_parameters
from engine.errors import StrategyError
from engine.models import UNet
from engine.strategies import (
    Network,
    begin_epoch,
    frozen_hash,
    hash_of_tensors,
    hold_statistics,
    merge,
    prepare,
    tensor_names,
    trained_tensors,
    unfrozen,
)
from tests.precisions import PRECISIONS


class Normalised(nn.Module):
    """A convolution, its batch normalisation and dropout, then a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.head = nn.Conv2d(4, 1, 1)

    def units(self) -> dict[str, list[nn.Module]]:
        return {"stem": [self.stem], "head": [self.head]}

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.stem(images))
        return logits


def step(network: Network, learning: list[nn.Parameter], steps: int = 1, *, rate: float = 0.05) -> None:
    """Optimiser steps on random images, as training takes them."""
    optimiser = torch.optim.Adam(learning, lr=rate, fused=True)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        images = torch.rand(2, 1, 32, 32, generator=generator)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(binary_cross_entropy_with_logits(network(images), images.round()))
        optimiser.step()


def adapted(text: str = "LoRA rank 3 on contracting", seed: int = 5) -> tuple[UNet, UNet, list[nn.Parameter]]:
    """A U-Net as it was, the same with adapters, and what learns."""
    torch.manual_seed(0)
    network = UNet(4).eval()
    strategy = parse_strategy(text)
    before = copy.deepcopy(network)
    return before, network, prepare(network, strategy.units, "LoRA", strategy.rank, seed)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(1, 22), min_size=1), st.integers(1, 9), st.integers(1, 6), st.integers(1, 2))
def test_as_many_parameters_learn_as_planning_counts(numbers: set[int], rank: int, width: int, classes: int) -> None:
    strategy = parse_strategy(f"LoRA rank {rank} on convolutions {','.join(map(str, numbers))}")
    network = UNet(width, classes=1 if classes == 1 else classes + 1)
    learning = prepare(network, strategy.units, strategy.method, strategy.rank)
    assert sum(p.numel() for p in learning) == trainable_parameters(strategy, "unet", width, classes=classes)
    assert {id(p) for p in network.parameters() if p.requires_grad} == {id(p) for p in learning}


def test_adapters_change_nothing_before_they_learn_and_something_after() -> None:
    before, network, learning = adapted()
    images = torch.rand(2, 1, 32, 32)
    assert torch.equal(network(images), before(images))
    step(network, learning)
    assert not torch.allclose(network.eval()(images), before(images))


def test_adapters_start_alike_whatever_else_is_adapted_and_differ_by_seed() -> None:
    starts = []
    for text, seed in (("LoRA rank 2 on block 1", 5), ("LoRA rank 2", 5), ("LoRA rank 2", 6)):
        _, network, _ = adapted(text, seed)
        starts.append(network.state_dict()["block1.0.parametrizations.weight.0.down"])
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[1], starts[2])


def test_the_base_under_adapters_is_proven_unchanged_and_a_change_of_it_is_seen() -> None:
    before, network, learning = adapted()
    units = parse_strategy("contracting").units
    expected = hash_of_tensors(before.state_dict())
    assert frozen_hash(before, units, "LoRA") == expected
    step(network, learning, 3)
    assert frozen_hash(network, units, "LoRA") == expected
    with torch.no_grad():
        network.block1[0].parametrizations.weight.original.view(-1)[0].add_(1e-6)  # type: ignore[union-attr,index]
    assert frozen_hash(network, units, "LoRA") != expected


@pytest.mark.parametrize("precision", PRECISIONS)
def test_merging_keeps_what_the_network_says_and_leaves_no_adapter(precision: str) -> None:
    before, network, learning = adapted()
    step(network, learning, 3)
    images, names = torch.rand(2, 1, 32, 32), tensor_names(network)
    best = trained_tensors(network, parse_strategy("contracting").units)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"), torch.inference_mode():
        said = network.eval()(images)
    merge(network)
    assert set(network.state_dict()) == set(before.state_dict())
    assert tensor_names(network) == names
    assert type(network.block1[0]) is nn.Conv2d  # type: ignore[index]
    # As inference does it: trained tensors over the start weights.
    before.load_state_dict(best, strict=False)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"), torch.inference_mode():
        assert torch.equal(network(images), said)
        assert torch.equal(before(images), said)


def test_a_merged_network_takes_the_tensors_of_an_earlier_epoch() -> None:
    _, network, learning = adapted()
    units = parse_strategy("contracting").units
    step(network, learning)
    best = trained_tensors(network, units)
    step(network, learning, 2)
    merge(network)
    assert not torch.equal(network.state_dict()["block1.0.weight"], best["block1.0.weight"])
    network.load_state_dict(best, strict=False)
    assert hash_of_tensors(trained_tensors(network, units)) == hash_of_tensors(best)


def test_merging_without_adapters_does_nothing() -> None:
    network = UNet(2)
    before = hash_of_tensors(network.state_dict())
    merge(network)
    assert hash_of_tensors(network.state_dict()) == before


def test_units_without_a_convolution_to_adapt_are_refused() -> None:
    with pytest.raises(StrategyError, match="no convolution larger than 1x1"):
        prepare(Normalised(), ("head",), "LoRA", 2)


def test_a_convolution_whose_weight_is_computed_is_refused() -> None:
    network = Normalised()
    nn.utils.parametrizations.weight_norm(network.stem[0])
    with pytest.raises(StrategyError, match=r"'stem\.0' has no plain weight"):
        prepare(network, ("stem",), "LoRA", 2)


@given(st.integers(1, 60), st.integers(1, 7))
def test_gradual_unfreezing_goes_from_the_output_on_and_never_back(epoch: int, every: int) -> None:
    now, later = unfrozen(UNET_UNITS, epoch, every), unfrozen(UNET_UNITS, epoch + every, every)
    assert now == UNET_UNITS[-len(now) :]
    assert len(later) == min(len(now) + 1, len(UNET_UNITS))


def test_the_last_unit_begins_and_all_learn_in_the_end() -> None:
    assert [unfrozen(("a", "b", "c"), epoch, 2) for epoch in range(1, 8)] == [
        *(("c",), ("c",)),
        *(("b", "c"), ("b", "c")),
        *(("a", "b", "c"),) * 3,
    ]


def test_units_that_wait_stay_as_they_are_although_the_optimiser_has_them() -> None:
    network = UNet(2)
    learning = prepare(network, UNET_UNITS, "gradual unfreezing")
    assert sum(p.numel() for p in learning) == sum(p.numel() for p in network.parameters())
    optimiser = torch.optim.Adam(learning, lr=0.01, fused=True)
    images = torch.rand(2, 1, 32, 32)
    for epoch, waiting in enumerate((UNET_UNITS[:-1], UNET_UNITS[:-2], UNET_UNITS[:-3]), start=1):
        learn = tuple(unit for unit in UNET_UNITS if unit not in waiting)
        begin_epoch(network, UNET_UNITS, method="gradual unfreezing", epoch=epoch, every=1)
        frozen, moved = frozen_hash(network, learn), trained_tensors(network, learn)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(binary_cross_entropy_with_logits(network(images), images.round()))
        optimiser.step()
        assert frozen_hash(network, learn) == frozen
        assert all(not torch.equal(tensor, network.state_dict()[name]) for name, tensor in moved.items())


METHODS: list[tuple[Method, tuple[str, ...]]] = [
    ("fine-tune", ("head",)),
    ("gradual unfreezing", ("stem", "head")),
    ("LoRA", ("stem",)),
]


@pytest.mark.parametrize(("method", "units"), METHODS)
def test_statistics_of_frozen_units_hold_and_dropout_stays_active(method: Method, units: tuple[str, ...]) -> None:
    network = Normalised()
    statistics = network.stem[1]
    learning = prepare(network, units, method, 1)
    begin_epoch(network, units, method=method, epoch=1, every=1)
    before = hash_of_tensors(statistics.state_dict())
    step(network, learning, 2)
    assert hash_of_tensors(statistics.state_dict()) == before
    assert network.stem[2].training
    begin_epoch(network, ("stem", "head"), method="fine-tune" if method != "LoRA" else "LoRA", epoch=2, every=1)
    network(torch.rand(2, 1, 32, 32))
    assert (hash_of_tensors(statistics.state_dict()) == before) == (method == "LoRA")


def test_without_holding_them_statistics_would_drift() -> None:
    network = Normalised()
    prepare(network, ("head",))
    before = frozen_hash(network, ("head",))
    network.train()(torch.rand(2, 1, 8, 8))
    assert frozen_hash(network, ("head",)) != before
    held = Normalised()
    before = frozen_hash(held, ("head",))
    held.train()
    hold_statistics(held, ("head",))
    held(torch.rand(2, 1, 8, 8))
    assert frozen_hash(held, ("head",)) == before
