"""Live in a real browser: drop a frame, take a picture, change the trial, read what is wrong with a file; classes."""

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright import sync_api

from engine.classifying import classify, load_classifier
from engine.store import Store
from tests.live_server import LiveServer, served
from tests.trained_classes import TrainedClasses, make_trained_classes
from tests.trained_store import STUDY, TrainedStore, disc, make_trained_store, png

pytestmark = pytest.mark.browser

LOOKS_AT = 4
"""Values that the page sends with a look for new trials: study, trial, scanner, what was known."""


@pytest.fixture
def page(open_page: Callable[..., sync_api.Page]) -> sync_api.Page:
    return open_page(viewport={"width": 1180, "height": 760}, permissions=["camera"])


def drop(page: sync_api.Page, content: bytes, name: str = "frame.png") -> None:
    page.set_input_files("#frame input[type=file]", {"name": name, "mimeType": "image/png", "buffer": content})


def shown(page: sync_api.Page) -> np.ndarray:
    """Pixels of the outlined frame that the page shows."""
    source = page.locator("#outlined img").get_attribute("src", timeout=60_000)
    assert source is not None
    return np.asarray(Image.open(io.BytesIO(page.request.get(source).body())).convert("RGB")).astype(int)


def cyan(pixels: np.ndarray) -> np.ndarray:
    return (pixels[..., 0] < 60) & (pixels[..., 1] > 200) & (pixels[..., 2] > 200)


def test_a_dropped_frame_is_outlined_and_measured(page: sync_api.Page, live_server: LiveServer) -> None:
    page.goto(f"{live_server.address}/")
    drop(page, png(disc(480, 640, radius=130)))
    page.locator("#figures .figures").wait_for(timeout=60_000)
    rows, columns = np.nonzero(cyan(shown(page)))
    assert len(rows) > 500
    distance = np.hypot(rows - 239.5, columns - 319.5)
    assert distance.min() > 105
    assert distance.max() < 155
    text = page.locator("#figures").inner_text()
    assert "pixels" in text
    assert "% of 640 × 480" in text
    assert "ms" in text
    with page.expect_download() as download:
        page.locator("#mask").click()
    assert download.value.suggested_filename == "mask.png"
    assert page.locator("#footer").inner_text().startswith("For research, not for diagnosis.")


def test_a_change_of_trial_draws_anew_and_stays_in_the_address(
    page: sync_api.Page, live_server: LiveServer, trained: TrainedStore
) -> None:
    page.goto(f"{live_server.address}/?study={STUDY}&trial={trained.scratch.id}")
    field = page.locator("#trial input")
    sync_api.expect(field).to_have_value("from scratch · 80 % · fold 0 · validation Dice 0.81")
    sync_api.expect(page.locator("#about")).to_contain_text("random weights")
    drop(page, png(disc(radius=20)))
    area = page.locator("#figures b").first
    area.wait_for(timeout=60_000)
    before = area.inner_text()
    field.click()
    page.get_by_role("option", name="whole network").click()
    sync_api.expect(area).not_to_have_text(before)
    sync_api.expect(page.locator("#about")).to_contain_text("whole network")
    assert parse_qs(urlsplit(page.url).query) == {"study": [STUDY], "trial": [trained.dark.id]}
    page.reload()
    sync_api.expect(field).to_have_value("whole network · 80 % · fold 0 · validation Dice 0.85")


def test_a_look_for_new_trials_takes_no_choice_back(
    page: sync_api.Page, live_server: LiveServer, trained: TrainedStore
) -> None:
    """The page looked before somebody chose, and hears what there is after it."""
    held = list[tuple[sync_api.Route, sync_api.APIResponse]]()

    def hold(route: sync_api.Route) -> None:
        said = route.request.post_data_json["data"]
        if not held and len(said) == LOOKS_AT and said[1] == trained.scratch.id:
            held.append((route, route.fetch()))
        else:
            route.continue_()

    page.route("**/run/predict*", hold)
    page.goto(f"{live_server.address}/?study={STUDY}&trial={trained.scratch.id}")
    field = page.locator("#trial input")
    sync_api.expect(field).to_have_value("from scratch · 80 % · fold 0 · validation Dice 0.81")
    until = time.monotonic() + 60
    while not held:
        assert time.monotonic() < until
        page.wait_for_timeout(50)
    field.click()
    page.get_by_role("option", name="whole network").click()
    route, answer = held[0]
    assert trained.scratch.id in answer.text()  # of all trials, at the first look
    with page.expect_response("**/run/predict*"):
        route.fulfill(response=answer)
    page.wait_for_timeout(1000)
    sync_api.expect(field).to_have_value("whole network · 80 % · fold 0 · validation Dice 0.85")
    sync_api.expect(page.locator("#about")).to_contain_text("whole network")
    field.click()
    sync_api.expect(page.get_by_role("option")).to_have_count(3)


