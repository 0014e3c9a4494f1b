"""The U-Net of Amiri et al. 2020, with its width as a setting and its ten units named."""

from collections.abc import Iterable
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from engine.architectures import UNET_CONVOLUTIONS, UNET_STAGES
from engine.models.fused import convolve_relu

DROPOUT = 0.5
"""Just after block 5; active in training for every strategy (Amiri et al. 2020, II-A)."""
Hidden = tuple[Tensor, ...]
"""What a stage sees: the skips that are still to be used, shallow to deep, and the map of the stage before it, which is
the last skip itself before units 2 to 5a; each (image, channel, height, width)."""


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
        return self.logits_from((images,), UNET_STAGES[0])

    def hidden_before(self, images: Float[Tensor, "batch channel height width"], stage: str) -> Hidden:
        """What `stage` (one of `UNET_STAGES`) sees of `images`."""
        return self.between((images,), UNET_STAGES[0], stage)

    def logits_from(self, hidden: Hidden, stage: str) -> Float[Tensor, "batch class height width"]:
        """Logits by `stage` and all after it, of what `hidden_before` gave for `stage`."""
        for name in UNET_STAGES[UNET_STAGES.index(stage) :]:
            hidden = self._run_stage(name, hidden)
        logits: Tensor = self.output(hidden[-1])
        return logits

    def between(self, hidden: Hidden, begin: str, end: str) -> Hidden:
        """What stage `end` sees, of what stage `begin` saw."""
        for name in UNET_STAGES[UNET_STAGES.index(begin) : UNET_STAGES.index(end)]:
            hidden = self._run_stage(name, hidden)
        return hidden

    def _run_stage(self, stage: str, hidden: Hidden) -> Hidden:
        *skips, last = hidden
        match stage:
            case "1":
                return (_run(self.block1, last),)
            case "2" | "3" | "4":
                return (*hidden, _run(self._block(stage), functional.max_pool2d(last, 2)))
            case "5a":
                return (*hidden, convolve_relu(self.block5a, functional.max_pool2d(last, 2)))
            case "5b":
                return (*skips, convolve_relu(self.block5b, last))
            case "dropout":
                return (*skips, functional.dropout(last, DROPOUT, training=self.training))
        return (*skips[:-1], _open(self._block(stage), last, skips[-1]))

    def _block(self, unit: str) -> nn.ModuleList:
        return cast(nn.ModuleList, self.get_submodule(f"block{unit}"))


def _convolutions(modules: list[nn.Module]) -> list[nn.Module]:
    return [found for module in modules for found in module.modules() if isinstance(found, nn.Conv2d)]


def _pair(inputs: int, outputs: int) -> nn.ModuleList:
    return nn.ModuleList([nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)])


def _opening(inputs: int, outputs: int) -> nn.ModuleList:
    """The 2x2 convolution after an upsampling and the two 3x3 convolutions of the block that it opens."""
    return nn.ModuleList([nn.Conv2d(inputs, outputs, 2), *_pair(2 * outputs, outputs)])


def _run(convolutions: Iterable[nn.Module], hidden: Tensor) -> Tensor:
    for convolution in convolutions:
        hidden = convolve_relu(cast(nn.Conv2d, convolution), hidden)
    return hidden


def _open(block: nn.ModuleList, hidden: Tensor, skip: Tensor) -> Tensor:
    hidden = functional.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False)
    hidden = convolve_relu(cast(nn.Conv2d, block[0]), functional.pad(hidden, (0, 1, 0, 1)))
    return _run([block[1], block[2]], torch.cat((skip, hidden), dim=1))
