"""How long a kept map of embeddings takes to show, and to answer the mouse, in a real browser.

    python -m benchmarks.embedding_page [--images 4095 50000] [--rounds 3]

Pages are served by a process of its own and drawn by Debian's chromium without a graphics card, both on this machine.
Maps are made by chance: eleven clouds. Drawn means that WebGL has finished the points and the browser is at its next
frame. Run it from the project's root: the store is made as those of the tests.
"""

import argparse
import io
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import pandas as pd
from playwright import sync_api

from benchmarks.machine import command_line, machine_line
from engine.datasets import make_dataset
from engine.embeddings import EmbeddingMap, map_name
from engine.store import Store
from tests.browser.conftest import OPTIONS, chromium
from tests.made_classification import (
    CLASSES,
    classification_attempt,
    classification_facts,
    classification_trials,
    keep,
    made_embedding,
    parts_of,
)
from tests.made_store import made_progress
from tests.served import served

STUDY, CLOUDS, A_PATIENT = "maps", 11, 28
WATCH = """
window.heard = [];
window.WebSocket = class extends WebSocket {
  constructor(...rest) {
    super(...rest);
    this.addEventListener("message", (event) =>
      window.heard.push([performance.now(), event.data.byteLength ?? event.data.size ?? event.data.length]));
  }
};
for (const kind of ["click", "wheel"])
  addEventListener(kind, () => { window.asked = performance.now(); }, { capture: true, passive: true });
addEventListener("mousemove", () => { window.moved = performance.now(); }, true);
window.chart = () => document.querySelector("[class*='st-key-figure-map-'] .js-plotly-plot");
// The time at which `points` points, the first of them of a trace whose name begins so, stand on the screen.
window.drawn = (points, begins, then) => {
  const look = () => {
    const chart = window.chart(), scene = chart?._fullLayout?._plots?.xy?._scene;
    const there = chart?._fullData?.reduce((sum, trace) => sum + trace.x.length, 0) === points;
    if (!there || !scene || scene.dirty || !chart._fullData[0].name.startsWith(begins))
      return requestAnimationFrame(look);
    window.finished(chart).then(then);
  };
  look();
};
// WebGL gives back what it drew only when it has: then the frame after the next has it.
window.finished = (chart) => new Promise((done) => {
  const begun = performance.now();
  for (const canvas of chart.querySelectorAll(".gl-canvas")) {
    const gl = canvas.getContext("webgl");
    gl?.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }
  window.waited = performance.now() - begun;
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
});
"""
DRAWN = "() => new Promise((then) => window.drawn(IMAGES, 'BEGINS', then))"
ZOOMED = """() => new Promise((then) => {
  const chart = window.chart();
  chart.once("plotly_relayout", () => window.finished(chart).then((time) => then(time - window.asked)));
})"""
POINT = """() => {
  const chart = window.chart(), { xaxis, yaxis } = chart._fullLayout, box = chart.getBoundingClientRect();
  const across = (x) => box.left + xaxis._offset + xaxis.d2p(x), down = (y) => box.top + yaxis._offset + yaxis.d2p(y);
  return chart._fullData.slice(0, 6).map((trace) => [across(trace.x[0]), down(trace.y[0])]);
}"""
LABEL = """() => new Promise((then) => {
  const look = () => window.chart().querySelector(".hoverlayer .hovertext")
    ? requestAnimationFrame(() => then(performance.now() - window.moved)) : requestAnimationFrame(look);
  look();
})"""


