"""Accuracy in numbers and pictures: bars beside published ones, training-set size, the old scanner, differences."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from dashboard.figures import accuracy, differences, kept_task, training_size
from dashboard.figures.published_classes import (
    cheng_table,
    pasdeloup_table,
    published_measures,
    published_rows,
    published_tests,
)
from dashboard.figures.readers import KNOWN_SCANNER, OUT_OF_THE_BOX, PERSON, reader_name
from engine.significance.accuracy import Accuracy, accuracy_interval
from engine.significance.paired_accuracy import accuracy_family
from engine.trial import AS_PRETRAINED
from tests.made_cells import words_of
from tests.made_classification import CLASSES, classification_attempt, classification_trials, made_views


@cache
def said() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Answers of three strategies on two parts of the images and of start weights as they are, and their attempts."""
    source = made_views(patients=8)
    trials = classification_trials(source.fingerprint, strategies=("whole network", "input layers", "from scratch"))
    rows, attempts = [], []
    for trial in trials:
        attempt = classification_attempt(trial, source)
        about = {name: getattr(trial, name) for name in ("strategy", "fraction", "fold", "seed", "model", "start")}
        reader = reader_name(about)
        rows += [
            {"study": "views", "id": trial.id, "reader": reader, "kind": "network", **about, **vars(image)}
            for image in attempt.test_images
        ]
        attempts.append({"id": trial.id, **{name: getattr(attempt, name) for name in accuracy.OF_ATTEMPTS}})
    return pd.DataFrame(rows).assign(seconds=np.nan), pd.DataFrame(attempts)


def with_person() -> pd.DataFrame:
    """The answers and those of a person, who is right on the first 60 of 70 frames and takes a second for each."""
    table, _ = said()
    frames = table[table["reader"] == "CVCNet · out of the box"].head(70)
    wrong = frames["label"].map({name: CLASSES[(CLASSES.index(name) + 1) % 7] for name in CLASSES})
    right = np.arange(70) < 60
    person = frames.assign(
        reader="A. Reader", kind=PERSON, strategy="", fraction=np.nan, model="", start="", probabilities=None,
        predicted=frames["label"].where(right, wrong), accuracy=right.astype(float), top2=np.nan, seconds=1.0,
    )  # fmt: skip
    return pd.concat([table, person], ignore_index=True)


@cache
def found() -> dict[str, Accuracy]:
    return {
        str(name): accuracy_interval(part, classes=CLASSES, resamples=200)
        for name, part in with_person().groupby("reader", sort=False)
    }


@cache
def measures() -> pd.DataFrame:
    table = with_person()
    return accuracy.measures_table(accuracy.accuracy_table(table, found()), table, found(), said()[1])


def test_a_row_per_reader_with_its_interval_and_what_else_was_measured() -> None:
    table = measures().set_index("reader")
    own, _ = said()
    one = own[own["reader"] == "CVCNet · input layers · 75 %"]
    row = table.loc["CVCNet · input layers · 75 %"]
    assert row["accuracy"] == pytest.approx(one["accuracy"].mean())
    assert row["low"] < row["accuracy"] < row["high"]
    assert (row["images"], row["groups"], row["folds"], len(row["values"])) == (112, 8, 4, 4)
    assert row["balanced_accuracy"] == pytest.approx(one.groupby("label")["accuracy"].mean().mean())
    assert row["balanced_low"] < row["balanced_accuracy"] < row["balanced_high"]
    shown = accuracy.shown_table(measures(), accuracy.parted_table(found())).set_index("reader")
    low, high = shown.loc[row.name, "balanced, 95 % interval"].split(" to ")
    assert (float(low), float(high)) == pytest.approx(
        (100 * row["balanced_low"], 100 * row["balanced_high"]), abs=0.051
    )
    assert row["training_accuracy"] > row["accuracy"]
    assert row["kept_accuracy"] == pytest.approx(0.83 + 0.015)
    assert np.isnan(table.loc["CVCNet · from scratch · 75 %", "kept_accuracy"])
    assert table.loc["CVCNet · out of the box", "strategy"] == OUT_OF_THE_BOX


