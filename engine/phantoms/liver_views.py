"""The liver: left and right lobe, along and across; and the gallbladder under it."""

import numpy as np

from engine.phantoms.organs import (
    EVERYWHERE,
    FAR,
    Scene,
    bowel,
    gallbladder,
    gas,
    kidney_along,
    lung_beyond,
    ribs,
    spine,
    vertebra,
)
from engine.phantoms.person import Person


def liver_left_longitudinal(scene: Scene, person: Person) -> None:
    """Thin lobe with a sharp lower edge on the right, heart on the left, aorta or vena cava along behind it."""
    random = scene.random
    scene.fill("soft tissue", EVERYWHERE)
    bowel(scene, 40, 60, 35, 18, 6)
    tip = random.uniform(38, 66)
    scene.organ(
        "liver",
        [(-95, 5), (-30, 4), (tip - 30, 8), (tip, 24), (tip - 12, 36), (0, 58), (-40, 74), (-70, 76), (-95, 60)],
        8.0,
    )
    scene.branches(9, (-60, 5), (24, 56))
    scene.cut_vessel(random.uniform(-35, -10), random.uniform(36, 48), 6, 4.5, 9.0)
    if random.random() < 0.6:
        scene.vessel([(-110, 84), (-30, 86), (30, 92), (110, 104)], person.aorta, 8.0)
        scene.vessel([(-12, 80), (-2, 70), (12, 68), (60, 74)], 6.0, 9.0)
        spine(scene, 102, 0.11)
    else:
        scene.vessel([(-110, 60), (-50, 70), (10, 84), (110, 100)], person.vena_cava, 4.0)
        scene.vessel([(-20, 40), (-38, 52), (-52, 66)], 5.0, None, end=8.0)
        scene.organ("liver", [(-45, 80), (-20, 86), (0, 92), (-20, 102), (-60, 104), (-80, 90)], 5.0)
        spine(scene, 118, 0.1)
    lung_beyond(scene, [(-46, -10), (-52, 22), (-64, 48), (-96, 74)], [(-FAR, 90), (-FAR, -20)])
    gas(scene, tip + 12, random.uniform(28, 44), 16)


def liver_left_transverse(scene: Scene, person: Person) -> None:
    """Lobe as a broad wedge, the ligament's bright spot, the portal vein's left branch; aorta, vena cava, vertebra."""
    random = scene.random
    scene.fill("soft tissue", EVERYWHERE)
    tip = random.uniform(48, 78)
    scene.organ(
        "liver",
        [(-120, 0), (-30, 4), (tip - 25, 6), (tip, 20), (tip - 20, 38), (15, 58), (-15, 72), (-60, 84), (-120, 100)],
        8.0,
    )
    scene.branches(12, (-80, 40), (22, 62))
    x, z = random.uniform(-22, 2), random.uniform(30, 40)
    scene.vessel([(x - 40, z + 24), (x - 18, z + 20), (x - 3, z + 12), (x, z + 2)], person.portal_vein, 10.0)
    scene.vessel([(x, z + 4), (x - 16, z - 5)], 5.0, 9.0, end=3.0)
    scene.vessel([(x + 1, z + 8), (x + 18, z + 4), (x + 28, z + 6)], 5.0, 9.0, end=2.5)
    for _ in range(3):
        spot = (x + random.normal(0, 2), z - 6 + random.normal(0, 2), random.uniform(3, 6), random.uniform(2, 4))
        scene.organ(
            "connective",
            [
                (spot[0] - spot[2], spot[1]),
                (spot[0], spot[1] - spot[3]),
                (spot[0] + spot[2], spot[1]),
                (spot[0], spot[1] + spot[3]),
            ],
        )
    scene.line(np.array([(x - 8, z + 22), (x + 6, z + 32), (x + 16, z + 36)], float), 10.0, 1.6, mirror=0.4)
    scene.cut_vessel(-34, 88, 0.65 * person.vena_cava, 0.42 * person.vena_cava, 5.0)
    scene.cut_vessel(2, 86, 0.5 * person.aorta, 0.5 * person.aorta, 9.0)
    vertebra(scene, -12, 98, 24)
    gas(scene, tip + 4, random.uniform(34, 50), 20)
    bowel(scene, 60, 75, 20, 15, 3)


