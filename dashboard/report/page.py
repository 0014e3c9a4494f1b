"""The report as one HTML file that needs nothing else: tables without a script, figures with plotly.js inside."""

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from dashboard.figures.agreement import stand_in
from dashboard.figures.answer import answer, caveats, progress_line, provenance
from dashboard.figures.cells import for_file
from dashboard.figures.claims import claims as claims_table
from dashboard.figures.comparison import beside, difference_cells, published_cells, why_no_difference
from dashboard.figures.matters import matters
from dashboard.figures.palette import SCALES, Colours
from dashboard.figures.u_shape import LEARNS
from dashboard.report import class_sheets, sheets
from dashboard.report.class_drawings import class_drawings
from dashboard.report.colours import STEPS, step_colours
from dashboard.report.comparisons import claims
from dashboard.report.drawings import Drawing, drawings
from dashboard.report.findings import Findings
from dashboard.report.grid import Grid, grid
from dashboard.report.methods import NAMES, hashes, methods
from dashboard.report.pictures import Strip, colour_key
from dashboard.report.readers import Readers
from dashboard.report.words import html_of
from engine import published as paper

PUBLISHED = f"{paper.CITATION.authors} ({paper.CITATION.year}). {paper.CITATION.title}. {paper.CITATION.journal}."


