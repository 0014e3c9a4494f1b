"""Results and Images in a real browser; every test fails on a console error or a request to another host."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from playwright import sync_api

from engine.store import Lease, Store
from engine.study_settings import DataSettings
from engine.trial import Trial
from tests.browser.conftest import again_until, click_at
from tests.made_store import made_attempt, made_progress, made_store, made_trials, normals_folder
from tests.served import served
from tests.trained_store import STUDY, TrainedStore, make_trained_store

pytestmark = pytest.mark.browser
LAST = {**made_progress("finished", 28, 28), "updated": "2026-02-01T00:00:00+00:00"}


def crash(place: int, trial: Trial) -> dict[str, str]:
    return {"state": "error", "error": "Traceback: made"} if place == 3 else {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`made` is finished; `partly` ended in the middle of its second fold; `normals` has normal images."""
    folder = tmp_path_factory.mktemp("pages")
    store = made_store(folder / "results", folder / "cache")
    made_store(folder / "results", folder / "cache", study="partly", finished=lambda place, trial: place < 20,
               changes=crash, state="stopped")  # fmt: skip
    made_store(folder / "results", folder / "cache", study="normals", fractions=(80,),
               data=DataSettings(folder=str(normals_folder(folder / "discs"))),
               finished=lambda place, trial: place < 9, state="stopped")  # fmt: skip
    # The one that ran last is shown first.
    store.write_progress("made", LAST)
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> TrainedStore:
    """A study whose trained networks are there, in the same store."""
    return make_trained_store(folder / "results")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder / "results", folder / "cache") as url:
        yield url


