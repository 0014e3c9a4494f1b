"""What a study file can say: one frozen dataclass per section, each field documented under it, with its unit.

The launch form, the README's table and the messages of `engine.config` are made from these classes.
"off" is `None`. Nothing here reads a file.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The network."""

    name: Literal["unet"] = "unet"
    """Architecture; `unet` is the network of Amiri et al. 2020."""
    width: int = 64
    """Filters in block 1; the paper uses 64 (31,030,593 parameters), 16 suits a laptop."""
    image_size: int = 256
    """Side of the network's square input, in pixels; a multiple of 16. The paper uses 256."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The images to adapt to."""

    kind: Literal["simulated", "folder"] = "folder"
    """`simulated` makes B-mode images on the spot; `folder` reads images and masks from disk."""
    folder: str | None = None
    """Folder with the images (see `whichlayers check`); `--data` on the command line takes its place."""
    name: str | None = None
    """Name shown on pages; the folder's name, or SUS for simulated images, where left out."""
    images: int = 85
    """Number of simulated images; the paper uses 85."""
    seed: int = 0
    """Seed of the simulated images."""
    mask: str = "mask"
    """Manifest column whose mask is learned, where a pack has several structures."""
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Keep only rows whose manifest column holds one of these values: `where: {label: [benign, malignant]}`."""
    compare_with: Literal["SUS", "BUS", "FUS", "X-ray"] | None = None
    """Published data set of Table II that these images stand beside."""


@dataclass(frozen=True, kw_only=True)
class StartSettings:
    """The weights that every trial starts from (except 'from scratch')."""

    kind: Literal["natural-like images", "folder", "file"] = "natural-like images"
    """Pre-train on made natural-like images, on a folder of images with masks, or load a file."""
    folder: str | None = None
    """Folder of images with masks to pre-train on (kind `folder`)."""
    file: str | None = None
    """Safetensors file with the network's weights (kind `file`)."""
    images: int = 1000
    """Number of made images, held-out ones included (kind `natural-like images`)."""
    seed: int = 0
    """Seed of the made images and of the pre-training."""
    batches: int = 1500
    """Optimiser steps of the pre-training."""
    batch_size: int = 4
    """Images per pre-training step."""


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

    by: Literal["auto", "group", "image"] = "auto"
    """`group` keeps a group (patient, study, clip) on one side; `auto` does so where the data name groups."""
    seed: int = 0
    """Seed of the folds."""


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
    batches_per_epoch: int | None = None
    """Optimiser steps per epoch; `null` takes those of the 80 % training part for every fraction, as in the paper."""
    augmentation: AugmentationSettings | None = field(default_factory=AugmentationSettings)
    """`null` trains on the images as they are."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto` takes bfloat16 where the device computes it fast."""


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
    start_weights: StartSettings = field(default_factory=StartSettings)
    """The weights that trials start from."""
    strategies: tuple[str, ...] = ()
    """Names as in the paper, or sets of blocks such as `blocks 1,2,8-9`; empty means the paper's thirteen."""
    fractions: tuple[float, ...] = (80.0, 50.0, 5.0)
    """Pool of training and validation images, in percent of the whole data set."""
    learning_rates: tuple[float, ...] = (1e-4,)
    """Adam's learning rates to try."""
    folds: FoldSettings = field(default_factory=FoldSettings)
    """Cross-validation folds."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of training (initial random weights, order of batches, augmentation, dropout)."""
    split: SplitSettings = field(default_factory=SplitSettings)
    """How images are shared out."""
    training: TrainingSettings = field(default_factory=TrainingSettings)
    """How one network is fine-tuned."""
    resources: ResourceSettings = field(default_factory=ResourceSettings)
    """What one trial may use."""
