"""A patient's abdomen: measures and how bright its tissues are."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Person:
    """What stays the same in all images of a study."""

    scale: tuple[float, float]
    """How much wider and deeper than usual."""
    wall_mm: float
    """Thickness of the abdominal wall."""
    kidney_length: float
    kidney_thickness: float
    gallbladder_length: float
    gallbladder_thickness: float
    stones: int
    aorta: float
    vena_cava: float
    portal_vein: float
    levels_db: tuple[tuple[str, float], ...]
    """Tissues that are brighter or darker than usual."""
    gain_db: float
    """The user's overall gain."""
    contact_db: float
    """How unevenly sound enters over the array's face (standard deviation)."""


def draw_person(random: np.random.Generator) -> Person:
    """A patient of usual adult measures (millimetres)."""
    return Person(
        scale=(float(np.clip(random.normal(1, 0.08), 0.82, 1.18)), float(np.clip(random.normal(1, 0.07), 0.85, 1.15))),
        wall_mm=float(np.clip(random.normal(17, 4.5), 10, 30)),
        kidney_length=random.normal(108, 8),
        kidney_thickness=random.normal(50, 4),
        gallbladder_length=random.uniform(50, 85),
        gallbladder_thickness=random.uniform(20, 34),
        stones=int(random.integers(1, 4)) if random.random() < 0.2 else 0,
        aorta=random.uniform(15, 22),
        vena_cava=random.uniform(14, 24),
        portal_vein=random.uniform(9, 13),
        levels_db=(
            ("liver", random.normal(0.5, 2.0)),
            ("kidney cortex", random.normal(0, 1.5)),
            ("renal sinus", random.normal(0, 1.5)),
            ("pancreas", random.normal(0, 2.0)),
            ("spleen", random.normal(0, 1.2)),
            ("fat", random.normal(0, 2.0)),
            ("blood", random.normal(2, 2.0)),
        ),
        gain_db=random.normal(0, 2),
        contact_db=random.uniform(0.5, 2.5),
    )
