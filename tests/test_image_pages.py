"""Curves, Masks, Features and Quality as Streamlit runs them, on a store of made attempts and on trained networks."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard import data_images
from dashboard.figures.feature_maps import feature_table
from engine.datasets.cached import open_dataset
from engine.errors import StoreError
from engine.store import Store
from engine.study_settings import DataSettings
from engine.trial import AS_PRETRAINED, Bin, Trial
from tests import made
from tests.drawn_page import drawn_page, texts
from tests.made_store import made_attempt, made_facts, made_progress, made_trials

STRATEGIES = ("whole network", "contracting", "block 9")
UNITED = "groups that share identical images stay together: a + b"
BINS = tuple(Bin(low=n / 10, pixels=100, probability_sum=10.0 * n + 5, positive_pixels=10 * n + 4) for n in range(10))


def heads_folder(root: Path, images: int = 30) -> Path:
    """Discs of known size in mm, in two hospitals, two images of each woman; the first four are normal."""
    discs = made.discs(images, side=64)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    lines = ["image,mask,label,group,pixel_size_mm,head_circumference_mm,hospital"]
    for number, (pixels, mask) in enumerate(zip(discs.images, discs.masks, strict=True)):
        file, mask = f"disc_{number:03d}.png", mask * np.uint8(number > 3)
        Image.fromarray(pixels).save(root / "images" / file)
        Image.fromarray(mask * np.uint8(255)).save(root / "masks" / file)
        length = f"{2 * np.sqrt(np.pi * mask.sum()) * 0.5:.1f}" if number > 3 else ""
        hospital = "north" if number % 3 else "south"
        lines.append(f"images/{file},masks/{file},disc,w{number // 2},0.5,{length},{hospital}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`heads` is finished in three folds, with tests of its start weights; `early` has no cell whose folds are done."""
    folder = tmp_path_factory.mktemp("pages")
    cache, store = folder / "cache", Store.at(folder / "results")
    dataset = open_dataset(DataSettings(folder=str(heads_folder(folder / "heads"))), 64, cache)
    trials = made_trials(dataset.fingerprint, strategies=STRATEGIES, fractions=(80, 5), folds=(0, 1, 2))
    as_is = [
        replace(trial, strategy=AS_PRETRAINED, fraction=0.0, units=())
        for trial in trials
        if trial.strategy == "whole network" and trial.fraction == 80
    ]
    for study, planned, done in (("heads", [*trials, *as_is], 21), ("early", trials, 1)):
        store.begin(study, f"name: {study}\n")
        store.write_plan(study, planned, made_facts(dataset, kind="folder", split_note=UNITED))
        for trial in planned[:done]:
            store.append(study, attempt(trial, dataset))
        store.write_progress(study, made_progress("finished", len(planned), done))
    return folder


def attempt(trial: Trial, dataset: Any) -> Any:
    alike = trial if trial.units else replace(trial, strategy="block 9", fraction=5.0)
    return replace(made_attempt(alike, dataset), trial=trial, calibration=BINS)


@pytest.fixture(autouse=True)
def places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "cache"))


def run(page: str, study: str | None = "heads", **asked: str) -> AppTest:
    return drawn_page(page, study, asked)


def options(test: AppTest, label: str) -> list[str]:
    return next(list(box.options) for box in test.selectbox if box.label.startswith(label))


PAGES = {
    "curves": "Learning curves",
    "masks": "Predicted masks",
    "features": "Feature maps",
    "quality": "Calibration and subgroups",
}


@pytest.mark.parametrize("page", list(PAGES))
def test_without_a_study_every_page_says_what_will_be_there(page: str) -> None:
    assert texts(run(page, None)) == f"No study yet, so no {PAGES[page].lower()}."


@pytest.mark.parametrize("page", ["masks", "quality"])
def test_test_images_wait_for_all_folds_of_a_cell(page: str) -> None:
    assert "shown once all folds of a cell are done: none is yet" in texts(run(page, "early"))


