"""A trained trial as a file of its own: each form gives what the network gives, and says what it is."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors import safe_open

from engine import exporting
from engine.classifying import classify
from engine.errors import DataError, WeightsError
from engine.exporting import FORMS, Exported, Program, export
from engine.inference import predict
from engine.predicting import TrainedNetwork, load_trial
from engine.trial_images import places_hash
from tests.made_commands import whichlayers
from tests.trained_classes import STUDY as CLASS_STUDY
from tests.trained_classes import TrainedClasses, make_trained_classes
from tests.trained_store import SIZE, STUDY, TrainedStore


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> TrainedClasses:
    return make_trained_classes(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="module")
def outlines(trained: TrainedStore) -> TrainedNetwork:
    return load_trial(trained.store, STUDY, "best", device="cpu")


def test_every_form_is_written_compared_and_told_of(
    trained: TrainedStore, outlines: TrainedNetwork, tmp_path: Path
) -> None:
    frame = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    assert not outlines.classifies
    expected = predict(outlines.model, frame).probability
    images = (frame.astype(np.float32) / 255)[None, None]
    made: dict[str, Exported] = {
        form: export(trained.store, outlines, tmp_path / f"net.{form}") for form in FORMS
    }  # fmt: skip
    for form, one in made.items():
        assert one.difference < 1e-4, form
        assert one.on.startswith("made images")
        text = one.card.read_text()
        assert one.card.name == f"net.{form}.md"
        for part in ("# bright: block 9, fold 0 of 5", "For research, not for diagnosis", "made by hand",
                     "the images are not in the cache", "units 9", "SHA-256"):  # fmt: skip
            assert part in text, part
    session = onnxruntime.InferenceSession(str(made["onnx"].file), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": np.repeat(images, 3, axis=0)})
    assert found.shape == (3, 1, SIZE, SIZE)
    np.testing.assert_allclose(found[2, 0], expected, atol=1e-4)
    loaded = torch.export.load(str(made["pt2"].file))
    (traced_with,), _ = loaded.example_inputs
    assert not traced_with.any(), "an image would be a patient's"
    program = loaded.module()
    np.testing.assert_allclose(program(torch.from_numpy(images))[0, 0].numpy(), expected, atol=1e-4)
    with safe_open(made["safetensors"].file, "pt") as file:
        assert set(file.keys()) == set(outlines.model.network.state_dict())
        assert json.loads(file.metadata()["output"]) == "logits"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        name for form in FORMS for name in (f"net.{form}", f"net.{form}.md")
    )


def test_a_classifier_takes_its_mean_image_and_crop_with_it(classes: TrainedClasses, tmp_path: Path) -> None:
    network = load_trial(classes.store, CLASS_STUDY, classes.tuned.id, cache=classes.cache, device="cpu")
    made = export(classes.store, network, tmp_path / "net.pt2", cache=classes.cache)
    assert made.on == "test images"
    program = torch.export.load(str(made.file)).module()
    for frame in classes.dataset.images[:4]:
        found = program(torch.from_numpy(frame.astype(np.float32) / 255)[None, None])
        np.testing.assert_allclose(
            found[0].numpy(), classify(network.loaded, np.asarray(frame)).probabilities, atol=1e-5
        )  # type: ignore[arg-type]
    text = made.card.read_text()
    assert "| accuracy |" in text
    assert "the mean of the training images, which is in the file" in text
    assert text.count("set (SHA-256 of its places)") == 3


def test_a_file_that_differs_is_refused_and_leaves_nothing(
    trained: TrainedStore, outlines: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = exporting._READERS["safetensors"]
    monkeypatch.setitem(exporting._READERS, "safetensors", lambda *given: read(*given) + 0.01)
    with pytest.raises(WeightsError, match=r"differs from the network by 0\.01"):
        export(trained.store, outlines, tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []
    passed = export(trained.store, outlines, tmp_path / "net.safetensors", tolerance=0.1)
    assert passed.difference == pytest.approx(0.01, rel=1e-4)
    with pytest.raises(DataError, match="ends in none of"):
        export(trained.store, outlines, tmp_path / "net.pth")


def test_the_program_takes_any_number_of_images(outlines: TrainedNetwork) -> None:
    with torch.inference_mode():
        assert Program(outlines)(torch.zeros(5, 1, SIZE, SIZE)).shape == (5, 1, SIZE, SIZE)


def test_the_hash_of_a_set_is_that_of_its_places_in_any_order() -> None:
    assert places_hash([3, 1, 2]) == places_hash([1, 2, 3]) != places_hash([1, 2, 4])


def test_the_command_writes_file_and_card(trained: TrainedStore, tmp_path: Path) -> None:
    said = whichlayers("model", STUDY, "--out", "net.safetensors", "--store", str(trained.root), folder=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "largest difference of a probability from the network 0 on 8 made images" in said.stdout
    assert (tmp_path / "net.safetensors.md").is_file()
    wrong = whichlayers("model", STUDY, "--out", "net.bin", "--store", str(trained.root), folder=tmp_path)
    assert wrong.returncode == 2
    assert len(wrong.stderr.splitlines()) == 1
