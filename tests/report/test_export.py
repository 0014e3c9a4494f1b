"""Where a report is made: buttons, and what they need."""

import importlib.metadata
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.report.findings import Findings
from dashboard.report.latex import latex_table
from dashboard.report.page import published_rows
from dashboard.report.tidy import tidy_tables, zipped
from dashboard.views import export

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_is_built_before_a_button_is_pressed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "r"))
    monkeypatch.setattr(export, "read_findings", lambda *names, **more: read.append(str(names)))
    app = AppTest.from_string("from dashboard.views import export\nexport.buttons('one', 1e-4)", default_timeout=60)
    app.run()
    assert not app.exception
    assert read == []


def test_a_buttons_file_is_what_the_command_line_makes(folder: Path, read: Callable[[str], Findings]) -> None:
    def made(build: Callable[[Findings], str | bytes]) -> str | bytes:
        return export._later(str(folder / "r"), "one", 1e-4, build)()

    found, colours = read("one"), "colour-blind safe"
    made_latex, made_page = made(partial(export._latex, colours=colours)), made(partial(export._page, colours=colours))
    assert made_latex == latex_table(found, published_rows(found), colours=colours)
    assert made(export._tables) == zipped(tidy_tables(found))
    assert str(made_page).startswith("<!doctype html>")
    assert 'id="safe" autocomplete="off" checked' in str(made_page)


@pytest.mark.slow
def test_the_wheel_holds_the_templates(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        held = set(wheel.namelist())
    assert {f"dashboard/report/page.{kind}" for kind in ("html", "css", "js")} <= held
    assert importlib.metadata.version("whichlayers")
