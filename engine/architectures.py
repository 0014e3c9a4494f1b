"""Units of each network, strategies by name, exact parameter counts. Needs no torch.

A unit is a part of a network that learns or stays frozen as a whole; units partition the parameters.
A strategy says which units learn, how (all at once, one after the other, through adapters), and from which weights.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal

from engine.errors import StrategyError

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

SMP_UNITS = ("encoder", "decoder", "head")
"""Units of the U-Net of segmentation-models-pytorch."""

Start = Literal["start weights", "random", "encoder"]
Method = Literal["fine-tune", "gradual unfreezing", "LoRA"]
"""How the units of a strategy learn: all at once, one after the other from the output on, or through adapters."""


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """Which units learn, how, and from which weights they begin."""

    name: str
    """As in the paper where it has a name, else `blocks 1,2,5a`."""
    units: tuple[str, ...]
    """Units that learn, shallow to deep; every other unit is frozen."""
    start: Start = "start weights"
    """`encoder`: the file with the encoder's weights where the study names one; all other weights are random."""
    method: Method = "fine-tune"
    rank: int = 0
    """Rank of the adapters (LoRA), else 0."""
    network: Literal["study", "smp"] = "study"
    """The study's own network, or the U-Net of segmentation-models-pytorch."""


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
        Strategy(name="smp U-Net", units=SMP_UNITS, start="encoder", network="smp"),
        Strategy(name="smp U-Net, frozen encoder", units=SMP_UNITS[1:], start="encoder", network="smp"),
    )
}
"""Rows beside the paper's, run only where a study names them (docs/networks.md). LoRA takes any rank."""

UNITS: dict[str, tuple[str, ...]] = {"unet": UNET_UNITS}
STRATEGIES: dict[str, dict[str, Strategy]] = {"unet": UNET_STRATEGIES}

_LORA = re.compile(r"lora(?: rank)? (\d+)(?: on (.+))?", re.IGNORECASE)
_LORA_REMEDY = "write 'LoRA rank 4', or with the blocks that get adapters 'LoRA rank 4 on blocks 1-4'"


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
    return {unit: sum(_parameters(*shapes[name]) for name in names) for unit, names in UNET_CONVOLUTIONS.items()}


def _parameters(kernel: int, inputs: int, outputs: int) -> int:
    return kernel * kernel * inputs * outputs + outputs


def parse_strategy(text: str, model: str = "unet", units: Sequence[str] | None = None) -> Strategy:
    """The strategy that `text` names: a known name, `LoRA rank 8 on contracting`, or a set of units.

    Sets are written `blocks 1,2,8-9`, `5a` or `convolutions 1-5`. A block with several units stands for all of
    them (`5` is `5a` and `5b`); a range follows the order of the units. A set that equals a named strategy comes
    back under that name, and convolutions that make up whole blocks as these blocks.

    `units` are the names of another network's units, input to output (`units stem,head`). While they are not known
    (None, a network that says them itself), any text comes back as a strategy without units, to be parsed again.

    Raises StrategyError with the known names where the text means nothing.
    """
    cleaned = " ".join(str(text).split())
    order = UNITS.get(model, tuple(units or ()))
    named = _named(model, order)
    known = {name.lower(): strategy for name, strategy in named.items()}
    if cleaned.lower() in known:
        return known[cleaned.lower()]
    if cleaned.lower().split(" ")[0] == "lora":
        return _lora(cleaned, model, units)
    if model in UNITS and (found := re.fullmatch(r"convolutions? (.+)", cleaned, re.IGNORECASE)):
        return _of_convolutions(found[1], cleaned, named)
    if model not in UNITS and not order and cleaned:
        return Strategy(name=cleaned, units=())
    for unit in order if model not in UNITS else ():
        if "," in unit or unit != " ".join(unit.split()):
            raise StrategyError(f"unit '{unit}' has a comma or spaces in its name; rename it, commas separate units")
    word = "block" if model in UNITS else "unit"
    bodies = dict.fromkeys([cleaned, re.sub(r"^(blocks?|units?)\s+", "", cleaned, flags=re.IGNORECASE)])
    for body in bodies:
        chosen = _chosen(body, order, lambda end: _units_of(end, order), cleaned, word)
        if chosen is not None:
            return _named_as(chosen, named, _name_of(chosen, word))
    raise StrategyError(_unknown(cleaned, order, named, word))


def _named(model: str, order: tuple[str, ...]) -> dict[str, Strategy]:
    """Strategies that have a name for a network with these units."""
    if model in STRATEGIES:
        return {**STRATEGIES[model], **EXTRA}
    own = {name: UNET_STRATEGIES[name] for name in ("whole network", "from scratch")} | EXTRA
    return {
        name: strategy if strategy.network == "smp" else replace(strategy, units=order)
        for name, strategy in own.items()
    }


def _chosen(
    body: str, order: tuple[str, ...], units_of: Callable[[str], tuple[str, ...]], text: str, word: str
) -> tuple[str, ...] | None:
    """The units that `1,2,8-9` names, in their order; None where a part of it names none."""
    chosen: set[str] = set()
    for part in (part.strip() for part in body.split(",")):
        # A unit's own name may have a hyphen, so every hyphen is tried as the range's.
        cuts = [(part, part), *((part[: m.start()].strip(), part[m.end() :].strip()) for m in re.finditer("-", part))]
        ends = next(((units_of(a), units_of(b)) for a, b in cuts if units_of(a) and units_of(b)), None)
        if ends is None:
            return None
        first, last = order.index(ends[0][0]), order.index(ends[1][-1])
        if first > last:
            raise StrategyError(
                f"strategy '{text}': the range '{part}' runs backwards; write the shallower {word} first"
            )
        chosen.update(order[first : last + 1])
    return tuple(unit for unit in order if unit in chosen)


