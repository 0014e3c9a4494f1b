"""Organs, vessels, bone and gas of the abdomen, drawn into a scene.

Places are millimetres in the scene: x to the image's right, z away from the skin, for a person of usual size whose
abdominal wall is `USUAL_WALL_MM` thick. Longitudinal images have the head on the left, transverse ones the
patient's right side.
"""

from dataclasses import dataclass

import numpy as np

from engine.phantoms.canvas import Canvas
from engine.phantoms.outlines import Mm, Outline, Places, banks, ellipse, moved, points, smooth, tube, wobbled

USUAL_WALL_MM = 16.0
FAR = 260.0
"""Beyond all borders."""
EVERYWHERE = points([(-FAR, -20), (FAR, -20), (FAR, FAR), (-FAR, FAR)])


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A canvas, and how a person's anatomy lies in it."""

    canvas: Canvas
    random: np.random.Generator
    x: float
    z: float
    degrees: float
    scale: tuple[float, float]
    """How much wider and deeper than usual."""

    def placed(self, outline: Outline) -> Outline:
        """Scene to field of view."""
        return moved(outline * self.scale, self.x, self.z, self.degrees)

    def fill(self, tissue: str, outline: Outline) -> None:
        """An area of a tissue."""
        self.canvas.fill(tissue, self.placed(outline))

    def line(self, course: Outline, peak_db: Mm, width_mm: Mm = 1.2, mirror: Mm = 0.7) -> None:
        """An interface."""
        self.canvas.line(self.placed(course), peak_db, width_mm, mirror)

    def contour(self, outline: Outline, peak_db: Mm, width_mm: Mm = 1.2, mirror: Mm = 0.7) -> None:
        """An interface around a whole outline."""
        self.canvas.contour(self.placed(outline), peak_db, width_mm, mirror)

    def organ(self, tissue: str, places: Places, capsule_db: Mm = 6.0, waver: Mm = 0.02) -> Outline:
        """A solid organ with its capsule; gives back its outline."""
        outline = wobbled(self.random, smooth(places, closed=True), waver)
        self.fill(tissue, outline)
        self.contour(outline, capsule_db, 1.0, mirror=0.8)
        return outline

    def vessel(self, places: Places, width: Mm, wall_db: Mm | None = 6.0, end: Mm | None = None) -> None:
        """A vessel along its course, `end` wide at its end; hepatic veins have no wall to be seen (None)."""
        course = smooth(places)
        caliber = np.linspace(width, width if end is None else end, len(course))
        self.fill("blood", tube(course, caliber))
        if wall_db is not None:
            for bank in banks(course, caliber):
                self.line(bank, wall_db, 1.0, mirror=0.5)

    def cut_vessel(self, x: Mm, z: Mm, across: Mm, down: Mm, wall_db: Mm | None = 7.0) -> None:
        """A vessel cut across; half axes."""
        outline = wobbled(self.random, ellipse(x, z, across, down, count=28), 0.03)
        self.fill("blood", outline)
        if wall_db is not None:
            self.contour(outline, wall_db, 1.0, mirror=0.5)

    def branches(self, count: int, across: tuple[Mm, Mm], down: tuple[Mm, Mm]) -> None:
        """Small vessels of the liver in a rectangle: dark, some portal ones with bright walls."""
        for _ in range(count):
            x, z = self.random.uniform(*across), self.random.uniform(*down)
            spot = ellipse(
                x, z, self.random.uniform(1.5, 8), self.random.uniform(0.9, 1.9), self.random.uniform(0, 180), 16
            )
            self.fill("blood", spot)
            if self.random.random() < 0.45:
                self.contour(spot, 6.0, 1.0, mirror=0.3)


def abdominal_wall(scene: Scene, wall_mm: Mm) -> None:
    """Skin, fat and muscle with bright sheets between, as bent as the array's face; covers what was drawn there."""
    canvas, random = scene.canvas, scene.random
    radius = canvas.scanner.radius_mm
    angle = np.linspace(-1.25, 1.25, 40) * canvas.scanner.half_opening

    def sheet(depth: Mm, waver: Mm = 0.0) -> Outline:
        bent = radius + depth + waver * np.sin(angle * random.uniform(2, 5) + random.uniform(0, 6))
        return np.stack([bent * np.sin(angle), bent * np.cos(angle) - radius], 1)

    fat = wall_mm * random.uniform(0.4, 0.65)
    for tissue, top, bottom in (("chest wall", -3, 2.5), ("fat", 2.5, fat), ("muscle", fat, wall_mm)):
        canvas.fill(tissue, np.concatenate([sheet(top), sheet(bottom, 0.4)[::-1]]))
    for depth in random.uniform(3, wall_mm - 1, size=5):
        part = slice(*sorted(random.integers(0, 40, size=2)))
        if part.stop - part.start > 3:
            canvas.line(sheet(float(depth), 0.8)[part], random.uniform(1, 6), 0.6)
    for depth, peak_db in ((2.5, 6.0), (fat, 7.0), (wall_mm, 8.0)):
        canvas.line(sheet(depth, 0.4), peak_db, 1.2, mirror=0.5)


