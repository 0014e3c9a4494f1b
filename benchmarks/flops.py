"""Floating-point operations of the U-Net's training step, counted from its convolutions and the maps they write.

A multiplication and an addition are two operations. Biases, activations, pooling and upsampling are not counted.
"""

from collections.abc import Collection

from engine.architectures import UNET_CONVOLUTIONS, unet_convolutions

HALVINGS = {"1": 0, "2": 1, "3": 2, "4": 3, "5": 4, "6": 3, "7": 2, "8": 1, "9": 0}
"""How often the side of an image is halved before the convolutions of a block write it."""


def forward_flops(width: int, side: int, batch: int) -> dict[str, int]:
    """Operations of each of the 23 convolutions for a batch of images of `side` x `side`, input to output."""
    found = {}
    for name, (kernel, inputs, outputs) in unet_convolutions(width).items():
        pixels = (side >> HALVINGS[name.split(".")[0]]) ** 2
        found[name] = 2 * batch * pixels * kernel**2 * inputs * outputs
    return found


def step_flops(units: Collection[str], width: int, side: int, batch: int) -> int:
    """Operations of one training step in which `units` learn.

    Forward of every convolution; backward a convolution that learns gives the gradient of its weights, and one that
    lies behind a convolution that learns gives the gradient of its input. Each costs as much as its forward.
    """
    learning = {name for unit in units for name in UNET_CONVOLUTIONS.get(unit, (unit,))}
    total, behind = 0, False
    for name, flops in forward_flops(width, side, batch).items():
        total += flops * (1 + (name in learning) + behind)
        behind = behind or name in learning
    return total
