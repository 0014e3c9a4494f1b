"""The commands that steer a study's run from another terminal: watch, stop, skip, retry, workers; and its trials."""

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from whichlayers.looking import StudyName, require_study
from whichlayers.options import StoreFolder

if TYPE_CHECKING:
    from engine.store import Store

POLL_SECONDS = 0.5
LONGEST_STOP_SECONDS = 90.0
"""Time that a run has to stop before the command says that it is still at work."""
TrialId = Annotated[str, typer.Option("--trial", metavar="ID", help="Id of a trial, or its first letters.")]
SomeTrial = Annotated[
    str | None, typer.Option("--trial", metavar="ID", help="Only this trial: its id, or its first letters.")
]
LATER = "It does not run now: the next run follows this before its first trial."


def watch(
    study: StudyName,
    store: StoreFolder = "results",
    as_json: Annotated[
        bool, typer.Option("--json", help="What the run says now, for programs; does not wait.")
    ] = False,
) -> None:
    """Show the progress of a run in another process until it ends. Ctrl-C ends watching, not the run."""
    from whichlayers.progress import counts, show_progress
    from whichlayers.report import run_state

    kept = _opened(store, study)
    now = kept.progress(study)
    if as_json:
        typer.echo(json.dumps(now, indent=1))
        return
    if now["alive"]:
        try:
            with show_progress(study) as listen:
                while (now := kept.progress(study))["alive"]:
                    if "state" in now and now["state"] != "unknown":
                        listen(now)
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            typer.echo(f"The run of '{study}' goes on; whichlayers stop {study} ends it.", err=True)
            return
    for caveat in now.get("caveats", ()):
        typer.echo(caveat)
    typer.echo(f"{study}: {run_state(now)}, {counts(now)}")


def stop(study: StudyName, trial: SomeTrial = None, store: StoreFolder = "results") -> None:
    """Stop a study's run, or one of its trials. What is finished is stored; the same `run` goes on from there."""
    from engine import steering
    from whichlayers.progress import counts

    kept = _opened(store, study)
    if trial is not None:
        _given_up(kept, study, trial)
        return
    steering.stop(kept, study)
    began = time.monotonic()
    while kept.progress(study)["alive"]:
        if time.monotonic() - began > LONGEST_STOP_SECONDS:
            typer.echo(f"{study}: asked to stop and still at work; look on with whichlayers watch {study}", err=True)
            raise typer.Exit(1)
        time.sleep(POLL_SECONDS)
    typer.echo(f"{study}: stopped, {counts(kept.progress(study))}. The same run command goes on from there.")


def skip(study: StudyName, trial: TrialId, store: StoreFolder = "results") -> None:
    """Leave out one trial, waiting or running; `retry` takes it in again."""
    _given_up(_opened(store, study), study, trial)


def retry(study: StudyName, trial: SomeTrial = None, store: StoreFolder = "results") -> None:
    """Run trials again that crashed or were stopped by hand: all of them, or one."""
    from engine import steering

    kept = _opened(store, study)
    again = steering.retry(kept, study, trial)
    shown = ", ".join(name[:12] for name in again[:8]) + (" ..." if len(again) > 8 else "")
    typer.echo(f"{study}: {len(again)} trial{'s' * (len(again) > 1)} to run again ({shown}).{_later(kept, study)}")


def workers(
    study: StudyName,
    at_once: Annotated[int, typer.Argument(metavar="N", help="Trials at once.")],
    store: StoreFolder = "results",
) -> None:
    """Raise or lower how many trials of a run are trained at once, for this run. Trials that run are not cut off."""
    from engine import steering

    kept = _opened(store, study)
    before = steering.workers(kept, study, at_once)
    was = f" (were {before})" if before else ""
    typer.echo(f"{study}: {at_once} trial{'s' * (at_once > 1)} at once{was}.{_later(kept, study)}")


def trials(
    study: StudyName,
    store: StoreFolder = "results",
    state: Annotated[
        str | None, typer.Option(help="Only those in this state: waiting, running, completed, error, cancelled ...")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List a study's trials with their ids and states, in the order of running."""
    from engine import steering

    columns = ["id", "state", "strategy", "fraction", "fold", "learning_rate", "seed", "repeat", "start", "number"]
    rows = steering.trial_states(_opened(store, study), study)[columns]
    rows = rows if state is None else rows[rows["state"] == state]
    if as_json:
        typer.echo(rows.to_json(orient="records", indent=1))
        return
    for row in rows.to_dict(orient="records"):
        start = f", {row['start']}" if row["start"] else ""
        start += f", repeat {row['repeat']} of a failed fold" if row["repeat"] else ""
        typer.echo(
            f"{row['id'][:12]}  {row['state']:<13} {row['strategy']}, {row['fraction']:g} %, fold {row['fold']}, "
            f"rate {row['learning_rate']:g}, seed {row['seed']}{start}"
        )


def _given_up(store: "Store", study: str, trial: str) -> None:
    from engine import steering

    found = steering.cancel(store, study, trial)
    typer.echo(
        f"{study}: trial {found[:12]} is left out; whichlayers retry {study} --trial {found[:12]} takes it in again."
        f"{_later(store, study)}"
    )


def _later(store: "Store", study: str) -> str:
    return "" if store.progress(study)["alive"] else f" {LATER}"


def _opened(store: str, study: str) -> "Store":
    from engine.store import Store

    kept = Store.at(store)
    require_study(kept, study)
    return kept
