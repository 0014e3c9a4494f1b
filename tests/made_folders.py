"""Folders of images that tests write for themselves."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.errors import DataError


def write_image(path: Path, seed: int, height: int = 24, width: int = 32) -> None:
    """Writes smooth noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8), dtype=np.uint8)
    Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(path)


def write_mask(path: Path, top: int = 4, height: int = 24, width: int = 32) -> None:
    """Writes a mask of eight rows from `top` on, columns 8 to 23."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + 8, 8:24] = 255
    Image.fromarray(mask).save(path)


def write_manifest_folder(
    folder: Path, images: int = 4, header: str = "image,mask,label,group,scanner,split,view"
) -> Path:
    """Writes `images` images with masks, two to a patient, and the manifest; gives the folder back."""
    lines = [header]
    for number in range(images):
        write_image(folder / f"images/{number}.png", number)
        write_mask(folder / f"masks/{number}.png", top=number)
        label = "benign" if number % 2 else "malignant"
        lines.append(f"images/{number}.png,masks/{number}.png,{label},patient {number // 2},A,train,long")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def problems_of(read: Callable[[], object]) -> tuple[str, ...]:
    """The lines of the DataError that `read` raises, each of which is one line."""
    with pytest.raises(DataError) as error:
        read()
    assert all("\n" not in line for line in error.value.problems)
    return error.value.problems


def smooth(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Noise that a perceptual hash can tell apart."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def brighter(pixels: np.ndarray) -> np.ndarray:
    """The same image in another light and size."""
    return np.asarray(Image.fromarray((pixels * 0.9 + 10).astype(np.uint8)).resize((80, 60)))
