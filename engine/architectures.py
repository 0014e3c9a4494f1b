"""Units of each network, strategies by name, exact parameter counts. Needs no torch.

A unit is a part of a network that learns or stays frozen as a whole; units partition the parameters.
A strategy is a set of units, and whether training begins from start weights or from random ones.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from engine.errors import StrategyError

UNET_UNITS = ("1", "2", "3", "4", "5a", "5b", "6", "7", "8", "9")
"""The U-Net's ten units, input to output (Amiri et al. 2020, Fig. 1).

5a and 5b are the first and second convolution of block 5; the 2x2 convolution after an upsampling
belongs to the block that it opens; the 1x1 output convolution is in 9.
"""

Start = Literal["start weights", "random"]


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """Which units learn, and from which weights they begin."""

    name: str
    """As in the paper where it has a name, else `blocks 1,2,5a`."""
    units: tuple[str, ...]
    """Units that learn, shallow to deep; every other unit is frozen."""
    start: Start = "start weights"


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

UNITS: dict[str, tuple[str, ...]] = {"unet": UNET_UNITS}
STRATEGIES: dict[str, dict[str, Strategy]] = {"unet": UNET_STRATEGIES}


def _convolution(kernel: int, inputs: int, outputs: int) -> int:
    return kernel * kernel * inputs * outputs + outputs


def unet_parameters(width: int, *, channels: int = 1, classes: int = 1) -> dict[str, int]:
    """Exact number of parameters of each unit of the U-Net at `width` filters in block 1."""
    down = [width * 2**level for level in range(5)]
    counts: dict[str, int] = {}
    for block, (inputs, outputs) in enumerate(zip([channels, *down[:3]], down[:4], strict=True), start=1):
        counts[str(block)] = _convolution(3, inputs, outputs) + _convolution(3, outputs, outputs)
    counts["5a"] = _convolution(3, down[3], down[4])
    counts["5b"] = _convolution(3, down[4], down[4])
    for block, outputs in zip(range(6, 10), reversed(down[:4]), strict=True):
        counts[str(block)] = (
            _convolution(2, 2 * outputs, outputs)
            + _convolution(3, 2 * outputs, outputs)
            + _convolution(3, outputs, outputs)
        )
    counts["9"] += _convolution(1, width, classes)
    return counts


def parse_strategy(text: str, model: str = "unet") -> Strategy:
    """The strategy that `text` names: a name of the paper, or a set of units as `blocks 1,2,8-9` or `5a`.

    A block with several units stands for all of them (`5` is `5a` and `5b`); a range follows the order
    of the units. A set that equals a named strategy comes back under that name.

    Raises StrategyError with the known names where the text means nothing.
    """
    named = STRATEGIES[model]
    cleaned = " ".join(str(text).split())
    if cleaned.lower() in named:
        return named[cleaned.lower()]
    body = re.sub(r"^(blocks?|units?)\s+", "", cleaned, flags=re.IGNORECASE)
    chosen: set[str] = set()
    for part in body.split(","):
        ends = [_units_of(end.strip(), model) for end in part.split("-")]
        if len(ends) > 2 or not all(ends):
            raise StrategyError(_unknown(cleaned, model))
        order = UNITS[model]
        first, last = order.index(ends[0][0]), order.index(ends[-1][-1])
        if first > last:
            raise StrategyError(
                f"strategy '{cleaned}': the range '{part.strip()}' runs backwards; write the shallower block first"
            )
        chosen.update(order[first : last + 1])
    units = tuple(unit for unit in UNITS[model] if unit in chosen)
    for strategy in named.values():
        if strategy.units == units and strategy.start == "start weights":
            return strategy
    return Strategy(name=_name_of(units), units=units)


def _units_of(block: str, model: str) -> tuple[str, ...]:
    units = UNITS[model]
    if block in units:
        return (block,)
    return tuple(unit for unit in units if re.fullmatch(re.escape(block) + "[a-z]", unit)) if block else ()


def _name_of(units: tuple[str, ...]) -> str:
    text = ",".join(units).replace("5a,5b", "5")
    return f"blocks {text}" if "," in text else f"block {text}"


def _unknown(text: str, model: str) -> str:
    names = list(STRATEGIES[model])
    near = get_close_matches(text.lower(), names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return (
        f"unknown strategy '{text}'; {hint}known: {'; '.join(names)}; "
        f"or any set of blocks such as 'blocks 1,2,8-9' of {', '.join(UNITS[model])}"
    )


def parameters(model: str, width: int) -> dict[str, int]:
    """Exact number of parameters of each unit of `model`."""
    if model != "unet":
        raise StrategyError(f"unknown model '{model}'; known: {', '.join(UNITS)}")
    return unet_parameters(width)


def trainable_parameters(strategy: Strategy, model: str, width: int) -> int:
    """Number of parameters that learn under `strategy`."""
    counts = parameters(model, width)
    return sum(counts[unit] for unit in strategy.units)


def strategy_table(model: str = "unet", width: int = 64) -> list[dict[str, str | int | float]]:
    """A row per strategy in the paper's order: what learns, of how many (Amiri et al. 2020, Table II, top)."""
    total = sum(parameters(model, width).values())
    return [
        {
            "strategy": strategy.name,
            "trainable_parameters": (trainable := trainable_parameters(strategy, model, width)),
            "total_parameters": total,
            "fraction": round(trainable / total, 6),
        }
        for strategy in STRATEGIES[model].values()
    ]
