"""Natural-like gray images with salient objects and their exact mask, made on the spot for pre-training.

One to three smooth shapes with parts inside them lie in front, apart from their ground by brightness and texture,
by texture, by an outline, or by both surface and outline. The ground is a 1/f texture with a gradient, faint shapes
(dead leaves) and open lines. Then a camera: dark corners, blur, a tone curve, grain and noise. The ground's shapes
stay fainter than the object, and its lines open, so that nobody has to guess which of them is the object.
Natural images have spectra near 1/f: Ruderman 1997, 10.1016/S0042-6989(97)00008-4; dead leaves: Lee, Mumford,
Huang 2001, 10.1023/A:1011109015675. How the numbers below were chosen: docs/pretraining.md.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, UInt8
from scipy import fft, ndimage

NATURAL_IMAGES_REVISION = 2
"""Raised when a change of this module changes its images, so that no older start weights pass for new ones."""

CUES = {"surface": 0.42, "texture": 0.04, "outline": 0.26, "surface and outline": 0.28}
"""What sets the objects of an image apart from their ground, with the part of the images that it holds for."""
CONTRAST = (0.14, 0.5)
"""Difference of mean brightness between objects and their ground; black is 0, white is 1."""
OUTLINE_CONTRAST = (0.2, 0.5)
"""Difference of brightness between an outline and what it lies on, where it is strongest."""
STRENGTH = (0.02, 0.08)
"""Standard deviation of brightness of a texture."""
FINE, COARSE = (0.015, 0.035), (0.09, 0.14)
"""The same where texture alone tells object and ground apart: one of them fine, the other coarse."""
PARTS = 0.25
"""Largest difference of brightness between a part inside an object and the object's surface."""
LEAVES = (3, 12)
"""Number of faint shapes and open lines of the ground, from and to (included)."""
LEAF_CONTRAST = 0.10
"""Largest difference of brightness between a faint shape of the ground and what it lies on."""
LINE_CONTRAST = 0.3
"""Largest difference of brightness between an open line and what it lies on."""
OBJECTS = (0.6, 0.3, 0.1)
"""Parts of the images with one, two and three objects (which may touch)."""
RADIUS = (0.10, 0.48)
"""Mean radius of an object, as a part of the side; with several objects at most `SEVERAL_RADIUS`."""
SEVERAL_RADIUS = 0.28
AREA = (0.02, 0.6)
"""Area of an image's mask, as a part of the image."""

Plane: TypeAlias = Float[np.ndarray, "height width"]
Across: TypeAlias = Float[np.ndarray, "1 width"]
Down: TypeAlias = Float[np.ndarray, "height 1"]


