"""What the server keeps of readers at work, and what it tells their browsers: the truth after an answer at most."""

import hmac
import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from statistics import median
from threading import Lock, RLock
from typing import Any

import numpy as np
from PIL import Image

from dashboard.reader_page.guard import Alive, Begin, Looked, Refused, Said, Undo
from dashboard.reader_page.tabs import Tabs
from engine import reader_study
from engine.datasets.cached import load_cached
from engine.datasets.dataset import Dataset
from engine.errors import DataError, StoreError
from engine.reader_study import Sitting
from engine.reader_study.frames import folder, words
from engine.store import Store

KEYS = "1234567890qwertyiopasdfghjkzxcvbnm"
"""One per class, in the study's order; `u` and `l` are taken."""
AHEAD = 4
"""Frames that the page may load before their turn."""
PACE = 100
"""Last answers that the pace is the median of."""
PAGE = 12
"""Small labelled frames on a page."""
Facts = dict[str, Any]


@dataclass(kw_only=True)
class AtWork:
    """A reader whose file is open."""

    sitting: Sitting
    frames: Mapping[str, int]
    """Place of each frame by the token that it is served under."""
    labelled: Mapping[str, int]
    by_class: Mapping[str, list[str]]
    """Tokens of the labelled frames of each class."""
    handed: str = ""
    """When the frame that waits was handed out (UTC, ISO 8601)."""
    lock: RLock = field(default_factory=RLock)


