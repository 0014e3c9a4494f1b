"""Maps of what a classifier's last hidden layer says of its images: vectors -> 50 components -> a plane, kept.

Cheng and Malhi 2017 put FC7 of the training images through PCA to 50 components and t-SNE to two. A map is made once
and stays with its study, so that its points lie where they lay the last time.
"""

import io
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Float16, Float32, Int32, UInt8
from safetensors import SafetensorError
from safetensors.numpy import load_file

from engine.errors import DataError, StudyFileError
from engine.hardware import usable_cores
from engine.store import Store

MapMethod = Literal["t-SNE", "UMAP"]
MAP_METHODS: tuple[MapMethod, ...] = get_args(MapMethod)
MAP_REVISION = 1
"""Raised when a change of this module moves the points, so that no older map passes for a new one."""
COMPONENTS = 50
"""Components of the first step (Cheng and Malhi 2017)."""
PERPLEXITY = 30.0
"""About how many neighbours t-SNE holds near a point; UMAP is given half as many."""
PARTS = ("training", "validation", "test")
"""Sets of a fold, by the number that an embedding has for them."""
FEWEST = 4
"""Images below which there are no neighbours to speak of: the first two components are the map."""
EXACT = 30_000
"""Images up to which the nearest neighbours are exact; above, t-SNE takes approximate ones."""

Progress = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """What the layer before the output of a trial's network said of images."""

    features: Float16[np.ndarray, "image dimension"]
    index: Int32[np.ndarray, " image"]
    """Places in the data set."""
    part: UInt8[np.ndarray, " image"]
    """Number of the image's set in `PARTS`."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingMap:
    """Places of images in a plane; distances have no unit."""

    places: Float32[np.ndarray, "image 2"]
    index: Int32[np.ndarray, " image"]
    part: UInt8[np.ndarray, " image"]
    method: MapMethod
    seed: int
    perplexity: float
    """As used; 0 where the two first components are the map."""
    seconds: float
    """What the map took to make."""
    note: str = ""
    """What differs from what was asked for, one line."""


def read_embedding(path: Path) -> Embedding:
    """The embedding in a file. Raises DataError where it is damaged or holds numbers that are not finite."""
    again = "delete it and run the study again"
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be read as an embedding ({' '.join(str(error).split())}); {again}") from error
    kinds = {"features": ("float16", 2), "index": ("int32", 1), "part": ("uint8", 1)}
    found = {name: (str(tensor.dtype), tensor.ndim) for name, tensor in tensors.items()}
    if found != kinds or len({len(tensor) for tensor in tensors.values()}) != 1:
        raise DataError(f"{path}: an embedding holds {', '.join(kinds)} of equal length; this one {found}; {again}")
    if tensors["part"].size and int(tensors["part"].max()) >= len(PARTS):
        raise DataError(f"{path}: part {tensors['part'].max()} is none of 0 to {len(PARTS) - 1}; {again}")
    _check_finite(tensors["features"], str(path))
    return Embedding(**tensors)


def reduce(
    features: Float[np.ndarray, "image dimension"], components: int = COMPONENTS, *, seed: int = 0
) -> Float32[np.ndarray, "image component"]:
    """The first principal components of the vectors, at most as many as there are images or dimensions.

    Randomised and seeded where vectors are many and long. Raises DataError where a number is not finite.
    """
    _check_finite(features, "features")
    vectors = features.astype(np.float32)
    kept = min(components, *vectors.shape)
    if kept == 0 or not np.ptp(vectors, axis=0).any():
        return np.zeros((len(vectors), kept), np.float32)
    from sklearn.decomposition import PCA

    large = min(vectors.shape) > 2 * kept and max(vectors.shape) > 500
    solver = PCA(kept, svd_solver="randomized" if large else "full", random_state=seed, copy=False)
    reduced: Float32[np.ndarray, "image component"] = solver.fit_transform(vectors).astype(np.float32)
    return reduced


def fitting_perplexity(images: int, wanted: float = PERPLEXITY) -> float:
    """The perplexity that so many images allow: a third of the others at most, and 0 where there is no map to fit."""
    if not wanted >= 1:
        raise StudyFileError(f"perplexity {wanted:g}: expected 1 or more, such as {PERPLEXITY:g}")
    return 0.0 if images < FEWEST else min(wanted, (images - 1) / 3)


def umap_neighbours(perplexity: float) -> int:
    """Neighbours that UMAP looks at where t-SNE has this perplexity."""
    return max(2, round(perplexity / 2))


def embedding_map(
    features: Float[np.ndarray, "image dimension"],
    method: MapMethod = "t-SNE",
    *,
    seed: int = 0,
    perplexity: float = PERPLEXITY,
    threads: int | None = None,
    progress: Progress = lambda part, text: None,
) -> Float32[np.ndarray, "image 2"]:
    """Places of the vectors in a plane: 50 principal components, then t-SNE or UMAP.

    Both begin from the first two components. A perplexity that is too large for so few images is reduced to what
    `fitting_perplexity` says; for fewer than four, and for vectors that are all the same, the first two components are
    the map. Threads change the last digits of t-SNE; UMAP runs on one. Raises DataError where a number is not finite.
    """
    fitting = fitting_perplexity(len(features), perplexity)
    progress(0.02, "principal components")
    reduced = reduce(features, seed=seed)
    first = np.zeros((len(reduced), 2), np.float32)
    first[:, : min(2, reduced.shape[1])] = reduced[:, :2]
    if not fitting or not first.any():
        return first
    progress(0.1, "nearest neighbours")
    make = _tsne if method == "t-SNE" else _umap
    places: Float32[np.ndarray, "image 2"]
    places = make(reduced, first, seed, fitting, threads or usable_cores(), progress).astype(np.float32)
    places -= places.mean(axis=0)
    return places


def before_training(trial_id: str) -> str:
    """Name of the embedding that the start weights of a trial gave of its images, in place of the trial's id.

    Kept where their output layer is new: other start weights are tested as they are, by a trial of their own.
    """
    return f"start-{trial_id}"


def map_name(trial_id: str, method: MapMethod = "t-SNE", *, seed: int = 0, perplexity: float = PERPLEXITY) -> str:
    """Name of a map's file in its study: all that decides its points."""
    return f"maps/{trial_id}-{method.lower()}-p{perplexity:g}-s{seed}-r{MAP_REVISION}.npz"


