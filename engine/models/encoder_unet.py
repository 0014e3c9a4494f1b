"""The U-Net of segmentation-models-pytorch with an encoder of its list (Iakubovskii 2019). Downloads nothing."""

from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import StudyFileError, WeightsError
from engine.models.network import NamedUnits, Network
from engine.models.weights_file import add_counters, misfits, read_tensors

MEAN, SPREAD = 0.449, 0.226
"""Mean of the means and standard deviations of ImageNet's colours, which published encoders were trained with."""
CLASSIFIER = ("fc.", "classifier.", "head.", "last_linear.")
"""Beginnings of the names of a classifier's last layers, which no encoder has."""


def build_smp(encoder: str, channels: int) -> Network:
    """`Unet` with random weights: one gray channel in, logits out, units `encoder`, `decoder` and `head`.

    Raises StudyFileError where there is no such encoder.
    """
    import segmentation_models_pytorch as smp  # takes seconds, so only where it is needed

    _require_encoder(encoder)
    network = smp.Unet(encoder, encoder_weights=None, in_channels=1, classes=channels)
    units = {"encoder": [network.encoder], "decoder": [network.decoder], "head": [network.segmentation_head]}
    return NamedUnits(network, units, mean=MEAN, spread=SPREAD)


def load_encoder_weights(path: Path | str, encoder: str) -> dict[str, Tensor]:
    """The tensors of a file by their names in the network of `build_smp` (`encoder.conv1.weight`).

    The file is a safetensors file or a PyTorch state dict, with the names of torchvision or timm that the library
    itself reads for `encoder`, or those of a whole `Unet`. A classifier's last layers are ignored; a first
    convolution for colour is summed to one gray channel, as the library does. Raises WeightsError with a line
    per tensor that does not fit.
    """
    path = Path(path)
    wanted = _encoder(encoder)
    tensors = read_tensors(path, setting="encoder.weights", of="the encoder's")
    inside = {name.removeprefix("encoder."): value for name, value in tensors.items() if name.startswith("encoder.")}
    found = _renamed(wanted, inside or tensors)
    expected = wanted.state_dict()
    for name, tensor in found.items():
        if name in expected and tensor.dim() == 4 and tensor.shape[1] == 3 and expected[name].shape[1] == 1:
            found[name] = tensor.sum(1, keepdim=True)
    add_counters(found, expected)
    if problems := misfits(path.name, found, expected, f"encoder '{encoder}'"):
        raise WeightsError(problems)
    return {f"encoder.{name}": tensor.to(expected[name].dtype).contiguous() for name, tensor in found.items()}


def _require_encoder(encoder: str) -> None:
    import timm
    from segmentation_models_pytorch.encoders import get_encoder_names

    names = [name for name in get_encoder_names() if not name.startswith("timm-")]
    if encoder in names or (encoder.startswith("tu-") and encoder[3:].split(".")[0] in timm.list_models()):
        return
    near = get_close_matches(encoder, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise StudyFileError(
        f"encoder '{encoder}' is not in segmentation-models-pytorch; {hint}known: {', '.join(names)}, and those of "
        "timm as 'tu-NAME'"
    )


def _encoder(encoder: str) -> nn.Module:
    from segmentation_models_pytorch.encoders import get_encoder

    _require_encoder(encoder)
    with torch.random.fork_rng(devices=[]):
        module: nn.Module = get_encoder(encoder, in_channels=1, weights=None)
    return module


def _renamed(encoder: nn.Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """`given` under the encoder's own names: its `load_state_dict` renames, and a hook sees what comes out of it."""
    found: dict[str, Tensor] = {}

    def watch(module: nn.Module, state: dict[str, Tensor], *rest: Any) -> None:
        found.update(state)

    handle = encoder.register_load_state_dict_pre_hook(watch)  # type: ignore[no-untyped-call]
    with suppress(RuntimeError):  # what does not fit is said by the caller, a line each
        encoder.load_state_dict(dict(given))
    handle.remove()
    own = encoder.state_dict()
    if all(name.startswith("model.") for name in own) and not any(name.startswith("model.") for name in found):
        found = {f"model.{name}": tensor for name, tensor in found.items()}  # timm's names, without the wrapper's
    return {
        name: tensor
        for name, tensor in found.items()
        if name in own or not name.removeprefix("model.").startswith(CLASSIFIER)
    }