def _units_of(block: str, order: tuple[str, ...]) -> tuple[str, ...]:
    """The unit of this name, or those of the U-Net's block 5."""
    if block in order:
        return (block,)
    return ("5a", "5b") if block == "5" and order == UNET_UNITS else ()


def _of_convolutions(body: str, text: str, named: dict[str, Strategy]) -> Strategy:
    order = tuple(name for names in UNET_CONVOLUTIONS.values() for name in names)
    numbers = {str(number): (name,) for number, name in enumerate(order, start=1)}
    chosen = _chosen(body, order, lambda end: numbers.get(end, ()), text, "convolution")
    if chosen is None:
        raise StrategyError(
            f"strategy '{text}': the convolutions are counted from 1 (input) to {len(order)} (output); "
            "write them as 'convolutions 1-5' or 'convolutions 3,9'"
        )
    whole = tuple(unit for unit, names in UNET_CONVOLUTIONS.items() if set(names) <= set(chosen))
    if len(chosen) == sum(len(UNET_CONVOLUTIONS[unit]) for unit in whole):
        return _named_as(whole, named, _name_of(whole, "block"))
    runs: list[list[int]] = []
    for number in (order.index(name) + 1 for name in chosen):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    said = ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)
    return Strategy(name=f"convolution{'s' if len(chosen) > 1 else ''} {said}", units=chosen)


def _named_as(units: tuple[str, ...], named: dict[str, Strategy], name: str) -> Strategy:
    plain = Strategy(name=name, units=units)
    return next((known for known in named.values() if replace(known, name=name) == plain), plain)


def _name_of(units: tuple[str, ...], word: str) -> str:
    text = ",".join(units)
    text = text.replace("5a,5b", "5") if word == "block" else text
    return f"{word}s {text}" if "," in text else f"{word} {text}"


def _lora(text: str, model: str, units: Sequence[str] | None) -> Strategy:
    found = _LORA.fullmatch(text)
    if not found or int(found[1]) < 1:
        raise StrategyError(f"strategy '{text}': adapters have a rank of 1 or more; {_LORA_REMEDY}")
    on = parse_strategy(found[2] or "whole network", model, units)
    if replace(on, name="", units=()) != Strategy(name="", units=()):
        raise StrategyError(f"strategy '{text}': '{on.name}' is no set of blocks; {_LORA_REMEDY}")
    rank = int(found[1])
    strategy = replace(on, name=f"LoRA rank {rank} on {on.name}", method="LoRA", rank=rank)
    if model in UNITS and not trainable_parameters(strategy, model, 1):
        raise StrategyError(f"strategy '{text}': the 1x1 output convolution takes no adapter; {_LORA_REMEDY}")
    return replace(strategy, name=f"LoRA rank {rank}") if on.name == "whole network" else strategy


def _unknown(text: str, order: tuple[str, ...], named: dict[str, Strategy], word: str) -> str:
    names = {name.lower(): name for name in (*named, *order)}
    near = get_close_matches(text.lower(), names, n=1)
    hint = f"did you mean '{names[near[0]]}'? " if near else ""
    example = "1,2,8-9" if word == "block" else ",".join(order[:2])
    finer = ", of convolutions such as 'convolutions 1-5' of 1 to 23" if word == "block" else ""
    return (
        f"unknown strategy '{text}'; {hint}known: {'; '.join(named)}; "
        f"or any set of {word}s such as '{word}s {example}' of {', '.join(order)}{finer}"
    )


def parameters(model: str, width: int) -> dict[str, int]:
    """Exact number of parameters of each unit of `model`. Raises StrategyError where only torch can count them."""
    if model != "unet":
        raise StrategyError(f"unknown model '{model}'; known: {', '.join(UNITS)}")
    return unet_parameters(width)


def trainable_parameters(strategy: Strategy, model: str, width: int, *, classes: int = 1) -> int:
    """Number of parameters that learn under `strategy`, with `classes` structures.

    An adapter of rank r beside a k x k convolution has r (k k inputs + outputs) (Hu et al. 2021, Section 4.1).
    Raises StrategyError for networks that only torch can count (segmentation-models-pytorch, a user's own).
    """
    if strategy.network != "study":
        raise StrategyError(f"strategy '{strategy.name}': the parameters of this network are counted when it is built")
    parameters(model, width)
    shapes = unet_convolutions(width, classes=output_channels(classes))
    chosen = [shapes[name] for unit in strategy.units for name in UNET_CONVOLUTIONS.get(unit, (unit,))]
    if strategy.method == "LoRA":
        return sum(strategy.rank * (kernel**2 * inputs + outputs) for kernel, inputs, outputs in chosen if kernel > 1)
    return sum(_parameters(*shape) for shape in chosen)


def strategy_table(model: str = "unet", width: int = 64) -> list[dict[str, str | int | float | None]]:
    """A row per strategy, the paper's in its order first: what learns, of how many (Amiri et al. 2020, Table II, top).

    Counts are None for the networks of segmentation-models-pytorch, which only torch can count.
    """
    total = sum(parameters(model, width).values())
    rows: list[dict[str, str | int | float | None]] = []
    for strategy in (*STRATEGIES[model].values(), *EXTRA.values()):
        trainable = trainable_parameters(strategy, model, width) if strategy.network == "study" else None
        rows.append(
            {
                "strategy": strategy.name,
                "trainable_parameters": trainable,
                "total_parameters": None if trainable is None else total,
                "fraction": None if trainable is None else round(trainable / total, 6),
            }
        )
    return rows
