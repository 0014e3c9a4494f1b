"""What a study of classes must satisfy beyond the types of its fields, and what it takes where it says nothing."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

from engine.architectures import CLASSIFIERS, UNITS, default_crop, default_image_size, default_width
from engine.config.mistakes import Mistake, at_least, between, unused
from engine.config.reading import Key
from engine.study_settings import StartSettings, Study

CLASS_VIEWS = 8
"""Random views per image whose frozen layers are kept where classes are told apart and a file names no number."""
CLASS_STARTS = ("formula-driven images", "cardiac phantoms", "abdominal phantoms", "folder", "file", "library")
"""Start weights of classifiers."""
MASK_STARTS = ("natural-like images", "simulated ultrasound", "folder", "file")
"""Start weights of segmentation networks."""
PHANTOMS = ("cardiac phantoms", "abdominal phantoms")


def fill_defaults(tree: dict[str, Any]) -> None:
    """Put into the plain values of a study file what its network takes where the file says nothing."""
    model = tree.get("model")
    if not isinstance(model, dict) or model.get("name") not in CLASSIFIERS:
        return
    name = model["name"]
    model.setdefault("width", default_width(name))
    model.setdefault("image_size", default_image_size(name))
    if tree.setdefault("data", {}).setdefault("learn", "labels") != "labels":
        return
    if tree.get("split", {}).get("by") == "given":
        tree.setdefault("folds", {}).setdefault("of", 1)
    # The paper's crop belongs to the paper's size.
    crop = default_crop(name) if model["image_size"] == default_image_size(name) else 0
    training = tree.setdefault("training", {})
    training.setdefault("crop", crop or None)
    training.setdefault("crops_kept", CLASS_VIEWS)
    for start in tree.setdefault("start_weights", [{}]):
        for key, value in (("kind", "formula-driven images"), ("batch_size", 32), ("batches", 2000)):
            start.setdefault(key, value)


def task_checks(study: Study) -> Iterator[Mistake]:
    """Mistakes about what is learned: network, data and start weights must speak of the same task."""
    labels, name = study.data.learn == "labels", study.model.name
    if labels != (name in CLASSIFIERS):
        yield Mistake(
            key=("model", "name"),
            text=f"'model.name' is '{name}', which {'outlines structures' if labels else 'tells classes apart'}; write "
            + (f"one of {', '.join(CLASSIFIERS)} for 'learn: labels'" if labels else "'data: {learn: labels}'"),
            needs=(("data", "learn"),),
        )
    if labels:
        yield from _data_of_labels(study)
    else:
        yield from _without_use(study)
    allowed = CLASS_STARTS if labels else MASK_STARTS
    for place, start in enumerate(study.start_weights):
        if start.kind not in allowed:
            yield Mistake(
                key=("start_weights", place, "kind"),
                text=f"'start_weights.kind' is '{start.kind}', which holds no {study.data.learn}; expected one of "
                f"{', '.join(allowed)}",
                needs=(("data", "learn"),),
            )
        if start.kind == "formula-driven images":
            yield from _formula(("start_weights", place), start)


def training_checks(study: Study) -> Iterator[Mistake]:
    """Mistakes about optimiser, iterations, validation and views."""
    training, split = study.training, study.split
    yield from between(("split", "validation"), split.validation, 0, 50)
    if split.validation == 0 and training.iterations is None:
        yield Mistake(
            key=("split", "validation"),
            text="'split.validation' is 0, so nothing says when to stop; add 'training: {iterations: 1000}'",
            needs=(("training", "iterations"),),
        )
    if split.by == "given":
        if study.folds.of != 1:
            yield Mistake(
                key=("folds", "of"),
                text=f"'folds.of' is {study.folds.of}, but 'split.by: given' has one test set; "
                "write 'folds: {of: 1}'",
                needs=(("split", "by"),),
            )
        if split.new_folds:
            yield Mistake(
                key=("split", "new_folds"),
                text="'split.new_folds' has no use while 'split.by' is 'given'; remove one of them",
                needs=(("split", "by"),),
            )
    for key, value in (("iterations", training.iterations), ("rates_for_batch", training.rates_for_batch)):
        if value is not None:
            yield from at_least(("training", key), value, 1)
    if training.rates_for_batch and study.rate_search:
        yield Mistake(
            key=("training", "rates_for_batch"),
            text="'training.rates_for_batch' has no use with 'rate_search', which finds rates for the batch that it "
            "has; remove one of them",
            needs=(("rate_search",),),
        )
    yield from between(("training", "momentum"), training.momentum, 0, 0.999)
    yield from between(("training", "weight_decay"), training.weight_decay, 0, 1)
    yield from between(("training", "crops_kept"), training.crops_kept, 0, 64)
    if training.crop is not None:
        yield from between(("training", "crop"), training.crop, 16, study.model.image_size)
    units = UNITS.get(study.model.name, tuple(study.model.units))
    for unit, factor in training.unit_rates.items():
        if units and unit not in units:
            yield Mistake(
                key=("training", "unit_rates", unit),
                text=f"'training.unit_rates' names '{unit}'; {study.model.name} has {', '.join(units)}",
                needs=(("model", "name"),),
            )
        if not (factor > 0 and isfinite(factor)):
            yield Mistake(
                key=("training", "unit_rates", unit),
                text=f"'training.unit_rates' has {factor:g} for '{unit}'; expected a factor above 0, such as 10",
            )


def _data_of_labels(study: Study) -> Iterator[Mistake]:
    data = study.data
    if data.kind == "simulated":
        yield Mistake(
            key=("data", "kind"),
            text=f"'data.kind' is 'simulated', which has masks and no classes; write one of {', '.join(PHANTOMS)}",
            needs=(("data", "learn"),),
        )
    if data.kind in PHANTOMS:
        for name, empty in (("folder", None), ("where", {}), ("crop", {}), ("square", False)):
            if getattr(data, name) != empty:
                yield unused(("data",), name, data.kind, "folder")
    if data.crop and data.square:
        yield Mistake(
            key=("data", "square"),
            text="'data.square' is yes, and 'data.crop' names the sides of squares; remove one of them",
            needs=(("data", "crop"),),
        )
    for scanner, side in data.crop.items():
        yield from at_least(("data", "crop", scanner), side, 16)


def _without_use(study: Study) -> Iterator[Mistake]:
    """Settings of classification in a study of masks."""
    data, training = study.data, study.training
    wrong = {
        ("data", "kind"): data.kind in PHANTOMS,
        ("data", "crop"): bool(data.crop),
        ("data", "square"): data.square,
        ("training", "crop"): training.crop is not None,
        ("training", "subtract_mean"): training.subtract_mean,
        ("split", "by"): study.split.by == "given",
    }
    for key, said in wrong.items():
        if said:
            value = getattr(getattr(study, key[0]), key[1])
            yield Mistake(
                key=key,
                text=f"'{'.'.join(key)}' is {value}, which has no use with 'learn: masks'; remove it, or write "
                "'data: {learn: labels}'",
                needs=(("data", "learn"),),
            )


def _formula(section: Key, start: StartSettings) -> Iterator[Mistake]:
    yield from at_least((*section, "classes"), start.classes, 2)
    if start.classes >= 2 and start.images < 10 * start.classes:
        yield Mistake(
            key=(*section, "images"),
            text=f"'start_weights.images' is {start.images} for {start.classes} classes; expected 10 or more of each",
            needs=((*section, "classes"),),
        )
