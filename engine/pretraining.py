"""Start weights: the network trained on other images first, found again by what they were made from.

Natural-like images made on the spot, a folder of images with masks, or a file of the user's. Adam with a linear
warm-up and a cosine down to nothing, cross entropy plus soft Dice loss; mirrored and turned images. A tenth of the
images is held out: weights that have not learned their own task do not help, so their Dice there is kept with them and
shown. The recipe was chosen on validation folds of fetal heads; other targets had no part (docs/pretraining.md).
"""

import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from engine import segmentation
from engine.architectures import UNITS as BUILT_IN
from engine.datasets import Dataset, open_dataset
from engine.datasets.cache_files import write_aside
from engine.errors import WeightsError
from engine.evaluation import HeldOut
from engine.hardware import this_machine
from engine.memory import keep_memory
from engine.metrics import mean_of_structures, structure_dice
from engine.models import build, load_encoder_weights, network_code
from engine.models.weights_file import describe_file, existing, file_sha256
from engine.natural_images import NATURAL_IMAGES_REVISION, natural_images
from engine.optimiser import Group, Optimiser
from engine.strategies import Network, hash_of_tensors
from engine.study_settings import DataSettings, EncoderSettings, ModelSettings, StartSettings, Study, start_name

RECIPE_REVISION = 2
"""Raised when a change of the code changes the weights that a recipe gives."""

# The recipes that were tried, with their numbers, and how this one was chosen: docs/pretraining.md.
PEAK_LEARNING_RATE = 5e-4
WARM_UP = 0.03
"""Part of the batches over which the learning rate rises to its peak."""
HELD_OUT = 0.1
"""Part of the images that never trains and says how well the network does."""
SIMULATED_SEEDS = 1_000_000
"""Added to the seed of simulated ultrasound, so that start weights never see the images of a study that simulates."""
OWN_TASK_LEARNED = 0.8
"""Dice on held-out images below which start weights are said not to have learned their own task.

Weights of 0.81 to 0.89 helped on real images, those of 0.57 did not (docs/pretraining.md).
"""

Progress = Callable[[float, str], None]
"""Hears the part done, 0 to 1, and a line for people."""


