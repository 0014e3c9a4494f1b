"""A study launched from the page, seen to fill, stopped, gone on with and extended: a real Ray, a real browser."""

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from playwright import sync_api

from engine import studies
from engine.store import Store
from tests.browser.conftest import again_until
from tests.made_store import made_store
from tests.served import served

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.ray]

FILE = """\
name: launched
data: {kind: simulated, images: 20}
model: {width: 2, image_size: 32}
start_weights: {images: 40, batches: 4}
strategies: [contracting, block 9]
fractions: [80]
training: {patience: 20, max_epochs: 20, batches_per_epoch: 12}
"""
LIMIT = 240_000
LARGE_BYTES = 400 * 2**20
expect = sync_api.expect


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("launch")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder / "results", folder) as url:
        yield url


@contextmanager
def served_to(page: sync_api.Page, folder: Path) -> Iterator[str]:
    """A dashboard for one test; a page that loses its server says so in the console, which no test may."""
    with served(folder / "results", folder) as url:
        yield url
        page.goto("about:blank")


def button(page: sync_api.Page, name: str) -> sync_api.Locator:
    """The button as it is drawn now: what an earlier drawing has left stands behind it for a moment."""
    return page.get_by_role("button", name=name, exact=True).first


def quiet(page: sync_api.Page) -> None:
    """Waits until the page has drawn what was chosen: what is typed meanwhile would be drawn over."""
    page.locator("[data-testid='stApp'][data-test-script-state='notRunning']").wait_for()


def launch(page: sync_api.Page) -> None:
    """Presses Launch until the page *Running* comes: a press while the page is drawn anew may be lost."""
    running = page.get_by_role("heading", name="Running", exact=True)
    for _ in range(3):
        quiet(page)
        expect(page.get_by_role("button", name="Launch", exact=True)).to_have_count(1)
        button(page, "Launch").click()
        with suppress(sync_api.TimeoutError):
            running.wait_for(timeout=LIMIT / 6)
            return
    running.wait_for()


def write(page: sync_api.Page, text: str) -> None:
    """Puts `text` into the page's study file."""
    button(page, "Launch").wait_for()
    quiet(page)
    box = page.get_by_label("Study file", exact=True)
    box.fill(text)
    box.press("Control+Enter")
    with suppress(sync_api.TimeoutError):  # it may be over already
        page.locator("[data-testid='stApp'][data-test-script-state='running']").wait_for(timeout=2000)
    quiet(page)


def serving(folder: Path) -> psutil.Process:
    """The process that serves the results in `folder`."""
    (found,) = [one for one in psutil.Process().children() if str(folder / "results") in one.cmdline()]
    return found


def peak_bytes(process: psutil.Process) -> int:
    """The most memory that it has taken since this was last asked."""
    told = Path(f"/proc/{process.pid}/status").read_text()
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return 1024 * int(told.partition("VmHWM:")[2].split()[0])


def states(store: Store) -> list[str]:
    return sorted(store.attempts("launched", ("state",))["state"])


@pytest.mark.timeout(1200)
def test_a_study_is_launched_stopped_gone_on_with_and_extended(page: sync_api.Page, tmp_path: Path) -> None:
    with served_to(page, tmp_path) as address:  # its own: another go of this test begins without a study
        _launched_stopped_gone_on_with_and_extended(page, address, Store.at(tmp_path / "results"))


def _launched_stopped_gone_on_with_and_extended(page: sync_api.Page, address: str, store: Store) -> None:
    page.goto(f"{address}launch")
    write(page, FILE.replace("[contracting", "[contractin"))
    page.get_by_text("did you mean 'contracting'").wait_for()
    write(page, FILE)
    page.get_by_text("'launched': no mistake in the file.").wait_for()
    expect(page.locator("input[aria-label='Patience (epochs)'][value='20']")).to_have_count(1)
    launch(page)

    stop, again = button(page, "Stop the study"), button(page, "Go on")
    # the first one: on a busy machine what earlier drawings have left stays in the page, hidden, for seconds
    expect(page.locator(".js-plotly-plot .legendtext", has_text="running").first).to_be_visible(timeout=LIMIT)
    stop.click()
    expect(again).to_be_enabled(timeout=LIMIT)
    assert not store.progress("launched")["alive"]
    done = states(store).count("completed")
    assert done < 15

    again.click()
    expect(page.locator(".js-plotly-plot .legendtext")).to_have_text(["completed (15)"], timeout=LIMIT)
    expect(stop).to_be_disabled(timeout=LIMIT)
    assert states(store) == ["completed"] * 15

    page.get_by_role("link", name="Launch").click()
    write(page, FILE.replace("[contracting", "[block 1, contracting"))
    page.get_by_role("button", name="Count trials and estimate the time").click()
    expect(page.get_by_test_id("stMetricValue").first).to_have_text("5", timeout=LIMIT)
    launch(page)
    expect(page.locator(".js-plotly-plot .legendtext")).to_have_text(["completed (20)"], timeout=2 * LIMIT)
    assert states(store) == ["completed"] * 20
    expect(stop).to_be_disabled(timeout=LIMIT)


