from math import sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from engine.errors import DataError
from engine.significance import corrected_family, corrected_t, holm, smallest_difference, split_ratio, trials_that_would
from engine.significance.power import detectable, images_that_would
from tests.made_results import fold_values, study

DIFFERENCES = np.array([0.02, 0.05, 0.01, 0.04, 0.03])
numbers = st.floats(-1, 1).map(lambda value: round(value, 4))


def test_the_corrected_t_is_that_of_nadeau_and_bengio() -> None:
    # python -c "import numpy as np, scipy.stats as s; d = np.array([.02, .05, .01, .04, .03]);
    #   e = np.sqrt(d.var(ddof=1) * (1/5 + 1/4)); print(d.mean() / e, 2 * s.t.sf(d.mean() / e, 4), e,
    #   d.mean() - s.t.ppf(.975, 4) * e)"
    found = corrected_t(DIFFERENCES, ratio=0.25)
    assert found.t == pytest.approx(2.82842712474619)
    assert found.p == pytest.approx(0.04742065558431961)
    assert found.standard_error == pytest.approx(0.010606601717798213)
    assert found.low == pytest.approx(0.0005513525778366411)
    assert found.high == pytest.approx(2 * 0.03 - 0.0005513525778366411)
    assert (found.mean, found.folds, found.reason) == (pytest.approx(0.03), 5, "")


def test_without_shared_images_it_is_the_paired_t_test() -> None:
    # python -c "import scipy.stats as s; print(s.ttest_1samp([.02, .05, .01, .04, .03], 0))"
    found = corrected_t(DIFFERENCES, ratio=0.0)
    assert found.t == pytest.approx(4.242640687119285)
    assert found.p == pytest.approx(0.01323559956368269)


def test_five_folds_have_one_test_image_for_four_others() -> None:
    assert split_ratio(5) == 0.25


@pytest.mark.parametrize("folds", [0, 1, 2])
def test_two_folds_or_fewer_have_a_reason_in_place_of_a_test(folds: int) -> None:
    found = corrected_t(DIFFERENCES[:folds], ratio=0.25)
    assert (found.low, found.high, found.t, found.p) == (None, None, None, None)
    assert found.reason.startswith(f"{folds} fold{'' if folds == 1 else 's'}: no test and no interval")


def test_folds_that_do_not_differ_have_no_test() -> None:
    assert corrected_t(np.full(5, 0.1), ratio=0.25).reason == "no test: all folds have the same difference"


def test_holm_multiplies_by_the_number_of_comparisons_that_are_left() -> None:
    # by hand: 4 * 0.01, 3 * 0.02, and no later one lower than an earlier one
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    # by hand: 4 * 0.001, 3 * 0.03, 2 * 0.04 raised to 0.09, 0.2; the missing one does not count
    assert holm([0.04, 0.001, float("nan"), 0.03, 0.2]) == pytest.approx(
        [0.09, 0.004, float("nan"), 0.09, 0.2], nan_ok=True
    )
    assert holm([]) == []


def test_holm_is_that_of_statsmodels() -> None:
    p = np.random.default_rng(0).uniform(0, 0.2, 30).tolist()
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]))


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lowers_nothing(p: list[float]) -> None:
    corrected = holm(p)
    assert all(after >= before for before, after in zip(p, corrected, strict=True))
    assert all(after <= 1 for after in corrected)
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= -1e-12).all()


@settings(deadline=None)
@given(st.lists(numbers, min_size=3, max_size=8), st.randoms())
def test_exchanging_the_sides_changes_the_sign_and_the_order_of_folds_nothing(
    values: list[float], random: object
) -> None:
    forward, backward = corrected_t(np.array(values), ratio=0.25), corrected_t(-np.array(values), ratio=0.25)
    assert backward.mean == pytest.approx(-forward.mean)
    assert backward.p == pytest.approx(forward.p)
    assert backward.low == pytest.approx(None if forward.high is None else -forward.high)
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = corrected_t(np.array(shuffled), ratio=0.25)
    assert (again.p, again.low) == (pytest.approx(forward.p, abs=1e-9), pytest.approx(forward.low, abs=1e-9))


