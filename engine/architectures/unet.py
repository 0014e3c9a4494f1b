"""The U-Net of Amiri et al. 2020: units, convolutions, strategies of the paper. Needs no torch."""

from collections.abc import Collection

from engine.architectures.strategy import Start, Strategy

UNET_UNITS = ("1", "2", "3", "4", "5a", "5b", "6", "7", "8", "9")
"""The U-Net's ten units, input to output (Amiri et al. 2020, Fig. 1).

5a and 5b are the first and second convolution of block 5; the 2x2 convolution after an upsampling
belongs to the block that it opens; the 1x1 output convolution is in 9.
"""

UNET_CONVOLUTIONS: dict[str, tuple[str, ...]] = {
    **{block: (f"{block}.1", f"{block}.2") for block in "1234"},
    "5a": ("5.1",),
    "5b": ("5.2",),
    **{block: (f"{block}.1", f"{block}.2", f"{block}.3") for block in "678"},
    "9": ("9.1", "9.2", "9.3", "9.4"),
}
"""The finer partition: the convolutions of each unit, input to output; 9.4 is the output convolution.

Texts count the same 23 through, as `convolution 1` (1.1) to `convolution 23` (9.4). A strategy is in units or in
convolutions, never in both: a set of convolutions that makes up whole units is the set of these units.
"""

UNET_DROPOUT = "dropout"
UNET_STAGES = (*UNET_UNITS[:6], UNET_DROPOUT, *UNET_UNITS[6:])
"""What an image goes through: the units and, between 5b and 6, the dropout."""

SMP_UNITS = ("encoder", "decoder", "head")
"""Units of the U-Net of segmentation-models-pytorch."""


def _unet(name: str, units: str, start: Start = "start weights") -> tuple[str, Strategy]:
    return name, Strategy(name=name, units=tuple(units.split()), start=start)


UNET_STRATEGIES: dict[str, Strategy] = dict(
    [
        _unet("whole network", "1 2 3 4 5a 5b 6 7 8 9"),
        _unet("contracting", "1 2 3 4 5a"),
        _unet("expanding", "5b 6 7 8 9"),
        _unet("all except block 5", "1 2 3 4 6 7 8 9"),
        _unet("block 5", "5a 5b"),
        _unet("blocks 1,2,8,9", "1 2 8 9"),
        _unet("blocks 3-7", "3 4 5a 5b 6 7"),
        _unet("block 1", "1"),
        _unet("block 9", "9"),
        _unet("blocks 1,9", "1 9"),
        _unet("blocks 1,2", "1 2"),
        _unet("blocks 3,4", "3 4"),
        _unet("from scratch", "1 2 3 4 5a 5b 6 7 8 9", "random"),
    ]
)
"""The thirteen strategies in the order of Amiri et al. 2020, Table II."""

EXTRA: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy(name="gradual unfreezing", units=UNET_UNITS, method="gradual unfreezing"),
        Strategy(name="LoRA rank 4", units=UNET_UNITS, method="LoRA", rank=4),
        Strategy(name="auto", units=UNET_UNITS, method="auto rates"),
        Strategy(name="smp U-Net", units=SMP_UNITS, start="encoder", network="smp"),
        Strategy(name="smp U-Net, frozen encoder", units=SMP_UNITS[1:], start="encoder", network="smp"),
    )
}
"""Rows beside the paper's, run only where a study names them (docs/networks.md). LoRA takes any rank."""


def output_channels(classes: int) -> int:
    """Channels that a network gives: one for one structure (sigmoid), else background and structures (softmax)."""
    return 1 if classes == 1 else classes + 1


def unet_convolutions(width: int, *, channels: int = 1, classes: int = 1) -> dict[str, tuple[int, int, int]]:
    """Kernel side, input and output channels of each of the U-Net's 23 convolutions, input to output."""
    down = [width * 2**level for level in range(5)]
    shapes: dict[str, tuple[int, int, int]] = {}
    for block, (inputs, outputs) in enumerate(zip([channels, *down[:4]], down, strict=True), start=1):
        shapes[f"{block}.1"], shapes[f"{block}.2"] = (3, inputs, outputs), (3, outputs, outputs)
    for block, outputs in zip(range(6, 10), reversed(down[:4]), strict=True):
        shapes[f"{block}.1"] = (2, 2 * outputs, outputs)
        shapes[f"{block}.2"], shapes[f"{block}.3"] = (3, 2 * outputs, outputs), (3, outputs, outputs)
    shapes["9.4"] = (1, width, classes)
    return shapes


def unet_parameters(width: int, *, channels: int = 1, classes: int = 1) -> dict[str, int]:
    """Exact number of parameters of each unit of the U-Net at `width` filters in block 1."""
    shapes = unet_convolutions(width, channels=channels, classes=classes)
    return {
        unit: sum(convolution_parameters(*shapes[name]) for name in names) for unit, names in UNET_CONVOLUTIONS.items()
    }


def convolution_parameters(kernel: int, inputs: int, outputs: int) -> int:
    """Weights and biases of a convolution with a square kernel."""
    return kernel * kernel * inputs * outputs + outputs


def first_learning_stage(units: Collection[str]) -> str | None:
    """The first of the U-Net's units that learns, where `units` (or finer ones) do; None where none does."""
    coarse = {fine: unit for unit, names in UNET_CONVOLUTIONS.items() for fine in names}
    learning = {coarse.get(unit, unit) for unit in units}
    return next((unit for unit in UNET_STAGES if unit in learning), None)


def unet_hidden_numbers(width: int, side: int, stage: str) -> int:
    """Numbers per image of `side` x `side` that `stage` sees: the skips still to be used, and the map before it."""
    level = {"1": 0, "2": 1, "3": 2, "4": 3, "5a": 4, "5b": 4, UNET_DROPOUT: 4, "6": 4, "7": 3, "8": 2, "9": 1}[stage]
    if stage == "1":
        return side**2
    skips = sum((width << place) * (side >> place) ** 2 for place in range(level))
    if stage in ("2", "3", "4", "5a"):
        return skips  # the last of them is the map before
    return skips + (width << level) * (side >> level) ** 2
