"""From what a study file says to a strategy: names, sets of units, adapters. Needs no torch."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from engine.architectures.classifiers import (
    CLASSIFIER_STRATEGIES,
    CLASSIFIER_UNITS,
    CLASSIFIERS,
    classifier_strategies,
)
from engine.architectures.counting import extra_strategies, trainable_parameters
from engine.architectures.strategy import Strategy
from engine.architectures.unet import EXTRA, UNET_CONVOLUTIONS, UNET_STRATEGIES, UNET_UNITS
from engine.errors import StrategyError

UNITS: dict[str, tuple[str, ...]] = {"unet": UNET_UNITS, **CLASSIFIER_UNITS}
STRATEGIES: dict[str, dict[str, Strategy]] = {"unet": UNET_STRATEGIES, **CLASSIFIER_STRATEGIES}

_LORA = re.compile(r"lora(?: rank)? (\d+)(?: on (.+))?", re.IGNORECASE)


def unit_names(model: str) -> tuple[str, ...]:
    """Units of one of our networks, input to output. Raises StrategyError for another, which only torch can name."""
    if model not in UNITS:
        raise StrategyError(f"unknown model '{model}'; known: {', '.join(UNITS)}")
    return UNITS[model]


def parse_strategy(text: str, model: str = "unet", units: Sequence[str] | None = None) -> Strategy:
    """The strategy that `text` names: a known name, `LoRA rank 8 on contracting`, or a set of units.

    Sets are written `blocks 1,2,8-9`, `5a` or `convolutions 1-5`; of another network than the U-Net
    `units conv1,fc8`, `fc6-fc8`. A block with several units stands for all of them (`5` is `5a` and `5b`); a range
    follows the order of the units. A set that equals a named strategy comes back under that name (the first unit of
    a classifier as `first unit`), and convolutions that make up whole blocks as these blocks.

    `units` are the names of another network's units, input to output (`units stem,head`). While they are not known
    (None, a network that says them itself), any text comes back as a strategy without units, to be parsed again.

    Raises StrategyError with the known names where the text means nothing.
    """
    cleaned = " ".join(str(text).split())
    order = UNITS.get(model, tuple(units or ()))
    named = named_strategies(model, order)
    if cleaned.lower() in named:
        return named[cleaned.lower()]
    if cleaned.lower() == "statistics only" and model in CLASSIFIERS:
        raise StrategyError(
            f"strategy '{cleaned}': {CLASSIFIERS[model].title} has no normalisation, so it keeps no statistics; "
            "leave it out, or choose mobilenet or cvcnet"
        )
    if cleaned.lower().split(" ")[0] == "lora":
        return _lora(cleaned, model, units)
    if model == "unet" and (found := re.fullmatch(r"convolutions? (.+)", cleaned, re.IGNORECASE)):
        return _of_convolutions(found[1], cleaned, named)
    if model not in UNITS and not order and cleaned:
        return Strategy(name=cleaned, units=())
    for unit in order if model not in UNITS else ():
        if "," in unit or unit != " ".join(unit.split()):
            raise StrategyError(f"unit '{unit}' has a comma or spaces in its name; rename it, commas separate units")
    word = _word(model)
    bodies = dict.fromkeys([cleaned, re.sub(r"^(blocks?|units?)\s+", "", cleaned, flags=re.IGNORECASE)])
    for body in bodies:
        written = body.lower() if model in CLASSIFIERS else body
        chosen = _chosen(written, order, lambda end: _units_of(end, order), cleaned, word)
        if chosen is not None:
            return _named_as(chosen, named, _name_of(chosen, word))
    raise StrategyError(_unknown(cleaned, order, model, named))


def named_strategies(model: str, order: tuple[str, ...] = ()) -> dict[str, Strategy]:
    """Strategies that have a name for a network, by each of their names in lower case.

    `order` are the units of a user's own network.
    """
    if model == "unet":
        found = {**UNET_STRATEGIES, **EXTRA}
    elif model in CLASSIFIERS:
        return {**classifier_strategies(model), **{s.name.lower(): s for s in extra_strategies(model)}}
    else:
        own = {name: UNET_STRATEGIES[name] for name in ("whole network", "from scratch")} | EXTRA
        found = {
            name: strategy if strategy.network == "smp" else replace(strategy, units=order)
            for name, strategy in own.items()
        }
    return {name.lower(): strategy for name, strategy in found.items()}


def _word(model: str) -> str:
    """What texts call a unit: the U-Net's are blocks."""
    return "block" if model == "unet" else "unit"


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


def _of_convolutions(body: str, text: str, named: Mapping[str, Strategy]) -> Strategy:
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


def _named_as(units: tuple[str, ...], named: Mapping[str, Strategy], name: str) -> Strategy:
    plain = Strategy(name=name, units=units)
    return next((known for known in named.values() if replace(known, name=name) == plain), plain)


def _name_of(units: tuple[str, ...], word: str) -> str:
    text = ",".join(units)
    text = text.replace("5a,5b", "5") if word == "block" else text
    return f"{word}s {text}" if "," in text else f"{word} {text}"


def _lora(text: str, model: str, units: Sequence[str] | None) -> Strategy:
    found, word = _LORA.fullmatch(text), _word(model)
    example = f"units {UNITS[model][0]}-{UNITS[model][2]}" if model in CLASSIFIERS else "blocks 1-4"
    remedy = f"write 'LoRA rank 4', or with the {word}s that get adapters 'LoRA rank 4 on {example}'"
    if not found or int(found[1]) < 1:
        raise StrategyError(f"strategy '{text}': adapters have a rank of 1 or more; {remedy}")
    on = parse_strategy(found[2] or "whole network", model, units)
    if replace(on, name="", units=()) != Strategy(name="", units=()):
        raise StrategyError(f"strategy '{text}': '{on.name}' is no set of {word}s; {remedy}")
    rank = int(found[1])
    strategy = replace(on, name=f"LoRA rank {rank} on {on.name}", method="LoRA", rank=rank)
    if model in UNITS and not trainable_parameters(strategy, model, 2, classes=2):
        none = "fully connected layers take" if model in CLASSIFIERS else "the 1x1 output convolution takes"
        raise StrategyError(f"strategy '{text}': {none} no adapter; {remedy}")
    return replace(strategy, name=f"LoRA rank {rank}") if on.name == "whole network" else strategy


def _unknown(text: str, order: tuple[str, ...], model: str, named: Mapping[str, Strategy]) -> str:
    names = {unit.lower(): unit for unit in order} | {name: strategy.name for name, strategy in named.items()}
    near = get_close_matches(text.lower(), names, n=1)
    hint = f"did you mean '{names[near[0]]}'? " if near else ""
    word = _word(model)
    if model in CLASSIFIERS:
        named = {strategy.name: strategy for strategy in (*STRATEGIES[model].values(), *extra_strategies(model))}
        known = f"{'; '.join(named)}; 'first k units' and 'last k units', k from 1 to {len(order)}"
    else:
        known = "; ".join(strategy.name for strategy in named.values())
    example = "1,2,8-9" if model == "unet" else ",".join(order[:2])
    finer = ", of convolutions such as 'convolutions 1-5' of 1 to 23" if model == "unet" else ""
    return (
        f"unknown strategy '{text}'; {hint}known: {known}; "
        f"or any set of {word}s such as '{word}s {example}' of {', '.join(order)}{finer}"
    )
