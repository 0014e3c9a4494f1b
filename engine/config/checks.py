"""What a study must satisfy beyond the types of its fields. Pure; needs no torch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from math import isfinite

from engine.architectures import CLASSIFIERS, STRATEGIES, UNITS, Strategy, parse_strategy
from engine.config.class_checks import task_checks, training_checks
from engine.config.mistakes import Mistake, at_least, between, non_negative_seed, unique, unused
from engine.config.reading import Key, dotted
from engine.errors import StrategyError
from engine.permission import OWN_NETWORK
from engine.splits import full_pool_percent
from engine.splits.pool import FULL_POOL_TOLERANCE
from engine.study_settings import Study, start_name

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}", re.ASCII)
LARGEST_WIDTH = 256
IMAGE_SIZE_STEP = 16
"""The U-Net halves its input four times."""
MOST_REPEATS = 10


def check(study: Study) -> list[Mistake]:
    """Every mistake of `study`, in the order of its fields; empty where it can be planned."""
    checks = (
        _name, _model, _data, _start_weights, _encoder, _axes, _folds, _training, _gradual, task_checks, training_checks
    )  # fmt: skip
    return [mistake for part in checks for mistake in part(study)]


def parsed_strategies(study: Study) -> list[Strategy]:
    """The strategies of `study`, in its order. Raises StrategyError at the first unknown one."""
    return [parse(study, text) for text in study.strategies]


def has_known_units(study: Study) -> bool:
    """Whether strategies can be read without building the network: those of one of ours, or with its units named."""
    return study.model.name in UNITS or bool(study.model.units)


def default_strategies(study: Study) -> list[str]:
    """The strategies of a study that names none: the paper's thirteen; of another network whole, each unit, scratch."""
    if study.model.name in STRATEGIES:
        return list(STRATEGIES[study.model.name])
    units = [parse(study, unit).name for unit in study.model.units]
    return list(dict.fromkeys(["whole network", *units, "from scratch"]))


def parse(study: Study, text: str) -> Strategy:
    """The strategy that `text` names for the study's network. Raises StrategyError with the known names."""
    units = tuple(study.model.units)
    return parse_strategy(text, study.model.name, units) if units else parse_strategy(text, study.model.name)


def _name(study: Study) -> Iterator[Mistake]:
    if not NAME.fullmatch(study.name):
        remedy = re.sub(r"[^A-Za-z0-9_-]+", "-", study.name).strip("-_")[:80] or "my-study"
        yield Mistake(
            key=("name",),
            text=f"'name' is '{study.name}'; expected letters, digits, '-' and '_', 80 at most, such as '{remedy}'",
        )


