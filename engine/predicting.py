"""Ask a trained trial about any file: pictures, clips, DICOM and volumes, a frame at a time.

from engine.predicting import load_trial, predict_file
from engine.store import Store

network = load_trial(Store.at("results"), "fetal_head", "best")
for said in predict_file(network, Path("sweep.dcm")):
    print(said.frame, said.area_pixels, said.area_mm2)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from engine.classifying import Classification, LoadedClassifier, classify, cut_out, load_classifier
from engine.errors import DataError
from engine.images import Clip, Stream, open_clip
from engine.inference import LoadedModel, Prediction, load_model, planned, predict, said
from engine.overlays import Overlay, overlay
from engine.store import Store
from engine.trained import find_trial

TOP = 3
"""Classes that are named first."""
STRUCTURE = "structure"
"""Name of a structure that the study gives none."""


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A trained trial, loaded once, with the names of what it tells apart."""

    loaded: LoadedModel | LoadedClassifier
    names: tuple[str, ...]
    """Structures in the order of their numbers in a mask, or classes in the order of the outputs."""

    @property
    def classifies(self) -> bool:
        """Whether it names classes; else it outlines structures."""
        return isinstance(self.loaded, LoadedClassifier)

    @property
    def model(self) -> LoadedModel:
        """The network itself."""
        return self.loaded.model if isinstance(self.loaded, LoadedClassifier) else self.loaded


@dataclass(frozen=True, kw_only=True)
class FrameSaid:
    """What the network says of one frame."""

    frame: int
    """Number in its file, from 1."""
    pixels: UInt8[np.ndarray, "height width"]
    """The frame as gray values, after the cut that `Kept` tells of."""
    spacing_mm: tuple[float, float] | None
    """Distance of two rows and of two columns, in mm; None where unknown."""
    names: tuple[str, ...]
    """As of `TrainedNetwork`."""
    outlined: Prediction | None = None
    """Mask and probabilities; None of a classifier."""
    classified: Classification | None = None
    """Probabilities of classes; None of a network that outlines."""
    milliseconds: float
    """Wall time from the frame in its file to the answer."""

    @property
    def area_pixels(self) -> int | None:
        """Pixels of the frame on any structure; None of a classifier."""
        return self.outlined.area_pixels if self.outlined else None

    @property
    def area_mm2(self) -> float | None:
        """Their area in mm2; None where the size of a pixel is unknown."""
        return self.in_mm2(self.area_pixels)

    @property
    def areas_pixels(self) -> dict[str, int]:
        """Pixels of each structure, by name; {} of a classifier."""
        if self.outlined is None:
            return {}
        counts = np.bincount(self.outlined.mask.ravel(), minlength=len(self.names) + 1)
        return {name: int(count) for name, count in zip(self.names, counts[1:], strict=False)}

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """(class, probability), most probable first; [] of a network that outlines."""
        if self.classified is None:
            return []
        order = np.argsort(-self.classified.probabilities, kind="stable")
        return [(self.names[place], float(self.classified.probabilities[place])) for place in order]

    def in_mm2(self, pixels: int | None) -> float | None:
        """So many pixels in mm2; None where the size of a pixel is unknown."""
        if pixels is None or self.spacing_mm is None:
            return None
        return pixels * self.spacing_mm[0] * self.spacing_mm[1]

    def drawn(
        self, kind: Overlay = "outline", *, size: tuple[int, int] | None = None
    ) -> UInt8[np.ndarray, "height width 3"]:
        """The frame in RGB with what the network sees over it; of a classifier, as it is.

        `size` (width, height) draws it reduced, which takes less time; None at the frame's own size.
        """
        pixels = self.pixels
        mask = probability = None
        if self.outlined is not None:
            mask, probability = self.outlined.mask, self.outlined.probability
        if size is not None and size != pixels.shape[::-1]:
            import cv2

            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
            if mask is not None and probability is not None:
                mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
                probability = cv2.resize(probability, size, interpolation=cv2.INTER_LINEAR)
        if mask is None or probability is None:
            return np.repeat(pixels[..., None], 3, axis=2)
        return overlay(pixels, mask, probability, kind)


