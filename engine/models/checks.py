"""What a network must satisfy before the first trial, each with one line that says what, where, and the remedy."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from engine.architectures import CLASSIFIERS
from engine.errors import StrategyError, StudyFileError
from engine.models.classifier import Classifier
from engine.models.network import Network, freeze_all_but, hold_statistics, tensor_names
from engine.models.own_network import said
from engine.optimiser import Group, Optimiser


def check_network(
    network: Network, model: str, *, image_size: int, channels: int, batch_size: int, steps: bool
) -> None:
    """Nothing where `network` can be trained and tested, and its units frozen. Leaves it with other weights.

    Its units partition it; an image gives finite logits of `channels` at its own size, or a classifier's one number
    per class; with `steps`, one optimiser step on `batch_size` images leaves each unit as it was while it is frozen.
    Raises StrategyError for units, StudyFileError for the rest; each line begins with the name `model`.
    """
    where = f"network '{model}'"
    _check_units(network, where)
    _check_shape(network, where, image_size, channels)
    if steps:
        _check_frozen(network, where, image_size, channels, batch_size)


def check_side(model: str, side: int | None) -> None:
    """Nothing where a classifier can see images of `side` pixels. Raises StudyFileError."""
    facts = CLASSIFIERS[model]
    if side is not None and side < facts.smallest:
        raise StudyFileError(
            f"network '{model}': images of {side} x {side} pixels are too small; {facts.title} sees {facts.smallest} "
            "at least, so make 'model.image_size' or 'training.crop' larger"
        )


def _check_units(network: Network, where: str) -> None:
    units = network.units()
    if not isinstance(units, Mapping) or not units or not all(isinstance(m, Sequence) for m in units.values()):
        raise StrategyError(f"{where}: units() must give names with lists of modules, as {{'stem': [self.conv1], ...}}")
    problems = [
        f"{where}: unit '{unit}' has a {type(module).__name__} in its list; expected modules only"
        for unit, modules in units.items()
        for module in modules
        if not isinstance(module, nn.Module)
    ]
    problems += [
        f"{where}: '{name}' in its state dict is a {type(value).__name__}, not a tensor, and cannot be stored"
        for name, value in network.state_dict().items()
        if not isinstance(value, Tensor)
    ]
    if problems:
        raise StrategyError(problems)
    try:
        names = tensor_names(network)
    except StrategyError as error:
        raise StrategyError([f"{where}: {problem}" for problem in error.problems]) from error
    learnable = {name for name, _ in network.named_parameters()}
    empty = [unit for unit, own in names.items() if not learnable & set(own)]
    if empty:
        raise StrategyError(
            f"{where}: unit '{empty[0]}' has no parameters that could learn; leave it out, or put it into another unit"
        )


def _check_shape(network: Network, where: str, side: int, channels: int) -> None:
    network.eval()
    try:
        with torch.inference_mode():
            logits = network(torch.rand(1, 1, side, side))
    except Exception as error:  # the user's code
        raise StudyFileError(
            f"{where}: an image of 1 x 1 x {side} x {side} (batch, channel, height, width) failed: {said(error)}; it "
            "must take one gray channel of this size"
        ) from error
    expected = (1, channels) if isinstance(network, Classifier) else (1, channels, side, side)
    if not isinstance(logits, Tensor):
        raise StudyFileError(f"{where} gave a {type(logits).__name__}; expected one tensor of logits, {_by(expected)}")
    if tuple(logits.shape) != expected:
        outputs = "one channel" if channels == 1 else f"{channels} channels, background and {channels - 1} structures,"
        raise StudyFileError(
            f"{where} gave {_by(tuple(logits.shape))} for an image of 1 x 1 x {side} x {side}; expected "
            f"{_by(expected)}: {outputs} at the image's size"
        )
    if not logits.is_floating_point() or not logits.isfinite().all():
        raise StudyFileError(f"{where} gave values that are not finite numbers for an image in [0, 1]; look at its "
                             "initial weights and at divisions")  # fmt: skip


def _check_frozen(network: Network, where: str, side: int, channels: int, batch_size: int) -> None:
    names = tensor_names(network)
    images, truth = torch.rand(batch_size, 1, side, side), torch.rand(batch_size, channels, side, side).round()
    for unit, own in names.items():
        others = [name for name in names if name != unit]
        learning = freeze_all_but(network, others)
        before = {name: network.state_dict()[name].clone() for name in own}
        network.train()
        hold_statistics(network, others)
        try:
            loss = binary_cross_entropy_with_logits(network(images).float(), truth)
            if learning:
                torch.autograd.backward(loss)
                Optimiser([Group(weights=learning, rate=1e-2)]).step()
        except Exception as error:  # as above
            raise StudyFileError(
                f"{where}: a training step on {batch_size} images with unit '{unit}' frozen failed: {said(error)}"
            ) from error
        after = network.state_dict()
        changed = [name for name in own if not torch.equal(before[name], after[name])]
        if changed:
            raise StrategyError(
                f"{where}: '{changed[0]}' of unit '{unit}' changed in a training step while it was frozen; it must "
                "change by its gradient alone and be shared with no other unit"
            )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
