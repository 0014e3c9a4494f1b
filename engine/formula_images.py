"""Classes of images made from formulas, for pre-training classifiers without any photograph.

A class is a random iterated function system: two to eight contracting affine maps, whose attractor is drawn. Its
instances differ by the maps' parameters, position, orientation and rendering, then by ground, shading, blur and
noise, which say nothing of the class. Kataoka et al. 2020 (FractalDB), arXiv:2101.08515; the maps are drawn by their
singular values as in Anderson and Farrell 2022, arXiv:2110.03091, such that few attractors are too sparse to be seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int64, UInt8
from scipy import fft, ndimage

FORMULA_REVISION = 1
"""Raised when a change of this module changes its images, so that no older start weights pass for new ones."""

MAPS = (2, 8)
"""Number of maps of a system, from and to (included)."""
SIZES = (5.0, 6.0)
"""Half of these plus half the number of maps bound the sum of (largest + 2 x smallest singular value) over maps."""
LARGEST = 0.95
"""Largest singular value of a map; 1 would not contract."""
FILLED = (0.12, 0.75)
"""Part of the attractor's bounding box that it touches, on a grid of `GRID` pixels; sparser or fuller ones are drawn
anew."""
GRID = 48
LONGEST = 4.0
"""Largest ratio of the bounding box's sides."""
CHANGED = (0.8, 1.2)
"""Factors on one of the six parameters of every map of an instance."""
TURNED = 25.0
"""Largest rotation of an instance in degrees, after it was mirrored or not along each axis."""
GROUND = 0.2
"""Largest standard deviation of the ground's texture, as a part of the contrast between attractor and ground."""
SETTLING, SPREADING, DRAWN = 10, 2, 4
"""Steps until few points lie on the attractor, steps in which `COPIES` of each part, and steps that are drawn."""
COPIES = 8

Plane: TypeAlias = Float[np.ndarray, "height width"]
Points: TypeAlias = Float[np.ndarray, "axis point"]


@dataclass(frozen=True, kw_only=True)
class System:
    """An iterated function system: x -> matrix x + offset, each map chosen as often as its area asks for."""

    matrices: Float[np.ndarray, "map 2 2"]
    offsets: Float[np.ndarray, "map 2"]


