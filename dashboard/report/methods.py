"""What was done, in paragraphs that a paper could use. Every number comes from the study's plan, facts and results.

What an older store does not say is left out.
"""

import hashlib
import json
import re
from dataclasses import dataclass

import pandas as pd

from dashboard.figures.cells import in_table
from dashboard.figures.rows import rows
from dashboard.figures.shared_folds import has_shared_folds
from dashboard.figures.table1 import of_study
from dashboard.report import class_methods
from dashboard.report.findings import Findings
from dashboard.report.settings_words import augmentation, failures, only, rates
from dashboard.report.words import counted, listed, number
from engine.published import CITATION
from engine.significance import FEWEST_FOLDS
from engine.trial import AS_PRETRAINED

NAMES = {"whichlayers": "WhichLayers", "torch": "PyTorch", "ray": "Ray", "numpy": "NumPy", "python": "Python"}


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """A paragraph of the methods."""

    heading: str
    text: str


def methods(findings: Findings) -> list[Paragraph]:
    """Data, network, training, evaluation, statistics, software: paragraphs without empty ones."""
    of_classes = findings.main.task == "classification"
    made = (
        ("Data", _data(findings)),
        ("Network and start weights", [*(class_methods.network if of_classes else _network)(findings),
                                       *_starts(findings)]),
        ("Strategies", _strategies(findings)),
        ("Training", (class_methods.training if of_classes else _training)(findings)),
        ("Evaluation", (class_methods.evaluation if of_classes else _evaluation)(findings)),
        ("Statistics", (class_methods.statistics if of_classes else _statistics)(findings)),
        ("Software and hardware", _software(findings)),
    )  # fmt: skip
    return [Paragraph(heading=heading, text=" ".join(said)) for heading, said in made if said]


def _data(findings: Findings) -> list[str]:
    data, plan = findings.facts["data"], findings.plan
    name = str(data["name"])
    told = re.sub(r" \(`[^)]*\)", "", str(data.get("provenance") or ""))  # without what a command would tell
    told = told.rstrip(".").removeprefix(name).lstrip(": ")
    said = [f"The target images were {name}{f': {told}' if told else ''}."]
    images, groups = int(data.get("images") or 0), int(data.get("groups") or 0)
    if groups:
        of = f"{counted(groups, 'group', digits=True)} (patients or studies, as the data name them)"
        said.append(f"The {counted(images, 'image', digits=True)} are of {of}.")
    elif images and f"{images} " not in told and f"{images:,} " not in told:
        said.append(f"There are {counted(images, 'image', digits=True)}.")
    if (labels := data.get("labels")) and findings.main.task == "segmentation":
        said.append(f"Labels: {listed([f'{label} ({count:,})' for label, count in labels.items()])}.")
    if findings.main.task == "classification":
        return [*said, *class_methods.images(findings), *_splits(findings)]
    if len(structures := data.get("structures") or []) > 1:
        said.append(f"{counted(len(structures), 'structure').capitalize()} were learned: {listed(structures)}.")
    said.append(f"Images were resized to {only(plan, 'image_size')} × {only(plan, 'image_size')} pixels.")
    return said + _splits(findings)


def _splits(findings: Findings) -> list[str]:
    plan, of = findings.plan, findings.of
    together = ", so that no group had images both in a test set and in what was trained or validated on"
    by = f"by {plan['split_by'].iloc[0]}{together if plan['split_by'].iloc[0] == 'group' else ''}"
    own = not has_shared_folds(findings.facts)
    seed = (
        "a split seed of its own for every strategy and fraction" if own else f"split seed {only(plan, 'split_seed')}"
    )
    if (plan["split_by"] == "given").all():
        return ["Training and test images are those that the data name.", *_sizes(findings)]
    said = [f"They were shared out at random into {counted(of, 'fold')}, {by} ({seed})."]
    ran = sorted({int(fold) for fold in plan["fold"]})
    which = "Every fold" if len(ran) == of else f"{number(len(ran)).capitalize()} of them"
    said.append(f"{which} {'was' if len(ran) in (1, of) else 'were each'} the test set once.")
    fractions = [f"{fraction:g} %" for fraction in sorted(set(in_table(plan)["fraction"]), reverse=True)]
    validates = float(plan["validation"].max()) > 0
    said.append(
        f"{'Training and validation' if validates else 'Training'} images were a pool of {listed(fractions)} of all "
        "images, from the other folds."
    )
    return [*said, *_sizes(findings)]


