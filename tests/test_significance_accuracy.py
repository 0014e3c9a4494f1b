"""Accuracy of one reader and of two on the same frames: numbers, intervals, and why there are none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, precision_score, recall_score

from engine.errors import DataError
from engine.significance import accuracy_family, accuracy_interval, mcnemar, paired_accuracy, tukey_over_strategies
from engine.significance.intervals import ends, spread_of
from engine.significance.resampling import resampled_means
from tests.made_answers import CLASSES, answers, random_reader, reader

QUICK = 400
GROUPS = [f"g{place // 4}" for place in range(40)]


def test_numbers_are_those_of_scikit_learn() -> None:
    table = random_reader(0.7)
    found = accuracy_interval(table, resamples=QUICK)
    truth, said = table["label"], table["predicted"]
    assert found.accuracy.value == pytest.approx((truth == said).mean())
    assert found.balanced.value == pytest.approx(balanced_accuracy_score(truth, said))
    assert found.classes["class"].tolist() == list(CLASSES)
    assert found.classes["recall"].tolist() == pytest.approx(recall_score(truth, said, average=None).tolist())
    assert found.classes["precision"].tolist() == pytest.approx(precision_score(truth, said, average=None).tolist())
    assert found.classes["images"].sum() == found.classes["said"].sum() == found.images == 200
    by_scanner = table.groupby("scanner")["accuracy"].mean()
    assert found.scanners["accuracy"].tolist() == pytest.approx(by_scanner.tolist())
    assert found.top2 is None


def test_groups_are_drawn_whole() -> None:
    right = np.repeat(np.arange(10) % 2 == 0, 4)
    together = accuracy_interval(reader(right, groups=GROUPS), resamples=4000)
    apart = accuracy_interval(reader(right), resamples=4000)
    assert (together.resampled, together.accuracy.units) == ("group", 10)
    assert (apart.resampled, apart.accuracy.units) == ("image", 40)
    # Standard error of the mean of 10 groups that are all right or all wrong: 0.5 / 3; of 40 frames 0.5 / sqrt(39).
    # t(0.975, 9) = 2.262157, on the log-odds 2.262157 / 6 / 0.25 = 1.508105: 1 / (1 + e^1.508105) = 0.1812
    assert together.accuracy.low == pytest.approx(0.1812, abs=0.01)
    assert together.accuracy.high == pytest.approx(0.8188, abs=0.01)
    # t(0.975, 39) = 2.022691: 1 / (1 + exp(2.022691 * 0.080064 / 0.25)) = 0.3435
    assert apart.accuracy.low == pytest.approx(0.3435, abs=0.006)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    # 300 studies of 8 groups that are not alike: 95 % would be 285; percentiles of the same resamples hold it in 265.
    random = np.random.default_rng(0)
    sizes = random.integers(5, 50, (8, 300)).astype(float)
    right = random.binomial(sizes.astype(int), random.beta(12.75, 2.25, (8, 300))).astype(float)
    means = resampled_means(right, sizes, resamples=400, seed=0)
    low, high = ends(right.sum(axis=0) / sizes.sum(axis=0), spread_of(means, sizes), 0.95, "part")
    assert 276 <= ((low <= 0.85) & (high >= 0.85)).sum() <= 296
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    assert ((low <= 0.85) & (high >= 0.85)).sum() < 272


def test_every_frame_counts_once_however_many_seeds() -> None:
    one = reader([True] * 30 + [False] * 10, groups=GROUPS, folds=4)
    other = reader([True] * 20 + [False] * 20, groups=GROUPS, folds=4, seed=1).query("index != 39")
    found = accuracy_interval(pd.concat([one, other]), resamples=QUICK)
    assert found.accuracy.value == pytest.approx((20 + 10 / 2) / 40)
    assert (found.images, found.answers, found.folds) == (40, 79, 4)
    assert found.classes.set_index("class").loc["kidney", "said"] == pytest.approx(15)


def test_networks_need_three_folds_and_persons_do_not() -> None:
    two = random_reader(0.8, folds=2)
    found = accuracy_interval(two, resamples=QUICK)
    assert (found.accuracy.low, found.balanced.low) == (None, None)
    assert found.accuracy.note.startswith("2 folds: no test and no interval; how much the accuracy varies")
    assert accuracy_interval(two.assign(kind="network"), resamples=QUICK).accuracy.low is None
    assert accuracy_interval(two.assign(kind="person"), resamples=QUICK).accuracy.low is not None
    fixed = accuracy_interval(two, fixed_test_set=True, resamples=QUICK)
    assert fixed.accuracy.low is not None
    assert "another training" in fixed.accuracy.note
    three = accuracy_interval(random_reader(0.8, folds=3), resamples=QUICK)
    assert three.accuracy.low is not None
    assert "folds share training images" in three.accuracy.note


def test_too_few_groups_and_answers_that_are_all_right_have_no_interval() -> None:
    four = accuracy_interval(random_reader(0.8, groups=4), resamples=QUICK)
    assert four.accuracy.note == "4 groups: no interval; it takes 5 at least to resample them"
    right = accuracy_interval(reader([True] * 40, groups=GROUPS), resamples=QUICK)
    assert (right.accuracy.value, right.accuracy.low) == (1.0, None)
    assert right.accuracy.note.startswith("no interval: the accuracy is 100% in every group")


def test_a_class_without_frames_and_one_that_was_never_said_stay_missing() -> None:
    table = answers(["liver"] * 6 + ["spleen"] * 6, ["liver"] * 12)
    found = accuracy_interval(table, classes=CLASSES, resamples=QUICK).classes.set_index("class")
    assert np.isnan(found.loc["kidney", "recall"])
    assert np.isnan(found.loc["spleen", "precision"])
    assert found.loc["spleen", "recall"] == 0
    assert accuracy_interval(table, classes=CLASSES, resamples=QUICK).balanced.value == pytest.approx(0.5)


def test_top_2_is_given_where_every_answer_has_it() -> None:
    table = random_reader(0.7)
    top2 = np.maximum(table["accuracy"], np.arange(200) % 2)
    found = accuracy_interval(table.assign(top2=top2), resamples=QUICK).top2
    assert found is not None
    assert found.value == pytest.approx(top2.mean())
    assert accuracy_interval(table.assign(top2=top2.where(table["index"] > 0)), resamples=QUICK).top2 is None


@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(24)))
def test_the_order_of_rows_decides_nothing(order: list[int]) -> None:
    table = random_reader(0.7, groups=8, per_group=3, folds=4)
    one, other = (accuracy_interval(each, resamples=100) for each in (table, table.iloc[order]))
    assert one.accuracy == other.accuracy
    pd.testing.assert_frame_equal(one.classes, other.classes)


def test_answers_that_cannot_be_used_are_refused() -> None:
    table = random_reader(0.7)
    with pytest.raises(DataError, match="column 'predicted' is missing"):
        accuracy_interval(table.drop(columns="predicted"))
    with pytest.raises(DataError, match="1 of 200 rows have no class that was said"):
        accuracy_interval(table.assign(predicted=table["predicted"].where(table["index"] > 0, "")))
    with pytest.raises(DataError, match="the accuracy of 200 of 200 rows is not that of label and predicted"):
        accuracy_interval(table.assign(accuracy=1 - table["accuracy"]))
    with pytest.raises(DataError, match="class 'spleen' is not one of the study's: kidney, liver"):
        accuracy_interval(table, classes=["kidney", "liver"])
    with pytest.raises(DataError, match="200 frames have two true classes"):
        accuracy_interval(pd.concat([table, table.assign(label="x", predicted="x", accuracy=1.0)]))
    with pytest.raises(DataError, match="no answers"):
        accuracy_interval(table.iloc[:0])


def test_mcnemar_is_the_formula_and_the_binomial_test() -> None:
    # Approval of a prime minister in two surveys (R's example of mcnemar.test): 150 and 86 changed their mind.
    # (|150 - 86| - 1)² / (150 + 86) = 16.8178; SciPy: chi2.sf(63**2 / 236, 1) = 4.114562e-05
    test, chi2, p = mcnemar(150, 86)
    assert test == "chi-square with continuity correction"
    assert chi2 == pytest.approx(16.8178, abs=5e-5)
    assert p == pytest.approx(4.114562e-5, abs=5e-12)
    # SciPy: binomtest(5, 20).pvalue = 0.0413895 (R: binom.test(5, 20))
    assert mcnemar(5, 15) == ("exact", None, pytest.approx(0.04139, abs=5e-6))
    assert mcnemar(0, 0)[2] == 1.0


def test_the_correction_begins_at_25_frames_that_only_one_has_right() -> None:
    assert mcnemar(12, 12)[0] == "exact"
    assert mcnemar(12, 13)[0] == "chi-square with continuity correction"


def paired_right() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both right on 20 frames, only the first on 10, only the second on 4, neither on 6."""
    first = [True] * 30 + [False] * 10
    second = [True] * 20 + [False] * 10 + [True] * 4 + [False] * 6
    return reader(first, groups=GROUPS), reader(second, groups=GROUPS)


