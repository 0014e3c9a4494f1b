"""Balanced accuracy of cells of Table II: its mean, its interval, and why there is none."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.metrics import balanced_accuracy_score

from dashboard.figures.intervals import mean_intervals
from engine.errors import DataError
from engine.significance import balanced_intervals, cell_intervals
from tests.made_answers import answers

QUICK = 400


def cell(table: pd.DataFrame, *, strategy: str = "FC8", fraction: float = 75.0) -> pd.DataFrame:
    return table.assign(strategy=strategy, fraction=fraction, dice=table["accuracy"])


def ten_groups(folds: int = 5) -> pd.DataFrame:
    """Groups of one kidney, right in the even ones, and three livers, right in the first five."""
    truth, said, groups = [], [], []
    for group in range(10):
        truth += ["kidney", "liver", "liver", "liver"]
        said += ["kidney" if group % 2 == 0 else "liver", *["liver" if group < 5 else "kidney"] * 3]
        groups += [f"g{group}"] * 4
    table = answers(truth, said, groups=groups)
    return cell(table.assign(fold=table["group"].str[1:].astype(int) % folds, seed=0))


def of_a_rare_class() -> pd.DataFrame:
    """Three folds of eight groups each, alike but for what was said; only two of the eight have a spleen."""
    random, tables = np.random.default_rng(3), []
    for fold in range(3):
        truth = ["kidney", "liver", "liver"] * 8 + ["spleen"] * 4
        groups = [f"f{fold}g{place // 3}" for place in range(24)] + [f"f{fold}g{place % 2}" for place in range(4)]
        said = [name if random.uniform() < 0.7 else "kidney" for name in truth]
        tables.append(answers(truth, said, groups=groups).assign(fold=fold, seed=0))
    table = pd.concat(tables, ignore_index=True)
    return cell(table.assign(index=range(len(table))))


def test_the_interval_of_groups_of_one_size_is_that_of_students_t() -> None:
    # A group's mean over classes: 1 in three groups, 0.5 in four, 0 in three. Its standard error is
    # sqrt(6 * 0.25 / 9 / 10) = 0.129099, t(0.975, 9) = 2.262157, and on the log-odds, whose slope at 0.5 is 0.25,
    # 2.262157 * 0.129099 / 0.25 = 1.168174: 1 / (1 + e^1.168174) = 0.2372.
    images = ten_groups()
    found = balanced_intervals(images, resamples=4000).iloc[0]
    assert found["mean"] == pytest.approx(0.5)
    assert (found["units"], found["folds"], found["images"]) == (10, 5, 40)
    assert found["low"] == pytest.approx(0.2372, abs=0.01)
    assert found["high"] == pytest.approx(0.7628, abs=0.01)
    # Accuracy counts three livers for one kidney: sqrt((6 * 0.25 + 4 * 0.0625) / 9 / 10) = 0.139443; 0.2207.
    plain = cell_intervals(images, resamples=4000).iloc[0]
    assert plain["low"] == pytest.approx(0.2207, abs=0.01)


def test_the_interval_of_a_rare_class_is_that_of_groups_drawn_by_hand() -> None:
    images = of_a_rare_class()
    found = balanced_intervals(images, resamples=4000).iloc[0]
    by_group = [part for _, part in images.groupby("group")]
    random, drawn = np.random.default_rng(1), []
    for _ in range(1000):
        chosen = pd.concat([by_group[place] for place in random.integers(24, size=24)])
        drawn.append(chosen.groupby("label")["accuracy"].mean().mean())
    # Each class weighs a third, so a group of its kidney and livers, and its spleens, where it has any.
    size = images["label"].map(1 / images["label"].value_counts()).groupby(images["group"]).sum()
    units = size.sum() ** 2 / (size**2).sum()
    mean = float(found["mean"])
    slope, error = mean * (1 - mean), np.std(drawn) * np.sqrt(units / (units - 1))
    lean = scipy.stats.skew(drawn) / 6 * (1 + 2 * 1.96**2) + (2 * mean - 1) / slope * error / 2 * 1.96**2
    t = scipy.stats.t.ppf(0.975, units - 1)
    middle = np.log(mean / (1 - mean))
    low, high = middle - max(t, t - lean) * error / slope, middle + max(t, t + lean) * error / slope
    assert mean == pytest.approx(balanced_accuracy_score(images["label"], images["predicted"]))
    assert found["low"] == pytest.approx(1 / (1 + np.exp(-low)), abs=0.012)
    assert found["high"] == pytest.approx(1 / (1 + np.exp(-high)), abs=0.012)


def test_the_mean_is_over_folds_of_each_folds_classes() -> None:
    images = of_a_rare_class()
    images = images[(images["fold"] != 1) | (images["label"] != "spleen")]
    by_fold = [balanced_accuracy_score(part["label"], part["predicted"]) for _, part in images.groupby("fold")]
    assert balanced_intervals(images, resamples=QUICK)["mean"].iloc[0] == pytest.approx(np.mean(by_fold))


def test_seeds_of_an_image_count_once_and_their_order_does_not() -> None:
    one = ten_groups()
    other = one.assign(accuracy=1 - one["accuracy"], seed=1)
    both = pd.concat([one, other])
    found = balanced_intervals(pd.concat([both, both.assign(strategy="FC6-8", accuracy=one["accuracy"].iloc[0])]))
    assert list(found["strategy"]) == ["FC6-8", "FC8"]
    row = balanced_intervals(both, resamples=QUICK)
    assert row["mean"].iloc[0] == pytest.approx(0.5)
    assert row["images"].iloc[0] == 40
    assert row["note"].iloc[0] == "no interval: the balanced accuracy is the same in every group"
    images = pd.concat([one, other.query("index < 20")])
    pd.testing.assert_frame_equal(
        balanced_intervals(images, resamples=QUICK),
        balanced_intervals(images.sample(frac=1, random_state=0), resamples=QUICK),
    )


def test_where_there_is_no_interval_the_reason_is_told() -> None:
    two = balanced_intervals(ten_groups(folds=2), resamples=QUICK).iloc[0]
    assert np.isnan(two["low"])
    assert two["note"].startswith("2 folds: no test and no interval; how much the balanced accuracy varies")
    right = balanced_intervals(ten_groups().assign(accuracy=1.0), resamples=QUICK).iloc[0]
    assert (right["mean"], np.isnan(right["low"])) == (1.0, True)
    assert right["note"].startswith("no interval: the balanced accuracy is 100% in every group")


def test_images_without_a_class_are_refused() -> None:
    with pytest.raises(DataError, match="column 'label' is missing"):
        balanced_intervals(ten_groups().drop(columns="label"))
    with pytest.raises(DataError, match="4 of 40 name no true class"):
        balanced_intervals(ten_groups().assign(label=lambda rows: rows["label"].where(rows["group"] != "g3", "")))
    assert len(balanced_intervals(ten_groups().iloc[:0])) == 0


def test_a_table_takes_the_interval_of_its_measure() -> None:
    images = ten_groups()
    balanced, plain = (mean_intervals(images, name, resamples=4000) for name in ("balanced_accuracy", "accuracy"))
    assert balanced["interval"].tolist() == plain["interval"].tolist() == ["bootstrap over 10 groups"]
    assert balanced["low"].iloc[0] == pytest.approx(0.2372, abs=0.01)
    assert plain["low"].iloc[0] == pytest.approx(0.2207, abs=0.01)
    assert mean_intervals(ten_groups(folds=2), "balanced_accuracy")["interval"].tolist() == [""]
    far = mean_intervals(images.assign(dice=9 * images["dice"]), "hd95", resamples=QUICK)
    assert far["high"].iloc[0] > 1
    assert list(mean_intervals(images.iloc[:0], "balanced_accuracy")["low"]) == []
