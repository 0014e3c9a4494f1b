"""What is said before a run: trials, time and disk of `run --dry-run`, and the units ranked by `preview`."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from engine.estimates import Estimate
    from engine.preview import Preview
    from engine.study_settings import Study


def show_plan(study: "Study", cache: Path, store: str, *, as_json: bool = False) -> None:
    """Print how many trials a study has, how many of them are done, and what the rest will take.

    Without start weights, which take a while. Raises what a run would: data that are too few, or a name that holds
    results under other settings.
    """
    import pandas as pd

    from engine.estimates import estimate
    from engine.store import Store

    found = estimate(study, Store.at(store), cache)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
        return
    typer.echo(f"{found.study}: {found.data}")
    typer.echo(f"{found.trials} trials: {found.product}" + (f"; {found.done} of them done" if found.done else ""))
    typer.echo(f"{found.at_once} at once on {found.device}, {found.precision}")
    for line in _cost(found):
        typer.echo(line)
    typer.echo(pd.DataFrame(found.split).to_string(index=False))


def _cost(found: "Estimate") -> "Iterator[str]":
    from dashboard.figures.answer import duration
    from whichlayers.keeping import megabytes

    if found.left:
        low, high = duration(found.low_seconds), duration(found.high_seconds)
        yield f"about {low} to {high}: early stopping decides" if low != high else f"about {low}"
        if found.start_seconds >= 1:
            yield f"before that up to {duration(found.start_seconds)} for start weights, where the cache has none"
        free = f" of {megabytes(found.free_bytes)} that are free" if found.free_bytes else ""
        yield f"disk: about {megabytes(found.disk_bytes)}{free}"
    for cost in found.strategies:
        step = f"{1000 * cost.step_seconds:.0f} ms a step, " if cost.step_seconds else ""
        span = {duration(cost.low_seconds): None, duration(cost.high_seconds): None}
        yield f"  {cost.strategy}: {cost.trials} trials, {step}{' to '.join(span)} each"
    yield from found.notes


def show_preview(study: "Study", cache: Path, store: str, *, fraction: float | None, as_json: bool = False) -> None:
    """Print the units of the study's network ranked by their relative gradient norm, a table for each start weights.

    Raises StudyFileError for a fraction that the folds do not leave, and what a run would.
    """
    from rich.console import Console

    from engine.config import check
    from engine.errors import StudyFileError
    from engine.preview import preview
    from engine.ranking import HINT, TRUTH, ranking_table
    from engine.store import Store

    if fraction is not None:
        study = replace(study, fractions=(fraction,))
        if mistakes := check(study):
            raise StudyFileError([f"--fraction {fraction:g}: {mistake.text}" for mistake in mistakes])
    console = Console(stderr=True)
    with console.status("reading images") as status:
        found = preview(study, Store.at(store), cache, lambda part, text: status.update(text), fraction=fraction)
    table = ranking_table(found.folds)
    if as_json:
        typer.echo(json.dumps(_told(study, found, table), indent=1))
        return
    for start in dict.fromkeys(table["start"]):
        _draw_ranking(study, table[table["start"] == start])
    if found.left_out:
        folds = ", ".join(f"{start} fold {fold}" for start, fold in found.left_out)
        typer.echo(f"left out after a minute of measuring: {folds}; the same command goes on with them")
    typer.echo(f"{HINT} {TRUTH}")


def _told(study: "Study", found: "Preview", table: "pd.DataFrame") -> dict[str, object]:
    """What `--json` prints."""
    from engine.ranking import HINT, TRUTH

    return {
        "study": study.name,
        "fraction": study.fractions[0],
        "folds": [
            {"start": one.start, "fold": one.fold, "training_images": one.images, "id": one.id} for one in found.folds
        ],
        "left_out": [{"start": start, "fold": fold} for start, fold in found.left_out],
        "units": table.to_dict(orient="records"),
        "seconds": round(found.seconds, 1),
        "note": f"{HINT} {TRUTH}",
    }


def _draw_ranking(study: "Study", table: "pd.DataFrame") -> None:
    from rich.console import Console
    from rich.table import Table

    first = table.iloc[0]
    folds = f"{first['folds']} folds" if first["folds"] > 1 else "1 fold"
    drawn = Table(title=f"{study.name}: {first['start']}, {first['fraction']:g} %, mean of {folds}")
    for column in ("rank", "unit", "parameters", "relative gradient norm", "of the largest"):
        drawn.add_column(column, justify="left" if column == "unit" else "right")
    for row in table.sort_values("rank").to_dict(orient="records"):
        drawn.add_row(
            str(row["rank"]),
            row["unit"],
            f"{row['parameters']:,}",
            f"{row['relative']:.3g}",
            f"{row['normalised']:.3f}",
        )
    Console().print(drawn)
