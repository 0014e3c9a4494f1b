"""Sections through a heart: four chambers, two chambers, long axis, short axis.

All are drawn in the left ventricle's own frame and then put in place: the origin is the middle of the mitral ring,
the second number runs up to the apex, the first to the right as an apical view shows it.
"""

import numpy as np

from engine.phantoms.canvas import Canvas
from engine.phantoms.heart import Heart, Moment
from engine.phantoms.heart_parts import (
    PERICARDIUM_DB,
    VALVE_DB,
    Pose,
    aortic_valve,
    beside,
    bullet,
    chamber,
    left_ventricle,
    papillary,
    pose_banks,
    trabeculae,
    valve,
    ventricle_width,
)
from engine.phantoms.outlines import Mm, Outline, ellipse, points, smooth, tube, wobbled


def four_chambers(canvas: Canvas, heart: Heart, now: Moment, pose: Pose, random: np.random.Generator) -> None:
    """Both ventricles and both atria; the left heart on the right."""
    blunt, long = heart.roundness + 0.3, now.length

    def septum(part: Mm) -> float:
        """Right ventricular side of the septum."""
        return -float(ventricle_width(part, blunt)) * (now.width / 2 + now.wall)

    tip, bulge = heart.right_length, now.right_width
    inner = [(septum(part), part * long) for part in (-0.04, 0.15, 0.3, 0.45, 0.6, tip)]
    free = [
        (septum(part) - far * bulge, part * long)
        for part, far in ((0.62, 0.42), (0.42, 0.8), (0.2, 1.02), (-0.04, 0.95))
    ]
    cavity = smooth(inner + free)
    right = (septum(0) - 0.45 * bulge, -0.42 * now.atrium_length)
    left = (2.0, -0.5 * now.atrium_length)
    right_outline = wobbled(random, ellipse(*right, now.right_atrium_width / 2, 0.5 * now.atrium_length), 0.02)
    left_outline = wobbled(random, ellipse(*left, now.atrium_width / 2, 0.5 * now.atrium_length + 1), 0.02)
    wall = smooth(
        [(inner[0][0], -3.0), inner[3], (septum(tip) - 1, (tip + 0.1) * long)] + [(x - 4.5, z + 2.5) for x, z in free]
    )
    bridge = [(septum(0) - bulge, -4), (septum(0) - bulge, 5), (now.width / 2 + 3, 5), (now.width / 2 + 3, -4)]
    canvas.fill("atrial wall", pose(points(bridge)))
    chamber(canvas, pose(right_outline))
    chamber(canvas, pose(left_outline))
    canvas.fill("myocardium", pose(wall))
    left_ventricle(canvas, heart, now, pose, random)
    canvas.fill("blood", pose(cavity))
    canvas.line(pose(cavity), 2.0, 0.6, mirror=0.6)
    trabeculae(canvas, pose(cavity), random, 14)
    if random.random() < 0.75:
        band = [(septum(0.42), 0.4 * long), (septum(0.5) - 0.4 * bulge, 0.47 * long), (free[0][0], free[0][1] - 4)]
        canvas.fill("myocardium", pose(tube(smooth(band), 3.0)))
    ring = (septum(0) - 0.92 * bulge, septum(0) - 1)
    open_rings = ((ring[0] + 1, ring[1] - 1, 9.0), (-0.41 * now.width, 0.41 * now.width, 8.0))
    for one, other, deep in open_rings:
        canvas.fill("blood", pose(points([(one, -deep), (one, 4), (other, 4), (other, -deep)])))
    crux = (septum(0) - 0.41 * now.width) / 2
    between = smooth([(crux, 3), (crux, -9), (crux + 2, -0.5 * now.atrium_length), (crux, -0.97 * now.atrium_length)])
    width = np.interp(np.linspace(0, 1, len(between)), [0, 0.22, 0.5, 0.65, 1], [now.wall, 5.0, 2.0, 2.0, 6.0])
    canvas.fill("atrial wall", pose(tube(between, width)))
    valve(canvas, pose, -0.42 * now.width, 0.42 * now.width, long, now.mitral)
    valve(canvas, beside(pose, 0, 4), *ring, 0.8 * long, now.mitral)
    outer = bullet(long + now.wall, now.width + 2 * now.wall + 2, blunt)
    canvas.line(pose(outer[30:]), PERICARDIUM_DB, 2.0, mirror=0.75)
    canvas.line(pose(wall[12:]), PERICARDIUM_DB - 4, 1.2, mirror=0.75)


