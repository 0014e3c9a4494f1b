"""Start weights of classifiers: trained on classes of other images first, from a file, or from a library.

Formula-driven images (Kataoka et al. 2020) and phantoms are made on the spot; a folder has classes of its own. Adam
with a linear warm-up and a cosine down to nothing, cross entropy, the study's random views. A tenth of the images
(whole groups) is held out: accuracy there is kept with the weights and shown.
"""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from engine.architectures import UNITS, last_unit
from engine.datasets import Dataset, make_dataset, open_dataset
from engine.datasets.cache_files import write_aside
from engine.datasets.phantoms import PHANTOM_CLASSES
from engine.errors import WeightsError
from engine.formula_images import FORMULA_REVISION, formula_images
from engine.hardware import this_machine
from engine.memory import keep_memory
from engine.models import build
from engine.models.classifier_weights import library_weights, load_classifier_weights
from engine.models.weights_file import describe_file, existing, file_sha256
from engine.optimiser import Group, Optimiser
from engine.pretraining import (
    SIMULATED_SEEDS,
    StartWeights,
    digest,
    draw_held_out,
    find_kept,
    keep_weights,
    learning_rate,
)
from engine.splits import Split
from engine.strategies import Network, hash_of_tensors
from engine.study_settings import DataSettings, StartSettings, Study, start_name
from engine.tasks import Classification
from engine.trial import Trial

RECIPE_REVISION = 1
"""Raised when a change of the code changes the weights that a recipe gives."""
PEAKS = {True: 1e-3, False: 2e-4}
"""Highest learning rate, of networks with batch normalisation and without."""

Progress = Callable[[float, str], None]


def class_start_weights(
    settings: StartSettings,
    study: Study,
    classes: int,
    cache: Path,
    progress: Progress = lambda part, text: None,
    known: Sequence[StartWeights] = (),
) -> StartWeights:
    """The start weights of a classifier that `settings` describe: `known` ones, the cache's, else made and kept.

    Of a file the output layer comes along where it is for as many `classes` as the study has.

    Raises WeightsError (a file that does not fit, a library that has none) and DataError (a folder that cannot be
    used).
    """
    model, training = study.model, study.training
    recipe: dict[str, Any] = {
        "revision": RECIPE_REVISION,
        "kind": settings.kind,
        "model": model.name,
        "width": model.width,
    }
    data, tensors, described = None, None, ""
    if settings.kind == "file":
        file = existing(settings.file, "file")
        tensors, described = load_classifier_weights(file, model.name, model.width, classes), describe_file(file)
        # Whether the output layer comes along depends on the study: files of either kind are kept apart.
        recipe |= {"file": file_sha256(file), "classes": classes if _has_output(tensors, model.name) else None}
    elif settings.kind != "library":
        data = class_start_images(settings, study, cache, progress)
        assert data is not None
        augmentation = training.augmentation
        recipe |= {
            "image_size": model.image_size,
            "crop": training.crop,
            "subtract_mean": training.subtract_mean,
            "views": [augmentation.shift, augmentation.zoom, augmentation.flip] if augmentation else None,
            "seed": settings.seed,
            "batches": settings.batches,
            "batch_size": settings.batch_size,
            "data": data.fingerprint,
        }
    name = start_name(settings)
    path = cache / "start_weights" / f"{digest(recipe)}.safetensors"
    kept = next((one for one in known if one.recipe == recipe and one.path.is_file()), None) or find_kept(path)
    if kept is not None:
        kept = replace(kept, name=name, description=described or kept.description)
        progress(1.0, f"start weights: found ({kept.description})")
        return kept

    started = time.monotonic()
    facts: dict[str, Any] = {"own_loss": None}
    if data is not None:
        tensors, facts = _pretrain(settings, study, data, progress)
        accuracy, held_out = facts["own_accuracy"], facts.pop("held_out")
        chance = 1 / len(data.classes)
        description = (
            f"pre-trained on {len(data.images) - held_out:,} images of {data.name} ({len(data.classes)} classes); "
            f"accuracy {accuracy:.2f} on {held_out:,} held-out ones (chance: {chance:.2f})"
        )
        facts |= {"classes": data.classes}
    elif tensors is not None:
        description = described
    else:
        tensors = library_weights(model.name, model.width)
        description = f"{model.name} of the library, trained on ImageNet"
    result = StartWeights(
        path=path,
        sha256=hash_of_tensors(tensors),
        kind=settings.kind,
        recipe=recipe,
        own_dice=None,
        seconds=time.monotonic() - started,
        description=description,
        has_output=_has_output(tensors, model.name),
        **facts,
    )
    keep_weights(result, tensors)
    progress(1.0, f"start weights: {description}")
    return replace(result, name=name)


