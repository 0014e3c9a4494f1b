"""Readers' files as tables: a row per answer that stands, and a row per reader."""

import hashlib
from collections import Counter

import numpy as np
import pandas as pd

from engine.reader_study.journal import lines
from engine.reader_study.reading import Reading, looked_at, reading
from engine.reader_study.sitting import ENDING, readers
from engine.store import Store

ANSWER_COLUMNS = [
    "reader", "id", "index", "image", "group", "scanner", "label", "predicted", "accuracy", "top2", "probabilities",
    "fold", "seconds", "number", "looks", "opened", "labelled_seconds", "at",
]  # fmt: skip
SUMMARY_COLUMNS = [
    "reader", "id", "years", "examinations", "exposure", "note", "frames", "answered", "finished", "accuracy",
    "seconds", "hours", "undone", "sittings", "begun", "last", "opened", "labelled_seconds", "problems",
]  # fmt: skip


def answers(store: Store, study: str) -> pd.DataFrame:
    """A row per reader and frame that has an answer; columns are `ANSWER_COLUMNS`, no row where nobody has answered.

    The last answer counts. `accuracy` is 1 where the class is right, else 0; `top2` is missing and `probabilities`
    None, since a person names one class. `number` is the place in the reader's order, `seconds` how long the frame was
    in view, `looks` how often it was answered, `opened` how many labelled frames were opened while it waited, and
    `labelled_seconds` how long labelled ones were in view then. Lines that cannot be read do not count, see `damaged`.
    """
    rows = [row for identity, one in _readings(store, study) for row in _rows(identity, one)]
    return pd.DataFrame(rows, columns=ANSWER_COLUMNS)


def summary(store: Store, study: str) -> pd.DataFrame:
    """A row per reader, finished or not; columns are `SUMMARY_COLUMNS`.

    `seconds` is the median of a frame's, `hours` their sum, `accuracy` that of the answers given so far, `opened` the
    number of different labelled frames that were opened, `sittings` how often the reader began or went on.
    """
    rows = []
    for identity, one in _readings(store, study):
        if one.reader is None:
            continue
        seconds = [answer.seconds for answer in one.standing]
        right = [answer.predicted == answer.frame.label for answer in one.standing]
        rows.append(
            {
                "reader": one.reader.name,
                "id": identity,
                "years": one.reader.years,
                "examinations": one.reader.examinations,
                "exposure": one.reader.exposure,
                "note": one.reader.note,
                "frames": len(one.order),
                "answered": len(one.standing),
                "finished": one.is_finished,
                "accuracy": float(np.mean(right)) if right else np.nan,
                "seconds": float(np.median(seconds)) if seconds else np.nan,
                "hours": sum(seconds) / 3600,
                "undone": one.undone,
                "sittings": len(one.sittings),
                "begun": one.begun,
                "last": one.standing[-1].at if one.standing else "",
                "opened": len({index for look in one.opened if look.large for index in look.indices}),
                "labelled_seconds": sum(look.seconds for look in one.opened),
                "problems": len(one.problems),
            }
        )
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def damaged(store: Store, study: str) -> list[str]:
    """A line for each line of a reader's file that does not count, and why."""
    return [
        f"{study}/readers/{identity}{ENDING}: {problem}"
        for identity, one in _readings(store, study)
        for problem in one.problems
    ]


def stamp(store: Store, study: str) -> str:
    """Changes with every answer: a hash of the folder's listing, without reading a file."""
    return hashlib.sha256(repr(store.files.entries(f"{study}/readers")).encode()).hexdigest()


def _readings(store: Store, study: str) -> list[tuple[str, Reading]]:
    found = []
    for identity in readers(store, study):
        content = store.files.read(f"{study}/readers/{identity}{ENDING}") or b""
        found.append((identity, reading(lines(content))))
    return found


def _rows(identity: str, one: Reading) -> list[dict[str, object]]:
    if one.reader is None:
        return []
    waited = Counter(look.during for look in one.opened)
    rows: list[dict[str, object]] = []
    for answer in one.standing:
        opened, seconds = looked_at(one.opened, answer.number) if answer.number in waited else (0, 0.0)
        frame = answer.frame
        rows.append(
            {
                "reader": one.reader.name,
                "id": identity,
                "index": frame.index,
                "image": frame.image,
                "group": frame.group,
                "scanner": frame.scanner,
                "label": frame.label,
                "predicted": answer.predicted,
                "accuracy": float(answer.predicted == frame.label),
                "top2": np.nan,
                "probabilities": None,
                "fold": frame.fold,
                "seconds": answer.seconds,
                "number": answer.number,
                "looks": answer.looks,
                "opened": opened,
                "labelled_seconds": seconds,
                "at": answer.at,
            }
        )
    return rows
