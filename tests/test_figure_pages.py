"""Pages of figures run as scripts: without a study, with a finished one, with one that has hardly begun."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.made_store import SKILL, made_store

PAGES = ["comparisons", "cost", "layer_by_layer", "strategies"]
STUDIES = [None, "finished", "begun", "prepared"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages of figures")
    names = (*SKILL, "blocks 1,2,8,9", "block 1")
    store = made_store(folder / "results", folder / "cache", study="finished", strategies=names)
    made_store(folder / "results", folder / "cache", study="begun", finished=lambda place, trial: place < 9)
    store.begin("prepared", "name: prepared\n")
    return folder


def opened(page: str, study: str | None) -> AppTest:
    app = AppTest.from_string(f"from dashboard.views import {page}\n{page}.page()", default_timeout=60)
    app.session_state["current"] = study
    return app.run()


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_published_figures_until_there_are_own_ones(
    page: str, study: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "cache"))
    app = opened(page, study)
    assert not app.exception
    told = " ".join(caption.value for caption in app.caption)
    assert ("the published ones are drawn" in told) == (study in (None, "prepared"))


def test_cost_shows_what_adapting_leaves_of_the_old_task(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "cache"))
    heading = "What adapting leaves of the old task"
    app = opened("cost", "finished")
    assert heading in [one.value for one in app.subheader]
    assert "Dice on held-out images of natural-like images after" in " ".join(one.value for one in app.caption)
    assert "file kept-task" in [button.key for button in app.get("download_button")]
    assert heading not in [one.value for one in opened("cost", None).subheader]


def test_the_published_page_has_all_three_tables_and_the_second_as_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "cache"))
    app = opened("published", "finished")
    assert not app.exception
    first, third = (table.value for table in app.dataframe)
    assert list(first.columns) == ["80 %", "50 %", "5 %"]
    assert first.loc["SUS, 85 images"].tolist() == ["54 / 14 / 17", "34 / 9 / 17", "3 / 1 / 17"]
    assert third.loc["BUS", "whole network"].endswith(" min")
    assert "Published table (CSV)" in [button.label for button in app.get("download_button")]
