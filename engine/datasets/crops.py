"""Central squares that are cut out of frames before these are resized (Cheng and Malhi 2017: 600 of 1024 x 768)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from engine.datasets.listing import Entry, did_you_mean, some

Crop = Mapping[str, int] | Literal["square"] | None
"""Side of the square in source pixels by scanner; `square` for the largest; None for whole images."""


def side_of(entry: Entry, height: int, width: int, crop: Crop) -> int | None:
    """Side of the square that is cut out of an image, in source pixels; None for the whole image.

    It may be larger than the image, see `too_small`.
    """
    if crop is None:
        return None
    return min(height, width) if crop == "square" else crop[entry.scanner]


def central_square(pixels: UInt8[np.ndarray, "height width"], side: int) -> UInt8[np.ndarray, "side side"]:
    """The square of `side` pixels in the middle; where it cannot be, half a pixel above and to the left of it."""
    top, left = ((length - side) // 2 for length in pixels.shape)
    return pixels[top : top + side, left : left + side]


def crop_problems(listed: Sequence[Entry], taken: Sequence[Entry], crop: Crop) -> list[str]:
    """What is wrong with sides by scanner: no size, no such scanner among all `listed`, none for an image `taken`."""
    if crop is None or crop == "square":
        return []
    problems = [
        f"crop: {scanner} is {side}; write its side in pixels, a whole number from 1 on"
        for scanner, side in crop.items()
        if side < 1
    ]
    present = sorted({entry.scanner for entry in listed} - {""})
    problems.extend(
        f"crop: no image has scanner '{scanner}'{did_you_mean(scanner, present)}"
        for scanner in crop
        if scanner not in present
    )
    without: dict[str, list[str]] = defaultdict(list)
    for entry in taken:
        if entry.scanner not in crop:
            without[entry.scanner].append(entry.image)
    for scanner, images in without.items():
        if scanner:
            problems.append(f"crop: no side for scanner '{scanner}' ({some(images)}); add '{scanner}: ...' in pixels")
        else:
            problems.append(
                f"crop: {len(images)} images name no scanner ({some(images)}); fill in the column 'scanner', or write "
                "'square: yes'"
            )
    return problems


def too_small(images: Mapping[str, Sequence[tuple[str, int]]], crop: Mapping[str, int]) -> list[str]:
    """A line per scanner with images smaller than their square: `images` are names and shorter sides, by scanner."""
    lines = []
    for scanner, found in images.items():
        least = min(side for _, side in found)
        names = some([f"{name} ({side})" for name, side in found])
        lines.append(
            f"crop: {scanner} is {crop[scanner]}, more than the shorter side of {len(found)} of its images: {names}; "
            f"write {least} at most, or leave them out with a `where`"
        )
    return lines
