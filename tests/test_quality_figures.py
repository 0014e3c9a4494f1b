"""Calibration and subgroups, by their numbers and structure."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.figures import calibration, subgroups

TRIALS = pd.DataFrame(
    {"id": ["w0", "w1", "b0", "none"], "number": [1.0, 2.0, 1.0, np.nan],
     "strategy": ["whole network"] * 2 + ["block 9"] * 2}
)  # fmt: skip


def bins() -> pd.DataFrame:
    """Two bins of each attempt; an earlier attempt of `w1` that does not count."""
    rows = [
        ("w0", 1, 0.1, 100, 15.0, 10), ("w0", 1, 0.9, 10, 9.5, 10),
        ("w1", 2, 0.1, 300, 45.0, 50), ("w1", 2, 0.9, 0, 0.0, 0),
        ("w1", 1, 0.1, 999, 150.0, 0), ("b0", 1, 0.1, 200, 20.0, 20),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["id", "number", "low", "pixels", "probability_sum", "positive_pixels"])


def test_bins_of_all_folds_are_added_up_and_empty_ones_left_out() -> None:
    table = calibration.calibration_table(bins(), TRIALS)
    assert list(table["strategy"]) == ["whole network", "whole network", "block 9"]  # in the order of the trials
    first = table.iloc[0]
    assert (first["pixels"], first["predicted"], first["observed"]) == (400, 60 / 400, 60 / 400)
    assert table.iloc[1]["observed"] == 1


def test_the_error_is_the_mean_distance_from_the_diagonal_over_pixels() -> None:
    errors = calibration.errors_table(calibration.calibration_table(bins(), TRIALS))
    # 400 pixels without error, 10 that are off by 0.05: 0.5 / 410. Block 9: none.
    assert dict(zip(errors["strategy"], errors["error"], strict=True)) == pytest.approx(
        {"whole network": 0.5 / 410, "block 9": 0.0}
    )
    assert "**whole network**: expected calibration error **0.001** over 410 test pixels" in calibration.told(errors)


def test_the_diagram_has_the_diagonal_and_for_each_strategy_a_line_and_its_pixels() -> None:
    figure = calibration.calibration(calibration.calibration_table(bins(), TRIALS), dark=True)
    assert [trace.name for trace in figure.data] == ["calibrated", *["whole network"] * 3, *["block 9"] * 3]
    assert list(figure.data[2].x) == pytest.approx([0.15, 0.95])
    assert list(figure.data[3].y) == [400, 10]
    assert figure.data[1].line.color != figure.data[4].line.color
    assert figure.data[2].marker.symbol == ("circle", "circle")
    assert figure.data[5].marker.symbol == ("diamond",)
    assert "predicted probability" in figure.layout.xaxis2.title.text
    assert "not independent" in calibration.NOTE


def test_bins_of_very_few_pixels_are_hollow_and_joined_to_none() -> None:
    table = calibration.calibration_table(bins().assign(pixels=lambda own: own["pixels"] * 100), TRIALS)
    table.loc[1, "pixels"] = 1
    line, dots = calibration.calibration(table).data[1:3]
    assert dots.marker.symbol == ("circle", "circle-open")
    assert np.isnan(line.y[1])


def test_trials_from_before_probabilities_were_kept_say_so() -> None:
    nothing = calibration.calibration_table(bins().iloc[:0], TRIALS)
    assert not len(nothing)
    assert "stored no probabilities" in calibration.calibration(nothing).layout.annotations[0].text
    assert calibration.told(calibration.errors_table(nothing)) == ""


SOURCE = pd.DataFrame(
    {
        "image": [f"{n}.png" for n in range(40)],
        "group": [f"p{n % 20}" for n in range(40)],
        "label": ["benign", "malignant"] * 20,
        "scanner": [""] * 40,
        "split": ["train"] * 39 + ["test"],
        "source_width": [100] * 40,
        "spacing_mm": np.linspace(0.1, 0.4, 40),
        "depth_cm": ["9", "10", "9", "10.0"] * 10,
        "doi": [f"10.1/{n}" for n in range(40)],
        "age": [str(20 + n) if n else "" for n in range(40)],
    }
)
"""A data set's table: further columns of a manifest are text."""


def test_columns_that_part_the_images_are_offered_label_first() -> None:
    # One scanner, one test image, one width, a DOI each: no subgroups.
    assert subgroups.subgroup_columns(SOURCE) == ["label", "depth_cm", "age", "spacing_mm"]


def test_numbers_that_are_few_are_subgroups_in_their_order() -> None:
    names = subgroups.subgroup_names(SOURCE, "depth_cm")
    assert list(names.cat.categories) == ["9", "10"]
    assert names.value_counts().to_dict() == {"9": 20, "10": 20}


