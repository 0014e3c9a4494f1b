"""One trial of a study, the attempts at it, and the id that ties both to their results. Needs no torch."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from engine.architectures import Method

RESULT_REVISION = 3
"""Raised when a change of the code changes the numbers of a trial; older results are then run again."""
CLASS_REVISION = 4
"""The same of trials that tell classes apart. 4: kept layers' answers are validated 512 at once (other last bits)."""

AS_PRETRAINED = "as pre-trained"
"""Strategy of the trials that test start weights without fine-tuning; they have no units and fraction 0."""

Task = Literal["segmentation", "classification"]
State = Literal["completed", "not_converged", "stopped_early", "error", "cancelled"]
CLOSED: tuple[State, ...] = ("completed", "not_converged")
"""States after which a trial is not run again."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Everything that decides the numbers of one training, and nothing else decides them."""

    data: str
    """SHA-256 of the decoded images and masks."""
    split_by: Literal["group", "image", "given"]
    split_seed: int
    folds: int
    fold: int
    """Test fold, counted from 0."""
    fraction: float
    """Pool of training and validation images, percent of the whole data set."""
    strategy: str
    """Name shown; the units decide."""
    model: str
    width: int
    image_size: int
    """Side of the input, in pixels."""
    units: tuple[str, ...]
    """Units that learn."""
    learning_rate: float
    seed: int
    start_weights: str | None
    """SHA-256 of the start weights; None is random initial weights ('from scratch')."""
    batch_size: int
    patience: int
    max_epochs: int
    batches_per_epoch: int
    shift: float
    zoom: float
    flip: bool
    precision: Literal["float32", "bfloat16"]
    threads: int
    device: Literal["cpu", "cuda"]
    start: str = ""
    """Name of the start weights, shown; "" for random ones. Their hash decides."""
    draws: int = 1
    """Learning rates that this fold of the cell will have tried in the end; decides nothing."""
    method: Method = "fine-tune"
    rank: int = 0
    """Rank of the adapters (LoRA), else 0."""
    unfreeze_every: int = 0
    """Epochs between two units that begin to learn (gradual unfreezing), else 0."""
    classes: int = 1
    """Structures that are learned: one with a sigmoid, several with a softmax over background and structures. Of a
    classification the number of classes."""
    encoder: str = ""
    """Name of the encoder of a network of segmentation-models-pytorch, else ""."""
    unit_modules: str = ""
    """Units of a user's own network as JSON: names with the modules of each; "" where the network says them itself."""
    code: str = ""
    """SHA-256 of the source of a user's own network, else ""."""
    geometry: str = ""
    """SHA-256 of pixel sizes and source sizes, which distances in mm depend on; "" where no distance is measured."""
    task: Task = "segmentation"
    validation: float = 20.0
    """Part of the pool that validates, percent."""
    iterations: int = 0
    """Optimiser steps in all, without early stopping; 0 stops early."""
    optimiser: Literal["adam", "sgd"] = "adam"
    momentum: float = 0.0
    weight_decay: float = 0.0
    unit_rates: str = ""
    """Factors on the rate of single units as JSON, or ""."""
    crop: int = 0
    """Side of the part of an image that the network sees; 0 is the whole image."""
    crops_kept: int = 0
    """Random views of each image whose frozen layers are computed once; 0 computes them in every step."""
    subtract_mean: bool = False
    statistics: Literal["hold", "update"] = "hold"
    new_output: bool = False
    """The start weights tell other classes apart, so that the output layer begins at random."""
    repeat: int = 0
    """Times that this training had failed before; each repeat has other random streams, and a row of its own."""

    @property
    def id(self) -> str:
        """SHA-256, hex, of the canonical JSON of what decides the numbers (names and `draws` do not).

        A `repeat` of 0 is left out, so that trials of versions without repeats keep their ids.
        """
        revision = RESULT_REVISION if self.task == "segmentation" else CLASS_REVISION
        facts: dict[str, Any] = {"revision": revision, **asdict(self)}
        for name in ("strategy", "start", "draws", *(() if self.repeat else ("repeat",))):
            del facts[name]
        facts = {key: float(value).hex() if isinstance(value, float) else value for key, value in facts.items()}
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def stream_seed(trial: Trial, purpose: str) -> int:
    """Seed (63 bits) of a random stream: equal for all strategies of a fold, so that comparisons stay paired."""
    again = [trial.repeat] if trial.repeat else []
    key = json.dumps([trial.data, trial.split_seed, trial.fold, trial.seed, purpose, *again])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch of a training."""

    epoch: int
    """Counted from 1."""
    training_loss: float
    """Cross entropy, mean over the epoch's batches."""
    validation_loss: float | None
    """None where nothing validates."""
    validation_dice: float | None
    seconds: float
    """Wall time of training and validation of this epoch."""
    validation_accuracy: float | None = None
    """Of a classification."""
    test_accuracy: float | None = None
    """Where iterations are fixed: drawn as the paper drew it, and never used to choose."""
    test_loss: float | None = None
    """Cross entropy, mean over test images, beside it (Cheng and Malhi 2017, fig. 2)."""


