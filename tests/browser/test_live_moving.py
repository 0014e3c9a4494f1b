"""What moves on the Live page, in a real browser: a clip with its timeline, two trials on the camera's frames."""

import io
import json
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image
from playwright import sync_api

from tests import made_files
from tests.browser.conftest import at_rest
from tests.live_server import LiveServer
from tests.trained_store import disc

pytestmark = pytest.mark.browser

FRAMES = [disc(96, 128, radius) for radius in range(6, 46)]
PLACE = "document.querySelector('#clip video')?.currentTime"
MARKER = "document.querySelector('#timeline .js-plotly-plot')?.layout?.shapes?.[0]?.x0"

CAMERA = """
window.shade = 40;
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = document.createElement("canvas"), draw = canvas.getContext("2d");
  canvas.width = 64; canvas.height = 48;
  setInterval(() => {
    window.shade = window.shade > 200 ? 40 : window.shade + 8;
    draw.fillStyle = `rgb(${window.shade}, ${window.shade}, ${window.shade})`;
    draw.fillRect(0, 0, 64, 48);
  }, 60);
  return canvas.captureStream(30);
};
"""
"""A camera whose every frame is of another gray."""


@pytest.fixture
def page(open_page: Callable[..., sync_api.Page]) -> sync_api.Page:
    return open_page(viewport={"width": 1180, "height": 1000})


def test_a_place_in_the_timeline_is_a_place_in_the_clip(page: sync_api.Page, live_server: LiveServer) -> None:
    page.goto(f"{live_server.address}/")
    page.get_by_role("tab", name="Clip or DICOM").click()
    clip = {"name": "clip.dcm", "mimeType": "application/dicom", "buffer": made_files.dicom(FRAMES)}
    page.set_input_files("#file input[type=file]", clip)
    slider = page.locator("#clip-place")
    slider.wait_for(timeout=90_000)
    sync_api.expect(slider).to_have_attribute("max", str(len(FRAMES)))
    page.wait_for_function("document.querySelector('#clip video')?.readyState >= 2")
    page.wait_for_function(f"{MARKER} === 0")

    field = page.locator("#timeline .nsewdrag")
    for frame in (31, 11):  # 40 ms a frame, as the file says
        for _ in range(3):  # a click is lost while the page draws the timeline anew
            box = at_rest(field)
            across = box["width"] * (frame - 1) / (len(FRAMES) - 1)
            with suppress(sync_api.TimeoutError):
                field.click(position={"x": across, "y": box["height"] / 2}, timeout=20_000)
                page.wait_for_function(f"Math.abs({PLACE} - {(frame - 0.5) * 0.04}) < 0.001", timeout=20_000)
                break
        page.wait_for_function(f"Math.abs({PLACE} - {(frame - 0.5) * 0.04}) < 0.001")
        page.wait_for_function(f"Math.abs({MARKER} - {(frame - 1) * 0.04}) < 1e-6")
    sync_api.expect(slider).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"Math.abs({PLACE} - {11.5 * 0.04}) < 0.001")
    sync_api.expect(page.locator(".scrubber output")).to_have_text("frame 12 of 40")
    page.keyboard.press("End")
    page.wait_for_function(f"Math.abs({MARKER} - {39 * 0.04}) < 1e-6")
    page.keyboard.press("Home")
    page.wait_for_function(f"{MARKER} === 0")

    # While it plays, the marker passes through places that nobody chose.
    page.evaluate(f"window.passed = new Set(); setInterval(() => window.passed.add({MARKER}), 20)")
    page.keyboard.press(" ")
    page.wait_for_function("window.passed.size >= 4")
    assert page.evaluate("document.querySelector('#clip video').seekable.length") == 1