def find_map(
    store: Store,
    study: str,
    trial_id: str,
    method: MapMethod = "t-SNE",
    *,
    seed: int = 0,
    perplexity: float = PERPLEXITY,
) -> EmbeddingMap | None:
    """The map if it was made before and can be read."""
    content = store.files.read(f"{study}/{map_name(trial_id, method, seed=seed, perplexity=perplexity)}")
    if content is None:
        return None
    try:
        with np.load(io.BytesIO(content)) as kept:
            facts = {name: kept[name].item() for name in ("method", "seed", "perplexity", "seconds", "note")}
            return EmbeddingMap(places=kept["places"], index=kept["index"], part=kept["part"], **facts)
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):  # cut off, or of another make: it is made again
        return None


def stored_map(
    store: Store,
    study: str,
    trial_id: str,
    method: MapMethod = "t-SNE",
    seed: int = 0,
    perplexity: float = PERPLEXITY,
    *,
    threads: int | None = None,
    progress: Progress = lambda part, text: None,
) -> EmbeddingMap:
    """The map of a trial's embedding, made and kept in the study where it is not there yet.

    Raises StoreError where the trial kept no embedding or the map cannot be written, DataError where the embedding
    cannot be used.
    """
    found = find_map(store, study, trial_id, method, seed=seed, perplexity=perplexity)
    if found is not None:
        return found
    embedding = read_embedding(store.embedding(study, trial_id))
    images, begun = len(embedding.index), time.monotonic()
    places = embedding_map(
        embedding.features, method, seed=seed, perplexity=perplexity, threads=threads, progress=progress
    )
    used = fitting_perplexity(images, perplexity)
    made = EmbeddingMap(
        places=places,
        index=embedding.index,
        part=embedding.part,
        method=method,
        seed=seed,
        perplexity=used,
        seconds=time.monotonic() - begun,
        note=_note(places, perplexity, used),
    )
    content = io.BytesIO()
    np.savez_compressed(content, **vars(made))
    store.files.write(f"{study}/{map_name(trial_id, method, seed=seed, perplexity=perplexity)}", content.getvalue())
    progress(1.0, "kept")
    return made