def two_chambers(canvas: Canvas, heart: Heart, now: Moment, pose: Pose, random: np.random.Generator) -> None:
    """Left ventricle and left atrium, the inferior wall on the left; coronary sinus and the atrium's appendage."""
    atrium = wobbled(
        random, ellipse(0, -0.48 * now.atrium_length, 0.54 * now.atrium_width, 0.5 * now.atrium_length), 0.03
    )
    base = [(-now.width / 2 - 5, -6), (-now.width / 2 - 5, 6), (now.width / 2 + 5, 6), (now.width / 2 + 5, -6)]
    appendage = smooth(
        [(0.3 * now.atrium_width, -9), (0.5 * now.atrium_width + 4, -7), (0.5 * now.atrium_width + 9, -2)]
    )
    has_appendage = random.random() < 0.6
    canvas.fill("atrial wall", pose(points(base)))
    if has_appendage:
        canvas.fill("atrial wall", pose(tube(appendage, 12.0)))
    chamber(canvas, pose(atrium))
    if has_appendage:
        canvas.fill("blood", pose(tube(appendage, 7.5)))
    left_ventricle(canvas, heart, now, pose, random)
    canvas.fill(
        "blood",
        pose(points([(-0.41 * now.width, -8), (-0.41 * now.width, 4), (0.41 * now.width, 4), (0.41 * now.width, -8)])),
    )
    canvas.fill("blood", pose(ellipse(-now.width / 2 - 3, -5, 4.5, 4)))
    canvas.contour(pose(ellipse(-now.width / 2 - 3, -5, 4.5, 4)), 5.0, 0.6)
    for side in (-1, 1):
        if random.random() < 0.7:
            up = random.uniform(0.38, 0.5) * now.length
            papillary(canvas, pose, (side * 0.44 * now.width, up + 12), (side * 0.24 * now.width, up - 4), 9)
    valve(canvas, pose, -0.42 * now.width, 0.42 * now.width, now.length, now.mitral)
    outer = bullet(now.length + now.wall, now.width + 2 * now.wall + 2, heart.roundness + 0.3)
    canvas.line(pose(outer[34:]), PERICARDIUM_DB, 2.0, mirror=0.75)
    canvas.line(pose(outer[:16]), PERICARDIUM_DB, 2.0, mirror=0.75)


def long_axis(canvas: Canvas, heart: Heart, now: Moment, pose: Pose, random: np.random.Generator) -> None:
    """Left ventricle, left atrium, root of the aorta, and in front of them (right) a strip of right ventricle."""
    half, long, front = now.width / 2, now.length, now.width / 2 + now.wall
    right = [
        (front + 1, -0.5 * now.atrium_length), (front + 0.5, 0.0), (front - 1, 0.35 * long),
        (float(ventricle_width(0.75, heart.roundness)) * front + 1, 0.75 * long),
        (front + 0.42 * now.right_width - 3, 0.55 * long), (front + 0.6 * now.right_width, 0.2 * long),
        (front + 0.66 * now.right_width, -0.15 * long), (front + 0.6 * now.right_width, -0.5 * now.atrium_length),
    ]  # fmt: skip
    cavity = smooth(right)
    canvas.fill("myocardium", pose(smooth([right[0], *((x + 4.5, z + 1) for x, z in right[3:])])))
    canvas.fill("blood", pose(cavity))
    trabeculae(canvas, pose(cavity[18:]), random, 10)
    root = 0.55 * heart.aorta
    middle = half + 2 - 0.45 * heart.aorta
    vessel = smooth(
        [(middle, 3), (middle + 1.5, -0.45 * heart.aorta), (middle + 4, -heart.aorta), (middle + 9, -2.4 * heart.aorta)]
    )
    width = (
        np.interp(np.linspace(0, 1, len(vessel)), [0, 0.14, 0.3, 0.45, 1], [0.86, 1.0, 1.12, 0.95, 0.98]) * heart.aorta
    )
    deep = 0.45 * now.atrium_width
    back = middle - root - 1.9 * deep
    atrium = ellipse(back + deep, -0.5 * now.atrium_length, deep, 0.52 * now.atrium_length, 6)
    base = [(-half - 4, -5), (-half - 4, 5), (front, 6), (front, -4)]
    canvas.fill("atrial wall", pose(points(base)))
    chamber(canvas, pose(wobbled(random, atrium, 0.03)))
    left_ventricle(canvas, heart, now, pose, random)
    canvas.fill("atrial wall", pose(tube(vessel, width + 4.5, round_ends=False)))
    canvas.fill("blood", pose(tube(vessel, width, round_ends=False)))
    ring = middle - 0.42 * heart.aorta
    canvas.fill("blood", pose(points([(-0.43 * now.width, -8), (-0.43 * now.width, 6), (ring - 1, 6), (ring - 1, -8)])))
    canvas.fill("blood", pose(points([(ring, -4), (ring, 8), (half - 1, 8), (half - 1, -4)])))
    for bank in pose_banks(pose, vessel, width + 1.5):
        canvas.line(bank, 10.0, 1.8, mirror=0.5)
    papillary(canvas, pose, (-0.45 * now.width, 0.55 * long), (-0.2 * now.width, 0.36 * long), 8)
    aortic_valve(canvas, pose, middle, heart.aorta, now.aortic)
    valve(canvas, pose, -0.44 * now.width, ring, long, now.mitral)
    outer = bullet(long + now.wall, now.width + 2 * now.wall + 2, heart.roundness + 0.3)
    canvas.line(
        pose(
            np.concatenate(
                [
                    smooth(
                        [(back - 3, -0.8 * now.atrium_length), (back - 3, -0.35 * now.atrium_length), (-front - 2, -2)]
                    ),
                    outer[:20],
                ]
            )
        ),
        PERICARDIUM_DB + 2,
        2.2,
        mirror=0.75,
    )
    canvas.line(pose(smooth([(x + 5, z) for x, z in right[3:]])), PERICARDIUM_DB - 3, 1.2, mirror=0.75)
    behind = (back - 6 - 0.4 * heart.aorta, -0.2 * now.atrium_length)
    chamber(canvas, pose(ellipse(*behind, 0.37 * heart.aorta, 0.37 * heart.aorta)), 1.5)


