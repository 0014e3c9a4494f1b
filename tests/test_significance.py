import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DataError
from engine.significance import (
    bootstrap_interval,
    cell_interval,
    cell_intervals,
    compare,
    compare_all,
    image_differences,
    paired_differences,
    with_starts,
)
from tests.made_results import random_results, results, study


def test_differences_are_taken_image_by_image_and_averaged_per_fold() -> None:
    images = results({"a": [0.9, 0.7, 0.5, 0.5], "b": [0.8, 0.8, 0.1, 0.3]}, per_fold=2)
    by_fold = paired_differences(images, "a", "b")
    assert by_fold.columns.tolist() == ["fold", "mean_difference", "images"]
    assert by_fold["fold"].tolist() == [0, 1]
    assert by_fold["mean_difference"].tolist() == pytest.approx([0.0, 0.3])
    assert by_fold["images"].tolist() == [2, 2]


def test_seeds_are_averaged_within_the_fold_first() -> None:
    once = results({"a": [0.9], "b": [0.5]}, per_fold=1)
    again = results({"a": [0.7]}, per_fold=1)
    assert paired_differences(pd.concat([once, again]), "a", "b")["mean_difference"].tolist() == pytest.approx([0.3])


def test_a_fold_that_one_strategy_has_not_run_is_left_out() -> None:
    images = results({"a": [0.9, 0.7, 0.5, 0.5], "b": [0.8, 0.8]}, per_fold=2)
    assert paired_differences(images, "a", "b")["fold"].tolist() == [0]


def test_strategies_without_a_common_fold_have_no_difference() -> None:
    images = results({"a": [0.9, 0.7], "b": [0.8, 0.8]}, per_fold=2)
    images.loc[images["strategy"] == "b", "fold"] = 1
    assert paired_differences(images, "a", "b").empty
    comparison = compare(images, "a", "b")
    assert np.isnan(comparison.mean_difference)
    assert comparison.note.startswith("0 folds: no test and no interval")


def test_other_images_in_the_same_fold_cannot_be_paired() -> None:
    images = results({"a": [0.9, 0.7], "b": [0.8]}, per_fold=2)
    with pytest.raises(DataError, match="'a' and 'b' share 1 test images of 2 and 1 in the same folds"):
        image_differences(images, "a", "b")


def test_an_absent_strategy_brings_the_known_ones() -> None:
    images = results({"a": [0.9], "b": [0.8]}, per_fold=1)
    with pytest.raises(DataError, match="no test images of strategy 'c'; there are: a; b"):
        paired_differences(images, "a", "c")


def test_an_absent_column_is_named() -> None:
    images = results({"a": [0.9], "b": [0.8]}, per_fold=1).drop(columns="group")
    with pytest.raises(DataError, match="column 'group' is missing; expected strategy, fold, index, group, dice"):
        paired_differences(images, "a", "b")


def test_an_undefined_dice_is_refused() -> None:
    images = results({"a": [0.9], "b": [float("nan")]}, per_fold=1)
    with pytest.raises(DataError, match="1 of 2 have no Dice"):
        paired_differences(images, "a", "b")


@pytest.mark.parametrize(("folds", "words"), [(1, "1 fold: no test"), (2, "2 folds: no test and no interval")])
def test_with_two_folds_or_fewer_there_is_no_interval_and_the_note_says_why(folds: int, words: str) -> None:
    comparison = compare(random_results(folds), "contracting", "expanding")
    assert (comparison.low, comparison.high) == (None, None)
    assert comparison.note.startswith(words)
    assert comparison.mean_difference == pytest.approx(0.05, abs=0.02)


def test_with_three_folds_there_is_an_interval_around_the_mean() -> None:
    comparison = compare(random_results(3), "contracting", "expanding")
    assert comparison.low is not None
    assert comparison.high is not None
    assert 0.02 < comparison.low < comparison.mean_difference < comparison.high < 0.08
    assert (comparison.resampled, comparison.units, comparison.folds, comparison.images) == ("image", 60, 3, 60)


def test_few_groups_have_no_interval() -> None:
    comparison = compare(
        random_results(3, groups=[f"p{index // 20}" for index in range(60)]), "contracting", "expanding"
    )
    assert (comparison.low, comparison.note) == (None, "3 groups: no interval; it takes 5 at least to resample them")


def test_one_image_without_a_group_means_resampling_by_image() -> None:
    groups = ["", *(f"p{index // 4}" for index in range(1, 60))]
    assert compare(random_results(3, groups=groups), "contracting", "expanding").resampled == "image"