def choices(page: sync_api.Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def squares(page: sync_api.Page) -> sync_api.Locator:
    return page.locator(".st-key-table2 .scatterlayer .point")


def test_a_click_on_a_cell_shows_its_folds_curves_and_images_and_the_link_keeps_it(
    page: sync_api.Page, address: str
) -> None:
    page.goto(address)
    page.get_by_role("heading", name="Which layers should be fine-tuned for ultrasound?").wait_for()
    page.get_by_text("Two folds: no test and no interval.").wait_for()
    page.get_by_text("not images of people").wait_for()
    squares(page).first.wait_for(state="attached")
    sync_api.expect(squares(page)).to_have_count(2 * 7 + 2 * 7)  # ours, and the published rows beside them
    square = squares(page).nth(9)  # second row, third column
    square.dispatch_event("mousemove")
    again_until(page.get_by_text("Folds · expanding, 5 %"), lambda: click_at(square, right=25))  # anywhere in the cell
    page.locator(".st-key-worst-images img").nth(3).wait_for()
    sync_api.expect(page.locator(".st-key-best-images img")).to_have_count(4)
    dots = page.locator(".st-key-folds .point:not([style*='fill-opacity: 0;'])")  # but those that only tell of a mean
    sync_api.expect(dots).to_have_count(4)  # beside the whole network's
    assert choices(page) == {"study": "made", "row": "5 %", "strategy": "expanding"}
    page.reload()
    page.get_by_text("Folds · expanding, 5 %").wait_for()
    page.locator(".st-key-worst-images img").nth(3).wait_for()


def test_a_click_stays_though_the_page_renews_itself_before_the_browser_hears_of_it(
    page: sync_api.Page, address: str, folder: Path
) -> None:
    held: list[tuple[sync_api.WebSocketRoute, str | bytes]] = []
    sent: list[str | bytes] = []
    holding = False

    def between(browser: sync_api.WebSocketRoute) -> None:
        server = browser.connect_to_server()

        def ask(said: str | bytes) -> None:
            sent.append(said)
            server.send(said)

        browser.on_message(ask)
        server.on_message(lambda said: held.append((browser, said)) if holding else browser.send(said))

    store = Store.at(folder / "results")
    page.route_web_socket(re.compile("_stcore/stream"), between)
    page.goto(f"{address}?study=made")
    page.get_by_text("Two folds: no test and no interval.").wait_for()
    sync_api.expect(squares(page)).to_have_count(2 * 7 + 2 * 7)
    holding, before = True, len(sent)
    click_at(squares(page).nth(9))
    try:
        while len(sent) < before + 4:  # the click, and what a part that renews itself asks with the choice of before
            page.wait_for_timeout(100)
        store.write_progress("made", {**LAST, "state": "stopped"})  # the whole page is run again
        while len(sent) < before + 6:
            page.wait_for_timeout(100)
        while held:  # what comes meanwhile is held too: their order matters
            browser, said = held.pop(0)
            browser.send(said)
        holding = False
        page.get_by_text("Folds · expanding, 5 %").wait_for()
        page.wait_for_timeout(2500)
        sync_api.expect(page.get_by_text("Folds · expanding, 5 %")).to_be_visible()
        assert choices(page) == {"study": "made", "row": "5 %", "strategy": "expanding"}
    finally:
        store.write_progress("made", LAST)


def test_tables_and_figures_are_saved_as_csv(page: sync_api.Page, address: str) -> None:
    for name, button, column in (
        ("", "Table (CSV)", "mean"), ("", "Folds (CSV)", "fold"), ("strategies", "CSV", "unit"), ("cost", "CSV", "sd"),
    ):  # fmt: skip
        page.goto(f"{address}{name}?study=made")
        page.locator("[data-testid='stApp'][data-test-script-state='notRunning']").wait_for()
        with page.expect_download() as download:
            page.get_by_role("button", name=button).first.click()
        saved = pd.read_csv(download.value.path())
        assert download.value.suggested_filename.startswith("made-")
        assert len(saved) > 0
        assert column in saved, list(saved)


def test_the_cell_can_be_chosen_from_the_keyboard(page: sync_api.Page, address: str) -> None:
    page.goto(f"{address}?study=made")
    box = page.get_by_role("combobox", name=re.compile("Strategy"))
    box.wait_for()
    box.focus()
    box.press_sequentially("contracting")
    box.press("Enter")
    page.get_by_text("Folds · contracting, 80 %").wait_for()


def test_switches_live_in_the_address_and_survive_a_way_to_another_page(page: sync_api.Page, address: str) -> None:
    page.goto(f"{address}?study=made")
    page.get_by_text("published", exact=True).click()
    page.get_by_text("X-ray, Amiri et al. 2020").wait_for()
    sync_api.expect(squares(page)).to_have_count(12 * 13)
    page.get_by_text("difference", exact=True).click()
    page.get_by_text("No difference shown: these are simulated images made here, width 16 not 64").wait_for()
    page.get_by_text("colour-blind safe").click()
    page.wait_for_url("**colours=**")
    assert choices(page) == {"study": "made", "show": "difference", "colours": "colour-blind safe"}
    page.get_by_role("link", name="Images").click()
    page.get_by_text("masks outlined").wait_for()
    page.get_by_role("link", name="Results").click()
    page.get_by_text("No difference shown").wait_for()
    page.reload()
    page.get_by_text("No difference shown").wait_for()
    assert choices(page)["colours"] == "colour-blind safe"


def test_images_are_paged_and_sorted_and_their_address_opens_again(page: sync_api.Page, address: str) -> None:
    page.goto(f"{address}images?study=made")
    page.get_by_text("1 to 24 of 40 images").wait_for()
    page.locator(".st-key-frames img").nth(23).wait_for()
    page.get_by_text("Table I of this study").wait_for()
    field = page.get_by_role("spinbutton")
    field.fill("2")
    field.press("Enter")
    page.get_by_text("25 to 40 of 40 images").wait_for()
    page.reload()
    page.get_by_text("25 to 40 of 40 images").wait_for()


def test_an_unfinished_study_shows_counts_the_remedy_and_the_crash(page: sync_api.Page, address: str) -> None:
    page.goto(f"{address}?study=partly")
    page.get_by_text("whichlayers run").wait_for()
    page.get_by_text("by validation Dice so far").first.wait_for()
    page.locator(".st-key-table2 text", has_text="1/2").first.wait_for()
    page.get_by_text("Crashed attempts (1)").click()
    page.get_by_test_id("stCode").get_by_text("Traceback: made").wait_for()


def test_two_complete_cells_stay_uncoloured_and_normal_images_are_told_apart(page: sync_api.Page, address: str) -> None:
    page.goto(f"{address}?study=normals&strategy=contracting")
    page.get_by_text("A row is coloured once 3 of its cells are complete.").wait_for()
    page.get_by_text(re.compile(r"False positives on normal images: \d+ % of 6;")).wait_for()
    page.locator(".st-key-normal-images").get_by_text(re.compile(r"normal, \d+ pixels predicted")).first.wait_for()
    sync_api.expect(page.locator(".st-key-worst-images").get_by_text("normal")).to_have_count(0)
    # A faint frame around each complete cell, and the one of the chosen cell.
    sync_api.expect(page.locator(".st-key-table2 .shapelayer path")).to_have_count(3)


def test_the_trial_in_the_address_is_opened_and_stays_after_a_reload(
    page: sync_api.Page, address: str, trained: TrainedStore
) -> None:
    field = page.frame_locator("iframe").locator("#trial input")
    for trial in (trained.scratch, trained.dark):
        if trial is trained.scratch:
            page.goto(f"{address}live?study={STUDY}&trial={trial.id}")
        else:
            field.click()
            page.frame_locator("iframe").get_by_role("option", name=trial.strategy).click()
            page.wait_for_url(f"**trial={trial.id}**")
        sync_api.expect(field).to_have_value(re.compile(trial.strategy))
        page.reload()
        sync_api.expect(field).to_have_value(re.compile(trial.strategy))
        assert choices(page) == {"study": STUDY, "trial": trial.id}


def test_under_a_prefix_a_study_appears_by_itself_in_place_of_the_published_table(
    page: sync_api.Page, tmp_path: Path
) -> None:
    with served(tmp_path / "results", tmp_path, prefix="layers") as address:
        assert address.endswith("/layers/")
        page.goto(address)
        page.get_by_text("No study yet").wait_for()
        page.get_by_text("FUS, Amiri et al. 2020").wait_for()
        sync_api.expect(squares(page)).to_have_count(12 * 13)
        made_store(tmp_path / "results", tmp_path, finished=lambda place, trial: place < 13, state="running")
        store = Store.at(tmp_path / "results")
        with Lease(store.files, "made"):
            page.get_by_text("13 / 28").wait_for()
            sync_api.expect(page.locator(".st-key-table2 text", has_text="1/2")).to_have_count(13)
            # The run goes on: a cell fills without anybody touching the page.
            dataset_id = str(store.plan("made")["data"].iloc[0])
            for trial in made_trials(dataset_id)[14:15]:
                store.append("made", made_attempt(trial))
            page.get_by_text("1 of 7 cells complete").wait_for()
            page.get_by_role("link", name="Live").click()
            page.frame_locator("iframe").get_by_text("For research, not for diagnosis.").first.wait_for()
            page.goto(f"{address}images?study=made")
            page.locator(".st-key-frames img").first.wait_for()
            page.goto("about:blank")


def test_a_dark_page_and_a_narrow_one_show_the_table(open_page: Callable[..., sync_api.Page], address: str) -> None:
    page = open_page(viewport={"width": 420, "height": 900}, color_scheme="dark")
    page.goto(f"{address}?study=made")
    squares(page).first.wait_for(state="attached")
    table, frame = (
        page.locator(".st-key-table2 .js-plotly-plot").bounding_box(),
        page.locator(".st-key-table2").bounding_box(),
    )
    assert table is not None
    assert frame is not None
    assert table["width"] > 500  # it scrolls in its frame,
    assert frame["width"] < 420  # and the page does not
    assert page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor") == "rgb(20, 24, 28)"
