"""What can be taken away: report, Table II for a paper, tidy tables. Nothing is built before its button is pressed."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from dashboard.figures.cells import Rate
from dashboard.figures.palette import Colours
from dashboard.places import store_root
from dashboard.report.findings import Findings, read_findings
from engine.store import Store


def buttons(study: str, rate: Rate, colours: Colours = "red-green") -> None:
    """A button each for the report (one HTML file), Table II (LaTeX) and the tables (CSV, zipped).

    Report and Table II begin with the page's `colours`.
    """
    root = store_root()  # the builders run in a thread of their own, without a session
    made: tuple[tuple[str, str, str, Callable[[Findings], str | bytes]], ...] = (
        ("Report (HTML)", f"{study}-report.html", "text/html", partial(_page, colours=colours)),
        ("Table II (LaTeX)", f"{study}-table2.tex", "application/x-tex", partial(_latex, colours=colours)),
        ("Tables (CSV)", f"{study}-tables.zip", "application/zip", _tables),
    )
    with st.container(horizontal=True, gap="medium", key="export"):
        for label, name, kind, build in made:
            st.download_button(
                label, _later(root, study, rate, build), name, kind, key=f"export {name}", on_click="ignore",
                icon=":material/download:", type="tertiary",
            )  # fmt: skip


def _later(root: str, study: str, rate: Rate, build: Callable[[Findings], str | bytes]) -> Callable[[], str | bytes]:
    return lambda: build(read_findings(Store.at(root), study, rate=rate))


def _page(findings: Findings, colours: Colours) -> str:
    from dashboard.report.page import report_page  # plotly.js and templates load with the first report

    return report_page(findings, colours=colours)


def _latex(findings: Findings, colours: Colours) -> str:
    from dashboard.report.latex import latex_table
    from dashboard.report.page import published_rows

    return latex_table(findings, published_rows(findings), colours=colours)


def _tables(findings: Findings) -> bytes:
    from dashboard.report.tidy import tidy_tables, zipped

    return zipped(tidy_tables(findings))