def test_a_damaged_frame_is_said_in_place(page: sync_api.Page, live_server: LiveServer) -> None:
    page.goto(f"{live_server.address}/")
    drop(page, png(np.random.default_rng(0).integers(0, 256, (96, 128), dtype=np.uint8))[:6000])
    problem = page.get_by_role("alert").filter(has_text="truncated or damaged")
    sync_api.expect(problem).to_be_visible(timeout=60_000)
    drop_again = png(disc())
    page.get_by_label("Remove Image").first.click()
    drop(page, drop_again)
    page.locator("#figures .figures").wait_for(timeout=60_000)


def test_a_camera_picture_is_outlined(page: sync_api.Page, live_server: LiveServer) -> None:
    page.goto(f"{live_server.address}/")
    page.locator("#frame").get_by_label("Capture from camera").click()
    page.locator("#frame").get_by_text("Click to Access Webcam").click()
    # A picture taken before the camera gives one is no picture.
    page.wait_for_function("document.querySelector('#frame video')?.videoWidth > 0")
    page.locator("#frame").get_by_label("capture photo").click()
    page.locator("#figures .figures").wait_for(timeout=60_000)
    assert shown(page).shape[2] == 3


def test_an_empty_store_says_what_to_run_and_fills_by_itself(page: sync_api.Page, tmp_path: Path) -> None:
    with served(tmp_path / "store", tmp_path / "cache", refresh_seconds=2.0) as server:
        page.goto(f"{server.address}/")
        sync_api.expect(page.locator("#nothing-trained")).to_contain_text("whichlayers run tune_configs/demo.yaml")
        sync_api.expect(page.locator("#frame")).to_be_hidden()
        make_trained_store(tmp_path / "store")
        sync_api.expect(page.locator("#frame")).to_be_visible(timeout=30_000)
        assert Store.at(tmp_path / "store").studies() == [STUDY]
        page.goto("about:blank")


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> TrainedClasses:
    return make_trained_classes(tmp_path_factory.mktemp("classes"), data="  crop: {A: 60, B: 40}\n")


@pytest.fixture(scope="module")
def class_server(classes: TrainedClasses) -> Iterator[LiveServer]:
    with served(classes.root, classes.cache) as running:
        yield running


def test_a_dropped_frame_is_told_its_classes(
    page: sync_api.Page, class_server: LiveServer, classes: TrainedClasses
) -> None:
    page.goto(f"{class_server.address}/?study=stripes&trial={classes.scratch.id}")
    frame = np.asarray(classes.dataset.images[0])
    large = np.asarray(Image.fromarray(frame).resize((90, 120)))
    sync_api.expect(page.locator("#figures")).to_contain_text("Drop a frame")
    sync_api.expect(page.locator("#outlined")).to_be_hidden()
    sync_api.expect(page.locator("#mask")).to_be_hidden()
    drop(page, png(large))
    bars = page.locator("#classes .said .row")
    bars.first.wait_for(timeout=120_000)
    sync_api.expect(bars).to_have_count(3)
    model = load_classifier(classes.store, "stripes", classes.scratch.id, device="cpu")
    said = classify(model, large, scanner="A")
    first = model.classes[int(said.probabilities.argmax())]
    sync_api.expect(bars.first).to_contain_text(first)
    widths = [box["width"] for bar in page.locator("#classes .bar").all() if (box := bar.bounding_box())]
    assert widths == sorted(widths, reverse=True)
    sync_api.expect(page.locator("#figures")).to_contain_text("of 3 classes")
    sync_api.expect(page.locator("#classes .seen")).to_contain_text("square of 60 pixels")
    assert page.locator("#footer").inner_text().startswith("For research, not for diagnosis.")
    page.locator("#scanner input").click()
    page.get_by_role("option", name="B").click()
    sync_api.expect(page.locator("#classes .seen")).to_contain_text("square of 40 pixels")
    page.locator("#trial input").click()
    page.get_by_role("option", name="last unit").click()
    sync_api.expect(page.locator("#classes .seen")).to_contain_text("the mean of the training images is taken off")
    sync_api.expect(page.locator("#about")).to_contain_text("last unit fine-tuned")
