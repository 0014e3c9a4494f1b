"""What `run --dry-run` says: trials, what is done, how long the rest will take, and the disk it needs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.estimates import Estimate
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
