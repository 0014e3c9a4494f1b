"""Data sets kept decoded on disk, addressed by their content, so that opening one again takes milliseconds.

    cache/data/<fingerprint>/images.npy, masks.npy    arrays, opened as memory maps
                             <sha-256>.parquet        tables: the same images can carry other labels
                             about.json               name, provenance, structures and table last opened with them
    cache/data/index/<key>.json                       from a source as it was (files, sizes, times, settings) to these

Everything is written aside and renamed. What does not add up is made again, never trusted.
"""

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

import engine.images
import engine.simulator
from engine.datasets import (
    busi,
    camus,
    class_findings,
    class_folders,
    classes,
    confounding,
    crops,
    dataset,
    file_headers,
    folder,
    funnel,
    hc18,
    labelled,
    layouts,
    listing,
    manifest,
    simulated,
    structures,
)
from engine.datasets.cache_files import write_aside
from engine.datasets.dataset import COLUMNS, ONE_STRUCTURE, Dataset, is_sound
from engine.datasets.folder import read_folder
from engine.datasets.labelled import read_labelled
from engine.datasets.simulated import simulated_dataset
from engine.errors import DataError
from engine.study_settings import DataSettings

_FOLDER_READERS = (
    busi, camus, class_findings, class_folders, classes, confounding, crops, dataset, file_headers, folder, funnel,
    hc18, labelled, layouts, listing, manifest, structures,
)  # fmt: skip
_SIMULATED_MAKERS = (engine.simulator, dataset, simulated)
_PHANTOMS = Path(__file__).parents[1] / "phantoms"
_IMAGES = Path(engine.images.__file__ or "").parent
_DECODERS = ("pillow", "pydicom", "pylibjpeg-openjpeg", "pyjpegls", "nibabel", "opencv-python-headless")


@dataclass(frozen=True, kw_only=True)
class _About:
    """What is kept of a data set beside its arrays."""

    name: str
    provenance: str
    table: str
    """SHA-256 of the table's file, which is its name."""
    structures: Sequence[str] = ONE_STRUCTURE
    """Names of the structures; caches from before there were several do not say them."""
    classes: Sequence[str] = ()
    """Names of the classes, where they are learned."""
    caveats: Sequence[str] = ()
    """What pages must say of the images."""


def open_dataset(
    settings: DataSettings,
    image_size: int,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """The data set of a study file, `image_size` x `image_size`, its arrays mapped read-only from the cache.

    Made or read, and kept, where the cache has no sound copy; `progress` as in `read_folder`.
    Raises DataError with a line for everything that is wrong with the data.
    """
    data = cache / "data"
    index = data / "index" / f"{_source_key(settings, image_size)}.json"
    found = _find(index, data)
    if found is None:
        made = _make(settings, image_size, progress)
        about = _keep(made, data)
        write_aside(index, json.dumps({"fingerprint": made.fingerprint, **vars(about)}).encode())
        found = _find(index, data)
        if found is None:
            raise DataError(f"{made.name}: what was written to the cache cannot be read back; check the disk")
    opened = replace(found, name=settings.name) if settings.name else found
    _remember(opened, index, data)
    return opened


def load_cached(fingerprint: str, cache: Path) -> Dataset:
    """The data set with this fingerprint as it was last opened, mapped read-only; for workers and pages.

    Sizes and the table are checked, the arrays' content is not (`open_dataset` does). Raises DataError.
    """
    problem = f"data {fingerprint[:12]} are not in the cache, or damaged there; run the study again to read them anew"
    if not re.fullmatch("[0-9a-f]{64}", fingerprint):
        raise DataError(problem)
    try:
        about = _About(**json.loads((cache / "data" / fingerprint / "about.json").read_bytes()))
        return _load(fingerprint, about, cache / "data")
    except (OSError, ValueError, TypeError, KeyError, EOFError):
        raise DataError(problem) from None


def _make(settings: DataSettings, image_size: int, progress: Callable[[int, int], None] | None) -> Dataset:
    if settings.kind == "simulated":
        if settings.scanner == "A and B":
            raise DataError("data.scanner: 'A and B' is for phantoms; simulated images have scanner A or B")
        return simulated_dataset(
            images=settings.images, image_size=image_size, seed=settings.seed, scanner=settings.scanner
        )
    if settings.kind != "folder":
        from engine.datasets.phantoms import phantom_dataset  # loads the simulated scanners, which few studies need

        return phantom_dataset(
            kind=settings.kind,
            images=settings.images,
            image_size=image_size,
            seed=settings.seed,
            scanner=settings.scanner,
            progress=progress,
        )
    root = _folder(settings)
    if settings.learn == "labels":
        return read_labelled(
            root,
            image_size=image_size,
            label=settings.label,
            where=settings.where,
            crop=settings.crop or ("square" if settings.square else None),
            progress=progress,
        )
    if settings.crop or settings.square:
        raise DataError("data.crop: only with 'learn: labels'; leave it out, or cut masks and images to size before")
    return read_folder(root, image_size=image_size, mask=settings.mask, where=settings.where, progress=progress)


def _folder(settings: DataSettings) -> Path:
    if settings.folder is None:
        raise DataError("data.folder: no folder named; give it in the study file or with --data FOLDER")
    return Path(settings.folder).expanduser()


def _source_key(settings: DataSettings, image_size: int) -> str:
    """SHA-256, hex, of all that decides what a source gives: its files as they are now, settings, and our code."""
    if settings.kind != "folder":
        made_by = [Path(module.__file__ or "") for module in _SIMULATED_MAKERS]
        if settings.kind != "simulated":
            made_by += [Path(__file__).with_name("phantoms.py"), *sorted(_PHANTOMS.rglob("*.py"))]
        source: object = [settings.images, settings.seed, settings.scanner, _code_digest(made_by), np.__version__]
    else:
        source = [
            _files(_folder(settings).resolve()),
            [settings.learn, settings.label, settings.crop, settings.square, settings.mask],
            {column: list(values) for column, values in settings.where.items()},
            _code_digest([*(Path(module.__file__ or "") for module in _FOLDER_READERS), *sorted(_IMAGES.glob("*.py"))]),
            [version(name) for name in _DECODERS],
        ]
    return hashlib.sha256(json.dumps([settings.kind, image_size, source], sort_keys=True).encode()).hexdigest()


def _files(root: Path) -> list[object]:
    """The folder, and name, size and time of each file in it, and of HC18's table above it."""
    found: list[object] = [str(root)]
    for path, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not (Path(path) / name).is_symlink()
        )
        found.extend(_state(Path(path) / name) for name in sorted(names))
    found.append(_state(root.parent / hc18.PIXEL_SIZES))
    return found


