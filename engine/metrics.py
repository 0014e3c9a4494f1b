"""How well a predicted mask covers the truth. Needs no torch."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage


def dice(
    prediction: Bool[np.ndarray, "image height width"], truth: Bool[np.ndarray, "image height width"]
) -> Float[np.ndarray, "image"]:
    """Dice of each image, 2TP / (2TP + FN + FP); 1 where both masks are empty (Amiri et al. 2020, Eq. 1)."""
    both, sizes = _overlap(prediction, truth)
    return np.where(sizes == 0, 1.0, 2 * both / np.maximum(sizes, 1))


def iou(
    prediction: Bool[np.ndarray, "image height width"], truth: Bool[np.ndarray, "image height width"]
) -> Float[np.ndarray, "image"]:
    """Intersection over union (Jaccard index) of each image; 1 where both masks are empty."""
    both, sizes = _overlap(prediction, truth)
    return np.where(sizes == 0, 1.0, both / np.maximum(sizes - both, 1))


def structure_dice(
    prediction: Bool[np.ndarray, "image structure height width"],
    truth: Bool[np.ndarray, "image structure height width"],
) -> Float[np.ndarray, "image structure"]:
    """Dice of each structure of each image; NaN for one that is absent from the truth."""
    return _by_structure(dice, prediction, truth)


def structure_iou(
    prediction: Bool[np.ndarray, "image structure height width"],
    truth: Bool[np.ndarray, "image structure height width"],
) -> Float[np.ndarray, "image structure"]:
    """IoU of each structure of each image; NaN for one that is absent from the truth."""
    return _by_structure(iou, prediction, truth)


def mean_of_structures(values: Float[np.ndarray, "image structure"]) -> Float[np.ndarray, "image"]:
    """Mean over the structures that an image has; NaN for an image without any."""
    known = ~np.isnan(values)
    counts = known.sum(axis=1)
    return np.where(counts > 0, np.where(known, values, 0).sum(axis=1) / np.maximum(counts, 1), np.nan)


def _by_structure(
    measure: Callable[..., np.ndarray],
    prediction: Bool[np.ndarray, "image structure height width"],
    truth: Bool[np.ndarray, "image structure height width"],
) -> Float[np.ndarray, "image structure"]:
    number = truth.shape[1]
    values = np.stack([measure(prediction[:, place], truth[:, place]) for place in range(number)], axis=1)
    return np.where(truth.any(axis=(2, 3)), values, np.nan)


def hausdorff95(
    prediction: Bool[np.ndarray, "height width"],
    truth: Bool[np.ndarray, "height width"],
    pixel: tuple[float, float] = (1.0, 1.0),
) -> float | None:
    """95 % Hausdorff distance of two masks' outlines: the larger of both directions' 95th percentiles.

    `pixel` is (height, width) of a pixel; the distance has its unit. None where a mask is empty.
    """
    if not (prediction.any() and truth.any()):
        return None
    borders = [mask & ~ndimage.binary_erosion(mask, border_value=0) for mask in (prediction, truth)]
    rows, columns = np.flatnonzero((borders[0] | borders[1]).any(1)), np.flatnonzero((borders[0] | borders[1]).any(0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]  # distances are taken between borders only
    first, second = (border[part] for border in borders)
    to_second = ndimage.distance_transform_edt(~second, sampling=pixel)[first]
    to_first = ndimage.distance_transform_edt(~first, sampling=pixel)[second]
    return float(max(np.percentile(to_second, 95), np.percentile(to_first, 95)))


def _overlap(
    prediction: Bool[np.ndarray, "image height width"], truth: Bool[np.ndarray, "image height width"]
) -> tuple[Float[np.ndarray, "image"], Float[np.ndarray, "image"]]:
    """Pixels in both masks, and the sum of the two masks' pixels."""
    both = np.count_nonzero(prediction & truth, axis=(1, 2)).astype(np.float64)
    sizes = np.count_nonzero(prediction, axis=(1, 2)) + np.count_nonzero(truth, axis=(1, 2))
    return both, sizes.astype(np.float64)
