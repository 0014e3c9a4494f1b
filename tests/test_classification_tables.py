"""Accuracy in place of Dice: cells, tables in the terminal, layer by layer, confidence, and what Live offers."""

import json
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from dashboard.figures.calibration import calibration, calibration_table, confidence_bins
from dashboard.figures.cells import CHOSEN, cell_table, fold_table, strategy_order, trial_table
from dashboard.figures.curve_sheet import curve_sheet, curve_sheet_table, key, loss_range, scored, shows
from dashboard.figures.layers import layers, layers_table, series
from dashboard.figures.measures import ACCURACY, DICE, in_words_of, main_of, measures_of, task_of
from dashboard.figures.table2 import table2_table
from dashboard.report.findings import read_findings
from dashboard.trained_trials import TrainedStudies
from engine.architectures import UNITS
from engine.datasets import Dataset
from engine.significance import balanced_intervals
from engine.store import Store
from engine.trial import Attempt, Trial
from tests.made_classification import (
    classification_attempt,
    classification_trials,
    made_classification,
    made_views,
)
from tests.made_store import attempts_of, plan_of
from whichlayers.cli import app


@cache
def views() -> Dataset:
    return made_views(patients=8, frames=1)


def tried(**trials: Any) -> tuple[list[Trial], list[Attempt]]:
    planned = classification_trials(views().fingerprint, **trials)
    return planned, [classification_attempt(trial, views()) for trial in planned]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    made_classification(folder / "results", folder / "cache", patients=8, frames=1, fractions=(75,))
    return folder


def said(folder: Path, *words: str) -> str:
    found = CliRunner().invoke(app, [*words, "--store", str(folder / "results")])
    assert found.exit_code == 0, found.output
    return found.stdout


def test_a_study_names_its_task_and_has_its_measures() -> None:
    assert task_of({}) == "segmentation"
    assert main_of({"settings": {}}) == DICE
    assert main_of({"settings": {"task": "classification"}}) == ACCURACY
    assert list(measures_of("classification")) == ["Accuracy", "Top-2", "Balanced accuracy"]
    assert "Accuracy" not in measures_of("segmentation")


def test_words_of_dice_are_said_of_accuracy() -> None:
    text = "within 0.010 Dice of whole network; mean Dice 0.020 below; 1 training only said background"
    assert in_words_of(text, DICE) == text
    assert in_words_of(text, ACCURACY) == (
        "within 0.010 accuracy of whole network; mean accuracy 0.020 below; 1 training gave one class to every image"
    )


def test_cells_are_means_of_accuracy_with_what_is_left_on_the_old_scanner() -> None:
    planned, attempts = tried(fractions=(75,))
    plan = plan_of(planned)
    assert strategy_order(plan) == ["input layers", "output layers", "whole network", "from scratch"]
    cells = cell_table(
        fold_table(trial_table(plan, attempts_of(*attempts)), "accuracy"), plan, "views", measure="accuracy"
    )
    own = [one.accuracy for one in attempts if one.trial.strategy == "input layers"]
    row = cells.set_index("strategy").loc["input layers"]
    assert row["mean"] == pytest.approx(np.mean([value for value in own if value is not None]))
    assert row["kept"] == pytest.approx(0.845)
    assert row["validation"] > 0
    hover = table2_table(cells, measure="Accuracy").set_index("strategy").loc["input layers", "hover"]
    assert "accuracy left on the start weights' own images 0.845" in hover
    assert "Dice" not in hover