@dataclass(frozen=True, kw_only=True)
class StartWeights:
    """Weights in the cache, and what is known of them."""

    path: Path
    """Safetensors file in the cache."""
    sha256: str
    """Of the tensors (names, shapes and bytes, in name order), hex; part of every trial's id."""
    kind: str
    """As in the study file: `natural-like images`, `simulated ultrasound`, `folder` or `file`."""
    recipe: dict[str, Any]
    """Everything that decides the weights; the cache finds them by it."""
    own_dice: float | None
    """Mean Dice over held-out images of the same kind; None for a file."""
    own_loss: float | None
    """Binary cross entropy on the same images; None for a file."""
    seconds: float
    """Wall time of making them."""
    description: str
    """One line that says what they are; pages always show it."""
    name: str = ""
    """Name shown where a study compares several."""
    structures: int = 1
    """Structures that their output layer is for."""
    own_accuracy: float | None = None
    """Accuracy on held-out images of the same kind, where classes are told apart."""
    classes: tuple[str, ...] = ()
    """Classes that they tell apart, in the order of their output layer; () where that is not known."""
    has_output: bool = True
    """Whether an output layer is among them."""


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Images that start weights are pre-trained on."""

    what: str
    images: UInt8[np.ndarray, "image height width"]
    masks: UInt8[np.ndarray, "image height width"]
    held_out: Bool[np.ndarray, "image"]
    """True for images that never train."""


def start_weights(
    settings: StartSettings,
    study: Study,
    cache: Path,
    progress: Progress = lambda part, text: None,
    known: Sequence[StartWeights] = (),
) -> StartWeights:
    """The start weights that `settings` describe: `known` ones of the same recipe, the cache's, else made and kept.

    The same recipe gives the same weights only on the same device with as many threads. So those that a study's
    earlier trials began from come first: weights made again would be others, and the trials would start over.
    Nothing is left behind where the making is interrupted, and torch's global random state is not moved.
    Raises WeightsError (a file that does not fit) and DataError (a folder that cannot be used).
    """
    model = study.model
    recipe: dict[str, Any] = {
        "revision": RECIPE_REVISION,
        "kind": settings.kind,
        "model": model.name,
        "width": model.width,
    }
    structures = len(settings.mask) if settings.kind == "folder" else 1
    file, data = None, None
    if settings.kind == "file":
        file = existing(settings.file, "file")
        recipe |= {"file": file_sha256(file)}
    else:
        recipe |= {"image_size": model.image_size, "seed": settings.seed}
        recipe |= {"batches": settings.batches, "batch_size": settings.batch_size}
        data = start_images(settings, study, cache, progress)
        if data is not None:
            recipe |= {"data": data.fingerprint, "structures": structures}
        else:
            recipe |= {"images": settings.images, "images_revision": NATURAL_IMAGES_REVISION}
    if model.name not in BUILT_IN:
        recipe |= {"code": network_code(model.name), "units": model.unit_modules}

    name = start_name(settings)
    path = cache / "start_weights" / f"{digest(recipe)}.safetensors"
    kept = next((one for one in known if one.recipe == recipe and one.path.is_file()), None) or find_kept(path)
    if kept is not None:
        kept = replace(kept, name=name, description=describe_file(file) if file else kept.description)
        progress(1.0, f"start weights: found ({kept.description})")
        return kept

    started = time.monotonic()
    own_dice, own_loss = None, None
    if file is not None:
        tensors, structures = load_weights_file(file, study)
        description = describe_file(file)
    else:
        source = _source(settings, model, data, progress)
        network = _network(model, structures, settings.seed)
        tensors, own_dice, own_loss = _pretrain(
            settings,
            network,
            structures,
            source.images,
            source.masks,
            source.held_out,
            lambda part, text: progress(0.05 + 0.95 * part, text),
        )
        trained, held_out = int(np.sum(~source.held_out)), int(np.sum(source.held_out))
        description = f"pre-trained on {trained:,} {source.what}; Dice {own_dice:.2f} on {held_out:,} held-out ones"
        if own_dice < OWN_TASK_LEARNED:
            description += f" (below {OWN_TASK_LEARNED}: has not learned its own task)"
    result = StartWeights(
        path=path,
        sha256=hash_of_tensors(tensors),
        kind=settings.kind,
        recipe=recipe,
        own_dice=own_dice,
        own_loss=own_loss,
        seconds=time.monotonic() - started,
        description=description,
        structures=structures,
    )
    keep_weights(result, tensors)
    progress(1.0, f"start weights: {description}")
    return replace(result, name=name)


def encoder_weights(settings: EncoderSettings, cache: Path) -> StartWeights:
    """The user's weights of the encoder of the `smp U-Net` strategies, kept as start weights are.

    Raises WeightsError where the file does not fit the encoder.
    """
    file = existing(settings.weights, "file")
    tensors = load_encoder_weights(file, settings.name)
    recipe = {"encoder": settings.name, "file": file_sha256(file)}
    result = StartWeights(
        path=cache / "start_weights" / f"{digest(recipe)}.safetensors",
        sha256=hash_of_tensors(tensors),
        kind="encoder",
        recipe=recipe,
        own_dice=None,
        own_loss=None,
        seconds=0.0,
        description=f"encoder {settings.name} from the file {file.name}",
        name=f"encoder {settings.name}",
    )
    keep_weights(result, tensors)
    return result


def held_out_images(settings: StartSettings, study: Study, cache: Path) -> Path | None:
    """File with the images that these start weights never trained on (`load_held_out`); None for weights of a file.

    Made again where the cache has lost it. Raises DataError where the folder cannot be used.
    """
    if settings.kind == "file":
        return None
    data = start_images(settings, study, cache)
    made = [settings.images, settings.seed, study.model.image_size, NATURAL_IMAGES_REVISION]
    path = cache / "held_out" / f"{digest([data.fingerprint, settings.seed] if data else made)}.npz"
    if not path.is_file():
        source = _source(settings, study.model, data, lambda part, text: None)
        content = io.BytesIO()
        np.savez_compressed(content, images=source.images[source.held_out], masks=source.masks[source.held_out])
        write_aside(path, content.getvalue())
    return path


def load_held_out(path: Path) -> HeldOut:
    """The images and masks of `held_out_images`."""
    with np.load(path, allow_pickle=False) as arrays:
        labels = arrays.get("labels")
        return HeldOut(images=arrays["images"], masks=arrays["masks"], labels=labels)


def start_images(
    settings: StartSettings, study: Study, cache: Path, progress: Progress = lambda part, text: None
) -> Dataset | None:
    """The data set that start weights are pre-trained on; None for natural-like images and for a file.

    Raises WeightsError or DataError where the folder cannot be used.
    """
    if settings.kind == "simulated ultrasound":
        wanted = DataSettings(
            kind="simulated", images=settings.images, seed=settings.seed + SIMULATED_SEEDS, scanner=settings.scanner
        )
    elif settings.kind == "folder":
        folder = settings.folder if settings.folder is not None else study.data.folder
        wanted = DataSettings(
            kind="folder", folder=str(existing(folder, "folder")), mask=settings.mask, where=settings.where
        )
    else:
        return None
    return open_dataset(
        wanted,
        study.model.image_size,
        cache,
        progress=lambda done, of: progress(0.05 * done / of, f"start weights: image {done:,} of {of:,} read"),
    )


def _source(settings: StartSettings, model: ModelSettings, data: Dataset | None, progress: Progress) -> _Source:
    if data is None:
        images, masks = natural_images(
            settings.images,
            model.image_size,
            settings.seed,
            progress=lambda part: progress(0.05 * part, f"start weights: {part:.0%} of the images made"),
        )
        groups, what = np.arange(len(images)).astype(str), "natural-like images made here"
    else:
        what, images, masks = f"images of {data.name}", np.array(data.images), np.array(data.masks)
        together = data.groups_for_splits("group" if data.has_groups else "image")
        groups = np.array(together) if together is not None else np.arange(len(images)).astype(str)
    return _Source(what=what, images=images, masks=masks, held_out=draw_held_out(groups, settings.seed))


def _network(model: ModelSettings, structures: int, seed: int) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(model.name, width=model.width, classes=structures, unit_modules=model.unit_modules)


def digest(facts: Any) -> str:
    """SHA-256, hex, of facts that JSON can hold: the name under which the cache finds what was made by them."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def load_start_weights(path: Path) -> dict[str, Tensor]:
    """The tensors by name, on the CPU, as `start_weights` keeps them. Raises WeightsError where unreadable."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path.name}: not a readable safetensors file ({error})") from error


def load_weights_file(path: Path, study: Study) -> tuple[dict[str, Tensor], int]:
    """A user's weights in float32 and the number of structures that they are for, checked against the network.

    That number is the study's, or one. Loading executes nothing from the file.
    Raises WeightsError with a line for every tensor that is missing, unknown, of another shape or not finite.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path.name}: not a readable safetensors file ({error}); "
            "write one with safetensors.torch.save_file(network.state_dict(), path)"
        ) from error
    model = study.model
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for structures in sorted({1, len(study.data.mask)}):
        state = _network(model, structures, 0).state_dict()
        expected = {name: tuple(tensor.shape) for name, tensor in state.items()}
        if given == expected:
            break
    network = f"{model.name} of width {model.width}"
    problems = [
        f"{path.name}: tensor '{name}' {expected[name]} is missing; {network} needs it"
        for name in expected.keys() - tensors.keys()
    ]
    for name, tensor in tensors.items():
        if name not in expected:
            problems.append(f"{path.name}: unknown tensor '{name}' {tuple(tensor.shape)}; {network} has none so named")
        elif tuple(tensor.shape) != expected[name]:
            problems.append(
                f"{path.name}: tensor '{name}' has shape {tuple(tensor.shape)}, {network} expects {expected[name]}; "
                "set model.width to the file's width or choose another file"
            )
        elif tensor.dtype != state[name].dtype and not tensor.is_floating_point():
            problems.append(f"{path.name}: tensor '{name}' is of {tensor.dtype}, {network} expects {state[name].dtype}")
        elif not tensor.isfinite().all():
            problems.append(f"{path.name}: tensor '{name}' ({tensor.dtype}) holds values that are not finite numbers")
    if problems:
        raise WeightsError(sorted(problems))
    return {name: tensors[name].to(state[name].dtype) for name in expected}, structures