def vertebra(scene: Scene, x: Mm, z: Mm, across: Mm) -> None:
    """The front of a vertebra: a bright arch, all dark behind."""
    arch = ellipse(x, z + 10, across, 11, count=48)[25:48]
    scene.fill("bone", np.concatenate([arch, (arch + np.array([0, 4]))[::-1]]))


def spine(scene: Scene, z: Mm, tilt: Mm) -> None:
    """The front of the spine along: one bright vertebra after the other, with gaps."""
    for number in range(-3, 4):
        x = 33 * number
        top = z + tilt * x
        block = points([(x, top), (x + 31, top + tilt * 28), (x + 31, top + tilt * 28 + 4), (x, top + 4)])
        scene.fill("bone", block)


def ribs(scene: Scene, wall_mm: Mm, likely: Mm) -> None:
    """Ribs at the sides of the field of view, each with its shadow; `likely` is the part of images that have any."""
    random = scene.random
    if random.random() > likely:
        return
    for side in (-1, 1):
        if random.random() < 0.6:
            x = side * random.uniform(18, 30)
            top = wall_mm + random.uniform(-3, 2) - x * x / (2 * scene.canvas.scanner.radius_mm)
            scene.canvas.fill("bone", ellipse(x, top, random.uniform(3.5, 6), 1.6, -side * 20, 20))


def gas(scene: Scene, x: Mm, z: Mm, across: Mm) -> None:
    """Gas in the bowel or stomach: an uneven bright surface and a dirty shadow."""
    random = scene.random
    places = [(x + across * part, z + random.normal(0, 2.0) + 5 * part**2) for part in np.linspace(-1, 1, 7)]
    scene.fill("gas", tube(smooth(places), random.uniform(3, 6)))


def bowel(scene: Scene, x: Mm, z: Mm, across: Mm, down: Mm, loops: int = 5) -> None:
    """Loops of bowel: patchy, with dark walls, some with gas."""
    random = scene.random
    for _ in range(loops):
        place = (x + random.uniform(-1, 1) * across, z + random.uniform(-1, 1) * down)
        loop = wobbled(
            random, ellipse(*place, random.uniform(9, 16), random.uniform(7, 12), random.uniform(0, 180)), 0.06
        )
        scene.fill("muscle", loop)
        scene.fill("bowel", loop.mean(axis=0) + (loop - loop.mean(axis=0)) * 0.72)
        if random.random() < 0.35:
            gas(scene, place[0], place[1] - 3, random.uniform(5, 9))


def diaphragm(scene: Scene, places: Places) -> None:
    """The bright border of the lung; what lies beyond it (the second half of a closed outline) is haze."""
    course = smooth(places)
    scene.line(course, 14.0, 2.0, mirror=0.75)


def lung_beyond(scene: Scene, places: Places, corners: Places) -> None:
    """The haze behind the diaphragm, down to the given corners, and the diaphragm itself."""
    scene.fill("hazy lung", np.concatenate([smooth(places), points(corners)]))
    diaphragm(scene, places)