def formula_images(
    classes: int,
    per_class: int,
    image_size: int,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[UInt8[np.ndarray, "image height width"], Int64[np.ndarray, " image"]]:
    """Images (0 to 255), squares of side `image_size` pixels, and the class of each, class by class.

    An instance depends on (seed, class, its number) and the size only, never on how many are made. `progress` hears
    the part done, 0 to 1.
    """
    images = np.empty((classes * per_class, image_size, image_size), np.uint8)
    for label in range(classes):
        system = formula_class(seed, label)
        for number in range(per_class):
            images[label * per_class + number] = formula_image(system, image_size, seed, label, number)
        if progress is not None:
            progress((label + 1) / classes)
    return images, np.repeat(np.arange(classes), per_class)


def formula_class(seed: int, label: int) -> System:
    """The system of class `label` of the stream `seed`: the first drawn whose attractor can be seen."""
    random = np.random.default_rng([seed, label])
    while True:
        system = _system(random)
        points = _attractor(system, 2048, random)[0].reshape(2, -1)
        low, high = points.min(axis=1), points.max(axis=1)
        width, height = (high - low).tolist()
        if min(width, height) * LONGEST < max(width, height):
            continue
        place = ((points - low[:, None]) / (high - low)[:, None] * (GRID - 1)).astype(np.int64)
        if FILLED[0] <= len(np.unique(place[1] * GRID + place[0])) / GRID**2 <= FILLED[1]:
            return system


def formula_image(
    system: System, image_size: int, seed: int, label: int, number: int
) -> UInt8[np.ndarray, "height width"]:
    """Instance `number` of class `label`, whose system it is."""
    random = np.random.default_rng([seed, label, number + 1])
    points, last = _attractor(_changed(random, system), max(1024, image_size**2), random)
    count, shade = _density(_placed(random, points, image_size), last, image_size, len(system.matrices), random)
    cover = _rendered(random, count, image_size)
    contrast = random.uniform(0.25, 0.6)
    ground = random.uniform(0.05, 0.55) + _texture(random, image_size, random.uniform(0.02, GROUND) * contrast)
    surface = np.float32(contrast) * (1 - np.float32(random.uniform(0.1, 0.6)) * shade)
    surface = surface * np.float32(1 if random.random() < 0.7 else -1)
    picture = ground + cover * (surface + _texture(random, image_size, random.uniform(0.01, 0.06)))
    low, high = float(picture.min()), float(picture.max())
    picture = picture + np.float32(max(0.0, -low) - max(0.0, high - max(0.0, low) - 1.0) / 2)
    if random.random() < 0.5:
        picture = ndimage.gaussian_filter(picture, random.uniform(0.0, 0.008) * image_size, truncate=3.0)
    noise = np.float32(random.uniform(0.0, 0.06)) * random.standard_normal(picture.shape, dtype=np.float32)
    picture = picture * (1 + noise) + noise / 4
    gray: UInt8[np.ndarray, "height width"] = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    return gray


def _system(random: np.random.Generator) -> System:
    """A random system, whatever its attractor looks like."""
    maps = int(random.integers(MAPS[0], MAPS[1] + 1))
    wanted = (maps + random.uniform(*SIZES)) / 2
    while True:
        sizes = -np.sort(-random.uniform(0.05, 1, (maps, 2)), axis=1)
        sizes *= wanted / (sizes @ np.array([1.0, 2.0])).sum()
        if sizes.max() <= LARGEST:
            break
    left, right = (_turn(random.uniform(-np.pi, np.pi, maps)) for _ in range(2))
    signs = random.choice([-1.0, 1.0], (maps, 2))
    return System(
        matrices=np.einsum("mij,mj,mjk->mik", left, sizes * signs, right).astype(np.float32),
        offsets=random.uniform(-1, 1, (maps, 2)).astype(np.float32),
    )


def _changed(random: np.random.Generator, system: System) -> System:
    """The system of an instance: one of the six parameters times the same factor in every map, still contracting."""
    parameter, factor = int(random.integers(6)), np.float32(random.uniform(*CHANGED))
    matrices, offsets = system.matrices.copy(), system.offsets.copy()
    if parameter < 4:
        matrices[:, parameter // 2, parameter % 2] *= factor
        largest = np.linalg.norm(matrices, ord=2, axis=(1, 2))
        matrices *= np.minimum(1, LARGEST / largest)[:, None, None].astype(np.float32)
    else:
        offsets[:, parameter - 4] *= factor
    return System(matrices=matrices, offsets=offsets)


def _attractor(
    system: System, points: int, random: np.random.Generator
) -> tuple[Float[np.ndarray, "axis step point"], Int64[np.ndarray, " point"]]:
    """At least so many points of the attractor (x, y) after each drawn step, and the map that each came by.

    Each map takes a share of the points as large as its area, and all points are mixed before the next step: the same
    measure as by drawing a map for every point, without a lookup for each.
    """
    areas = np.maximum(np.abs(np.linalg.det(system.matrices.astype(np.float64))), 0.01)
    few = -(-points // COPIES)
    now = random.uniform(-1, 1, (2, few)).astype(np.float32)
    mixed, ends = random.permutation(few), _shares(areas, few)
    for _ in range(SETTLING):
        now = _step(system, now[:, mixed], ends)
    now = np.tile(now, COPIES)
    mixed, ends = random.permutation(now.shape[1]), _shares(areas, now.shape[1])
    found = np.empty((2, DRAWN, now.shape[1]), np.float32)
    for step in range(SPREADING + DRAWN):
        now = _step(system, now[:, mixed], ends)
        if step >= SPREADING:
            found[:, step - SPREADING] = now
    return found, np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))


def _shares(areas: Float[np.ndarray, " map"], points: int) -> Int64[np.ndarray, " map"]:
    """Where the points of each map end, in proportion to the areas."""
    ends: Int64[np.ndarray, " map"] = np.rint(np.cumsum(areas) / areas.sum() * points).astype(np.int64)
    return ends


def _step(system: System, points: Points, ends: Int64[np.ndarray, " map"]) -> Points:
    """The points after the map that each stands for."""
    after, start = np.empty_like(points), 0
    for matrix, offset, end in zip(system.matrices, system.offsets, ends.tolist(), strict=True):
        np.matmul(matrix, points[:, start:end], out=after[:, start:end])
        after[:, start:end] += offset[:, None]
        start = end
    return after


def _turn(angles: Float[np.ndarray, " map"]) -> Float[np.ndarray, "map 2 2"]:
    cosine, sine = np.cos(angles), np.sin(angles)
    turns: Float[np.ndarray, "map 2 2"] = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2)
    return turns