def test_a_family_says_what_was_corrected_together() -> None:
    folds = fold_values(study({80.0: {"a": 0.8, "b": 0.7, "c": 0.75}, 5.0: {"a": 0.6, "b": 0.5}}))
    family = corrected_family(folds, [("a", "b"), ("a", "c")], name="a against others", ratio=0.25)
    assert family.table[["fraction", "first", "second"]].to_numpy().tolist() == [
        [80.0, "a", "b"],
        [80.0, "a", "c"],
        [5.0, "a", "b"],
    ]
    assert family.description == (
        "a against others: 3 comparisons, 3 with a test; corrected resampled t over folds (Nadeau & Bengio 2003, test "
        "to training images 0.25), p values corrected by Holm over these 3; 95% intervals of one comparison each"
    )
    assert family.table["p_holm"].to_list() == pytest.approx(holm(family.table["p"].to_list()))
    assert family.table["low"].gt(0).all()


def test_a_family_leaves_out_folds_that_did_not_converge() -> None:
    folds = fold_values(study({80.0: {"a": 0.8, "b": 0.7, "c": 0.6}}))
    folds.loc[(folds["strategy"] == "b") & (folds["fold"] == 0), "value"] = np.nan
    folds.loc[(folds["strategy"] == "c") & (folds["fold"] > 1), "value"] = np.nan
    table = corrected_family(folds, [("a", "b"), ("a", "c")], name="x", ratio=0.25).table
    assert table["folds"].tolist() == [4, 2]
    assert table["p"].isna().tolist() == [False, True]
    assert table["reason"].tolist()[1].startswith("2 folds")


def test_seeds_that_were_not_averaged_are_refused() -> None:
    folds = fold_values(study({80.0: {"a": 0.8, "b": 0.7}}))
    with pytest.raises(DataError, match="10 folds have two values; average the seeds of a fold first"):
        corrected_family(pd.concat([folds, folds]), [("a", "b")], name="x", ratio=0.25)
    with pytest.raises(DataError, match="column 'value' is missing"):
        corrected_family(folds.drop(columns="value"), [("a", "b")], name="x", ratio=0.25)


@pytest.mark.parametrize(
    ("folds", "sides", "effect"),
    # python -c "from statsmodels.stats.power import TTestPower
    #   print(TTestPower().solve_power(nobs=5, alpha=.05, power=.8))"; one-sided with alternative='larger'
    [(3, 2, 3.264043552819638), (5, 2, 1.6819970833232674), (10, 2, 0.9960019107624178), (5, 1, 1.359417315970048)],
)
def test_the_smallest_difference_is_that_of_the_noncentral_t(folds: int, sides: int, effect: float) -> None:
    found = smallest_difference(sd=1.0, folds=folds, ratio=0.0, sides=sides)  # type: ignore[arg-type]
    assert found == pytest.approx(effect, rel=1e-6)
    # shared training images stretch the standard error, and with it what can be seen
    stretched = smallest_difference(sd=1.0, folds=folds, ratio=0.25, sides=sides)  # type: ignore[arg-type]
    assert stretched == pytest.approx(effect * sqrt(1 + folds / 4), rel=1e-6)


def test_the_smallest_difference_is_found_in_four_of_five_studies() -> None:
    random = np.random.default_rng(0)
    true = smallest_difference(sd=0.02, folds=5, ratio=0.0)
    studies = random.normal(true, 0.02, (4000, 5))
    found = [corrected_t(each, ratio=0.0).p for each in studies]
    assert np.mean([p is not None and p < 0.05 for p in found]) == pytest.approx(0.8, abs=0.02)


def test_two_folds_could_have_seen_nothing() -> None:
    assert np.isnan(smallest_difference(sd=0.02, folds=2, ratio=0.25))
    assert detectable(0.0, 4.0) == 0.0


def test_folds_that_are_left_come_first() -> None:
    # half-width of 4 folds: t(.975, 3) = 3.182 * 0.02 * sqrt(1/4 + 1/4) = 0.045; of 5: 2.776 * 0.02 * sqrt(.45) = 0.037
    found = trials_that_would(sd=0.02, folds=3, of=5, ratio=0.25, room=0.04)
    assert (found.folds, found.repeats) == (5, 2)
    assert found.sentence.startswith("It would take 5 folds in all instead of 3")
    assert trials_that_would(sd=0.02, folds=3, of=5, ratio=0.25, room=0.046).folds == 4
    assert trials_that_would(sd=0.02, folds=1, of=5, ratio=0.25, room=1.0).folds == 3