def find_kept(path: Path) -> StartWeights | None:
    """What the cache keeps under `path`; None where nothing whole lies there."""
    note = path.with_suffix(".json")
    try:
        facts = json.loads(note.read_text())
        kept = StartWeights(**{**facts, "path": path, "classes": tuple(facts.get("classes", ()))})
        return kept if hash_of_tensors(load_file(path)) == kept.sha256 else None
    except (OSError, SafetensorError, ValueError, TypeError):
        return None


def keep_weights(result: StartWeights, tensors: dict[str, Tensor]) -> None:
    """Writes weights, then the note beside them; each aside first, then renamed, so that no half file has a name."""
    facts = {**asdict(result), "path": result.path.name}
    note = result.path.with_suffix(".json")
    write_aside(result.path, save(tensors))
    write_aside(note, json.dumps(facts, indent=1).encode())


def draw_held_out(groups: np.ndarray, seed: int) -> np.ndarray:
    """True for a tenth of the images (at least one), whole groups in random order; `groups` names each image's."""
    names = np.unique(groups)
    if len(names) < 2:
        raise WeightsError(f"start weights: {len(groups)} images of one group; add a second group to hold one out")
    held_out = np.zeros(len(groups), bool)
    for name in np.random.default_rng([seed, 1]).permutation(names)[:-1]:
        held_out |= groups == name
        if held_out.sum() >= HELD_OUT * len(groups):
            break
    return held_out


