"""A model card in Markdown (Mitchell et al. 2019, 10.1145/3287560.3287596): what a trained network is, and is not."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from engine.classifying import LoadedClassifier
from engine.inference import said
from engine.predicting import TrainedNetwork
from engine.significance.intervals import Scale
from engine.significance.resampling import bootstrap_interval
from engine.store import Store, latest
from engine.trial_images import TrialImages

NOT_DIAGNOSIS = "For research, not for diagnosis. Not a medical device."
MEASURES: dict[str, tuple[tuple[str, str, Scale], ...]] = {
    "segmentation": (("Dice", "dice", "part"), ("IoU", "iou", "part"), ("Hausdorff distance, 95 %", "hd95", "amount")),
    "classification": (("accuracy", "accuracy", "part"), ("right within two", "top2", "part")),
}
SETTINGS = (
    "method", "learning_rate", "unit_rates", "optimiser", "momentum", "weight_decay", "batch_size", "max_epochs",
    "batches_per_epoch", "patience", "iterations", "shift", "zoom", "flip", "statistics", "precision", "seed",
)  # fmt: skip


def model_card(
    store: Store,
    network: TrainedNetwork,
    trial: dict[str, Any],
    images: TrialImages | None,
    *,
    file: Path,
    form: str,
    compared: str,
) -> str:
    """The card of an exported file. `images` None: the study's images are gone, so that splits have no hashes."""
    model = network.model
    facts = store.facts(model.study)
    attempts = store.attempts(model.study)
    found = latest(attempts[attempts["id"] == model.trial_id])
    row: dict[str, Any] = {str(key): value for key, value in found.iloc[0].items()}
    data = facts.get("data", {})
    parts = [
        f"# {model.study}: {trial['strategy']}, fold {trial['fold']} of {trial['folds']}",
        NOT_DIAGNOSIS,
        "## What it is",
        _list(
            {
                "network": f"{trial['model']}, width {trial['width']}, {row['total_parameters']:,} parameters",
                "input": _input(network),
                "output": _output(network, form),
                "file": f"{form}, SHA-256 {hashlib.sha256(file.read_bytes()).hexdigest()}",
                "compared with the trained network": compared,
                "trial": model.trial_id,
                "made with": f"whichlayers {version('whichlayers')}, torch {version('torch')}",
            }
        ),
        "## Data",
        _list(
            {
                "data set": f"{data.get('name', 'unknown')}: {data.get('provenance', '')}",
                "images and groups": f"{data.get('images', '?')} and {data.get('groups') or 'no'} groups",
                "labels": _counts(data.get("labels")),
                "scanners": _counts(data.get("scanners")),
                "content (SHA-256)": str(trial["data"]),
                "split": f"by {trial['split_by']}, seed {trial['split_seed']}, {trial['fraction']:g} % of the images "
                f"in the pool: {row['training_images']} to train, {row['validation_images']} to validate",
                **(
                    {f"{name} set (SHA-256 of its places)": value for name, value in images.hashes.items()}
                    if images
                    else {"sets (SHA-256)": "unknown: the images are not in the cache"}
                ),
            }
        ),
        "## Start weights",
        _start(facts, trial),
        "## Strategy",
        _list(
            {
                "trained": f"{trial['strategy']}: units {', '.join(str(unit) for unit in trial['units']) or 'none'}",
                "parameters trained": f"{row['trainable_parameters']:,} of {row['total_parameters']:,}",
                "settings": ", ".join(
                    f"{name} {trial[name]}" for name in SETTINGS if trial.get(name) not in (None, "")
                ),
                "epochs": f"{row['epochs_run']}"
                + (f", best {row['best_epoch']:.0f}" if pd.notna(row["best_epoch"]) else ""),
                **({"trained again": _again(int(trial["repeat"]))} if said(trial, "repeat", 0) else {}),
            }
        ),
        "## Measures",
        _measures(store, network, row),
        "## Limits",
        "\n".join(f"- {line}" for line in limits(facts, trial, row)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def limits(facts: dict[str, Any], trial: dict[str, Any], row: dict[str, Any]) -> list[str]:
    """What nobody may conclude from the measures, a line each."""
    data = facts.get("data", {})
    scanners = data.get("scanners") or {}
    where = f"one scanner ({next(iter(scanners))})" if len(scanners) == 1 else f"{len(scanners) or 'unknown'} scanners"
    lines = [
        *(str(line) for line in data.get("caveats") or ()),
        f"One training on one fold, {row['training_images']} images, of {where}: another fold or seed gives another "
        "network, and other organs, scanners and settings were not tried.",
        "The test images come from the same data set as the training images; there is no external test set.",
        "It answers every image, also one that is of nothing it was trained on.",
        f"Images were resized to {trial['image_size']} x {trial['image_size']} pixels; finer detail was never seen.",
    ]
    if trial["split_by"] == "image":
        lines.append("Images, not patients, were kept apart: images of one patient may stand in training and test set.")
    if said(trial, "method", "fine-tune") == "fine-tune" and not row["training_images"]:
        lines.append("Nothing was trained: these are the start weights.")
    return lines


def _again(repeat: int) -> str:
    times = "once" if repeat == 1 else f"{repeat} times"
    return f"this fold had failed to converge {times} before, and counts in a row of its own"


def _input(network: TrainedNetwork) -> str:
    side = network.model.image_size
    text = f"gray images in [0, 1], {side} x {side}, stretched to that square (Pillow, as in training); batch first"
    if isinstance(network.loaded, LoadedClassifier):
        if network.loaded.squares:
            text += f"; frames are cut to a central square before ({network.loaded.squares})"
        if network.loaded.crop:
            text += f"; the network sees the centre of {network.loaded.crop} x {network.loaded.crop}"
        if network.loaded.mean is not None:
            text += "; the mean of the training images, which is in the file, is taken off"
    return text


def _output(network: TrainedNetwork, form: str) -> str:
    what = "logits" if form == "safetensors" else "probabilities"
    kind = "of each class" if network.classifies else "of each structure at every pixel"
    first = " (the first channel is the background)" if form == "safetensors" and len(network.names) > 1 else ""
    return f"{what} {kind}: {', '.join(network.names)}{'' if network.classifies else first}"


def _start(facts: dict[str, Any], trial: dict[str, Any]) -> str:
    told = facts.get("start_weights") or []
    starts = [told] if isinstance(told, dict) else told
    sha256 = trial.get("start_weights")
    if not isinstance(sha256, str):
        return _list({"from": "random weights" if not said(trial, "encoder", "") else f"encoder {trial['encoder']}"})
    start = next((one for one in starts if one.get("sha256") == sha256), {})
    return _list(
        {
            "from": start.get("description") or start.get("kind") or "a file",
            "content (SHA-256)": sha256,
            "recipe": json.dumps(start["recipe"]) if start.get("recipe") else "",
        }
    )


def _measures(store: Store, network: TrainedNetwork, row: dict[str, Any]) -> str:
    """A table: each measure over this trial's test images, with its interval."""
    images = store.test_images(network.model.study, [network.model.trial_id])
    lines = ["| on its test images | mean | 95 % interval | images | drawn by |", "|---|---:|---|---:|---|"]
    for name, column, scale in MEASURES["classification" if network.classifies else "segmentation"]:
        known = images[images[column].notna()] if column in images else images.iloc[:0]
        if not len(known):
            continue
        values = known[column].astype(float)
        by = "group" if (known["group"] != "").all() else "index"
        low, high = bootstrap_interval(values.to_numpy(dtype=np.float64), known[by].astype(str), scale=scale)
        unit = f" ({row['hd95_unit']})" if column == "hd95" and row.get("hd95_unit") else ""
        ends = "none: all are the same" if np.isnan(low) else f"{low:.3f} to {high:.3f}"
        lines.append(
            f"| {name}{unit} | {values.mean():.3f} | {ends} | {len(known)} | {'group' if by == 'group' else 'image'} |"
        )
    best = row["validation_dice"] if pd.notna(row["validation_dice"]) else row["validation_accuracy"]
    after = f"\n\nOn its validation images, which chose the epoch: {best:.3f}." if pd.notna(best) else ""
    return (
        ("\n".join(lines) if len(lines) > 2 else "Its test images were not kept.")
        + after
        + "\n\nIntervals say how the mean of this one network varies with the test images, nothing of other trainings."
    )


def _counts(counts: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) if isinstance(counts, dict) else ""


def _list(facts: dict[str, str]) -> str:
    return "\n".join(f"- **{name}**: {value}" for name, value in facts.items() if value)
