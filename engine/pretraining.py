"""Start weights: the network trained on other images first, found again by what they were made from.

Natural-like images made on the spot, a folder of images with masks, or a file of the user's. Adam with a linear
warm-up and a cosine down to nothing, binary cross entropy; mirrored and turned images. A tenth of the images is
held out: weights that have not learned their own task do not help, so their Dice there
is kept with them and shown. The recipe was chosen by that Dice alone, never by a target's images.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import functional

from engine.datasets import open_dataset
from engine.errors import WeightsError
from engine.hardware import this_machine
from engine.metrics import dice
from engine.models.unet import UNet
from engine.natural_images import NATURAL_IMAGES_REVISION, natural_images
from engine.strategies import hash_of_tensors
from engine.study_settings import DataSettings, ModelSettings, StartSettings

RECIPE_REVISION = 1
"""Raised when a change of the code changes the weights that a recipe gives."""

# Seven recipes were tried at width 16, 128 x 128, 1,000 images, batches of 4; Dice on 100 held-out made images:
#   this one:                     1,500 batches 0.974 and 0.962 (seeds 0, 1), 1,000 batches 0.942, 900 batches 0.934
#   gradients not cut:            2,400 batches 0.974, 1,500 batches 0.943, 1,200 batches 0.955 and 0.950
#   the same, no mirroring:       900 batches 0.908
#   the same, plus Dice loss:     900 batches 0.933
#   the same, peak 2e-3:          600 batches 0.000 (stopped), output bias at the prior: 450 batches 0.000 (stopped)
#   the same, half size first:    0.970 after 3,600 batches, not faster per second of computing (stopped)
# The held-out images were chosen in two ways (the last tenth; at random), so differences of 0.02 say little.
PEAK_LEARNING_RATE = 1e-3
WARM_UP = 0.1
"""Part of the batches over which the learning rate rises to its peak."""
LARGEST_GRADIENT = 0.3
"""Norm to which a batch's gradient is cut. Before the network finds the objects, all answers are 'ground' for some
hundred batches; a large step there leaves it in that state for good."""
HELD_OUT = 0.1
"""Part of the images that never trains and says how well the network does."""
OWN_TASK_LEARNED = 0.9
"""Dice on held-out images below which start weights are said not to have learned their own task."""

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
    """As in the study file: `natural-like images`, `folder` or `file`."""
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


def start_weights(
    settings: StartSettings,
    model: ModelSettings,
    cache: Path,
    progress: Progress = lambda part, text: None,
    known: StartWeights | None = None,
) -> StartWeights:
    """The start weights that `settings` describe: `known` ones of the same recipe, the cache's, else made and kept.

    The same recipe gives the same weights only on the same device with as many threads. So those that a study's
    earlier trials began from come first: weights made again would be others, and the trials would start over.
    Nothing is left behind where the making is interrupted, and torch's global random state is not moved.
    Raises WeightsError (a file that does not fit) and DataError (a folder that cannot be used).
    """
    recipe: dict[str, Any] = {
        "revision": RECIPE_REVISION,
        "kind": settings.kind,
        "model": model.name,
        "width": model.width,
    }
    if settings.kind != "file":
        recipe |= {"image_size": model.image_size, "seed": settings.seed}
        recipe |= {"batches": settings.batches, "batch_size": settings.batch_size}
    file, data = None, None
    if settings.kind == "file":
        file = _existing(settings.file, "file")
        recipe |= {"file": hashlib.sha256(file.read_bytes()).hexdigest()}
    elif settings.kind == "folder":
        folder = _existing(settings.folder, "folder")
        data = open_dataset(
            DataSettings(kind="folder", folder=str(folder)),
            model.image_size,
            cache,
            progress=lambda done, of: progress(0.05 * done / of, f"start weights: image {done:,} of {of:,} read"),
        )
        recipe |= {"data": data.fingerprint}
    else:
        recipe |= {"images": settings.images, "images_revision": NATURAL_IMAGES_REVISION}

    key = hashlib.sha256(json.dumps(recipe, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    path = cache / "start_weights" / f"{key}.safetensors"
    kept = known if known is not None and known.recipe == recipe and known.path.is_file() else _find(path)
    if kept is not None:
        progress(1.0, f"start weights: found ({kept.description})")
        return kept

    started = time.monotonic()
    own_dice, own_loss = None, None
    if file is not None:
        tensors = load_weights_file(file, model)
        description = f"weights of the file {file.name}"
    else:
        if data is None:
            what = "natural-like images made here"
            images, masks = natural_images(
                settings.images,
                model.image_size,
                settings.seed,
                progress=lambda part: progress(0.05 * part, f"start weights: {part:.0%} of the images made"),
            )
            groups = np.arange(len(images)).astype(str)
        else:
            what, images, masks = f"images of {data.name}", np.array(data.images), np.array(data.masks)
            together = data.groups_for_splits("group" if data.has_groups else "image")
            groups = np.array(together) if together is not None else np.arange(len(images)).astype(str)
        held_out = draw_held_out(groups, settings.seed)
        tensors, own_dice, own_loss = _pretrain(
            settings, model, images, masks, held_out, lambda part, text: progress(0.05 + 0.95 * part, text)
        )
        description = (
            f"pre-trained on {np.sum(~held_out):,} {what}; Dice {own_dice:.2f} on {np.sum(held_out):,} held-out ones"
        )
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
    )
    _keep(result, tensors)
    progress(1.0, f"start weights: {description}")
    return result


def load_start_weights(path: Path) -> dict[str, Tensor]:
    """The tensors by name, on the CPU, as `start_weights` keeps them. Raises WeightsError where unreadable."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path.name}: not a readable safetensors file ({error})") from error


