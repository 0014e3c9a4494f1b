"""What a network's logits mean: masks, probabilities and loss, of one structure or of several.

One structure has one channel and a sigmoid (Amiri et al. 2020, II-A). Several have a channel for the background, then
one each, and a softmax, so that a pixel belongs to one of them. Truth comes as a mask of 0 and 1 per structure.
"""

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional


def one_mask_each(
    masks: UInt8[Tensor, "image height width"], classes: int
) -> UInt8[Tensor, "image structure height width"]:
    """A mask of 0 and 1 per structure, from masks that hold its number (0 is background)."""
    if classes == 1:
        return masks[:, None]
    numbers = torch.arange(1, classes + 1, dtype=torch.uint8, device=masks.device)
    return (masks[:, None] == numbers[:, None, None]).to(torch.uint8)


def loss(
    logits: Float[Tensor, "image channel height width"], truth: Float[Tensor, "image structure height width"]
) -> Float[Tensor, ""]:
    """Mean over pixels of the binary cross entropy, or of the cross entropy where there are several structures."""
    if logits.shape[1] == 1:
        return functional.binary_cross_entropy_with_logits(logits, truth)
    return functional.cross_entropy(logits, _numbers(truth))


def predicted(
    logits: Float[Tensor, "image channel height width"],
) -> Bool[Tensor, "image structure height width"]:
    """The pixels of each structure: probability 0.5 or more, or the most probable of several."""
    if logits.shape[1] == 1:
        return logits >= 0
    best = logits.argmax(dim=1, keepdim=True)
    return best == torch.arange(1, logits.shape[1], device=logits.device)[:, None, None]


def probabilities(
    logits: Float[Tensor, "image channel height width"],
) -> Float[Tensor, "image structure height width"]:
    """Probability that a pixel is on each structure."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)[:, 1:]


def _numbers(truth: Float[Tensor, "image structure height width"]) -> Tensor:
    """The number of each pixel's structure, 0 for background."""
    numbers = torch.arange(1, truth.shape[1] + 1, device=truth.device, dtype=truth.dtype)
    return (truth * numbers[:, None, None]).amax(dim=1).long()
