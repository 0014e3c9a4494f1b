"""The U-Net of Amiri et al. 2020, with its width as a setting and its ten units named."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from engine.architectures import UNET_CONVOLUTIONS

DROPOUT = 0.5
"""Just after block 5; active in training for every strategy (Amiri et al. 2020, II-A)."""


class UNet(nn.Module):
    """Nine blocks of two 3x3 convolutions with skips; gives logits, so `sigmoid` is the caller's.

    Upsampling is bilinear, then a 2x2 convolution that halves the channels, padded on the right and at the
    bottom. Same padding, no batch normalisation, He initialisation. 31,030,593 parameters at width 64.
    """

    def __init__(self, width: int = 64, *, channels: int = 1, classes: int = 1) -> None:
        super().__init__()
        down = [width * 2**level for level in range(5)]
        inputs = [channels, *down[:3]]
        self.block1 = _pair(inputs[0], down[0])
        self.block2 = _pair(inputs[1], down[1])
        self.block3 = _pair(inputs[2], down[2])
        self.block4 = _pair(inputs[3], down[3])
        self.block5a = nn.Conv2d(down[3], down[4], 3, padding=1)
        self.block5b = nn.Conv2d(down[4], down[4], 3, padding=1)
        self.block6 = _opening(down[4], down[3])
        self.block7 = _opening(down[3], down[2])
        self.block8 = _opening(down[2], down[1])
        self.block9 = _opening(down[1], down[0])
        self.output = nn.Conv2d(down[0], classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def units(self) -> dict[str, list[nn.Module]]:
        """The modules of each unit, shallow to deep; together they hold every parameter once."""
        return {
            "1": [self.block1],
            "2": [self.block2],
            "3": [self.block3],
            "4": [self.block4],
            "5a": [self.block5a],
            "5b": [self.block5b],
            "6": [self.block6],
            "7": [self.block7],
            "8": [self.block8],
            "9": [self.block9, self.output],
        }

    def finer_units(self) -> dict[str, list[nn.Module]]:
        """The 23 convolutions as units, `1.1` to `9.4`, shallow to deep."""
        return {
            name: [module]
            for unit, modules in self.units().items()
            for name, module in zip(UNET_CONVOLUTIONS[unit], _convolutions(modules), strict=True)
        }

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch class height width"]:
        """Logits of each pixel. `images` in [0, 1]; height and width are multiples of 16."""
        skip1 = _run(self.block1, images)
        skip2 = _run(self.block2, functional.max_pool2d(skip1, 2))
        skip3 = _run(self.block3, functional.max_pool2d(skip2, 2))
        skip4 = _run(self.block4, functional.max_pool2d(skip3, 2))
        hidden = functional.relu(self.block5a(functional.max_pool2d(skip4, 2)), inplace=True)
        hidden = functional.relu(self.block5b(hidden), inplace=True)
        hidden = functional.dropout(hidden, DROPOUT, training=self.training)
        hidden = _open(self.block6, hidden, skip4)
        hidden = _open(self.block7, hidden, skip3)
        hidden = _open(self.block8, hidden, skip2)
        hidden = _open(self.block9, hidden, skip1)
        logits: Tensor = self.output(hidden)
        return logits


def _convolutions(modules: list[nn.Module]) -> list[nn.Module]:
    return [found for module in modules for found in module.modules() if isinstance(found, nn.Conv2d)]


def _pair(inputs: int, outputs: int) -> nn.ModuleList:
    return nn.ModuleList([nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)])


def _opening(inputs: int, outputs: int) -> nn.ModuleList:
    """The 2x2 convolution after an upsampling and the two 3x3 convolutions of the block that it opens."""
    return nn.ModuleList([nn.Conv2d(inputs, outputs, 2), *_pair(2 * outputs, outputs)])


def _run(convolutions: nn.ModuleList | list[nn.Module], hidden: Tensor) -> Tensor:
    for convolution in convolutions:
        hidden = functional.relu(convolution(hidden), inplace=True)
    return hidden


def _open(block: nn.ModuleList, hidden: Tensor, skip: Tensor) -> Tensor:
    hidden = functional.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False)
    hidden = functional.relu(block[0](functional.pad(hidden, (0, 1, 0, 1))), inplace=True)
    return _run([block[1], block[2]], torch.cat((skip, hidden), dim=1))