def test_the_rate_with_the_highest_validation_accuracy_is_chosen() -> None:
    planned, attempts = tried(fractions=(75,), strategies=("whole network",), rates=(1e-3, 1e-4), as_pretrained=False)
    chosen = trial_table(plan_of(planned), attempts_of(*attempts), CHOSEN)
    best = {
        fold: max(
            (one for one in attempts if one.trial.fold == fold), key=lambda one: one.validation_accuracy or 0.0
        ).trial.id
        for fold in range(4)
    }  # fmt: skip
    assert chosen.set_index("fold")["id"].to_dict() == best


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("input layers", [("shallow to deep", 3.0, "block")]),
        ("output layers", [("deep to shallow", 8.0, "block")]),
        ("first 2 units", [("shallow to deep", 2.0, "block")]),
        ("last unit", [("deep to shallow", 10.0, "block"), ("alone", 10.0, "block")]),
        ("whole network", [("shallow to deep", 10.0, "block"), ("deep to shallow", 1.0, "block")]),
        ("from scratch", []),
        ("statistics only", []),
        ("no strategy at all", []),
    ],
)
def test_strategies_of_a_classifier_belong_to_series_of_its_units(
    name: str, found: list[tuple[str, float, str]]
) -> None:
    assert series(name, "cvcnet") == found


def test_layer_by_layer_names_the_units_of_a_classifier() -> None:
    planned, attempts = tried(fractions=(75,))
    plan = plan_of(planned)
    cells = cell_table(
        fold_table(trial_table(plan, attempts_of(*attempts)), "accuracy"), plan, "views", measure="accuracy"
    )
    figure = layers(layers_table(cells, "cvcnet"), measure="accuracy", model="cvcnet")
    assert figure.layout.xaxis.ticktext == UNITS["cvcnet"]
    assert figure.layout.yaxis.title.text == "mean test accuracy"


def test_confidence_is_held_against_how_often_images_are_right() -> None:
    images = pd.DataFrame(
        {
            "id": "a", "number": 1, "accuracy": [1.0, 0.0, 1.0, 1.0],
            "probabilities": [np.array([0.95, 0.05]), np.array([0.41, 0.59]), np.array([0.52, 0.48]), None],
        }
    )  # fmt: skip
    bins = confidence_bins(images)
    assert bins["low"].tolist() == [0.5, 0.9]
    assert bins["pixels"].tolist() == [2, 1]
    assert bins["positive_pixels"].tolist() == [1, 1]
    table = calibration_table(bins, pd.DataFrame({"id": ["a"], "number": [1], "strategy": ["FC8"]}))
    figure = calibration(table, of="images")
    assert figure.layout.yaxis.title.text == "part of the images that is right"


def test_curves_are_of_validation_accuracy_and_the_test_curve_stands_apart() -> None:
    planned, attempts = tried(fractions=(75,), strategies=("whole network",), folds=(0,), as_pretrained=False)
    trials = trial_table(plan_of(planned), attempts_of(*attempts))
    epochs = pd.DataFrame(
        [
            {"id": one.trial.id, "number": 1, **vars(epoch), "test_accuracy": 0.5}
            for one in attempts
            for epoch in one.epochs
        ]
    )
    table = curve_sheet_table(epochs, trials)
    assert table["validation"].equals(table["validation_accuracy"])
    figure = curve_sheet(table, show=shows("accuracy")[2], measure="accuracy", loss="cross entropy")
    assert figure.layout.yaxis.title.text == "<b>75 %</b><br>validation accuracy"
    assert any("test accuracy" in str(trace.name) for trace in figure.data)
    assert scored(table) == "validation"


def test_curves_without_validation_are_of_the_test_images_alone_and_say_so() -> None:
    planned, attempts = tried(fractions=(75,), strategies=("whole network",), folds=(0,), as_pretrained=False)
    nothing = {"validation_accuracy": None, "validation_loss": None, "test_accuracy": 0.5, "test_loss": 0.9}
    epochs = pd.DataFrame(
        [{"id": one.trial.id, "number": 1, **vars(epoch), **nothing} for one in attempts for epoch in one.epochs]
    )
    table = curve_sheet_table(epochs, trial_table(plan_of(planned), attempts_of(*attempts)))
    assert scored(epochs) == scored(table) == "test"
    figure = curve_sheet(table, show=shows("accuracy")[0], measure="accuracy", loss="cross entropy")
    titles = [axis.title.text for axis in figure.select_yaxes() if axis.title.text]
    assert titles == ["<b>75 %</b><br>cross entropy", "<b>75 %</b><br>test accuracy"]
    assert {trace.name for trace in figure.data if trace.mode == "lines"} == {
        "fold 0, training loss",
        "fold 0, test loss",
        "fold 0, test accuracy",
    }
    assert loss_range(table)[2] == 0  # what nothing validates lies above no axis
    assert shows("accuracy", "test")[2] == "test accuracy"
    told = key([0], "test")
    assert "dotted gray" in told
    assert "test" in told
    assert "validation" not in told
    assert "weights kept" not in told