def _sizes(findings: Findings) -> list[str]:
    sizes = [
        f"{row.training} for training, {row.validation} for validation and {row.test} for testing ({row.part})"
        for row in rows(of_study(findings.facts).rename(columns={"part of the images": "part"}))
    ]
    said = [f"The numbers of images were {'; '.join(sizes)}."] if sizes else []
    note = findings.facts["data"].get("split_note")
    return said + ([f"Splits: {str(note).rstrip('.')}."] if note else [])


def _network(findings: Findings) -> list[str]:
    plan = in_table(findings.plan)
    said, structures = list[str](), int(plan["classes"].max())
    output = "a sigmoid" if structures == 1 else f"a softmax over background and {counted(structures, 'structure')}"
    for model in dict.fromkeys(plan["model"]):
        part = plan[plan["model"] == model]
        size = f"{only(part, 'width')} filters in its first block"
        if model == "unet":
            said.append(f"The network was the U-Net of {CITATION.short} (doi:{CITATION.doi}) with {size} and {output}.")
        elif model == "smp":
            encoder = listed(sorted(set(part["encoder"]) - {""}))
            names = listed(list(dict.fromkeys(part["strategy"])))
            said.append(f"For {names} it was the U-Net of segmentation-models-pytorch with the encoder {encoder}.")
        else:
            said.append(f"The network was {model} with {output}.")
    return said


def _starts(findings: Findings) -> list[str]:
    plan, facts, said = in_table(findings.plan), findings.facts, list[str]()
    starts = [start for start in facts.get("start_weights") or [] if start.get("description")]
    for start in starts:
        told = str(start["description"]).rstrip(".")
        named = f"The start weights “{start['name']}” were" if len(starts) > 1 else "The start weights were"
        said.append(f"{named} {told}.")
    if (plan["start"] == "").any() and (plan["start_weights"].isna()).any():
        random = listed(list(dict.fromkeys(plan.loc[plan["start_weights"].isna(), "strategy"])))
        said.append(f"Random initial weights were used for {random}.")
    return said


def _strategies(findings: Findings) -> list[str]:
    plan, cells = in_table(findings.plan), findings.cells
    names = list(dict.fromkeys(cells["strategy"]))
    said = [f"{counted(len(names), 'strategy').capitalize().replace('strategys', 'strategies')} "
            f"{'was' if len(names) == 1 else 'were'} tried: {listed(names)}."]  # fmt: skip
    known = cells[cells["trainable"] > 0]
    if len(known) and known["total"].nunique() == 1:
        low, high, total = (int(n) for n in (known["trainable"].min(), known["trainable"].max(), known["total"].max()))
        most = "all" if high == total else f"{high:,}"
        spread = most if low == high else f"between {low:,} ({100 * low / total:.2g} %) and {most}"
        said.append(f"They train {spread} of the network's {counted(total, 'parameter', digits=True)}.")
    if (plan["method"] == "LoRA").any():
        ranks = sorted({str(rank) for rank in plan.loc[plan["method"] == "LoRA", "rank"]}, key=int)
        said.append(f"Low-rank adapters had rank {listed(ranks)} and were merged into the network at the best epoch.")
    if (plan["method"] == "gradual unfreezing").any():
        every = int(plan.loc[plan["method"] == "gradual unfreezing", "unfreeze_every"].max())
        said.append(f"Gradual unfreezing let one more block learn every {counted(every, 'epoch')}, from the output on.")
    if (plan["method"] == "auto rates").any():
        said.append(
            "The strategy auto trained all units, each at the learning rate times the norm of its gradient over that "
            "of its parameters, as a part of the largest such ratio, measured before every epoch on five batches of "
            "training images (Auto-RGN, Lee et al. 2022)."
        )
    trained = findings.attempts[findings.attempts["id"].isin(plan["id"])]
    hashed = trained[trained["frozen_hash_before"].fillna("") != ""]
    if len(hashed) and (hashed["frozen_hash_before"] == hashed["frozen_hash_after"]).all():
        said.append("Frozen parameters had the same SHA-256 before and after every training.")
    return said


