"""Two thresholds chosen together: how often they warn of the images that they come from, and of others like them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.warning_thresholds import JointThresholds, joint_thresholds

ORDER = np.random.default_rng(0).permutation(1000)


def made(count: int, seed: int = 0, *, alike: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Distances of two kinds, with a correlation of `alike`."""
    rng = np.random.default_rng(seed)
    first, other = rng.standard_normal((2, count))
    return np.exp(first), 3 * np.exp(alike * first + np.sqrt(1 - alike**2) * other)


def warned(limits: JointThresholds, first: np.ndarray, second: np.ndarray) -> int:
    return int(((first > limits.first) | (second > limits.second)).sum())


def test_both_together_warn_of_the_wanted_part_and_each_alone_of_less() -> None:
    first, second = made(1000)
    limits = joint_thresholds(first, second, part=0.025)
    assert limits.warned == warned(limits, first, second) == 25
    beyond = (int((first > limits.first).sum()), int((second > limits.second).sum()))
    assert 12 <= min(beyond) <= max(beyond) <= min(beyond) + 1
    alone = JointThresholds(
        first=float(np.quantile(first, 0.975)), second=float(np.quantile(second, 0.975)), warned=0, left_out=0.0
    )
    assert warned(alone, first, second) >= 45  # so each at the wanted part would warn of twice as many


def test_where_both_say_the_same_nothing_is_given_away() -> None:
    distances = np.arange(1000.0)[ORDER]
    limits = joint_thresholds(distances, 2 * distances, part=0.025)
    assert (limits.first, limits.second) == (974.0, 1948.0)
    assert limits.warned == 25


def test_new_images_are_warned_of_as_often_as_is_told() -> None:
    for alike in (0.0, 0.8):
        limits = joint_thresholds(*made(400, 1, alike=alike), part=0.025)
        of_new = warned(limits, *made(20_000, 2, alike=alike)) / 20_000
        assert of_new == pytest.approx(0.03, abs=0.015)
        assert limits.left_out == pytest.approx(of_new, abs=0.015)


def test_few_images_leave_none_beyond_but_are_honest_about_new_ones() -> None:
    first, second = np.array([1.0, 2, 3, 4, 9]), np.array([7.0, 1, 2, 3, 4])
    limits = joint_thresholds(first, second, part=0.025)
    assert (limits.first, limits.second, limits.warned) == (9.0, 7.0, 0)
    assert limits.left_out == pytest.approx(2 / 5)  # each kind has an image that is farther than all others
    with pytest.raises(ValueError, match="two are the fewest"):
        joint_thresholds(first[:1], second[:1], part=0.025)


def test_where_one_image_may_be_beyond_it_is_the_one_that_stands_out() -> None:
    near = np.arange(1.0, 21.0)
    first, second = np.append(near, 60.0), np.append(near[::-1], 1.0)
    limits = joint_thresholds(first, second, part=0.05)
    assert (limits.first, limits.second, limits.warned) == (20.0, 20.0, 1)


@given(
    distances=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=60),
    part=st.floats(0, 0.5),
)
def test_never_more_than_the_wanted_part_whatever_is_tied(distances: list[tuple[int, int]], part: float) -> None:
    first, second = np.array(distances, np.float32).T
    limits = joint_thresholds(first, second, part=part)
    assert limits.warned == warned(limits, first, second) <= part * len(first) + 1e-6
    assert 0 <= limits.left_out <= 1
