"""The commands that look at results: a study's answer, its Table II, and its report as a file."""

import json
import webbrowser
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import platformdirs
import typer

from engine.errors import DataError, StoreError
from engine.trial import Task
from whichlayers.options import CacheFolder, ColourNames, StoreFolder, TableColours

if TYPE_CHECKING:
    from dashboard.figures.palette import Colours
    from dashboard.report.findings import Findings
    from engine.store import Store

MEASURES: dict[Task, tuple[str, ...]] = {
    "segmentation": ("dice", "iou", "hd95"),
    "classification": ("accuracy", "top2", "balanced_accuracy"),
}
"""By what a study's networks learn, the main one first."""
FORMATS = ("text", "csv", "json", "latex")
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study.")]


def results(
    study: Annotated[str | None, typer.Argument(help="Name of a study; without it, a line for each.")] = None,
    store: StoreFolder = "results",
    as_csv: Annotated[bool, typer.Option("--csv", help="The cells as CSV, for programs.")] = False,
) -> None:
    """Print a study's answer: what is recommended, means, paired differences, false positives."""
    from engine.store import Store
    from whichlayers.report import print_report, run_state

    kept = Store.at(store)
    if study is None:
        names = kept.studies()
        if not names:
            raise StoreError(f"no study in {store} yet; whichlayers run STUDY.yaml makes one")
        for name in names:
            progress = kept.progress(name)
            counts = f"{progress.get('closed', 0)}/{progress.get('trials', 0)} trials"
            typer.echo(f"{name}: {run_state(progress)}, {counts}")
    elif as_csv:
        from dashboard.figures.cells import for_file
        from dashboard.figures.repeats import with_repeats

        found = _findings(kept, study)
        typer.echo(for_file(with_repeats(found.cells, found.repeats_of(found.main))), nl=False)
    else:
        from rich.console import Console

        require_study(kept, study)
        print_report(kept, study, Console())


def table(
    study: StudyName,
    store: StoreFolder = "results",
    form: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMATS)}.")] = "text",
    measure: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(MEASURES['segmentation'])}; classes: {', '.join(MEASURES['classification'])}."),
    ] = None,
    fraction: Annotated[
        list[float] | None, typer.Option(help="Only this part of the images, in percent; may be given again.")
    ] = None,
    colours: TableColours = None,
    width: Annotated[int | None, typer.Option(min=40, help="Columns of the terminal.")] = None,
) -> None:
    """Print a study's Table II as in the paper: strategies in columns, their parameters on top."""
    from dashboard.figures.measures import measure_of
    from dashboard.figures.repeats import with_repeats
    from engine.store import Store

    _require("--format", form, FORMATS)
    if colours and form in ("csv", "json"):
        raise typer.BadParameter(f"{form} has no colours", param_hint="--colours")
    every = [name for names in MEASURES.values() for name in names]
    _require("--measure", measure or every[0], every)
    found = _findings(Store.at(store), study)
    measure = measure or found.main.column
    _require("--measure", measure, MEASURES[found.main.task])
    shown = measure_of(measure)
    fractions = tuple(fraction or ())
    planned = sorted(set(found.cells["fraction"]), reverse=True)
    if missing := [f"{one:g} %" for one in fractions if one not in planned]:
        there = ", ".join(f"{one:g} %" for one in planned)
        raise StoreError(f"{study}: no row with {', '.join(missing)} of the images; there are: {there}")
    cells = found.told_cells(shown) if form in ("csv", "json") else found.cells_of(shown)
    cells = with_repeats(cells, found.repeats_of(shown))
    cells = cells[cells["fraction"].isin(fractions or planned)]
    if cells["complete"].any() and not cells["mean"].notna().any():
        raise StoreError(f"{study}: {shown.name} was not measured; choose another --measure")
    if form == "csv":
        from dashboard.figures.cells import for_file

        typer.echo(for_file(cells), nl=False)
    elif form == "json":
        from dashboard.report.comparisons import records

        typer.echo(json.dumps({"study": study, "measure": measure, "cells": records(cells)}, indent=1))
    elif form == "latex":
        from dashboard.report.latex import latex_table

        typer.echo(latex_table(found, measure=shown, fractions=fractions, colours=_scale(colours)), nl=False)
    else:
        from rich.console import Console

        from dashboard.report.grid import grid
        from whichlayers.report import print_table

        print_table(grid(found, measure=shown, fractions=fractions), Console(width=width), _scale(colours))


def _require(option: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise typer.BadParameter(f"'{given}' is none of {', '.join(known)}", param_hint=option)


def report(
    study: StudyName,
    store: StoreFolder = "results",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File (folder with --csv); else one named after the study is made here."),
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Table II for a paper in place of the page.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Tidy tables in place of the page, with image names.")] = False,
    images: Annotated[bool, typer.Option("--images", help="Put worst and best test images into the page.")] = False,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    colours: TableColours = None,
    cache: CacheFolder = None,
) -> None:
    """Write a study's report: one HTML file that needs nothing else, or Table II for a paper, or tidy tables."""
    if latex and as_csv:
        raise typer.BadParameter("choose one of --latex and --csv", param_hint="--csv")
    if (latex or as_csv) and (images or open_it):
        raise typer.BadParameter("only the page can have images or be opened", param_hint="--latex, --csv")
    if as_csv and colours:
        raise typer.BadParameter("tidy tables have no colours", param_hint="--colours")
    from engine.store import Store

    found = _findings(Store.at(store), study)
    done, planned = int(found.cells["complete"].sum()), len(found.cells)
    if done < planned:
        typer.echo(f"{study}: {done} of {planned} cells are complete; the others are told of as unfinished", err=True)
    if as_csv:
        from dashboard.report.tidy import tidy_tables

        folder = output or Path(f"{study}-tables")
        for name, text in tidy_tables(found).items():
            _write(folder / f"{name}.csv", text)
        return
    if latex:
        from dashboard.report.latex import latex_table
        from dashboard.report.page import published_rows

        text = latex_table(found, published_rows(found), colours=_scale(colours))
        _write(output or Path(f"{study}-table2.tex"), text)
        return
    from dashboard.report.page import report_page
    from dashboard.report.pictures import strips

    shown = strips(found, cache or platformdirs.user_cache_path("whichlayers")) if images else []
    path = output or Path(f"{study}-report.html")
    _write(path, report_page(found, strips=shown, colours=_scale(colours)))
    typer.echo(
        "It holds images of the data set." if shown else "It holds no image of the data set; --images adds some."
    )
    if open_it:
        webbrowser.open(path.absolute().as_uri())


def _scale(colours: ColourNames | None) -> "Colours":
    return "colour-blind safe" if colours == "safe" else "red-green"


def require_study(store: "Store", study: str) -> None:
    """Raises StoreError where there is no study of this name: which there are, and what was probably meant."""
    known = {name.lower(): name for name in store.studies()}
    try:
        store.study_text(study)
    except StoreError as error:
        near = get_close_matches(study.lower(), known, n=1) if study not in known.values() else []
        raise StoreError([f"{error}; did you mean '{known[near[0]]}'?"] if near else error.problems) from error


def _findings(store: "Store", study: str) -> "Findings":
    from dashboard.report.findings import read_findings

    require_study(store, study)
    return read_findings(store, study)


def _write(path: Path, text: str) -> None:
    """Write a file, with its folder. Raises DataError with the remedy."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise DataError(f"{path}: cannot be written ({problem.strerror}); choose another place with -o") from problem
    typer.echo(f"{path} ({len(text.encode()) / 1e6:.1f} MB)" if len(text) > 100_000 else str(path))
