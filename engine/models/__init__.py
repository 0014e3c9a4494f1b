"""Networks by name. Each gives logits and names its units (`units()`)."""

from collections.abc import Callable

import torch

from engine.architectures import SMP_UNITS, classifier_parameters, output_channels, unet_parameters
from engine.architectures import unit_names as known_units
from engine.errors import StudyFileError
from engine.models.caffenet import build_caffenet
from engine.models.checks import check_network as check_built
from engine.models.checks import check_side
from engine.models.classifier import Classifier
from engine.models.cvcnet import build_cvcnet
from engine.models.encoder_unet import build_smp, load_encoder_weights
from engine.models.mobilenet import build_mobilenet
from engine.models.network import Network, tensor_names
from engine.models.own_network import build_own, network_code
from engine.models.unet import UNet
from engine.models.vgg16 import build_vgg16

__all__ = [
    "MODELS",
    "Classifier",
    "Network",
    "UNet",
    "build",
    "check_network",
    "load_encoder_weights",
    "network_code",
    "unit_names",
    "unit_parameters",
]

MODELS: dict[str, Callable[[int, int], Classifier]] = {
    "caffenet": build_caffenet,
    "vgg16": build_vgg16,
    "mobilenet": build_mobilenet,
    "cvcnet": build_cvcnet,
}
"""Networks that tell classes of images apart, from their width and number of classes."""


def build(
    model: str,
    *,
    width: int,
    classes: int,
    encoder: str = "",
    unit_modules: str = "",
    image_size: int | None = None,
) -> Network:
    """The network with random weights: one gray channel in, logits out (one channel for one structure, else
    background and structures; of a classifier one number per class).

    `model` is `unet`, `smp` (with the name of its `encoder`), a classifier of `MODELS`, or `package.module:build`, a
    user's own, whose units are those of `unit_modules` (JSON: names with the modules of each) or of its method
    `units`. Weights fit every `image_size`, the side of what the network sees; one that is too small for a
    classifier is refused. Raises StudyFileError where it cannot be made, StrategyError where it names no units,
    and StoreError where nobody allowed a user's own.
    """
    if model in MODELS:
        check_side(model, image_size)
        return MODELS[model](width, classes)
    channels = output_channels(classes)
    if model == "unet":
        return UNet(width, classes=channels)
    if model == "smp":
        return build_smp(encoder, channels)
    if ":" in model:
        return build_own(model, channels, unit_modules)
    known = ", ".join(("unet", "smp", *MODELS))
    raise StudyFileError(f"unknown network '{model}'; known: {known}, or 'package.module:build' for your own")


def check_network(
    model: str,
    *,
    image_size: int,
    width: int = 64,
    classes: int = 1,
    encoder: str = "",
    unit_modules: str = "",
    batch_size: int = 2,
) -> None:
    """Nothing where trials can run `model`: units partition it, shapes fit, frozen units stay as they are.

    To be called before the first trial. `image_size` is the side of what the network sees. Raises StudyFileError or
    StrategyError, a line per problem. Only a user's own network takes the optimiser steps that try each unit frozen;
    tests try those of the built-in ones.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        check_built(
            build(
                model, width=width, classes=classes, encoder=encoder, unit_modules=unit_modules, image_size=image_size
            ),
            model,
            image_size=image_size,
            channels=classes if model in MODELS else output_channels(classes),
            batch_size=batch_size,
            steps=":" in model,
        )


def unit_names(
    model: str, *, width: int = 64, classes: int = 1, encoder: str = "", unit_modules: str = ""
) -> tuple[str, ...]:
    """Names of the network's units, input to output."""
    if model == "unet" or model in MODELS:
        return known_units(model)
    if model == "smp":
        return SMP_UNITS
    return tuple(build(model, width=width, classes=classes, encoder=encoder, unit_modules=unit_modules).units())


def unit_parameters(
    model: str, *, width: int, classes: int, encoder: str = "", unit_modules: str = ""
) -> dict[str, int]:
    """Exact number of parameters of each unit, input to output."""
    if model in MODELS:
        return classifier_parameters(model, width, classes)
    if model == "unet":
        return unet_parameters(width, classes=output_channels(classes))
    network = build(model, width=width, classes=classes, encoder=encoder, unit_modules=unit_modules)
    counts = {name: parameter.numel() for name, parameter in network.named_parameters()}
    return {unit: sum(counts.get(name, 0) for name in names) for unit, names in tensor_names(network).items()}
