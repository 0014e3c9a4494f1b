"""What people ask of a study's run, from any process of this machine: small files that the run follows.

    <root>/<study>/requests/<time>-<random>.json    one request; who followed it takes it away

A run looks for them once a second. Where none is at work they wait for the next one, which follows them before its
first trial. A trial that is stopped by hand gets an attempt of its own (state `cancelled`), so that it is not run
again until somebody asks for that.
"""

import json
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd

from engine.errors import StoreError
from engine.store import Store, closed_ids, latest
from engine.trial import CLOSED

FOLDER = "requests"
LOOK_SECONDS = 1.0
"""Time between two looks for requests."""
LEAST_LETTERS = 4
"""Letters of a trial's id that name it, where they are enough to tell it from the others."""
WAITING = "waiting"

What = Literal["stop", "cancel", "retry", "workers"]


class StopAsked(KeyboardInterrupt):
    """Somebody asked the run to stop; it ends as it does by Ctrl-C."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing that somebody asked for."""

    what: What
    """`stop` the run, `cancel` a trial, `retry` trials, or set the number of `workers`."""
    asked: str
    """UTC, ISO 8601."""
    trial: str = ""
    """Id of the trial to cancel."""
    attempts: Mapping[str, int] = field(default_factory=dict)
    """Of trials to retry: their ids, with the number of the attempt that no longer counts."""
    at_once: int = 0
    """Trials that shall run at once."""
    file: str = ""
    """Name in the store; "" before it is written."""


def requests(store: Store, study: str) -> list[Request]:
    """What was asked for and not followed yet, oldest first; files that are no requests are left out."""
    found = []
    for name, is_folder in store.files.names(f"{study}/{FOLDER}"):
        content = None if is_folder or not name.endswith(".json") else store.files.read(f"{study}/{FOLDER}/{name}")
        if content is None:
            continue
        try:
            found.append(Request(**{**json.loads(content), "file": f"{study}/{FOLDER}/{name}"}))
        except (ValueError, TypeError):
            continue
    return found


def stop(store: Store, study: str) -> None:
    """Ask the run of `study` to stop; what is finished is stored. Raises StoreError where none is at work."""
    _require_study(store, study)
    if not store.progress(study)["alive"]:
        raise StoreError(f"study '{study}' is not running; there is nothing to stop")
    _ask(store, study, what="stop")


def cancel(store: Store, study: str, trial: str) -> str:
    """Ask for a trial, running or waiting, to be given up; gives its id.

    `trial` is an id or its first letters. Raises StoreError where no planned trial has it, or its trial is done.
    """
    states = trial_states(store, study)
    found = find_trial(states, study, trial)
    state = str(states.set_index("id").at[found, "state"])
    if state not in (WAITING, "running", "error"):
        raise StoreError(
            f"trial {found[:12]} of '{study}' is {state} already; only running and waiting ones are left out"
        )
    _ask(store, study, what="cancel", trial=found)
    return found


def retry(store: Store, study: str, trial: str | None = None) -> list[str]:
    """Ask for trials that crashed or were stopped by hand to be run again: all, or the one named; gives their ids.

    Raises StoreError where there is none, or the named one needs no retry.
    """
    states = trial_states(store, study)
    again = states[states["state"].isin(("error", "cancelled"))]
    if trial is not None:
        found = find_trial(states, study, trial)
        again = again[again["id"] == found]
        if again.empty:
            state = str(states.set_index("id").at[found, "state"])
            remedy = "run it to its end with 'search: {scheduler: fifo}'" if state == "stopped_early" else ""
            remedy = remedy or "only crashed trials and those stopped by hand are run again"
            raise StoreError(f"trial {found[:12]} of '{study}' is {state}; {remedy}")
    if again.empty:
        raise StoreError(f"study '{study}': no trial crashed or was stopped by hand; there is nothing to retry")
    numbers = dict(zip(again["id"].astype(str), again["number"].astype(int).tolist(), strict=True))
    for request in requests(store, study):
        if request.what == "cancel" and request.trial in numbers:
            followed(store, request)
    _ask(store, study, what="retry", attempts=numbers)
    return list(numbers)


def workers(store: Store, study: str, at_once: int) -> int:
    """Ask for another number of trials at once; gives the number before, 0 where no run says one.

    Trials that run are not cut off: fewer run as they end. Raises StoreError where the machine of the run has no
    room for as many.
    """
    _require_study(store, study)
    if at_once < 1:
        raise StoreError(f"{at_once} trials at once asked for; expected 1 or more, or stop the study")
    now = store.progress(study)
    room = int(now.get("room") or 0)
    if now["alive"] and room and at_once > room:
        raise StoreError(f"{at_once} trials at once asked for; the machine that runs '{study}' has room for {room}")
    for request in requests(store, study):
        if request.what == "workers":
            followed(store, request)
    _ask(store, study, what="workers", at_once=at_once)
    return int(now.get("at_once") or 0) if now["alive"] else 0


