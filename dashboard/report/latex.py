"""Table II for a paper: booktabs, coloured cells, parameters on top."""

import re
from collections.abc import Collection
from textwrap import wrap

import pandas as pd

from dashboard.figures.answer import caveats, network_name
from dashboard.figures.measures import Measure
from dashboard.figures.palette import SCALES, Colours
from dashboard.report.colours import step_colours
from dashboard.report.findings import Findings
from dashboard.report.grid import Cell, Grid, Line, grid
from dashboard.report.words import counted, listed, number
from engine.published import CITATION

ESCAPED = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "–": "--", "−": "$-$",
    "×": r"$\times$", "·": r"$\cdot$", "≈": r"$\approx$", "†": r"$\dagger$", "‡": r"$\ddagger$", "±": r"$\pm$",
    "…": r"\dots{}", "“": "``", "”": "''", "\u00a0": "~", "\u2011": "-",
}  # fmt: skip
LONGEST = 11
"""Letters of a strategy's name in one line."""
PACKAGES = r"% In the preamble: \usepackage{booktabs} \usepackage[table]{xcolor}"
CELL = r"\providecommand{\meansd}[2]{\shortstack{\rule{0pt}{2.2ex}#1\\{\tiny #2}}}"
"""A mean above its standard deviation."""


def escape(text: str) -> str:
    """The text as LaTeX sets it: nothing in it is a command."""
    return re.sub("|".join(map(re.escape, ESCAPED)), lambda found: ESCAPED[found[0]], text)


def latex_table(
    findings: Findings,
    more: pd.DataFrame | None = None,
    *,
    measure: Measure | None = None,
    fractions: Collection[float] = (),
    colours: Colours = "red-green",
) -> str:
    """A `table*` with a column per strategy and a row per data set and fraction; `more` are rows below ours."""
    table = grid(findings, more, measure=measure, fractions=fractions)
    palette = [colour.lstrip("#").upper() for colour in step_colours(SCALES[colours, False])]
    columns = len(table.strategies) + 1
    heads = [_stacked(name) for name in table.strategies]
    lines = [
        PACKAGES,
        CELL,
        r"\begin{table*}",
        r"\centering",
        r"\caption{" + _caption(findings, table) + "}",
        r"\label{tab:" + re.sub(r"[^A-Za-z0-9-]", "-", findings.study) + "}",
        r"\setlength{\tabcolsep}{2pt}",
        r"\scriptsize",
        r"\begin{tabular}{r" + "c" * (columns - 1) + "}",
        r"\toprule",
        _line(["", *heads]),
        _line(["parameters", *(escape(count) for count in table.trainable)]),
        _line(["of all", *(escape(part) for part in table.percent)]),
    ]
    for group in table.groups:
        name = escape(group.dataset) + (f" (doi:{escape(CITATION.doi)})" if group.published else "")
        lines += [r"\midrule", rf"\multicolumn{{{columns}}}{{l}}{{\textit{{{name}}}}} \\"]
        lines += [_row(line, palette) for line in group.lines]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table*}", ""])


def _line(entries: list[str]) -> str:
    return "\n & ".join([entries[0] or "{}", *entries[1:]]) + r" \\"


def _row(line: Line, palette: list[str]) -> str:
    return _line([rf"\raisebox{{0.5ex}}{{{escape(line.fraction)}}}", *(_cell(cell, palette) for cell in line.cells)])


def _cell(cell: Cell, palette: list[str]) -> str:
    text = escape(cell.mean)
    text = rf"\textbf{{{text}}}" if cell.best else text
    text = rf"\underline{{{text}}}" if cell.recommended else text
    marks = [mark for mark, there in ((r"\dagger", cell.failed), (r"\ddagger", cell.collapsed),
                                      (r"\approx", cell.not_inferior)) if there]  # fmt: skip
    text += f"$^{{{' '.join(marks)}}}$" if marks else ""
    if cell.sd:
        text = rf"\meansd{{{text}}}{{{escape(cell.sd)}}}"
    return (rf"\cellcolor[HTML]{{{palette[cell.step]}}}" if cell.step is not None else "") + text


def _stacked(name: str) -> str:
    """The name of a strategy, in several lines where it is long."""
    lines = [escape(line) for line in wrap(name, LONGEST, break_long_words=False, break_on_hyphens=False)]
    return r"\shortstack{" + r"\\".join(lines) + "}" if len(lines) > 1 else lines[0]


def _caption(findings: Findings, table: Grid) -> str:
    plan, facts = findings.plan, findings.facts
    said = [f"{table.title} on test images by the layers that are fine-tuned."]
    said.append(f"Data: {facts['data']['name']}.")
    starts = [start for start in facts.get("start_weights") or [] if start.get("description")]
    told = [
        (f"{start['name']}, " if len(starts) > 1 else "") + str(start["description"]).rstrip(".") for start in starts
    ]
    said += [f"Start weights: {'; '.join(told)}."] if told else []
    widths = listed([str(width) for width in dict.fromkeys(plan["width"])])
    size = listed([f"{side} × {side}" for side in dict.fromkeys(plan["image_size"])])
    ran = "all" if findings.ran == findings.of else number(findings.ran)
    networks = [network_name(str(model)) for model in dict.fromkeys(plan["model"]) if model not in ("unet", "smp")]
    said += [f"Network: {listed(networks)}."] if networks else []
    said.append(f"Width {widths}, {size} pixels, {ran} of {counted(findings.of, 'fold')}.")
    notes = [note.replace("Framed:", "Underlined:") for note in table.notes]
    known = caveats(facts, of=["data", "search"] if findings.main.task == "classification" else ["search"])
    notes += [known] if known else []
    return escape(" ".join([*said, *notes]))