def test_a_person_is_measured_like_a_network_without_folds() -> None:
    row = measures().set_index("reader").loc["A. Reader"]
    assert row["accuracy"] == pytest.approx(60 / 70)
    assert row["seconds_per_image"] == 1.0
    assert row["folds"] == 0
    assert row["network"] == PERSON
    assert not np.isnan(row["low"])


def test_bars_stand_in_groups_with_published_ones_hollow_and_persons_last() -> None:
    table = pd.concat([measures(), accuracy.on_known_scanner(measures()), published_rows(["CVCNet"])])
    assert accuracy.ordered(table) == [
        KNOWN_SCANNER, OUT_OF_THE_BOX, "from scratch", "output layers", "input layers", "whole network", "A. Reader",
    ]  # fmt: skip
    figure = accuracy.accuracy(table.reset_index(drop=True), dark=True)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert len(bars) == len(table)
    hollow = [trace for trace in bars if trace.marker.color == "rgba(0,0,0,0)"]
    assert len(hollow) == 5
    assert any("77.7" in note.text for note in figure.layout.annotations)  # 77.65 % as printed
    words = accuracy.note(table)
    assert "Hollow: published (Pasdeloup" in words
    assert "95 % intervals over groups" in words


def test_without_a_complete_cell_the_bars_say_what_they_wait_for() -> None:
    assert "once all folds" in accuracy.accuracy(measures().iloc[:0]).layout.annotations[0].text


def test_published_rows_are_those_of_the_networks_shown_with_the_radiologist_beside_cheng() -> None:
    theirs = published_rows(["CaffeNet"])
    assert set(theirs["network"]) == {"CaffeNet", PERSON}
    assert theirs.set_index("strategy")["accuracy"].round(4).to_dict() == {"FC6-8": 0.773, "radiologist": 0.7168}
    assert published_rows([]).empty
    assert PERSON not in set(published_rows(["CVCNet", PERSON])["network"])
    assert set(published_rows(["MobileNet v1"])["strategy"]) == {
        KNOWN_SCANNER, OUT_OF_THE_BOX, "from scratch", "output layers", "input layers",
    }  # fmt: skip


def test_published_measures_are_titled_as_ours_and_stand_only_beside_their_networks() -> None:
    theirs = published_measures({"CaffeNet", "CVCNet"}).set_index("reader")
    assert list(theirs.index) == ["CaffeNet · FC6-8", "radiologist"]
    ours = accuracy.shown_table(measures(), accuracy.parted_table(found()))
    assert set(theirs) - {"scanner Toshiba (%)", "scanner Philips (%)"} <= set(ours)
    caffenet = theirs.loc["CaffeNet · FC6-8"].round(1)
    assert caffenet["top-2 (%)"] == 90.4  # 1,287 of 1,423
    assert caffenet["scanner Toshiba (%)"] == 73.8  # 432 of 585
    assert caffenet["ms per image"] == 100
    assert theirs.loc["radiologist", ["top-2 (%)", "training images"]].isna().all()
    assert published_measures({"CVCNet", PERSON}).empty
    assert published_tests({"VGG16"})["chi2"].tolist() == [0.1, 14.44]
    assert len(published_tests({"VGG16", "CaffeNet"})) == 5
    assert published_tests({PERSON}).empty


def test_published_tables_are_printed_as_they_are() -> None:
    table = pasdeloup_table().set_index(["scanner", "strategy"])
    assert table.loc[("GE Vscan", "input layers fine-tuned"), "CVCNet"] == "92.4 ± 2"
    assert table.loc[("GE Vivid E9", "out of the box"), "MobileNet"] == "99.3"
    assert cheng_table()["percent"].iloc[0] == 77.3


def test_the_table_of_the_page_is_in_percent_with_a_column_per_scanner_and_class() -> None:
    parted = accuracy.parted_table(found())
    shown = accuracy.shown_table(measures(), parted)
    assert {"accuracy (%)", "95 % interval", "top-2 (%)", "scanner A (%)", "scanner B (%)"} <= set(shown)
    of_a = parted[(parted["of"] == "scanner") & (parted["part"] == "A")].set_index("reader")["accuracy"]
    assert shown.set_index("reader")["scanner A (%)"].to_dict() == pytest.approx((100 * of_a).to_dict())
    by_class = accuracy.classes_table(parted, list(measures()["reader"]), CLASSES)
    assert list(by_class.columns) == ["reader", *(f"{name} (n = 16)" for name in CLASSES)]


