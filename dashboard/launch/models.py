"""A trained network as a file to take along, made by `whichlayers model` in a process of its own."""

import sys
import tempfile
import zipfile
from pathlib import Path

from dashboard.launch.runs import said

KINDS = {"safetensors": ".safetensors", "ONNX": ".onnx", "torch.export": ".pt2"}
"""What a network can be taken along as, and how its file's name ends."""
MODEL_SECONDS = 600.0
"""Longest time that is waited for a file."""


def model_name(study: str, trial: str, kind: str) -> str:
    """The name of the network's file."""
    return f"{study}-{trial[:12]}{KINDS[kind]}"


def zip_model(study: str, trial: str, kind: str, store: str, cache: Path, out: Path) -> None:
    """The network's file and its model card, zipped as `out`.

    `whichlayers model` compares it with the network on test images first. Raises WhichLayersError with its lines.
    """
    with tempfile.TemporaryDirectory(prefix="whichlayers-model-") as name:
        file = Path(name) / model_name(study, trial, kind)
        command = [sys.executable, "-m", "whichlayers", "model", study, trial, "--out", str(file)]
        command += ["--store", store, "--cache", str(cache)]
        said(command, "the file", MODEL_SECONDS)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
            for part in sorted(Path(name).iterdir()):
                packed.write(part, part.name)
