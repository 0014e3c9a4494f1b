"""What pages read: tables kept until the store's listing changes, and statistics of the rows that are finished."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard import data
from dashboard.figures import image_rows
from dashboard.figures.cells import CHOSEN, trial_table
from engine.store import Store
from tests.made_store import attempts_of, made_attempt, made_store, made_trials, plan_of

STRATEGIES = ("whole network", "contracting", "expanding", "block 9", "from scratch")
MADE: dict[str, Any] = {
    "strategies": STRATEGIES, "folds": (0, 1, 2), "rates": (1e-3, 1e-4), "seeds": (0, 1), "as_pretrained": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Store]:
    """A finished study of three folds, two rates and two seeds."""
    folder = tmp_path_factory.mktemp("data")
    return folder, made_store(folder / "results", folder / "cache", **MADE)


@pytest.fixture
def study(made: tuple[Path, Store], monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the finished study, in the store that pages read."""
    monkeypatch.setenv("WHICHLAYERS_STORE", str(made[0] / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(made[0] / "cache"))
    return "made"


def test_what_a_page_changes_is_not_kept(study: str) -> None:
    for read in (
        lambda: data.plan(study),
        lambda: data.trials(study, CHOSEN),
        lambda: data.folds(study, CHOSEN, "dice"),
        lambda: data.cells(study, CHOSEN, "dice"),
        lambda: data.test_table(study, CHOSEN),
    ):
        before = read()
        changed = read()
        changed["strategy"] = "changed"
        changed.loc[changed.index[0], "fold"] = 99
        pd.testing.assert_frame_equal(read(), before)


def test_a_new_attempt_is_seen_and_nothing_is_read_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(tmp_path / "results"))
    store = made_store(tmp_path / "results", tmp_path, strategies=("block 9",), finished=lambda place, trial: place < 3)
    assert data.trials("made", 1e-4)["closed"].sum() == 3
    before = data.stamp("made")
    assert data.stamp("made") == before
    store.append("made", made_attempt(made_trials(data.plan("made")["data"].iloc[0], strategies=("block 9",))[3]))
    assert data.stamp("made") != before
    assert data.trials("made", 1e-4)["closed"].sum() == 4
    store.write_progress("made", {"state": "running"})
    assert data.stamp("made") != before  # of what runs say, nothing is kept


def test_the_table_is_there_before_its_statistics(study: str) -> None:
    first = data.marked_cells(study, CHOSEN, "dice", wait=False)
    assert "low" not in first
    assert not first["not_inferior"].any()
    assert data.compute_statistics(study, CHOSEN, "dice")
    assert not data.compute_statistics(study, CHOSEN, "dice")
    table = data.marked_cells(study, CHOSEN, "dice", wait=False)
    assert (table["low"] <= table["mean"]).all()
    assert (table["mean"] <= table["high"]).all()
    assert set(table["interval"]) == {"bootstrap over 24 images"}
    assert list(table["images"]) == [sum(images) for images in table["fold_images"]]
    assert [len(images) for images in table["fold_images"]] == [len(folds) for folds in table["fold_numbers"]]
    assert all(groups == [0] * len(groups) for groups in table["fold_groups"]), "these images name no group"
    recommended = data.recommendations(study, CHOSEN)
    assert {place[2] for place in recommended} == {80.0, 5.0}
    marked = set(zip(table["fraction"], table["strategy"], table["not_inferior"], strict=True))
    for (_, _, fraction), found in recommended.items():
        for name, good in zip(found.candidates["strategy"], found.candidates["non_inferior"], strict=True):
            assert (fraction, name, bool(good)) in marked


def test_a_recommendation_is_of_a_fraction_and_a_start(study: str) -> None:
    found = data.recommendation(study, CHOSEN, 80.0)
    assert found is not None
    assert found.reference == "whole network"
    assert found.sentence
    assert data.recommendation(study, CHOSEN, 50.0) is None
    assert data.recommendation(study, CHOSEN, 80.0, start="another") is None


def test_intervals_are_of_any_measure(study: str) -> None:
    for measure in ("iou", "hd95"):
        table = data.marked_cells(study, 1e-4, measure)
        assert ((table["low"] <= table["mean"]) & (table["mean"] <= table["high"])).all()
        assert "not_inferior" not in table


