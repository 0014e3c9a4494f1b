"""Frames among the training images, in the inference process: a trial's images are looked at once, in small slices.

Needs torch; loaded by `dashboard.inference.process` when neighbours are asked for.
"""

from collections import OrderedDict
from collections.abc import Callable, Generator
from pathlib import Path
from weakref import ref

import numpy as np
from jaxtyping import UInt8

from dashboard.inference.messages import NeighboursAnswer, NeighboursRequest, Preparing, TrainingImage
from dashboard.png import png
from engine.inference import planned
from engine.neighbours import Neighbours, Reference, neighbours, prepare
from engine.overlays import outline
from engine.predicting import TrainedNetwork
from engine.store import Store
from engine.trial_images import trial_images

REFERENCES_KEPT = 8
"""Trials whose training images stay known; the one asked for longest ago goes first."""

LOOKS_KEPT = 4
"""Looks at training images that may be under way; each holds its network. Whoever asks again begins anew."""


class TrainingImages:
    """What trials' networks make of their training images, and how far that is."""

    def __init__(self, store: Store, cache: Path) -> None:
        self._store, self._cache = store, cache
        self._ready: OrderedDict[tuple[str, str], Reference] = OrderedDict()
        self._begun: OrderedDict[tuple[str, str], Generator[float, None, Reference]] = OrderedDict()
        self._of: dict[tuple[str, str], ref[TrainedNetwork]] = {}
        """Whose they are: a study may be replaced by one of its name."""

    def answer(
        self,
        network: TrainedNetwork,
        request: NeighboursRequest,
        read: Callable[[bytes | Path], UInt8[np.ndarray, "height width"]],
    ) -> NeighboursAnswer | Preparing:
        """The frame's neighbours, or how far the look at the training images is after one more slice.

        Raises DataError where the study's images are gone, or the frame cannot be read.
        """
        key = (request.study, request.trial_id)
        if key in self._of and self._of[key]() is not network:
            self._ready.pop(key, None)
            self._begun.pop(key, None)
        self._of[key] = ref(network)
        if key not in self._ready:
            work = self._begun.pop(key, None) or prepare(self._store, network, self._cache)
            try:
                part = next(work)
            except StopIteration as finished:
                self._ready[key] = finished.value
                while len(self._ready) > REFERENCES_KEPT:
                    self._of.pop(self._ready.popitem(last=False)[0], None)
            else:
                self._begun[key] = work
                while len(self._begun) > LOOKS_KEPT:
                    self._of.pop(self._begun.popitem(last=False)[0], None)
                return Preparing(part=part)
        self._ready.move_to_end(key)
        reference = self._ready[key]
        found = neighbours(reference, network, read(request.frame), scanner=request.scanner)
        return NeighboursAnswer(
            nearest=self._pictured(found, request) if request.pictures else (),
            unlike=found.unlike,
            distance=found.distance,
            threshold=found.threshold,
            part=found.part,
            look=found.look,
            look_threshold=found.look_threshold,
            asked=len(reference.distances),
            warned=reference.warned,
            left_out=reference.left_out,
            from_training=reference.from_training,
            places=reference.places,
            place=found.place,
        )

    def _pictured(self, found: Neighbours, request: NeighboursRequest) -> tuple[TrainingImage, ...]:
        dataset = trial_images(
            planned(self._store, request.study, request.trial_id), self._cache, request.study
        ).dataset
        return tuple(
            TrainingImage(
                name=str(dataset.table["image"].iloc[place]),
                distance=distance,
                picture=_picture(dataset.images[place], dataset.masks[place]),
            )
            for place, distance in zip(found.index, found.distances, strict=True)
        )


def _picture(image: np.ndarray, mask: np.ndarray) -> bytes:
    drawn = outline(np.array(image), np.array(mask)) if mask.shape == image.shape else np.array(image)
    return png(drawn, level=1)