def _state(path: Path) -> list[object]:
    try:
        status = path.stat()
    except OSError:
        return [os.fsencode(path).hex(), None]
    return [os.fsencode(path).hex(), status.st_size, status.st_mtime_ns]


def _code_digest(files: Sequence[Path]) -> str:
    """SHA-256 of source files: a revision that nobody can forget to raise."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def _find(index: Path, data: Path) -> Dataset | None:
    """The data set that the index names, its content verified; None where anything does not add up."""
    try:
        about = json.loads(index.read_bytes())
        fingerprint = about.pop("fingerprint")
        loaded = _load(fingerprint, _About(**about), data)
    except (OSError, ValueError, TypeError, KeyError, EOFError, AttributeError):
        return None
    return loaded if is_sound(loaded) else None


def _load(fingerprint: str, about: _About, data: Path) -> Dataset:
    """The data set with its arrays mapped; raises ValueError and others where files are absent or do not fit."""
    place = data / fingerprint
    images = np.load(place / "images.npy", mmap_mode="r", allow_pickle=False)
    masks = np.load(place / "masks.npy", mmap_mode="r", allow_pickle=False)
    written = (place / f"{about.table}.parquet").read_bytes()
    if hashlib.sha256(written).hexdigest() != about.table:
        raise ValueError("table differs from its name")
    table = pd.read_parquet(io.BytesIO(written))
    expected = (len(images), 0, 0) if about.classes else images.shape
    fits = images.ndim == 3 and masks.shape == expected and len(images) == len(table) and set(COLUMNS) <= set(table)
    if not fits or images.dtype != np.uint8 or masks.dtype != np.uint8:
        raise ValueError("arrays and table do not fit")
    return Dataset(
        name=about.name,
        provenance=about.provenance,
        images=images,
        masks=masks,
        table=table,
        fingerprint=fingerprint,
        structures=tuple(about.structures),
        classes=tuple(about.classes),
        caveats=tuple(about.caveats),
    )


def _about(dataset: Dataset, table: str) -> _About:
    return _About(
        name=dataset.name,
        provenance=dataset.provenance,
        table=table,
        structures=dataset.structures,
        classes=dataset.classes,
        caveats=dataset.caveats,
    )


def _keep(made: Dataset, data: Path) -> _About:
    """Writes the data set into the cache, in place of whatever lies there; gives back what stands beside the arrays."""
    buffer = io.BytesIO()
    made.table.to_parquet(buffer, index=False)
    table = buffer.getvalue()
    about = _about(made, hashlib.sha256(table).hexdigest())
    data.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".aside-", dir=data))
    try:
        np.save(aside / "images.npy", made.images)
        np.save(aside / "masks.npy", made.masks)
        (aside / f"{about.table}.parquet").write_bytes(table)
        (aside / "about.json").write_text(json.dumps(vars(about)))
        place = data / made.fingerprint
        if not place.exists():
            try:
                aside.rename(place)
                return about
            except OSError:
                # Another process was faster: `rename` refuses to replace a folder that holds files.
                if not place.is_dir():
                    raise
        # File by file, so that a reader of the folder finds each of them at any moment, old or new but whole.
        for path in sorted(aside.iterdir()):
            path.replace(place / path.name)
        return about
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remember(opened: Dataset, index: Path, data: Path) -> None:
    """Lets `load_cached` give the name, table and structures that the data were last opened with."""
    about = _about(opened, json.loads(index.read_bytes())["table"])
    path = data / opened.fingerprint / "about.json"
    content = json.dumps(vars(about)).encode()
    if not path.is_file() or path.read_bytes() != content:
        write_aside(path, content)
