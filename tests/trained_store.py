"""A small real store whose networks have a known answer: the structure is what is brighter (or darker) than half."""

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor

from engine.models.unet import UNet
from engine.store import Store
from engine.strategies import tensor_names
from engine.trial import Attempt, Trial
from tests.made import trial

STUDY = "bright"
SIZE = 32
WIDTH = 4


@dataclass(frozen=True, kw_only=True)
class TrainedStore:
    """Three trained trials of one study; the best by validation is `bright`."""

    root: Path
    store: Store
    bright: Trial
    """Block 9 on the start weights: the mask is where the frame is brighter than half."""
    dark: Trial
    """The whole network on the start weights: darker than half."""
    scratch: Trial
    """From scratch, without start weights: brighter than half."""


def brightness_network(*, darker: bool = False, seed: int = 0) -> dict[str, Tensor]:
    """Weights of a U-Net whose logit is 40 (v - 1/2) of the pixel's value v, or the negative of it.

    Channel 0 of blocks 1 and 9 hands the pixel on through the outermost skip; all other weights are random
    and have no say in the output.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = UNet(WIDTH).state_dict()
    for name in ("block1.0", "block1.1", "block9.1", "block9.2"):
        state[f"{name}.weight"][0] = 0
        state[f"{name}.weight"][0, 0, 1, 1] = 1
    state["output.weight"][:] = 0
    state["output.weight"][0, 0] = -40 if darker else 40
    state["output.bias"][:] = 20 if darker else -20
    return state


def make_trained_store(root: Path) -> TrainedStore:
    """A store in `root` with the study `bright`, written as a run writes it."""
    store = Store.at(root)
    start = brightness_network(seed=1)
    content = save(start)
    sha256 = hashlib.sha256(content).hexdigest()
    bright = trial("block 9", width=WIDTH, image_size=SIZE, learning_rate=1e-4, start_weights=sha256)
    dark = trial("whole network", width=WIDTH, image_size=SIZE, learning_rate=1e-4, start_weights=sha256)
    scratch = trial("from scratch", width=WIDTH, image_size=SIZE, learning_rate=1e-4, start_weights=None)
    store.begin(STUDY, "name: bright\n")
    store.write_plan(
        STUDY,
        [bright, dark, scratch],
        {
            "question": "Which blocks see what is bright?",
            "data": {"name": "discs", "provenance": "Bright discs made for tests", "fingerprint": bright.data},
            "start_weights": {"sha256": sha256, "kind": "file", "description": "made by hand"},
        },
    )
    store.write_start_weights(STUDY, sha256, content)
    names = tensor_names(UNet(WIDTH))
    for planned, state, dice in (
        (bright, start, 0.93),
        (dark, brightness_network(darker=True), 0.85),
        (scratch, brightness_network(seed=2), 0.81),
    ):
        trained = {name: state[name] for unit in planned.units for name in names[unit]}
        store.append(STUDY, attempt(planned, dice), weights=save(trained))
    return TrainedStore(root=root, store=store, bright=bright, dark=dark, scratch=scratch)


def attempt(planned: Trial, dice: float) -> Attempt:
    """A completed attempt at `planned` with this validation Dice."""
    return Attempt(
        trial=planned,
        number=1,
        state="completed",
        started="2026-11-20T12:00:00Z",
        seconds=1.0,
        host="test",
        best_epoch=1,
        epochs_run=1,
        dice=dice - 0.01,
        validation_dice=dice,
        trainable_parameters=10,
        total_parameters=100,
        training_images=54,
        validation_images=14,
    )


def another(trial: Trial, **changes: object) -> Trial:
    """The trial with some fields changed."""
    return replace(trial, **changes)  # type: ignore[arg-type]


def disc(height: int = 96, width: int = 128, radius: int = 24) -> np.ndarray:
    """A bright disc (230) on dark ground (20), in the middle."""
    rows, columns = np.mgrid[:height, :width]
    inside = (rows - height / 2 + 0.5) ** 2 + (columns - width / 2 + 0.5) ** 2 <= radius**2
    return np.where(inside, 230, 20).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """The pixels as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
