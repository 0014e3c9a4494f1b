"""Parts of a heart's section: where the section lies, ventricles, chambers, valves, muscles."""

from dataclasses import dataclass

import numpy as np

from engine.phantoms.canvas import Canvas
from engine.phantoms.heart import Heart, Moment
from engine.phantoms.outlines import Mm, Outline, Places, banks, ellipse, moved, smooth, tube, wobbled

PERICARDIUM_DB = 13.0
VALVE_DB = 9.0


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where a section lies in the field of view."""

    x: Mm
    z: Mm
    degrees: Mm
    """Turned clockwise from the apex pointing straight up."""

    def __call__(self, places: Places | Outline) -> Outline:
        """Places of the section (to the right, up) in the field of view."""
        return moved(np.asarray(places, float) * [1, -1], self.x, self.z, self.degrees)


def ventricle_width(part: Mm | np.ndarray, roundness: Mm) -> np.ndarray:
    """Half width of the left ventricle by its widest, at a part of the way from ring (0) to apex (1)."""
    part = np.asarray(part, float)
    waist = 0.86 + 0.14 * np.clip(part / 0.35, 0, 1) ** 0.8
    half: np.ndarray = np.asarray(waist * np.sqrt(np.maximum(1 - np.clip(part, 0, 1) ** roundness, 0)))
    return half


def bullet(length: Mm, width: Mm, roundness: Mm, bottom: Mm = 0.0) -> Outline:
    """Outline of a ventricle from the ring, or `bottom` below it, to the apex and back down on the right."""
    part = 1 - np.linspace(1, 0, 26) ** 1.7
    half = ventricle_width(part, roundness) * width / 2
    left = np.stack([-half, part * length], 1)
    if bottom:
        left = np.concatenate([[[left[0, 0], bottom]], left])
    return np.concatenate([left, (left * [-1, 1])[-2::-1]])


def left_ventricle(canvas: Canvas, heart: Heart, now: Moment, pose: Pose, random: np.random.Generator) -> None:
    """Wall, cavity and the bright lines around them."""
    outside = bullet(now.length + 0.85 * now.wall, now.width + 2 * now.wall, heart.roundness + 0.3, -3.0)
    inside = bullet(now.length, now.width, heart.roundness, -6.0)
    uneven = wobbled(random, inside, 0.012)
    canvas.fill("myocardium", pose(outside))
    canvas.fill("blood", pose(uneven))
    canvas.line(pose(uneven), 3.0, 0.6, mirror=0.6)
    trabeculae(canvas, pose(uneven[12:-12]), random, 10)


def leaflet(canvas: Canvas, pose: Pose, places: Places, width_mm: Mm = 1.2) -> None:
    """A thin flap of a valve."""
    canvas.line(pose(smooth(places)), VALVE_DB, width_mm, mirror=0.5)


def valve(canvas: Canvas, pose: Pose, left: Mm, right: Mm, length: Mm, opened: Mm) -> None:
    """Two leaflets on a ring from `left` to `right`: a flat tent closed, two flaps into the ventricle open."""
    middle, ring = (left + right) / 2, right - left
    closed, tip = 0.07 * length, 0.26 * length
    for side, hinge in ((-1, left), (1, right)):
        end = (middle + side * (0.01 + 0.30 * opened) * ring, closed + (tip - closed) * opened)
        bend = (hinge - side * (0.25 - 0.12 * opened) * ring, 0.6 * end[1])
        leaflet(canvas, pose, [(hinge, 0), bend, end])
    for hinge in (left, right):
        canvas.fill("valve", pose(ellipse(hinge, 0, 2.0, 1.6)))


def aortic_valve(canvas: Canvas, pose: Pose, middle: Mm, width: Mm, opened: Mm) -> None:
    """Two cusps: a line in the middle of the root when closed, two lines along its walls when open."""
    for side in (-1, 1):
        hinge = middle + side * 0.45 * width
        end = middle + side * (0.02 + 0.34 * opened) * width
        leaflet(canvas, pose, [(hinge, -1), ((hinge + 2 * end) / 3, -3 - 2 * opened), (end, -0.38 * width)])


def chamber(canvas: Canvas, outline: Outline, wall_mm: Mm = 3.0, wall: str = "atrial wall") -> None:
    """Blood within a thin wall."""
    middle = outline.mean(axis=0)
    reach = np.maximum(np.hypot(*(outline - middle).T), 1e-6)[:, None]
    canvas.fill(wall, middle + (outline - middle) * (1 + wall_mm / reach))
    canvas.fill("blood", outline)
    canvas.contour(outline, 2.0, 0.6, mirror=0.6)


def trabeculae(canvas: Canvas, outline: Outline, random: np.random.Generator, count: int) -> None:
    """Knobs of muscle on the inner side of a ventricle, along a stretch of its outline."""
    inside = outline.mean(axis=0)
    for place in outline[random.integers(len(outline), size=count)]:
        x, z = place + (inside - place) * random.uniform(0.02, 0.12)
        across, down = random.uniform(0.8, 2.2, size=2)
        canvas.fill("myocardium", ellipse(float(x), float(z), across, down, count=10))


def papillary(canvas: Canvas, pose: Pose, foot: tuple[Mm, Mm], head: tuple[Mm, Mm], thick: Mm) -> None:
    """A muscle that stands on the wall, and a cord from its head towards the valve."""
    middle = smooth([foot, head])
    canvas.fill("myocardium", pose(tube(middle, np.linspace(1.2, 0.5, len(middle)) * thick)))


def beside(pose: Pose, right: Mm, up: Mm) -> Pose:
    """A pose with its origin at another place of the section."""
    x, z = pose([(right, up)])[0]
    return Pose(x=float(x), z=float(z), degrees=pose.degrees)


def pose_banks(pose: Pose, middle: Outline, width: np.ndarray) -> list[Outline]:
    """Both walls of a tube of the section, in the field of view."""
    return [pose(bank) for bank in banks(middle, width)]
