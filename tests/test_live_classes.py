"""Live for classes, over HTTP: a frame goes in, its most probable classes come out; by the worker and the program."""

import base64
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from dashboard.inference.messages import ClassAnswer
from dashboard.inference.worker import InferenceWorker
from dashboard.live.words import class_figures, classes
from dashboard.trained_trials import TrainedStudies
from engine.classifying import classify, load_classifier
from engine.errors import DataError, StrategyError
from engine.images import Kept
from tests.live_server import served
from tests.test_classification import CLASSES, SIDE
from tests.trained_classes import STUDY, TrainedClasses, make_trained_classes
from tests.trained_store import png

FRAME = np.random.default_rng(5).integers(0, 256, (90, 120), dtype=np.uint8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedClasses:
    return make_trained_classes(tmp_path_factory.mktemp("classes"), data="  crop: {A: 60, B: 100}\n")


def answer(**changes: Any) -> ClassAnswer:
    facts: dict[str, Any] = {
        "classes": ("<b>liver", "kidney", "spleen", "heart", "lung"),
        "probabilities": (0.6, 0.3, 0.0995, 0.0003, 0.0002), "seen": b"seen", "how": "All of it.", "height": 90,
        "width": 120, "milliseconds": {"decode": 1.2, "network": 30.4, "draw": 0.4}, "scaled_range": None,
        "kept": Kept(format="PNG", frames=1, height=90, width=120, source_height=90, source_width=120),
    }  # fmt: skip
    return ClassAnswer(**{**facts, **changes})


def test_the_worker_answers_with_classes_most_probable_first(trained: TrainedClasses) -> None:
    model = load_classifier(trained.store, STUDY, trained.tuned.id, cache=trained.cache, device="cpu")
    expected = classify(model, FRAME, scanner="A")
    with InferenceWorker(str(trained.root), cache=trained.cache, threads=1) as worker:
        said = worker.classify(STUDY, trained.tuned.id, png(FRAME), "A")
        assert dict(zip(said.classes, said.probabilities, strict=True)) == pytest.approx(
            dict(zip(CLASSES, expected.probabilities, strict=True)), abs=1e-5
        )
        assert list(said.probabilities) == sorted(said.probabilities, reverse=True)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(said.seen))), expected.seen)
        assert (said.height, said.width) == FRAME.shape
        assert list(said.milliseconds) == ["decode", "network", "draw"]
        process = worker.process_id
        with pytest.raises(DataError, match="a square of 100"):
            worker.classify(STUDY, trained.tuned.id, png(FRAME), "B")
        with pytest.raises(DataError, match="not a PNG"):
            worker.classify(STUDY, trained.tuned.id, b"text", "A")
        with pytest.raises(DataError, match="no scanner is chosen; choose one of A, B"):
            worker.classify(STUDY, trained.tuned.id, png(FRAME))
        with pytest.raises(StrategyError, match="outline structures"):
            worker.feature_maps(STUDY, trained.scratch.id, "stem", np.zeros((SIDE, SIDE), np.uint8))
        worker.warm(STUDY, trained.scratch.id)
        assert worker.classify(STUDY, trained.scratch.id, png(FRAME), "A").classes
        assert worker.process_id == process


@pytest.fixture(scope="module")
def live(trained: TrainedClasses) -> Iterator[httpx.Client]:
    with (
        served(trained.root, trained.cache) as server,
        httpx.Client(base_url=server.address, timeout=120) as client,
    ):
        yield client


def call(live: httpx.Client, trial: str, content: bytes, scanner: str | None) -> list[Any]:
    """Outputs of the endpoint `predict`: outline, text, mask, classes."""
    uploaded = live.post("/gradio_api/upload", files={"files": ("frame.png", content)})
    frame = {"path": uploaded.json()[0], "orig_name": "frame.png", "meta": {"_type": "gradio.FileData"}}
    event = live.post("/gradio_api/call/predict", json={"data": [STUDY, trial, frame, scanner]})
    stream = live.get(f"/gradio_api/call/predict/{event.json()['event_id']}").text
    data = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")][-1]
    outputs: list[Any] = json.loads(data)
    return outputs


def test_a_frame_comes_back_with_bars_time_and_what_was_seen(live: httpx.Client, trained: TrainedClasses) -> None:
    model = load_classifier(trained.store, STUDY, trained.scratch.id, device="cpu")
    expected = classify(model, FRAME, scanner="A")
    first = CLASSES[int(expected.probabilities.argmax())]
    outlined, text, _, bars = call(live, trained.scratch.id, png(FRAME), "A")
    assert outlined is None
    assert f"<b>{first}</b>" in text
    assert "of 3 classes" in text
    assert "</b> ms" in text
    assert re.findall(r'<span title="(.*?)">', bars)[0] == first
    seen = re.search(r"data:image/png;base64,([^\"]*)", bars)
    assert seen is not None
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(seen[1])))), expected.seen)
    assert "Its central square of 60 pixels, resized to 40 × 40 as in training" in bars
    outlined, text, _, bars = call(live, trained.scratch.id, png(FRAME), "B")
    assert "A square of 100" in text or "a square of 100" in text
    assert 'role="alert"' in text
    assert bars == ""


def test_three_classes_stand_above_the_others_and_names_are_no_html() -> None:
    bars = classes(answer())
    above, others = bars.split("<details")
    assert above.count('class="row') == 3
    assert "2 other classes, &lt; 0.1 % together" in others
    assert others.count('class="row') == 2
    assert "60.0 %" in above
    assert "10.0 %" in above
    assert "<b>liver" not in bars + class_figures(answer()).replace("<b>&lt;", "&lt;")
    assert "also for a frame that is of none of them" in class_figures(answer())
    assert "&gt; 99.9 %" in classes(answer(classes=("a", "b"), probabilities=(0.9996, 0.0004)))
    assert "<details" not in classes(answer(classes=("a", "b"), probabilities=(0.9996, 0.0004)))
    assert "100.0 %" in classes(answer(classes=("a", "b"), probabilities=(1.0, 0.0)))
    assert "its values 3 to 900 became" in class_figures(answer(scaled_range=(3.0, 900.0)))


def test_trials_of_classes_are_named_with_what_they_were_trained_on(trained: TrainedClasses) -> None:
    studies = TrainedStudies(trained.store)
    assert studies.names() == [STUDY]
    assert studies.scanners(STUDY) == ["A", "B"]
    named = {trial_id: label for label, trial_id in studies.trials(STUDY)}
    assert named[trained.tuned.id] == "last unit · 75 % · fold 0"  # fixed iterations: nothing validates
    assert re.fullmatch(r"from scratch · 75 % · fold 0 · validation accuracy \d\.\d\d", named[trained.scratch.id])
    told = studies.provenance(STUDY, trained.tuned.id)
    assert "CVCNet (our reconstruction), 40 × 40, of which it sees the centre of 32 × 32" in told
    assert "then last unit fine-tuned" in told
    assert " on its validation images" not in told