def _model(study: Study) -> Iterator[Mistake]:
    name, units = study.model.name, study.model.units
    if name not in UNITS and not OWN_NETWORK.fullmatch(name):
        near = get_close_matches(name.lower(), UNITS, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        yield Mistake(
            key=("model", "name"),
            text=f"'model.name' is '{name}'; {hint}expected one of {', '.join(UNITS)}, or 'package.module:build' for "
            "your own network",
        )
    if units and name in UNITS:
        yield Mistake(
            key=("model", "units"),
            text=f"'model.units' has no use with '{name}', whose units are known; remove it",
            needs=(("model", "name"),),
        )
    yield from between(("model", "width"), study.model.width, 1, LARGEST_WIDTH)
    size = study.model.image_size
    if name in CLASSIFIERS:
        yield from between(("model", "image_size"), size, 32, 1024)
    elif not 32 <= size <= 2048 or size % IMAGE_SIZE_STEP:
        nearest = min(2048, max(32, (size + IMAGE_SIZE_STEP // 2) // IMAGE_SIZE_STEP * IMAGE_SIZE_STEP))
        yield Mistake(
            key=("model", "image_size"),
            text=f"'model.image_size' is {size}; expected a multiple of 16 from 32 to 2048, such as {nearest}",
        )


def _data(study: Study) -> Iterator[Mistake]:
    data = study.data
    if data.kind != "folder":
        least = max(2, study.folds.of)
        if data.images < least:
            yield Mistake(
                key=("data", "images"),
                text=f"'data.images' is {data.images}; expected {least} or more, one per fold",
                needs=(("folds", "of"),),
            )
    if data.kind == "simulated":
        if data.folder is not None:
            yield unused(("data",), "folder", "simulated", "folder")
        if data.where:
            yield unused(("data",), "where", "simulated", "folder")
        if data.mask != ("mask",):
            yield unused(("data",), "mask", "simulated", "folder")
    yield from non_negative_seed(("data", "seed"), data.seed)
    yield from _columns(("data",), data.mask, data.where)


def _columns(section: Key, mask: Sequence[str], where: Mapping[str, Sequence[str]]) -> Iterator[Mistake]:
    yield from unique((*section, "mask"), mask)
    for place, column in enumerate(mask):
        if not column.strip():
            key = (*section, "mask", place)
            yield Mistake(key=key, text=f"'{dotted(key)}' is empty; expected the name of a manifest column")
    for column, values in where.items():
        yield from unique((*section, "where", column), values)


def _start_weights(study: Study) -> Iterator[Mistake]:
    first: dict[str, int] = {}
    for place, start in enumerate(study.start_weights):
        section: Key = ("start_weights", place)
        for needed in ("folder", "file"):
            given = getattr(start, needed)
            # With `where`, start weights can come from other rows of the study's own folder.
            own = needed == "folder" and bool(start.where) and study.data.kind == "folder"
            if start.kind == needed and given is None and not own:
                yield Mistake(
                    key=(*section, "kind"),
                    text=f"'start_weights.kind' is '{needed}', but no {needed} is named; add 'start_weights.{needed}'",
                    needs=((*section, needed), (*section, "where")),
                )
            if start.kind != needed and given is not None:
                yield unused(section, needed, start.kind, needed)
        if start.where and start.kind != "folder":
            yield unused(section, "where", start.kind, "folder")
        yield from _columns(section, start.mask, start.where)
        yield from at_least((*section, "images"), start.images, 10)
        yield from non_negative_seed((*section, "seed"), start.seed)
        yield from at_least((*section, "batches"), start.batches, 1)
        yield from at_least((*section, "batch_size"), start.batch_size, 1)
        name = start_name(start)
        if name in first:
            yield Mistake(
                key=section,
                text=f"'start_weights' has two sections called '{name}'; give each a 'name' of its own",
            )
        first.setdefault(name, place)


def _encoder(study: Study) -> Iterator[Mistake]:
    if not study.encoder.name.strip():
        yield Mistake(key=("encoder", "name"), text="'encoder.name' is empty; expected an encoder such as 'resnet18'")
    for place, text in enumerate(study.strategies if study.encoder.weights is None else ()):
        if "frozen encoder" in text.lower():
            yield Mistake(
                key=("strategies", place),
                text=f"'strategies' has '{text}', but no weights for the encoder, which would stay random; add "
                "'encoder: {weights: FILE}'",
                needs=(("encoder", "weights"),),
            )


def _axes(study: Study) -> Iterator[Mistake]:
    yield from _strategies(study)
    of = study.folds.of
    largest = full_pool_percent(of) if of >= 2 and study.split.by != "given" else 100.0
    yield from unique(("fractions",), study.fractions)
    for place, fraction in enumerate(study.fractions):
        if not 0 < fraction <= largest + FULL_POOL_TOLERANCE:
            yield Mistake(
                key=("fractions", place),
                text=f"'fractions' has {fraction:g}; expected percent of the whole data set, more than 0 and at most "
                f"{largest:.4g}: with {of} folds the rest is the test fold",
                needs=(("folds", "of"),),
            )
    yield from unique(("learning_rates",), study.learning_rates)
    for place, rate in enumerate(study.learning_rates):
        if not (rate > 0 and isfinite(rate)):
            yield Mistake(
                key=("learning_rates", place),
                text=f"'learning_rates' has {rate:g}; expected a number above 0, such as 1e-4",
            )
    yield from _rate_search(study)
    yield from _search(study)
    yield from unique(("seeds",), study.seeds)
    for place, seed in enumerate(study.seeds):
        yield from non_negative_seed(("seeds", place), seed)
    yield from between(("repeat_failed",), study.repeat_failed, 0, MOST_REPEATS)


def _rate_search(study: Study) -> Iterator[Mistake]:
    search = study.rate_search
    if search is None:
        return
    if not (0 < search.low < search.high and isfinite(search.high)):
        yield Mistake(
            key=("rate_search", "low"),
            text=f"'rate_search' runs from {search.low:g} to {search.high:g}; expected 0 < low < high",
            needs=(("rate_search", "high"),),
        )
    if search.draws <= len(study.learning_rates):
        yield Mistake(
            key=("rate_search", "draws"),
            text=f"'rate_search.draws' is {search.draws}; expected more than the {len(study.learning_rates)} of "
            "'learning_rates', which are tried first",
            needs=(("learning_rates",),),
        )
    yield from non_negative_seed(("rate_search", "seed"), search.seed)


def _search(study: Study) -> Iterator[Mistake]:
    search, training = study.search, study.training
    if search.kind == "random" and search.draws is None:
        yield Mistake(
            key=("search", "draws"),
            text="'search.kind' is 'random', but not how many; add 'draws', such as 'draws: 20'",
        )
    if search.draws is not None:
        yield from at_least(("search", "draws"), search.draws, 1)
        if search.kind == "grid":
            yield Mistake(
                key=("search", "draws"),
                text="'search.draws' has no use while 'search.kind' is 'grid'; remove it, or write 'kind: random'",
                needs=(("search", "kind"),),
            )
    yield from non_negative_seed(("search", "seed"), search.seed)
    yield from between(("search", "grace"), search.grace, 1, 200)
    yield from between(("search", "reduction"), search.reduction, 2, 10)
    if search.scheduler != "fifo" and (study.split.validation == 0 or training.iterations is not None):
        yield Mistake(
            key=("search", "scheduler"),
            text=f"'search.scheduler' is '{search.scheduler}', which compares trials on validation images, and "
            "this study trains for fixed iterations; write 'scheduler: fifo'",
            needs=(("split", "validation"), ("training", "iterations")),
        )


def _strategies(study: Study) -> Iterator[Mistake]:
    if not 0 < study.margin < 1:
        yield Mistake(key=("margin",), text=f"'margin' is {study.margin:g}; expected a Dice between 0 and 1, as 0.01")
    if not has_known_units(study):
        return
    first_text: dict[str, str] = {}
    for place, text in enumerate(study.strategies):
        key = ("strategies", place)
        try:
            strategy = parse(study, text)
        except StrategyError as error:
            yield Mistake(key=key, text=_as_list(text, study) or "; ".join(error.problems))
            continue
        if strategy.name in first_text:
            earlier = first_text[strategy.name]
            both = (
                f"'{earlier}' and '{text}', which are both '{strategy.name}'" if text != earlier else f"'{text}' twice"
            )
            yield Mistake(key=key, text=f"'strategies' has {both}; remove one of them")
        first_text.setdefault(strategy.name, text)
    try:
        parse(study, study.reference)
    except StrategyError as error:
        yield Mistake(key=("reference",), text=f"'reference': {'; '.join(error.problems)}", needs=(("model", "name"),))


def _as_list(text: str, study: Study) -> str | None:
    """The line for `contracting, expanding` written without brackets."""
    parts = [part.strip() for part in text.split(",")]
    try:
        for part in parts:
            parse(study, part)
    except StrategyError:
        return None
    return f"'strategies' has '{text}', which is several; write [{', '.join(parts)}]"


def _folds(study: Study) -> Iterator[Mistake]:
    of, run = study.folds.of, study.folds.run
    yield from between(("folds", "of"), of, 1 if study.split.by == "given" else 2, 1000)
    if of > 0:  # else there are none to name
        yield from unique(("folds", "run"), run)
    for place, fold in enumerate(run):
        if not 0 <= fold < of:
            yield Mistake(
                key=("folds", "run", place),
                text=f"'folds.run' has {fold}; expected 0 to {of - 1}: folds are counted from 0, and there are {of}",
                needs=(("folds", "of"),),
            )
    yield from non_negative_seed(("split", "seed"), study.split.seed)


def _training(study: Study) -> Iterator[Mistake]:
    training, resources = study.training, study.resources
    yield from at_least(("training", "batch_size"), training.batch_size, 1)
    yield from at_least(("training", "patience"), training.patience, 1)
    yield from between(("training", "max_epochs"), training.max_epochs, 1, 200)
    yield from at_least(("training", "unfreeze_every"), training.unfreeze_every, 1)
    if training.batches_per_epoch is not None:
        yield from at_least(("training", "batches_per_epoch"), training.batches_per_epoch, 1)
    if training.augmentation is not None:
        for name in ("shift", "zoom"):
            value = getattr(training.augmentation, name)
            yield from between(("training", "augmentation", name), value, 0, 0.5)
    if resources.cpu is not None:
        yield from at_least(("resources", "cpu"), resources.cpu, 1)
    if resources.at_once is not None:
        yield from at_least(("resources", "at_once"), resources.at_once, 1)
    gpu = resources.gpu
    if gpu is not None and not (0 <= gpu <= 1 or (isfinite(gpu) and gpu > 1 and gpu == int(gpu))):
        yield Mistake(
            key=("resources", "gpu"),
            text=f"'resources.gpu' is {gpu:g}; expected a part of one GPU such as 0.25, a whole number of GPUs, or "
            "0 for the processor; leave it out to let the machine decide",
        )


def _gradual(study: Study) -> Iterator[Mistake]:
    training, units = study.training, UNITS.get(study.model.name, tuple(study.model.units))
    last = 1 + (len(units) - 1) * training.unfreeze_every
    if last > training.max_epochs and any("gradual" in text.lower() for text in study.strategies):
        fits = (training.max_epochs - 1) // max(1, len(units) - 1)
        remedy = f"write 'unfreeze_every: {fits}', or add epochs" if fits else f"it takes {len(units)} epochs at least"
        yield Mistake(
            key=("training", "unfreeze_every"),
            text=f"'training.unfreeze_every' is {training.unfreeze_every}, so the first block begins to learn in epoch "
            f"{last}, after 'training.max_epochs' {training.max_epochs}; {remedy}",
            needs=(("training", "max_epochs"), ("strategies",)),
        )
