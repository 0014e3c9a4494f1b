"""How like a trial's training images a frame is, and which of them it is nearest to.

A frame's vector is what the network's deepest layer makes of it: mean and spread of each channel of the smallest maps
(of a classifier the layer before the output), at length 1. A frame also has a look (`engine.appearance`), since a
network may make little of what another scanner changes. The distance to the fifth nearest training image says how
unlike them a frame is (Sun et al. 2022, arXiv:2204.06507); what is farther than nearly all validation images, by vector
or by look, is warned of (`engine.warning_thresholds`: both ways together hold the wanted part). The map is the study's
own where it keeps one, else t-SNE of the training images; a frame stands at the mean of its nearest neighbours.
"""

import hashlib
import io
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float32, Int32, UInt8
from torch import Tensor, nn
from torch.nn import functional

from engine.appearance import Looks, appearance, comparable
from engine.classifying import LoadedClassifier
from engine.embeddings import embedding_map, find_map
from engine.errors import DataError
from engine.images import resize_image
from engine.inference import planned
from engine.models import Classifier, UNet
from engine.predicting import TrainedNetwork, seen_square
from engine.store import Store
from engine.trial_images import trial_images
from engine.warning_thresholds import joint_thresholds

REVISION = 4
NEIGHBOUR = 5
"""Whose distance says how unlike the training images a frame is."""
SHOWN = 6
"""Nearest training images that are named."""
FALSE_WARNINGS = 0.05
"""Part of the validation images that may be beyond one of the two thresholds, or both."""
FEWEST = 20
"""Validation images below which the threshold comes from the training images, each against the others."""
SLICE_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The training images of a trial, as its network sees them."""

    vectors: Float32[np.ndarray, "image feature"]
    """Of length 1."""
    index: Int32[np.ndarray, " image"]
    """Places in the data set."""
    distances: Float32[np.ndarray, " validation"]
    """Of the validation images to their fifth nearest training image, ascending."""
    threshold: float
    looks: Looks
    seen: Float32[np.ndarray, "image component"]
    """Looks of the training images."""
    look_threshold: float
    places: Float32[np.ndarray, "image 2"]
    """On the map; distances have no unit."""
    warned: int
    """Validation images beyond one of the thresholds, or both."""
    left_out: float
    """Part of them that would be, were each left out of the choice of thresholds."""
    from_training: bool
    """Whether `distances` are of training images, for lack of validation images."""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """A frame among the training images."""

    index: tuple[int, ...]
    """The nearest training images, places in the data set, nearest first."""
    distances: tuple[float, ...]
    distance: float
    """To the fifth nearest, 0 to 2."""
    threshold: float
    part: float
    """Part of the validation images that are nearer to the training images than this frame."""
    look: float
    """To the fifth nearest by look; each component of looks varies by 1 over the training images."""
    look_threshold: float
    place: tuple[float, float]
    """On the map of `Reference`."""

    @property
    def unlike(self) -> bool:
        """Whether it is farther from the training images than nearly all validation images, by vector or by look."""
        return self.distance > self.threshold or self.looks_unlike

    @property
    def looks_unlike(self) -> bool:
        """Whether it is by its look."""
        return self.look > self.look_threshold


def prepare(
    store: Store, network: TrainedNetwork, cache: Path, *, keep: bool = True
) -> Generator[float, None, Reference]:
    """Yields how much is done (0 to 1), a tenth of a second's work at a time, and returns the reference.

    It is kept in `cache` for the next time. Raises DataError where the study's images are not there any more, or there
    are too few.
    """
    model = network.model
    with store.trained_weights(model.study, model.trial_id).open("rb") as weights:  # a study of others' may name any id
        trained = hashlib.file_digest(weights, "sha256").hexdigest()
    path = cache / "neighbours" / f"{model.trial_id}-{trained[:16]}-r{REVISION}.npz"
    if (found := _read(path)) is not None:
        return found
    images = trial_images(planned(store, model.study, model.trial_id), cache, model.study)
    training, validation = list(images.split.training), list(images.split.validation)
    if len(training) <= NEIGHBOUR:
        raise DataError(f"study '{model.study}': {len(training)} training images are too few to have neighbours")
    rows, looks = list[np.ndarray](), list[np.ndarray]()
    until = time.perf_counter() + SLICE_SECONDS
    for done, place in enumerate(training + validation):
        image = np.array(images.dataset.images[place])
        rows.append(_vector(network, image))
        looks.append(appearance(image))
        if time.perf_counter() > until:
            yield 0.9 * done / (len(training) + len(validation))
            until = time.perf_counter() + SLICE_SECONDS
    vectors = np.stack(rows)
    own, others = vectors[: len(training)], vectors[len(training) :]
    from_training = len(others) < FEWEST
    asked = own if from_training else others
    distances = _nearest(own, asked, NEIGHBOUR + from_training)[1][:, -1]
    figures = np.stack(looks)
    scale = comparable(figures[: len(training)])
    seen = scale.of(figures)
    seen_own, seen_asked = seen[: len(training)], seen[: len(training)] if from_training else seen[len(training) :]
    look_distances = np.asarray([_look(seen_own, one, NEIGHBOUR + from_training) for one in seen_asked], np.float32)
    limits = joint_thresholds(distances, look_distances, part=FALSE_WARNINGS)
    yield 0.9
    index = np.asarray(training, np.int32)
    reference = Reference(
        vectors=own,
        index=index,
        distances=np.sort(distances),
        threshold=limits.first,
        looks=scale,
        seen=seen_own,
        look_threshold=limits.second,
        warned=limits.warned,
        left_out=limits.left_out,
        places=_places(store, network, own, index),
        from_training=from_training,
    )
    if keep:
        _write(path, reference)
    return reference


def reference_of(store: Store, network: TrainedNetwork, cache: Path) -> Reference:
    """The training images of the network's trial, looked at where they were not yet. Raises as `prepare`."""
    work = prepare(store, network, cache)
    while True:
        try:
            next(work)
        except StopIteration as finished:
            reference: Reference = finished.value
            return reference


