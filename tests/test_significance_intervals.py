"""Ends of intervals: where they lie, what widens them, and why there are none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.significance import bootstrap_interval, cell_intervals, claim_table, compare, compare_all, recommend
from engine.significance.intervals import Spread, effective_units, ends, spread_of
from engine.significance.resampling import resampled_means
from tests.made_results import fold_values, results, study


def spread(error: float, skewness: float, degrees: float) -> Spread:
    one, third, count = (np.array([value], dtype=np.float64) for value in (error, skewness, degrees))
    return Spread(error=one, skewness=third, degrees=count)


def test_the_end_on_the_side_of_rare_values_is_moved_out_and_none_in() -> None:
    # from scipy.stats import t, norm; q = t.ppf(.975, 7)
    # .1 - q * .05; .1 + (q + .3 / 6 * (1 + 2 * norm.ppf(.975) ** 2)) * .05
    low, high = ends(np.array([0.1]), spread(0.05, 0.3, 7), 0.95, "difference")
    assert (low[0], high[0]) == (pytest.approx(-0.0182312, abs=1e-6), pytest.approx(0.2399386, abs=1e-6))
    turned = ends(np.array([-0.1]), spread(0.05, -0.3, 7), 0.95, "difference")
    assert (turned[1][0], turned[0][0]) == (pytest.approx(-low[0]), pytest.approx(-high[0]))


def test_parts_are_taken_on_their_log_odds() -> None:
    # as above with the curvature: lean = -.3 / 6 * (1 + 2 * z2) + (2 * .9 - 1) / .09 * .05 / 2 * z2 = 0.4195
    # from scipy.special import logit, expit
    # expit(logit(.9) - q * .05 / .09); expit(logit(.9) + (q + lean) * .05 / .09)
    low, high = ends(np.array([0.9]), spread(0.05, -0.3, 7), 0.95, "part")
    assert (low[0], high[0]) == (pytest.approx(0.7075562, abs=1e-6), pytest.approx(0.9768868, abs=1e-6))


@settings(deadline=None, max_examples=100)
@given(
    centre=st.floats(0.001, 0.999),
    error=st.floats(1e-6, 0.5),
    skewness=st.floats(-3, 3),
    degrees=st.floats(1, 500),
)
def test_no_interval_leaves_what_its_values_can_be(
    centre: float, error: float, skewness: float, degrees: float
) -> None:
    own = spread(error, skewness, degrees)
    low, high = ends(np.array([centre]), own, 0.95, "part")
    assert 0 <= low[0] <= centre <= high[0] <= 1
    low, high = ends(np.array([centre]), own, 0.95, "difference")
    assert -1 <= low[0] <= centre <= high[0] <= 1
    low, high = ends(np.array([10 * centre]), own, 0.95, "amount")
    assert 0 <= low[0] <= 10 * centre <= high[0] < np.inf


def test_groups_that_differ_in_size_count_as_fewer() -> None:
    sizes = np.array([[4.0, 12.0], [4.0, 1.0], [4.0, 1.0], [4.0, 1.0], [0.0, 1.0]])
    assert effective_units(sizes).tolist() == [pytest.approx(4.0), pytest.approx(16**2 / 148)]
    random = np.random.default_rng(0)
    values = np.repeat(random.normal(0, 0.1, 10), 4)
    even, uneven = np.repeat(np.arange(10), 4), np.r_[np.zeros(31), np.arange(1, 10)]
    narrow, wide = (bootstrap_interval(values, pd.Series(units), resamples=2000) for units in (even, uneven))
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_the_spread_is_that_of_a_mean_of_groups() -> None:
    # ten groups of one size: sd (n - 1) / sqrt(10), and the skewness of a value over sqrt(10)
    values = np.random.default_rng(2).exponential(0.1, 10)
    sums = values[:, None] * 3
    found = spread_of(resampled_means(sums, np.full((10, 1), 3.0), resamples=40_000, seed=0), np.full((10, 1), 3.0))
    assert found.error[0] == pytest.approx(values.std(ddof=1) / 10**0.5, rel=0.02)
    skewness = ((values - values.mean()) ** 3).mean() / values.std() ** 3
    assert found.skewness[0] == pytest.approx(skewness / 10**0.5, abs=0.04)
    assert found.degrees[0] == pytest.approx(9)


def test_intervals_of_dice_near_1_end_below_1() -> None:
    dice = np.random.default_rng(0).beta(30, 0.5, 60)
    table = cell_intervals(results({"a": list(dice)}, per_fold=20, groups=[f"p{index // 10}" for index in range(60)]))
    assert table["low"].item() < table["mean"].item() < table["high"].item() < 1
    assert "standard error of the log-odds with t, 5 degrees of freedom" in table["note"].item()


def test_distances_have_intervals_above_0() -> None:
    images = results({"a": [0.1, 0.1, 40.0, 0.2, 0.1, 0.3, 0.2, 0.1, 0.4]}, per_fold=3)
    table = cell_intervals(images, scale="amount")
    assert table["low"].item() == 0
    assert table["high"].item() > 5


def test_what_is_the_same_in_every_group_has_no_interval_and_the_note_says_so() -> None:
    images = study({80.0: {"a": 0.8, "b": 0.7}})
    images = pd.concat([images, images[images["strategy"] == "a"].assign(strategy="twin")])
    found = compare(images, "a", "twin")
    assert (found.mean_difference, found.low, found.high) == (0.0, None, None)
    assert found.note == "no interval: the difference is the same in every image"
    table = compare_all(images, [("a", "twin"), ("a", "b")])
    assert table["low"].isna().tolist() == [True, False]
    assert table["simultaneous_low"].isna().tolist() == [True, False]
    nothing = cell_intervals(images.assign(dice=0.0)).iloc[0]
    assert np.isnan(nothing["low"])
    assert nothing["note"] == "no interval: the mean is 0% in every image, so drawing them again says nothing"


def test_claims_and_recommendations_say_nothing_of_twins() -> None:
    images = study({80.0: {"whole network": 0.8, "contracting": 0.8}})
    whole = images[images["strategy"] == "whole network"]
    twins = pd.concat([whole, whole.assign(strategy="contracting")])
    claims = claim_table(fold_values(twins), twins).set_index("claim")
    equal = claims.loc["whole network = contracting = all except block 5 at 80 %"]
    assert equal["verdict"] == "cannot tell"
    assert "no interval: the difference is the same in every image" in equal["why"]
    cells = pd.DataFrame(
        {"strategy": ["whole network", "contracting"], "complete": True, "failed": 0, "trainable": [9, 1]}
    )
    found = recommend(twins, cells)
    assert (found.outcome, found.bound) == ("cannot tell", None)
    assert found.sentence == "The data cannot tell: no bound: the loss is the same in every image."


@pytest.mark.parametrize("groups", [8, 24])
def test_intervals_of_few_groups_hold_the_truth_about_as_often_as_they_say(groups: int) -> None:
    # 600 studies, of which 1 image in 10 is near 0: 95 % would be 570, and 16 more or fewer by three standard errors
    random = np.random.default_rng(groups)
    shape = (groups, 600, 8)
    often = random.beta(1, 9, (groups, 600, 1))
    dice = np.where(random.random(shape) < often, 0.05, np.clip(random.normal(0.9, 0.04, shape), 0, 1))
    sums, sizes, truth = dice.sum(axis=2), np.full((groups, 600), 8.0), 0.1 * 0.05 + 0.9 * 0.8996
    means = resampled_means(sums, sizes, resamples=400, seed=0)
    low, high = ends(sums.sum(axis=0) / sizes.sum(axis=0), spread_of(means, sizes), 0.95, "part")
    assert 546 <= ((low <= truth) & (truth <= high)).sum() <= 588
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    assert ((low <= truth) & (truth <= high)).sum() < 560
