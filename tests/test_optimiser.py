"""Our optimiser moves weights as PyTorch's does, to the bit, and loads no compiler."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from engine.models import build
from engine.optimiser import Group, Optimiser

ROOT = Path(__file__).resolve().parents[1]


def small() -> nn.Module:
    """A U-Net whose weights lie channels last."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build("unet", width=4, classes=1)
    assert isinstance(network, nn.Module)
    return network.to(memory_format=torch.channels_last).eval()


def theirs(network: nn.Module, kind: str, decay: float) -> torch.optim.Optimizer:
    """PyTorch's, over the network's weights in two groups."""
    weights: list[Any] = list(network.parameters())
    groups = [{"params": weights[:6]}, {"params": weights[6:], "lr": 1e-2}]
    if kind == "adam":
        return torch.optim.Adam(groups, lr=1e-3, weight_decay=decay, fused=True)
    return torch.optim.SGD(groups, lr=1e-3, momentum=0.9, weight_decay=decay, fused=True)


def ours(network: nn.Module, kind: Literal["adam", "sgd"], decay: float) -> Optimiser:
    """The same, ours."""
    weights = list(network.parameters())
    groups = [Group(weights=weights[:6], rate=1e-3), Group(weights=weights[6:], rate=1e-2)]
    return Optimiser(groups, kind, momentum=0.9 if kind == "sgd" else 0.0, weight_decay=decay)


def loss(network: nn.Module, seed: int) -> Tensor:
    """Of random images."""
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(seed))
    found: Tensor = network(images.contiguous(memory_format=torch.channels_last)).square().mean()
    return found


@pytest.mark.parametrize("decay", [0.0, 1e-2])
@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_steps_are_those_of_pytorch_to_the_bit(kind: Literal["adam", "sgd"], decay: float) -> None:
    plain, own = small(), small()
    first, second = theirs(plain, kind, decay), ours(own, kind, decay)
    for seed in range(5):
        first.zero_grad(set_to_none=True)
        second.forget_gradients()
        for network in (plain, own):
            torch.autograd.backward(loss(network, seed))
        first.step()
        second.step()
    begun = small().state_dict()
    for name, weight in plain.state_dict().items():
        assert torch.equal(own.state_dict()[name], weight), name
        assert not torch.equal(begun[name], weight), name


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_a_weight_whose_first_gradient_comes_later_begins_then(kind: Literal["adam", "sgd"]) -> None:
    late, fresh = small(), small()
    waiting, only = ours(late, kind, 0.0), ours(fresh, kind, 0.0)
    names = [name for name, _ in late.named_parameters()][:6]
    for name, weight in late.named_parameters():
        weight.requires_grad_(name not in names)
    torch.autograd.backward(loss(late, 0))
    before = copy.deepcopy(late.state_dict())
    waiting.step()
    assert all(torch.equal(late.state_dict()[name], before[name]) for name in names)
    late.load_state_dict(before)
    waiting.forget_gradients()
    late.requires_grad_(True)
    for network, optimiser in ((late, waiting), (fresh, only)):
        torch.autograd.backward(loss(network, 1))
        optimiser.step()
    for name in names:  # as in the first step of an optimiser that is new
        assert torch.equal(late.state_dict()[name], fresh.state_dict()[name]), name


def test_what_moves_with_it_moves_after_each_step() -> None:
    network, moved = small(), list[Tensor]()
    optimiser = ours(network, "adam", 0.0)
    weight = next(network.parameters())
    before = weight.detach().clone()
    optimiser.also.append(lambda: moved.append(weight.detach().clone()))
    torch.autograd.backward(loss(network, 0))
    optimiser.step()
    assert len(moved) == 1
    assert not torch.equal(moved[0], before)
    assert torch.equal(moved[0], weight)


def test_a_training_loads_no_compiler() -> None:
    program = """
import sys
from tests.made import discs, trial
from engine.training import run_trial
attempt, _ = run_trial(trial(max_epochs=1, batches_per_epoch=1, start_weights=None), discs(), None)
assert attempt.epochs_run == 1
print(sorted({"torch._dynamo", "torch._inductor", "sympy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"
