"""Natural-like gray images with a salient object and its exact mask, made on the spot for pre-training.

One or two smooth shapes lie in front, apart from their ground by brightness, shading and texture, or by an
outline alone; the ground is a 1/f texture with a gradient and faint, partly hidden shapes (dead leaves). Then
blur, gain and noise. The ground's shapes stay much fainter than the object's, so that nobody has to guess which
of them is the object: start weights that never learned their own task do not help.
Natural images have spectra near 1/f: Ruderman 1997, 10.1016/S0042-6989(97)00008-4; dead leaves: Lee, Mumford,
Huang 2001, 10.1023/A:1011109015675.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, UInt8
from scipy import fft, ndimage

NATURAL_IMAGES_REVISION = 1
"""Raised when a change of this module changes its images, so that no older start weights pass for new ones."""

CONTRAST = (0.12, 0.45)
"""Difference of brightness between an object (or its outline) and its ground; black is 0, white is 1."""
LEAF_CONTRAST = 0.05
"""Largest difference of brightness between a faint shape of the ground and what it lies on."""
LEAVES = (3, 12)
"""Number of faint shapes, from and to (included)."""
OUTLINE_ALONE = 1 / 3
"""Part of the images whose objects differ from their ground by an outline alone."""
TWO_OBJECTS = 0.35
"""Part of the images with two objects."""
RADIUS = (0.10, 0.32)
"""Mean radius of an object, as a part of the side."""

Plane: TypeAlias = Float[np.ndarray, "height width"]
Across: TypeAlias = Float[np.ndarray, "1 width"]
Down: TypeAlias = Float[np.ndarray, "height 1"]


def natural_images(
    images: int, image_size: int, seed: int = 0, *, progress: Callable[[float], None] | None = None
) -> tuple[UInt8[np.ndarray, "image height width"], UInt8[np.ndarray, "image height width"]]:
    """Images (0 to 255) and masks (1 on the salient object), squares of side `image_size` pixels.

    Image i depends on (seed, i) and the size only, never on how many are made. `progress` hears the part done.
    """
    made = np.empty((images, image_size, image_size), np.uint8)
    masks = np.empty_like(made)
    for index in range(images):
        made[index], masks[index] = natural_image(image_size, seed, index)
        if progress is not None and (index + 1) % 50 == 0:
            progress((index + 1) / images)
    return made, masks


def natural_image(
    image_size: int, seed: int, index: int
) -> tuple[UInt8[np.ndarray, "height width"], UInt8[np.ndarray, "height width"]]:
    """Image `index` of the stream `seed` and its mask."""
    random = np.random.default_rng([seed, index])
    # Places run from 0 to 1 over the side; x to the right, y down.
    place = (np.arange(image_size, dtype=np.float32) + 0.5) / image_size
    x, y = place[None, :], place[:, None]

    ground = _texture(random, image_size) + _gradient(random, x, y, 0.2)
    for _ in range(random.integers(LEAVES[0], LEAVES[1] + 1)):
        cover = _cover(_shape(random, x, y, random.uniform(0.05, 0.3), reach=0.0), image_size)
        ground += cover * np.float32(random.uniform(-LEAF_CONTRAST, LEAF_CONTRAST))

    inside = [
        _shape(random, x, y, random.uniform(*RADIUS), reach=0.15)
        for _ in range(2 if random.random() < TWO_OBJECTS else 1)
    ]
    distance = np.max(inside, axis=0)
    mask = distance > 0
    contrast = np.float32(random.uniform(*CONTRAST))
    sign = 1 if random.random() < 0.5 else -1
    if random.random() < OUTLINE_ALONE:
        half_width = random.uniform(0.006, 0.02)
        ring = np.clip((half_width - np.abs(distance)) * image_size + 0.5, 0, 1)
        picture = ground + ring * sign * max(contrast, np.float32(0.2))
    else:
        cover = _cover(distance, image_size)
        ground_there = float(ground[mask].mean()) if mask.any() else 0.0
        surface = _texture(random, image_size) + _gradient(random, x, y, 0.15) + ground_there
        surface -= surface[mask].mean() - ground_there if mask.any() else 0.0
        picture = ground + cover * (surface + sign * contrast - ground)

    # The middle of the scale is chosen last, such that the object's contrast is not lost at black or white.
    low, high = np.percentile(picture, [2, 98])
    room = max(0.0, 1.0 - float(high - low))
    picture += np.float32(random.uniform(0.0, room) - low)
    picture = ndimage.gaussian_filter(picture, random.uniform(0.0, 0.01) * image_size)
    picture = picture * random.uniform(0.75, 1.1) + random.uniform(-0.05, 0.1)
    picture += random.uniform(0.0, 0.05) * random.standard_normal(picture.shape, dtype=np.float32)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8), mask.astype(np.uint8)


def _texture(random: np.random.Generator, size: int) -> Plane:
    """A random field of mean 0 whose amplitude spectrum falls as 1/f^slope."""
    spectrum = random.standard_normal((size, size // 2 + 1, 2), dtype=np.float32)
    vertical, horizontal = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    frequency = np.hypot(vertical, horizontal).astype(np.float32)
    frequency[0, 0] = np.inf
    falling = frequency ** np.float32(-random.uniform(0.8, 1.6))
    field: Plane = fft.irfft2((spectrum[..., 0] + 1j * spectrum[..., 1]) * falling, s=(size, size))
    # Brought to a drawn standard deviation last: the slope does not decide how strong a texture is.
    field *= np.float32(random.uniform(0.02, 0.09) / field.std())
    return field


def _gradient(random: np.random.Generator, x: Across, y: Down, largest: float) -> Plane:
    """A plane through 0 in the middle, of random direction, that rises by `largest` at most over the side."""
    angle, rise = random.uniform(0, 2 * np.pi), random.uniform(0, largest)
    slope_x, slope_y = np.float32(rise * np.cos(angle)), np.float32(rise * np.sin(angle))
    plane: Plane = slope_x * (x - np.float32(0.5)) + slope_y * (y - np.float32(0.5))
    return plane


def _cover(distance: Plane, size: int) -> Plane:
    """How much of each pixel lies in the shape, 0 to 1."""
    cover: Plane = np.clip(distance * size + np.float32(0.5), 0, 1)
    return cover


def _shape(random: np.random.Generator, x: Across, y: Down, radius: float, *, reach: float) -> Plane:
    """Depth inside a random shape (negative outside), in parts of the side, near the edge close to the distance.

    An ellipse, a convex polygon with rounded corners, or a blob; its centre keeps `reach` from the border.
    """
    centre_x, centre_y = random.uniform(reach, 1 - reach, 2).astype(np.float32)
    angle, stretch = random.uniform(0, np.pi), random.uniform(0.6, 1.0)
    dx, dy = x - centre_x, y - centre_y
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    across, along = (cosine * dx + sine * dy) / np.float32(stretch), cosine * dy - sine * dx
    kind = ("ellipse", "polygon", "blob")[random.integers(3)]
    depth: Plane
    if kind == "polygon":
        corners = int(random.integers(3, 8))
        turns = (np.arange(corners) + random.uniform(-0.25, 0.25, corners)) * (2 * np.pi / corners)
        sides = [
            np.float32(radius * random.uniform(0.75, 1.1))
            - np.float32(np.cos(turn)) * across
            - np.float32(np.sin(turn)) * along
            for turn in turns
        ]
        # A soft minimum over the sides rounds the corners.
        sharpness, nearest = np.float32(12 / radius), np.min(sides, axis=0)
        depth = nearest - np.log(np.sum([np.exp(-sharpness * (side - nearest)) for side in sides], axis=0)) / sharpness
    else:
        depth = np.float32(radius) - np.hypot(across, along)
    if kind == "blob":
        polar = np.arctan2(along, across)
        for order in range(2, 6):
            height = np.float32(radius * random.uniform(0, 0.35) / order)
            depth += height * np.cos(order * polar + np.float32(random.uniform(0, 2 * np.pi)))
    depth *= np.float32(stretch)
    return depth
