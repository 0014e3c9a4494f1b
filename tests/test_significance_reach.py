"""One-sided bounds where folds and images both vary: their limits, their coverage, and what moves them."""

from math import sqrt

import numpy as np
import pandas as pd
import pytest

from engine.significance import recommend
from engine.significance.non_inferiority import paired_bound, paired_bounds
from engine.significance.paired import Pairs
from engine.significance.reach import FoldSpread, ImageSpread, degrees_of, image_spread, reach, residuals
from tests.made_results import results


def images_only(variance: float, degrees: float) -> ImageSpread:
    return ImageSpread(variance=variance, degrees=degrees, skewness=0.0)


def of_losses(losses: np.ndarray, folds: int, *, level: float = 0.05) -> dict[str, float]:
    """The bounds of one pair; `losses` has a row per group, groups are shared out to folds in turn."""
    group = np.repeat(np.arange(len(losses)), losses.shape[1])
    columns = {"fold": group % folds, "other_fold": group % folds, "index": np.arange(losses.size), "group": group}
    table = pd.DataFrame({**columns, "difference": losses.ravel()}).astype({"group": str})
    return paired_bound(Pairs(table=table, folds=folds, same_folds=True), ratio=1 / (folds - 1), level=level)


def test_where_only_images_vary_it_is_t_of_the_images() -> None:
    # scipy: stats.t.ppf(.95, 45) * .004
    steady = [FoldSpread(between=0.0, within=0.0, count=3)]
    assert reach(images_only(0.004**2, 45.0), steady, ratio=0.5, level=0.05) == pytest.approx(0.0067177, rel=1e-3)


def test_where_only_folds_vary_it_is_the_corrected_t() -> None:
    # scipy: stats.t.ppf(.95, 2) * sqrt((1 / 3 + 1 / 2) * .02 ** 2)
    folds = [FoldSpread(between=0.02**2, within=0.0, count=3)]
    assert reach(images_only(0.0, 9.0), folds, ratio=0.5, level=0.05) == pytest.approx(0.0533114, rel=3e-3)


def test_folds_that_differ_no_more_than_images_explain_still_widen_it() -> None:
    # three folds of 16 groups: what they seem to share may be chance
    alike = [FoldSpread(between=3 * 0.004**2, within=3 * 0.004**2, count=3)]
    steady = [FoldSpread(between=0.0, within=3 * 0.004**2, count=3)]
    found = [reach(images_only(0.004**2, 45.0), folds, ratio=0.5, level=0.05) for folds in (steady, alike)]
    assert found[1] > 1.4 * found[0]
    five = [FoldSpread(between=5 * 0.004**2, within=5 * 0.004**2, count=5)]
    assert reach(images_only(0.004**2, 45.0), five, ratio=0.25, level=0.05) < found[1]


def test_degrees_are_those_of_a_t_that_reaches_as_far() -> None:
    # scipy: stats.t.ppf(.95, 4) = 2.1318
    assert degrees_of(2.131847, 1.0, 0.05, 99.0) == pytest.approx(4.0, abs=1e-4)
    assert degrees_of(1.6, 1.0, 0.05, 99.0) == 99
    assert degrees_of(50.0, 1.0, 0.05, 99.0) == 1


def test_more_folds_than_groups_can_tell_leave_all_to_folds() -> None:
    differences = pd.DataFrame({"fold": [0, 1, 2], "index": [0, 1, 2], "difference": [0.01, 0.02, 0.06]})
    found = image_spread(residuals(differences, "index"))
    assert (found.variance, found.skewness) == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(12))
def test_no_more_groups_than_folds_that_span_them_have_a_reason_and_no_bound(seed: int) -> None:
    # five groups of eight images, split by image
    random = np.random.default_rng(seed)
    place = np.arange(40)
    table = pd.DataFrame({"index": place, "fold": place % 5, "group": (place // 8).astype(str)})
    dice = random.uniform(0.5, 0.9, 40)
    both = [table.assign(strategy="whole network", dice=dice), table.assign(strategy="block 9", dice=dice[::-1])]
    found = paired_bounds(pd.concat(both), "whole network", ["block 9"], ratio=0.25).iloc[0]
    assert found["reason"] == "no bound: 5 groups in 5 folds say too little"
    assert np.isnan(found["bound"])
    cells = pd.DataFrame({"strategy": ["whole network", "block 9"], "complete": True, "failed": 0, "trainable": [9, 1]})
    assert recommend(pd.concat(both), cells, of=5).sentence


@pytest.mark.parametrize(("folds", "sd"), [(3, 0.005), (3, 0.02), (5, 0.01)])
def test_the_bound_holds_as_often_as_it_says(folds: int, sd: float) -> None:
    # 49 groups of two images; 1/J of the folds' variance is common to them. Of 200 bounds at 95 % fewer than 181 hold
    # in one of 200 such tests; with the normal law's tails for folds about 180 hold.
    random, studies = np.random.default_rng(folds), 200
    off = sd * (sqrt(1 / folds) * random.normal(size=(studies, 1)))
    off = off + sd * sqrt(1 - 1 / folds) * random.normal(size=(studies, folds))
    losses = off[:, np.arange(49) % folds, None] + random.normal(0, 0.025, (studies, 49, 1))
    losses = losses + random.normal(0, 0.025, (studies, 49, 2))
    assert sum(of_losses(each, folds)["bound"] >= 0 for each in losses) >= 181


def test_rare_large_losses_move_the_upper_bound_out_and_rare_gains_the_lower() -> None:
    random = np.random.default_rng(0)
    losses = random.normal(0, 0.01, (30, 2))
    losses[[3, 17], 0] += 0.5
    found, turned = of_losses(losses, 3), of_losses(-losses, 3)
    mean = losses.mean()
    assert found["bound"] - mean > 1.1 * (mean - found["least"])
    assert (turned["least"], turned["bound"]) == (pytest.approx(-found["bound"]), pytest.approx(-found["least"]))


def test_bounds_stay_between_minus_1_and_1() -> None:
    losses = np.array([[1.0], [0.0], [1.0], [0.0], [1.0], [-1.0]])
    found = of_losses(losses, 3, level=0.01)
    assert (found["least"], found["bound"]) == (-1.0, 1.0)


def test_with_three_folds_it_takes_more_than_with_five() -> None:
    # the same images and losses, shared out to three folds or to five
    random = np.random.default_rng(1)
    dice = random.normal(0.8, 0.05, 120)
    strategies = {"whole network": list(dice), "block 9": list(dice + random.normal(0, 0.01, 120))}
    cells = pd.DataFrame({"strategy": ["whole network", "block 9"], "complete": True, "failed": 0, "trainable": [9, 1]})
    three, five = (recommend(results(strategies, per_fold=count), cells, of=5) for count in (40, 24))
    assert three.bound is not None
    assert five.bound is not None
    assert five.outcome == "recommended"
    assert three.bound > five.bound
