"""What a study file can say: one frozen dataclass per section, each field documented under it, with its unit.

The launch form, the README's table and the messages of `engine.config` are made from these classes.
"off" is `None`. Nothing here reads a file.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The network."""

    name: str = "unet"
    """Architecture: `unet` (Amiri et al. 2020), `caffenet`, `vgg16`, `mobilenet` or `cvcnet` for classes of images, or
    your own as `package.module:build`, see docs/networks.md."""
    width: int = 64
    """Filters of the first layer; left out it is the paper's (64 for the U-Net: 31,030,593 parameters), 16 suits a
    laptop."""
    image_size: int = 256
    """Side of the square that images are resized to, in pixels; left out it is the paper's (256 for the U-Net, where it
    is a multiple of 16)."""
    units: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Units of your own network, input to output: `stem: [conv1, bn1]`; left out where it has a method `units`."""

    @property
    def unit_modules(self) -> str:
        """The units of a user's own network as a trial keeps them: JSON, or "" where the network says them itself."""
        return json.dumps(self.units, separators=(",", ":")) if self.units else ""


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """The network of the strategies `smp U-Net` and `smp U-Net, frozen encoder` (segmentation-models-pytorch)."""

    name: str = "resnet18"
    """Encoder, by the library's name."""
    weights: str | None = None
    """File with the encoder's weights (safetensors, or a PyTorch state dict); without one it starts at random."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The images to adapt to."""

    kind: Literal["simulated", "folder", "cardiac phantoms", "abdominal phantoms"] = "folder"
    """`simulated` and the phantoms are made on the spot (B-mode images with lesions; seven cardiac views; eleven
    abdominal categories); `folder` reads images from disk."""
    learn: Literal["masks", "labels"] = "masks"
    """`masks` outlines structures (segmentation), `labels` tells classes of images apart (classification)."""
    label: str = "label"
    """Manifest column that names the class (`learn: labels`)."""
    square: bool = False
    """Cut the largest central square out before resizing (`learn: labels`); else whole images are resized."""
    crop: dict[str, int] = field(default_factory=dict)
    """Central square that is cut out before resizing, its side in source pixels by scanner: `{Philips: 600, Toshiba:
    372}` (`learn: labels`)."""
    folder: str | None = None
    """Folder with the images (see `whichlayers check`); `--data` on the command line takes its place."""
    name: str | None = None
    """Name shown on pages; the folder's name, or SUS for simulated images, where left out."""
    images: int = 85
    """Number of made images; the paper uses 85."""
    seed: int = 0
    """Seed of the made images."""
    scanner: Literal["A", "B", "A and B"] = "A"
    """Simulated scanner: A is the linear array of the paper's SUS, B another one; phantoms also through both."""
    mask: tuple[str, ...] = ("mask",)
    """Manifest columns whose masks are learned: one, or several structures as `[mask, mask_vessel]` (softmax)."""
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Keep only rows whose manifest column holds one of these values: `where: {label: [benign, malignant]}`."""
    compare_with: Literal["SUS", "BUS", "FUS", "X-ray"] | None = None
    """Published data set of Table II that these images stand beside."""


@dataclass(frozen=True, kw_only=True)
class StartSettings:
    """The weights that every trial starts from (except 'from scratch')."""

    name: str | None = None
    """Name shown where a study compares several; made from the kind where left out."""
    kind: Literal[
        "natural-like images",
        "formula-driven images",
        "simulated ultrasound",
        "cardiac phantoms",
        "abdominal phantoms",
        "folder",
        "file",
        "library",
    ] = "natural-like images"
    """Pre-train on images made on the spot (natural-like images or simulated ultrasound with masks; formula-driven
    images or phantoms with classes) or on a folder of images, load a file, or torchvision's or timm's weights."""
    folder: str | None = None
    """Folder of images with masks to pre-train on (kind `folder`); the study's own folder where `where` is given."""
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Keep only rows of that folder whose manifest column holds one of these values: `where: {scanner: [E9]}`."""
    mask: tuple[str, ...] = ("mask",)
    """Manifest columns of that folder whose masks are learned."""
    scanner: Literal["A", "B"] = "A"
    """Simulated scanner (kinds `simulated ultrasound` and phantoms)."""
    file: str | None = None
    """File with the network's weights (kind `file`): safetensors, or for classes also a PyTorch state dict."""
    images: int = 7000
    """Number of made images, held-out ones included."""
    classes: int = 50
    """Classes of formula-driven images."""
    seed: int = 0
    """Seed of the made images and of the pre-training."""
    batches: int = 7000
    """Optimiser steps of the pre-training."""
    batch_size: int = 4
    """Images per pre-training step."""


