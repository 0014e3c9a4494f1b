"""Load a trained trial once, and say where the structure is in a frame (classes: `engine.classifying`)."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import safetensors
import torch
from jaxtyping import Float32, UInt8
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from engine import segmentation
from engine.errors import StoreError, StrategyError, WeightsError
from engine.hardware import Precision, this_machine
from engine.images import resize_image
from engine.models import build
from engine.models.network import statistics_names
from engine.store import Store
from engine.strategies import Network, tensor_names

THRESHOLD = 0.5
"""Probability from which a pixel belongs to the structure, as when trials are tested."""


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """The network of one trained trial, ready for frames."""

    study: str
    trial_id: str
    network: Network
    image_size: int
    """Side of the square that frames are resized to, in pixels."""
    device: Literal["cpu", "cuda"]
    precision: Precision
    structures: int = 1
    """Structures that it tells apart; classes of a classifier."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Where the network sees the structure in one frame."""

    mask: UInt8[np.ndarray, "height width"]
    """1 on the structure, at the frame's size; of several structures, the number of each."""
    probability: Float32[np.ndarray, "height width"]
    """Of a structure, any of several."""
    area_pixels: int
    """Pixels of the frame inside the mask."""
    milliseconds: dict[str, float]
    """Wall time of each step."""


def load_model(store: Store, study: str, trial_id: str, *, device: Literal["cpu", "cuda"] | None = None) -> LoadedModel:
    """The trial's network: the study's start weights under the tensors that the trial trained.

    `device` None takes the GPU where there is one. Raises StoreError where the trial or its weights are not in
    the store or its network is a user's own that nobody allowed, WeightsError with a line per tensor that is
    missing, unknown or of another shape.
    """
    trial = planned(store, study, trial_id)
    with torch.random.fork_rng(devices=[]):  # the random tensors are replaced below, the caller's stream goes on
        network = build(
            trial["model"],
            width=int(trial["width"]),
            classes=said(trial, "classes", 1),
            encoder=said(trial, "encoder", ""),
            unit_modules=said(trial, "unit_modules", ""),
        )
    wanted = network.state_dict()
    try:
        names = tensor_names(network, list(trial["units"]))
    except StrategyError as error:
        raise WeightsError(f"study '{study}', trial {trial_id[:12]}: {'; '.join(error.problems)}") from error
    trained_names = {name for unit in trial["units"] for name in names[unit]}
    if said(trial, "statistics", "hold") == "update":
        trained_names |= statistics_names(network)
    trained = _tensors(store.trained_weights(study, trial_id))
    problems = _misfits(trained, wanted, trained_names, f"study '{study}', trained weights of trial {trial_id[:12]}")
    start: dict[str, Tensor] = {}
    sha256 = trial["start_weights"]
    if trained_names != set(wanted):
        if isinstance(sha256, str):
            start = _tensors(store.start_weights(study, sha256))
        elif not said(trial, "encoder", ""):
            raise WeightsError(
                f"study '{study}', trial {trial_id[:12]}: trains {len(trained_names)} of {len(wanted)} tensors and "
                "names no start weights for the others; run the study again"
            )
        needed = set(wanted) - trained_names
        start = {name: tensor for name, tensor in start.items() if name in needed}
        problems += _misfits(start, wanted, needed, f"study '{study}', start weights {str(sha256)[:12]}")
    if problems:
        raise WeightsError(problems)
    network.load_state_dict(
        {name: tensor.to(wanted[name].dtype) for name, tensor in {**start, **trained}.items()}, assign=True
    )
    machine = this_machine()
    place: Literal["cpu", "cuda"] = device or ("cuda" if machine.gpus else "cpu")
    return LoadedModel(
        study=study,
        trial_id=trial_id,
        network=network.to(place).to(memory_format=torch.channels_last).eval().requires_grad_(False),
        image_size=int(trial["image_size"]),
        structures=said(trial, "classes", 1),
        device=place,
        precision="bfloat16" if trial["precision"] == "bfloat16" and machine.fast_bfloat16 else "float32",
    )


def predict(model: LoadedModel, frame: UInt8[np.ndarray, "height width"]) -> Prediction:
    """Where `model` sees the structure in `frame`, at the frame's own size.

    The frame is stretched to the network's square as in training; probabilities are brought back bilinearly
    and cut at 0.5.
    """
    height, width = frame.shape
    clock = [perf_counter()]
    square = resize_image(frame, model.image_size)
    clock.append(perf_counter())
    with torch.inference_mode():
        inputs = torch.from_numpy(square.copy()).to(model.device)[None, None].float() / 255
        with torch.autocast(model.device, torch.bfloat16, enabled=model.precision == "bfloat16"):
            logits = model.network(inputs.contiguous(memory_format=torch.channels_last))
        probabilities = segmentation.probabilities(logits.float()).cpu()
        clock.append(perf_counter())
        if probabilities.shape[-2:] != (height, width):
            probabilities = functional.interpolate(
                probabilities, (height, width), mode="bilinear", align_corners=False, antialias=True
            )
        structures = probabilities[0].contiguous().numpy()
    if len(structures) == 1:
        probability = structures[0]
        mask = (probability >= THRESHOLD).astype(np.uint8)
    else:
        probability = np.clip(structures.sum(axis=0), 0, 1)
        background = 1 - probability
        mask = np.where(structures.max(axis=0) > background, structures.argmax(axis=0) + 1, 0).astype(np.uint8)
    area = int(np.count_nonzero(mask))
    clock.append(perf_counter())
    steps = np.diff(clock) * 1000
    return Prediction(
        mask=mask,
        probability=probability,
        area_pixels=area,
        milliseconds=dict(zip(("resize", "network", "mask"), steps.tolist(), strict=True)),
    )


def planned(store: Store, study: str, trial_id: str) -> dict[str, Any]:
    """The trial's row of the plan. Raises StoreError."""
    store.study_text(study)  # says which studies there are where this one is none
    plan = store.plan(study)
    rows = plan[plan["id"] == trial_id]
    if rows.empty:
        raise StoreError(
            f"study '{study}' has no trial '{trial_id}' in its plan of {len(plan)}; choose another trial in the list"
        )
    return {str(key): value for key, value in rows.iloc[0].items()}


def said(trial: dict[str, Any], name: str, default: Any) -> Any:
    """A field of a plan's row, of the default's type; older plans lack some."""
    value = trial.get(name)
    return default if value is None or value != value else type(default)(value)


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"{path.name} cannot be read ({error}); run the study again to make it") from error


def _misfits(found: dict[str, Tensor], wanted: dict[str, Tensor], names: set[str], what: str) -> list[str]:
    """A line per tensor that is missing, unknown or of another shape."""
    again = "run the study again to make them"
    problems = [f"{what}: tensor '{name}' is missing; {again}" for name in wanted if name in names - set(found)]
    problems += [f"{what}: unknown tensor '{name}'; {again}" for name in found if name not in names]
    problems += [
        f"{what}: '{name}' has shape {tuple(found[name].shape)}, the network {tuple(wanted[name].shape)}; {again}"
        for name in found
        if name in names and found[name].shape != wanted[name].shape
    ]
    return problems