class Desk:
    """All readers of the store's studies."""

    def __init__(self, store: Store, cache: Path) -> None:
        self._store, self._cache = store, cache
        self._tabs = Tabs()
        self._lock = Lock()
        self._at_work: dict[tuple[str, str], AtWork] = {}

    def study(self, study: str) -> Facts:
        """What the start of the page shows. Raises DataError or StoreError where persons cannot read the study."""
        facts, classes = self._facts(study)
        folder(self._store, study)
        self._images(facts)
        kept = reader_study.kept_frames(self._store, study)
        people = reader_study.summary(self._store, study).to_dict(orient="records")
        return {
            "study": study,
            "data": facts["data"]["name"],
            "caveats": list(facts["data"].get("caveats") or []),
            "classes": [{"name": name, "key": key} for name, key in zip(classes, KEYS, strict=False)],
            "exposures": list(reader_study.EXPOSURES),
            "readers": [
                {"id": one["id"], "name": one["reader"], "done": one["answered"], "frames": one["frames"]}
                for one in people
            ],
            "kept": None if kept is None else {"words": words(kept), "frames": len(kept.frames)},
            "choices": self._choices(study, facts),
        }

    def begin(self, study: str, wish: Begin) -> Facts:
        """Begins a reader or goes on with one. Raises Refused where the reader is open in another tab."""
        facts, _ = self._facts(study)
        self._images(facts)
        identity = wish.reader or reader_study.reader_id(wish.name)
        known = reader_study.readers(self._store, study)
        if not wish.reader and identity in known:
            raise Refused(409, f"{wish.name} has begun already: choose this reader to go on, or take another name.")
        if identity in known:
            self._hold(study, identity, wish.tab, take=wish.take)
            sitting = reader_study.continue_reader(self._store, study, identity)
        elif wish.reader:
            raise Refused(404, "This reader is not known any more; begin again.")
        else:
            frames = reader_study.kept_frames(self._store, study) or reader_study.choose_frames(
                self._store.plan(study), self._images(facts), fold=wish.fold, most=wish.most, feedback=wish.feedback
            )
            reader = reader_study.Reader(
                name=wish.name,
                years=wish.years,
                examinations=wish.examinations,
                exposure=wish.exposure,
                note=wish.note,
            )
            sitting = reader_study.open_reader(self._store, study, reader, frames)
            self._hold(study, identity, wish.tab, take=True)
        work = self._keep(study, identity, sitting)
        counts = [len(work.by_class.get(name, [])) for name in sitting.frames.classes]
        about = {"reader": identity, "feedback": sitting.frames.feedback, "labelled": counts}
        return {**self._state(work), **about}

    def answer(self, study: str, identity: str, said: Said) -> Facts:
        """Keeps an answer, on disk when this returns; then the next frame, and the truth where the study tells it."""
        self._hold(study, identity, said.tab)
        work = self._work(study, identity)
        classes = work.sitting.frames.classes
        index = work.frames.get(said.token)
        if index is None or said.number >= len(classes):
            raise Refused(422, "This frame or class is not of this study; reload the page.")
        with work.lock:
            self._following(work, index, said)
            state = self._state(work)
        if work.sitting.frames.feedback:
            state["truth"] = classes.index(work.sitting.frame(index).label)
        return state

    def undo(self, study: str, identity: str, wish: Undo) -> Facts:
        """Takes the last answer back."""
        self._hold(study, identity, wish.tab)
        work = self._work(study, identity)
        index = work.frames.get(wish.token)
        if index is None:
            raise Refused(422, "This frame is not of this study; reload the page.")
        with work.lock:
            try:
                work.sitting.undo(index)
            except DataError as error:
                raise Refused(409, *error.problems, state=self._state(work)) from error
            return self._state(work)

    def looked(self, study: str, identity: str, said: Looked) -> Facts:
        """Keeps which labelled frames were in view, and how long."""
        work = self._work(study, identity)
        indices = tuple(work.labelled.get(token, -1) for token in said.tokens)
        work.sitting.looked(indices, large=said.large, seconds=said.milliseconds / 1000)
        return {}

    def alive(self, study: str, identity: str, said: Alive) -> Facts:
        """Hears that the tab is there, or is left."""
        if said.leaving:
            self._tabs.leave((study, identity), said.tab)
        else:
            self._hold(study, identity, said.tab)
        return {}

    def labelled(self, study: str, identity: str, number: int, page: int) -> Facts:
        """A page of labelled frames of a class, by number."""
        work = self._work(study, identity)
        classes = work.sitting.frames.classes
        tokens = work.by_class.get(classes[number], []) if 0 <= number < len(classes) else []
        pages = max(-(-len(tokens) // PAGE), 1)
        page = min(max(page, 0), pages - 1)
        first = page * PAGE
        shown = tokens[first : first + PAGE]
        return {"page": page, "pages": pages, "first": first, "count": len(tokens), "tokens": shown}

    def picture(self, study: str, identity: str, kind: str, token: str) -> bytes:
        """The PNG behind a token, in the source's proportions and without anything else in it."""
        work = self._work(study, identity)
        index = (work.frames if kind == "frames" else work.labelled).get(token)
        if index is None:
            raise Refused(404, "There is no such frame.")
        return _png(_dataset(work.sitting.frames.fingerprint, self._cache), index)

    def _hold(self, study: str, identity: str, tab: str, *, take: bool = False) -> None:
        if not self._tabs.hold((study, identity), tab, take=take):
            raise Refused(409, "This reader is open in another tab or window.", taken=True)

    def _following(self, work: AtWork, index: int, said: Said) -> None:
        classes = work.sitting.frames.classes
        try:
            work.sitting.answer(index, classes[said.number], seconds=said.milliseconds / 1000, shown=work.handed)
        except DataError as error:
            raise Refused(409, *error.problems, state=self._state(work)) from error

    def _work(self, study: str, identity: str) -> AtWork:
        """The reader as it is open here, or was before the server was started again."""
        with self._lock:
            found = self._at_work.get((study, identity))
        if found is not None:
            with suppress(StoreError):  # its file was put back from a copy, or taken away: it is opened again
                found.sitting.reading()
                return found
        self._require(study)
        return self._keep(study, identity, reader_study.continue_reader(self._store, study, identity, anew=False))

    def _keep(self, study: str, identity: str, sitting: Sitting) -> AtWork:
        secret = sitting.reading().secret
        labelled = {_token(secret, "labelled", index): index for index, _ in sitting.frames.labelled}
        label = dict(sitting.frames.labelled)
        by_class: dict[str, list[str]] = {}
        for token, index in labelled.items():
            by_class.setdefault(label[index], []).append(token)
        work = AtWork(
            sitting=sitting,
            frames={_token(secret, "frame", frame.index): frame.index for frame in sitting.frames.frames},
            labelled=labelled,
            by_class=by_class,
        )
        with self._lock:
            self._at_work[study, identity] = work
        return work

    def _state(self, work: AtWork) -> Facts:
        with work.lock:
            now = work.sitting.reading()
            done = len(now.standing)
            last = now.standing[-1] if now.standing else None
            classes = work.sitting.frames.classes
            ahead = [_token(now.secret, "frame", index) for index in now.order[done : done + 1 + AHEAD]]
            pace = [answer.seconds for answer in now.standing[-PACE:]]
            work.handed = _now()
            return {
                "name": now.reader.name if now.reader else "",
                "done": done,
                "frames": len(now.order),
                "current": ahead[0] if ahead else None,
                "next": ahead[1:],
                "last": last
                and {
                    "token": _token(now.secret, "frame", last.frame.index),
                    "number": classes.index(last.predicted),
                },
                "pace": median(pace) if pace else None,
            }

    def _facts(self, study: str) -> tuple[Facts, list[str]]:
        self._require(study)
        facts = self._store.facts(study)
        classes = [str(name) for name in facts.get("data", {}).get("classes") or []]
        if not facts:
            raise StoreError(f"'{study}' is not planned yet: its frames can be read once its run has begun")
        if not classes:
            raise DataError(f"'{study}' has no classes: readers classify frames, and this study outlines structures")
        if len(classes) > len(KEYS):
            raise DataError(f"'{study}' has {len(classes)} classes; a key each is there for at most {len(KEYS)}")
        return facts, classes

    def _require(self, study: str) -> None:
        names = self._store.studies()
        if study not in names:
            raise Refused(404, f"There is no study of this name; there: {', '.join(names) or 'none yet'}.")

    def _images(self, facts: Mapping[str, Any]) -> Dataset:
        return _dataset(facts["data"]["fingerprint"], self._cache)

    def _choices(self, study: str, facts: Mapping[str, Any]) -> list[Facts]:
        planned = reader_study.folds(self._store.plan(study))
        sizes = {row["fold"]: row["test"] for row in facts.get("table1") or []}
        found = [{"fold": fold, "frames": sizes.get(fold)} for fold in planned]
        if len(planned) > 1:
            found.append({"fold": None, "frames": sum(sizes.get(fold) or 0 for fold in planned)})
        return found


def _token(secret: str, kind: str, index: int) -> str:
    """What a frame is called in the browser: it says nothing of the frame."""
    return hmac.new(secret.encode(), f"{kind} {index}".encode(), "sha256").hexdigest()[:32]


@lru_cache(maxsize=4)
def _dataset(fingerprint: str, cache: Path) -> Dataset:
    return load_cached(fingerprint, cache)


def _png(dataset: Dataset, index: int) -> bytes:
    pixels = np.ascontiguousarray(dataset.images[index])
    row, (height, width) = dataset.table.iloc[index], pixels.shape
    aspect = float(row["source_width"]) / float(row["source_height"])
    size = (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))
    picture, file = Image.fromarray(pixels), io.BytesIO()
    shown = picture if size == (width, height) else picture.resize(size, Image.Resampling.BICUBIC)
    shown.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
