"""A section of a body, drawn in millimetres: areas of tissue, and interfaces that shine where the beam meets them.

x runs to the image's right from the middle of the array's face, z away from the face. Outlines are arrays of points
(x, z). What is drawn later covers what was there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageDraw

from engine.phantoms.echoes import Tissue, polar_grid
from engine.phantoms.outlines import Mm, Outline
from engine.phantoms.scanner import Scanner

PIXEL_MM = 0.6
TISSUES = {
    #                   echo dB, loss dB/cm/MHz, patchiness dB (standard deviation over centimetres)
    "soft tissue": (-8.0, 0.45, 2.5),
    "hazy lung": (-19.0, 0.55, 3.5),
    "chest wall": (1.0, 0.5, 2.0),
    "fat": (-4.0, 0.5, 1.5),
    "renal fat": (2.0, 0.5, 1.5),
    "muscle": (-6.0, 0.5, 2.0),
    "myocardium": (0.0, 0.45, 2.6),
    "atrial wall": (1.0, 0.45, 2.0),
    "valve": (7.0, 0.45, 0.5),
    "blood": (-34.0, 0.16, 1.0),
    "liver": (0.0, 0.5, 0.8),
    "spleen": (1.0, 0.45, 0.6),
    "kidney cortex": (-5.0, 0.45, 0.8),
    "pyramid": (-11.0, 0.4, 0.6),
    "renal sinus": (7.0, 0.5, 1.8),
    "pancreas": (3.0, 0.5, 1.8),
    "fluid": (-48.0, 0.02, 0.5),
    "bowel": (-3.0, 0.6, 3.5),
    "connective": (8.0, 0.5, 1.0),
    "bone": (13.0, 14.0, 1.0),
    "stone": (15.0, 18.0, 0.5),
    "gas": (11.0, 5.0, 3.0),
    "shadow": (-60.0, 14.0, 0.0),
}
NAMES = {name: number for number, name in enumerate(TISSUES)}
_LEVEL_DB = 0.2
_LOWEST_DB = -25.0


@dataclass(frozen=True, kw_only=True)
class Warp:
    """A smooth bend of the whole anatomy, so that no two persons are one another's scaled copies."""

    waves: Float[np.ndarray, "wave 2"]
    """Radians per mm to the right and down."""
    starts: Float[np.ndarray, " wave"]
    shifts: Float[np.ndarray, "wave 2"]
    """How far each wave moves places, mm."""

    def __call__(self, points: Outline) -> Outline:
        """Where places go; those at the skin stay."""
        swing = np.sin(points @ self.waves.T + self.starts) @ self.shifts
        moved: Outline = points + swing * np.clip(points[:, 1:] / 30, 0, 1)
        return moved


def draw_warp(random: np.random.Generator, strength_mm: float) -> Warp:
    """Four waves of 70 to 200 mm that together move places by about `strength_mm` (standard deviation)."""
    direction, length = random.uniform(0, 2 * np.pi, 4), random.uniform(70, 200, 4)
    waves = np.stack([np.cos(direction), np.sin(direction)], 1) * (2 * np.pi / length)[:, None]
    shifts = random.standard_normal((4, 2)) * strength_mm / np.sqrt(2)
    return Warp(waves=waves, starts=random.uniform(0, 2 * np.pi, 4), shifts=shifts)


