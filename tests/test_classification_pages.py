"""Pages of a classification study as Streamlit runs them, on a store of made attempts: choices, words, addresses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.figures.answer import caveats, images_line
from dashboard.pages import ONLY, PAGES, fits, why_not
from engine.published import pasdeloup2018
from engine.trial import Trial
from tests.drawn_page import drawn_page, texts
from tests.made_classification import made_classification
from tests.made_store import made_store

APP = Path(__file__).parents[1] / "dashboard" / "app.py"


def some(place: int, trial: Trial) -> Mapping[str, Any]:
    return {"state": "not_converged"} if trial.strategy == "output layers" and trial.fold == 1 else {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`views` is finished, `other` another network on its frames, `early` has no complete cell, `masks` has masks."""
    folder = tmp_path_factory.mktemp("classification")
    places = folder / "results", folder / "cache"
    small: dict[str, Any] = {
        "patients": 8,
        "frames": 1,
        "strategies": ("whole network", "input layers", "output layers"),
    }
    made_classification(*places, changes=some, **small)
    made_classification(*places, study="other", model="mobilenet", **{**small, "fractions": (75,)})
    made_classification(*places, study="early", finished=lambda place, trial: place < 5, state="running", **small)
    made_store(*places, study="masks", fractions=(80,), strategies=("whole network",), images=10)
    return folder


@pytest.fixture(autouse=True)
def places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "cache"))


def run(page: str, study: str | None = "views", **asked: str) -> AppTest:
    return drawn_page(page, study, asked)


def html(test: AppTest) -> str:
    return "\n".join(str(part.proto.body) for part in test.get("html"))


PROVENANCE = "seven made views of made patients through scanners A and B; not images of people"
CAVEAT = "Simulated: shows the method, not evidence."


@pytest.mark.parametrize("page", ["accuracy", "confusion", "mistakes"])
def test_every_page_says_where_its_results_come_from_and_what_they_are_not(page: str) -> None:
    told = texts(run(page))
    assert PROVENANCE in told
    assert "start weights: 1,400 made views through scanner A" in told
    assert "CVCNet (our reconstruction)" in told
    assert told.count(CAVEAT) == 1


@pytest.mark.parametrize("page", ["results", "comparisons", "cost", "curves", "quality", "images", "layer_by_layer"])
def test_pages_of_both_tasks_say_accuracy_and_the_caveat_and_never_dice(page: str) -> None:
    test = run(page)
    told = texts(test)
    assert told.count(CAVEAT) == 1
    assert "Dice" not in told
    assert not [box for box in (*test.selectbox, *test.segmented_control) if "Dice" in map(str, box.options)]


@pytest.mark.parametrize("page", ["accuracy", "confusion", "mistakes"])
def test_until_a_cell_is_complete_a_page_says_what_it_waits_for(page: str) -> None:
    assert "No answer yet: networks stand here once all folds of a cell are done" in texts(run(page, "early"))


@pytest.mark.parametrize("page", ["accuracy", "confusion", "mistakes"])
def test_without_a_study_a_page_says_what_will_be_there(page: str) -> None:
    assert "No study yet" in texts(run(page, None))


def test_results_has_tables_1_and_3_in_accuracy_without_published_ones() -> None:
    test = run("results")
    assert [one.value for one in test.subheader][-2:] == [
        "Table I: images of each fold", "Table III: accuracy and minutes",
    ]  # fmt: skip
    first, third, every = (table.value for table in test.dataframe)
    assert first["images of"].nunique() == 1
    assert every["accuracy"].between(0, 1).all()
    assert set(third["strategy"]) == {"whole network", "input layers", "output layers"}
    assert set(third["part"]) == {"75 %"}
    assert set(every["part"]) > {"75 %"}


def test_results_offers_the_measures_of_classes_and_recommends_by_accuracy() -> None:
    test = run("results")
    assert test.segmented_control(key="measure").options == ["Accuracy", "Top-2", "Balanced accuracy"]
    told = texts(test)
    assert "highest mean test accuracy" in told
    assert "**Recommendation" in told
    assert "0.010 accuracy" in told or "mean accuracy" in told
    assert "**Wrong, most confident**" in told
    other = texts(run("results", measure="Top-2"))
    assert "highest mean test top-2 accuracy" in other
    assert "**Recommendation" not in other


def test_only_studies_of_the_same_task_stand_in_one_table() -> None:
    assert run("results").multiselect(key="with").options == ["early", "other"]
    assert not [box for box in run("results", "masks").multiselect if box.key == "with"]


def test_accuracy_shows_its_tables_and_tests_and_keeps_its_choices_in_the_address() -> None:
    test = run("accuracy", **{"with": "other", "row": "20 %", "published": "hidden"})
    assert test.selectbox(key="row").options == ["75 %", "20 %", "every part"]
    table = test.dataframe[0].value
    assert "CVCNet · input layers · 20 %" in set(table["reader"])
    assert "CVCNet · input layers · 75 %" not in set(table["reader"])
    assert "CVCNet · out of the box" in set(table["reader"])
    told = texts(test)
    assert "Hollow: published" not in told
    assert "ignores pairing and clustering (Cheng and Malhi 2017)" in told
    assert "Tukey's HSD over folds; folds share training images" in told
    every = run("accuracy", **{"with": "other", "row": "every part"})
    assert {"MobileNet v1 · input layers · 75 %", "CVCNet · input layers · 20 %"} <= set(
        every.dataframe[0].value["reader"]
    )
    assert "Hollow: published (Pasdeloup" in texts(every)


