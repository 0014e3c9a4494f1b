"""What the server and its inference process say to each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8

from engine.images import Kept
from engine.overlays import Overlay

Maps = tuple[Float32[np.ndarray, "channel height width"], Float32[np.ndarray, "channel height width"]]
"""Feature maps of a unit before fine-tuning and after."""


CLIP, TABLE = "overlay.webm", "frames.csv"
"""Names of what is written of a clip."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A frame for a trained trial, or only the wish to have its network loaded."""

    study: str
    trial_id: str
    frame: bytes | Path | None
    """A file that `engine.images` reads (its bytes, or where it lies), of which the middle frame is taken; None only
    loads the network."""
    scanner: str = ""
    """Which of the study's squares a classifier's frame is cut to; "" where there is one, or none."""
    overlay: Overlay = "outline"
    """What is drawn over the frame."""
    picture: Literal["PNG", "JPEG"] = "PNG"
    """What the drawn frame is written as: JPEG takes a tenth of the time and has losses."""


@dataclass(frozen=True, kw_only=True)
class MapsRequest:
    """An image whose feature maps are wanted, before fine-tuning and after."""

    study: str
    trial_id: str
    unit: str
    image: UInt8[np.ndarray, "side side"]
    """At the network's size."""


@dataclass(frozen=True, kw_only=True)
class ClipRequest:
    """A clip that trained trials look at together, a few frames at a time."""

    token: str
    """What the clip is called until it ends."""
    trials: tuple[tuple[str, str], ...]
    """(study, trial id), one or two: what they see is drawn side by side."""
    path: Path
    out: Path
    """Folder that the drawn clip and the table are written to."""
    name: str
    """What the file was called, for the table and for messages."""
    scanner: str = ""
    overlay: Overlay = "outline"


@dataclass(frozen=True, kw_only=True)
class ClipStep:
    """The wish for the next frames of a clip, or for its end."""

    token: str
    end: bool = False
    """Whether nobody wants it any more."""


@dataclass(frozen=True, kw_only=True)
class ClipBegun:
    """What a file turned out to be."""

    kept: Kept
    names: tuple[tuple[str, ...], ...]
    """Of each trial: structures, or classes."""
    classifies: tuple[bool, ...]
    """Of each trial: whether it tells classes apart."""


@dataclass(frozen=True, kw_only=True)
class ClipRow:
    """What one trial says of one frame."""

    frame: int
    """From 1."""
    values: tuple[float, ...]
    """By `ClipBegun.names`: pixels of each structure, or the probability of each class."""
    milliseconds: float
    """From the frame in its file to the answer, without drawing."""


@dataclass(frozen=True, kw_only=True)
class ClipFrames:
    """What the trials say of the next frames."""

    rows: tuple[tuple[ClipRow, ...], ...]
    """A frame each, a row per trial; none while the file is looked through for the range of its values."""
    finished: bool
    """Whether the clip is at its end and its files are written."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the network says of one frame, as files ready to be shown."""

    outlined: bytes
    """PNG (or JPEG, as asked): the frame with what the network sees over it."""
    mask: bytes
    """PNG: 255 on the structure, 0 elsewhere; of several, equal steps up to 255 in their order."""
    height: int
    width: int
    area_pixels: int
    milliseconds: dict[str, float]
    """Wall time of `decode`, `network` and `draw` (reading the file, resizing and predicting, drawing and writing)."""
    scaled_range: tuple[float, float] | None
    """Lowest and highest value of a frame deeper than 8 bits, which were scaled to 0 and 255."""
    kept: Kept
    """What was kept of the file."""
    areas_pixels: dict[str, int]
    """Pixels of each structure, by name."""


@dataclass(frozen=True, kw_only=True)
class ClassAnswer:
    """What a classifier says of one frame."""

    classes: tuple[str, ...]
    """Most probable first."""
    probabilities: tuple[float, ...]
    """Of each class."""
    seen: bytes
    """PNG: what the network saw of the frame."""
    how: str
    """How that was cut out of the frame, a sentence."""
    height: int
    width: int
    """Of the frame."""
    milliseconds: dict[str, float]
    """Wall time of `decode`, `network` and `draw`, as of `Answer`."""
    scaled_range: tuple[float, float] | None
    """As of `Answer`."""
    kept: Kept
    """As of `Answer`."""


def area_mm2(kept: Kept, pixels: int | float) -> float | None:
    """So many pixels of a file's frames in mm2; None where the size of a pixel is unknown."""
    return None if kept.spacing_mm is None else pixels * kept.spacing_mm[0] * kept.spacing_mm[1]


@dataclass(frozen=True, kw_only=True)
class NeighboursRequest:
    """A frame whose place among a trial's training images is wanted."""

    study: str
    trial_id: str
    frame: bytes | Path
    scanner: str = ""
    pictures: bool = True
    """Whether the nearest training images are wanted too."""


@dataclass(frozen=True, kw_only=True)
class Preparing:
    """The training images are still looked at, or the file is still being opened: ask again."""

    part: float
    """Done, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class TrainingImage:
    """One of the nearest training images."""

    name: str
    distance: float
    picture: bytes
    """PNG, with the edges that people drew."""


@dataclass(frozen=True, kw_only=True)
class NeighboursAnswer:
    """A frame among a trial's training images (`engine.neighbours`)."""

    nearest: tuple[TrainingImage, ...]
    unlike: bool
    distance: float
    threshold: float
    part: float
    """Part of the validation images that are nearer to the training images than the frame."""
    look: float
    look_threshold: float
    asked: int
    """Validation images that were asked; training images where there are too few."""
    warned: int
    """Of them, those beyond one of the thresholds, or both."""
    left_out: float
    """Part of them that would be, were each left out of the choice of thresholds."""
    from_training: bool
    places: Float32[np.ndarray, "image 2"]
    """Of the training images on the map."""
    place: tuple[float, float]
    """Of the frame."""