def test_two_readers_of_the_same_frames_are_paired() -> None:
    found = paired_accuracy(*paired_right(), names=("one", "other"))
    assert (found.both, found.only_first, found.only_second, found.neither) == (20, 10, 4, 6)
    assert found.difference == pytest.approx(6 / 40)
    # SciPy: binomtest(4, 14).pvalue = 0.1795654
    assert found.p_mcnemar == pytest.approx(0.1796, abs=5e-5)
    assert (found.images, found.left_out, found.units, found.folds) == (40, 0, 10, None)
    # Ten groups of four frames: t(0.975, 9) = 2.262157 times their sd (n - 1) / sqrt(10); above it the skewness of
    # their mean / 6 * (1 + 2 * 1.959964²) more
    one, other = paired_right()
    by_group = (one["accuracy"] - other["accuracy"]).groupby(one["group"]).mean()
    reach = 2.262157 * by_group.std(ddof=1) / 10**0.5
    third = ((by_group - by_group.mean()) ** 3).mean() / by_group.std(ddof=0) ** 3 / 10**0.5
    more = third / 6 * (1 + 2 * 1.959964**2) / 2.262157
    assert (found.low, found.high) == pytest.approx((0.15 - reach, 0.15 + (1 + more) * reach), abs=0.012)


def test_turning_the_pair_round_turns_the_sign() -> None:
    one, other = paired_right()
    there, back = paired_accuracy(one, other), paired_accuracy(other, one)
    assert there.difference == -back.difference
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))  # type: ignore[operator]
    assert there.p_mcnemar == back.p_mcnemar


