"""The seven cardiac views: which section of the heart, where it lies in the sector, and what lies in front of it."""

from dataclasses import dataclass

import numpy as np

from engine.phantoms.canvas import Canvas
from engine.phantoms.heart import Heart, Moment
from engine.phantoms.heart_parts import Pose, chamber
from engine.phantoms.heart_sections import four_chambers, long_axis, short_axis, two_chambers
from engine.phantoms.outlines import Mm, ellipse, points, smooth, tube, wobbled

VIEWS = ("A2C", "A4C", "APLAX", "IVC", "PLAX", "PSAX", "SC4C")
"""Apical two chambers, four chambers and long axis; inferior vena cava; parasternal long and short axis; subcostal."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """How one patient's view is recorded; the same in all its frames."""

    depth_mm: float
    x: float
    """Shift of the heart to the right, mm."""
    z: float
    """Shift away from the probe, mm."""
    degrees: float
    """Turn of the heart against the usual, clockwise."""
    level: str
    """Of a short axis."""
    breath: float
    """Of a vena cava: 1 at its widest, 0 when breathing in."""
    gain_db: float
    """The user's overall gain."""
    contact_db: float
    """How unevenly sound enters between the ribs (standard deviation)."""
    shadow_left: float
    """How much of the left half of the sector lies behind lung or rib, 0 to 1."""
    shadow_right: float
    scatter: int
    """Seed of what does not move between frames: patches, knobs of muscle, vessels of the liver."""


def draw_window(random: np.random.Generator, view: str) -> Window:
    """One recording's window."""
    usual = {"A4C": 160, "A2C": 160, "APLAX": 160, "PLAX": 140, "PSAX": 130, "SC4C": 180, "IVC": 160}[view]
    hidden = {"PLAX": 0.45, "PSAX": 0.45, "A4C": 0.35, "A2C": 0.4, "APLAX": 0.4, "SC4C": 0.2, "IVC": 0.25}[view]
    return Window(
        depth_mm=usual + 10.0 * float(random.integers(-1, 2)),
        x=random.normal(0, 5),
        z=random.normal(0, 3),
        degrees=random.normal(0, 7),
        level=str(random.choice(["mitral", "papillary", "papillary", "apical"])),
        breath=1.0,
        gain_db=random.normal(0, 2.5),
        contact_db=random.uniform(0.5, 3.5),
        shadow_left=random.uniform(0.1, 0.5) if random.random() < hidden else 0.0,
        shadow_right=random.uniform(0.1, 0.5) if random.random() < hidden else 0.0,
        scatter=int(random.integers(2**31)),
    )


def draw_view(
    canvas: Canvas, view: str, heart: Heart, now: Moment, window: Window, random: np.random.Generator
) -> None:
    """One view of a heart on a canvas."""
    if view in ("A4C", "A2C", "APLAX"):
        section = {"A4C": four_chambers, "A2C": two_chambers, "APLAX": long_axis}[view]
        right, turn = {"A4C": (10, -3), "A2C": (2, 2), "APLAX": (-6, -8)}[view]
        # The apex stays where it is while the ring moves.
        up = heart.length * (0.6 + 0.4 * now.length / heart.length)
        pose = Pose(x=right + window.x, z=20 + window.z + heart.wall + up, degrees=turn + window.degrees)
        chest_wall(canvas, random, 9)
        section(canvas, heart, now, pose, random)
    elif view == "PLAX":
        front = now.right_width * 0.6 + now.wall + now.width / 2
        pose = Pose(x=-8 + window.x, z=22 + window.z + front, degrees=-82 + window.degrees)
        chest_wall(canvas, random, 12)
        long_axis(canvas, heart, now, pose, random)
    elif view == "PSAX":
        front = now.right_width * 0.6 + now.wall + now.width / 2
        pose = Pose(x=9 + window.x, z=24 + window.z + front, degrees=window.degrees)
        chest_wall(canvas, random, 12)
        short_axis(canvas, heart, now, pose, window.level, random)
    elif view == "SC4C":
        pose = Pose(x=-14 + window.x, z=106 + window.z, degrees=62 + window.degrees)
        liver_in_front(canvas, random)
        four_chambers(canvas, heart, now, pose, random)
    else:
        vena_cava(canvas, heart, now, window, random)
    sides(canvas, window, random)


def chest_wall(canvas: Canvas, random: np.random.Generator, thick: Mm) -> None:
    """Skin, fat and muscle under the probe, with their bright borders."""
    wide = canvas.depth_mm
    canvas.fill("chest wall", points([(-wide, -5), (wide, -5), (wide, thick), (-wide, thick)]))
    for depth in np.cumsum(random.uniform(2, 5, size=4)):
        canvas.line(points([(-wide, depth), (0, depth + random.normal(0, 1)), (wide, depth)]), random.uniform(2, 7))