def foreseen_output(settings: StartSettings, study: Study, classes: int, cache: Path) -> tuple[tuple[str, ...], bool]:
    """The classes of start weights, and whether they have an output layer, as `class_start_weights` will say it.

    Nothing is made or trained: a file is read, a folder is opened. `classes` is how many the study has; () stands for
    classes that are not known. Raises WeightsError and DataError as `class_start_weights` does.
    """
    model = study.model
    if settings.kind == "file":
        tensors = load_classifier_weights(existing(settings.file, "file"), model.name, model.width, classes)
        return (), _has_output(tensors, model.name)
    if settings.kind == "library":
        return (), False
    if settings.kind == "formula-driven images":
        return _formula_classes(settings), True
    if settings.kind in PHANTOM_CLASSES:
        return PHANTOM_CLASSES[settings.kind], True
    data = class_start_images(settings, study, cache)
    return (data.classes if data is not None else ()), True


def _has_output(tensors: Mapping[str, Tensor], model: str) -> bool:
    return any(name.startswith(f"{last_unit(model)}.") for name in tensors)


def class_start_images(
    settings: StartSettings, study: Study, cache: Path, progress: Progress = lambda part, text: None
) -> Dataset | None:
    """The images and classes that start weights are pre-trained on; None for a file and a library.

    Raises WeightsError or DataError where the folder cannot be used.
    """
    if settings.kind in ("file", "library"):
        return None
    if settings.kind == "formula-driven images":
        return _formula_dataset(settings, study, progress)
    if settings.kind == "folder":
        folder = settings.folder if settings.folder is not None else study.data.folder
        wanted = DataSettings(
            kind="folder",
            folder=str(existing(folder, "folder")),
            where=settings.where,
            learn="labels",
            label=study.data.label if settings.folder is None else "label",
            crop=study.data.crop if settings.folder is None else {},
            square=study.data.square,
        )
    elif settings.kind in ("cardiac phantoms", "abdominal phantoms"):
        wanted = DataSettings(
            kind=settings.kind,
            learn="labels",
            images=settings.images,
            seed=settings.seed + SIMULATED_SEEDS,
            scanner=settings.scanner,
        )
    else:
        raise WeightsError(f"start_weights.kind: '{settings.kind}' has no classes; choose formula-driven images")
    data = open_dataset(
        wanted,
        study.model.image_size,
        cache,
        progress=lambda done, of: progress(0.05 * done / of, f"start weights: image {done:,} of {of:,} ready"),
    )
    if settings.kind == "folder" and settings.folder is None:
        return without_groups(data, open_dataset(study.data, study.model.image_size, cache))
    return data


def without_groups(data: Dataset, other: Dataset) -> Dataset:
    """`data` without the groups that `other` has too: nobody who may be tested has been seen before.

    Raises DataError where too little is left to learn classes from.
    """
    shared = (set(data.table["group"]) & set(other.table["group"])) - {""}
    left = ~data.table["group"].isin(shared).to_numpy()
    if left.all():
        return data
    labels = data.table["label"][left]
    return make_dataset(
        name=f"{data.name} without {len(shared)} groups that are adapted to",
        provenance=data.provenance,
        images=np.asarray(data.images)[left],
        table=data.table[left],
        classes=tuple(name for name in data.classes if (labels == name).any()),
        caveats=data.caveats,
    )


def held_out_classes(settings: StartSettings, study: Study, cache: Path) -> Path | None:
    """File with the images and classes that these start weights never trained on; None for a file and a library."""
    data = class_start_images(settings, study, cache)
    if data is None:
        return None
    path = cache / "held_out" / f"{digest([data.fingerprint, settings.seed, 'labels'])}.npz"
    if not path.is_file():
        held_out = _held_out(data, settings.seed)
        numbers = {name: number for number, name in enumerate(data.classes)}
        labels = np.array([numbers[label] for label in data.table["label"]], dtype=np.int64)
        content = io.BytesIO()
        images = np.asarray(data.images)[held_out]
        np.savez_compressed(
            content, images=images, masks=np.zeros((len(images), 0, 0), np.uint8), labels=labels[held_out]
        )
        write_aside(path, content.getvalue())
    return path