def neighbours(
    reference: Reference, network: TrainedNetwork, frame: UInt8[np.ndarray, "height width"], *, scanner: str = ""
) -> Neighbours:
    """Where a frame of any size stands among the training images. Raises DataError as `engine.classifying.classify`."""
    square = resize_image(seen_square(network, frame, scanner), network.model.image_size)
    vector = _vector(network, square)
    order, distances = _nearest(reference.vectors, vector[None], max(SHOWN, NEIGHBOUR))
    distance = float(distances[0, NEIGHBOUR - 1])
    near = reference.places[order[0, :NEIGHBOUR]]
    x, y = near.mean(axis=0)
    return Neighbours(
        index=tuple(int(place) for place in reference.index[order[0, :SHOWN]]),
        distances=tuple(float(one) for one in distances[0, :SHOWN]),
        distance=distance,
        threshold=reference.threshold,
        part=float(np.searchsorted(reference.distances, distance) / len(reference.distances)),
        look=_look(reference.seen, reference.looks.of(appearance(square)[None])[0], NEIGHBOUR),
        look_threshold=reference.look_threshold,
        place=(float(x), float(y)),
    )


def _nearest(
    vectors: Float32[np.ndarray, "image feature"], asked: Float32[np.ndarray, "asked feature"], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `vectors` nearest to each of `asked`, and their distances, nearest first."""
    count = min(count, len(vectors))
    squares = np.maximum(0.0, 2 - 2 * asked.astype(np.float64) @ vectors.T.astype(np.float64))
    order = np.argsort(squares, axis=1, kind="stable")[:, :count]
    return order, np.sqrt(np.take_along_axis(squares, order, axis=1)).astype(np.float32)


def _look(seen: Float32[np.ndarray, "image component"], one: Float32[np.ndarray, " component"], count: int) -> float:
    """Distance of a look to the `count`th nearest."""
    return float(np.partition(np.linalg.norm(seen - one, axis=1), count - 1)[count - 1])


def _vector(network: TrainedNetwork, image: UInt8[np.ndarray, "side side"]) -> Float32[np.ndarray, " feature"]:
    """What the deepest layer makes of an image at the network's size, at length 1."""
    model, module = network.model, network.model.network
    values = torch.from_numpy(np.array(image)).to(model.device)[None, None].float() / 255
    with torch.inference_mode():
        if isinstance(network.loaded, LoadedClassifier):
            loaded = network.loaded
            if loaded.mean is not None:
                values = values - torch.from_numpy(loaded.mean.copy()).to(model.device)
            begin = (model.image_size - loaded.crop) // 2 if loaded.crop else 0
            side = loaded.crop or model.image_size
            assert isinstance(module, Classifier)
            found = module.embedding(values[..., begin : begin + side, begin : begin + side])[0]
        else:
            maps = _smallest_maps(module, values)
            found = torch.cat([maps.mean(dim=(1, 2)), maps.std(dim=(1, 2))])
    vector = functional.normalize(found.float(), dim=0).cpu().numpy()
    return np.asarray(vector, np.float32)


def _smallest_maps(module: Any, values: Tensor) -> Tensor:
    """The last of the network's smallest maps: block 5 of the U-Net after its ReLU, the end of another encoder."""
    smallest: list[Tensor] = []

    def keep(leaf: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.shape[-1] > 1:
            if smallest and output.shape[-1] > smallest[0].shape[-1]:
                return
            smallest[:] = [output.clone()]

    hooks = [leaf.register_forward_hook(keep) for _, leaf in module.named_modules() if not list(leaf.children())]
    try:
        module(values.contiguous(memory_format=torch.channels_last))
    finally:
        for hook in hooks:
            hook.remove()
    maps = smallest[0][0].float()
    return maps.relu() if isinstance(module, UNet) else maps


def _places(
    store: Store, network: TrainedNetwork, vectors: np.ndarray, index: np.ndarray
) -> Float32[np.ndarray, "image 2"]:
    model = network.model
    kept = find_map(store, model.study, model.trial_id)
    if kept is not None:
        where = {int(place): row for row, place in enumerate(kept.index)}
        if all(int(place) in where for place in index):
            return kept.places[[where[int(place)] for place in index]]
    return embedding_map(vectors, threads=1)


def _read(path: Path) -> Reference | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in ("vectors", "index", "distances", "places", "seen")}
            return Reference(
                **arrays,
                looks=Looks(mean=kept["look_mean"], spread=kept["look_spread"], axes=kept["look_axes"]),
                threshold=float(kept["threshold"]),
                look_threshold=float(kept["look_threshold"]),
                warned=int(kept["warned"]),
                left_out=float(kept["left_out"]),
                from_training=bool(kept["from_training"]),
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # not there, cut off, of another make: made again
        return None


def _write(path: Path, reference: Reference) -> None:
    content = io.BytesIO()
    plain = {name: value for name, value in vars(reference).items() if name != "looks"}
    np.savez(content, **plain, **{f"look_{name}": value for name, value in vars(reference.looks).items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".aside")
    aside.write_bytes(content.getvalue())
    aside.replace(path)
