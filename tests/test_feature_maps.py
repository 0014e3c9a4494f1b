"""Feature maps on pages: how much they changed, and how they are drawn."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as draw
from hypothesis.extra import numpy as arrays

from dashboard.figures import feature_maps

MAPS = arrays.arrays(np.float32, (3, 4, 4), elements=draw.floats(0, 10, width=32))


def made() -> tuple[np.ndarray, np.ndarray]:
    """Maps that stay, fall silent, double, and are silent all along."""
    before = np.zeros((4, 8, 8), np.float32)
    before[0], before[1], before[2] = 3, 2, 1
    after = before.copy()
    after[1], after[2] = 0, 2
    return before, after


def test_maps_that_changed_most_come_first_and_silent_ones_last() -> None:
    table = feature_maps.feature_table(*made())
    assert list(table["channel"]) == [1, 2, 0, 3]
    assert list(table["change"]) == pytest.approx([1, 1 / 3, 0, 0])
    assert list(table["silent"]) == [False, False, False, True]
    assert feature_maps.caption(table.iloc[1]) == "map 2 · change **0.33**"
    assert feature_maps.caption(table.iloc[3]) == "map 3 · silent"


@given(MAPS, MAPS)
def test_change_lies_between_same_and_silent_and_does_not_depend_on_the_direction(
    before: np.ndarray, after: np.ndarray
) -> None:
    there, back = (
        feature_maps.feature_table(*pair).sort_values("channel") for pair in ((before, after), (after, before))
    )
    assert there["change"].between(0, 1 + 1e-9).all()
    np.testing.assert_allclose(there["change"], back["change"])
    assert not feature_maps.feature_table(before, before)["change"].any()


@given(MAPS, draw.floats(0.1, 10))
def test_change_does_not_depend_on_the_unit_of_a_map(maps: np.ndarray, factor: float) -> None:
    before, after = maps, np.roll(maps, 1, axis=1)
    plain = feature_maps.feature_table(before, after).sort_values("channel")["change"]
    scaled = feature_maps.feature_table(
        (before * factor).astype(np.float32), (after * factor).astype(np.float32)
    ).sort_values("channel")["change"]
    np.testing.assert_allclose(scaled, plain, atol=1e-4)


def test_a_pair_has_one_gray_scale_and_the_sources_proportions() -> None:
    before, after = np.zeros((2, 8, 8), np.float32)
    before[:4], after[:] = 1, 2
    drawn = feature_maps.pair(before, after, aspect=2.0, longest=160)
    assert drawn.shape == (80, 2 * 160 + feature_maps.GAP)
    left, right = drawn[:, :160], drawn[:, 160 + feature_maps.GAP :]
    assert (left[:40].min(), left[:40].max()) == (128, 128)
    assert left[40:].max() == 0
    assert right.min() == 255


def test_a_few_bright_pixels_leave_the_rest_visible_and_empty_maps_are_black() -> None:
    before = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    spotted = before.copy()
    spotted[0, 0] = 1000
    assert np.median(feature_maps.pair(before, spotted)) > 60
    nothing = np.zeros((8, 8), np.float32)
    assert set(np.unique(feature_maps.pair(nothing, nothing))) == {0, 128}  # 128 is the gap
    single = nothing.copy()
    single[3, 3] = 1
    assert (
        feature_maps.pair(
            np.repeat(nothing, 20, 1).repeat(20, 0), np.kron(nothing, np.ones((20, 20), np.float32))
        ).max()
        == 128
    )
    assert feature_maps.pair(np.pad(nothing, 60), np.pad(single, 60)).max() == 255


def test_a_unit_says_whether_and_how_much_it_changed() -> None:
    table = feature_maps.feature_table(*made())
    assert feature_maps.told(table) == "median change 0.33 over 3 maps; 1 map is silent before and after"
    same = feature_maps.feature_table(made()[0], made()[0])
    assert feature_maps.told(same).startswith("none of 4 maps changed: neither this unit nor one before it was trained")
    silent = np.zeros((2, 4, 4), np.float32)
    assert feature_maps.told(feature_maps.feature_table(silent, silent)) == "all 2 maps are silent before and after"


def test_changes_have_a_dot_per_map_that_speaks_and_a_median_per_unit() -> None:
    table = feature_maps.feature_table(*made())
    both = feature_maps.changes_table({"unit 1": table, "unit 9": table.head(1)})
    figure = feature_maps.changes(both)
    assert [len(trace.x) for trace in figure.data] == [3, 1]
    assert len(figure.layout.shapes) == 2
    assert figure.layout.shapes[0].x0 == pytest.approx(1 / 3)
    assert "No map" in feature_maps.changes(feature_maps.changes_table({})).layout.annotations[0].text


def test_units_are_those_of_the_architecture_or_the_most_that_a_strategy_trains() -> None:
    plan = pd.DataFrame(
        {"id": list("abc"), "model": ["unet", "smp", "smp"], "units": [("9",), ("decoder",), ("encoder", "decoder")]}
    )
    assert feature_maps.unit_names(plan, "a")[4:6] == ["5a", "5b"]
    assert feature_maps.unit_names(plan, "b") == ["encoder", "decoder"]
