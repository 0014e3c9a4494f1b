"""Loading a trained classifier, and how probable it finds each class for a frame."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.classifying import LoadedClassifier, classify, load_classifier
from engine.datasets.crops import Crop, central_square
from engine.datasets.kept_crop import kept_crop
from engine.errors import DataError, StoreError
from engine.images import resize_image
from engine.training import split_of
from engine.trial import Trial
from tests.test_classification import CLASSES, SIDE
from tests.trained_classes import STUDY, TrainedClasses, make_trained_classes

FRAME = np.random.default_rng(5).integers(0, 256, (90, 120), dtype=np.uint8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedClasses:
    return make_trained_classes(tmp_path_factory.mktemp("classes"))


def loaded(trained: TrainedClasses, trial: Trial, squares: Crop = None) -> LoadedClassifier:
    found = load_classifier(trained.store, STUDY, trial.id, cache=trained.cache, device="cpu")
    return replace(found, squares=squares)


@pytest.mark.parametrize("name", ["tuned", "scratch"])
def test_a_test_image_gets_the_probabilities_of_its_trial(trained: TrainedClasses, name: str) -> None:
    trial: Trial = getattr(trained, name)
    model, images = loaded(trained, trial), trained.store.test_images(STUDY, [trial.id])
    assert len(images) == 9
    for row in images.itertuples():
        said = classify(model, np.asarray(trained.dataset.images[row.index]))
        np.testing.assert_allclose(said.probabilities, row.probabilities, atol=1e-6)
        assert model.classes[int(said.probabilities.argmax())] == row.predicted


def test_what_is_seen_is_resized_centred_and_less_the_mean_as_in_training(trained: TrainedClasses) -> None:
    model = loaded(trained, trained.tuned)
    said = classify(model, FRAME)
    square = resize_image(FRAME, SIDE)
    np.testing.assert_array_equal(said.seen, square[4:36, 4:36])
    training = trained.dataset.images[list(split_of(trained.tuned, trained.dataset).training)]
    mean = training.mean(axis=0) / 255
    assert model.mean is not None
    np.testing.assert_allclose(model.mean, mean, atol=1e-6)
    inputs = torch.from_numpy((square / 255 - mean)[4:36, 4:36].astype(np.float32))[None, None]
    with torch.inference_mode():
        expected = model.model.network(inputs)[0].softmax(dim=0).numpy()
    np.testing.assert_allclose(said.probabilities, expected, atol=1e-5)
    assert said.probabilities.sum() == pytest.approx(1)
    assert model.classes == CLASSES
    assert said.how == (
        "All of it, resized to 40 × 40 as in training, of that the centre of 32 × 32; the mean of the training images "
        "is taken off."
    )
    assert list(said.milliseconds) == ["resize", "network"]


@pytest.mark.parametrize(
    ("squares", "scanner", "side"), [("square", "", 90), ({"A": 60}, "", 60), ({"A": 60, "B": 40}, "B", 40)]
)
def test_the_studys_square_is_cut_out_first(trained: TrainedClasses, squares: Crop, scanner: str, side: int) -> None:
    model = loaded(trained, trained.scratch, squares)
    cut = classify(model, FRAME, scanner=scanner)
    plain = classify(loaded(trained, trained.scratch), central_square(FRAME, side))
    np.testing.assert_array_equal(cut.probabilities, plain.probabilities)
    np.testing.assert_array_equal(cut.seen, plain.seen)
    assert cut.how.startswith(f"Its central square of {side} pixels, resized to 40 × 40")


def test_a_frame_that_cannot_be_cut_is_said_in_one_line(trained: TrainedClasses) -> None:
    model = loaded(trained, trained.scratch, {"A": 60, "B": 100})
    with pytest.raises(DataError, match="choose one of A, B"):
        classify(model, FRAME, scanner="C")
    with pytest.raises(DataError, match="120 x 90 pixels; a square of 100"):
        classify(model, FRAME, scanner="B")


def test_the_mean_image_needs_the_studys_images_and_nothing_else_does(trained: TrainedClasses, tmp_path: Path) -> None:
    for cache in (None, tmp_path):
        with pytest.raises(DataError, match="takes the mean of its training images off"):
            load_classifier(trained.store, STUDY, trained.tuned.id, cache=cache, device="cpu")
        assert load_classifier(trained.store, STUDY, trained.scratch.id, cache=cache, device="cpu").mean is None


def test_classes_that_are_not_named_are_a_store_error(trained: TrainedClasses, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = trained.store.facts(STUDY)
    named = {**facts, "data": {**facts["data"], "classes": ["one"]}}
    monkeypatch.setattr(trained.store, "facts", lambda study: named)
    with pytest.raises(StoreError, match="1 names for the 3 classes"):
        load_classifier(trained.store, STUDY, trained.scratch.id, device="cpu")


@pytest.mark.parametrize(
    ("text", "crop"),
    [
        ("name: x\n", None),
        ("name: x\ndata: {square: false, crop: {}}\n", None),
        ("name: x\ndata: {square: true}\n", "square"),
        ("name: x\ndata:\n  crop: {Philips: 600, 12: 372}\n", {"Philips": 600, "12": 372}),
        ("name: [x\n", None),
        ("- a list\n", None),
    ],
)
def test_the_crop_of_a_study_is_read_from_its_text(text: str, crop: Crop) -> None:
    assert kept_crop(text) == crop