def test_curves_can_be_filtered_and_show_what_there_is() -> None:
    test = run("curves")
    assert [box.label for box in test.multiselect] == ["Strategies", "Parts of the images", "Folds"]
    assert test.multiselect[0].options == list(STRATEGIES)
    test.multiselect[0].set_value(["block 9"]).run()
    assert not test.exception
    assert not run("curves", "early").exception


def test_one_image_is_shown_under_every_strategy_at_first_with_the_median_dice() -> None:
    test = run("masks")
    told = texts(test)
    assert len(options(test, "Test image")) == 18  # three folds of thirty images
    assert told == ""
    test.toggle[0].set_value(True).run()
    assert not test.exception
    test.multiselect[0].set_value(["block 9"]).run()
    assert not test.exception


def test_the_image_stays_chosen_when_another_part_of_the_images_is() -> None:
    test = run("masks")
    box = next(box for box in test.selectbox if box.label.startswith("Test image"))
    box.set_value(box.options[4]).run()
    test.selectbox[0].set_value("5 %").run()
    assert not test.exception
    again = next(other for other in test.selectbox if other.label.startswith("Test image"))
    assert again.value == box.options[4]


def test_the_gallery_tells_the_mean_and_pages_through_all_test_images() -> None:
    test = run("masks", masks="gallery", strategy="contracting")
    assert "over 15 images in 3 folds · 3 normal images" in texts(test)
    assert "images 1 to 15 of 15" in texts(test)
    assert options(test, "Order") == ["worst first", "best first", "by name", "normal images"]


def test_before_and_after_shows_three_stages_with_their_means() -> None:
    told = texts(run("masks", masks="before and after"))
    assert "**no fine-tuning**  \nmean Dice 0." in told
    assert "**5 %**  \nmean Dice 0." in told
    assert "**80 %**  \nmean Dice 0." in told


def test_a_study_without_tests_of_its_start_weights_says_so() -> None:
    assert "did not test its start weights" in texts(run("masks", "early", masks="before and after"))


def test_head_circumferences_are_held_against_the_manifest_in_mm() -> None:
    told = texts(run("masks", masks="head circumference"))
    assert "mm** (n = 15 images)" in told
    assert "ellipses through the true masks" in told
    table = data_images.circumferences("heads", trials_of("whole network"))
    np.testing.assert_allclose(table["truth_mm"], table["manifest_mm"], rtol=0.02)


def trials_of(strategy: str) -> pd.DataFrame:
    trials = data_images.data.trials("heads", 1e-4)
    return trials[(trials["strategy"] == strategy) & (trials["fraction"] == 80)]


def test_quality_shows_calibration_and_subgroups_of_one_strategy_and_of_two() -> None:
    test = run("quality")
    assert "**whole network**: expected calibration error **0.010**" in texts(test)
    assert options(test, "Subgroups by") == ["hospital", "head circumference mm"]
    assert "95 % bootstrap intervals" in texts(test)
    assert "Groups that share identical images stay together: a + b." in texts(test)
    both = texts(run("quality", beside="block 9"))
    assert "**block 9**: expected calibration error" in both


def test_features_without_weights_say_that_none_were_kept() -> None:
    assert "of 21 finished trials no trained weights were kept" in texts(run("features"))


def test_images_that_left_the_cache_are_said_to_be_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "elsewhere"))
    assert "no longer in the cache" in texts(run("masks"))


class FeatureMaps:
    """What stands in for the inference process: maps, or the error that it would give."""

    def __init__(self, error: StoreError | None = None) -> None:
        self.error = error
        self.asked: list[tuple[str, str, tuple[int, ...]]] = []

    def feature_maps(self, study: str, trial_id: str, unit: str, image: np.ndarray) -> Mapping[str, Any] | tuple:
        """As `InferenceWorker.feature_maps`."""
        if self.error:
            raise self.error
        self.asked.append((study, unit, image.shape))
        maps = np.random.default_rng(len(unit)).random((5, 8, 8)).astype(np.float32)
        return maps, maps[::-1].copy()


