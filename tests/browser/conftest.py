"""One browser for all pages, and the guard that each page must pass."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright import sync_api

OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]

# How Gradio's streams end when a page is left; a server that is gone is heard by what the browser says of the request.
LEFT = (
    "AbortError: signal is aborted",
    "Unexpected error Connection errored out",
    "Cannot send rerun backMessage when disconnected from server",  # Streamlit's, of a part that renews itself
)


BROKEN = "[...document.images].filter(image => image.complete && !image.naturalWidth).map(image => image.src)"
"""Addresses of the pictures of a page that could not be had."""

sync_api.expect.set_options(timeout=60_000)  # a busy machine draws slowly; what never comes still fails


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What failed in a browser is run once more: beside another worker on two cores a page can take longer than any
    limit worth having. The summary names each such test (RERUN) with its failure, as one to look at."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))


def chromium() -> str:
    """Path of Chromium; without one the tests are skipped, and fail where the automatic tests run (CI=true)."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no chromium; install Debian's chromium")
    return found


@pytest.fixture(scope="package")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        yield running
        running.close()


def watched(page: sync_api.Page) -> list[str]:
    """What goes wrong on the page from now on: console errors, uncaught errors, requests to other hosts."""
    wrong: list[str] = []

    def hear(message: sync_api.ConsoleMessage) -> None:
        # Streamlit forgets the pictures of a page that is left; `open_page` looks at those of the last one.
        late = "status of 404" in message.text and "/media/" in message.location["url"]
        if message.type == "error" and not late and not message.text.startswith(LEFT):
            wrong.append(f"console: {message.text} {message.location}")

    def watch(request: sync_api.Request | sync_api.WebSocket) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            wrong.append(f"outside request: {request.url}")

    page.on("console", hear)
    page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
    page.on("request", watch)
    page.on("websocket", watch)
    return wrong


@pytest.fixture
def open_page(browser: sync_api.Browser) -> Iterator[Callable[..., sync_api.Page]]:
    """Opens pages, each of its own user; all must end without an error and without a request to another host."""
    opened: list[tuple[sync_api.Page, list[str]]] = []

    def new(**options: Any) -> sync_api.Page:
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
        page.set_default_timeout(90_000)
        opened.append((page, watched(page)))
        return page

    yield new
    broken = [address for page, _ in opened for address in page.evaluate(BROKEN)]
    for page, _ in opened:
        page.close()
    assert broken == []
    assert [line for _, wrong in opened for line in wrong] == []


def at_rest(place: sync_api.Locator) -> sync_api.FloatRect:
    """Where on the page `place` is, once it stays there; a chart that is drawn anew meanwhile is nowhere."""
    for again in (True, True, False):
        try:
            place.scroll_into_view_if_needed()
            break
        except sync_api.Error:  # drawn anew just now
            if not again:
                raise
    before, box = None, place.bounding_box()
    while box is None or box != before:
        place.page.wait_for_timeout(300)
        before, box = box, place.bounding_box()
    return box


def click_at(place: sync_api.Locator, *, right: float = 0) -> None:
    """Clicks the middle of what is drawn, `right` pixels beside it, with the mouse, once the page has come to rest.

    For what a transparent layer lies over, as over the points of a chart.
    """
    box = at_rest(place)
    place.page.mouse.move(box["x"] + box["width"] / 2 + right, box["y"] + box["height"] / 2)
    place.page.mouse.click(box["x"] + box["width"] / 2 + right, box["y"] + box["height"] / 2)


def again_until(seen: sync_api.Locator, act: Callable[[], object]) -> None:
    """Does as a reader does who sees that nothing came of a click: waits, and clicks again, three times at most.

    A click at the very moment when the browser draws a chart or a button anew goes to what is no longer there.
    """
    for _ in range(2):
        act()
        with suppress(sync_api.TimeoutError):
            seen.wait_for(timeout=30_000)
            return
    act()
    seen.wait_for()


@pytest.fixture
def page(open_page: Callable[..., sync_api.Page]) -> sync_api.Page:
    """One page in a usual window."""
    return open_page()