def liver_right_longitudinal(scene: Scene, person: Person) -> None:
    """Liver from the diaphragm on the left to its lower edge on the right; hepatic or portal veins, a kidney."""
    random = scene.random
    scene.fill("liver", EVERYWHERE)
    scene.branches(26, (-70, 55), (26, 110))
    shown, x, z = random.choice(["hepatic", "portal", "both"]), random.uniform(-22, 18), random.uniform(-14, 12)
    if shown != "portal":
        bend = random.uniform(-12, 8)
        scene.vessel(
            [(x - 50, 96 + z), (x - 22, 74 + z), (x + 2, 58 + z + bend), (x + 24, 50 + z + bend)], 9.0, None, end=4.0
        )
    if shown != "hepatic":
        scene.vessel(
            [(x + 34, 92 - z), (x + 14, 86 - z), (x - 10, 80 - z), (x - 24, 70 - z)], person.portal_vein, 10.0, end=6.0
        )
    scene.cut_vessel(random.uniform(0, 35), random.uniform(44, 72), random.uniform(4, 7), random.uniform(3, 6), 10.0)
    edge = random.uniform(60, 80)
    below = [(edge + 15, -10), (edge, 40), (edge - 14, 84), (edge - 40, 112), (edge - 80, 128)]
    beneath = np.array([*below, (-20, FAR), (FAR, FAR), (FAR, -20)], float)
    scene.fill("soft tissue", beneath)
    scene.line(np.array(below, float), 8.0, 1.4, mirror=0.7)
    if random.random() < 0.6:
        kidney_along(scene, edge - 12, 116, 14, person.kidney_length, person.kidney_thickness)
    bowel(scene, edge + 18, 65, 10, 25, 4)
    dome = [(-98, 30), (-92, 70), (-72, 108), (-38, 134), (10, 148)]
    lung_beyond(scene, dome, [(10, FAR), (-FAR, FAR), (-FAR, 30)])
    ribs(scene, person.wall_mm, 0.25)


def liver_right_transverse(scene: Scene, person: Person) -> None:
    """Liver all over, the diaphragm as a bowl behind it; hepatic veins meet the cava, or the portal vein divides."""
    random = scene.random
    scene.fill("liver", EVERYWHERE)
    scene.branches(24, (-75, 70), (26, 110))
    x, z = random.uniform(30, 44), random.uniform(100, 112)
    if random.random() < 0.55:
        for start, bend in (((-62, 74), (-15, 92)), ((-18, 38), (8, 74)), ((48, 36), (44, 70))):
            from_x, from_z = random.normal(start, 9)
            by_x, by_z = random.normal(bend, 4)
            scene.vessel(
                [(from_x, from_z), (by_x, by_z), (x, z)], random.uniform(2, 5), None, end=random.uniform(7, 11)
            )
    else:
        fork = (random.normal(-14, 9), random.normal(66, 7))
        scene.vessel([(x + 6, z - 30), (x - 18, z - 36), fork], person.portal_vein, 11.0)
        for along, down in ((-44, -12), (-34, 30)):
            end = (fork[0] + random.normal(along, 6), fork[1] + random.normal(down, 6))
            middle = ((fork[0] + end[0]) / 2, (fork[1] + end[1]) / 2 + random.normal(0, 4))
            scene.vessel([fork, middle, end], 0.75 * person.portal_vein, 10.0, end=3.0)
    scene.cut_vessel(x + 2, z + 3, 0.62 * person.vena_cava, 0.5 * person.vena_cava, 5.0)
    bowl = [(-100, 40), (-94, 88), (-70, 124), (-25, 146), (25, 140), (58, 124), (84, 100)]
    lung_beyond(scene, bowl, [(FAR, 110), (FAR, FAR), (-FAR, FAR), (-FAR, 40)])
    if random.random() < 0.5:
        vertebra(scene, 66, 118, 18)
    ribs(scene, person.wall_mm, 0.25)


def gallbladder_view(scene: Scene, person: Person) -> None:
    """A pear without echoes under the liver, along or across, brighter tissue behind it; some hold stones."""
    random = scene.random
    scene.fill("liver", EVERYWHERE)
    scene.branches(14, (-75, 40), (22, 70))
    slope = random.uniform(-8, 12)
    under = [(-120, 108 + slope), (-40, 88), (10, 80 - slope), (60, 50), (95, 20)]
    scene.fill("soft tissue", np.array([*under, (FAR, FAR), (-FAR, FAR)], float))
    if random.random() < 0.65:
        down = random.uniform(-6, 12)
        scene.vessel([(-80, 80 + down), (-48, 74 + down), (-20, 80 + down), (8, 92)], person.portal_vein, 9.0, end=6.0)
    bowel(scene, 30, 100, 40, 14, 5)
    along = random.random() < 0.75
    thick = person.gallbladder_thickness
    length = person.gallbladder_length if along else 1.15 * thick
    x, z, degrees = random.uniform(-6, 14), random.uniform(46, 62), random.uniform(-28, 18) if along else 0.0
    gallbladder(
        scene, x, z, degrees, length, thick if along else 1.1 * thick, person.stones, along and random.random() < 0.4
    )
    if random.random() < 0.6:
        gas(scene, x + 0.5 * length + 22, z + random.uniform(0, 18), 14)
    if random.random() < 0.3:
        kidney_along(scene, -8, 124, 8, person.kidney_length, person.kidney_thickness)