@dataclass(frozen=True, kw_only=True)
class TestImage:
    """What a trained network says of one test image."""

    __test__ = False  # not a test class for pytest

    image: str
    """File name or number in the data set."""
    index: int
    """Place in the data set's arrays."""
    group: str
    dice: float | None = None
    """None of a classification, as `iou`."""
    iou: float | None = None
    empty_truth: bool = False
    predicted_pixels: int = 0
    predicted_mask: bytes = b""
    """Bits of the predicted mask, row by row, as `numpy.packbits` writes them; square of side image_size.

    Of several structures, one mask after the other.
    """
    hd95: float | None = None
    """95 % Hausdorff distance of the outlines, in the attempt's `hd95_unit`; None where a mask is empty."""
    class_dice: tuple[float | None, ...] = ()
    """Dice of each structure where there are several, None for one that is absent from the truth."""
    label: str = ""
    """True class, of a classification."""
    predicted: str = ""
    """The most probable class."""
    scanner: str = ""
    accuracy: float | None = None
    """1 where the most probable class is the true one, else 0."""
    top2: float | None = None
    """1 where the true class is among the two most probable ones, else 0."""
    probabilities: tuple[float, ...] = ()
    """Of each class, in the study's order."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Test pixels whose predicted probability of a structure lies between `low` and the next bin's."""

    low: float
    pixels: int
    probability_sum: float
    positive_pixels: int
    """Pixels that are on the structure in truth."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try at a trial: the row that is stored."""

    trial: Trial
    number: int
    """Counted from 1."""
    state: State
    started: str
    """UTC, ISO 8601."""
    seconds: float
    """Wall time of the whole attempt."""
    host: str
    best_epoch: int | None = None
    epochs_run: int = 0
    cut_at: int | None = None
    """Epoch at which a cap below 200 ended the training; None where it stopped by itself."""
    dice: float | None = None
    """Mean of the image's Dice over the test images with a structure; None where there are none."""
    iou: float | None = None
    """Mean of the image's IoU over the same images."""
    normal_images: int = 0
    """Test images without a structure: they are no part of Dice, where background alone would score 1."""
    false_positive_rate: float | None = None
    """Part of the normal test images on which the network sees something; None without normal images."""
    hd95: float | None = None
    """Mean 95 % Hausdorff distance over the test images where it is defined."""
    hd95_unit: str = ""
    """`mm` where every test image's pixel size is known, else `source pixels`."""
    hd95_undefined: int = 0
    """Test images with a structure in which nothing was predicted: no distance, so they are counted instead."""
    kept_dice: float | None = None
    """Dice on the start weights' own held-out images after fine-tuning: what is left of the old task."""
    accuracy: float | None = None
    """Part of the test images whose most probable class is the true one (classification; not Dice then)."""
    top2: float | None = None
    """Part of the test images whose true class is among the two most probable ones."""
    balanced_accuracy: float | None = None
    """Mean over the classes in the test set of the part that is right."""
    training_accuracy: float | None = None
    """Accuracy on the training images, seen as test images are."""
    kept_accuracy: float | None = None
    """Accuracy on the start weights' own held-out images after fine-tuning, where the classes are the same."""
    seconds_per_image: float | None = None
    """Wall time of testing one image, of many at once."""
    validation_accuracy: float | None = None
    """At the best epoch."""
    validation_loss: float | None = None
    """At the best epoch."""
    validation_dice: float | None = None
    collapsed: bool = False
    """Nothing but background is predicted, but for a few stray pixels, although the truth has structures."""
    trainable_parameters: int = 0
    total_parameters: int = 0
    training_images: int = 0
    validation_images: int = 0
    validation_by: str = ""
    """"group" or "image": what validation was drawn by."""
    frozen_hash_before: str = ""
    """SHA-256 of the frozen units' parameters and buffers before training; equal after, or the trial fails."""
    frozen_hash_after: str = ""
    error: str = ""
    """Traceback of a crash."""
    epochs: tuple[Epoch, ...] = field(default=())
    test_images: tuple[TestImage, ...] = field(default=())
    calibration: tuple[Bin, ...] = field(default=())
    """How often pixels of a predicted probability are on the structure, over all test images."""
