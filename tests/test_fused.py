"""Convolution and ReLU in one pass give the numbers of two, and are left alone where a gradient is wanted."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.hardware import this_machine
from engine.models import UNet, fused
from engine.models.fused import convolve_relu
from engine.strategies import freeze_all_but

needs_bfloat16 = pytest.mark.skipif(
    not (fused.AVAILABLE and this_machine().processor_bfloat16),
    reason="this processor does not multiply bfloat16 in hardware",
)


def network(width: int = 8) -> UNet:
    """A U-Net as trainings hold it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return UNet(width).to(memory_format=torch.channels_last)


def images(number: int, side: int) -> Tensor:
    """Random ones."""
    made = torch.rand(number, 1, side, side, generator=torch.Generator().manual_seed(1))
    return made.contiguous(memory_format=torch.channels_last)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each convolution since was done in one pass."""
    told: list[bool] = []
    real = fused._in_one_pass

    def watched(convolution: nn.Conv2d, hidden: Tensor) -> bool:
        told.append(real(convolution, hidden))
        return told[-1]

    monkeypatch.setattr(fused, "_in_one_pass", watched)
    return told


@needs_bfloat16
@pytest.mark.parametrize(("number", "side", "width"), [(1, 64, 16), (14, 32, 16), (2, 48, 3)])
def test_a_network_says_the_same_to_the_bit(
    number: int, side: int, width: int, passes: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = network(width).eval()
    said = []
    for available in (True, False):
        monkeypatch.setattr(fused, "AVAILABLE", available)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            said.append(own(images(number, side)))
    assert torch.equal(*said)
    assert said[0].abs().max() > 0
    assert passes == [True] * 22 + [False] * 22


@needs_bfloat16
def test_a_training_goes_in_one_pass_as_far_as_units_are_frozen_and_learns_the_same(
    passes: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for available in (True, False):
        monkeypatch.setattr(fused, "AVAILABLE", available)
        own = network().eval()  # nothing drops out
        freeze_all_but(own, ["9"])
        with torch.autocast("cpu", torch.bfloat16):
            logits = own(images(2, 32))
        torch.autograd.backward(
            functional.binary_cross_entropy_with_logits(logits.float(), torch.ones_like(logits).float())
        )
        found.append([weight.grad for weight in own.parameters() if weight.grad is not None])
    assert passes == [True] * 19 + [False] * 3 + [False] * 22
    assert len(found[0]) == len(found[1]) == 8
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_float32_is_left_as_it_is(passes: list[bool]) -> None:
    convolution = nn.Conv2d(1, 4, 3, padding=1)
    with torch.inference_mode():
        found = convolve_relu(convolution, images(1, 16))
    assert passes == [False]
    assert torch.equal(found, functional.relu(convolution(images(1, 16))))
