"""Many phantom images: who is in which, and what is known of each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from engine.phantoms.scanner import Scanner


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One image and what it shows."""

    image: UInt8[np.ndarray, "height width"]
    label: str
    phase: float
    spacing_mm: float


@dataclass(frozen=True, kw_only=True)
class Phantoms:
    """Images of one scanner and what they show."""

    images: UInt8[np.ndarray, "image height width"]
    labels: tuple[str, ...]
    """View or category of each image."""
    groups: tuple[str, ...]
    """Patient (one study) of each image, such as `A patient 003`."""
    frames: tuple[int, ...]
    """Number of the image within its patient."""
    phase: Float[np.ndarray, " image"]
    """Part of the heart beat, 0 the end of diastole; NaN where nothing beats."""
    spacing_mm: Float[np.ndarray, " image"]
    """Side of a pixel; it follows the depth that was set."""
    scanner: str
    """`A` or `B`."""


def places(images: int, per_patient: int, patients: int | None) -> list[tuple[int, int]]:
    """Patient and frame of each image: `per_patient` frames each, or all images spread evenly over `patients`."""
    if patients is None:
        return [divmod(index, per_patient) for index in range(images)]
    owner = [index * patients // images for index in range(images)]
    return [(patient, index - -(-patient * images // patients)) for index, patient in enumerate(owner)]


def gather(
    frame_of: Callable[[int, int], Frame],
    whose: list[tuple[int, int]],
    image_size: int,
    scanner: Scanner,
    progress: Callable[[int], None] | None,
) -> Phantoms:
    """The frames of patients, one after the other; `progress` hears how many are made."""
    images = np.empty((len(whose), image_size, image_size), np.uint8)
    labels, phase, spacing = [], np.empty(len(whose)), np.empty(len(whose))
    for index, (patient, number) in enumerate(whose):
        frame = frame_of(patient, number)
        images[index], phase[index], spacing[index] = frame.image, frame.phase, frame.spacing_mm
        labels.append(frame.label)
        if progress is not None:
            progress(index + 1)
    return Phantoms(
        images=images,
        labels=tuple(labels),
        groups=tuple(f"{scanner.name} patient {patient:03d}" for patient, _ in whose),
        frames=tuple(number for _, number in whose),
        phase=phase,
        spacing_mm=spacing,
        scanner=scanner.name,
    )