def load_weights_file(path: Path, model: ModelSettings) -> dict[str, Tensor]:
    """A user's weights in float32, checked against the network; loading executes nothing from the file.

    Raises WeightsError with a line for every tensor that is missing, unknown, of another shape or not finite.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path.name}: not a readable safetensors file ({error}); "
            "write one with safetensors.torch.save_file(network.state_dict(), path)"
        ) from error
    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in UNet(model.width).state_dict().items()}
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
        elif not tensor.is_floating_point() or not tensor.isfinite().all():
            problems.append(f"{path.name}: tensor '{name}' ({tensor.dtype}) holds values that are not finite numbers")
    if problems:
        raise WeightsError(sorted(problems))
    return {name: tensors[name].float() for name in expected}


def _existing(text: str | None, kind: str) -> Path:
    path = Path(text or "").expanduser()
    if not text or not (path.is_file() if kind == "file" else path.is_dir()):
        raise WeightsError(f"start_weights.{kind}: '{text or ''}' is no {kind}; give the path of an existing {kind}")
    return path


def _find(path: Path) -> StartWeights | None:
    """What the cache keeps under `path`; None where nothing whole lies there."""
    note = path.with_suffix(".json")
    try:
        facts = json.loads(note.read_text())
        kept = StartWeights(**{**facts, "path": path})
        return kept if hash_of_tensors(load_file(path)) == kept.sha256 else None
    except (OSError, SafetensorError, ValueError, TypeError):
        return None


def _keep(result: StartWeights, tensors: dict[str, Tensor]) -> None:
    """Writes weights, then the note beside them; each aside first, then renamed, so that no half file has a name."""
    result.path.parent.mkdir(parents=True, exist_ok=True)
    facts = {**asdict(result), "path": result.path.name}
    note = result.path.with_suffix(".json")
    for path, content in ((result.path, save(tensors)), (note, json.dumps(facts, indent=1).encode())):
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


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
    model: ModelSettings,
    images: UInt8[np.ndarray, "image height width"],
    masks: UInt8[np.ndarray, "image height width"],
    held_out: np.ndarray,
    progress: Progress,
) -> tuple[dict[str, Tensor], float, float]:
    """Trained tensors, and Dice and loss on the held-out images."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=this_machine().fast_bfloat16)
    pictures, truths = (torch.from_numpy(array)[:, None].to(device) for array in (images, masks))
    training = torch.from_numpy(np.flatnonzero(~held_out))
    random = np.random.default_rng([settings.seed, 2])
    # The network's first weights and its dropout draw from torch's global stream, which is given back as it was.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        network = UNet(model.width).to(device).to(memory_format=torch.channels_last)
        optimiser = torch.optim.Adam(network.parameters(), lr=0.0, fused=True)
        order = torch.empty(0, dtype=torch.int64)
        for batch in range(settings.batches):
            optimiser.param_groups[0]["lr"] = learning_rate((batch + 1) / settings.batches)
            while len(order) < settings.batch_size:
                order = torch.cat((order, training[random.permutation(len(training))]))
            chosen, order = order[: settings.batch_size].to(device), order[settings.batch_size :]
            # Made images have no up and down; photographs and anatomy are only mirrored left and right.
            way = int(random.integers(8 if settings.kind == "natural-like images" else 2))
            picture, truth = (_turned(stack[chosen], way).float() for stack in (pictures, truths))
            with autocast:
                logits = network((picture / 255).contiguous(memory_format=torch.channels_last))
            loss = functional.binary_cross_entropy_with_logits(logits.float(), truth)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
            optimiser.step()
            if batch % 10 == 9 or batch + 1 == settings.batches:
                text = f"start weights: batch {batch + 1:,} of {settings.batches:,}, loss {loss.item():.3f}"
                progress((batch + 1) / settings.batches, text)
        network.eval()
        dices, losses = [], []
        for chosen in torch.split(torch.from_numpy(np.flatnonzero(held_out)).to(device), 16):
            with torch.inference_mode(), autocast:
                logits = network((pictures[chosen] / 255).contiguous(memory_format=torch.channels_last)).float()
            truth = truths[chosen].float()
            losses.append(
                functional.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=(1, 2, 3))
            )
            dices.append(dice((logits > 0)[:, 0].cpu().numpy(), (truth > 0)[:, 0].cpu().numpy()))
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    return tensors, float(np.concatenate(dices).mean()), torch.cat(losses).mean().item()


def learning_rate(part: float) -> float:
    """Rate of the batch at `part` (0 to 1) of the training: straight up to the peak, then half a cosine down to 0."""
    if part < WARM_UP:
        return PEAK_LEARNING_RATE * part / WARM_UP
    return PEAK_LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * (part - WARM_UP) / (1 - WARM_UP)))


def _turned(stack: Tensor, way: int) -> Tensor:
    """One of the square's eight symmetries; 0 changes nothing, 1 mirrors left and right."""
    if way & 1:
        stack = stack.flip(3)
    if way & 2:
        stack = stack.flip(2)
    return stack.transpose(2, 3) if way & 4 else stack