def load_trial(
    store: Store,
    study: str,
    trial: str,
    *,
    cache: Path | None = None,
    device: Literal["cpu", "cuda"] | None = None,
) -> TrainedNetwork:
    """The network of a trained trial: an id, the first letters of one, or "best" (`engine.trained.find_trial`).

    `cache` holds the study's decoded images, which classifiers that subtract their mean need. Raises StoreError,
    WeightsError and DataError as `load_model` and `load_classifier` do.
    """
    return load_network(store, study, find_trial(store, study, trial), cache=cache, device=device)


def load_network(
    store: Store,
    study: str,
    trial_id: str,
    *,
    cache: Path | None = None,
    device: Literal["cpu", "cuda"] | None = None,
) -> TrainedNetwork:
    """As `load_trial`, by a whole id, without looking which trials there are."""
    row = planned(store, study, trial_id)
    if said(row, "task", "segmentation") == "classification":
        classifier = load_classifier(store, study, trial_id, cache=cache, device=device)
        return TrainedNetwork(loaded=classifier, names=classifier.classes)
    model = load_model(store, study, trial_id, device=device)
    return TrainedNetwork(loaded=model, names=_structures(store, study, model.structures))


def predict_file(network: TrainedNetwork, source: Path | Stream, *, scanner: str = "") -> Iterator[FrameSaid]:
    """What `network` says of each frame of a file, in their order, one in memory at a time.

    `source` is a path, an open file or bytes in memory (`io.BytesIO`). `scanner` as `engine.classifying.classify`.
    Raises DataError with one line.
    """
    with open_clip(source) as clip:
        yield from predict_clip(network, clip, scanner=scanner)


def predict_clip(network: TrainedNetwork, clip: Clip, *, scanner: str = "") -> Iterator[FrameSaid]:
    """As `predict_file`, of a file that is open; `clip.kept` tells what was kept of it. Raises DataError."""
    frames = clip.frames()
    number = 0
    while True:
        begun = perf_counter()
        pixels = next(frames, None)
        if pixels is None:
            if number == 0:
                raise DataError(f"{clip.shown}: no frame can be read; save it again")
            return
        number += 1
        yield predict_frame(
            network, pixels, frame=number, spacing_mm=clip.kept.spacing_mm, scanner=scanner, begun=begun
        )


def predict_frame(
    network: TrainedNetwork,
    pixels: UInt8[np.ndarray, "height width"],
    *,
    frame: int = 1,
    spacing_mm: tuple[float, float] | None = None,
    scanner: str = "",
    begun: float | None = None,
) -> FrameSaid:
    """What `network` says of gray values. `begun` is when work on them began, by `perf_counter`; None is now."""
    begun = perf_counter() if begun is None else begun
    outlined: Prediction | None = None
    classified: Classification | None = None
    if isinstance(network.loaded, LoadedClassifier):
        classified = classify(network.loaded, pixels, scanner=scanner)
    else:
        outlined = predict(network.loaded, pixels)
    return FrameSaid(
        frame=frame,
        pixels=pixels,
        spacing_mm=spacing_mm,
        names=network.names,
        outlined=outlined,
        classified=classified,
        milliseconds=(perf_counter() - begun) * 1000,
    )


def seen_square(
    network: TrainedNetwork, pixels: UInt8[np.ndarray, "height width"], scanner: str = ""
) -> UInt8[np.ndarray, "kept_height kept_width"]:
    """The part of a frame that the network is given, before it is resized. Raises DataError as `classify`."""
    return cut_out(pixels, network.loaded.squares, scanner) if isinstance(network.loaded, LoadedClassifier) else pixels


def _structures(store: Store, study: str, count: int) -> tuple[str, ...]:
    """Names of the structures. "mask" is the column that most manifests keep their one mask in: no name."""
    named = [str(name) for name in store.facts(study).get("data", {}).get("structures") or ()]
    if len(named) != count or named == ["mask"]:
        return (STRUCTURE,) if count == 1 else tuple(f"{STRUCTURE} {number}" for number in range(1, count + 1))
    return tuple(named)
