"""The eleven abdominal categories and how each is drawn; here spleen and pancreas."""

from collections.abc import Callable

from engine.phantoms.kidney_views import (
    kidney_left_longitudinal,
    kidney_left_transverse,
    kidney_right_longitudinal,
    kidney_right_transverse,
)
from engine.phantoms.liver_views import (
    gallbladder_view,
    liver_left_longitudinal,
    liver_left_transverse,
    liver_right_longitudinal,
    liver_right_transverse,
)
from engine.phantoms.organs import EVERYWHERE, FAR, Scene, bowel, gas, kidney_along, lung_beyond, ribs, vertebra
from engine.phantoms.outlines import ellipse
from engine.phantoms.person import Person


def spleen(scene: Scene, person: Person) -> None:
    """A crescent under the ribs, lung on the left, vessels at its hollow side, often the kidney's upper pole."""
    random = scene.random
    scene.fill("soft tissue", EVERYWHERE)
    bowel(scene, 20, 95, 60, 22, 7)
    long, thick = random.uniform(0.85, 1.15), random.uniform(0.85, 1.15)
    crescent = [
        (-62, 50),
        (-44, 25),
        (-6, 14),
        (34, 21),
        (60, 42),
        (66, 62),
        (54, 64),
        (32, 52),
        (8, 50),
        (-16, 58),
        (-38, 74),
        (-58, 72),
    ]
    scene.organ("spleen", [(x * long, 14 + (z - 14) * thick) for x, z in crescent], 8.0, 0.015)
    z = 14 + 40 * thick
    scene.vessel([(2, z - 10), (10, z), (24, z + 10), (44, z + 16)], 4.0, 6.0, end=8.0)
    scene.cut_vessel(-12, z + 4, 4, 3, 6.0)
    if random.random() < 0.55:
        kidney_along(scene, 66, 86, 24, 0.95 * person.kidney_length, person.kidney_thickness)
    lung_beyond(scene, [(-44, -10), (-58, 20), (-66, 50), (-60, 78), (-34, 94)], [(-60, FAR), (-FAR, FAR), (-FAR, -20)])
    if random.random() < 0.6:
        gas(scene, -64, 18, 22)
    ribs(scene, person.wall_mm, 0.5)


def pancreas(scene: Scene, person: Person) -> None:
    """A bright band across, bent over the great vessels; the splenic vein like a tadpole right behind it."""
    random = scene.random
    scene.fill("soft tissue", EVERYWHERE)
    liver_end = random.uniform(10, 55)
    scene.organ(
        "liver",
        [
            (-120, 0),
            (-20, 2),
            (liver_end, 10),
            (liver_end + 12, 20),
            (liver_end - 25, 32),
            (-40, 42),
            (-85, 58),
            (-120, 70),
        ],
        8.0,
    )
    scene.branches(7, (-80, 10), (20, 34))
    x, z = random.uniform(-6, 6), random.uniform(46, 54)
    thick = random.uniform(0.85, 1.25)
    front = [(-44, 6), (-22, -7 * thick), (0, -9 * thick), (26, -8 * thick), (58, 2), (66, 14)]
    back = [(42, 10), (16, 5), (-8, 6), (-22, 14), (-32, 27), (-48, 22)]
    band = [(x + along, z + down) for along, down in (*front, *back)]
    scene.organ("pancreas", band, 4.0, 0.015)
    if random.random() < 0.5:
        scene.vessel([(x - 24, z + 2), (x, z - 2), (x + 30, z - 1)], 1.6, None)
    scene.vessel([(x - 15, z + 14), (x - 2, z + 10), (x + 22, z + 10), (x + 56, z + 20)], 12.0, 5.0, end=6.0)
    scene.fill("pancreas", ellipse(x + 2, z + 28, 9, 8))
    scene.cut_vessel(x + 2, z + 28, 4.2, 4.2, 11.0)
    scene.cut_vessel(x - 30, z + 42, 0.68 * person.vena_cava, 0.4 * person.vena_cava, 5.0)
    scene.cut_vessel(x + 4, z + 46, 0.5 * person.aorta, 0.5 * person.aorta, 9.0)
    vertebra(scene, x - 8, z + 58, 25)
    gas(scene, random.uniform(66, 82), random.uniform(26, 44), 18)
    if random.random() < 0.7:
        bowel(scene, -62, z + 24, 10, 10, 2)


CATEGORIES: dict[str, tuple[Callable[[Scene, Person], None], float]] = {
    "liver left longitudinal": (liver_left_longitudinal, 130.0),
    "liver left transverse": (liver_left_transverse, 130.0),
    "liver right longitudinal": (liver_right_longitudinal, 160.0),
    "liver right transverse": (liver_right_transverse, 160.0),
    "spleen": (spleen, 130.0),
    "pancreas": (pancreas, 120.0),
    "kidney left longitudinal": (kidney_left_longitudinal, 120.0),
    "kidney left transverse": (kidney_left_transverse, 110.0),
    "kidney right longitudinal": (kidney_right_longitudinal, 130.0),
    "kidney right transverse": (kidney_right_transverse, 120.0),
    "gallbladder": (gallbladder_view, 120.0),
}
"""How a category is drawn, and the usual depth setting in mm."""
