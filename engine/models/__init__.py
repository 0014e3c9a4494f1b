"""Networks by name. Each gives logits and names its units (`units()`)."""

import torch

from engine.architectures import SMP_UNITS, UNET_UNITS, output_channels, unet_parameters
from engine.errors import StudyFileError
from engine.models.checks import check_network as check_built
from engine.models.encoder_unet import build_smp, load_encoder_weights
from engine.models.network import Network, tensor_names
from engine.models.own_network import build_own, network_code
from engine.models.unet import UNet

__all__ = [
    "MODELS",
    "Network",
    "UNet",
    "build",
    "check_network",
    "load_encoder_weights",
    "network_code",
    "unit_names",
    "unit_parameters",
]

MODELS = {"unet": UNet}
"""The U-Net of Amiri et al. 2020, with its width as a setting and its ten units named."""


def build(model: str, *, width: int, classes: int, encoder: str = "", unit_modules: str = "") -> Network:
    """The network with random weights: one gray channel in, logits out (one channel for one structure, else
    background and structures).

    `model` is `unet`, `smp` (with the name of its `encoder`) or `package.module:build`, a user's own, whose units
    are those of `unit_modules` (JSON: names with the modules of each) or of its method `units`. Raises
    StudyFileError where it cannot be made, StrategyError where it names no units.
    """
    channels = output_channels(classes)
    if model == "unet":
        return UNet(width, classes=channels)
    if model == "smp":
        return build_smp(encoder, channels)
    if ":" in model:
        return build_own(model, channels, unit_modules)
    raise StudyFileError(f"unknown network '{model}'; known: unet, smp, or 'package.module:build' for your own")


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

    To be called before the first trial. Raises StudyFileError or StrategyError, a line per problem. Only a user's
    own network takes the optimiser steps that try each unit frozen; tests try those of the built-in ones.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        check_built(
            build(model, width=width, classes=classes, encoder=encoder, unit_modules=unit_modules),
            model,
            image_size=image_size,
            channels=output_channels(classes),
            batch_size=batch_size,
            steps=":" in model,
        )


def unit_names(
    model: str, *, width: int = 64, classes: int = 1, encoder: str = "", unit_modules: str = ""
) -> tuple[str, ...]:
    """Names of the network's units, input to output."""
    if model in ("unet", "smp"):
        return UNET_UNITS if model == "unet" else SMP_UNITS
    return tuple(build(model, width=width, classes=classes, encoder=encoder, unit_modules=unit_modules).units())


def unit_parameters(
    model: str, *, width: int, classes: int, encoder: str = "", unit_modules: str = ""
) -> dict[str, int]:
    """Exact number of parameters of each unit, input to output."""
    if model == "unet":
        return unet_parameters(width, classes=output_channels(classes))
    network = build(model, width=width, classes=classes, encoder=encoder, unit_modules=unit_modules)
    counts = {name: parameter.numel() for name, parameter in network.named_parameters()}
    return {unit: sum(counts.get(name, 0) for name in names) for unit, names in tensor_names(network).items()}