def _training(findings: Findings) -> list[str]:
    plan = in_table(findings.plan)
    loss = "binary cross entropy" if int(plan["classes"].max()) == 1 else "cross entropy"
    steps = only(plan, "batches_per_epoch")
    said = [
        f"Networks were trained with Adam and {loss}, in batches of {only(plan, 'batch_size')} images and {steps} "
        f"batches per epoch whatever the fraction, until the validation loss had not fallen for "
        f"{only(plan, 'patience')} epochs, and for {only(plan, 'max_epochs')} epochs at most; the weights of the "
        "epoch with the lowest validation loss were kept.",
        *rates(findings),
        augmentation(plan),
        *_kept_views(plan),
    ]
    if len(seeds := sorted(set(plan["seed"]))) > 1:
        said.append(f"Each fold was trained with {counted(len(seeds), 'seed')}, whose results were averaged first.")
    return [*said, *failures(findings)]


def _kept_views(plan: pd.DataFrame) -> list[str]:
    kept = plan[plan["crops_kept"].fillna(0) > 0] if "crops_kept" in plan else plan[:0]
    if not len(kept):
        return []
    names = listed([f"'{name}'" for name in dict.fromkeys(kept["strategy"])])
    views = counted(int(kept["crops_kept"].max()), "random view")
    return [
        f"For {names} what the frozen layers make of {views} of each training image, with one dropout draw each, "
        "was computed once."
    ]


def _evaluation(findings: Findings) -> list[str]:
    trials, several = findings.trials, int(in_table(findings.plan)["classes"].max()) > 1
    said = [
        "Dice was measured at the network's image size, "
        + ("by the most probable class" if several else "at a probability of one half")
        + ", as the mean over the test images with a structure"
        + (" of the mean over the structures that are there" if several else "")
        + "; tables give mean and standard deviation (n − 1) over folds.",
        "Stopping, the choice of weights and any choice of learning rates used validation images only.",
    ]
    if (trials["normal_images"].fillna(0) > 0).any():
        said.append(
            "Test images without a structure are no part of it; how many of them had anything predicted is told."
        )
    if trials["hd95"].notna().any():
        units = sorted({unit for unit in trials["hd95_unit"].dropna() if unit})
        undefined = int(trials["hd95_undefined"].fillna(0).sum())
        without = f", undefined for {undefined:,} empty predictions, which are counted and not averaged"
        said.append(
            f"HD95 is the 95 % Hausdorff distance of the outlines at the source's size in {listed(units)}"
            f"{without if undefined else ''}."
        )
    if (findings.plan["strategy"] == AS_PRETRAINED).any():
        said.append("The start weights were tested on the same folds as they are, without fine-tuning.")
    return said


