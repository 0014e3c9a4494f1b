"""How long a reader waits: from the key that answers a frame to the next frame, as painted in a real browser.

    python -m benchmarks.reading                  five readers of 28 made frames each

The page is served by a process of its own and drawn by Debian's chromium, both on this machine. Run it from the
project's root: frames and server are those of the tests.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from playwright import sync_api

from tests.browser.conftest import OPTIONS, chromium
from tests.made_readers import STUDY, made_readers
from tests.reader_server import served

WATCH = """
window.waits = [];
let pressed = 0;
addEventListener("keydown", () => { pressed = performance.now(); }, true);
addEventListener("DOMContentLoaded", () => new MutationObserver(() => requestAnimationFrame(() => {
  window.waits.push(performance.now() - pressed);
})).observe(document.body, { attributes: true, attributeFilter: ["data-frame"] }));
"""
FRAMES = 28


def waits(page: sync_api.Page, address: str, name: str) -> list[float]:
    """Milliseconds from each answer to the frame after it, of one reader who answers as fast as the page lets it."""
    page.add_init_script(WATCH)
    page.goto(address)
    page.locator("[name=name]").fill(name)
    for field in ("years", "examinations"):
        page.locator(f"[name={field}]").fill("5")
    page.locator("[name=exposure]").select_option("none")
    page.get_by_role("button", name="Begin").click()
    for number in range(1, FRAMES):
        page.locator(f"body[data-frame='{number}'] #stage img").wait_for()
        page.keyboard.press(str(number % 7 + 1))
    page.locator(f"body[data-frame='{FRAMES}'] #stage img").wait_for()
    return [float(wait) for wait in page.evaluate("window.waits")[1:]]


def main() -> None:
    """Prints median, 95th percentile and the longest wait."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=5)
    readers = parser.parse_args().readers
    every: list[float] = []
    with tempfile.TemporaryDirectory() as place, sync_api.sync_playwright() as playwright:
        folder = Path(place)
        made_readers(folder / "results", folder / "cache")
        browser = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        with served(folder / "results", folder / "cache") as server:
            for number in range(readers):
                page = browser.new_page()
                every += waits(page, f"{server.address}?study={STUDY}", f"reader {number}")
                page.close()
        browser.close()
    p50, p95 = np.percentile(every, (50, 95))
    print(f"{len(every)} answers of {readers} readers, key to next frame: {p50:.0f} ms (median), {p95:.0f} ms (95 %), "
          f"{max(every):.0f} ms (longest)")  # fmt: skip


if __name__ == "__main__":
    main()