def _pretrain(
    settings: StartSettings,
    network: Network,
    structures: int,
    images: UInt8[np.ndarray, "image height width"],
    masks: UInt8[np.ndarray, "image height width"],
    held_out: np.ndarray,
    progress: Progress,
) -> tuple[dict[str, Tensor], float, float]:
    """Trained tensors, and Dice and loss on the held-out images."""
    keep_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=this_machine().fast_bfloat16)
    pictures = torch.from_numpy(images)[:, None].to(device)
    truths = segmentation.one_mask_each(torch.from_numpy(masks).to(device), structures)
    training = torch.from_numpy(np.flatnonzero(~held_out))
    random = np.random.default_rng([settings.seed, 2])
    # The network's first weights and its dropout draw from torch's global stream, which is given back as it was.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        network = network.to(device).to(memory_format=torch.channels_last)
        optimiser = Optimiser([Group(weights=list(network.parameters()), rate=0.0)])
        order = torch.empty(0, dtype=torch.int64)
        for batch in range(settings.batches):
            optimiser.groups[0].rate = learning_rate((batch + 1) / settings.batches)
            while len(order) < settings.batch_size:
                order = torch.cat((order, training[random.permutation(len(training))]))
            chosen, order = order[: settings.batch_size].to(device), order[settings.batch_size :]
            # Made images have no up and down; photographs and anatomy are only mirrored left and right.
            way = int(random.integers(8 if settings.kind == "natural-like images" else 2))
            picture, truth = (_turned(stack[chosen], way).float() for stack in (pictures, truths))
            with autocast:
                logits = network((picture / 255).contiguous(memory_format=torch.channels_last))
            loss = segmentation.loss(logits.float(), truth) + soft_dice_loss(logits.float(), truth)
            optimiser.forget_gradients()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if batch % 10 == 9 or batch + 1 == settings.batches:
                text = f"start weights: batch {batch + 1:,} of {settings.batches:,}, loss {loss.item():.3f}"
                progress((batch + 1) / settings.batches, text)
        network.eval()
        dices, losses = [], []
        for chosen in torch.split(torch.from_numpy(np.flatnonzero(held_out)).to(device), 16):
            with torch.inference_mode(), autocast:
                logits = network((pictures[chosen] / 255).contiguous(memory_format=torch.channels_last)).float()
            truth = truths[chosen]
            losses.append(segmentation.loss(logits, truth.float()).item() * len(chosen))
            found = structure_dice(segmentation.predicted(logits).cpu().numpy(), (truth > 0).cpu().numpy())
            dices.append(mean_of_structures(found))
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    return tensors, float(np.nanmean(np.concatenate(dices))), sum(losses) / int(held_out.sum())


def learning_rate(part: float, peak: float = PEAK_LEARNING_RATE) -> float:
    """Rate of the batch at `part` (0 to 1) of the training: straight up to the peak, then half a cosine down to 0."""
    if part < WARM_UP:
        return peak * part / WARM_UP
    return peak * 0.5 * (1 + math.cos(math.pi * (part - WARM_UP) / (1 - WARM_UP)))


def soft_dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """One minus Dice of the probabilities, mean over images and structures: a small object counts like a large one."""
    found = segmentation.probabilities(logits)
    shared, total = (found * truth).sum(dim=(2, 3)), (found + truth).sum(dim=(2, 3))
    return (1 - (2 * shared + 1) / (total + 1)).mean()


def _turned(stack: Tensor, way: int) -> Tensor:
    """One of the square's eight symmetries; 0 changes nothing, 1 mirrors left and right."""
    if way & 1:
        stack = stack.flip(3)
    if way & 2:
        stack = stack.flip(2)
    return stack.transpose(2, 3) if way & 4 else stack
