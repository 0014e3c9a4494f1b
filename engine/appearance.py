"""How an image looks, whatever it shows: brightness, contrast, and speckle and edges at each scale. Needs no torch.

Another scanner, probe or setting changes these before it changes anything else. The figures are those of a Laplacian
pyramid (Burt and Adelson 1983, 10.1109/TCOM.1983.1095851): contrast of each band, and whether it changes faster down
or across.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

COMPONENTS = 20
"""Principal components of the figures that are compared, at most."""
SMALLEST_SIDE = 8
"""Of the pyramid's last level, in pixels."""
DARK, LIGHT = 0.02, 0.98
FAINT = 1e-4
"""Added before a logarithm."""


@dataclass(frozen=True, kw_only=True)
class Looks:
    """The looks of images, made comparable: each component varies by 1 over them."""

    mean: Float32[np.ndarray, " figure"]
    spread: Float32[np.ndarray, " figure"]
    axes: Float32[np.ndarray, "figure component"]

    def of(self, figures: Float32[np.ndarray, "image figure"]) -> Float32[np.ndarray, "image component"]:
        """Images by the figures of each, in these components."""
        compared: Float32[np.ndarray, "image component"] = ((figures - self.mean) / self.spread) @ self.axes
        return compared


def appearance(image: UInt8[np.ndarray, "height width"]) -> Float32[np.ndarray, " figure"]:
    """The figures of an image; as many as its size has levels."""
    import cv2

    level: Float32[np.ndarray, "rows columns"] = image.astype(np.float32) / 255
    figures = [level.mean(), level.std(), (level < DARK).mean(), (level > LIGHT).mean()]
    while min(level.shape) >= SMALLEST_SIDE:
        smooth = np.asarray(cv2.GaussianBlur(level, (5, 5), 0), np.float32)
        band = level - smooth
        down, across = (np.abs(np.diff(band, axis=axis)).mean() for axis in (0, 1))
        figures += [np.log(band.std() + FAINT), np.log(down + FAINT) - np.log(across + FAINT)]
        level = smooth[::2, ::2]
    return np.asarray(figures, np.float32)


def comparable(figures: Float32[np.ndarray, "image figure"]) -> Looks:
    """What makes looks comparable with those of these images."""
    mean, spread = figures.mean(axis=0), figures.std(axis=0) + np.float32(1e-6)
    _, sizes, axes = np.linalg.svd((figures - mean) / spread, full_matrices=False)
    kept = max(1, min(COMPONENTS, int((sizes > sizes[0] * 1e-3).sum())))
    scale = np.maximum(sizes[:kept] / np.sqrt(len(figures)), 1e-6)
    return Looks(mean=mean, spread=spread, axes=(axes[:kept].T / scale).astype(np.float32))