def test_images_alike_within_groups_widen_the_interval() -> None:
    random = np.random.default_rng(0)
    differences = np.repeat(random.normal(0, 1, 20), 10)
    by_group = bootstrap_interval(differences, pd.Series(np.repeat(np.arange(20), 10)))
    by_image = bootstrap_interval(differences, pd.Series(np.arange(200)))
    assert by_group[1] - by_group[0] > 2 * (by_image[1] - by_image[0])


def test_the_interval_of_normal_differences_is_that_of_the_normal_law() -> None:
    # mean of n = 400 with sd 1: 1.96 / sqrt(400) = 0.098 to either side; 10 % for chance and the percentile method
    differences = np.random.default_rng(1).normal(0, 1, 400)
    low, high = bootstrap_interval(differences / differences.std(), pd.Series(np.arange(400)))
    assert (high - low) / 2 == pytest.approx(0.098, rel=0.1)


def test_nothing_cannot_be_resampled() -> None:
    with pytest.raises(DataError, match=r"no interval of 0 values at confidence 0\.95"):
        bootstrap_interval(np.empty(0), pd.Series([], dtype=str))
    with pytest.raises(DataError, match="at confidence 95"):
        bootstrap_interval(np.ones(9), pd.Series(range(9)), confidence=95.0)


@settings(deadline=None, max_examples=25)
@given(order=st.permutations(range(120)), seed=st.integers(0, 5))
def test_the_order_of_the_rows_changes_nothing(order: list[int], seed: int) -> None:
    images = random_results(3, groups=[f"p{index // 4}" for index in range(60)])
    ours = compare(images.iloc[order], "contracting", "expanding", resamples=200, seed=seed)
    expected = compare(images, "contracting", "expanding", resamples=200, seed=seed)
    assert ours == expected


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000))
def test_exchanging_the_strategies_changes_the_sign(seed: int) -> None:
    images = random_results(3)
    forward = compare(images, "contracting", "expanding", resamples=200, seed=seed)
    backward = compare(images, "expanding", "contracting", resamples=200, seed=seed)
    assert backward.mean_difference == pytest.approx(-forward.mean_difference)
    assert (backward.low, backward.high) == (
        pytest.approx(-forward.high, abs=0.01),
        pytest.approx(-forward.low, abs=0.01),
    )


def test_a_normal_image_is_no_part_of_dice() -> None:
    images = results({"a": [0.9, 1.0], "b": [0.8, 1.0]}, per_fold=2)
    images["empty_truth"] = [False, True, False, True]
    assert image_differences(images, "a", "b")["index"].tolist() == [0]
    assert cell_interval(images, "a").mean == pytest.approx(0.9)


@pytest.mark.parametrize("column", ["fraction", "start", "dataset"])
def test_one_strategy_in_several_cells_is_refused(column: str) -> None:
    images = results({"a": [0.9, 0.7], "b": [0.8, 0.8]}, per_fold=2)
    images[column] = ["x", "y", "x", "x"]
    with pytest.raises(DataError, match=rf"test images of 'a' have several values of {column} \(x, y\); choose one"):
        compare(images, "a", "b")


def test_results_of_several_start_weights_are_compared_as_strategies_of_their_own() -> None:
    images = results({"a": [0.9, 0.7], "from scratch": [0.6, 0.5]}, per_fold=2).assign(start=["x", "x", "", ""])
    other = results({"a": [0.5, 0.6]}, per_fold=2).assign(start="y")
    named = with_starts(pd.concat([images, other]))
    assert sorted(set(named["strategy"])) == ["a · x", "a · y", "from scratch"]
    assert image_differences(named, "a · x", "a · y")["difference"].tolist() == pytest.approx([0.4, 0.1])
    assert with_starts(images) is images


def folds_of_its_own(images: pd.DataFrame, strategy: str, seed: int = 0) -> pd.DataFrame:
    """The strategy's images shared out anew, five folds as large as before."""
    own = images["strategy"] == strategy
    shuffled = np.random.default_rng(seed).permutation(int(own.sum()))
    images = images.copy()
    images.loc[own, "fold"] = images.loc[own, "fold"].to_numpy()[shuffled]
    return images


def test_strategies_with_folds_of_their_own_are_paired_image_by_image() -> None:
    same = random_results(5)
    other = folds_of_its_own(same, "contracting")
    expected, found = compare(same, "contracting", "expanding"), compare(other, "contracting", "expanding")
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert (found.mean_difference, found.folds, found.images) == (pytest.approx(expected.mean_difference), 5, 60)
    assert found.note.endswith("every strategy has folds of its own, so images are paired whatever their fold")
    assert "folds of its own" not in expected.note


