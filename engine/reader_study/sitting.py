"""A reader at work: the next frame, an answer, a step back; each on disk before the call returns."""

import math
import secrets
from dataclasses import asdict
from datetime import UTC, datetime

from engine.errors import DataError, StoreError
from engine.reader_study.frames import Frame, Frames, folder, keep_frames, kept_frames
from engine.reader_study.journal import Journal
from engine.reader_study.reader import Reader, checked, reader_id
from engine.reader_study.reading import Reading
from engine.splits.pool import shuffled
from engine.store import Store

VERSION = 1
ENDING = ".jsonl"
LONGEST_SECONDS = 24 * 3600.0
"""No frame is looked at longer; a browser that says so has a wrong clock."""


class Sitting:
    """An open reader's file. Safe to use from several threads, and beside another server of the same store."""

    def __init__(self, journal: Journal, study: str, identity: str, frames: Frames) -> None:
        self.study = study
        self.id = identity
        self.frames = frames
        self._journal = journal
        self._reading = Reading()
        self._by_index = {frame.index: frame for frame in frames.frames}

    def reading(self) -> Reading:
        """What the file says now. Not to be changed; it moves on with the next answer."""
        with self._journal.held() as added:
            self._follow(added)
        return self._reading

    def answer(self, index: int, predicted: str, *, seconds: float, shown: str = "") -> Reading:
        """Keeps the class that the reader sees in the frame at `index`, after `seconds` of looking.

        The same answer again, as a browser sends it that heard no reply, is kept once. `shown` is when the server
        handed out the frame (ISO 8601). Raises DataError for a class that the study has not, and for a frame whose turn
        it is not, StoreError where the disk does not take it.
        """
        if predicted not in self.frames.classes:
            raise DataError(f"'{predicted}' is no class of '{self.study}'; there: {', '.join(self.frames.classes)}")
        if not (math.isfinite(seconds) and 0 <= seconds <= LONGEST_SECONDS):
            raise DataError(f"{seconds} seconds; expected 0 to {LONGEST_SECONDS:g}")
        with self._journal.held() as added:
            now = self._follow(added)
            last = now.standing[-1] if now.standing else None
            if last and last.frame.index == index and last.predicted == predicted:
                return now
            if index != now.current:
                raise DataError("this frame was answered before, or in another tab; go on with the one that waits")
            frame = self._by_index[index]
            now.take(
                self._journal.append(
                    {
                        "kind": "answer",
                        **asdict(frame),
                        "predicted": predicted,
                        "seconds": round(seconds, 4),
                        "shown": shown,
                        "at": _now(),
                    }
                )
            )
            return now

    def undo(self, index: int) -> Reading:
        """Takes the last answer back, which was to the frame at `index`; it stays in the file.

        Asked twice, it is taken back once. Raises DataError where the class was shown after it, and where the last
        answer is another.
        """
        if self.frames.feedback:
            raise DataError("the class was shown after this answer, so it stands")
        with self._journal.held() as added:
            now = self._follow(added)
            if now.current == index:
                return now
            if not now.standing or now.standing[-1].frame.index != index:
                raise DataError("this is not the last answer any more; go on with the frame that waits")
            now.take(self._journal.append({"kind": "undo", "index": index, "at": _now()}))
            return now

    def looked(self, indices: tuple[int, ...], *, large: bool, seconds: float) -> None:
        """Keeps that labelled frames of one class were in view together; `large` where one was opened.

        Raises DataError where an image is none of the labelled frames.
        """
        labels = dict(self.frames.labelled)
        if not indices or not set(indices) <= set(labels) or not (0 <= seconds <= LONGEST_SECONDS):
            raise DataError("these are no labelled frames of this study")
        with self._journal.held() as added:
            now = self._follow(added)
            now.take(
                self._journal.append(
                    {
                        "kind": "labelled",
                        "label": labels[indices[0]],
                        "indices": list(indices),
                        "large": large,
                        "seconds": round(seconds, 3),
                        "at": _now(),
                    }
                )
            )

    def begin(self, reader: Reader | None) -> None:
        """Writes that a sitting begins, and before the first who reads and in which order."""
        with self._journal.held() as added:
            now = self._follow(added)
            if now.reader is None:
                if reader is None:
                    raise StoreError(f"{self._journal.path} does not say who reads; begin under the same name again")
                indices = [str(frame.index) for frame in self.frames.frames]
                order = [int(name) for name in shuffled(indices, "reader order", self.study, self.id)]
                now.take(
                    self._journal.append(
                        {
                            "kind": "reader",
                            "version": VERSION,
                            "study": self.study,
                            "fingerprint": self.frames.fingerprint,
                            "reader": asdict(reader),
                            "order": order,
                            "secret": secrets.token_hex(16),
                            "at": _now(),
                        }
                    )
                )
            if set(now.order) != set(self._by_index):
                raise StoreError(f"{self._journal.path} and frames.json name other frames; put back the one that fits")
            now.take(self._journal.append({"kind": "sitting", "at": _now()}))

    def frame(self, index: int) -> Frame:
        """What is known of a frame, its class included."""
        return self._by_index[index]

    def _follow(self, added: list[tuple[int, dict[str, object] | None]]) -> Reading:
        for line in added:
            self._reading.take(line)
        return self._reading


def open_reader(store: Store, study: str, reader: Reader, frames: Frames) -> Sitting:
    """The reader's sitting: begun with the first line of the file, or gone on with where the reader is known.

    The random order is decided by study and reader. Raises DataError where the answers at the start cannot be kept,
    StoreError where the store is no local folder, or the study's readers have other frames.
    """
    reader = checked(reader)
    if not frames.frames:
        raise DataError(f"'{study}' has no test frames to classify; plan a study with more images")
    folder(store, study)
    store.study_text(study)
    sitting = _sitting(store, study, reader_id(reader.name), keep_frames(store, study, frames))
    sitting.begin(reader)
    return sitting


def continue_reader(store: Store, study: str, identity: str, *, anew: bool = True) -> Sitting:
    """The sitting of a reader who has begun before, written down as another one where it begins `anew`.

    Raises StoreError where there is no reader of this id, or the store is no local folder.
    """
    frames = kept_frames(store, study)
    if frames is None or identity not in readers(store, study):
        known = ", ".join(readers(store, study)) or "none yet"
        raise StoreError(f"no reader '{identity}' of study '{study}'; there: {known}")
    sitting = _sitting(store, study, identity, frames)
    if anew:
        sitting.begin(None)
    return sitting


def readers(store: Store, study: str) -> list[str]:
    """Ids of the study's readers, sorted."""
    names = [name for name, is_folder in store.files.names(f"{study}/readers") if not is_folder]
    return [name.removesuffix(ENDING) for name in names if name.endswith(ENDING)]


def _sitting(store: Store, study: str, identity: str, frames: Frames) -> Sitting:
    return Sitting(Journal(folder(store, study) / f"{identity}{ENDING}"), study, identity, frames)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