def test_claims_orders_start_weights_and_calibration_are_read_like_cells(study: str) -> None:
    claims = data.claims(study, CHOSEN)
    assert len(claims) == 10
    assert set(claims["verdict"]) <= {"agrees", "disagrees", "cannot tell", "not in this study", "not claimed"}
    agreement = data.agreement(study, CHOSEN)
    assert list(agreement["published"]) == ["SUS, Amiri et al. 2020"] * 2
    assert (agreement["common"] == 5).all()
    assert data.pretrained(study).loc[0, ["folds", "complete"]].tolist() == [3, True]
    bins = data.calibration(study, CHOSEN)
    assert len(bins) == 10 * 2 * len(STRATEGIES) * 3 * 2
    assert set(bins["strategy"]) == set(STRATEGIES)


def test_measures_are_offered_where_they_were_measured(study: str) -> None:
    assert data.measures(study) == ["Dice", "IoU", "HD95"]


def test_the_test_table_has_a_row_per_image_of_the_trainings_that_count(study: str) -> None:
    table = data.test_table(study, CHOSEN)
    assert len(table) == 8 * 3 * 2 * 2 * len(STRATEGIES)  # images of a fold, folds, seeds, fractions
    assert table["strategy"].dtype == "category"
    one = table[(table["fraction"] == 80) & (table["strategy"] == "contracting") & (table["fold"] == 1)]
    trial = data.trials(study, CHOSEN)
    trial = trial[(trial["fraction"] == 80) & (trial["strategy"] == "contracting") & (trial["fold"] == 1)]
    stored = data.test_images(study, trial).merge(trial[["id", "seed", "learning_rate"]], on="id")
    keys = ["seed", "index"]
    pd.testing.assert_frame_equal(
        one.sort_values(keys)[[*keys, "dice", "learning_rate", "image"]].reset_index(drop=True),
        stored.sort_values(keys)[[*keys, "dice", "learning_rate", "image"]].reset_index(drop=True),
    )
    by_cell = table.groupby(["fraction", "strategy", "fold"])["dice"].mean()
    folds = data.folds(study, CHOSEN, "dice").set_index(["fraction", "strategy", "fold"])["value"]
    assert by_cell.to_dict() == pytest.approx(folds.to_dict())


def test_the_test_table_keeps_unfinished_cells_and_failed_trainings_out() -> None:
    trials = made_trials("d", strategies=("whole network", "block 9"), fractions=(80,), folds=(0, 1))
    failed = {"state": "not_converged"}
    attempts = [made_attempt(trial, **(failed if trial.fold else {})) for trial in trials[:3]]
    images = pd.DataFrame(
        {
            "id": pd.Categorical([attempt.trial.id for attempt in attempts for _ in range(2)]),
            "number": 1, "index": [0, 5] * 3, "group": "", "image": "x", "dice": np.arange(6) / 10, "iou": 0.5,
            "hd95": 1.0, "empty_truth": False, "predicted_pixels": 9,
        }
    )  # fmt: skip
    found = image_rows.test_table(images, trial_table(plan_of(trials), attempts_of(*attempts)))
    assert list(found["strategy"].astype(str)) == ["whole network"] * 2
    assert list(found["dice"]) == [0.0, 0.1]


def test_seeds_are_averaged_per_image_and_normal_images_only_count_for_false_positives() -> None:
    images = pd.DataFrame(
        {"start": "", "network": "", "fraction": 80.0, "strategy": "x", "fold": 0, "seed": [0, 0, 0, 1, 1, 1],
         "index": [0, 5, 9] * 2, "group": "g", "dice": [0.2, 0.4, 1.0, 0.4, 0.8, 1.0], "hd95": [1, None, None] * 2,
         "empty_truth": [False, False, True] * 2, "predicted_pixels": [5, 5, 0, 5, 5, 7]}
    )  # fmt: skip
    assert image_rows.mean_over_seeds(images)["dice"].tolist() == pytest.approx([0.3, 0.6])
    assert image_rows.mean_over_seeds(images, "hd95")["index"].tolist() == [0]
    positive = image_rows.mean_over_seeds(images, "false_positive_rate")
    assert positive[["index", "dice"]].to_numpy().tolist() == [[9, 0.5]]


def test_a_distance_that_is_undefined_is_the_worst() -> None:
    images = pd.DataFrame({"dice": [0.5, 0.6, 0.7], "iou": [0.3, 0.4, 0.5], "hd95": [2.0, None, 9.0]})
    assert image_rows.with_score(images, "hd95")[image_rows.SCORE].rank().tolist() == [3, 1, 2]
    assert image_rows.with_score(images, "iou")[image_rows.SCORE].tolist() == [0.3, 0.4, 0.5]