class Canvas:
    """Paper of a scanner's field of view at one depth setting."""

    def __init__(self, scanner: Scanner, depth_mm: float, ground: str, warp: "Warp | None" = None) -> None:
        self.scanner = scanner
        self.depth_mm = depth_mm
        self.warp = warp
        self.left_mm, self.top_mm, width, height = _size(scanner, depth_mm)
        self._areas = Image.new("L", (width, height), NAMES[ground])
        self._interfaces = Image.new("L", (width, height), 0)
        self._draw_area = ImageDraw.Draw(self._areas)
        self._draw_interface = ImageDraw.Draw(self._interfaces)

    def fill(self, tissue: str, outline: Outline) -> None:
        """An area of a tissue; interfaces drawn in it before are covered."""
        points = self._pixels(outline)
        self._draw_area.polygon(points, fill=NAMES[tissue])
        self._draw_interface.polygon(points, fill=0)

    def line(self, points: Outline, peak_db: Mm, width_mm: Mm = 1.2, mirror: Mm = 0.7) -> None:
        """An interface along points: `peak_db` where the beam meets it head on, weaker where it runs along the beam.

        `mirror` says how much weaker: 0 shines alike in every direction, 1 all but vanishes along the beam.
        """
        bent = self.warp(points) if self.warp else points
        ends = np.diff(bent, axis=0)
        middle = (bent[:-1] + bent[1:]) / 2 + [0, self.scanner.radius_mm]
        length = np.maximum(np.hypot(*ends.T) * np.hypot(*middle.T), 1e-6)
        head_on = np.abs(ends[:, 0] * middle[:, 1] - ends[:, 1] * middle[:, 0]) / length
        db = peak_db + 20 * np.log10(np.maximum(1 - mirror + mirror * head_on**2, 0.03))
        levels = np.clip((db - _LOWEST_DB) / _LEVEL_DB, 1, 255).round().astype(int).tolist()
        pixels = self._pixels(points)
        width = max(1, round(width_mm / PIXEL_MM))
        for start, end, level in zip(pixels, pixels[1:], levels, strict=False):
            self._draw_interface.line([start, end], fill=level, width=width)

    def contour(self, outline: Outline, peak_db: Mm, width_mm: Mm = 1.2, mirror: Mm = 0.7) -> None:
        """An interface around a whole outline."""
        self.line(np.concatenate([outline, outline[:1]]), peak_db, width_mm, mirror)

    def tissue(
        self, random: np.random.Generator, levels_db: Mapping[str, float] | None = None, contact_db: float = 0.0
    ) -> Tissue:
        """What was drawn, on the scanner's beams; `levels_db` makes tissues brighter or darker in this patient.

        `contact_db` is how much beams differ that enter the body well and badly (standard deviation).
        """
        places = _places(self.scanner, self.depth_mm)
        area = np.asarray(self._areas).ravel()[places]
        table = np.array(list(TISSUES.values()), np.float32)
        for name, more_db in (levels_db or {}).items():
            table[NAMES[name], 0] += np.float32(more_db)
        echo_db = table[:, 0][area]
        echo_db += table[:, 2][area] * _patches(random, self._areas.size).ravel()[places]
        levels = np.arange(256, dtype=np.float32) * np.float32(_LEVEL_DB) + np.float32(_LOWEST_DB)
        levels[0] = -100  # nothing was drawn there
        np.maximum(echo_db, levels[np.asarray(self._interfaces).ravel()[places]], out=echo_db)
        if contact_db:
            beams = len(echo_db)
            coarse = random.standard_normal(8)
            echo_db += np.float32(contact_db) * np.interp(np.arange(beams), np.linspace(0, beams, 8), coarse)[:, None]
        return Tissue(echo_db=echo_db, loss=table[:, 1][area])

    def _pixels(self, points: Outline) -> list[tuple[float, float]]:
        bent = self.warp(points) if self.warp else points
        place = (bent - [self.left_mm, self.top_mm]) / PIXEL_MM
        return [(x, z) for x, z in place.tolist()]


def _size(scanner: Scanner, depth_mm: float) -> tuple[float, float, int, int]:
    """Left and top border in mm, width and height in pixels of all that a scanner's beams reach."""
    grid = polar_grid(scanner, depth_mm)
    left_mm, top_mm = float(grid.x_mm.min()) - 1, float(grid.z_mm.min()) - 1
    width = int(np.ceil(-2 * left_mm / PIXEL_MM))
    height = int(np.ceil((float(grid.z_mm.max()) + 1 - top_mm) / PIXEL_MM))
    return left_mm, top_mm, width, height


@lru_cache(maxsize=32)
def _places(scanner: Scanner, depth_mm: float) -> Int[np.ndarray, "beam row"]:
    """Pixel of the canvas, counted row by row, for each place of the polar grid."""
    grid = polar_grid(scanner, depth_mm)
    left_mm, top_mm, width, height = _size(scanner, depth_mm)
    column = np.clip((grid.x_mm - left_mm) / PIXEL_MM, 0, width - 1).astype(np.int32)
    row = np.clip((grid.z_mm - top_mm) / PIXEL_MM, 0, height - 1).astype(np.int32)
    return row * width + column


def _patches(random: np.random.Generator, size: tuple[int, int]) -> Float[np.ndarray, "height width"]:
    """Smooth noise of standard deviation about 1, patches of one to two centimetres."""
    coarse = random.standard_normal((max(size[1] // 20, 4), max(size[0] // 20, 4)), dtype=np.float32)
    smooth: Float[np.ndarray, "height width"] = np.asarray(
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    )
    return smooth * np.float32(1.4)
