"""Load a trained classifier once, and say how probable each class is for a frame, seen as the study's images were."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from engine.datasets.crops import Crop, central_square
from engine.datasets.kept_crop import kept_crop
from engine.errors import DataError, StoreError
from engine.images import resize_image
from engine.inference import LoadedModel, load_model, planned, said
from engine.models import Classifier
from engine.store import Store
from engine.trial_images import trial_images

CHUNK = 256
"""Images that are added up at once."""


@dataclass(frozen=True, kw_only=True)
class LoadedClassifier:
    """The network of one trained trial that tells classes apart, ready for frames."""

    model: LoadedModel
    classes: tuple[str, ...]
    """In the order of the network's outputs."""
    squares: Crop
    """Central square that the study cut out of frames, as `engine.datasets.crops` has it."""
    crop: int
    """Side of the centre that the network sees of the resized image; 0 is the whole image."""
    mean: Float32[np.ndarray, "side side"] | None
    """What is taken off an image in [0, 1]: the mean of the training images, where the trial subtracts it."""


@dataclass(frozen=True, kw_only=True)
class Classification:
    """What the network says of one frame."""

    probabilities: Float[np.ndarray, " class"]
    """Of each class, in the order of `LoadedClassifier.classes`; they add up to 1."""
    seen: UInt8[np.ndarray, "side side"]
    """What the network saw of the frame, before the mean image is taken off."""
    how: str
    """How that was cut out of the frame, a sentence."""
    milliseconds: dict[str, float]
    """Wall time of each step."""


def load_classifier(
    store: Store, study: str, trial_id: str, *, cache: Path | None = None, device: Literal["cpu", "cuda"] | None = None
) -> LoadedClassifier:
    """The trial's network with what makes a frame look like the images that it was trained on.

    `device` as `load_model`. `cache` holds the study's images, which are needed only where the trial subtracts their
    mean. Raises as `load_model` does, StoreError where the study names no classes, and DataError where images are
    needed and gone.
    """
    trial = planned(store, study, trial_id)
    classes = tuple(str(name) for name in store.facts(study).get("data", {}).get("classes") or ())
    if len(classes) != said(trial, "classes", 1):
        raise StoreError(
            f"study '{study}': {len(classes)} names for the {said(trial, 'classes', 1)} classes of its network; run "
            "the study again to write them anew"
        )
    model = load_model(store, study, trial_id, device=device)
    subtracts = said(trial, "subtract_mean", False)
    cast(Classifier, model.network).mean_subtracted = subtracts
    return LoadedClassifier(
        model=model,
        classes=classes,
        squares=kept_crop(store.study_text(study)),
        crop=said(trial, "crop", 0),
        mean=_mean_image(trial, cache, study) if subtracts else None,
    )


def classify(
    loaded: LoadedClassifier, frame: UInt8[np.ndarray, "height width"], *, scanner: str = ""
) -> Classification:
    """How probable each class is for `frame`, which is cut out and resized as the study's images were.

    `scanner` names which of several squares to cut out; a study with one square needs no name. Raises DataError where
    it names none of them, and where the frame is smaller than its square.
    """
    clock = [perf_counter()]
    square = cut_out(frame, loaded.squares, scanner)
    image = resize_image(square, loaded.model.image_size)
    values = image.astype(np.float32) / 255
    if loaded.mean is not None:
        values = values - loaded.mean
    part = _centre(loaded.crop, loaded.model.image_size)
    clock.append(perf_counter())
    model = loaded.model
    with torch.inference_mode():
        inputs = torch.from_numpy(np.ascontiguousarray(values[part, part])).to(model.device)[None, None]
        with torch.autocast(model.device, torch.bfloat16, enabled=model.precision == "bfloat16"):
            logits = model.network(inputs.contiguous(memory_format=torch.channels_last))
        probabilities = logits[0].double().softmax(dim=0).cpu().numpy()
    clock.append(perf_counter())
    steps = (np.diff(clock) * 1000).tolist()
    return Classification(
        probabilities=probabilities,
        seen=np.ascontiguousarray(image[part, part]),
        how=_how(loaded, square.shape),
        milliseconds=dict(zip(("resize", "network"), steps, strict=True)),
    )


def cut_out(frame: UInt8[np.ndarray, "height width"], squares: Crop, scanner: str) -> UInt8[np.ndarray, "h w"]:
    """The square of a frame that a study looks at. Raises DataError where it is not told which, or has no room."""
    if squares is None:
        return frame
    if squares == "square":
        return central_square(frame, min(frame.shape))
    name = scanner if scanner in squares else next(iter(squares)) if len(squares) == 1 else ""
    if not name:
        raise DataError(
            f"this frame: {f'{scanner!r} is no scanner of this study' if scanner else 'no scanner is chosen'}; choose "
            f"one of {', '.join(squares)}, which says how large a square is cut out"
        )
    if squares[name] > min(frame.shape):
        raise DataError(
            f"this frame: {frame.shape[1]} x {frame.shape[0]} pixels; a square of {squares[name]} is cut out of frames "
            f"of {name}: give the whole frame as the scanner saved it"
        )
    return central_square(frame, squares[name])


def _how(loaded: LoadedClassifier, shape: tuple[int, ...]) -> str:
    of = f"Its central square of {shape[0]} pixels" if loaded.squares else "All of it"
    side = loaded.model.image_size
    centre = f", of that the centre of {loaded.crop} × {loaded.crop}" if loaded.crop else ""
    less = "; the mean of the training images is taken off" if loaded.mean is not None else ""
    return f"{of}, resized to {side} × {side} as in training{centre}{less}."


def _centre(crop: int, side: int) -> slice:
    begin = (side - crop) // 2 if crop else 0
    return slice(begin, begin + crop if crop else side)


def _mean_image(trial: dict[str, Any], cache: Path | None, study: str) -> Float32[np.ndarray, "side side"] | None:
    """The mean of the trial's training images in [0, 1]; None of start weights that were tested as they are."""
    if not len(trial["units"]):
        return None
    try:
        images = trial_images(trial, cache, study)
    except DataError as error:
        raise DataError(
            f"study '{study}': this network takes the mean of its training images off a frame, and they are not in the "
            "cache any more; run the study again to read them anew"
        ) from error
    return _mean(images.dataset.images, images.split.training)


def _mean(images: UInt8[np.ndarray, "image side side"], places: Sequence[int]) -> Float32[np.ndarray, "side side"]:
    total = np.zeros(images.shape[1:])
    for begin in range(0, len(places), CHUNK):
        total += images[list(places[begin : begin + CHUNK])].sum(axis=0, dtype=np.float64)
    return (total / max(len(places), 1) / 255).astype(np.float32)
