"""Start weights of classifiers that others trained: from a file, or from the library that publishes them."""

from collections.abc import Mapping
from pathlib import Path
from urllib.request import Request, urlopen

import torch
from safetensors.torch import load_file
from torch import Tensor

from engine.architectures import CLASSIFIERS, default_width, last_unit
from engine.architectures.layers import VGG16_CONVOLUTIONS
from engine.errors import WeightsError
from engine.models import MODELS
from engine.models.caffenet import SPREAD
from engine.models.weights_file import add_counters, misfits, read_tensors

TIMM_STAGES = (1, 2, 2, 6, 2)
"""Blocks in each stage of timm's MobileNet v1."""
TIMM_FILE = "model.safetensors"
SECONDS_TO_ANSWER = 10
CAFFE_PREFIXES = ("features.", "classifier.")
"""What conversions of Caffe's model put before the names of its layers."""


def load_classifier_weights(path: Path | str, model: str, width: int, classes: int | None = None) -> dict[str, Tensor]:
    """The tensors of a file by their names in our network `model`.

    The file is a safetensors file or a PyTorch state dict with our names, torchvision's (`vgg16`), timm's
    (`mobilenetv1_100`) or those of Caffe's reference model as it is usually converted (`conv1.weight`, `fc6.weight`).
    The last unit comes along where it has an output for each of `classes`, and is left out otherwise. Raises
    WeightsError with a line per tensor that does not fit.
    """
    path = Path(path)
    given = read_tensors(path, setting="start_weights.file", of="the network's")
    return _fitting(path.name, given, model, width, classes)


def library_weights(model: str, width: int | None = None) -> dict[str, Tensor]:
    """torchvision's or timm's ImageNet weights, without the last unit, by their names in our network `model`.

    They come from the library's own cache on this machine, or over the network. Raises WeightsError where there are
    none, or none can be had.
    """
    wanted = default_width(model)
    if model not in ("vgg16", "mobilenet"):
        other = "torchvision's AlexNet is not CaffeNet: " if model == "caffenet" else ""
        raise WeightsError(
            f"start_weights 'library': {other}no library has weights of {CLASSIFIERS[model].title}; give a file, or "
            "choose 'kind: formula-driven images'"
        )
    if width not in (None, wanted):
        raise WeightsError(
            f"start_weights 'library': the weights of {model} are for width {wanted}, not {width}; write "
            f"'width: {wanted}', or choose 'kind: formula-driven images'"
        )
    library = "torchvision" if model == "vgg16" else "timm"
    try:
        given = _of_torchvision() if model == "vgg16" else _of_timm()
    except Exception as error:  # whatever a download may fail of
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"start_weights 'library': {library}'s weights of {model} cannot be loaded on this machine ({said}); fetch "
            "them on another and give them with 'kind: file', or choose 'kind: formula-driven images'"
        ) from error
    return _fitting(library, given, model, wanted, None)


def _of_torchvision() -> Mapping[str, Tensor]:
    from torchvision.models import VGG16_Weights

    found: Mapping[str, Tensor] = VGG16_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    return found


def _of_timm() -> Mapping[str, Tensor]:
    import timm
    from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache

    repository = timm.get_pretrained_cfg("mobilenetv1_100").hf_hub_id
    path = try_to_load_from_cache(repository, TIMM_FILE)
    if not isinstance(path, str):
        asked = Request(hf_hub_url(repository, TIMM_FILE), method="HEAD")
        urlopen(asked, timeout=SECONDS_TO_ANSWER).close()  # the library itself would try for a minute
        path = hf_hub_download(repository, TIMM_FILE)
    return load_file(path)


def _fitting(file: str, given: Mapping[str, Tensor], model: str, width: int, classes: int | None) -> dict[str, Tensor]:
    if model == "caffenet" and "features.0.weight" in given:
        raise WeightsError(f"{file}: torchvision's AlexNet is not CaffeNet, whose layers are wider; give Caffe's model")
    last = last_unit(model)
    with torch.random.fork_rng(devices=[]):
        own = MODELS[model](width, classes or 2).state_dict()
    names = {name: name for name in given} if own.keys() & given.keys() else _names(model, given)
    found = {names.get(name, name): tensor for name, tensor in given.items()}
    outputs = found.get(f"{last}.layer.bias")
    if outputs is None or len(outputs) != classes:
        expected = {name: tensor for name, tensor in own.items() if not name.startswith(f"{last}.")}
        hidden = own[f"{last}.layer.weight"].shape[1]
        found = {
            name: tensor
            for name, tensor in found.items()
            if not name.startswith(f"{last}.") or tensor.shape[1:] not in ((hidden,), ())
        }
    else:
        expected = own
    add_counters(found, expected)
    in_file = {ours: theirs for theirs, ours in names.items()}
    if problems := misfits(file, found, expected, f"{model} of width {width}", in_file):
        raise WeightsError(problems)
    if model == "caffenet" and "conv1.layer.weight" not in given:
        found["conv1.layer.weight"] = _from_caffe(found["conv1.layer.weight"])
    return {name: found[name].to(expected[name].dtype).contiguous() for name in expected}


def _from_caffe(weight: Tensor) -> Tensor:
    """The first layer's weights, which see colours from 0 to 255 less their mean, blue first, in our convention."""
    return weight.flip(1).float() * 255 * torch.tensor(SPREAD)[:, None, None]


def _names(model: str, given: Mapping[str, Tensor]) -> dict[str, str]:
    """Our name of each tensor that others name so."""
    if model == "cvcnet":
        return {}
    rename = {"caffenet": _of_caffe, "vgg16": _vgg16_layers, "mobilenet": _mobilenet_layers}[model]
    layers = rename(given)
    return {
        name: f"{layers[layer]}.{kind}"
        for name, (layer, _, kind) in ((name, name.rpartition(".")) for name in given)
        if layer in layers
    }


def _of_caffe(given: Mapping[str, Tensor]) -> dict[str, str]:
    found = {"class_classifier": "fc8.layer"}
    for layer in {name.rpartition(".")[0] for name in given}:
        plain = next((layer.removeprefix(p) for p in CAFFE_PREFIXES if layer.startswith(p)), layer)
        if plain in (*(f"conv{number}" for number in range(1, 6)), "fc6", "fc7", "fc8"):
            found[layer] = f"{plain}.layer"
    return found


def _vgg16_layers(given: Mapping[str, Tensor]) -> dict[str, str]:
    found, place = {}, 0
    for stage, (_, count) in VGG16_CONVOLUTIONS.items():
        for number in range(1, count + 1):
            found[f"features.{place}"] = f"{stage}_{number}.layer"
            place += 2  # the convolution and its ReLU
        place += 1  # the pooling
    return found | {"classifier.0": "fc6.layer", "classifier.3": "fc7.layer", "classifier.6": "fc8.layer"}


def _mobilenet_layers(given: Mapping[str, Tensor]) -> dict[str, str]:
    found = {"conv_stem": "stem.layer.convolution", "bn1": "stem.layer.normalisation", "classifier": "head.layer"}
    places = [(stage, place) for stage, count in enumerate(TIMM_STAGES) for place in range(count)]
    for number, (stage, place) in enumerate(places, start=1):
        theirs, ours = f"blocks.{stage}.{place}", f"block{number}"
        found |= {
            f"{theirs}.conv_dw": f"{ours}.depthwise.convolution",
            f"{theirs}.bn1": f"{ours}.depthwise.normalisation",
            f"{theirs}.conv_pw": f"{ours}.pointwise.convolution",
            f"{theirs}.bn2": f"{ours}.pointwise.normalisation",
        }
    return found