@dataclass(frozen=True, kw_only=True)
class RateSearch:
    """Learning rates that are searched, for each strategy, fraction and fold, on its validation images."""

    low: float = 1e-5
    """Lowest rate."""
    high: float = 1e-3
    """Highest rate; rates are drawn on a logarithmic scale."""
    draws: int = 6
    """Rates tried in each strategy, fraction, fold and seed, those of `learning_rates` included, which come first."""
    search: Literal["random", "optuna"] = "random"
    """`random` draws the same rates for all; `optuna` chooses the next by what the earlier ones gave."""
    seed: int = 0
    """Seed of the search."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Which combinations of strategy, fraction, start weights, rate and seed run, and whether poor ones run on."""

    kind: Literal["grid", "random"] = "grid"
    """`grid` runs every combination, `random` draws `draws` of them when planning, each with all its folds. Learning
    rates in a range, by chance or by Optuna: `rate_search`."""
    draws: int | None = None
    """Combinations that `random` draws; more draws later keep the earlier ones."""
    seed: int = 0
    """Seed of the drawing."""
    scheduler: Literal["fifo", "asha", "median"] = "fifo"
    """`fifo` trains every trial to its end; `asha` and `median` (median stopping) end those that are behind others of
    the same fraction and fold on validation images. What they end is no part of Table II."""
    grace: int = 10
    """Epochs that `asha` and `median` leave every trial."""
    reduction: int = 3
    """Of this many trials `asha` lets one go on from each of its marks."""


@dataclass(frozen=True, kw_only=True)
class FoldSettings:
    """Cross-validation folds."""

    of: int = 5
    """Number of folds; each fold is once the test set."""
    run: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Folds to run, counted from 0. More can be added later; another `of` is another study."""


@dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """How images are shared out."""

    by: Literal["auto", "group", "image", "given"] = "auto"
    """`group` keeps a group (patient, study, clip) on one side; `auto` does so where the data name groups; `given`
    takes training and test images from the manifest's column `split`, and fractions in percent of the given
    training set."""
    validation: float = 20.0
    """Part of the pool that validates, in percent; 0 trains for fixed iterations without validation."""
    seed: int = 0
    """Seed of the folds."""
    new_folds: bool = False
    """Draw other folds for every strategy and fraction, as the paper's repeat did; comparisons pair images then."""


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """Random changes of training images, drawn anew in every batch (Amiri et al. 2020, II-C)."""

    shift: float = 0.05
    """Largest shift along each axis, as a part of the side."""
    zoom: float = 0.05
    """Largest zoom in or out, as a part of the size."""
    flip: bool = True
    """Mirror left and right with probability one half."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How one network is fine-tuned."""

    batch_size: int = 2
    """Images per optimiser step."""
    patience: int = 20
    """Epochs without a lower validation loss after which training stops; the best weights are restored."""
    max_epochs: int = 200
    """Epochs at most. A training that has not stopped by 200 has failed, as in the paper; a lower cap only cuts it."""
    iterations: int | None = None
    """Optimiser steps in all, without early stopping, the last weights kept (Cheng and Malhi 2017); `null` stops
    early."""
    optimiser: Literal["adam", "sgd"] = "adam"
    """`adam`, or `sgd` with `momentum` and `weight_decay`."""
    momentum: float = 0.9
    """Of `sgd`."""
    weight_decay: float = 0.0
    """L2 penalty on the weights that learn; 5e-4 is usual for Caffe."""
    unit_rates: dict[str, float] = field(default_factory=dict)
    """Factors on the learning rate of single units: `{fc8: 10}`."""
    rates_for_batch: int | None = None
    """Batch size that learning rates and `iterations` are meant for: with batches an eighth of it, rates are an eighth
    and iterations eight times as many (Cheng and Malhi 2017)."""
    crop: int | None = None
    """Side of the part of the image that the network sees, in pixels: drawn at random in training, the centre in tests;
    `null` shows whole images."""
    crops_kept: int = 0
    """Random views (crop, shift, zoom, flip) per image whose frozen layers are computed once and kept, each with its
    own dropout; 0 computes them anew in every step. Where classes are told apart a file that names none
    keeps 8."""
    subtract_mean: bool = False
    """Subtract the training images' mean image (Cheng and Malhi 2017)."""
    statistics: Literal["hold", "update"] = "hold"
    """Running statistics of normalisation in frozen units: held, or updated by the new images."""
    batches_per_epoch: int | None = None
    """Optimiser steps per epoch; `null` takes those of the 80 % training part for every fraction, as in the paper."""
    augmentation: AugmentationSettings | None = field(default_factory=AugmentationSettings)
    """`null` trains on the images as they are."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto` takes bfloat16 where the device computes it fast."""
    unfreeze_every: int = 3
    """Epochs after which the strategy `gradual unfreezing` lets the next block learn."""


