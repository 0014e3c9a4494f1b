"""Head circumference from a mask: an ellipse fitted to the outline of its largest part. Needs no torch."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8
from skimage.measure import EllipseModel, find_contours, label

FEWEST_PIXELS = 20
"""Pixels below which a part of a mask is a speck that no ellipse is fitted to."""


@dataclass(frozen=True, kw_only=True)
class Ellipse:
    """A fitted ellipse, in the unit of the pixel that the fit was given."""

    semi_axes: tuple[float, float]
    """The longer one first."""

    @property
    def circumference(self) -> float:
        """Length of the ellipse's line."""
        return circumference(*self.semi_axes)


def fit_ellipse(
    mask: Bool[np.ndarray, "height width"] | UInt8[np.ndarray, "height width"], pixel: tuple[float, float]
) -> Ellipse | None:
    """The ellipse through the outer outline of the mask's largest part; None where the mask allows none.

    `pixel` is (height, width) of a pixel, such as mm: masks of the network's square have pixels that are not square.
    The fit is direct and by least squares (Halir & Flusser 1998, WSCG). None where the largest part has fewer than
    `FEWEST_PIXELS` pixels, or where no ellipse fits its outline.
    """
    parts, count = label(mask > 0, return_num=True)
    if not count:
        return None
    sizes = np.bincount(parts.ravel())[1:]
    if sizes.max() < FEWEST_PIXELS:
        return None
    largest = parts == 1 + int(sizes.argmax())
    # The ring of zeros closes the outline of a head that the frame's border cuts.
    outline = max(find_contours(np.pad(largest.astype(float), 1), 0.5), key=len)
    ellipse = EllipseModel.from_estimate(outline[:, ::-1] * (pixel[1], pixel[0]))
    if not ellipse or not np.isfinite(ellipse.axis_lengths).all():
        return None
    longer, shorter = sorted((float(axis) for axis in ellipse.axis_lengths), reverse=True)
    return Ellipse(semi_axes=(longer, shorter))


def circumference(longer: float, shorter: float) -> float:
    """Length of the line of an ellipse with these semi-axes, in their unit (Ramanujan 1914, second approximation).

    Its error is below a billionth where the axes are at most 2:1, and 0.04 % for an ellipse that is a mere line.
    """
    total = longer + shorter
    if total == 0:
        return 0.0
    flatness = ((longer - shorter) / total) ** 2
    return math.pi * total * (1 + 3 * flatness / (10 + math.sqrt(4 - 3 * flatness)))
