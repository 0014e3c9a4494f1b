"""`whichlayers table` and `whichlayers report`."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from dashboard.report.grid import Cell, Grid, Group, Line
from tests.made import attempt, trial
from tests.made_commands import begun, both, finished, here
from whichlayers.report import print_table


def test_table_2_in_the_terminal_has_strategies_in_columns_with_their_parameters(tmp_path: Path) -> None:
    finished(tmp_path / "results")
    lines = here("table", "s", "--width", "120", folder=tmp_path).stdout.splitlines()
    assert any(line.split() == ["contracting", "expanding"] for line in lines)
    assert any(line.split()[:1] == ["parameters"] and len(line.split()) == 3 for line in lines)
    assert any(line.split() == ["80", "%", "0.800‡", "0.700‡"] for line in lines)
    assert "‡: some trainings collapsed" in " ".join(" ".join(lines).split())


def test_table_2_goes_on_below_where_the_terminal_is_narrow() -> None:
    names = tuple(f"block {number}" for number in range(1, 14))
    cell = Cell(
        mean="0.800", sd="(0.010)", step=3, best=False, failed=False, collapsed=False, not_inferior=False,
        recommended=False, known=True,
    )  # fmt: skip
    line = Line(fraction="80 %", cells=(cell,) * 13)
    table = Grid(
        title="Dice", strategies=names, trainable=("31,030,593",) * 13, percent=("100 %",) * 13, notes=(),
        groups=(Group(dataset="BUS", published=False, lines=(line,)),),
    )  # fmt: skip
    for width in (60, 80, 200):
        console = Console(record=True, width=width, file=io.StringIO())
        print_table(table, console)
        said = console.export_text()
        assert max(len(line.rstrip()) for line in said.splitlines()) <= width
        assert said.count("0.800") == said.count("31,030,593") == 13
        assert said.count("80 %") == (1 if width == 200 else said.count("Dice on test images"))


def test_table_2_for_programs_is_the_cells(tmp_path: Path) -> None:
    finished(tmp_path / "results")
    told = json.loads(here("table", "s", "--format", "json", folder=tmp_path).stdout)
    assert (told["study"], told["measure"]) == ("s", "dice")
    assert [(cell["strategy"], cell["mean"], cell["complete"]) for cell in told["cells"]] == [
        ("contracting", pytest.approx(0.8), True), ("expanding", pytest.approx(0.7), True),
    ]  # fmt: skip
    assert told["cells"][0]["values"] == pytest.approx([0.8, 0.8])
    assert told["cells"][0]["kept"] is None
    table = here("table", "s", "--format", "csv", "--measure", "iou", folder=tmp_path).stdout
    assert table.startswith("source,")
    means = pd.read_csv(io.StringIO(table)).set_index("strategy")["mean"]
    assert means["contracting"] == pytest.approx(0.8 / 1.2)
    usual, safe = (
        here("table", "s", "--format", "latex", *more, folder=tmp_path).stdout for more in ((), ("--colours", "safe"))
    )
    assert r"\begin{tabular}" in usual
    assert r"\cellcolor[HTML]{6BB77A}" in usual
    assert r"\cellcolor[HTML]{64A4DA}" in safe


def test_a_row_or_a_measure_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    finished(tmp_path / "results")
    for arguments, words in (
        (("--fraction", "7"), "s: no row with 7 % of the images; there are: 80 %"),
        (("--measure", "hd95"), "s: HD95 was not measured; choose another --measure"),
    ):
        said = here("table", "s", *arguments, folder=tmp_path)
        assert (said.returncode, said.stderr.strip()) == (2, words)


def test_the_report_is_a_file_named_after_the_study(tmp_path: Path) -> None:
    store = finished(tmp_path / "results", folds=(0,))
    facts = {
        **store.facts("s"),
        "settings": {"width": 2, "image_size": 32, "max_epochs": 3, "patience": 20, "precision": "float32"},
        "data": {"name": "D", "provenance": "made", "fingerprint": "0" * 64, "kind": "folder", "images": 15},
    }
    store.write_plan("s", [trial(name) for name in ("contracting", "expanding")], facts)
    said = here("report", "s", folder=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "s-report.html" in said.stdout
    assert "It holds no image of the data set; --images adds some." in said.stdout
    assert (tmp_path / "s-report.html").read_text().startswith("<!doctype html>")
    assert here("report", "s", "--colours", "safe", folder=tmp_path).returncode == 0
    assert 'id="safe" autocomplete="off" checked' in (tmp_path / "s-report.html").read_text()
    said = here("report", "s", "--images", "--cache", "cache", folder=tmp_path)
    assert (said.returncode, "Traceback" in said.stderr) == (2, False)
    assert here("report", "s", "--latex", "-o", "paper/t.tex", folder=tmp_path).stdout == "paper/t.tex\n"
    assert (tmp_path / "paper" / "t.tex").read_text().count(r"\end{table*}") == 1
    assert here("report", "s", "--csv", folder=tmp_path).returncode == 0
    names = {"cells.csv", "folds.csv", "images.csv", "differences.csv", "tukey.csv"}
    assert {path.name for path in (tmp_path / "s-tables").iterdir()} == names
    (tmp_path / "file").write_text("")
    said = here("report", "s", "--latex", "-o", "file/t.tex", folder=tmp_path)
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)
    assert "file/t.tex: cannot be written" in said.stderr


def test_a_report_of_an_unfinished_study_says_so(tmp_path: Path) -> None:
    begun(tmp_path / "results", both()).append("s", attempt(both()[0]))
    said = here("report", "s", "--latex", folder=tmp_path)
    assert said.returncode == 0
    assert said.stderr == "s: 0 of 2 cells are complete; the others are told of as unfinished\n"
    assert " & 1/2" in (tmp_path / "s-table2.tex").read_text()