def _statistics(findings: Findings) -> list[str]:
    ran = findings.ran
    if ran < FEWEST_FOLDS:
        return [
            f"With {counted(ran, 'fold')} there is no test and no interval: how much results vary from fold to fold "
            f"cannot be told from fewer than {number(FEWEST_FOLDS)}."
        ]
    notes = dict.fromkeys(row.recommendation.note for row in findings.rows if row.recommendation and len(row.images))
    compared = [row for row in findings.rows if row.images["strategy"].nunique() > 1]
    if not compared:
        return []
    units = "groups of images" if findings.facts["data"].get("groups") else "images"
    tukey = f"as in {CITATION.short}, Tukey's HSD over folds, which share training images."
    beside = [
        "Beside them stand the corrected resampled t test over folds (Nadeau & Bengio 2003) with Holm's correction "
        f"and, {tukey}"
    ]
    if not has_shared_folds(findings.facts):
        beside = [
            "Folds were drawn anew for each of them, so images were paired whatever their fold; no test pairs folds.",
            f"Beside them stands, {tukey}",
        ]
    return [
        f"Strategies were compared by their paired differences of Dice on the same test images, with "
        f"bootstrap intervals over {units}.",
        f"The recommendation is the cheapest strategy whose loss against {findings.reference}, the reference that the "
        f"study file names, has a one-sided 95 % bound within {findings.margin:g} Dice, corrected for the number of "
        "cheaper strategies; a difference that is not significant was not taken for equality.",
        *[f"Bounds: {note}." for note in list(notes)[:1]],
        *beside,
    ]


def _software(findings: Findings) -> list[str]:
    facts, plan = findings.facts, in_table(findings.plan)
    versions, machine = facts.get("versions") or {}, facts.get("machine") or {}
    used = [f"{NAMES.get(name, name)} {version}" for name, version in versions.items()]
    said = [f"Made with {listed(used)}."] if used else []
    if machine.get("processor"):
        parts = [str(machine["processor"])]
        parts += [counted(int(machine["cores"]), "core", digits=True)] if machine.get("cores") else []
        parts += [f"{machine['memory_gb']:g} GB of memory"] if machine.get("memory_gb") else []
        parts += [str(machine["gpu"])] if machine.get("gpu") else []
        said.append(f"The machine: {', '.join(parts)}.")
    device = {"cpu": "the processor", "cuda": "the GPU"}.get(str(plan["device"].iloc[0]), str(plan["device"].iloc[0]))
    said.append(f"Networks were trained on {device} in {only(plan, 'precision')}.")
    seconds = float(findings.attempts["seconds"].sum())
    if seconds:
        said.append(f"All trainings together took {_hours(seconds)} of wall time.")
    return said


def hashes(findings: Findings) -> dict[str, str]:
    """SHA-256 of the data (masks too where there are any), of each start weights, and of who is in each test set."""
    of = "images and masks" if findings.main.task == "segmentation" else "images"
    found = {of: str(findings.facts["data"].get("fingerprint") or "")}
    for start in findings.facts.get("start_weights") or []:
        found["start weights" + (f" {start['name']}" if start.get("name") else "")] = str(start.get("sha256") or "")
    found["test sets"] = hash_of_test_sets(findings)
    return {name: value for name, value in found.items() if value}


def hash_of_test_sets(findings: Findings) -> str:
    """SHA-256 of the JSON list of [fold, places of its test images in the data set]; "" before any fold is tested.

    Where every strategy and fraction has folds of its own, of [strategy, fraction, fold, places].
    """
    images = findings.images
    by = ["fold"] if has_shared_folds(findings.facts) else ["strategy", "fraction", "fold"]
    if not len(images):
        return ""
    sets = [
        [*(part if isinstance(part, tuple) else (part,)), sorted({int(index) for index in own["index"]})]
        for part, own in images.groupby(by, sort=True)
    ]
    text = json.dumps(sets, separators=(",", ":"), default=float)
    return hashlib.sha256(text.encode()).hexdigest()


def _hours(seconds: float) -> str:
    if seconds < 90:
        return counted(round(seconds), "second", digits=True)
    return counted(round(seconds / 60), "minute", digits=True) if seconds < 5400 else f"{seconds / 3600:,.1f} hours"