def test_training_set_size_is_drawn_with_a_line_per_strategy_and_the_start_weights_as_a_level() -> None:
    table = training_size.training_size_table(measures())
    assert table.loc[table["strategy"] == OUT_OF_THE_BOX, "training_images"].tolist() == [0.0]
    sizes = table.loc[table["strategy"] == "input layers", "training_images"]
    assert sizes.is_monotonic_increasing
    assert len(set(sizes)) == 2
    figure = training_size.training_size(table)
    assert [trace.name for trace in figure.data] == ["from scratch", "input layers", "whole network"]
    assert figure.layout.xaxis.title.text == "training images (mean over folds)"
    assert "out of the box" in figure.layout.annotations[0].text
    assert "n = 112 test images of 8 groups, 4 folds" in figure.data[0].hovertext[0]
    assert "once all folds" in training_size.training_size(table.iloc[:0]).layout.annotations[0].text


def test_what_is_left_of_the_old_scanner_is_a_dot_per_strategy_that_was_measured() -> None:
    table = kept_task.kept_of_readers(measures())
    assert set(table["strategy"]) == {OUT_OF_THE_BOX, "whole network", "input layers"}  # scratch began from nothing
    figure = kept_task.kept_task(table, measure="accuracy", start="scanner A")
    assert len(figure.data[0].x) == len(table)
    assert figure.layout.yaxis.title.text == "accuracy left on scanner A (%)"
    row = table[table["strategy"] == "whole network"].iloc[0]
    told = figure.data[0].hovertext[row.name]
    assert f"{100 * row['value']:.1f} % on 112 test images" in told
    assert f"95 % interval {100 * row['low']:.1f} % to" in told
    nothing = kept_task.kept_task(table.iloc[:0], measure="accuracy")
    assert "start weights with held-out images of the same classes" in words_of(nothing)


def test_differences_are_drawn_in_percentage_points_with_the_counts_of_mcnemar() -> None:
    table, _ = said()
    own = {str(name): part for name, part in table[table["fraction"] != 20].groupby("reader", sort=False)}
    reference = "CVCNet · whole network · 75 %"
    family = accuracy_family(
        own, [(name, reference) for name in own if name != reference], name="every reader", resamples=200
    )
    figure = differences.differences(family.table)
    row = family.table.iloc[0]
    dots = next(trace for trace in figure.data if trace.name == "difference")
    assert dots.x[0] == pytest.approx(100 * row["difference"])
    assert any(f"{row['only_first']:,} : {row['only_second']:,}" in note.text for note in figure.layout.annotations)
    assert "Not different is not equal" in differences.note(family.table, family.description)
    assert "second reader" in differences.differences(family.table.iloc[:0]).layout.annotations[0].text


def test_the_published_tests_are_of_counts_and_folds() -> None:
    table, _ = said()
    reference, other = "CVCNet · whole network · 75 %", "CVCNet · out of the box"
    chi = differences.chi_square_table(table, reference, [reference, other])
    assert chi["reader"].tolist() == [other]
    assert chi["right"].iloc[0] == table.loc[table["reader"] == other, "accuracy"].sum()
    assert chi["p"].iloc[0] < 0.05
    scanners = differences.scanners_table(table, [other])
    assert scanners["scanners"].tolist() == ["A, B"]
    tukey = differences.tukey_table(table[table["fraction"] == 75])
    assert len(tukey) == 3
    assert tukey["p"].notna().all()


def test_readers_are_named_by_network_strategy_and_part_of_the_images() -> None:
    row = {"model": "vgg16", "strategy": "FC6-8", "fraction": 80.0, "start": "ImageNet"}
    assert reader_name(row) == "VGG16 · FC6-8 · 80 %"
    assert reader_name(row, several_starts=True) == "VGG16 · FC6-8 · 80 % · ImageNet"
    assert reader_name({**row, "strategy": AS_PRETRAINED}) == "VGG16 · out of the box"
