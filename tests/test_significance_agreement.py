import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from engine import published
from engine.errors import DataError
from engine.significance import agreement_table, expected_calibration_error, order_agreement, reliability
from engine.significance.agreement import kendall_tau_b
from tests.made_results import study

PUBLISHED = published.table2().rename(columns={"dice_mean": "mean", "dice_std": "sd", "train_percent": "fraction"})
PUBLISHED = PUBLISHED.astype({"fraction": float})


def row_of(dataset: str, fraction: float) -> pd.DataFrame:
    return PUBLISHED[(PUBLISHED["dataset"] == dataset) & (PUBLISHED["fraction"] == fraction)].reset_index(drop=True)


def row(means: dict[str, float], *, sd: float = 0.01, folds: int = 5) -> pd.DataFrame:
    return pd.DataFrame({"strategy": list(means), "mean": list(means.values()), "sd": sd, "folds": folds})


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=13).filter(
        lambda pairs: len({a for a, _ in pairs}) > 1 and len({b for _, b in pairs}) > 1
    )
)
def test_tau_b_is_scipy_s_also_with_ties(pairs: list[tuple[int, int]]) -> None:
    ours, theirs = (np.array(side, dtype=np.float64) for side in zip(*pairs, strict=True))
    expected = kendalltau(ours, theirs).statistic
    assert kendall_tau_b(np.stack([ours, -ours]), theirs) == pytest.approx([expected, -expected])


def test_the_published_order_agrees_with_itself_and_its_ceiling_is_lower() -> None:
    found = order_agreement(row_of("BUS", 80.0), row_of("BUS", 80.0))
    assert found.tau == pytest.approx(1.0)
    assert len(found.strategies) == 13
    assert found.ceiling is not None
    assert found.ceiling_low is not None
    assert found.ceiling_high is not None
    assert found.ceiling_low < found.ceiling < found.ceiling_high <= 1
    # several strategies lie within a standard error of 0.028 / sqrt(5) = 0.013, so that a repeat would order them anew
    assert found.ceiling == pytest.approx(0.78, abs=0.04)
    assert (found.interval_by, found.reason) == ("redrawn means", "")


def test_the_reverse_order_is_minus_one() -> None:
    theirs = row_of("BUS", 80.0)
    found = order_agreement(theirs.assign(mean=1 - theirs["mean"]), theirs)
    assert found.tau == pytest.approx(-1.0)


def test_missing_means_stay_missing() -> None:
    # FUS 50 %: five means are not in the text at hand
    found = order_agreement(row_of("FUS", 80.0), row_of("FUS", 50.0))
    assert len(found.strategies) == 8
    assert "expanding" not in found.strategies


def test_three_common_strategies_have_no_order_to_compare() -> None:
    ours = row({"whole network": 0.8, "contracting": 0.7, "block 9": 0.6, "blocks 1-3": 0.5})
    found = order_agreement(ours, row_of("BUS", 80.0))
    assert (found.tau, found.low, found.ceiling) == (None, None, None)
    assert found.reason == "3 strategies in both; it takes 4 to compare orders"


def test_strategies_that_are_all_alike_have_no_order() -> None:
    names = ("whole network", "contracting", "block 9", "block 1")
    found = order_agreement(row(dict.fromkeys(names, 0.5)), row_of("BUS", 80.0))
    assert (found.tau, found.reason) == (None, "all strategies have the same mean on one side")


def test_two_folds_have_a_tau_without_an_interval() -> None:
    means = {"whole network": 0.8, "contracting": 0.75, "block 1": 0.7, "block 9": 0.6}
    found = order_agreement(row(means, folds=2), row_of("BUS", 80.0))
    assert found.tau == pytest.approx(1.0)
    assert (found.low, found.high, found.interval_by) == (None, None, "")
    assert found.reason == "2 folds: no interval; it takes 3 folds at least"
    images = study({80.0: means}, folds=2)
    with_images = order_agreement(row(means, folds=2), row_of("BUS", 80.0), images=images)
    assert with_images.reason.startswith("2 folds: no test and no interval; how much the order varies")


def test_images_resample_all_strategies_together() -> None:
    # strategies 0.01 apart on images that differ by 0.05 in how hard they are: only pairing shows the order
    means = {"whole network": 0.80, "contracting": 0.79, "block 1": 0.78, "block 9": 0.77}
    images = study({80.0: means})
    by_strategy = (
        images.groupby(["strategy", "fold"])["dice"].mean().groupby("strategy", sort=False).agg(["mean", "std"])
    )
    ours = by_strategy.rename(columns={"std": "sd"}).reset_index().assign(folds=5)
    paired = order_agreement(ours, row_of("BUS", 80.0), images=images)
    redrawn = order_agreement(ours, row_of("BUS", 80.0))
    assert (paired.interval_by, paired.tau, paired.high) == ("resampled images", 1.0, 1.0)
    assert paired.low is not None
    assert redrawn.low is not None
    assert paired.low > redrawn.low