def test_the_mean_of_a_cell_weighs_folds_alike_as_table_2_does() -> None:
    # fold 0 has three images of 0.9, fold 1 one of 0.5: (0.9 + 0.5) / 2, not (3 * 0.9 + 0.5) / 4
    images = results({"a": [0.9, 0.9, 0.9, 0.5]}, per_fold=3)
    found = cell_interval(images, "a")
    assert found.mean == pytest.approx(0.7)
    assert (found.low, found.folds, found.images) == (None, 2, 4)
    assert found.note.startswith("2 folds: no test and no interval; how much the mean varies")


def test_the_interval_of_a_cell_is_that_of_the_normal_law() -> None:
    # 400 images with sd 0.1 in 5 folds: 1.96 * 0.1 / sqrt(400) = 0.0098 to either side; 10 % for chance
    dice = np.random.default_rng(1).normal(0.7, 0.1, 400)
    dice = 0.7 + (dice - dice.mean()) * 0.1 / dice.std()
    found = cell_interval(results({"a": list(dice)}, per_fold=80), "a")
    assert found.mean == pytest.approx(0.7)
    assert found.low is not None
    assert found.high is not None
    assert (found.high - found.low) / 2 == pytest.approx(0.0098, rel=0.1)


def test_a_cell_has_the_same_interval_alone_and_among_others() -> None:
    images = study({80.0: {"a": 0.8, "b": 0.7}, 5.0: {"a": 0.6, "b": 0.5}})
    lacking = images[~((images["strategy"] == "b") & (images["fold"] == 4))]
    table = cell_intervals(lacking).set_index(["fraction", "strategy"])
    alone = cell_interval(lacking[lacking["fraction"] == 5], "a")
    assert tuple(table.loc[(5.0, "a"), ["mean", "low", "high"]]) == pytest.approx((alone.mean, alone.low, alone.high))
    assert table["folds"].tolist() == [5, 4, 5, 4]


def test_a_cell_that_is_not_one_is_refused() -> None:
    images = study({80.0: {"a": 0.8}, 5.0: {"a": 0.6}})
    with pytest.raises(DataError, match="a: test images are of 2 cells; choose one data set, fraction and start"):
        cell_interval(images, "a")
    with pytest.raises(DataError, match="no test images of strategy 'b'; there are: a"):
        cell_interval(images, "b")


def test_no_images_have_no_cells() -> None:
    found = cell_intervals(study({80.0: {"a": 0.8}}).iloc[:0])
    assert found.empty
    assert {"strategy", "mean", "low", "note"} <= set(found)


def test_all_comparisons_are_those_of_one_by_one() -> None:
    images = study({80.0: {"a": 0.8, "b": 0.75, "c": 0.7}})
    table = compare_all(images, [("a", "b"), ("a", "c")])
    for row in table.itertuples():
        alone = compare(images, str(row.first), str(row.second))
        assert (row.low, row.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
        assert (row.mean_difference, row.note) == (pytest.approx(alone.mean_difference), alone.note)


def test_intervals_that_hold_together_are_wider() -> None:
    images = study({80.0: {"a": 0.8, "b": 0.75, "c": 0.7, "d": 0.7}})
    table = compare_all(images, [("a", "b"), ("a", "c"), ("a", "d")])
    assert (table["simultaneous_low"] < table["low"]).all()
    assert (table["simultaneous_high"] > table["high"]).all()
    # between one interval (1.96 standard errors) and Bonferroni's for three (2.39)
    reach = (table["simultaneous_high"] - table["mean_difference"]) / table["standard_error"]
    assert reach.between(1.96, 2.45).all()


def test_comparisons_without_an_interval_keep_their_reason_among_others() -> None:
    images = study({80.0: {"a": 0.8, "b": 0.75, "c": 0.7}})
    images = images[~((images["strategy"] == "c") & (images["fold"] > 1))]
    table = compare_all(images, [("a", "b"), ("a", "c")]).set_index("second")
    assert np.isnan(table.loc["c", ["low", "high", "simultaneous_low", "standard_error"]].astype(float)).all()
    assert str(table.loc["c", "note"]).startswith("2 folds: no test and no interval")
    assert table.loc["b", "low"] > 0
    assert compare_all(images, []).empty


@settings(deadline=None, max_examples=15)
@given(order=st.permutations(range(120)))
def test_the_order_of_the_rows_changes_no_cell(order: list[int]) -> None:
    images = random_results(3, groups=[f"p{index // 4}" for index in range(60)])
    pd.testing.assert_frame_equal(
        cell_intervals(images.iloc[order], resamples=200), cell_intervals(images, resamples=200)
    )
