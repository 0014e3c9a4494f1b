"""Large fully connected layers learn as by SGD, though no gradient of their weights is ever made."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine import large_layers
from engine.large_layers import LargeLayers
from engine.optimiser import Group, Optimiser

BATCH, INPUTS = 8, 60


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of a few thousand weights are large, and updated in blocks that do not divide them."""
    monkeypatch.setattr(large_layers, "LARGE", 2000)
    monkeypatch.setattr(large_layers, "BLOCK", 7 * INPUTS)


def chain() -> nn.Sequential:
    """Two large layers with a dropout between them, and a small one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(INPUTS, 50), nn.ReLU(), nn.Dropout(0.5), nn.Linear(50, 40), nn.ReLU(), nn.Linear(40, 3)
        )


SETTINGS = {"momentum": 0.9, "weight_decay": 5e-4}


def theirs(network: nn.Module, **changes: float) -> torch.optim.SGD:
    """As a training of Cheng and Malhi's networks, its last layer at ten times the rate; PyTorch's."""
    *first, weight, bias = network.parameters()
    groups = [{"params": first}, {"params": [weight, bias], "lr": 0.1}]
    return torch.optim.SGD(groups, lr=0.01, fused=True, **SETTINGS | changes)


def own(network: nn.Module, **changes: float) -> Optimiser:
    """The same, ours."""
    *first, weight, bias = network.parameters()
    groups = [Group(weights=first, rate=0.01), Group(weights=[weight, bias], rate=0.1)]
    return Optimiser(groups, "sgd", **SETTINGS | changes)


def step(
    network: nn.Module, optimiser: torch.optim.Optimizer | Optimiser, seed: int, half: bool, backwards: int = 1
) -> Tensor:
    """One step of training on a batch of its own (or several, whose gradients add up); the last loss."""
    torch.manual_seed(seed)
    network.zero_grad(set_to_none=True)
    for _ in range(backwards):
        inputs, truth = torch.randn(BATCH, INPUTS), torch.randint(0, 3, (BATCH,))
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = network(inputs).float()
        loss = functional.cross_entropy(logits, truth)
        torch.autograd.backward(loss)
    optimiser.step()
    return loss.detach()


def said(network: nn.Module, half: bool) -> Tensor:
    """Logits of fixed images, as a validation sees them."""
    network.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        logits: Tensor = network(torch.linspace(-1, 1, BATCH * INPUTS).reshape(BATCH, INPUTS)).float()
    network.train()
    return logits


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("changes", [{}, {"momentum": 0.0}, {"weight_decay": 0.0}])
def test_weights_losses_and_validation_are_those_of_sgd(half: bool, changes: dict[str, float]) -> None:
    plain, ours = chain(), chain()
    their, mine = theirs(plain, **changes), own(ours, **changes)
    with torch.random.fork_rng(devices=[]), LargeLayers(ours, mine) as large:
        assert large.modules == [ours[0], ours[3]]
        for seed in range(6):
            losses = step(plain, their, seed, half), step(ours, mine, seed, half)
            torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(said(plain, half), said(ours, half), rtol=1e-4, atol=1e-4)
    assert plain[0].weight.grad is not None
    assert ours[0].weight.grad is None
    assert not torch.equal(ours[0].weight, chain()[0].weight)
    for name, weight in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], weight, rtol=1e-5, atol=1e-6)


def test_gradients_of_two_backward_passes_add_up() -> None:
    plain, ours = chain(), chain()
    their, mine = theirs(plain), own(ours)
    with torch.random.fork_rng(devices=[]), LargeLayers(ours, mine):
        for seed in range(3):
            step(plain, their, seed, half=False, backwards=2)
            step(ours, mine, seed, half=False, backwards=2)
    torch.testing.assert_close(ours[0].weight, plain[0].weight, rtol=1e-5, atol=1e-6)


def test_a_rate_that_changes_between_steps_counts() -> None:
    plain, ours = chain(), chain()
    their, mine = theirs(plain), own(ours)
    with torch.random.fork_rng(devices=[]), LargeLayers(ours, mine):
        for seed in range(3):
            their.param_groups[0]["lr"] = mine.groups[0].rate = 0.1 / (seed + 1)
            step(plain, their, seed, half=True)
            step(ours, mine, seed, half=True)
    torch.testing.assert_close(ours[3].weight, plain[3].weight, rtol=1e-5, atol=1e-6)


def test_a_layer_that_is_frozen_for_a_while_stays_as_it_is() -> None:
    network = chain()
    optimiser = own(network)
    with torch.random.fork_rng(devices=[]), LargeLayers(network, optimiser):
        network[0].weight.requires_grad_(False)
        step(network, optimiser, 0, half=False)
        assert torch.equal(network[0].weight, chain()[0].weight)
        network[0].weight.requires_grad_(True)
        step(network, optimiser, 1, half=False)
        assert not torch.equal(network[0].weight, chain()[0].weight)


def test_afterwards_the_layers_are_as_they_were() -> None:
    network = chain()
    optimiser = own(network)
    with torch.random.fork_rng(devices=[]):
        with LargeLayers(network, optimiser):
            step(network, optimiser, 0, half=True)
        learned = copy.deepcopy(network.state_dict())
        assert "forward" not in vars(network[0])
        step(network, optimiser, 1, half=True)
    assert torch.equal(network[0].weight, learned["0.weight"])  # nobody updates it now
    assert network[0].weight.grad is not None


@pytest.mark.parametrize(
    "optimiser",
    [
        lambda network: None,
        lambda network: Optimiser([Group(weights=list(network.parameters()), rate=0.1)]),
        lambda network: Optimiser([Group(weights=list(network[5].parameters()), rate=0.1)], "sgd"),
    ],
)
def test_what_is_not_sgd_or_not_large_is_left_alone(optimiser: Callable[[nn.Module], Optimiser | None]) -> None:
    network = chain()
    found = optimiser(network)
    before = [len(group.weights) for group in found.groups] if found else []
    with LargeLayers(network, found) as large:
        assert large.modules == []
        assert "forward" not in vars(network[0])
    assert ([len(group.weights) for group in found.groups] if found else []) == before
