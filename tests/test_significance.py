import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DataError
from engine.significance import bootstrap_interval, compare, image_differences, paired_differences


def results(dice: dict[str, list[float]], *, per_fold: int, groups: list[str] | None = None) -> pd.DataFrame:
    """Test images of each strategy, `per_fold` images in each fold."""
    rows = [
        {
            "strategy": strategy,
            "fold": index // per_fold,
            "index": index,
            "group": groups[index] if groups else "",
            "dice": value,
        }
        for strategy, values in dice.items()
        for index, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def random_results(folds: int, *, groups: list[str] | None = None, images: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(3)
    second = random.uniform(0.5, 0.9, images)
    first = second + 0.05 + random.normal(0, 0.05, images)
    return results({"contracting": list(first), "expanding": list(second)}, per_fold=images // folds, groups=groups)


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
    with pytest.raises(DataError, match=r"no interval of 0 differences at confidence 0\.95"):
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
