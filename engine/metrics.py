"""How well a predicted mask covers the truth. Needs no torch."""

import numpy as np
from jaxtyping import Bool, Float


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


def _overlap(
    prediction: Bool[np.ndarray, "image height width"], truth: Bool[np.ndarray, "image height width"]
) -> tuple[Float[np.ndarray, "image"], Float[np.ndarray, "image"]]:
    """Pixels in both masks, and the sum of the two masks' pixels."""
    both = np.count_nonzero(prediction & truth, axis=(1, 2)).astype(np.float64)
    sizes = np.count_nonzero(prediction, axis=(1, 2)) + np.count_nonzero(truth, axis=(1, 2))
    return both, sizes.astype(np.float64)
