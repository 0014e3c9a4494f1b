"""What all peers share: the work that they are given, the same network, and how its Dice is measured."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from engine.models.unet import UNet

BATCH, SIZE, WIDTH, RATE = 2, 128, 16, 1e-4
SHIFT, ZOOM = 0.05, 0.05


@dataclass(frozen=True)
class Trial:
    """One training: the units that learn, and the files of each part as (image, mask)."""

    strategy: str
    units: list[str]
    fold: int
    seed: int
    training: list[list[str]]
    validation: list[list[str]]
    test: list[list[str]]


@dataclass(frozen=True)
class Work:
    """The trials, and what holds for all of them."""

    trials: list[Trial]
    epochs: int
    weights: str


def read() -> Work:
    """The work named on the command line."""
    told = json.loads(Path(sys.argv[1]).read_text())
    return Work([Trial(**trial) for trial in told["trials"]], told["epochs"], told["weights"])


def network_of(work: Work) -> UNet:
    """The pre-trained U-Net."""
    network = UNet(WIDTH)
    network.load_state_dict(load_file(work.weights))
    return network


def freeze(network: UNet, units: list[str]) -> list[nn.Parameter]:
    """Freezes what is not in `units`; gives the parameters that learn."""
    for name, modules in network.units().items():
        for module in modules:
            module.requires_grad_(name in units)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def dice(predicted: torch.Tensor, truth: torch.Tensor) -> float:
    """Mean over images of 2 |A and B| / (|A| + |B|); both empty counts as 1."""
    predicted, truth = predicted.flatten(1).float(), truth.flatten(1).float()
    both, each = (predicted * truth).sum(1), predicted.sum(1) + truth.sum(1)
    return float(torch.where(each > 0, 2 * both / each.clamp(min=1), 1.0).mean())


def run(train: Callable[[Work, Trial], float]) -> None:
    """Trains trial after trial and tells each one's Dice and seconds, without what loads once."""
    work = read()
    done: list[dict[str, Any]] = []
    for trial in work.trials:
        torch.manual_seed(trial.seed)
        np.random.seed(trial.seed)  # noqa: NPY002 - the peers' transforms draw from it
        begun = time.perf_counter()
        score = train(work, trial)
        seconds = time.perf_counter() - begun
        done.append(
            {"strategy": trial.strategy, "fold": trial.fold, "seed": trial.seed, "dice": score, "seconds": seconds}
        )
    tell(done)


def tell(done: list[dict[str, Any]]) -> None:
    """The last line that the driver reads."""
    print(json.dumps(done), flush=True)
