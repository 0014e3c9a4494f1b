"""Who said what of which frame: complete cells of classification studies as one table, and what was measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard import answers, data
from dashboard.figures import answer_rows
from dashboard.figures.readers import NETWORK, PERSON
from engine import reader_study
from engine.store import Store
from engine.trial import Trial
from tests.made_classification import CLASSES, made_classification
from tests.made_store import made_store


def failed(place: int, trial: Trial) -> Mapping[str, Any]:
    return {"state": "not_converged"} if trial.strategy == "output layers" and trial.fold == 0 else {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`views` is finished, `other` is another network on the same frames, `early` lacks a fold, `masks` has masks."""
    folder = tmp_path_factory.mktemp("answers")
    places = folder / "results", folder / "cache"
    small: dict[str, Any] = {"patients": 8, "frames": 1, "fractions": (75,)}
    made_classification(*places, strategies=("whole network", "output layers"), changes=failed, **small)
    made_classification(*places, study="other", model="mobilenet", strategies=("whole network",), **small)
    made_classification(*places, study="same", strategies=("whole network",), **small)
    made_classification(*places, study="early", finished=lambda place, trial: trial.fold < 3, **small)
    made_store(*places, study="masks", fractions=(80,), strategies=("whole network",), images=10)
    return folder


@pytest.fixture(autouse=True)
def places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "cache"))


def test_every_frame_has_an_answer_of_every_complete_cell() -> None:
    table = answers.answers("views")
    assert list(table.columns) == answer_rows.COLUMNS
    assert answers.readers(table) == [
        "CVCNet · out of the box", "CVCNet · whole network · 75 %", "CVCNet · output layers · 75 %",
    ]  # fmt: skip
    assert table.groupby("reader")["index"].nunique().tolist() == [56, 42, 56]  # the failed fold is left out
    assert not table.duplicated(["reader", "index"]).any()
    row = table.iloc[0]
    assert row["predicted"] == CLASSES[int(np.argmax(row["probabilities"]))]
    assert row["accuracy"] == float(row["predicted"] == row["label"])
    assert set(table["kind"]) == {NETWORK}


def test_what_is_handed_out_is_a_copy() -> None:
    table = answers.answers("views")
    table["reader"] = "changed"
    assert "changed" not in set(answers.answers("views")["reader"])


def test_cells_that_are_not_complete_say_nothing() -> None:
    assert not len(answers.answers("early"))


def test_a_study_of_masks_has_no_answers() -> None:
    table = answers.answers("masks")
    assert not len(table)
    assert list(table.columns) == answer_rows.COLUMNS
    assert data.task("masks") == "segmentation"


def test_studies_of_the_same_frames_can_be_put_beside_and_told_apart() -> None:
    assert answers.comparable("views") == ["early", "other", "same"]
    beside = answers.readers(answers.answers("views", others=["other"]))
    assert "MobileNet v1 · whole network · 75 %" in beside
    double = answers.readers(answers.answers("views", others=["same"]))
    assert "views: CVCNet · whole network · 75 %" in double
    assert "same: CVCNet · whole network · 75 %" in double
    assert "CVCNet · output layers · 75 %" in double


def test_the_same_words_on_other_frames_are_not_kept_from_before() -> None:
    table = answers.answers("views")
    own = table[table["reader"] == "CVCNet · whole network · 75 %"].assign(predicted=CLASSES[0])
    frames = own.assign(accuracy=(own["label"] == CLASSES[0]).astype(float))
    turned = own.assign(label=np.where(own["label"] == CLASSES[0], CLASSES[1], CLASSES[0]))
    turned = turned.assign(accuracy=(turned["label"] == CLASSES[0]).astype(float))
    first, second = (answers.accuracies("views", part) for part in (frames, turned))
    (one,), (other,) = first.values(), second.values()
    assert one.accuracy.value == pytest.approx(frames["accuracy"].mean())
    assert other.accuracy.value == pytest.approx(turned["accuracy"].mean())
    assert one.accuracy.value != other.accuracy.value


def test_of_a_reader_every_frame_is_there_once() -> None:
    table = answers.answers("views")
    doubled = pd.concat([table.assign(seed=1, predicted="changed"), table], ignore_index=True)
    own = answers.of_reader(doubled, "CVCNet · whole network · 75 %")
    assert own["index"].tolist() == sorted(set(own["index"]))
    assert "changed" not in set(own["predicted"])


def test_attempts_stand_beside_their_answers() -> None:
    table = answers.answers("views", others=["other"])
    found = answers.attempts_of(table)
    assert set(found["id"]) == set(table["id"])
    assert found["seconds_per_image"].notna().all()


def test_a_person_stands_beside_the_networks_as_soon_as_one_frame_is_answered(folder: Path) -> None:
    store, source = Store.at(folder / "results"), data.dataset("other")
    assert source is not None
    frames = reader_study.choose_frames(store.plan("other"), source, fold=0)
    person = reader_study.Reader(name="A. Reader", years=3.0, examinations=100, exposure="none")
    sitting = reader_study.open_reader(store, "other", person, frames)
    before = len(answers.answers("other"))
    sitting.answer(sitting.reading().current, CLASSES[0], seconds=2.5)
    table = answers.answers("other")
    assert len(table) == before + 1
    assert answers.readers(table)[-1] == "A. Reader"
    row = table[table["kind"] == PERSON].iloc[0]
    assert row["predicted"] == CLASSES[0]
    assert row["probabilities"] is None
    assert row["seconds"] == 2.5
