"""What the Live page's events answer: uploaded frames and clips, by one trained trial or by two."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gradio.utils import get_upload_folder

from dashboard.inference.messages import (
    Answer,
    ClassAnswer,
    NeighboursAnswer,
    NeighboursRequest,
    Preparing,
    Request,
)
from dashboard.inference.worker import InferenceWorker
from dashboard.live.clips import ClipState, answer_clip
from dashboard.live.likeness import UNKNOWN, Likeness
from dashboard.live.stream import told
from dashboard.trained_trials import TrainedStudies
from engine.errors import DataError
from engine.images import Kept
from engine.overlays import OVERLAYS, Overlay

LONGEST_NAME = 120
LARGEST_COMPARED = 64 * 2**20
"""Of a file that is compared with the training images: it goes to the process that answers in one piece."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A trained trial that looks, as the page has it chosen."""

    study: str | None
    trial: str | None
    """An id, the first letters of one, or "best"."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An answer to a frame, with its files."""

    answer: Answer | ClassAnswer
    drawn: Path | None = None
    """The frame with what the network sees over it; None of a classifier."""
    mask: Path | None = None


class LiveAnswers:
    """The studies and the process that answers, behind the page's events. Raises WhichLayersError throughout."""

    def __init__(self, studies: TrainedStudies, worker: InferenceWorker) -> None:
        self.studies, self._worker, self.known = studies, worker, Likeness(worker)

    def frame(self, choice: Choice, uploaded: Any, *, scanner: str | None = None, overlay: Any = None) -> Shown:
        """What a trial says of the (middle) frame of an uploaded file."""
        answer = self.ask(choice, uploaded_path(uploaded), scanner=scanner, overlay=overlay)
        if isinstance(answer, ClassAnswer):
            return Shown(answer=answer)
        folder = own_folder()
        (folder / "outline.png").write_bytes(answer.outlined)
        (folder / "mask.png").write_bytes(answer.mask)
        return Shown(answer=answer, drawn=folder / "outline.png", mask=folder / "mask.png")

    def ask(
        self,
        choice: Choice,
        content: bytes | Path,
        *,
        scanner: str | None = None,
        overlay: Any = None,
        picture: Literal["PNG", "JPEG"] = "PNG",
    ) -> Answer | ClassAnswer:
        """What a trial says of the (middle) frame of a file, by its bytes or by where it lies."""
        study, trial = self._key(choice)
        return self._worker.answer(
            Request(
                study=study,
                trial_id=trial,
                frame=content,
                scanner=scanner or "",
                overlay=kind_of(overlay),
                picture=picture,
            )
        )

    def likeness(self, choice: Choice, content: bytes | Path, *, scanner: str | None = None) -> dict[str, Any]:
        """Whether the (middle) frame of a file is unlike the training images, where that is known."""
        study, trial = self._key(choice)
        return self.known.of(
            NeighboursRequest(study=study, trial_id=trial, frame=content, scanner=scanner or "", pictures=False)
        )

    def likeness_of_file(self, choice: Choice, uploaded: Any, *, scanner: str | None = None) -> dict[str, Any]:
        """The same of an uploaded file's (middle) frame; None throughout for a file too large to be compared."""
        file = uploaded_path(uploaded)
        if file.stat().st_size > LARGEST_COMPARED:
            return UNKNOWN
        return self.likeness(choice, file, scanner=scanner)

    def clip(
        self, choices: list[Choice], uploaded: Any, *, scanner: str | None = None, overlay: Any = None
    ) -> Iterator[ClipState]:
        """What trials say of every frame of an uploaded file, while it goes on."""
        keys = [self._key(choice) for choice in choices]
        yield from answer_clip(
            self._worker,
            uploaded_path(uploaded),
            trials=keys,
            labels=self.labels(keys),
            out=own_folder(),
            name=name_of(uploaded),
            scanner=scanner or "",
            overlay=kind_of(overlay),
        )

    def labels(self, keys: list[tuple[str, str]]) -> list[str]:
        """What the trials (study, id) are called side by side; no two alike."""
        labels = [self.studies.short_name(*key) for key in keys]
        if len(set(labels)) < len(labels):
            return [f"{label} ({trial[:6]})" for label, (_, trial) in zip(labels, keys, strict=True)]
        return labels

    def neighbours(
        self, choice: Choice, uploaded: Any, *, scanner: str | None = None, pictures: bool = True
    ) -> Iterator[NeighboursAnswer | Preparing]:
        """How far the look at a trial's training images is, and at last the (middle) frame of a file among them.

        Without `pictures` those of the nearest ones are left out.
        """
        study, trial = self._key(choice)
        file = uploaded_path(uploaded)
        if file.stat().st_size > LARGEST_COMPARED:
            raise DataError(f"files of more than {LARGEST_COMPARED // 2**20} MB are not compared; send a frame of it")
        request = NeighboursRequest(study=study, trial_id=trial, frame=file, scanner=scanner or "", pictures=pictures)
        while isinstance(found := self._worker.neighbours(request), Preparing):
            yield found
        yield found

    def _key(self, choice: Choice) -> tuple[str, str]:
        if not choice.study or not choice.trial:
            raise DataError("no trial chosen; choose one above")
        return choice.study, self.studies.find(choice.study, choice.trial)


def program_answer(answer: Answer | ClassAnswer) -> dict[str, Any]:
    """An answer for programs: areas or probabilities, times, and what was kept of the file."""
    return {**told(answer), "kept": _facts(answer.kept)}


def program_summary(state: ClipState) -> dict[str, Any]:
    """A finished clip for programs; the frames stand in its table."""
    return {
        "frames": state.frames,
        "seconds": round(state.seconds, 3),
        "frames_per_second": round(state.frames / state.seconds, 2) if state.seconds else None,
        "names": [list(names) for names in state.begun.names],
        "kept": _facts(state.begun.kept),
    }


def _facts(kept: Kept) -> dict[str, Any]:
    names = ("format", "frames", "height", "width", "spacing_mm", "frame_ms", "scanner", "group", "cut_away", "notes")
    facts: dict[str, Any] = json.loads(json.dumps({name: getattr(kept, name) for name in names}))
    return facts


def kind_of(overlay: Any) -> Overlay:
    """The kind of overlay that was asked for; outlines where it is none."""
    return next((one for one in OVERLAYS if one == overlay), "outline")


def uploaded_path(uploaded: Any) -> Path:
    """The uploaded file. Raises DataError for anything that was not uploaded, or is gone."""
    folder = Path(get_upload_folder()).resolve()
    path = uploaded.get("path") if isinstance(uploaded, dict) else None
    # A request can name any path: only what this server took as an upload is read.
    if not isinstance(path, str) or "\0" in path or not Path(path).resolve().is_relative_to(folder):
        raise DataError("not an uploaded frame; other files are not read: upload it first")
    if not Path(path).is_file():
        raise DataError("this frame was deleted after an hour; drop it again")
    return Path(path)


def name_of(uploaded: Any) -> str:
    """What the file was called where it came from, without folders; for messages and tables, never for a path here."""
    name = uploaded.get("orig_name") if isinstance(uploaded, dict) else None
    return Path(name.replace("\\", "/")).name[:LONGEST_NAME] if isinstance(name, str) and name else "this file"


def own_folder() -> Path:
    """A new folder for one answer: equal outlines of two users under one name gave cut downloads."""
    folder = Path(get_upload_folder()) / uuid.uuid4().hex
    folder.mkdir(parents=True)
    return folder
