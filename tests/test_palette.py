"""Colours that must be told apart, for common and for colour-blind sight; looks of the folds."""

from itertools import combinations

import numpy as np
import pytest
from jaxtyping import Float

from dashboard.figures.palette import FOLDS, GROUND, SIGNS, fold_look

SIGHT = {
    "common": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip
"""What is seen of linear RGB: Machado, Oliveira, Fernandes 2009, IEEE TVCG 15(6):1291-1298, severity 1."""
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
"""sRGB to XYZ under D65 (IEC 61966-2-1)."""


def linear(colour: str) -> Float[np.ndarray, "3"]:
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def apart(first: str, second: str, sight: str) -> float:
    """Distance in CIELAB as it is seen; about 2.3 is just noticeable."""

    def lab(colour: str) -> Float[np.ndarray, "3"]:
        xyz = XYZ @ np.clip(SIGHT[sight] @ linear(colour), 0, 1) / WHITE
        x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    return float(np.linalg.norm(lab(first) - lab(second)))


def contrast(first: str, second: str) -> float:
    """Ratio of luminances (WCAG 2)."""
    low, high = sorted(float(linear(colour) @ XYZ[1]) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_of_folds_are_told_apart_by_everybody(sight: str) -> None:
    # Five folds are usual; of ten colours some must come nearer, and symbols tell those apart.
    assert min(apart(a, b, sight) for a, b in combinations(FOLDS[:5], 2)) > 15
    assert min(apart(a, b, sight) for a, b in combinations(FOLDS, 2)) > 10


def test_brown_beside_olive_would_not_do() -> None:
    assert apart("#8a7a2e", "#a0522d", "common") > 30
    assert apart("#8a7a2e", "#a0522d", "deuteranopia") < 10


@pytest.mark.parametrize("dark", [False, True])
def test_colours_of_folds_are_seen_on_light_and_dark_pages(dark: bool) -> None:
    # WCAG 2.2, 1.4.11: 3 to 1 for what is drawn.
    assert min(contrast(colour, GROUND[dark]) for colour in FOLDS) > 2.95


def test_no_two_folds_share_their_look_and_each_has_a_sign() -> None:
    looks = [fold_look(fold) for fold in range(10)]
    assert len({colour for colour, _ in looks}) == len({symbol for _, symbol in looks}) == 10
    assert len(set(SIGNS.values())) == 10
    assert fold_look(10) == fold_look(0)
