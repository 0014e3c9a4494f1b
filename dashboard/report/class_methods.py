"""The methods of a classification study in words: classes and crops, network, training, evaluation, statistics."""

import json

from dashboard.figures.answer import network_name
from dashboard.figures.cells import in_table
from dashboard.figures.shared_folds import has_shared_folds
from dashboard.report.findings import Findings
from dashboard.report.settings_words import augmentation, failures, only, rates
from dashboard.report.words import counted, listed, number
from engine import reader_study
from engine.datasets.kept_crop import kept_crop
from engine.published import cheng2017, pasdeloup2018
from engine.significance import FEWEST_FOLDS
from engine.trial import AS_PRETRAINED

NORMALISED = ("cvcnet", "mobilenet")
"""Networks with batch normalisation, whose frozen units keep running statistics."""
OPTIMISERS = {"adam": "Adam", "sgd": "stochastic gradient descent"}


def images(findings: Findings) -> list[str]:
    """Classes, scanners, and how a frame became what the network sees."""
    data, plan = findings.facts["data"], in_table(findings.plan)
    labels = data.get("labels") or {}
    names = [str(name) for name in data.get("classes") or labels]
    told = [f"{name} ({labels[name]:,})" if name in labels else name for name in names]
    said = [f"{_classes(len(names)).capitalize()} were told apart: {listed(told)}."] if told else []
    scanners = [f"{name} ({count:,})" for name, count in (data.get("scanners") or {}).items()]
    said += [f"Scanners: {listed(scanners)}."] if len(scanners) > 1 else []
    size = only(plan, "image_size")
    squares = _squares(findings)
    said.append(f"{f'{squares} and' if squares else 'Images were'} resized to {size} × {size} pixels, as gray values.")
    crops = sorted({int(side) for side in plan["crop"]} - {0})
    if crops:
        side = listed([f"{crop} × {crop}" for crop in crops])
        said.append(f"Of these the network saw {side} pixels: at random places in training, in the centre in tests.")
    if plan["subtract_mean"].any():
        said.append("The mean of the fold's training images was subtracted.")
    return said


def network(findings: Findings) -> list[str]:
    """The networks with their parameters; what of normalisation and of the output layer is frozen or new."""
    plan, said = in_table(findings.plan), list[str]()
    for model in dict.fromkeys(plan["model"]):
        part = plan[plan["model"] == model]
        name = network_name(str(model))
        said.append(
            f"The network was {name}, width {only(part, 'width')}, with a softmax over "
            f"{_classes(int(part['classes'].max()))}."
        )
    if plan["model"].isin(NORMALISED).any():
        follow = list(dict.fromkeys(plan.loc[plan["statistics"] == "update", "strategy"]))
        kept = "Frozen normalisation layers kept the running statistics of their start weights"
        if len(follow) == plan["strategy"].nunique():
            said.append("Running statistics of frozen normalisation layers followed the training images.")
        else:
            said.append(f"{kept}{f', but in {listed(follow)}' if follow else ''}.")
        if (plan["method"] == "statistics only").any():
            said.append("Where statistics alone are adapted, no parameter learned: they followed the training images.")
    if plan["new_output"].any():
        said.append("The start weights tell other classes apart, so the output layer began at random.")
    return said


def training(findings: Findings) -> list[str]:
    """Optimiser, batches, length, rates, augmentation, and what became of the trainings."""
    plan = in_table(findings.plan)
    optimiser = OPTIMISERS[str(plan["optimiser"].iloc[0])]
    momentum, decay = float(plan["momentum"].max()), float(plan["weight_decay"].max())
    more = [f"momentum {momentum:g}"] * (momentum > 0) + [f"weight decay {decay:g}"] * (decay > 0)
    how = f"{optimiser}{f' ({listed(more)})' if more else ''} and cross entropy, in batches of "
    how += f"{only(plan, 'batch_size')} images"
    iterations = int(plan["iterations"].max())
    if iterations:
        length = f"for {iterations:,} iterations without early stopping; the last weights were kept."
    else:
        length = (
            f"{only(plan, 'batches_per_epoch')} batches per epoch whatever the fraction, until the validation loss had "
            f"not fallen for {only(plan, 'patience')} epochs, and for {only(plan, 'max_epochs')} epochs at most; the "
            "weights of the epoch with the lowest validation loss were kept."
        )
    said = [f"Networks were trained with {how}, {length}", *rates(findings)]
    factors = json.loads(str(plan["unit_rates"].iloc[0]) or "{}")
    if factors:
        named = listed([f"{unit} {factor:g} times" for unit, factor in factors.items()])
        said.append(f"Of it these units had a multiple: {named}.")
    moved = bool(plan[["shift", "zoom", "flip"]].astype(float).to_numpy().any())
    cut = bool(plan["crop"].max())
    said.append("Beyond the crops, training images were not changed." if cut and not moved else augmentation(plan))
    views = int(plan["crops_kept"].max()) if moved or cut else 1
    if views:
        each = counted(views, "random view") if moved or cut else "the whole"
        said.append(
            f"Where the first layers are frozen, what they make of an image was computed once: of {each} of each "
            "training image, and of the centre of every other."
        )
    if len(seeds := sorted(set(plan["seed"]))) > 1:
        said.append(f"Each fold was trained with {counted(len(seeds), 'seed')}, whose results were averaged first.")
    return [*said, *failures(findings)]


