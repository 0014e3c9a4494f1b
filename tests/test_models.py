"""The U-Net's parts that its parameter counts do not show."""

import math

import pytest
import torch
from torch.nn import functional

from engine.models import UNet
from engine.strategies import freeze_all_but


@pytest.mark.parametrize("units", [("1",), ("9",), ("5a", "5b")])
def test_half_of_block_5_is_dropped_in_training_whatever_is_frozen_and_nothing_in_test(
    units: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[tuple[int, ...], float, bool]] = []
    real = functional.dropout

    def watched(hidden: torch.Tensor, p: float, training: bool) -> torch.Tensor:
        calls.append((tuple(hidden.shape), p, training))
        return real(hidden, p, training)

    monkeypatch.setattr(functional, "dropout", watched)
    network = UNet(2)
    freeze_all_but(network, units)
    network.train()(torch.rand(1, 1, 32, 32))
    network.eval()(torch.rand(1, 1, 32, 32))
    # Amiri et al. 2020, II-A: 50 %, just after the bottleneck (32 filters at width 2, a sixteenth of the side)
    assert calls == [((1, 32, 2, 2), 0.5, True), ((1, 32, 2, 2), 0.5, False)]


def test_logits_have_the_images_size() -> None:
    assert UNet(2).eval()(torch.rand(3, 1, 48, 64)).shape == (3, 1, 48, 64)


def test_weights_begin_as_he_proposed_and_biases_at_nought() -> None:
    torch.manual_seed(0)
    network = UNet(16)
    weight = network.block5b.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 256)), rel=0.02)
    assert not network.block5b.bias.any()  # type: ignore[union-attr]


def test_skips_carry_the_shallow_blocks_to_the_end() -> None:
    torch.manual_seed(0)
    network = UNet(2).eval()
    with torch.no_grad():
        for convolution in (network.block5a, network.block5b):
            convolution.weight.zero_()  # nothing passes the bottleneck
        first, second = network(torch.zeros(1, 1, 32, 32)), network(torch.rand(1, 1, 32, 32))
    assert not torch.allclose(first, second)