def test_only_frames_that_both_answered_count() -> None:
    one, other = paired_right()
    found = paired_accuracy(one, other[other["index"] < 30])
    assert (found.images, found.left_out, found.only_second) == (30, 10, 0)
    nothing = paired_accuracy(one[:10], other[20:])
    assert (nothing.images, nothing.low) == (0, None)
    assert np.isnan(nothing.difference)
    assert np.isnan(nothing.p_mcnemar)


def test_seeds_are_averaged_in_the_difference_and_counts_are_of_the_first() -> None:
    one, other = paired_right()
    network = pd.concat(
        [one.assign(fold=one["index"] % 4, seed=0), one.assign(fold=0, seed=1, predicted="kidney", accuracy=0.0)]
    )
    found = paired_accuracy(network, other)
    assert found.difference == pytest.approx(15 / 40 - 24 / 40)
    assert (found.only_first, found.only_second) == (10, 4)
    assert found.note.endswith("counts and McNemar's test are of the first seed")


def test_a_network_of_two_folds_against_a_person_has_no_interval() -> None:
    one, other = paired_right()
    found = paired_accuracy(one.assign(fold=one["index"] % 2, seed=0), other)
    assert (found.folds, found.low) == (2, None)
    assert np.isnan(found.p_mcnemar)
    assert found.note.startswith("2 folds: no test and no interval")
    pair = {"network": one.assign(fold=one["index"] % 2, seed=0), "person": other}
    family = accuracy_family(pair, [("network", "person")], name="both", resamples=QUICK)
    assert family.table["p_holm"].isna().all()
    assert "on the same frames; no test; 95%" in family.description
    assert paired_accuracy(one, one.copy()).note == "no interval: the difference is the same in every group"


def test_frames_of_other_data_are_refused() -> None:
    one, other = paired_right()
    with pytest.raises(DataError, match="'first' and 'second' have other true classes for 40 of 40 frames"):
        paired_accuracy(one, other.assign(label="spleen", predicted="spleen", accuracy=1.0))
    with pytest.raises(DataError, match="cannot be compared with itself"):
        paired_accuracy(one, other, names=("a", "a"))


def test_holm_corrects_over_the_family_that_is_named() -> None:
    one, other = paired_right()
    readers = {"one": one, "other": other, "never": reader([False] * 40, groups=GROUPS)}
    family = accuracy_family(
        readers, [("one", "other"), ("one", "never"), ("other", "never")], name="all pairs", resamples=QUICK
    )
    assert family.description.startswith("all pairs: 3 comparisons on the same frames")
    p = family.table["p_mcnemar"].tolist()
    assert p[0] == pytest.approx(0.1796, abs=5e-5)
    order = np.argsort(p)
    expected = np.maximum.accumulate(np.array(p)[order] * [3, 2, 1])
    assert family.table["p_holm"].to_numpy()[order] == pytest.approx(expected)
    with pytest.raises(DataError, match="no answers of reader 'x'; there are: one; other; never"):
        accuracy_family(readers, [("one", "x")], name="all pairs")


def test_tukey_over_folds_takes_accuracy() -> None:
    rows = [
        {"dataset": "views", "fraction": 75.0, "strategy": name, "fold": fold, "value": float(value)}
        for name, level in (("input layers", 0.9), ("output layers", 0.7))
        for fold, value in enumerate(level + np.array([-0.02, 0.0, 0.01, 0.03]))
    ]
    found = tukey_over_strategies(pd.DataFrame(rows))
    assert found["difference"].item() == pytest.approx(0.2)
    assert found["p"].item() < 0.001
    assert found["label"].item().startswith("as published")