def _placed(
    random: np.random.Generator, points: Float[np.ndarray, "axis step point"], size: int
) -> Float[np.ndarray, "axis step point"]:
    """The points in pixels: mirrored, turned, scaled to the image and moved in it."""
    mirrored = random.choice([-1.0, 1.0], 2)
    turn = _turn(np.radians(random.uniform(-TURNED, TURNED, 1)))[0] * mirrored
    turned = np.tensordot(turn.astype(np.float32), points, axes=1)
    low, high = turned.min(axis=(1, 2)), turned.max(axis=(1, 2))
    scale = random.uniform(0.65, 0.98) * size / float((high - low).max())
    room = np.maximum(size - (high - low) * scale, 0)
    start = random.uniform(0, 1, 2) * room - low * scale
    placed: Float[np.ndarray, "axis step point"] = turned * np.float32(scale) + start.astype(np.float32)[:, None, None]
    return placed


def _density(
    points: Float[np.ndarray, "axis step point"],
    last: Int64[np.ndarray, " point"],
    size: int,
    maps: int,
    random: np.random.Generator,
) -> tuple[Plane, Plane]:
    """Points of each pixel, and its mean shade, 0 to 1: every map has a shade of its own in every instance."""
    column, row = np.clip(points, 0, size - 1).astype(np.int32).reshape(2, -1)
    pixel = row * size + column
    count = np.bincount(pixel, minlength=size * size)
    shades = random.random(maps)[last]
    summed = np.bincount(pixel, weights=np.tile(shades, DRAWN), minlength=size * size)
    shade = (summed / np.maximum(count, 1)).astype(np.float32)
    return count.reshape(size, size).astype(np.float32), shade.reshape(size, size)


def _rendered(random: np.random.Generator, count: Plane, size: int) -> Plane:
    """How much of each pixel the attractor covers, 0 to 1: points, random 3 x 3 patches, or a smooth surface."""
    kind = ("points", "patches", "surface")[random.integers(3)]
    cover: Plane
    if kind == "patches":
        patch = random.random((3, 3)) < 0.5
        patch[1, 1] = True
        cover = ndimage.binary_dilation(count > 0, patch).astype(np.float32)
    else:
        # Half of the touched pixels are covered wholly, however many points lie on the densest ones.
        cover = np.log1p(count)
        cover = np.minimum(cover / np.median(cover[count > 0]), 1)
    if kind == "surface":
        cover = ndimage.gaussian_filter(cover, random.uniform(0.008, 0.02) * size, truncate=3.0)
        cover = np.minimum(cover * np.float32(2 / max(float(cover.max()), 1e-6)), 1)
    return cover


@lru_cache(maxsize=4)
def _frequency(size: int) -> Plane:
    frequency = np.hypot(fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None, :]).astype(np.float32)
    frequency[0, 0] = np.inf
    return frequency


def _texture(random: np.random.Generator, size: int, strength: float) -> Plane:
    """A random field of mean 0 and standard deviation `strength` whose amplitude spectrum falls as 1/f^slope."""
    falling = _frequency(size) ** np.float32(-random.uniform(0.6, 1.6))
    spectrum = random.standard_normal((*falling.shape, 2), dtype=np.float32)
    field: Plane = fft.irfft2((spectrum[..., 0] + 1j * spectrum[..., 1]) * falling, s=(size, size))
    field *= np.float32(strength / max(float(field.std()), 1e-6))
    return field
