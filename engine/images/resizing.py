"""Bring arrays to the network's square."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def resize_image(pixels: UInt8[np.ndarray, "height width"], size: int) -> UInt8[np.ndarray, "size size"]:
    """The image stretched to a square of `size` pixels a side, as in Amiri et al. 2020; antialiased."""
    # Pillow widens its bilinear filter by the factor of reduction, so nothing is skipped when shrinking.
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))


def resize_mask(mask: UInt8[np.ndarray, "height width"], size: int) -> UInt8[np.ndarray, "size size"]:
    """The 0/1 mask stretched to a square of `size` pixels a side: 1 where the structure covers at least half."""
    covered = Image.fromarray(mask * np.uint8(255)).resize((size, size), Image.Resampling.BOX)
    return (np.asarray(covered) >= 128).astype(np.uint8)