def test_accuracy_is_held_against_the_reader_that_is_chosen() -> None:
    assert "Every reader against CVCNet · whole network · 75 %" in texts(run("accuracy"))
    assert "Every reader against CVCNet · out of the box" in texts(run("accuracy", against="CVCNet · out of the box"))


def test_confusion_shows_the_frames_of_the_most_frequent_error_and_of_any_cell() -> None:
    test = run("confusion")
    told = texts(test)
    assert "of 56 frames are right" in told
    truth, said = test.selectbox(key="truth").value, test.selectbox(key="said").value
    assert truth != said
    assert f"frames of {truth} called {said} by CVCNet · whole network · 75 %" in told
    assert f"says <b>{said}</b>" in html(test)
    right = run("confusion", truth="IVC", said="IVC")
    assert "frames of IVC rightly called so" in texts(right)
    assert "✗" not in html(right)


def test_confusion_says_that_the_papers_matrices_are_not_at_hand() -> None:
    said = f"{pasdeloup2018.CITATION.short}: no confusion matrix is at hand in numbers, so none stands here."
    assert said in texts(run("confusion"))


def test_confusion_of_one_fold_has_its_frames_only() -> None:
    test = run("confusion", fold="fold 2")
    assert test.selectbox(key="fold").options == ["all folds", "fold 0", "fold 1", "fold 2", "fold 3"]
    assert "of 14 frames are right" in texts(test)


def test_a_reader_without_its_excess_errors_would_be_more_often_right() -> None:
    other = {"reader": "CVCNet · out of the box", "minus": "CVCNet · input layers · 75 %"}
    test = run("confusion", **other)
    assert "Errors of CVCNet · out of the box minus those of CVCNet · input layers · 75 %" in texts(test)
    cells = test.multiselect(key="without").options
    assert cells
    test.multiselect(key="without").set_value(cells[:2]).run()
    assert not test.exception
    told = texts(test)
    assert "CVCNet · out of the box has" in told
    assert "in these 2 cells it would be" in told
    assert "without" in test.query_params


def test_mistakes_are_chosen_by_agreement_class_and_page() -> None:
    test = run("mistakes")
    assert test.selectbox(key="reader").value == "CVCNet · whole network · 75 %"
    assert "frames were seen by CVCNet · whole network · 75 % and CVCNet · input layers · 75 %" in texts(test)
    assert "✗ CVCNet" in html(test)
    box = test.selectbox(key="agreement")
    assert [name.split(" (")[0] for name in box.options] == [
        "any wrong", "all wrong", "first wrong, others right", "first right, others wrong", "all right",
    ]  # fmt: skip
    box.set_value("all right").run()
    assert not test.exception
    assert "✗" not in html(test)
    assert test.query_params["agreement"] in ("all right", ["all right"])
    only = run("mistakes", agreement="all right", true="PLAX")
    assert "<b>PLAX</b>" in html(only)
    assert "<b>A2C</b></div><div" not in html(only)


def test_mistakes_of_a_failed_training_are_not_shown() -> None:
    """Its frames were seen by the other networks only, so they are no common ones."""
    whole = run("mistakes", reader="CVCNet · whole network · 75 %", beside="CVCNet · input layers · 75 %")
    part = run("mistakes", reader="CVCNet · output layers · 75 %", beside="CVCNet · input layers · 75 %")
    assert "56 frames were seen" in texts(whole)
    assert "42 frames were seen" in texts(part)


def test_frames_that_left_the_cache_are_said_to_be_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "elsewhere"))
    assert "no longer in the cache" in texts(run("mistakes"))


def test_published_shows_the_papers_of_classes() -> None:
    told = texts(run("published"))
    assert "Retraining strategies" in told
    assert "Transfer Learning with Convolutional Neural Networks" in told
    assert "Table II" not in told


def test_every_page_is_for_one_task_or_both_and_says_why_not() -> None:
    assert set(ONLY) <= set(PAGES)
    for address, task in ONLY.items():
        other = "segmentation" if task == "classification" else "classification"
        assert fits(address, task)
        assert not fits(address, other)
        assert fits(address, None)
        assert PAGES[address][1] in why_not(address, other)
    assert fits("results", "classification")


def opened(study: str) -> AppTest:
    page = AppTest.from_file(str(APP), default_timeout=120)
    page.query_params["study"] = study
    page.run()
    assert not page.exception, page.exception
    return page


def test_the_app_opens_a_study_of_each_task() -> None:
    assert "Which layers should be fine-tuned for another scanner?" in opened("views").title[0].value
    assert "Which layers should be fine-tuned for ultrasound?" in opened("masks").title[0].value


def test_a_caveat_that_the_provenance_ends_with_is_said_once() -> None:
    told = {"data": {"name": "views", "provenance": "views: made here; not evidence.", "caveats": ["not evidence"]}}
    assert images_line(told) == "**views**: made here"
    assert caveats(told) == "Not evidence."