def test_beyond_the_last_fold_it_takes_other_split_seeds() -> None:
    # 10 folds: t(.975, 9) = 2.262 * 0.02 * sqrt(1/10 + 1/4) = 0.0268; 15: 2.145 * 0.02 * sqrt(1/15 + 1/4) = 0.0241
    found = trials_that_would(sd=0.02, folds=5, of=5, ratio=0.25, room=0.025)
    assert (found.folds, found.repeats) == (None, 3)
    assert "all 5 folds 3 times, repeated with other split seeds" in found.sentence


def test_shared_training_images_set_a_limit_that_repeats_do_not_pass() -> None:
    # 1.96 * 0.02 * sqrt(1/4) = 0.0196 is what endless repeats would come to
    found = trials_that_would(sd=0.02, folds=5, of=5, ratio=0.25, room=0.0196)
    assert (found.folds, found.repeats, found.images) == (None, None, None)
    assert found.sentence == (
        "No number of folds up to 5 would do, nor 10 repeats with other split seeds: it takes more images."
    )
    # 2.776 * 0.02 * sqrt(.45) = 0.03725; (0.03725 / 0.0196)² = 3.61 times the images
    assert trials_that_would(sd=0.02, folds=5, of=5, ratio=0.25, room=0.0196, images=100).images == 362


def test_seeds_help_as_far_as_seeds_are_what_differs() -> None:
    known = trials_that_would(sd=0.02, folds=5, of=5, ratio=0.25, room=0.03, seeds=1, seed_sd=0.018)
    # sd² = 0.02² - 0.018² (1 - 1/2) = 0.0154²: 2.776 * 0.0154 * sqrt(.45) = 0.0287
    assert known.seeds == 2
    assert "2 seeds per fold" in known.sentence
    assert trials_that_would(sd=0.02, folds=5, of=5, ratio=0.25, room=0.03, seed_sd=0.001).seeds is None


def test_what_is_enough_is_enough_and_what_is_beyond_the_margin_stays() -> None:
    enough = trials_that_would(sd=0.001, folds=5, of=5, ratio=0.25, room=0.01)
    assert (enough.folds, enough.sentence) == (5, "The folds that ran are enough for this.")
    beyond = trials_that_would(sd=0.001, folds=5, of=5, ratio=0.25, room=-0.01)
    assert beyond.folds is beyond.repeats is beyond.images is None
    assert beyond.sentence.startswith("The difference seen is itself beyond the margin")


def test_an_interval_over_images_shrinks_with_folds_until_they_are_used_up() -> None:
    few = images_that_would(
        half_width=0.012, fold_part=0.0, room=0.01, level=0.05, folds=3, of=5, ratio=0.25, images=90
    )
    assert (few.folds, few.images) == (5, 130)
    last = images_that_would(
        half_width=0.02, fold_part=0.0, room=0.01, level=0.05, folds=5, of=5, ratio=0.25, images=100
    )
    assert (last.folds, last.repeats, last.images) == (None, None, 400)
    assert last.sentence.startswith("It would take about 400 test images instead of 100")
    fold = images_that_would(
        half_width=0.012, fold_part=1.0, room=0.0086, level=0.05, folds=5, of=5, ratio=0.25, images=100
    )
    # 0.012 * sqrt((1/10 + 1/4) / (1/5 + 1/4)) * t(.95, 9) / t(.95, 4) = 0.0091; 15 folds: 0.0083
    assert (fold.folds, fold.repeats, fold.images) == (None, 3, None)
    three = images_that_would(
        half_width=0.06, fold_part=1.0, room=0.03, level=0.05 / 6, folds=3, of=5, ratio=0.25, images=100
    )
    # 0.06 * sqrt((1/5 + 1/4) / (1/3 + 1/4)) * t(1 - .05/6, 4) / t(1 - .05/6, 2) = 0.0273
    assert three.folds == 5
