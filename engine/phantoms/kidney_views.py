"""The kidneys: left and right, along and across."""

import numpy as np

from engine.phantoms.organs import (
    EVERYWHERE,
    FAR,
    Scene,
    bowel,
    gas,
    kidney_across,
    kidney_along,
    lung_beyond,
    ribs,
    vertebra,
)
from engine.phantoms.outlines import Mm
from engine.phantoms.person import Person


def kidney_left_longitudinal(scene: Scene, person: Person) -> None:
    """The kidney along, the spleen over its upper pole on the left, bowel gas at the lower pole."""
    random = scene.random
    scene.fill("soft tissue", EVERYWHERE)
    _psoas(scene, 98)
    reach = random.uniform(-30, 10)
    scene.organ(
        "spleen",
        [(-120, 0), (-40, 6), (reach - 10, 10), (reach, 22), (reach - 25, 33), (-50, 52), (-90, 74), (-120, 74)],
        7.0,
    )
    bowel(scene, 62, 40, 25, 16, 4)
    kidney_along(
        scene,
        random.uniform(-4, 6),
        random.uniform(56, 64),
        random.uniform(4, 20),
        person.kidney_length,
        person.kidney_thickness,
    )
    if random.random() < 0.6:
        gas(scene, random.uniform(58, 78), random.uniform(24, 40), 15)
    if random.random() < 0.4:
        lung_beyond(scene, [(-66, -10), (-76, 40), (-100, 90)], [(-FAR, 90), (-FAR, -20)])
    ribs(scene, person.wall_mm, 0.25)


def kidney_left_transverse(scene: Scene, person: Person) -> None:
    """The kidney across, its hollow to the left where the spine is; muscle of the back behind, bowel in front."""
    random = scene.random
    scene.fill("soft tissue", EVERYWHERE)
    _psoas(scene, 92)
    if random.random() < 0.6:
        scene.organ("spleen", [(10, 4), (50, 4), (110, 10), (110, 60), (70, 60), (48, 36), (22, 20)], 7.0)
    bowel(scene, -48, 42, 22, 18, 5)
    kidney_across(scene, random.uniform(-4, 10), random.uniform(52, 62), 1.12 * person.kidney_thickness, -1)
    vertebra(scene, -72, 84, 18)
    if random.random() < 0.5:
        gas(scene, -52, random.uniform(24, 36), 16)


def kidney_right_longitudinal(scene: Scene, person: Person) -> None:
    """The kidney along, behind the liver, which reaches over it from the left."""
    random = scene.random
    scene.fill("soft tissue", EVERYWHERE)
    _psoas(scene, 110)
    edge = random.uniform(30, 85)
    scene.organ(
        "liver",
        [(-130, 0), (-20, 2), (edge, 10), (edge + 10, 26), (edge - 20, 46), (0, 56), (-60, 80), (-130, 110)],
        8.0,
    )
    scene.branches(12, (-75, 20), (22, 50))
    bowel(scene, 78, 45, 14, 18, 3)
    kidney_along(
        scene,
        random.uniform(-2, 12),
        random.uniform(72, 80),
        random.uniform(6, 20),
        person.kidney_length,
        person.kidney_thickness,
    )
    if random.random() < 0.6:
        lung_beyond(scene, [(-84, 10), (-92, 60), (-84, 100), (-60, 128)], [(-80, FAR), (-FAR, FAR), (-FAR, 0)])
    if random.random() < 0.4:
        gas(scene, random.uniform(72, 88), random.uniform(26, 40), 13)
    ribs(scene, person.wall_mm, 0.25)


def kidney_right_transverse(scene: Scene, person: Person) -> None:
    """The kidney across, liver in front of it, its hollow to the right; vena cava and vertebra beside."""
    random = scene.random
    scene.fill("soft tissue", EVERYWHERE)
    _psoas(scene, 106)
    lower = random.uniform(40, 52)
    scene.organ(
        "liver",
        [(-120, 0), (20, 2), (62, 12), (58, 30), (25, lower - 4), (-25, lower + 4), (-48, 76), (-70, 100), (-120, 110)],
        8.0,
    )
    scene.branches(12, (-75, 30), (22, 42))
    bowel(scene, 56, 52, 14, 10, 3)
    kidney_across(scene, random.uniform(-12, 2), random.uniform(66, 74), 1.12 * person.kidney_thickness, 1)
    scene.cut_vessel(64, 82, 0.6 * person.vena_cava, 0.45 * person.vena_cava, 5.0)
    vertebra(scene, 74, 100, 18)
    if random.random() < 0.5:
        gas(scene, random.uniform(55, 70), random.uniform(32, 44), 12)
    ribs(scene, person.wall_mm, 0.25)


def _psoas(scene: Scene, z: Mm) -> None:
    """Muscle of the back: dim, with bright streaks along."""
    scene.fill("muscle", np.array([(-FAR, z), (FAR, z + 6), (FAR, z + 40), (-FAR, z + 36)], float))
    for down in scene.random.uniform(2, 30, size=5):
        x = scene.random.uniform(-70, 30)
        scene.line(np.array([(x, z + down), (x + 20, z + down + 1), (x + 45, z + down + 3)], float), 1.0, 0.8)
    scene.line(np.array([(-FAR, z), (0, z + 3), (FAR, z + 6)], float), 5.0, 1.2)