def natural_images(
    images: int, image_size: int, seed: int = 0, *, progress: Callable[[float], None] | None = None
) -> tuple[UInt8[np.ndarray, "image height width"], UInt8[np.ndarray, "image height width"]]:
    """Images (0 to 255) and masks (1 on the salient objects), squares of side `image_size` pixels.

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

    cue = tuple(CUES)[random.choice(len(CUES), p=tuple(CUES.values()))]
    ground_is_fine = random.random() < 0.5
    ground_strength, surface_strength = random.uniform(*STRENGTH), random.uniform(*STRENGTH)
    if cue == "texture":
        ground_range, surface_range = (FINE, COARSE) if ground_is_fine else (COARSE, FINE)
        ground_strength, surface_strength = random.uniform(*ground_range), random.uniform(*surface_range)
    picture = _ground(random, x, y, image_size, ground_strength)
    depth = _objects(random, x, y)
    mask = depth > 0
    contrast = _signed(random, CONTRAST, 0.5)
    if cue != "outline":
        surface = _surface(random, x, y, image_size, surface_strength)
        level = picture[mask].mean() - surface[mask].mean()
        if cue != "texture":
            level += contrast
        picture = picture + _cover(depth, image_size) * (surface + level - picture)
    if "outline" in cue:
        ring = _line(depth, random.uniform(0.006, 0.022), image_size)
        # An outline fades along a direction, down to a tenth.
        fading = np.clip(np.float32(0.55) + _gradient(random, x, y, 1.8), 0.1, 1)
        picture = picture + ring * fading * _signed(random, OUTLINE_CONTRAST, 0.6)
    return _photographed(random, x, y, image_size, picture), mask.astype(np.uint8)


def _ground(random: np.random.Generator, x: Across, y: Down, size: int, strength: float) -> Plane:
    """Texture, gradient, faint shapes and open lines."""
    ground: Plane = _texture(random, size, strength) + _gradient(random, x, y, 0.25)
    for _ in range(random.integers(LEAVES[0], LEAVES[1] + 1)):
        depth = _shape(random, x, y, random.uniform(0.05, 0.3), reach=0.0)
        if random.random() < 0.3:
            # A shape's outline, cut off along a straight border: a line that closes around nothing.
            line = _line(depth, random.uniform(0.004, 0.012), size)
            line *= np.clip(_gradient(random, x, y, 6.0) + np.float32(0.3), 0, 1)
            ground += line * np.float32(random.uniform(-1, 1) * LINE_CONTRAST)
        else:
            ground += _cover(depth, size) * np.float32(random.uniform(-1, 1) * LEAF_CONTRAST)
    return ground


def _objects(random: np.random.Generator, x: Across, y: Down) -> Plane:
    """Depth inside one to three shapes, drawn until their area is as it should be."""
    while True:
        count = 1 + int(random.choice(3, p=OBJECTS))
        largest = RADIUS[1] if count == 1 else SEVERAL_RADIUS
        depths = []
        for _ in range(count):
            radius = random.uniform(RADIUS[0], largest)
            depths.append(_shape(random, x, y, radius, reach=max(0.12, min(0.45, 0.85 * radius))))
        depth: Plane = np.max(depths, axis=0)
        if AREA[0] <= float((depth > 0).mean()) <= AREA[1]:
            return depth


def _surface(random: np.random.Generator, x: Across, y: Down, size: int, strength: float) -> Plane:
    """Texture, shading and up to three parts."""
    surface: Plane = _texture(random, size, strength) + _gradient(random, x, y, 0.2)
    for _ in range(random.integers(0, 4)):
        depth = _shape(random, x, y, random.uniform(0.04, 0.2), reach=0.1)
        surface += _cover(depth, size) * np.float32(random.uniform(-1, 1) * PARTS)
    return surface


def _photographed(
    random: np.random.Generator, x: Across, y: Down, size: int, picture: Plane
) -> UInt8[np.ndarray, "height width"]:
    """The picture brought to a level, with dark corners in some, blurred, on a tone curve, with grain and noise."""
    corners: Plane | None = None
    if random.random() < 0.3:
        centre_x, centre_y = random.uniform(0.35, 0.65, 2).astype(np.float32)
        edge, softness = random.uniform(0.45, 0.75), random.uniform(0.02, 0.25)
        corners = np.clip((np.float32(edge) - np.hypot(x - centre_x, y - centre_y)) / np.float32(softness) + 1, 0, 1)
    # The middle of the scale is chosen here, such that the object's contrast is not lost at black or white.
    low, high = np.percentile(picture, [2, 98])
    picture = picture + np.float32(random.uniform(0.0, max(0.0, 1.0 - float(high - low))) - low)
    if corners is not None:
        picture = picture * corners
    picture = ndimage.gaussian_filter(picture, random.uniform(0.0, 0.01) * size)
    if random.random() < 0.5:
        grain = random.standard_normal(picture.shape, dtype=np.float32)
        grain = ndimage.gaussian_filter(grain, random.uniform(0.4, 1.5))
        picture = picture * (1 + np.float32(random.uniform(0.0, 0.15)) * grain / grain.std())
    tone = np.float32(np.exp(random.uniform(-0.4, np.log(2.5))))
    picture = np.clip(picture, 0, None) ** tone * random.uniform(0.6, 1.1) + random.uniform(-0.02, 0.08)
    picture += random.uniform(0.0, 0.03) * random.standard_normal(picture.shape, dtype=np.float32)
    gray: UInt8[np.ndarray, "height width"] = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    return gray


def _signed(random: np.random.Generator, size: tuple[float, float], positive: float) -> np.float32:
    """A number whose size lies between two, above 0 with probability `positive`."""
    return np.float32(random.uniform(*size) * (1 if random.random() < positive else -1))


def _texture(random: np.random.Generator, size: int, strength: float) -> Plane:
    """A random field of mean 0 and standard deviation `strength` whose amplitude spectrum falls as 1/f^slope.

    Two fifths are drawn out along one direction, as hair, grass and fibres are.
    """
    spectrum = random.standard_normal((size, size // 2 + 1, 2), dtype=np.float32)
    vertical, horizontal = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    angle, longer = random.uniform(0, np.pi), random.uniform(1, 4) if random.random() < 0.4 else 1.0
    along = np.cos(angle) * horizontal + np.sin(angle) * vertical
    across = np.cos(angle) * vertical - np.sin(angle) * horizontal
    frequency = np.hypot(along * longer, across).astype(np.float32)
    frequency[0, 0] = np.inf
    falling = frequency ** np.float32(-random.uniform(0.6, 1.7))
    field: Plane = fft.irfft2((spectrum[..., 0] + 1j * spectrum[..., 1]) * falling, s=(size, size))
    # Brought to its strength last: the slope does not decide how strong a texture is.
    field *= np.float32(strength / field.std())
    return field


def _gradient(random: np.random.Generator, x: Across, y: Down, largest: float) -> Plane:
    """A plane through 0 in the middle, of random direction, that rises by `largest` at most over the side."""
    angle, rise = random.uniform(0, 2 * np.pi), random.uniform(0, largest)
    slope_x, slope_y = np.float32(rise * np.cos(angle)), np.float32(rise * np.sin(angle))
    plane: Plane = slope_x * (x - np.float32(0.5)) + slope_y * (y - np.float32(0.5))
    return plane


def _cover(depth: Plane, size: int) -> Plane:
    """How much of each pixel lies in the shape, 0 to 1."""
    cover: Plane = np.clip(depth * size + np.float32(0.5), 0, 1)
    return cover


def _line(depth: Plane, half_width: float, size: int) -> Plane:
    """How much of each pixel lies on the shape's outline, 0 to 1."""
    return _cover(np.float32(half_width) - np.abs(depth), size)