def followed(store: Store, request: Request) -> None:
    """Take a request away."""
    if request.file:
        store.files.delete(request.file)


def is_cancelled(store: Store, study: str, trial: str) -> bool:
    """Whether somebody asked for this trial to be given up."""
    return any(request.what == "cancel" and request.trial == trial for request in requests(store, study))


def settled(attempts: pd.DataFrame, asked: Sequence[Request], *, early: bool) -> set[str]:
    """Ids of the trials that a run leaves alone: closed ones, and those stopped by hand that nobody wants again.

    With `early` also those that a scheduler stopped; else they are run to their end.
    """
    last = latest(attempts)
    states = ("cancelled", "stopped_early") if early else ("cancelled",)
    stays = last["number"] > _reopened(asked, last["id"])
    return closed_ids(attempts) | set(last.loc[last["state"].isin(states) & stays, "id"])


def forget_old(store: Store, study: str) -> None:
    """Take away what no later run shall follow: an order to stop, retries that were tried, and trials given up that
    are over.
    """
    attempts, asked = store.attempts(study, ("state",)), requests(store, study)
    numbers = attempts.groupby("id")["number"].max().to_dict()
    over = settled(attempts, asked, early=False)
    for request in asked:
        tried = request.what == "retry" and all(
            int(numbers.get(trial, 0)) > number for trial, number in request.attempts.items()
        )
        if tried or request.what == "stop" or (request.what == "cancel" and request.trial in over):
            followed(store, request)


def trial_states(store: Store, study: str) -> pd.DataFrame:
    """A row per planned trial: the columns of the plan, `state` and `number` of its last attempt, 0 before any.

    `state` is that of the closed or last attempt, `running` while a run says so, or `waiting`: also for trials that
    crashed or were stopped by hand and shall be run again. Raises StoreError where there is no such study.
    """
    _require_study(store, study)
    plan, attempts = store.plan(study), store.attempts(study, ("state",))
    last = latest(attempts).set_index("id")
    now, asked = store.progress(study), requests(store, study)
    running = {row["id"] for row in now.get("running", ())} if now["alive"] else set[str]()
    numbers, ended = last["number"].to_dict(), last["state"].to_dict()
    plan["number"] = [int(numbers.get(trial, 0)) for trial in plan["id"]]
    plan["state"] = [str(ended.get(trial, WAITING)) for trial in plan["id"]]
    again = _reopened(asked, plan["id"]) >= plan["number"]
    plan.loc[again & ~plan["state"].isin(CLOSED), "state"] = WAITING
    plan.loc[plan["id"].isin(running) & ~plan["state"].isin(CLOSED), "state"] = "running"
    return plan


def find_trial(states: pd.DataFrame, study: str, text: str) -> str:
    """The id of the planned trial that `text`, an id or its first letters, names. Raises StoreError."""
    ids: Collection[str] = list(states["id"])
    found = [trial for trial in ids if trial.startswith(text.lower())] if len(text) >= LEAST_LETTERS else []
    if len(found) == 1:
        return found[0]
    if len(text) < LEAST_LETTERS:
        raise StoreError(f"'{text}' is too short for a trial's id; give {LEAST_LETTERS} letters or more")
    problem = f"{len(found)} trials of '{study}' begin with '{text}'" if found else f"'{study}' has no trial '{text}'"
    raise StoreError(f"{problem}; whichlayers trials {study} lists them")


def _reopened(asked: Sequence[Request], ids: pd.Series) -> pd.Series:
    """For each trial the number of the attempt that no longer counts because somebody wants it again, else 0."""
    numbers = {trial: number for request in asked for trial, number in request.attempts.items()}
    return pd.Series([numbers.get(trial, 0) for trial in ids], index=ids.index, dtype="int64")


def _require_study(store: Store, study: str) -> None:
    store.study_text(study)


def _ask(store: Store, study: str, **asked: Any) -> None:
    request = Request(asked=datetime.now(UTC).isoformat(timespec="seconds"), **asked)
    content = {key: value for key, value in asdict(request).items() if key != "file"}
    name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
    store.files.write(f"{study}/{FOLDER}/{name}.json", json.dumps(content).encode())