def test_images_of_several_fractions_are_refused() -> None:
    means = {"whole network": 0.80, "contracting": 0.79, "block 1": 0.78, "block 9": 0.77}
    with pytest.raises(DataError, match="choose one"):
        order_agreement(row(means), row_of("BUS", 80.0), images=study({80.0: means, 5.0: means}))
    with pytest.raises(DataError, match="our row of Table II has a strategy twice"):
        order_agreement(pd.concat([row(means), row(means)]), row_of("BUS", 80.0))


def test_the_table_has_a_row_per_fraction_that_both_have() -> None:
    ours = pd.concat([row_of("BUS", 80.0), row_of("BUS", 5.0), row_of("BUS", 5.0).assign(fraction=20.0)])
    found = agreement_table(ours.assign(dataset="BUS-UCLM"), PUBLISHED, {"BUS-UCLM": "BUS"})
    assert found[["dataset", "published", "fraction", "common"]].to_numpy().tolist() == [
        ["BUS-UCLM", "BUS", 80.0, 13],
        ["BUS-UCLM", "BUS", 5.0, 13],
    ]
    assert found["tau"].to_list() == pytest.approx([1.0, 1.0])
    assert agreement_table(ours.assign(dataset="other"), PUBLISHED, {}).empty


@settings(deadline=None, max_examples=15)
@given(order=st.permutations(range(13)))
def test_the_order_of_the_rows_changes_no_agreement(order: list[int]) -> None:
    ours, theirs = row_of("SUS", 80.0), row_of("BUS", 80.0)
    assert order_agreement(ours.iloc[order], theirs) == order_agreement(ours, theirs)


def test_calibrated_bins_have_no_error() -> None:
    assert expected_calibration_error(np.array([10, 20]), np.array([1.0, 18.0]), np.array([1, 18])) == 0.0


def test_the_calibration_error_is_the_mean_over_pixels() -> None:
    # by hand: 10 of 40 pixels off by 0.3 - 0.1, 30 off by 0.9 - 0.8, an empty bin: (10 * 0.2 + 30 * 0.1) / 40
    error = expected_calibration_error(np.array([10, 0, 30]), np.array([3.0, 0.0, 27.0]), np.array([1, 0, 24]))
    assert error == pytest.approx(0.125)


def test_no_pixels_have_no_calibration() -> None:
    assert np.isnan(expected_calibration_error(np.array([0]), np.array([0.0]), np.array([0])))


def test_impossible_bins_are_refused() -> None:
    with pytest.raises(DataError, match="calibration bin 1: 5 pixels, 6 of them positive"):
        expected_calibration_error(np.array([1, 5]), np.array([0.5, 2.0]), np.array([0, 6]))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 100), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=10), st.randoms()
)
def test_the_calibration_error_lies_between_0_and_1_whatever_the_order(
    bins: list[tuple[int, float, float]], random: object
) -> None:
    def error(bins: list[tuple[int, float, float]]) -> float:
        pixels = np.array([count for count, _, _ in bins])
        sums = np.array([count * probability for count, probability, _ in bins])
        return expected_calibration_error(pixels, sums, np.array([int(count * part) for count, _, part in bins]))

    shuffled = list(bins)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert error(bins) == pytest.approx(error(shuffled), nan_ok=True)
    assert np.isnan(error(bins)) or 0 <= error(bins) <= 1


def test_reliability_adds_up_the_bins_of_several_trainings() -> None:
    bins = pd.DataFrame(
        {
            "strategy": ["a", "a", "a", "b"],
            "low": [0.0, 0.0, 0.9, 0.0],
            "pixels": [10, 30, 0, 4],
            "probability_sum": [1.0, 1.0, 0.0, 0.4],
            "positive_pixels": [0, 4, 0, 1],
        }
    )
    found = reliability(bins, ["strategy"])
    assert found.to_dict("list") == {
        "strategy": ["a", "b"],
        "low": [0.0, 0.0],
        "pixels": [40, 4],
        "predicted": [pytest.approx(0.05), pytest.approx(0.1)],
        "observed": [pytest.approx(0.1), pytest.approx(0.25)],
    }
    with pytest.raises(DataError, match="column 'pixels' is missing; expected low, pixels"):
        reliability(bins.drop(columns="pixels"))