def test_the_table_in_the_terminal_is_of_accuracy(folder: Path) -> None:
    text = said(folder, "table", "views")
    assert "Accuracy on test images" in text
    assert "Dice" not in text
    latex = said(folder, "table", "views", "--format", "latex")
    assert "Accuracy on test images by the layers" in latex
    told = json.loads(said(folder, "table", "views", "--format", "json"))
    assert told["measure"] == "accuracy"
    assert len(told["cells"]) == 4
    csv = said(folder, "table", "views", "--format", "csv", "--measure", "top2")
    accuracy = {cell["strategy"]: cell["mean"] for cell in told["cells"]}
    for line in csv.splitlines()[1:]:
        assert float(line.split(",")[7]) >= accuracy[line.split(",")[6]]


def test_tables_for_programs_have_the_interval_of_every_measure(folder: Path) -> None:
    images = read_findings(Store.at(folder / "results"), "views").images
    found = balanced_intervals(images).set_index("strategy")
    for form in ("csv", "json"):
        told = said(folder, "table", "views", "--format", form, "--measure", "balanced_accuracy")
        cells = pd.read_csv(StringIO(told)) if form == "csv" else pd.DataFrame(json.loads(told)["cells"])
        assert list(cells["low"]) == pytest.approx(list(found.loc[cells["strategy"], "low"]))
        assert ((cells["low"] < cells["mean"]) & (cells["mean"] < cells["high"])).all()
        assert set(cells["interval"]) == {"bootstrap over 8 groups"}
    told = pd.read_csv(StringIO(said(folder, "table", "views", "--format", "csv")))
    assert (told["low"] < told["mean"]).all()


def test_the_answer_in_the_terminal_is_of_accuracy(folder: Path) -> None:
    text = said(folder, "results", "views")
    assert "Accuracy on test images" in text
    assert "input layers minus output layers" in text
    assert "Dice" not in text


def test_a_measure_of_masks_is_refused_with_those_of_classes(folder: Path) -> None:
    found = CliRunner().invoke(app, ["table", "views", "--measure", "dice", "--store", str(folder / "results")])
    assert found.exit_code == 2
    assert "'dice' is none of accuracy, top2, balanced_accuracy" in " ".join(found.output.replace("│", " ").split())


def test_tables_can_be_taken_away(folder: Path, tmp_path: Path) -> None:
    said(folder, "report", "views", "--csv", "-o", str(tmp_path))
    images = pd.read_csv(tmp_path / "images.csv")
    assert {"label", "predicted", "accuracy", "top2", "scanner"} <= set(images)
    assert set(pd.read_csv(tmp_path / "cells.csv")["measure"]) == {"Accuracy", "Top-2", "Balanced accuracy"}


def test_live_offers_networks_of_classes_by_validation_accuracy(folder: Path) -> None:
    store = Store.at(folder / "results")
    trial = store.plan("views").query("strategy == 'input layers'")["id"].iloc[0]
    path = folder / "results" / "views" / "weights" / f"{trial}.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    studies = TrainedStudies(store)
    assert studies.names() == ["views"]
    assert studies.task("views") == "classification"
    accuracy = store.attempts("views").set_index("id").loc[trial, "validation_accuracy"]
    assert studies.trials("views") == [(f"input layers · 75 % · fold 0 · validation accuracy {accuracy:.2f}", trial)]
    assert f"accuracy {accuracy:.3f} on its validation images" in studies.provenance("views", trial)
    path.unlink()