def _shape(random: np.random.Generator, x: Across, y: Down, radius: float, *, reach: float) -> Plane:
    """Depth inside a random shape (negative outside), in parts of the side, near the edge close to the distance.

    An ellipse, a convex polygon with rounded corners, or a blob, two fifths of them bent; its centre keeps `reach`
    from the border.
    """
    centre_x, centre_y = random.uniform(reach, 1 - reach, 2).astype(np.float32)
    angle, stretch = random.uniform(0, np.pi), random.uniform(0.5, 1.0)
    dx, dy = x - centre_x, y - centre_y
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    across, along = cosine * dx + sine * dy, cosine * dy - sine * dx
    if random.random() < 0.4:
        bend = np.float32(random.uniform(-0.6, 0.6) / radius)
        across = across + bend * (along * along - np.float32(radius * radius / 3))
    across = across / np.float32(stretch)
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
        sharpness, nearest = np.float32(random.uniform(6, 20) / radius), np.min(sides, axis=0)
        depth = nearest - np.log(np.sum([np.exp(-sharpness * (side - nearest)) for side in sides], axis=0)) / sharpness
    else:
        depth = np.float32(radius) - np.hypot(across, along)
    if kind == "blob":
        polar = np.arctan2(along, across)
        for order in range(2, 8):
            height = np.float32(radius * random.uniform(0, 0.45) / order)
            depth += height * np.cos(order * polar + np.float32(random.uniform(0, 2 * np.pi)))
    depth *= np.float32(stretch)
    return depth