def test_two_trials_stand_side_by_side_on_the_cameras_frames(page: sync_api.Page, live_server: LiveServer) -> None:
    page.add_init_script(CAMERA)
    page.goto(f"{live_server.address}/")
    page.get_by_label("Beside a second trial").check()
    page.locator("#trial2 input").wait_for()
    page.get_by_role("tab", name="Camera or screen").click()
    page.locator('[data-camera="camera"]').click()
    panes = page.locator(".camera .pane:visible")
    sync_api.expect(panes).to_have_count(2, timeout=90_000)
    sync_api.expect(panes.nth(0).locator("figcaption")).to_have_text("block 9, fold 0")
    sync_api.expect(panes.nth(1).locator("figcaption")).to_have_text("whole network, fold 0")
    for pane in (panes.nth(0), panes.nth(1)):
        sync_api.expect(pane).to_contain_text("pixels of 64 × 48")
    sync_api.expect(page.locator("#camera-figures")).to_contain_text("Round trip of both")
    page.get_by_label("Beside a second trial").uncheck()
    sync_api.expect(panes).to_have_count(1)
    sync_api.expect(page.locator("#camera-figures")).not_to_contain_text("of both")
    page.locator('[data-camera="stop"]').click()


def test_why_the_server_takes_no_further_camera_is_said(page: sync_api.Page, live_server: LiveServer) -> None:
    page.add_init_script(CAMERA)
    page.route_web_socket("**/stream", lambda socket: socket.close(code=1013, reason="64 cameras are open."))
    page.goto(f"{live_server.address}/")
    page.get_by_role("tab", name="Camera or screen").click()
    page.locator('[data-camera="camera"]').click()
    sync_api.expect(page.locator("#camera-said")).to_have_text("64 cameras are open.", timeout=90_000)
    sync_api.expect(page.locator('[data-camera="stop"]')).to_be_disabled()


def test_an_answer_is_drawn_on_the_frame_that_it_is_of(page: sync_api.Page, live_server: LiveServer) -> None:
    """A server that answers every third frame only: those in between were replaced by later ones."""
    shades = dict[int, int]()
    answered = list[int]()

    def answer(socket: sync_api.WebSocketRoute) -> None:
        def take(message: str | bytes) -> None:
            if isinstance(message, str):
                return
            number = len(shades) + 1
            shades[number] = int(np.asarray(Image.open(io.BytesIO(message)).convert("L")).mean())
            if number % 2:
                return
            answered.append(number)
            said = {"trial": "a", "bars": f"<i id='number'>{number}</i>", "milliseconds": {"network": 1.0}}
            far = {"distance": 0.3, "distance_threshold": 0.4, "look": 9.0, "look_threshold": 5.0}
            head = json.dumps(
                {
                    "pair": [{**said, **far, "unlike": True}, {**said, **far, "unlike": None}],
                    "bytes": [0, 0],
                    "frame": number,
                }
            ).encode()
            socket.send(len(head).to_bytes(4, "big") + head)

        socket.on_message(take)

    page.add_init_script(CAMERA)
    page.route_web_socket("**/stream", answer)
    page.goto(f"{live_server.address}/")
    page.get_by_role("tab", name="Camera or screen").click()
    page.locator('[data-camera="camera"]').click()
    page.wait_for_function("Number(document.getElementById('number')?.textContent) >= 20")
    while len(set(shades.values())) <= 5:  # a busy machine changes the picture more slowly than it answers
        page.wait_for_timeout(50)
    drawn = page.evaluate(
        """[...document.querySelectorAll(".camera .pane")].map((pane) => [
          Number(pane.querySelector("#number").textContent),
          pane.querySelector("canvas").getContext("2d").getImageData(10, 10, 1, 1).data[0]])"""
    )
    (first, shade), (second, other) = drawn
    assert first == second
    assert shade == other
    warnings = page.locator(".camera p.problem")
    sync_api.expect(warnings.nth(0)).to_contain_text("unlike anything that this network was trained on, by its look.")
    sync_api.expect(warnings.nth(1)).to_be_hidden()
    assert shade == pytest.approx(shades[first], abs=3)
    page.locator('[data-camera="stop"]').click()