def make(root: Path, cache: Path, images: int) -> None:
    """A study of one training whose embedding's map is kept, and the images of it."""
    random, place = np.random.default_rng(0), np.arange(images)
    table = pd.DataFrame(
        {
            "image": [f"frame {one:05d}.png" for one in place],
            "label": np.array(CLASSES)[place % len(CLASSES)],
            "group": [f"patient {one // A_PATIENT:04d}" for one in place],
            "scanner": np.where(place // A_PATIENT % 2, "B", "A"),
        }
    )
    dataset = make_dataset(
        name="noise", provenance="noise, for timing", images=random.integers(0, 255, (images, 64, 64), np.uint8),
        table=table, classes=CLASSES,
    )  # fmt: skip
    keep(dataset, cache)
    planned = classification_trials(
        dataset.fingerprint, strategies=["whole network"], fractions=[75], folds=[0], as_pretrained=False
    )
    trial, store = planned[0], Store.at(root)
    store.begin(STUDY, f"name: {STUDY}\n")
    store.write_plan(STUDY, planned, classification_facts(dataset))
    store.append(STUDY, classification_attempt(trial, dataset))
    store.write_progress(STUDY, made_progress("finished", 1, 1))
    store.write_embedding(STUDY, trial.id, made_embedding(trial, dataset))
    parts = parts_of(trial, dataset)
    index = np.array([one for places in parts.values() for one in places], np.int32)
    part = np.repeat(np.arange(3, dtype=np.uint8), [len(places) for places in parts.values()])
    centres = random.normal(0, 30, (CLOUDS, 2))
    places = centres[index % CLOUDS] + random.normal(0, 5, (len(index), 2))
    found = EmbeddingMap(
        places=places.astype(np.float32), index=index, part=part, method="t-SNE", seed=0, perplexity=30.0, seconds=7.0
    )
    content = io.BytesIO()
    np.savez_compressed(content, **vars(found))
    store.files.write(f"{STUDY}/{map_name(trial.id)}", content.getvalue())


class Times(NamedTuple):
    """Milliseconds from what was asked for."""

    drawn: float
    waited: float | None = None
    """Of it the wait for WebGL, once the page's script had done its part."""
    came: float | None = None
    """Until the figure had come from the server."""


def answered(page: sync_api.Page, images: int, begins: str, *, asked: str = "0") -> Times:
    """Times until a figure with so many points stands there, `asked` being when that was asked for on the page."""
    ended, heard, begun, waited = page.evaluate(
        f"async () => [await ({DRAWN})(), window.heard, {asked}, window.waited]"
        .replace("IMAGES", str(images)).replace("BEGINS", begins)
    )  # fmt: skip
    came, _ = max((one for one in heard if begun < one[0] <= ended), key=lambda one: one[1])
    return Times(drawn=ended - begun, waited=waited, came=came - begun)


def opened(page: sync_api.Page, address: str, images: int) -> Times:
    """Times from navigation."""
    page.goto(address)
    return answered(page, images, CLASSES[0])


def clicked(place: sync_api.Locator, images: int, begins: str) -> Times:
    """Times from a click that brings another figure."""
    place.click()
    return answered(place.page, images, begins, asked="window.asked")


def zoomed(page: sync_api.Page) -> Times:
    """Times from a turn of the wheel over the middle of the map."""
    box = page.locator("[class*='st-key-figure-map-'] .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    waiting = page.evaluate_handle(f"() => ({{ promise: ({ZOOMED})() }})")
    page.mouse.wheel(0, -120)
    drawn, waited = waiting.evaluate("async waiting => [await waiting.promise, window.waited]")
    return Times(drawn=drawn, waited=waited)


def hovered(page: sync_api.Page, number: int) -> Times:
    """Times from the pointer's move onto a point until its label stands there."""
    x, y = page.evaluate(POINT)[number]
    page.mouse.move(5, 5)
    page.wait_for_timeout(500)
    page.mouse.move(x, y)
    return Times(drawn=float(page.evaluate(LABEL)))


def measured(browser: sync_api.Browser, address: str, images: int, rounds: int) -> dict[str, list[Times]]:
    """Times of each thing that is done, of every round."""
    found: dict[str, list[Times]] = defaultdict(list)
    here = f"{address}embedding-map?study={STUDY}"
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 1280, "height": 1000})
        context.add_init_script(WATCH)
        page = context.new_page()
        page.set_default_timeout(180_000)
        found["opened by its address, empty browser cache"].append(opened(page, here, images))
        found["opened again"].append(opened(page, here, images))
        page.get_by_role("link", name="Curves").click()
        page.get_by_role("heading", name="Curves", exact=True).wait_for()
        page.wait_for_timeout(2000)
        link = page.get_by_role("link", name="Embedding map")
        found["from another page"].append(clicked(link, images, CLASSES[0]))
        for by, begins in (("right or wrong", "right"), ("scanner", "A ("), ("class", CLASSES[0])):
            page.wait_for_timeout(1500)
            found["another colouring"].append(clicked(page.get_by_text(by, exact=True), images, begins))
        page.wait_for_timeout(1500)
        found["the label of a point"] += [hovered(page, number) for number in range(3)]
        found["a turn of the wheel"] += [zoomed(page) for _ in range(3)]
        context.close()
    return found


def told(values: list[float | None]) -> str:
    """Median and longest in seconds; "" where there is none."""
    seconds = [value / 1000 for value in values if value is not None]
    return f"{median(seconds):.2f} ({max(seconds):.2f})" if seconds else ""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[4095, 50_000])
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    print(f"`{command_line('benchmarks.embedding_page')}`; {machine_line()}\n")
    print("| median s (longest) | points | until the figure came | until drawn | of it waiting for WebGL |")
    print("|---|---:|---:|---:|---:|")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        for images in chosen.images:
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                make(folder / "results", folder / "cache", images)
                with served(folder / "results", folder / "cache") as address:
                    for name, times in measured(browser, address, images, chosen.rounds).items():
                        cells = [told([getattr(one, part) for one in times]) for part in ("came", "drawn", "waited")]
                        print(f"| {name} | {images:,} | {' | '.join(cells)} |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