def liver_in_front(canvas: Canvas, random: np.random.Generator) -> None:
    """The liver between the probe and the heart, under the abdominal wall."""
    wide = canvas.depth_mm
    lower = smooth([(-wide, 95), (-50, 88), (-15, 66), (20, 48), (55, 30), (80, 5)])
    canvas.fill("liver", np.concatenate([lower, points([(80, -5), (-wide, -5)])]))
    vessels(canvas, random, 9, (-60, 30), (22, 60))
    canvas.line(lower + np.array([0, 1.5]), 10.0, 1.8, mirror=0.8)
    chest_wall(canvas, random, 11)


def vessels(
    canvas: Canvas, random: np.random.Generator, count: int, across: tuple[Mm, Mm], down: tuple[Mm, Mm]
) -> None:
    """Cut vessels of the liver: dark spots and short tubes, some of them (portal ones) with bright walls."""
    for _ in range(count):
        x, z = random.uniform(*across), random.uniform(*down)
        long, thick = random.uniform(2, 12), random.uniform(1.2, 2.6)
        spot = ellipse(x, z, long, thick, random.uniform(-70, 70), 20)
        canvas.fill("blood", spot)
        if random.random() < 0.4:
            canvas.contour(spot, 6.0, 1.0, mirror=0.4)


def vena_cava(canvas: Canvas, heart: Heart, now: Moment, window: Window, random: np.random.Generator) -> None:
    """Liver, and in it the inferior vena cava on its way to the right atrium; a hepatic vein joins it."""
    wide, bend = canvas.depth_mm, window.degrees * 0.6
    canvas.fill("liver", points([(-wide, -5), (wide, -5), (wide, wide), (-wide, wide)]))
    vessels(canvas, random, 16, (-80, 40), (22, 62))
    x, z = 10 + window.x, 78 + window.z
    diaphragm = smooth(
        [(x + 12, 8), (x + 2, 30), (x + 2, 50), (x + 6, z), (x - 2, z + 26), (x - 30, z + 44), (x - 80, z + 50)]
    )
    beyond = np.concatenate([diaphragm, points([(-wide, wide * 1.2), (wide, wide * 1.2), (wide, 8)])])
    canvas.fill("hazy lung", beyond)
    canvas.line(diaphragm, 14.0, 2.2, mirror=0.8)
    chamber(
        canvas,
        wobbled(random, ellipse(x + 27, z - 6, 0.55 * now.right_atrium_width, 0.6 * now.atrium_length, 15), 0.03),
        3,
    )
    ventricle = ellipse(x + 40, z - 48, 20, 13, 60)
    chamber(canvas, wobbled(random, ventricle, 0.04), 4, "myocardium")
    caliber = heart.vein * (0.6 + 0.4 * window.breath)
    course = smooth([(-wide, z + 22 + 3 * bend), (x - 70, z + 12 + bend), (x - 30, z + 2), (x + 16, z - 2)])
    width = caliber * np.interp(np.linspace(0, 1, len(course)), [0, 0.5, 0.8, 0.93, 1], [0.9, 0.95, 1.0, 0.9, 1.1])
    branch = smooth([(x - 78, z - 52), (x - 50, z - 30), (x - 26, z - 12), (x - 8, z - 4)])
    canvas.fill("blood", tube(branch, np.linspace(3.5, 8, len(branch))))
    canvas.fill("blood", tube(course, width))
    for offset in (-0.5, 0.5):
        wall = np.stack([course[:, 0], course[:, 1] + offset * width], 1)
        canvas.line(wall[: int(0.85 * len(wall))], 7.0, 1.2, mirror=0.8)
    chest_wall(canvas, random, 11)


def sides(canvas: Canvas, window: Window, random: np.random.Generator) -> None:
    """Lung and ribs that hide the sector's sides: a bright surface, shadow behind."""
    edge = np.tan(canvas.scanner.half_opening)
    for side, part in ((-1, window.shadow_left), (1, window.shadow_right)):
        if part:
            near, far = (1 - part) * edge * 1.0, edge * 1.4
            top = 13 + random.normal(0, 1)
            surface = points([(side * near * top, top), (side * far * top, top)])
            canvas.fill(
                "gas",
                points([*map(tuple, surface), (side * far * (top + 3), top + 3), (side * near * (top + 3), top + 3)]),
            )
