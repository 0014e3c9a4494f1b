"""The Gradio program over HTTP: a real server on a free port, under a prefix, with a small real store."""

import io
import json
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from dashboard.live.frame_route import LARGEST_BYTES
from dashboard.trained_trials import TrainedStudies
from engine.inference import load_model, predict
from engine.overlays import CYAN
from engine.store import Store
from tests.live_server import served
from tests.trained_store import STUDY, TrainedStore, another, attempt, disc, make_trained_store, png


@pytest.fixture(scope="module")
def live(trained: TrainedStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        served(trained.root, tmp_path_factory.mktemp("cache")) as server,
        httpx.Client(base_url=server.address, timeout=60) as client,
    ):
        yield client


def upload(live: httpx.Client, content: bytes, name: str = "frame.png") -> dict[str, Any]:
    """The uploaded file, as the page names it in a request."""
    answer = live.post("/gradio_api/upload", files={"files": (name, content)})
    answer.raise_for_status()
    return {"path": answer.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}


def call(live: httpx.Client, study: str | None, trial: str | None, frame: dict[str, Any] | None) -> list[Any] | None:
    """Outputs of the endpoint `predict`: outline, text, mask, classes. None where Gradio refused the request."""
    event = live.post("/gradio_api/call/predict", json={"data": [study, trial, frame, None]})
    event.raise_for_status()
    stream = live.get(f"/gradio_api/call/predict/{event.json()['event_id']}").text
    kind = [line.removeprefix("event: ") for line in stream.splitlines() if line.startswith("event: ")][-1]
    data = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")][-1]
    return json.loads(data) if kind == "complete" else None


def fetch(live: httpx.Client, file: dict[str, Any]) -> np.ndarray:
    """Pixels of a file in an answer."""
    answer = live.get(file["url"])
    answer.raise_for_status()
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_a_frame_comes_back_outlined_with_its_area_and_milliseconds(live: httpx.Client, trained: TrainedStore) -> None:
    outputs = call(live, STUDY, trained.bright.id, upload(live, png(disc())))
    assert outputs is not None
    outlined, text, button, classes = outputs
    assert classes == ""
    expected = predict(load_model(trained.store, STUDY, trained.bright.id, device="cpu"), disc())
    assert f"<b>{expected.area_pixels:,}</b> pixels" in text
    assert f"{100 * expected.area_pixels / (96 * 128):.1f} % of 128 × 96" in text
    assert "</b> ms" in text
    for step in ("decode", "network", "draw"):
        assert step in text
    assert (fetch(live, outlined) == CYAN).all(axis=2).any()
    np.testing.assert_array_equal(fetch(live, button["value"]) == 255, expected.mask == 1)


def test_another_trial_gives_another_mask(live: httpx.Client, trained: TrainedStore) -> None:
    frame = upload(live, png(disc()))
    bright, dark = (call(live, STUDY, trial.id, frame) for trial in (trained.bright, trained.dark))
    assert bright is not None
    assert dark is not None
    assert (fetch(live, bright[2]["value"]) != fetch(live, dark[2]["value"])).mean() > 0.95


def test_equal_frames_of_several_users_come_back_whole(live: httpx.Client, trained: TrainedStore) -> None:
    content = png(disc(480, 640, radius=150))

    def one(_: int) -> tuple[str, np.ndarray]:
        outputs = call(live, STUDY, trained.bright.id, upload(live, content))
        assert outputs is not None
        return outputs[0]["path"], fetch(live, outputs[0])

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(one, range(8)))
    assert len({path for path, _ in answers}) == 8
    for _, pixels in answers:
        np.testing.assert_array_equal(pixels, answers[0][1])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("frame.png", b"this is text", "not a PNG, JPEG"),
        ("frame.png", png(disc())[:300], "truncated or damaged"),
        ("frame.png", png(np.zeros((4001, 5000), np.uint8)), "5000 x 4001 pixels"),
        ("frame.png", png(disc().astype(np.uint16) * 16), "320 to 3680 became 0 to 255"),
        ("no ending", png(disc()), "pixels"),
        ("<b>.png", png(disc()), "pixels"),
    ],
)
def test_what_is_wrong_with_a_frame_is_said_in_place(
    live: httpx.Client, trained: TrainedStore, name: str, content: bytes, message: str
) -> None:
    outputs = call(live, STUDY, trained.bright.id, upload(live, content, name))
    assert outputs is not None
    assert message in outputs[1]
    assert "Traceback" not in outputs[1]


def test_a_file_above_the_limit_is_refused(live: httpx.Client) -> None:
    answer = live.post("/gradio_api/upload", files={"files": ("frame.png", bytes(21 * 2**20))})
    assert answer.status_code == 413


def test_unknown_choices_and_no_choice_are_said_in_place(live: httpx.Client, trained: TrainedStore) -> None:
    frame = upload(live, png(disc()))
    for study, trial, message in (
        (STUDY, "nonsense", "no trained trial begins"),
        ("nonsense", trained.bright.id, "No study"),
        (None, None, "No trial chosen"),
    ):
        outputs = call(live, study, trial, frame)
        assert outputs is not None
        assert any(part.lower() in outputs[1].lower() for part in message.split("|"))
        assert 'role="alert"' in outputs[1]


def test_files_that_were_not_uploaded_are_not_read(live: httpx.Client, trained: TrainedStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(disc()))
    named = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    for request in (named, {"path": str(secret)}):
        outputs = call(live, STUDY, trained.bright.id, request)
        assert outputs is None or (outputs[0] is None and "Not an uploaded frame" in outputs[1])
    # The guard is what refuses it: the same bytes are answered once they are uploaded.
    outputs = call(live, STUDY, trained.bright.id, upload(live, secret.read_bytes()))
    assert outputs is not None
    assert outputs[0] is not None


