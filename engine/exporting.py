"""Write a trained trial as a file that other programs open: safetensors, ONNX or a program of `torch.export`.

What is exported takes images as the network saw them in training (gray, in [0, 1], at its own square) and gives
probabilities: of each structure at every pixel, or of each class. It is compared with the network itself on test
images of the trial before the file is put in its place.
"""

import json
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float32
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine import segmentation
from engine.classifying import LoadedClassifier
from engine.errors import DataError, WeightsError
from engine.inference import planned
from engine.model_card import model_card
from engine.predicting import TrainedNetwork
from engine.store import Store
from engine.trial_images import TrialImages, trial_images

Form = Literal["safetensors", "onnx", "pt2"]
FORMS: tuple[Form, ...] = get_args(Form)
TOLERANCE = 1e-3
"""Largest difference of a probability that is let pass: the same arithmetic in another order differs by about 1e-6."""
COMPARED = 8
"""Test images that are compared."""
OPSET = 18


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    file: Path
    card: Path
    difference: float
    """Largest difference of any probability between file and network."""
    images: int
    """Images that were compared."""
    on: str
    """What they were: `test images`, or made ones where the study's images are gone."""


class Program(nn.Module):
    """A trained network from images to probabilities."""

    mean: Tensor | None
    network: Any

    def __init__(self, network: TrainedNetwork) -> None:
        super().__init__()
        loaded = network.loaded
        self.network = network.model.network
        self.classifies = network.classifies
        mean = loaded.mean if isinstance(loaded, LoadedClassifier) else None
        crop = loaded.crop if isinstance(loaded, LoadedClassifier) else 0
        self.begin, self.side = (
            ((network.model.image_size - crop) // 2, crop) if crop else (0, network.model.image_size)
        )
        self.register_buffer("mean", None if mean is None else torch.from_numpy(mean.copy())[None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities of structures (image, structure, side, side) or of classes (image, class)."""
        if self.mean is not None:
            images = images - self.mean
        if self.classifies:
            seen = images[..., self.begin : self.begin + self.side, self.begin : self.begin + self.side]
            return torch.softmax(self.network(seen), dim=1)
        return segmentation.probabilities(self.network(images))


def export(
    store: Store,
    network: TrainedNetwork,
    file: Path,
    *,
    cache: Path | None = None,
    tolerance: float = TOLERANCE,
) -> Exported:
    """Write `network`, which is on the CPU, to `file`; its ending says the form. A card, `<file>.md`, goes beside it.

    Raises DataError for another ending or where it cannot be written, and WeightsError, leaving no file, where what
    was written differs from the network by more than `tolerance`.
    """
    form = next((one for one in FORMS if file.suffix == f".{one}"), None)
    if form is None:
        raise DataError(f"{file}: ends in none of {', '.join('.' + one for one in FORMS)}; name the file so")
    model = network.model
    trial = planned(store, model.study, model.trial_id)
    images: TrialImages | None = None
    try:
        images = trial_images(trial, cache, model.study)
    except DataError:
        on, compared = "made images, since the study's are not in the cache", _made(model.image_size)
    else:
        on, compared = "test images", _test_images(images)
    program = Program(network).eval()
    with torch.inference_mode():
        expected = program(torch.from_numpy(compared)).numpy()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            aside = Path(folder) / file.name
            _WRITERS[form](program, compared, aside)
            found = _READERS[form](network, compared, aside)
            difference = float(np.abs(found - expected).max())
            if not difference <= tolerance:
                raise WeightsError(
                    f"{file}: differs from the network by {difference:.3g} in a probability, more than the "
                    f"{tolerance:g} that are let pass; export another form, or allow more with --tolerance"
                )
            card = file.with_name(f"{file.name}.md")
            words = f"largest difference of a probability {difference:.2g}, {len(compared)} {on}"
            text = model_card(store, network, trial, images, file=aside, form=form, compared=words)
            aside.replace(file)
        card.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{file}: cannot be written ({error.strerror}); choose another place with --out") from error
    return Exported(file=file, card=card, difference=difference, images=len(compared), on=on)


def _test_images(images: TrialImages) -> Float32[np.ndarray, "image 1 side side"]:
    places = list(images.split.test[:: max(1, len(images.split.test) // COMPARED)][:COMPARED])
    return (images.dataset.images[places].astype(np.float32) / 255)[:, None]


def _made(side: int) -> Float32[np.ndarray, "image 1 side side"]:
    return np.random.default_rng(0).random((COMPARED, 1, side, side), dtype=np.float32)


def _write_safetensors(program: Program, images: np.ndarray, file: Path) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in program.network.state_dict().items()}
    if program.mean is not None:
        tensors["mean_image"] = program.mean.contiguous()
    facts = {"input": "gray, in [0, 1]", "side": program.side, "output": "logits"}
    save_file(tensors, file, metadata={name: json.dumps(value) for name, value in facts.items()})


def _traced_with(images: np.ndarray) -> torch.Tensor:
    """Two empty images: `torch.export` keeps what a program was traced with in its file, and images are patients'."""
    return torch.zeros(2, *images.shape[1:])


def _write_onnx(program: Program, images: np.ndarray, file: Path) -> None:
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecations between the exporter's own libraries
        torch.onnx.export(
            program,
            (_traced_with(images),),
            str(file),
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes=({0: batch},),
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )


def _write_pt2(program: Program, images: np.ndarray, file: Path) -> None:
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(program, (_traced_with(images),), dynamic_shapes=({0: batch},))
        torch.export.save(exported, str(file))


def _read_safetensors(network: TrainedNetwork, images: np.ndarray, file: Path) -> np.ndarray:
    import copy

    fresh = copy.deepcopy(Program(network)).eval()
    tensors = load_file(file)
    if fresh.mean is not None:
        fresh.mean = tensors.pop("mean_image")
    fresh.network.load_state_dict(tensors)
    with torch.inference_mode():
        return np.asarray(fresh(torch.from_numpy(images)).numpy())


def _read_onnx(network: TrainedNetwork, images: np.ndarray, file: Path) -> np.ndarray:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return np.concatenate([np.asarray(session.run(None, {"images": images[n : n + 1]})[0]) for n in range(len(images))])


def _read_pt2(network: TrainedNetwork, images: np.ndarray, file: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.load(str(file)).module()
    with torch.inference_mode():
        return np.asarray(program(torch.from_numpy(images)).numpy())


_WRITERS: dict[Form, Callable[[Program, np.ndarray, Path], None]] = {
    "safetensors": _write_safetensors,
    "onnx": _write_onnx,
    "pt2": _write_pt2,
}
_READERS: dict[Form, Callable[[TrainedNetwork, np.ndarray, Path], np.ndarray]] = {
    "safetensors": _read_safetensors,
    "onnx": _read_onnx,
    "pt2": _read_pt2,
}