def kidney_along(scene: Scene, x: Mm, z: Mm, degrees: Mm, length: Mm, thick: Mm) -> None:
    """A kidney cut along: a bean with a long bright sinus, dark pyramids between it and the cortex."""
    random = scene.random
    half, deep = length / 2, thick / 2
    bean = [(-half, 2), (-0.72 * half, -0.72 * deep), (-0.1 * half, -deep), (0.6 * half, -0.82 * deep), (half, -1),
            (0.78 * half, 0.72 * deep), (0.15 * half, 0.9 * deep), (-0.6 * half, 0.85 * deep)]  # fmt: skip
    outline = moved(wobbled(random, smooth(bean, closed=True), 0.015), x, z, degrees)
    scene.fill("renal fat", moved(smooth(bean, closed=True) * [1.07, 1.14], x, z, degrees))
    scene.fill("kidney cortex", outline)
    scene.contour(outline, 7.0, 1.2, mirror=0.7)
    for turn in np.linspace(0, 2 * np.pi, 11)[:-1] + random.uniform(0, 0.6):
        spot = moved(points([(0.66 * half * np.cos(turn), 0.62 * deep * np.sin(turn))]), x, z, degrees)[0]
        scene.fill(
            "pyramid",
            ellipse(float(spot[0]), float(spot[1]), 0.085 * length, 0.1 * thick, degrees + np.degrees(turn) + 90, 20),
        )
    sinus = wobbled(random, ellipse(0, 0, 0.6 * half, 0.40 * deep, count=60), 0.07)
    scene.fill("renal sinus", moved(sinus, x, z, degrees))
    for _ in range(random.integers(1, 5)):
        place = moved(points([(random.uniform(-0.4, 0.4) * half, random.uniform(-0.2, 0.2) * deep)]), x, z, degrees)[0]
        scene.fill(
            "pyramid",
            ellipse(float(place[0]), float(place[1]), random.uniform(2, 5), random.uniform(1, 2), degrees, 14),
        )


def kidney_across(scene: Scene, x: Mm, z: Mm, size: Mm, medial: int) -> None:
    """A kidney cut across: round, its bright sinus open to the spine (`medial`: -1 for the left, 1 the right)."""
    random = scene.random
    half = size / 2
    outline = wobbled(random, ellipse(x, z, half, 0.92 * half, count=60), 0.025)
    scene.fill("renal fat", ellipse(x, z, 1.14 * half, 1.06 * half))
    scene.fill("kidney cortex", outline)
    scene.contour(outline, 7.0, 1.2, mirror=0.7)
    for degrees in np.arange(-100, 101, 50) + random.normal(0, 9, size=5):
        turn = np.radians(degrees if medial < 0 else 180 - degrees)
        spot = (x + 0.62 * half * np.cos(turn), z + 0.57 * half * np.sin(turn))
        scene.fill("pyramid", ellipse(*spot, 0.19 * half, 0.15 * half * random.uniform(0.6, 1.1), np.degrees(turn), 20))
    sinus = [(-0.32 * half, 0), (-0.1 * half, -0.36 * half), (0.4 * half, -0.26 * half), (1.02 * half, -0.2 * half),
             (1.02 * half, 0.22 * half), (0.4 * half, 0.28 * half), (-0.1 * half, 0.36 * half)]  # fmt: skip
    open_sinus = smooth(sinus, closed=True) * [medial, 1] + [x, z]
    scene.fill("renal sinus", wobbled(random, open_sinus, 0.04))
    course = [
        (x + medial * 0.35 * half, z + 1),
        (x + medial * half, z + 2),
        (x + medial * 2.3 * half, z + random.uniform(-4, 8)),
    ]
    scene.vessel(course, 4.0, 5.0, end=8.0)


def gallbladder(scene: Scene, x: Mm, z: Mm, degrees: Mm, length: Mm, thick: Mm, stones: int, fold: bool) -> None:
    """A pear of bile in its wall, the neck on the left end; stones lie on its back wall and throw shadows."""
    half, deep = length / 2, thick / 2
    upper = [
        (-0.72 * half, -0.34 * deep),
        (-0.2 * half, -0.72 * deep),
        (0.45 * half, -deep),
        (0.9 * half, -0.62 * deep),
    ]
    lower = [(along, -down) for along, down in reversed(upper)]
    pear = smooth([(-half, 0.0), *upper, (half, 0.0), *lower], closed=True)
    if length < 1.3 * thick:  # cut across
        pear = ellipse(0, 0, half, deep)
    outline = moved(wobbled(scene.random, pear, 0.015), x, z, degrees)
    middle = outline.mean(axis=0)
    scene.fill("connective", middle + (outline - middle) * (1 + 2.0 / thick))
    scene.fill("fluid", outline)
    scene.contour(outline, 5.0, 0.6, mirror=0.6)
    if fold:
        scene.line(
            moved(points([(-0.5 * half, -0.55 * deep), (-0.42 * half, 0.1 * deep)]), x, z, degrees),
            6.0,
            1.2,
            mirror=0.3,
        )
    for number in range(stones):
        along = scene.random.uniform(-0.1, 0.7)
        radius = scene.random.uniform(2.5, 5.5)
        place = moved(points([(along * half, 0.0)]), x, z, degrees)[0]
        below = max((p[1] for p in outline if abs(p[0] - place[0]) < 3), default=float(place[1]))
        scene.fill("stone", ellipse(float(place[0]) + number * 2, below - radius, radius, radius * 0.8, count=20))