def test_the_page_asks_no_other_host(live: httpx.Client) -> None:
    page = live.get("/").text
    assert "fonts.googleapis" not in page
    assert "cdnjs" not in page
    assert '"analytics_enabled":false' in page
    assert "googleapis" not in live.get("/theme.css").text


def test_the_process_starts_with_the_first_frame_and_ends_with_the_server(
    trained: TrainedStore, tmp_path: Path
) -> None:
    def workers() -> list[psutil.Process]:
        return [
            child
            for child in psutil.Process(server.process_id).children()
            if "dashboard.inference.process" in " ".join(child.cmdline())
        ]

    with served(trained.root, tmp_path) as server, httpx.Client(base_url=server.address, timeout=60) as client:
        assert client.get("/").status_code == 200
        assert workers() == []
        assert call(client, STUDY, trained.bright.id, upload(client, png(disc()))) is not None
        started = workers()
        assert len(started) == 1
    gone, alive = psutil.wait_procs(started, timeout=10)
    assert len(gone) == 1
    assert not alive


def test_trials_are_named_best_first_and_filled_as_they_finish(tmp_path: Path) -> None:
    trained = make_trained_store(tmp_path)
    studies = TrainedStudies(trained.store)
    assert studies.names() == [STUDY]
    assert studies.trials(STUDY) == [
        ("block 9 · 80 % · fold 0 · validation Dice 0.93", trained.bright.id),
        ("whole network · 80 % · fold 0 · validation Dice 0.85", trained.dark.id),
        ("from scratch · 80 % · fold 0 · validation Dice 0.81", trained.scratch.id),
    ]
    before = studies.seen()
    late = another(trained.bright, fold=1, learning_rate=1e-3)
    weights = trained.store.trained_weights(STUDY, trained.bright.id).read_bytes()
    trained.store.append(STUDY, attempt(late, 0.99), weights=weights)
    assert late.id not in dict(map(reversed, studies.trials(STUDY)))  # not in the plan
    planned = [trained.bright, trained.dark, trained.scratch, late]
    trained.store.write_plan(STUDY, planned, trained.store.facts(STUDY))
    assert studies.trials(STUDY)[0] == ("block 9 · 80 % · fold 1 · rate 0.001 · validation Dice 0.99", late.id)
    assert studies.seen() != before
    trained.store.trained_weights(STUDY, late.id).unlink()
    assert studies.trials(STUDY)[0][1] == trained.bright.id


def test_provenance_says_data_start_strategy_and_validation_dice(trained: TrainedStore) -> None:
    studies = TrainedStudies(trained.store)
    told = studies.provenance(STUDY, trained.bright.id)
    for part in (
        "54 images of discs",
        "Bright discs made for tests",
        "made by hand",
        "block 9",
        "10.0 %",
        "Dice 0.930 on its validation images",
    ):
        assert part in told
    assert "random weights" in studies.provenance(STUDY, trained.scratch.id)
    assert "choose another" in studies.provenance(STUDY, "gone")


def test_an_empty_store_says_what_to_run(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    studies = TrainedStudies(store)
    assert studies.names() == []
    assert "whichlayers run tune_configs/demo.yaml" in studies.nothing_yet()
    store.begin("demo", "name: demo\n")
    assert studies.names() == []
    assert studies.seen() == [["demo", 0, 0]]


def asked(live: httpx.Client, content: bytes, **named: str) -> httpx.Response:
    """The answer of the plain route."""
    return live.post("/frame", params=named, content=content)


def test_a_frame_by_plain_http_has_the_same_answer(live: httpx.Client, trained: TrainedStore) -> None:
    said = asked(live, png(disc()), study=STUDY, trial=trained.bright.id[:10])
    assert said.status_code == 200
    answer = said.json()
    expected = predict(load_model(trained.store, STUDY, trained.bright.id, device="cpu"), disc())
    assert answer["area_pixels"] == expected.area_pixels
    assert answer["kept"]["height"] == 96
    assert answer["unlike"] is None, "the study's images are gone"
    mask, drawn = (np.asarray(Image.open(io.BytesIO(b64decode(answer[name])))) for name in ("mask", "drawn"))
    np.testing.assert_array_equal(mask == 255, expected.mask == 1)
    assert drawn.shape == (96, 128, 3)
    without = asked(live, png(disc()), study=STUDY, trial=trained.bright.id, pictures="no").json()
    assert without.keys() == answer.keys() - {"mask", "drawn"}


def test_mistakes_by_plain_http_are_one_line(live: httpx.Client, trained: TrainedStore) -> None:
    good = {"study": STUDY, "trial": trained.bright.id}
    for content, named, words in (
        (b"", good, "no frame came"),
        (b"no picture", good, "this frame"),
        (png(disc()), {}, "no trial chosen"),
        (png(disc()), {"study": "nobody", "trial": "best"}, "nobody"),
        (png(disc()), {**good, "kind": "both"}, "'kind' is not known here"),
    ):
        said = asked(live, content, **named)
        assert said.status_code == 422, words
        assert words in said.json()["problem"]
        assert "\n" not in said.json()["problem"]
    large = asked(live, bytes(LARGEST_BYTES + 1), **good)
    assert (large.status_code, "32 MB" in large.json()["problem"]) == (413, True)
    assert live.get("/frame").status_code != 200