def test_many_numbers_are_parted_in_quarters_and_missing_ones_in_none() -> None:
    names = subgroups.subgroup_names(SOURCE, "age")
    assert list(names.cat.categories) == ["21 to 30.5", "30.5 to 40", "40 to 49.5", "49.5 to 59"]
    assert names.isna().sum() == 1
    assert names.value_counts().between(9, 10).all()
    assert not len(subgroups.subgroup_names(SOURCE, "doi").cat.categories)


def measured_images(folds: int = 3, **changes: Any) -> pd.DataFrame:
    """40 test images of two strategies: malignant ones score 0.2 less, block 9 scores 0.1 less."""
    rows = [
        {"strategy": strategy, "index": n, "image": f"{n}.png", "group": f"p{n % 20}", "fold": n % 20 * folds // 20,
         "seed": 0, "dice": 0.9 - 0.2 * (n % 2) - 0.1 * (strategy == "block 9") + 0.01 * (n % 7),
         "empty_truth": n >= 38}
        for strategy in ("whole network", "block 9") for n in range(40)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**changes)


BOTH = ["whole network", "block 9"]


def by_label(images: pd.DataFrame, strategies: list[str]) -> pd.DataFrame:
    parted = subgroups.by_column(images, subgroups.subgroup_names(SOURCE, "label"))
    return subgroups.subgroups_table(images, parted, strategies, resamples=500)


def test_subgroups_have_means_intervals_over_groups_and_counts() -> None:
    table = by_label(measured_images(), BOTH)
    assert list(table["subgroup"]) == ["benign", "malignant", "all images"] * 2
    benign = table.iloc[0]
    own = measured_images().query("strategy == 'whole network' and not empty_truth and index % 2 == 0")
    assert benign["mean"] == pytest.approx(own["dice"].mean())
    assert (benign["images"], benign["groups"], benign["folds"]) == (19, 10, 3)
    assert benign["low"] < benign["mean"] < benign["high"]
    assert benign["note"] == "95 % bootstrap over 10 groups"
    assert table.iloc[2]["images"] == 38  # images without a structure are left out
    assert table.iloc[0]["mean"] - table.iloc[3]["mean"] == pytest.approx(0.1)


def test_with_two_folds_there_is_no_interval_and_the_note_says_why() -> None:
    table = by_label(measured_images(folds=2), BOTH[:1])
    assert table["low"].isna().all()
    assert "2 folds: no test and no interval" in subgroups.note(table)
    assert "Lines:" not in subgroups.note(table)
    assert "no finding" in subgroups.note(table)
    assert "95 % bootstrap intervals over groups" in subgroups.note(by_label(measured_images(), BOTH))


def test_images_without_groups_are_drawn_themselves_and_seeds_are_averaged() -> None:
    alone = measured_images(group="")
    both = pd.concat([alone, alone.assign(seed=1, dice=alone["dice"] - 0.2)])
    table = by_label(both, BOTH[:1])
    assert table.iloc[0]["note"] == "95 % bootstrap over 19 images"
    assert table.iloc[0]["groups"] == 0
    single = by_label(alone, BOTH[:1])
    assert table.iloc[0]["mean"] == pytest.approx(single.iloc[0]["mean"] - 0.1)


def test_two_strategies_have_two_colours_and_shapes_and_n_stands_beside_the_name() -> None:
    table = by_label(measured_images(), BOTH)
    figure = subgroups.subgroups(table)
    first, second = figure.data
    assert first.marker.symbol != second.marker.symbol
    assert first.marker.color != second.marker.color
    assert "n = 19, 10 groups" in figure.layout.yaxis.ticktext[0]
    assert "mean Dice 0.9" in first.text[0]
    assert "19 images of 10 groups, 3 folds" in first.text[0]
    key = subgroups.key(BOTH, dark=False)
    assert key.index("●") < key.index("whole network") < key.index("◆") < key.index("block 9")


def test_structures_are_subgroups_of_the_images_that_have_them() -> None:
    images = measured_images(class_dice=[[0.5, 0.9] if n % 4 else [0.6, None] for n in range(80)])
    table = subgroups.subgroups_table(images, subgroups.by_structure(images, ("nerve", "vessel")), BOTH[:1])
    assert list(table["subgroup"]) == ["nerve", "vessel", "all images"]
    assert list(table["images"]) == [38, 28, 38]
    assert table["mean"].iloc[0] == pytest.approx((28 * 0.5 + 10 * 0.6) / 38)
    assert table["mean"].iloc[1] == pytest.approx(0.9)
    assert table["mean"].iloc[2] == pytest.approx(images.iloc[:38]["dice"].mean())


def test_without_images_the_figure_says_so() -> None:
    table = by_label(measured_images().iloc[:0], BOTH)
    assert "No test image" in subgroups.subgroups(table).layout.annotations[0].text
