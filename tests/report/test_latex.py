"""Table II for a paper."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.figures.palette import SCALES
from dashboard.report.findings import Findings
from dashboard.report.latex import escape, latex_table
from dashboard.report.page import published_rows
from engine.published import CITATION
from tests.report.conftest import STRATEGIES


def tabular(text: str) -> list[list[str]]:
    """The entries of each row that is not one name over all columns."""
    body = re.search(r"\\begin\{tabular\}\{[rc]+\}(.*)\\end\{tabular\}", text, flags=re.S)
    assert body
    lines = re.sub(r"\\(top|mid|bottom)rule", "", body[1])
    rows = [row.strip() for row in re.split(r"(?<![a-z0-9}{k])\\\\\n| \\\\\n", lines)]
    return [re.split(r"(?<!\\)&", row) for row in rows if row and "multicolumn" not in row]


def test_the_table_for_a_paper_has_the_same_columns_in_every_row(read: Callable[[str], Findings]) -> None:
    found = read("three")
    text = latex_table(found, published_rows(found))
    rows = tabular(text)
    assert len(rows) == 3 + 2 + 2  # names, parameters, percent; ours; published
    assert {len(row) for row in rows} == {len(STRATEGIES) + 1}
    assert len(re.search(r"tabular\}\{([rc]+)\}", text)[1]) == len(STRATEGIES) + 1  # type: ignore[index]
    assert rows[1][0].strip() == "parameters"
    plain = re.sub(r"\\[{}]", "", text.replace("\\\\", ""))
    assert plain.count("{") == plain.count("}")
    for part in (r"\toprule", r"\bottomrule", r"\begin{table*}", r"\label{tab:three}", r"$^{\dagger}$",
                 r"$^{\ddagger}$",
                 "Width 16, 32 $\\times$ 32 pixels, three of five folds.", "Data: SUS (simulated).",
                 "Start weights: 1,000 made natural-like images.", CITATION.doi):  # fmt: skip
        assert part in text, part
    assert text.count(r"\textbf{") == 4  # one in each row
    assert not re.search(r"(?<!\\)[%#]", text[text.index(r"\begin{table*}") :])
    assert not re.search(r"[^\x00-\x7f]", text)


def test_cells_have_the_colours_that_are_asked_for(read: Callable[[str], Findings]) -> None:
    usual, safe = (latex_table(read("three"), colours=name) for name in ("red-green", "colour-blind safe"))
    best = {name: SCALES[name, False][-1].lstrip("#").upper() for name in ("red-green", "colour-blind safe")}
    assert rf"\cellcolor[HTML]{{{best['red-green']}}}" in usual
    assert rf"\cellcolor[HTML]{{{best['colour-blind safe']}}}" in safe
    assert best["red-green"] not in safe
    assert re.sub(r"\[HTML\]\{\w+\}", "", usual) == re.sub(r"\[HTML\]\{\w+\}", "", safe)


def test_what_latex_would_take_for_a_command_is_escaped(read: Callable[[str], Findings]) -> None:
    assert escape("a_b & 5 % of {x} #1 $ ~ ^ \\") == (
        r"a\_b \& 5 \% of \{x\} \#1 \$ \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    found = read("three")
    named = found.cells.replace({"strategy": {"contracting": "conv_1 & 50%"}})
    text = latex_table(replace(found, study="my_study", cells=named))
    assert r"\shortstack{conv\_1 \&\\50\%}" in text
    assert r"\label{tab:my-study}" in text
    assert {len(row) for row in tabular(text)} == {len(STRATEGIES) + 1}


def test_an_unfinished_table_compiles_as_well(read: Callable[[str], Findings]) -> None:
    rows = tabular(latex_table(read("begun")))
    assert {len(row) for row in rows} == {len(STRATEGIES) + 1}
    assert rows[3][1].strip() == "2/3"


@pytest.mark.slow
def test_the_table_compiles(read: Callable[[str], Findings], tmp_path: Path) -> None:
    compiler = next((name for name in ("tectonic", "pdflatex") if shutil.which(name)), None)
    if compiler is None:
        pytest.skip("neither tectonic nor pdflatex is installed")
    found = read("three")
    lines = [r"\documentclass{article}", r"\usepackage{booktabs}", r"\usepackage[table]{xcolor}", r"\begin{document}"]
    (tmp_path / "t.tex").write_text("\n".join([*lines, latex_table(found, published_rows(found)), r"\end{document}"]))
    options = ["-interaction=nonstopmode", "-halt-on-error"] if compiler == "pdflatex" else []
    said = subprocess.run([compiler, *options, "t.tex"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout[-2000:]
