"""Launch, Running and Studies as Streamlit runs them, on a store of made attempts."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard.launch.study_text import read
from dashboard.views import form, launch_check
from dashboard.views import studies as studies_page
from engine import studies
from engine.config import loads
from engine.store import Store
from tests.made_store import made_progress, made_store

APP = str(Path(__file__).resolve().parents[1] / "dashboard" / "app.py")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(tmp_path / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(tmp_path / "cache"))
    made = made_store(
        tmp_path / "results", tmp_path / "cache", study="made", images=10, fractions=(80,),
        strategies=("whole network", "block 9"),
    )  # fmt: skip
    made.write_progress("made", made_progress("stopped", 3, 10))
    return made


def opened(page: str) -> AppTest:
    found = AppTest.from_file(APP, default_timeout=60)
    found.query_params["open"] = page
    found.query_params["study"] = "made"
    return found.run()


def field(page: AppTest, key: str) -> str:
    """Key of a field's widget as it is drawn now."""
    return f"form {page.session_state[form.FIELDS]} {key}"


def write(page: AppTest, text: str) -> None:
    """Puts `text` into the page's study file."""
    page.text_area(key=f"form text {page.session_state[form.TEXT]}").set_value(text).run()


def said(page: AppTest) -> str:
    elements = [*page.caption, *page.markdown, *page.info, *page.error, *page.success, *page.warning]
    return "\n".join(str(element.value) for element in elements)


def test_the_form_and_the_file_are_the_same_study(store: Store) -> None:
    page = opened("launch")
    assert not page.exception
    assert page.title[0].value == "Launch"
    page.text_input(key=field(page, "training.patience")).set_value("11").run()
    assert loads(page.session_state[form.FILE]).training.patience == 11
    page.multiselect(key=field(page, "strategies")).set_value(["block 9"]).run()
    assert loads(page.session_state[form.FILE]).strategies == ("block 9",)
    page.selectbox(key=field(page, "data.kind")).set_value("folder").run()
    assert "Give a folder" in said(page)
    write(page, "name: typed\ndata: {kind: simulated}\nmodel: {width: 4}\n")
    assert page.text_input(key=field(page, "model.width")).value == "4"
    assert "'typed': no mistake" in said(page)
    assert not page.exception


def test_mistakes_are_told_with_their_line_and_nothing_can_be_launched(store: Store) -> None:
    page = opened("launch")
    write(page, "name: x\ndata: {kind: simulated}\nfractions: [0]\n")
    assert "study file:3" in said(page)
    assert page.button(key="form launch").disabled
    write(page, "name: [")
    assert "The form comes back" in said(page)
    assert not page.exception


def test_images_are_checked_as_the_study_reads_them(store: Store, tmp_path: Path) -> None:
    classes = tmp_path / "classes"
    for label in ("kidney", "liver"):
        (classes / label).mkdir(parents=True)
        for number in range(3):
            noise = np.random.default_rng(number + 10 * len(label)).integers(0, 255, (32, 32), dtype=np.uint8)
            Image.fromarray(noise).save(classes / label / f"{number}.png")
    page = opened("launch")
    write(page, f"name: x\ndata: {{learn: labels, folder: {classes}, where: {{label: [kidney, liver]}}}}\n")
    button = page.button(key="form check")
    assert button.help == f"`whichlayers check {classes} --labels --where label=kidney,liver`"
    button.click().run()
    assert not page.exception
    assert "kidney" in page.code[0].value
    assert "no mask" not in page.code[0].value


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("data: {mask: [mask, mask_vessel]}", ["--mask", "mask", "--mask", "mask_vessel"]),
        ("data: {mask: lesion, where: {scanner: 9}}", ["--mask", "lesion", "--where", "scanner=9"]),
        ("model: {name: caffenet}\ndata: {label: view}", ["--labels", "--label", "view"]),
        ("data: {learn: labels, mask: mask}", ["--labels"]),
        ("data: nothing", []),
    ],
)
def test_the_check_takes_its_options_from_the_study_file(text: str, options: list[str]) -> None:
    assert launch_check._options(read(text)) == options


def test_the_estimate_counts_what_is_closed_and_every_button_has_its_command(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {
        "low_seconds": 60, "high_seconds": 90, "left": 3, "trials": 10, "done": 7, "disk_bytes": 1e6, "free_bytes": 1e9,
        "start_seconds": 0, "at_once": 1, "device": "cpu", "precision": "fp32", "strategies": [], "notes": [],
    }  # fmt: skip
    monkeypatch.setattr(launch_check.runs, "estimate", lambda *_: found)
    page = opened("launch")
    places = f"--store {tmp_path / 'results'} --cache {tmp_path / 'cache'}"
    button = page.button(key="form estimate")
    assert button.help == f"`whichlayers run my-study.yaml --dry-run {places}`"
    assert page.button(key="form rank").help == f"`whichlayers preview my-study.yaml {places}`"
    button.click().run()
    shown = {metric.label: metric.value for metric in page.metric}
    assert (shown["Trials to run"], shown["Trials closed already"]) == ("3", "7")


def test_units_are_added_as_a_strategy(store: Store) -> None:
    page = opened("launch")
    page.session_state["form units unet"] = ["9", "8"]
    page.run()
    next(button for button in page.button if button.label.startswith("Add 'blocks 8,9'")).click().run()
    assert loads(page.session_state[form.FILE]).strategies[-1] == "blocks 8,9"


def test_of_a_finished_study_running_shows_its_trials_and_offers_nothing_to_stop(store: Store) -> None:
    page = opened("running")
    assert not page.exception
    buttons = {button.label: button.disabled for button in page.button}
    assert buttons == {"Stop the study": True, "Go on": True, "Retry failed trials": True}
    shown = page.dataframe[0].value
    assert set(shown["state"]) == {"completed"}
    assert set(shown["trial"]) == {trial[:12] for trial in store.plan("made")["id"]}


def test_studies_are_listed_and_come_back_from_the_archive(store: Store) -> None:
    page = opened("studies")
    assert not page.exception
    assert page.dataframe[0].value["study"].tolist() == ["made"]
    studies.archive(store, "made")
    page.run()
    assert "No study yet" in said(page)
    next(button for button in page.button if button.label == "List it again").click().run()
    assert store.studies() == ["made"]
    assert "listed again" in said(page)


def test_an_export_that_was_deleted_meanwhile_can_be_made_anew(store: Store) -> None:
    page = opened("studies")
    page.session_state[studies_page.CHOSEN] = "made"
    page.run()

    def export() -> None:
        next(button for button in page.button if button.label == "Export as one file").click().run()

    export()
    assert len(page.get("link_button")) == 1
    shutil.rmtree(page.session_state[studies_page.EXPORTED][1].file.parent)  # as a server does after a day
    page.run()
    assert not page.exception
    assert len(page.get("link_button")) == 0
    export()
    assert len(page.get("link_button")) == 1