@pytest.fixture
def weights(folder: Path) -> Any:
    """Weights of one trial, so that the pages offer it; its network is never loaded here."""
    trial = trials_of("whole network")["id"].iloc[0]
    path = folder / "results" / "heads" / "weights" / f"{trial}.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    yield path
    path.unlink()


def test_features_show_a_shallow_and_a_deep_unit_of_a_test_image(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = FeatureMaps()
    monkeypatch.setattr(data_images, "shared_worker", lambda root: worker)
    data_images._feature_maps.clear()
    test = run("features")
    assert {unit for _, unit, _ in worker.asked} == {"1", "9"}
    assert worker.asked[0][2] == (64, 64)
    assert options(test, "Shallow unit")[:2] == ["1", "2"]
    assert options(test, "Deep unit")[:2] == ["9", "8"]
    assert [part.value for part in test.subheader] == ["Unit 1", "Unit 9"]
    told = feature_table(*worker.feature_maps("", "", "1", np.zeros((64, 64))))
    assert f"median change {told['change'].median():.2f} over 5 maps" in texts(test)


def test_weights_that_are_gone_are_told_in_place_of_maps(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = StoreError("study 'heads': start weights are not in the store; run the study again to make them")
    monkeypatch.setattr(data_images, "shared_worker", lambda root: FeatureMaps(gone))
    data_images._feature_maps.clear()
    assert "start weights are not in the store" in texts(run("features"))


@pytest.fixture
def several(folder: Path) -> None:
    """The study `several`: two start weights, whose trainings at 5 % all failed in fold 0."""
    store, cache = Store.at(folder / "results"), folder / "cache"
    if "several" in store.studies():
        return
    source = open_dataset(DataSettings(folder=str(folder / "heads")), 64, cache)
    planned = [
        replace(trial, start=name, start_weights=name * 64, strategy=strategy, units=units, fraction=fraction)
        for trial in made_trials(source.fingerprint, strategies=("whole network",), fractions=(80,), folds=(0, 1, 2))
        for name in "ab"
        for strategy, units, fraction in (
            ("whole network", trial.units, 80.0), ("whole network", trial.units, 5.0), (AS_PRETRAINED, (), 0.0),
        )
    ]  # fmt: skip
    store.begin("several", "name: several\n")
    store.write_plan("several", planned, made_facts(source, kind="folder"))
    for trial in planned:
        failed = {"state": "not_converged"} if trial.fraction == 5 and trial.fold == 0 else {}
        store.append("several", replace(attempt(trial, source), **failed))


@pytest.mark.usefixtures("several")
def test_several_start_weights_are_strategies_of_their_own() -> None:
    assert options(run("masks", "several", masks="gallery"), "Strategy") == ["whole network · a", "whole network · b"]
    assert options(run("masks", "several", masks="before and after", start="b"), "Strategy") == ["whole network · b"]


@pytest.mark.usefixtures("several")
def test_failed_trainings_are_shown_in_the_gallery_and_left_out_of_means() -> None:
    shown = run("masks", "several", masks="gallery", row="5 %", gallery_order="by name")
    assert "in 2 folds" in texts(shown)
    assert "images 1 to 18 of 18" in texts(shown)
    stages = texts(run("masks", "several", masks="before and after"))
    assert "mean Dice 0." in stages
    assert "over 2,000 test pixels" in texts(run("quality", "several", row="5 %"))  # two folds of 1,000


@pytest.mark.usefixtures("several")
def test_choices_that_another_study_does_not_have_are_forgotten() -> None:
    test = run("curves", curve_strategy="block 9")
    assert test.multiselect[0].value == ["block 9"]
    test.session_state["current"] = "several"
    test.run()
    assert not test.exception
    assert test.multiselect[0].value == []
