"""The Embedding map in a real browser: a map is made, the frame under the pointer shows, regions are chosen."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright import sync_api

from engine import embeddings
from tests.browser.conftest import again_until
from tests.made_classification import made_classification
from tests.served import served

pytestmark = pytest.mark.browser

POINT = """(trace) => {
  const chart = document.querySelectorAll('.js-plotly-plot')[1];
  const { xaxis, yaxis } = chart._fullLayout, points = chart._fullData[trace], box = chart.getBoundingClientRect();
  return [box.left + xaxis._offset + xaxis.d2p(points.x[0]), box.top + yaxis._offset + yaxis.d2p(points.y[0])];
}"""

LEFT = """() => {
  const chart = document.querySelectorAll('.js-plotly-plot')[1], [from, to] = chart._fullLayout.xaxis.range;
  return chart._fullData.flatMap(trace => [...trace.x]).filter(x => x < (from + to) / 2).length;
}"""
"""Number of the second map's points in the left half of its plot."""
HEIGHTS = """new Set(
  [...document.querySelectorAll('.js-plotly-plot')].slice(0, 2).map(chart => chart.getBoundingClientRect().top)).size"""
"""Number of different heights at which the two maps stand."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A study of classes with maps of fold 0 by UMAP, none by t-SNE; one with start weights of other classes."""
    folder = tmp_path_factory.mktemp("maps")
    places = folder / "results", folder / "cache"
    small: dict[str, Any] = {"strategies": ("whole network",), "fractions": (75,), "patients": 8}
    store = made_classification(*places, **small)
    made_classification(*places, study="headless", as_pretrained=False, **small)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "embedding_map", lambda features, *rest, **more: features[:, :2].astype(np.float32))
        plan = store.plan("views")
        for trial in plan.loc[plan["fold"] == 0, "id"]:
            embeddings.stored_map(store, "views", trial, "UMAP")
        headless = store.plan("headless")
        (trial,) = headless.loc[headless["fold"] == 0, "id"]
        before = embeddings.before_training(trial)
        store.write_embedding("headless", before, store.embedding("headless", trial).read_bytes())
        for name in (before, trial):
            embeddings.stored_map(store, "headless", name)
    with served(folder / "results", folder / "cache", "/layers") as url:
        yield url


def dragged(page: sync_api.Page, chart: int, *corners: tuple[float, float]) -> None:
    """The mouse, pressed, from corner to corner of a chart's plot: parts of its width and height."""
    box = page.locator(".js-plotly-plot .nsewdrag").nth(chart).bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for before, after in pairwise(places):
        page.mouse.move((before[0] + after[0]) / 2, (before[1] + after[1]) / 2, steps=3)
        page.mouse.move(*after, steps=3)
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
    corners = (0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99), (0.01, 0.01)
    again_until(region, lambda: dragged(page, 1, *corners))  # a busy machine loses some of the mouse's way
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


def test_a_box_on_a_umap_opens_the_frames_in_it_and_their_confusion(page: sync_api.Page, address: str) -> None:
    page.goto(f"{address}embedding-map?study=views")
    page.get_by_text("UMAP", exact=True).click()
    page.get_by_text("UMAP of 50 principal components, 15 neighbours, seed 0").wait_for()
    sync_api.expect(page.locator(".js-plotly-plot .xtitle").nth(1)).to_have_text("UMAP 1 (no unit)")
    assert parse_qs(urlsplit(page.url).query)["map"] == ["UMAP"]
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot')[1]?._fullData?.length === 7")
    page.locator("[data-title='Box Select']").nth(1).click()
    inside = page.evaluate(LEFT)
    assert 0 < inside < 28
    region = page.get_by_text(f"Chosen region · {inside} images")
    again_until(region, lambda: dragged(page, 1, (0.01, 0.01), (0.5, 0.99)))
    sync_api.expect(page.locator(".st-key-region-images img")).to_have_count(min(inside, 16))
    page.locator(".st-key-region .js-plotly-plot .heatmaplayer image").wait_for(state="attached")
    counts = page.evaluate("document.querySelector('.st-key-region .js-plotly-plot').data[0].text.flat()")
    assert sum(int(count or 0) for count in counts) == inside
    page.get_by_text("all", exact=True).click()
    page.get_by_text("After fine-tuning · 112 images: 26 right, 2 wrong, 84 not tested").wait_for()
    assert page.evaluate(HEIGHTS) == 1


def test_start_weights_of_other_classes_have_a_map_before_fine_tuning(page: sync_api.Page, address: str) -> None:
    page.goto(f"{address}embedding-map?study=headless&colour by=right or wrong&set=all")
    page.get_by_text("Start weights as they are · 112 images: 112 not tested").wait_for()
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot')[1]?._fullData?.length === 3")
    assert page.evaluate("document.querySelector('.js-plotly-plot')._fullData[0].x.length") == 112
    page.get_by_text("Before fine-tuning, the start weights have no output layer for the classes").wait_for()