def _note(places: Float32[np.ndarray, "image 2"], wanted: float, used: float) -> str:
    if not used:
        return f"{len(places)} images are too few for neighbours: the first two principal components"
    if not places.any():
        return "all vectors are the same: there is nothing to tell images apart by"
    return f"perplexity {used:.3g} in place of {wanted:g}: {len(places)} images allow no more" if used < wanted else ""


def _tsne(
    reduced: Float32[np.ndarray, "image component"],
    first: Float32[np.ndarray, "image 2"],
    seed: int,
    perplexity: float,
    threads: int,
    progress: Progress,
) -> np.ndarray:
    """t-SNE as Kobak and Berens 2019, 10.1038/s41467-019-13056-x, have it: initialisation and learning rate by rule."""
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN

    images = len(reduced)
    exact = {"method": "exact", "knn_kwargs": {"algorithm": "brute"}}
    affinities = PerplexityBasedNN(
        reduced,
        perplexity=perplexity,
        k_neighbors=min(images - 1, max(1, round(3 * perplexity))),
        n_jobs=threads,
        random_state=seed,
        **(exact if images <= EXACT else {"method": "annoy"}),
    )
    start = first * np.float32(1e-4 / first[:, 0].std())
    steps = {"early": (250, 12.0), "late": (500, 1.0)}
    embedding = TSNEEmbedding(
        start.astype(np.float64),
        affinities,
        learning_rate=max(200.0, images / 12),
        n_jobs=threads,
        random_state=seed,
    )
    before = 0
    for iterations, exaggeration in steps.values():

        def told(iteration: int, error: float, now: np.ndarray, before: int = before) -> None:
            progress(0.2 + 0.8 * (before + iteration) / 750, f"t-SNE: step {before + iteration} of 750")

        embedding.optimize(
            iterations, exaggeration=exaggeration, momentum=0.8, inplace=True, callbacks=told, callbacks_every_iters=25
        )
        before += iterations
    return np.asarray(embedding)


def _umap(
    reduced: Float32[np.ndarray, "image component"],
    first: Float32[np.ndarray, "image 2"],
    seed: int,
    perplexity: float,
    threads: int,
    progress: Progress,
) -> np.ndarray:
    """UMAP (McInnes, Healy, Melville 2018, arXiv:1802.03426) from the first two components."""
    from sklearn.neighbors import NearestNeighbors

    neighbours = umap_neighbours(perplexity)
    search = NearestNeighbors(n_neighbors=neighbours, algorithm="brute", n_jobs=threads).fit(reduced)
    distances, nearest = search.kneighbors(reduced)
    progress(0.3, "UMAP: compiling")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # of a part that needs Tensorflow
        from umap import UMAP

    progress(0.5, "UMAP: moving the points")
    make = UMAP(
        n_neighbors=neighbours,
        init=first * np.float32(10 / np.abs(first).max()),
        precomputed_knn=(nearest, distances),
        force_approximation_algorithm=True,
        random_state=seed,
        n_jobs=1,  # a seed asks for one thread
    )
    with warnings.catch_warnings():
        # Without an index no new image can be placed on the map, which nobody asks of it.
        warnings.filterwarnings("ignore", "precomputed_knn", UserWarning)
        return np.asarray(make.fit_transform(reduced))


def _check_finite(features: Float[np.ndarray, "image dimension"], name: str) -> None:
    broken = int((~np.isfinite(features)).any(axis=1).sum())
    if broken:
        raise DataError(
            f"{name}: {broken:,} of {len(features):,} vectors hold numbers that are not finite; the network's training "
            "went astray: choose another trial, or train it again at a lower learning rate"
        )