def short_axis(canvas: Canvas, heart: Heart, now: Moment, pose: Pose, level: str, random: np.random.Generator) -> None:
    """The left ventricle as a ring, the right one as a crescent about it, up and to the left; at one of three levels.

    The origin is the ring's middle. `level` is `mitral`, `papillary` or `apical`.
    """
    inside = now.width / 2 * {"mitral": 1.0, "papillary": 0.95, "apical": 0.72}[level]
    outside = inside + now.wall
    turn = np.radians(np.linspace(92, 232 if level != "apical" else 205, 40))
    far = now.right_width * (0.95 if level != "apical" else 0.6) * np.sin(np.linspace(0.02, np.pi - 0.02, 40)) ** 0.8

    def around(reach: np.ndarray) -> Outline:
        # Counted clockwise from straight down, so that left lies at a quarter turn.
        return np.stack([-reach * np.sin(turn), -reach * np.cos(turn)], 1)

    septum, free = around(np.full(40, outside)), around(outside + far)
    canvas.fill("myocardium", pose(np.concatenate([around(np.full(40, outside - 2)), around(outside + far + 4)[::-1]])))
    cavity = np.concatenate([septum, free[::-1]])
    ring = wobbled(random, ellipse(0, 0, outside, outside * random.uniform(0.95, 1.0)), 0.008)
    hole = wobbled(random, ellipse(0, 0, inside, inside * random.uniform(0.94, 1.0)), 0.02)
    canvas.fill("myocardium", pose(ring))
    canvas.fill("blood", pose(cavity))
    trabeculae(canvas, pose(free), random, 12)
    canvas.line(pose(septum), 3.0, 1.0, mirror=0.6)
    canvas.fill("blood", pose(hole))
    canvas.contour(pose(hole), 3.0, 1.0, mirror=0.6)
    if level == "mitral":
        for side in (-1, 1):
            gap = side * (0.04 + 0.34 * now.mitral) * inside
            lip = [
                (-0.8 * inside, -0.12 * inside),
                (-0.3 * inside, gap),
                (0.3 * inside, gap),
                (0.8 * inside, -0.12 * inside),
            ]
            canvas.line(pose(smooth(lip)), VALVE_DB, 1.8, mirror=0.3)
    elif level == "papillary":
        size = 0.19 * now.width / 2 + 0.32 * now.wall
        for degrees in (-52 + random.normal(0, 7), 228 + random.normal(0, 7)):
            reach = inside - 0.75 * size
            x, z = reach * np.cos(np.radians(degrees)), reach * np.sin(np.radians(degrees))
            canvas.fill("myocardium", pose(ellipse(float(x), float(z), size, size * 0.85, count=20)))
    lower = np.radians(np.linspace(-75, 100, 40))
    canvas.line(
        pose(np.stack([np.sin(lower), -np.cos(lower)], 1) * (outside + 1.5)), PERICARDIUM_DB + 1, 2.0, mirror=0.75
    )
    canvas.line(pose(around(outside + far + 4.5)), PERICARDIUM_DB - 3, 1.2, mirror=0.75)
