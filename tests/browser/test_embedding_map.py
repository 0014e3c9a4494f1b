"""The Embedding map in a real browser: a map is made, the frame under the pointer shows, a region is chosen."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright import sync_api

from tests.made_classification import made_classification
from tests.served import served

pytestmark = pytest.mark.browser

POINT = """(trace) => {
  const chart = document.querySelectorAll('.js-plotly-plot')[1];
  const { xaxis, yaxis } = chart._fullLayout, points = chart._fullData[trace], box = chart.getBoundingClientRect();
  return [box.left + xaxis._offset + xaxis.d2p(points.x[0]), box.top + yaxis._offset + yaxis.d2p(points.y[0])];
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("maps")
    made_classification(
        folder / "results", folder / "cache", patients=8, strategies=("whole network",), fractions=(75,)
    )
    with served(folder / "results", folder / "cache", "/layers") as url:
        yield url


def drawn_around(page: sync_api.Page, chart: int, left: float, top: float, right: float, bottom: float) -> None:
    """A line with the mouse around a part of a chart's plot."""
    box = page.locator(".js-plotly-plot .nsewdrag").nth(chart).bounding_box()
    assert box is not None
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def test_a_map_is_made_shows_the_frame_under_the_pointer_and_lets_a_region_be_chosen(
    page: sync_api.Page, address: str
) -> None:
    page.goto(f"{address}embedding-map?study=views")
    page.locator(".js-plotly-plot canvas").nth(1).wait_for(state="attached", timeout=120_000)  # made by another process
    page.get_by_text("After fine-tuning · 28 images").wait_for()
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot')[1]?._fullData?.length === 7")
    x, y = page.evaluate(POINT, 0)
    frame = page.locator("#frame img")
    for _ in range(20):  # until the program listens
        page.mouse.move(x - 40, y - 40)
        page.mouse.move(x, y, steps=4)
        page.wait_for_timeout(300)
        if frame.is_visible():
            break
    sync_api.expect(frame).to_be_visible()
    assert frame.evaluate("image => image.decode().then(() => image.naturalWidth)") == 224
    page.mouse.move(x - 200, 20)
    sync_api.expect(frame).to_be_hidden()

    region = page.get_by_text("Chosen region · 28 images")
    for _ in range(4):  # a busy machine loses some of the mouse's way
        drawn_around(page, 1, 0.01, 0.01, 0.99, 0.99)
        with suppress(sync_api.TimeoutError):
            region.wait_for(timeout=10_000)
            break
    sync_api.expect(region).to_be_visible()
    page.locator(".st-key-region-images img").nth(15).wait_for()
    chosen = (
        "[...document.querySelectorAll('.js-plotly-plot')].slice(0, 2).map(c => c._fullData[0].selectedpoints?.length)"
    )
    page.wait_for_function(f"JSON.stringify({chosen}) === '[4,4]'")
    page.get_by_text("thumbnails").click()
    page.locator(".js-plotly-plot image").nth(4).wait_for(state="attached")
    page.get_by_text("Chosen region · 28 images").wait_for()
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("Draw around a region of a map").wait_for()