def report_page(
    findings: Findings,
    *,
    strips: Sequence[Strip] = (),
    now: datetime | None = None,
    colours: Colours = "red-green",
) -> str:
    """The report as HTML; `strips` are images of patients, shown where given, `now` is when it is made.

    It opens in `colours`; a box in it changes them.
    """
    environment = Environment(
        loader=PackageLoader("dashboard", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    readers = Readers(findings=findings) if findings.main.task == "classification" else None
    known = len(readers.answers) if readers else len(findings.measured)
    figures = (class_drawings(readers) if readers else drawings(findings)) if known else []
    return environment.get_template("page.html").render(
        study=findings.study,
        question=findings.facts.get("question") or findings.study,
        made=(now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("whichlayers"),
        state=_state(findings),
        advice=[Markup(html_of(line)) for line in findings.advice],
        means=_means(findings),
        caveats=caveats(findings.facts),
        provenance=Markup(html_of(provenance(findings.facts, findings.plan))),
        steps=_steps(),
        safe=colours == "colour-blind safe",
        swapped=[[LEARNS["red-green", dark], LEARNS["colour-blind safe", dark]] for dark in (False, True)],
        table2=grid(findings, published_rows(findings)),
        sheets=[sheet for sheet in (_class_sheets(readers) if readers else _sheets(findings)) if sheet.parts],
        claims=_claims(findings),
        drawings=[_drawn(place, drawing, findings.study) for place, drawing in enumerate(figures)],
        plotly=Markup(get_plotlyjs()) if figures else "",
        strips=strips,
        strips_title="Most confident mistakes and right answers" if readers else "Worst and best test images",
        colour_key=Markup("" if readers else colour_key(findings)),
        published=_published_classes(readers) if readers else _published(findings),
        methods=methods(findings),
        text=_text(findings),
        facts=_facts(findings),
    )


def without_places(text: str) -> str:
    """The study file without the folders that its images and weights lie in: they say nothing to others."""
    return re.sub(
        r"(?m)^(\s*(?:- )?(?:folder|file|weights): )[\"']?(?:~?/|\w:\\).*[/\\]([^/\\\"'\n]+)[\"']?$", r"\1…/\2", text
    )


def _means(findings: Findings) -> list[Markup]:
    lines = answer(findings.cells, measure=findings.main.name).split("  \n")
    return [Markup(html_of(line)) for line in lines if line.startswith("With")]


def _text(findings: Findings) -> str:
    """The study file as it is shown: without folders, and of classes without columns that say nothing of them."""
    text = without_places(findings.text.strip())
    return text if findings.main.task == "segmentation" else re.sub(r"(?m)^[ ]*mask: .*\n?", "", text).rstrip()


def published_rows(findings: Findings) -> pd.DataFrame:
    """The published rows that stand below ours; empty where the study names none."""
    compared = findings.facts["data"].get("compare_with")
    theirs = published_cells(paper.table2(), width=paper.WIDTH, dataset=compared)
    return beside(findings.cells, theirs) if compared else theirs.iloc[:0]


def _state(findings: Findings) -> list[Markup]:
    """What a reader must know before any number: a study that is not finished, and what is the matter with it."""
    state, alive = findings.progress.get("state"), bool(findings.progress.get("alive"))
    said = matters(findings.plan, findings.attempts, {}, busy=alive and state in ("preparing", "running"))
    if state not in ("finished", None):
        said = [progress_line(findings.progress), *said]
    return [Markup(html_of(line)) for line in said]


def _sheets(findings: Findings) -> list[sheets.Sheet]:
    made = [sheets.table1(findings), sheets.pretrained(findings)]
    if len(findings.measured):
        made += [sheets.reference_sheet(findings), sheets.shallow_sheet(findings), sheets.other_measures(findings)]
    return made


def _class_sheets(readers: Readers) -> list[sheets.Sheet]:
    findings = readers.findings
    made = [sheets.table1(findings)]
    if not len(readers.answers):
        return made
    made += [class_sheets.accuracy_sheet(readers), class_sheets.scanners_sheet(readers)]
    made += [class_sheets.persons_sheet(readers)]
    made += [class_sheets.classes_sheet(readers, name, what) for name, what in readers.looked_at.items()]
    made += [class_sheets.recall_sheet(readers)]
    if len(findings.measured):
        made += [sheets.reference_sheet(findings), sheets.shallow_sheet(findings)]
    return [*made, class_sheets.against_sheet(readers), class_sheets.cost_sheet(findings),
            *class_sheets.published_tests(readers)]  # fmt: skip


def _claims(findings: Findings) -> Markup:
    if findings.main.task == "classification":
        return Markup()
    return Markup(claims_table(claims(findings))) if len(findings.images) else Markup()


def _published(findings: Findings) -> dict[str, Any]:
    named = stand_in(findings.facts)
    why = why_no_difference(findings.facts, "dice", sizes=paper.SIZES, width=paper.WIDTH, image_size=paper.IMAGE_SIZE)
    difference: Grid | None = None
    if named and not why:
        theirs = difference_cells(findings.cells, published_rows(findings))
        difference = grid(findings, theirs, kind="difference") if len(theirs) else None
    return {
        "citation": PUBLISHED,
        "url": paper.CITATION.url,
        "doi": paper.CITATION.doi,
        "short": paper.CITATION.short,
        "stand_in": named,
        "why": why if named else "",
        "difference": difference,
        "sheets": [],
    }


def _published_classes(readers: Readers) -> dict[str, Any]:
    citation = readers.citation
    nothing = {"citation": "", "url": "", "doi": "", "short": "", "stand_in": "", "why": "", "difference": None}
    if citation is None or not len(readers.answers):
        return {**nothing, "sheets": []}
    name = readers.findings.facts["data"]["name"]
    return {
        **nothing,
        "citation": f"{citation.authors} ({citation.year}). {citation.title}. {citation.journal}.",
        "url": citation.url,
        "doi": citation.doi,
        "short": citation.short,
        "stand_in": f"{name}: simulated views with the classes of this paper",
        "sheets": [sheet for sheet in class_sheets.beside_published(readers) if sheet.parts],
    }


def _facts(findings: Findings) -> list[tuple[str, str]]:
    versions = findings.facts.get("versions") or {}
    planned = findings.facts.get("planned")
    found = [("planned", str(planned))] if planned else []
    found += [(NAMES.get(name, name), str(number)) for name, number in versions.items()]
    found += [(f"SHA-256 of {name}", found_hash) for name, found_hash in hashes(findings).items()]
    return found


def _drawn(place: int, drawing: Drawing, study: str) -> dict[str, Any]:
    both = {"light": _json(drawing.light), "dark": _json(drawing.dark)}
    text = json.dumps(both, separators=(",", ":")).replace("</", "<\\/")
    height = int(drawing.light.layout.height or 300)
    return {
        "place": place,
        "title": drawing.title,
        "caption": drawing.caption,
        "height": height,
        "widest": drawing.widest,
        "json": Markup(text),
        "name": f"{study}-{re.sub(r'[^a-z0-9]+', '-', drawing.title.lower()).strip('-')}",
        "csv": b64encode(for_file(drawing.table).encode()).decode(),
    }


def _json(figure: go.Figure) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(figure.to_json())
    return {"data": found["data"], "layout": {**found["layout"], "autosize": True}}


def _steps() -> list[tuple[str, bool, list[str]]]:
    """Colours of the cells from worst to best: name of the scale, whether the page is dark, a colour per step."""
    found: list[tuple[str, bool, list[str]]] = []
    names: tuple[Colours, ...] = ("red-green", "colour-blind safe")
    for name in names:
        found += [(name, dark, step_colours(SCALES[name, dark], STEPS)) for dark in (False, True)]
    return found