@dataclass(frozen=True, kw_only=True)
class ResourceSettings:
    """What one trial may use. Decides speed, not results (except threads, which are resolved when planning)."""

    cpu: int | None = None
    """CPU cores per trial; `null` chooses for this machine."""
    gpu: float | None = None
    """GPUs per trial: 0.25 lets four trials share one, `off` takes the processor; `null` chooses for this machine."""
    at_once: int | None = None
    """Trials at once at most; `null` fills the machine."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One question: strategies x fractions x learning rates x folds x seeds on one data set."""

    name: str
    """Name of the study and of its folder of results: letters, digits, '-' and '_'."""
    question: str = ""
    """The question in words, shown on top of the page."""
    model: ModelSettings = field(default_factory=ModelSettings)
    """The network."""
    data: DataSettings = field(default_factory=DataSettings)
    """The images to adapt to."""
    start_weights: tuple[StartSettings, ...] = (StartSettings(),)
    """The weights that trials start from: one section, or a list of them to compare."""
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    """The network of the `smp U-Net` strategies."""
    strategies: tuple[str, ...] = ()
    """Names that `whichlayers strategies` lists, or sets of blocks as `blocks 1,2,8-9`; empty: the paper's thirteen."""
    reference: str = "whole network"
    """Strategy that cheaper ones are held against, named before any result is seen."""
    margin: float = 0.01
    """Loss of Dice against the reference that a cheaper strategy may cost (non-inferiority margin)."""
    fractions: tuple[float, ...] = (80.0, 50.0, 5.0)
    """Pool of training and validation images, in percent of the whole data set."""
    learning_rates: tuple[float, ...] = (1e-4,)
    """Adam's learning rates to try."""
    rate_search: RateSearch | None = None
    """Search further learning rates in a range."""
    search: SearchSettings = field(default_factory=SearchSettings)
    """Which combinations run, and whether poor ones run to their end."""
    folds: FoldSettings = field(default_factory=FoldSettings)
    """Cross-validation folds."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of training (initial random weights, order of batches, augmentation, dropout)."""
    repeat_failed: int = 0
    """Times that a fold whose trainings all failed to converge is trained again, from other initial weights (from start
    weights: in another order of batches, with other dropout). Shown in rows of its own; may be raised later."""
    split: SplitSettings = field(default_factory=SplitSettings)
    """How images are shared out."""
    training: TrainingSettings = field(default_factory=TrainingSettings)
    """How one network is fine-tuned."""
    resources: ResourceSettings = field(default_factory=ResourceSettings)
    """What one trial may use."""
    keep_weights: Literal["all", "best", "none"] = "all"
    """Trained tensors that stay on disk: of `all` trials, of the `best` fold of each cell by validation (what
    earlier runs kept beside it goes), or `none` from now on. Decides no result; *Live* and exports need them."""


def start_name(start: StartSettings) -> str:
    """The name that start weights are shown under: their own, or what they come from."""
    if start.name:
        return start.name
    return Path(start.folder or start.file or "").name or ("other rows" if start.kind == "folder" else start.kind)