@pytest.mark.timeout(1200)
def test_a_launched_run_outlives_the_dashboard_and_the_next_one_shows_it_to_its_end(
    page: sync_api.Page, tmp_path: Path
) -> None:
    store = Store.at(tmp_path / "results")
    with served(tmp_path / "results", tmp_path) as address:
        page.goto(f"{address}launch")
        write(page, FILE + "folds: {of: 5, run: [0, 1]}\n")
        page.get_by_text("'launched': no mistake in the file.").wait_for()
        launch(page)
        page.goto("about:blank")
        dashboard = serving(tmp_path)
        while not states(store):
            page.wait_for_timeout(100)
        run = psutil.Process(store.progress("launched")["process"])
        ended = [dashboard, *dashboard.children(recursive=True)]
        for one in [one for one in ended if os.getsid(one.pid) == os.getsid(dashboard.pid)]:  # as with a terminal
            one.kill()
        dashboard.wait(20)
        assert len(states(store)) < 6
        assert run.status() != psutil.STATUS_ZOMBIE
    with served_to(page, tmp_path) as address:
        page.goto(f"{address}running?study=launched")
        expect(page.locator(".js-plotly-plot .legendtext")).to_have_text(["completed (6)"], timeout=LIMIT)
        expect(button(page, "Stop the study")).to_be_disabled(timeout=LIMIT)
    told = store.progress("launched")
    assert (told["process"], told["state"], states(store)) == (run.pid, "finished", ["completed"] * 6)


def choose(page: sync_api.Page, study: str) -> None:
    """Chooses the row of a study in the list."""
    page.get_by_text("Choose a row to open").wait_for()
    quiet(page)
    table = page.get_by_test_id("stDataFrame")
    names = table.locator("canvas tbody tr td:first-child")  # what a screen reader is told
    expect(names.filter(has_text=re.compile(f"^{study}$"))).to_have_count(1)
    place = names.all_text_contents().index(study)
    again_until(
        page.get_by_role("heading", name=study, exact=True),
        lambda: table.locator(".dvn-scroller").click(position={"x": 18, "y": 52 + 35 * place}),
    )
    page.get_by_label("New name").wait_for()
    quiet(page)


def without(store: Store, *names: str) -> None:
    """Takes studies out that an earlier go of a test has left."""
    for name in names:
        if name in store.studies():
            studies.delete(store, name)


def test_the_list_opens_deletes_and_brings_back(
    page: sync_api.Page, address: str, folder: Path, tmp_path: Path
) -> None:
    without(Store.at(folder / "results"), "kept")
    made_store(folder / "results", folder, study="kept", images=10, fractions=(80,), strategies=("block 9",))
    store = Store.at(folder / "results")
    studies.pack(store, "kept", tmp_path / "kept.zip", cache=None)
    page.goto(f"{address}studies")
    choose(page, "kept")
    page.locator(".stButton button", has_text="Open").click()  # the box of studies has a button of this name, too
    page.get_by_role("heading", name="Which layers should be fine-tuned for ultrasound?").wait_for()
    assert "study=kept" in page.url

    page.goto(f"{address}studies")
    choose(page, "kept")
    button(page, "Delete …").click()
    page.get_by_text("goes for good, with:").wait_for()
    assert "kept" in store.studies()
    button(page, "Delete it").click()
    page.get_by_text("'kept' is deleted.").wait_for()
    assert "kept" not in store.studies()

    page.get_by_text("Import a study from a file").click()
    page.locator("[data-testid='stFileUploaderDropzoneInput']").set_input_files(tmp_path / "kept.zip")
    expect(button(page, "Import")).to_be_enabled()
    quiet(page)
    button(page, "Import").click()
    page.get_by_text("'kept' is here:").wait_for()
    assert len(store.attempts("kept")) == len(store.plan("kept"))


def test_the_list_renames_and_exports(page: sync_api.Page, address: str, folder: Path, tmp_path: Path) -> None:
    store = Store.at(folder / "results")
    without(store, "old", "older", "newer")
    made_store(folder / "results", folder, study="old", images=10, fractions=(80,), strategies=("block 9",))
    page.goto(f"{address}studies")
    choose(page, "old")
    made_store(folder / "results", folder, study="newer", images=10, fractions=(80,), strategies=("block 9",))
    page.get_by_role("heading", name="Studies").click()
    page.keyboard.press("r")  # Streamlit's key for drawing the page again
    expect(page.get_by_test_id("stDataFrame").locator("canvas tbody tr").first).to_contain_text("newer")
    expect(page.get_by_role("heading", name="old", exact=True)).to_be_visible()  # the row is another one now
    page.get_by_label("New name").fill("older")
    page.get_by_label("New name").press("Enter")
    quiet(page)
    page.get_by_role("button", name="Rename").click()
    said = page.get_by_text("'old' is called 'older' now.")
    said.wait_for()
    page.get_by_role("heading", name="Studies").click()
    page.keyboard.press("r")
    quiet(page)
    expect(said).to_be_visible()
    assert "older" in store.studies()
    expect(page.get_by_role("heading", name="older", exact=True)).to_be_visible()

    page.goto(f"{address}studies")
    choose(page, "older")
    store.files.write("older/weights/large.safetensors", bytes(LARGE_BYTES))
    server = serving(folder)
    peak_bytes(server)
    before = peak_bytes(server)
    page.get_by_role("button", name="Export as one file").click()
    made = page.get_by_role("link", name="older.zip (")
    with page.expect_download() as coming:
        made.click()
    coming.value.save_as(tmp_path / "older.zip")
    assert peak_bytes(server) - before < LARGE_BYTES / 4
    with zipfile.ZipFile(tmp_path / "older.zip") as packed:
        assert packed.testzip() is None
        assert packed.getinfo("study/weights/large.safetensors").file_size == LARGE_BYTES
    page.get_by_text("with the decoded images").click()
    expect(made).to_have_count(0)  # it holds no images
    quiet(page)
    (folder / "data").rename(folder / "aside")
    page.get_by_role("button", name="Export as one file").click()
    page.get_by_text("run the study again, or leave them out").wait_for()
    (folder / "aside").rename(folder / "data")
