"""What the server and its inference process say to each other."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

Maps = tuple[Float32[np.ndarray, "channel height width"], Float32[np.ndarray, "channel height width"]]
"""Feature maps of a unit before fine-tuning and after."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A frame for a trained trial, or only the wish to have its network loaded."""

    study: str
    trial_id: str
    frame: bytes | None
    """A PNG or JPEG file; None only loads the network."""
    scanner: str = ""
    """Which of the study's squares a classifier's frame is cut to; "" where there is one, or none."""


@dataclass(frozen=True, kw_only=True)
class MapsRequest:
    """An image whose feature maps are wanted, before fine-tuning and after."""

    study: str
    trial_id: str
    unit: str
    image: UInt8[np.ndarray, "side side"]
    """At the network's size."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the network says of one frame, as files ready to be shown."""

    outlined: bytes
    """PNG: the frame with the mask's edge in cyan."""
    mask: bytes
    """PNG: 255 on the structure, 0 elsewhere; of several, equal steps up to 255 in their order."""
    height: int
    width: int
    area_pixels: int
    milliseconds: dict[str, float]
    """Wall time of `decode`, `network` and `draw` (reading the file, resizing and predicting, drawing and writing)."""
    scaled_range: tuple[float, float] | None
    """Lowest and highest value of a frame deeper than 8 bits, which were scaled to 0 and 255."""


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
