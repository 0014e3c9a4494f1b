"""A patient's heart: its measures, and how they change over a beat."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Heart:
    """Measures at the end of diastole, millimetres; in adults as in Lang et al. 2015, 10.1016/j.echo.2014.10.003."""

    length: float
    """Left ventricle from the mitral ring to the inner apex."""
    width: float
    """Left ventricle inside, widest."""
    wall: float
    """Thickness of the left ventricle's wall."""
    right_width: float
    """Right ventricle inside, at its base."""
    right_length: float
    """Right ventricle, as a part of the left one's length."""
    atrium_length: float
    atrium_width: float
    right_atrium_width: float
    aorta: float
    """Diameter of the ascending aorta."""
    vein: float
    """Diameter of the inferior vena cava."""
    contraction: float
    """How far systole goes: 1 is a healthy heart, 0.4 a failing one."""
    roundness: float
    """How blunt the apex is."""
    levels_db: tuple[tuple[str, float], ...]
    """Tissues that are brighter or darker than usual."""


def draw_heart(random: np.random.Generator) -> Heart:
    """A patient."""
    big = random.normal(1, 0.06)
    return Heart(
        length=82 * big * random.normal(1, 0.05),
        width=47 * big * random.normal(1, 0.08),
        wall=float(np.clip(9.5 * random.normal(1, 0.14), 7, 14)),
        right_width=34 * big * random.normal(1, 0.12),
        right_length=random.uniform(0.66, 0.82),
        atrium_length=46 * big * random.normal(1, 0.1),
        atrium_width=39 * big * random.normal(1, 0.09),
        right_atrium_width=39 * big * random.normal(1, 0.1),
        aorta=31 * big * random.normal(1, 0.07),
        vein=random.uniform(13, 24),
        contraction=random.uniform(0.55, 1.05),
        roundness=random.uniform(1.9, 2.8),
        levels_db=(
            ("myocardium", random.normal(0, 1.5)),
            ("blood", random.normal(0, 2.5)),
            ("soft tissue", random.normal(0, 2.0)),
            ("hazy lung", random.normal(0, 2.5)),
            ("liver", random.normal(0, 1.5)),
            ("chest wall", random.normal(0, 1.5)),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A heart at one phase of its beat: 0 is the end of diastole, systole lasts to about 0.4."""

    length: float
    width: float
    wall: float
    right_width: float
    atrium_length: float
    atrium_width: float
    right_atrium_width: float
    mitral: float
    """How far the valves between atria and ventricles stand open, 0 to 1."""
    aortic: float
    """The same of the aortic valve."""


def moment(heart: Heart, phase: float) -> Moment:
    """What a phase makes of the chambers: systole shortens and thickens, the atria fill meanwhile."""
    squeezed = squeeze(phase) * heart.contraction
    early = _bump(phase, 0.56, 0.11)
    late = _bump(phase, 0.90, 0.07)
    return Moment(
        length=heart.length * (1 - 0.16 * squeezed),
        width=heart.width * (1 - 0.34 * squeezed),
        wall=heart.wall * (1 + 0.42 * squeezed),
        right_width=heart.right_width * (1 - 0.25 * squeezed),
        atrium_length=heart.atrium_length * (0.92 + 0.20 * squeezed),
        atrium_width=heart.atrium_width * (0.94 + 0.12 * squeezed),
        right_atrium_width=heart.right_atrium_width * (0.94 + 0.12 * squeezed),
        mitral=min(1.0, early + 0.75 * late + (0.3 if 0.5 < phase < 0.95 else 0.0)),
        aortic=min(1.0, 1.5 * _bump(phase, 0.2, 0.09)),
    )


def squeeze(phase: float) -> float:
    """0 at the end of diastole, 1 at the end of systole (phase 0.38)."""
    if phase < 0.38:
        return float(0.5 - 0.5 * np.cos(np.pi * phase / 0.38))
    if phase < 0.62:
        return float(0.12 + 0.88 * (0.5 + 0.5 * np.cos(np.pi * (phase - 0.38) / 0.24)))
    return float(0.12 * (1 - (phase - 0.62) / 0.38))


def _bump(phase: float, middle: float, width: float) -> float:
    return float(np.exp(-0.5 * ((phase - middle) / width) ** 2))