def evaluation(findings: Findings) -> list[str]:
    """What accuracy and the other measures are, and who else classified the test images."""
    validated = "Stopping, the choice of weights and any choice of learning rates used validation images only."
    said = [
        "Accuracy is the part of the test images whose most probable class is the true one; Table II gives mean and "
        "standard deviation (n − 1) over folds, other tables and figures the part of all folds' test images together "
        "where they say so.",
        "Top-2 accuracy counts an image whose class is among the two most probable ones; balanced accuracy is the mean "
        "over the classes in the test set of the part that is right.",
        "No test image decided anything; the last weights counted."
        if int(in_table(findings.plan)["iterations"].max())
        else validated,
    ]
    if findings.trials["kept_accuracy"].notna().any():
        said.append("What is left of the old task is accuracy on the start weights' own held-out images.")
    if (findings.plan["strategy"] == AS_PRETRAINED).any():
        said.append("The start weights were tested on the same folds as they are, without fine-tuning.")
    return [*said, *_persons(findings)]


def _persons(findings: Findings) -> list[str]:
    people = reader_study.summary(findings.store, findings.study)
    people, frames = people[people["answered"] > 0], reader_study.kept_frames(findings.store, findings.study)
    if not len(people) or frames is None:
        return []
    least, most = int(people["answered"].min()), int(people["answered"].max())
    number_of = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    where = "of all folds" if frames.fold is None else f"of fold {frames.fold}"
    told = "being told the class after each" if frames.feedback else "without being told the class"
    return [
        f"{counted(len(people), 'person').capitalize()} classified {number_of} of {len(frames.frames):,} test images "
        f"{where}, in a random order of their own and {told}; labelled images of other groups could be opened."
    ]


def statistics(findings: Findings) -> list[str]:
    """Intervals, the recommendation, and the tests beside it; why there are none with few folds."""
    ran, given = findings.ran, bool((findings.plan["split_by"] == "given").all())
    groups = bool(findings.facts["data"].get("groups"))
    units = "groups of images" if groups else "images"
    intervals = f"Intervals of accuracies are by bootstrap over {units}, on the scale of log-odds with t."
    if ran < FEWEST_FOLDS and not given:
        return [
            f"With {counted(ran, 'fold')} there is no test and no interval: how much results vary from fold to fold "
            f"cannot be told from fewer than {number(FEWEST_FOLDS)}."
        ]
    if given and ran < FEWEST_FOLDS:
        return [
            f"{intervals} Test images were given and no training saw one; how much another training of the same "
            "network would change an accuracy is not in the intervals.",
            *_as_published(findings),
        ]
    notes = dict.fromkeys(row.recommendation.note for row in findings.rows if row.recommendation and len(row.images))
    if not any(row.images["strategy"].nunique() > 1 for row in findings.rows):
        return [intervals] if len(findings.images) else []
    return [
        intervals,
        "Strategies were compared by their paired differences of accuracy (1 or 0) on the same test images, with "
        f"bootstrap intervals over {units}.",
        f"The recommendation is the cheapest strategy whose loss against {findings.reference}, the reference that the "
        f"study file names, has a one-sided 95 % bound within {findings.margin:g} accuracy, corrected for the number "
        "of cheaper strategies; a difference that is not significant was not taken for equality.",
        *[f"Bounds: {note}." for note in list(notes)[:1]],
        *_as_published(findings),
    ]


def _as_published(findings: Findings) -> list[str]:
    said = ["McNemar's tests of the counts, which take images as independent, are corrected by Holm."]
    if has_shared_folds(findings.facts) and findings.ran >= FEWEST_FOLDS:
        said.append("The corrected resampled t test over folds (Nadeau & Bengio 2003) stands beside, with Holm too.")
    tests = [
        f"the chi-square test with Yates' correction ({cheng2017.CITATION.short}), which ignores pairing and groups"
    ]
    if findings.ran >= FEWEST_FOLDS:
        tests.append(f"Tukey's HSD over folds, which share training images (after {pasdeloup2018.CITATION.short})")
    return [*said, f"As published: {listed(tests)}."]


def _squares(findings: Findings) -> str:
    """What was cut out of frames before they were resized, or ""."""
    crop = kept_crop(findings.text)
    if crop is None or crop == "square":
        return "The largest central square of each image was cut out" if crop else ""
    sides = listed([f"{side} pixels of {scanner}" for scanner, side in crop.items()])
    return f"The central square of each image ({sides}) was cut out"


def _classes(count: int) -> str:
    return counted(count, "class").replace("classs", "classes")
