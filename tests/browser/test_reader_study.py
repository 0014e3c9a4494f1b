"""The reader study in a real browser: its keys, its speed, a server that dies, and that the traffic hides the truth."""

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright import sync_api

from engine import reader_study
from engine.store import Store
from tests.made_readers import STUDY, WORDS, made_animals, made_readers
from tests.reader_server import ReaderServer, served
from tests.served import served as served_dashboard

pytestmark = pytest.mark.browser

CLASSES = sorted(WORDS.values())
expect = sync_api.expect
WITHOUT_LEGEND = """node => {
  const rest = node.cloneNode(true);
  // The legend, what is asked, the reader's own last answer, and the labelled frames.
  for (const id of ["classes", "about", "undo", "spoken", "labelled"]) rest.querySelector(`#${id}`).remove();
  return rest.outerHTML;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readers")
    for study in (STUDY, "told"):
        made_readers(folder / "results", folder / "cache", study=study)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ReaderServer]:
    with served(folder / "results", folder / "cache") as running:
        yield running


@pytest.fixture
def store(folder: Path) -> Store:
    return Store.at(folder / "results")


def begin(page: sync_api.Page | sync_api.Frame | sync_api.FrameLocator, name: str) -> None:
    """Fills in the form; the first reader of the study takes fold 0, which stands first."""
    page.locator("[name=name]").fill(name)
    page.locator("[name=years]").fill("7.5")
    page.locator("[name=examinations]").fill("1200")
    page.locator("[name=exposure]").select_option("none")
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("#stage img")).to_be_visible()


def at_frame(page: sync_api.Page, number: int | str) -> None:
    expect(page.locator(f"body[data-frame='{number}'] #stage img")).to_be_visible()


def said_by(store: Store, name: str) -> list[str]:
    told = reader_study.answers(store, STUDY)
    return [str(one) for one in told.loc[told["reader"] == name, "predicted"]]


def test_a_study_is_read_to_its_end_by_keys_alone(page: sync_api.Page, server: ReaderServer, store: Store) -> None:
    page.goto(f"{server.address}?study={STUDY}")
    begin(page, "keys")
    page.keyboard.press("3")
    at_frame(page, 2)
    expect(page.locator("#undo")).to_have_text(f"U ⌫Undo {CLASSES[2]}")
    page.keyboard.press("u")
    at_frame(page, 1)
    page.keyboard.press("2")
    at_frame(page, 2)
    page.keyboard.press("Shift+Digit5")  # a percent sign; no class without its own key
    page.keyboard.press("9")
    page.keyboard.press("Control+1")
    page.keyboard.press("1")
    at_frame(page, 3)
    page.keyboard.press("Backspace")
    at_frame(page, 2)
    for number in range(2, 29):
        page.keyboard.press(str(number % 7 + 1))
        if number < 28:
            at_frame(page, number + 1)
    expect(page.get_by_role("heading", name="All frames are classified")).to_be_visible()
    assert said_by(store, "keys") == [CLASSES[1], *(CLASSES[number % 7] for number in range(2, 29))]
    row = reader_study.summary(store, STUDY).set_index("reader").loc["keys"]
    assert (row["undone"], row["years"], row["examinations"], row["exposure"]) == (2, 7.5, 1200, "none")
    assert 0 < row["seconds"] < 30
    page.get_by_role("button", name="Undo the last answer").click()
    at_frame(page, 28)
    expect(page.locator("#place")).to_contain_text("27 of 28")


def test_a_key_that_is_held_is_one_answer(page: sync_api.Page, server: ReaderServer, store: Store) -> None:
    page.goto(f"{server.address}?study={STUDY}")
    begin(page, "held")
    for _ in range(5):
        page.keyboard.down("1")
        page.wait_for_timeout(60)
    page.keyboard.up("1")
    at_frame(page, 2)
    page.wait_for_timeout(200)
    assert len(said_by(store, "held")) == 1


def test_a_reload_goes_on_and_stopping_leads_to_the_start(
    page: sync_api.Page, server: ReaderServer, store: Store
) -> None:
    page.goto(f"{server.address}?study={STUDY}")
    begin(page, "later")
    page.keyboard.press("4")
    at_frame(page, 2)
    page.reload()
    at_frame(page, 2)
    page.keyboard.press("5")
    at_frame(page, 3)
    page.get_by_role("button", name="Stop for today").click()
    page.get_by_role("button", name="later 2 of 28").click()
    at_frame(page, 3)
    assert said_by(store, "later") == [CLASSES[3], CLASSES[4]]


def test_the_clock_stands_still_while_paused(page: sync_api.Page, server: ReaderServer, store: Store) -> None:
    page.goto(f"{server.address}?study={STUDY}")
    begin(page, "paused")
    page.keyboard.press("Space")
    expect(page.get_by_role("dialog", name="Paused")).to_be_visible()
    page.keyboard.press("1")  # not heard
    page.wait_for_timeout(1500)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("1")
    at_frame(page, 2)
    told = reader_study.answers(store, STUDY).set_index("reader").loc["paused"]
    assert 0 < told["seconds"] < 1.2


def test_labelled_frames_are_browsed_by_key_and_what_was_seen_is_kept(
    page: sync_api.Page, server: ReaderServer, store: Store
) -> None:
    page.goto(f"{server.address}?study={STUDY}")
    begin(page, "looks")
    page.keyboard.press("l")
    small = page.locator("#labelled-view button img")
    expect(small).to_have_count(12)
    page.keyboard.press("3")
    expect(page.locator("#labelled-place")).to_have_text(f"{CLASSES[2]} · page 1 of 1")
    expect(page.locator("#labelled-view button").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#labelled-place")).to_contain_text("1 of 12")
    page.wait_for_timeout(400)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#labelled-place")).to_contain_text("2 of 12")
    page.wait_for_timeout(400)
    page.keyboard.press("Escape")
    expect(small).to_have_count(12)
    page.keyboard.press("Escape")
    expect(page.locator("#labelled")).to_be_hidden()
    page.keyboard.press("1")
    at_frame(page, 2)
    told = reader_study.answers(store, STUDY).set_index("reader").loc["looks"]
    assert told["opened"] == 2
    assert told["labelled_seconds"] > 0.8
    assert told["seconds"] < 2
    path = Path(store.files.path(f"{STUDY}/readers/{reader_study.reader_id('looks')}.jsonl"))
    looks = [json.loads(line) for line in path.read_text().splitlines() if '"labelled"' in line]
    labels = made_animals().table["label"]
    assert {labels.iloc[index] for look in looks if look["large"] for index in look["indices"]} == {CLASSES[2]}


def test_a_second_tab_is_told_and_the_first_one_too_when_it_goes_on(
    browser: sync_api.Browser, server: ReaderServer, store: Store
) -> None:
    first, second = browser.new_page(), browser.new_page()  # refusals stand in their consoles
    try:
        first.goto(f"{server.address}?study={STUDY}")
        begin(first, "twice")
        first.keyboard.press("1")
        at_frame(first, 2)
        second.goto(first.url)
        told = second.get_by_role("dialog", name="Open in another tab")
        expect(told).to_be_visible()
        second.keyboard.press("2")
        second.get_by_role("button", name="Go on here").click()
        at_frame(second, 2)
        second.keyboard.press("2")
        at_frame(second, 3)
        first.keyboard.press("3")
        expect(first.get_by_role("dialog", name="Open in another tab")).to_be_visible()
        assert said_by(store, "twice") == [CLASSES[0], CLASSES[1]]
        first.get_by_role("button", name="Go on here").click()
        at_frame(first, 3)
        first.keyboard.press("4")
        at_frame(first, 4)
        assert said_by(store, "twice") == [CLASSES[0], CLASSES[1], CLASSES[3]]
    finally:
        first.close()
        second.close()


def test_a_server_that_dies_is_said_and_nothing_is_lost(
    browser: sync_api.Browser, tmp_path: Path, folder: Path
) -> None:
    store = made_readers(tmp_path / "results", folder / "cache")
    page = browser.new_page()
    try:
        with served(tmp_path / "results", folder / "cache") as server:
            port = urlsplit(server.address).port
            page.goto(f"{server.address}?study={STUDY}")
            begin(page, "dies")
            for number in (1, 2, 3):
                page.keyboard.press(str(number))
                at_frame(page, number + 1)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(20)
            page.keyboard.press("4")
            expect(page.get_by_role("alert")).to_contain_text("not kept yet; trying again")
            page.keyboard.press("5")  # waits for the one before
            assert said_by(store, "dies") == CLASSES[:3]
        assert port is not None
        with served(tmp_path / "results", folder / "cache", port):
            at_frame(page, 5)
            expect(page.get_by_role("alert")).to_be_hidden()
            page.keyboard.press("5")
            at_frame(page, 6)
            assert said_by(store, "dies") == CLASSES[:5]
    finally:
        page.close()


def test_the_class_is_told_only_where_the_study_says_so(
    page: sync_api.Page, server: ReaderServer, store: Store
) -> None:
    page.goto(f"{server.address}?study=told")
    page.get_by_label("Tell the class after each answer").check()
    begin(page, "eager")
    order = reader_study.continue_reader(store, "told", reader_study.reader_id("eager"), anew=False).reading().order
    right, other = (made_animals().table["label"].iloc[index] for index in order[:2])
    expect(page.locator("#truth")).to_be_empty()
    page.keyboard.press(str(CLASSES.index(right) + 1))
    expect(page.locator("#truth")).to_contain_text(f"Right: {right}")
    at_frame(page, 1)
    expect(page.locator("#undo")).to_be_hidden()
    page.keyboard.press("Enter")
    at_frame(page, 2)
    expect(page.locator("#truth")).to_be_empty()
    page.keyboard.press(str((CLASSES.index(other) + 1) % 7 + 1))
    expect(page.locator("#truth")).to_contain_text(f"It is: {other}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_is_in_view_in_a_narrow_window_and_has_a_name(
    open_page: Callable[..., sync_api.Page], server: ReaderServer, scheme: str
) -> None:
    page = open_page(viewport={"width": 390, "height": 780}, color_scheme=scheme)
    page.goto(f"{server.address}?study={STUDY}")
    start = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert start == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 28)"}[scheme]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    begin(page, f"narrow {scheme}")
    for button in page.locator("#reading button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert box["y"] + box["height"] <= 780
        assert button.inner_text().strip()
    frame = page.locator("#stage img").bounding_box()
    assert frame is not None
    assert frame["height"] > 300
    expect(page.get_by_role("img", name="Frame 1 of 28")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile(CLASSES[0]))).to_have_attribute("aria-keyshortcuts", "1")
    page.get_by_role("button", name=re.compile(CLASSES[0])).click()
    at_frame(page, 2)
    expect(page.locator("#stage")).to_be_focused()


class Traffic:
    """All that passes between a page and the server: addresses, headers, bodies and websocket frames."""

    def __init__(self, page: sync_api.Page) -> None:
        self.passed: list[tuple[str, bytes]] = []
        self._responses: list[sync_api.Response] = []
        page.on("request", self._ask)
        page.on("response", lambda response: self._responses.append(response))
        page.on("websocket", self._listen)

    def _ask(self, request: sync_api.Request) -> None:
        said = f"{request.url} {request.headers}".encode() + (request.post_data_buffer or b"")
        self.passed.append((f"request {urlsplit(request.url).path}", said))

    def _listen(self, socket: sync_api.WebSocket) -> None:
        for event in ("framesent", "framereceived"):
            socket.on(event, lambda frame, name=event: self._frame(name, frame))

    def _frame(self, name: str, frame: Any) -> None:
        self.passed.append((f"websocket {name}", frame.encode() if isinstance(frame, str) else bytes(frame)))

    def read(self) -> None:
        """Takes in the bodies of what came since."""
        for response in self._responses:
            path = urlsplit(response.url).path
            if response.status != 204 and not 300 <= response.status < 400:
                self.passed.append((f"response {path}", f"{response.headers}".encode() + response.body()))
        self._responses.clear()

    def with_any(self, words: list[str]) -> set[str]:
        """What holds one of the words, in any capitals."""
        sought = [word.lower().encode() for word in words]
        return {name for name, said in self.passed if any(word in said.lower() for word in sought)}


def test_the_traffic_of_the_page_never_says_what_a_frame_is(
    open_page: Callable[..., sync_api.Page], tmp_path: Path, folder: Path
) -> None:
    store, page, animals = made_readers(tmp_path / "results", folder / "cache"), open_page(), made_animals()
    traffic = Traffic(page)
    with served_dashboard(tmp_path / "results", folder / "cache", prefix="/layers") as address:
        page.goto(f"{address}reader-study?study={STUDY}")
        inside = page.frame_locator(".st-key-reader iframe")
        expect(inside.get_by_role("heading", name="Reader study")).to_be_visible(timeout=90_000)
        begin(inside, "watched")
        for number in range(1, 13):
            inside.locator("body").press(str(number % 7 + 1))
            expect(inside.locator(f"body[data-frame='{number + 1}'] #stage img")).to_be_visible()
            if number % 4 == 0:
                inside.locator("body").press("u")
                expect(inside.locator(f"body[data-frame='{number}'] #stage img")).to_be_visible()
                inside.locator("body").press("1")
                expect(inside.locator(f"body[data-frame='{number + 1}'] #stage img")).to_be_visible()
        inside.locator("body").press("l")
        expect(inside.locator("#labelled-view button img")).to_have_count(12)
        inside.locator("#labelled-view button").first.click()
        page.wait_for_timeout(500)
        inside.locator("body").press("Escape")
        inside.locator("body").press("Escape")
        traffic.read()
        html = inside.locator("html").evaluate(WITHOUT_LEGEND)
        page.goto("about:blank")
    assert len(reader_study.answers(store, STUDY)) == 12
    assert len([name for name, _ in traffic.passed if name.endswith(".png")]) > 40
    names = [str(name) for column in ("image", "group") for name in animals.table[column]]
    assert traffic.with_any([*names, *(name.split("/")[-1] for name in names), "wombat", "zq0"]) == set()
    assert traffic.with_any(CLASSES) == {f"response /layers/reader/api/{STUDY}"}
    assert "websocket framereceived" in traffic.with_any(["beside the networks"])  # frames were read, not packed bytes
    assert "Frame 13 of 28" in html
    assert [word for word in [*CLASSES, *names] if word in html] == []