def _formula_dataset(settings: StartSettings, study: Study, progress: Progress) -> Dataset:
    images, labels = formula_images(
        settings.classes,
        max(2, settings.images // settings.classes),
        study.model.image_size,
        settings.seed,
        progress=lambda part: progress(0.05 * part, f"start weights: {part:.0%} of the images made"),
    )
    names = _formula_classes(settings)
    return make_dataset(
        name="formula-driven images",
        provenance=f"{len(images)} images of iterated function systems made here, revision {FORMULA_REVISION}",
        images=images,
        table=pd.DataFrame(
            {"image": [f"made {place:05d}" for place in range(len(images))], "label": [names[n] for n in labels]}
        ),
        classes=names,
    )


def _formula_classes(settings: StartSettings) -> tuple[str, ...]:
    return tuple(f"formula {number:03d}" for number in range(settings.classes))


def _held_out(data: Dataset, seed: int) -> np.ndarray:
    together = data.groups_for_splits("group" if data.has_groups else "image")
    groups = np.array(together) if together is not None else np.arange(len(data.images)).astype(str)
    return draw_held_out(groups, seed)


def _pretrain(
    settings: StartSettings, study: Study, data: Dataset, progress: Progress
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Trained tensors, and accuracy and loss on the held-out images."""
    held_out = _held_out(data, settings.seed)
    split = Split(
        training=tuple(np.flatnonzero(~held_out).tolist()),
        validation=tuple(np.flatnonzero(held_out).tolist()),
        test=tuple(np.flatnonzero(held_out).tolist()),
        by="group",
        validation_by="group",
        note="",
    )
    trial = _as_trial(settings, study, data)
    keep_memory()
    device = torch.device(trial.device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        network: Network = build(trial.model, width=trial.width, classes=trial.classes)
        network = network.to(device).to(memory_format=torch.channels_last)
        work = Classification(trial, network, data, split, device)
        normalised = any(isinstance(module, nn.BatchNorm2d) for _, module in network.named_modules())
        optimiser = Optimiser([Group(weights=[weight for _, weight in network.named_parameters()], rate=0.0)])
        batches = work.batches()
        network.train()
        for batch in range(settings.batches):
            optimiser.groups[0].rate = learning_rate((batch + 1) / settings.batches, PEAKS[normalised])
            loss = work.loss(*next(batches))
            optimiser.forget_gradients()
            torch.autograd.backward(loss)
            optimiser.step()
            if batch % 10 == 9 or batch + 1 == settings.batches:
                text = f"start weights: batch {batch + 1:,} of {settings.batches:,}, loss {loss.item():.3f}"
                progress(0.05 + 0.95 * (batch + 1) / settings.batches, text)
        score = work.validate()
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    return tensors, {"own_accuracy": score.accuracy, "own_loss": score.loss, "held_out": int(held_out.sum())}


def _as_trial(settings: StartSettings, study: Study, data: Dataset) -> Trial:
    """The pre-training in the words of a trial: what its views and batches are drawn by."""
    training, machine = study.training, this_machine()
    augmentation = training.augmentation
    return Trial(
        data=data.fingerprint,
        split_by="group",
        split_seed=0,
        folds=1,
        fold=0,
        fraction=100.0,
        strategy="pre-training",
        model=study.model.name,
        width=study.model.width,
        image_size=study.model.image_size,
        units=UNITS[study.model.name],
        learning_rate=0.0,
        seed=settings.seed,
        start_weights=None,
        batch_size=settings.batch_size,
        patience=0,
        max_epochs=0,
        batches_per_epoch=settings.batches,
        shift=augmentation.shift if augmentation else 0.0,
        zoom=augmentation.zoom if augmentation else 0.0,
        flip=augmentation.flip if augmentation else False,
        precision="bfloat16" if machine.fast_bfloat16 else "float32",
        threads=torch.get_num_threads(),
        device="cuda" if torch.cuda.is_available() else "cpu",
        task="classification",
        classes=len(data.classes),
        crop=training.crop or 0,
        subtract_mean=training.subtract_mean,
    )
