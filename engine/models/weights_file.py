"""Files with weights of others: read without running their code, and told apart from what a network needs."""

import hashlib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from engine.errors import WeightsError

SHOWN_PROBLEMS = 8
"""A file of another network has hundreds of misfits, and the first ones say it all."""
SHOWN_DIGITS = 12
"""Hexadecimal digits of a file's checksum in a line for people; the recipe holds all 64."""


def read_tensors(path: Path | str, *, setting: str, of: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file or a PyTorch state dict, by their names there.

    A state dict inside of one (`state_dict`, `model`) is taken, and the prefix of a parallel module left out.
    `setting` and `of` are what messages say: the setting that names the file, and whose weights it should hold.
    Raises WeightsError.
    """
    path = Path(path)
    safe = path.suffix == ".safetensors"
    try:
        loaded: Any = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: there is no such file; '{setting}' names one on this machine") from error
    except Exception as error:  # whatever a reader says of bytes that are no weights
        kind = (
            "safetensors" if safe else "a PyTorch state dict (a whole saved model would run its code, and is refused)"
        )
        raise WeightsError(
            f"{path.name} cannot be read as {kind}; save {of} state_dict() with torch.save or safetensors"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not any(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"{path.name} holds no tensors by name; save {of} state_dict()")
    return {str(name).removeprefix("module."): value for name, value in loaded.items() if isinstance(value, Tensor)}


def file_sha256(path: Path | str) -> str:
    """SHA-256, hex, of a file's bytes: what its publisher may have printed beside it."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def add_counters(found: MutableMapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Batch counters of normalisation where `found` lacks them: older files do, and nothing that we use reads them."""
    for name, tensor in expected.items():
        if name.endswith(".num_batches_tracked"):
            found.setdefault(name, torch.zeros(tensor.shape, dtype=tensor.dtype))


def misfits(
    file: str,
    found: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    network: str,
    names: Mapping[str, str] | None = None,
) -> list[str]:
    """A line per tensor that is missing, too much, of another shape, or not finite; few lines where there are many.

    `names` are those in the file where they differ from the network's.
    """
    said = dict(names or {})
    problems = [
        f"{file}: '{said.get(name, name)}' is {_shape(found.get(name), 'missing')}; {network} has "
        f"{_shape(expected.get(name), 'no such tensor')}"
        for name in sorted(found.keys() | expected.keys())
        if _shape(found.get(name)) != _shape(expected.get(name))
    ]
    problems += [
        f"{file}: '{said.get(name, name)}' holds values that are not finite numbers; save it again"
        for name, tensor in found.items()
        if not tensor.isfinite().all()
    ]
    if len(problems) > SHOWN_PROBLEMS:
        more = len(problems) - SHOWN_PROBLEMS
        whose = network.removeprefix("encoder ")
        problems[SHOWN_PROBLEMS:] = [f"{file}: and {more} tensors more; is it a file of {whose}?"]
    return problems


def _shape(tensor: Tensor | None, absent: str = "") -> str:
    return absent if tensor is None else " x ".join(map(str, tensor.shape)) or "one number"


def describe_file(file: Path) -> str:
    """What pages say of weights of a file: its present name, and the first digits of what its publisher may print."""
    return f"weights of the file {file.name} (SHA-256 {file_sha256(file)[:SHOWN_DIGITS]})"


def existing(text: str | None, kind: str) -> Path:
    """The file or folder (`kind`) that start weights name. Raises WeightsError where there is none."""
    path = Path(text or "").expanduser()
    if not text or not (path.is_file() if kind == "file" else path.is_dir()):
        raise WeightsError(f"start_weights.{kind}: '{text or ''}' is no {kind}; give the path of an existing {kind}")
    return path
