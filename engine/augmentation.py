"""Random shift, zoom and flip of whole batches at once, on the device that trains."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional


def draw(
    random: np.random.Generator, images: int, *, shift: float, zoom: float, flip: bool
) -> Float[Tensor, "image 2 3"]:
    """Affine maps from output to input coordinates, one per image.

    `shift` is the largest shift along each axis as a part of the side, `zoom` the largest change of size as a
    part of it, `flip` mirrors left and right with probability one half (Amiri et al. 2020, II-C). Numbers are
    drawn whether they are used or not, so that a setting does not move the stream.
    """
    shifts = random.uniform(-1, 1, (images, 2)) * shift
    scales = 1 + random.uniform(-1, 1, images) * zoom
    mirrored = (random.random(images) < 0.5) & flip
    maps = np.zeros((images, 2, 3), dtype=np.float32)
    maps[:, 0, 0] = np.where(mirrored, -1, 1) / scales
    maps[:, 1, 1] = 1 / scales
    maps[:, :, 2] = 2 * shifts  # the side runs from -1 to 1
    return torch.from_numpy(maps)


def apply(
    maps: Float[Tensor, "image 2 3"],
    images: UInt8[Tensor, "image height width"],
    masks: UInt8[Tensor, "image structure height width"],
) -> tuple[Float[Tensor, "image 1 height width"], Float[Tensor, "image structure height width"]]:
    """Images in [0, 1] (bilinear) and masks of 0 and 1 under `maps`; what lies outside repeats the border."""
    stacked = torch.cat((images[:, None], masks * 255), dim=1).to(torch.float32).div_(255)
    grid = functional.affine_grid(maps.to(images.device), list(stacked.shape), align_corners=False)
    moved = functional.grid_sample(stacked, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return moved[:, :1], (moved[:, 1:] >= 0.5).to(torch.float32)


def plain(
    images: UInt8[Tensor, "image height width"], masks: UInt8[Tensor, "image structure height width"]
) -> tuple[Float[Tensor, "image 1 height width"], Float[Tensor, "image structure height width"]]:
    """Images in [0, 1] and masks of 0 and 1 as they are."""
    return images[:, None].to(torch.float32).div_(255), masks.to(torch.float32)
