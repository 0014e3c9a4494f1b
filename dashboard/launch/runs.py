"""Starting `whichlayers run` as a process of its own, which neither the page nor the dashboard can end by ending."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dashboard.launch import uploads
from engine.config import loads
from engine.errors import StudyFileError, WhichLayersError
from engine.study_settings import Study

FOLDER = "launches"
"""Below the cache: study files that pages launched, and what their runs said."""
ESTIMATE_SECONDS = 600.0
"""Longest wait for an estimate, which times a training step of every strategy, or for units to be ranked."""


@dataclass(frozen=True, kw_only=True)
class Launched:
    """A run that was started."""

    study: str
    file: Path
    """The study file that it runs."""
    log: Path
    """What it says."""
    process: "subprocess.Popen[bytes]"
    is_known: bool
    """Whether the store had the study before."""
    beside: int | None = None
    """Number of the process that ran the study already when this one was started."""

    def problems(self) -> list[str]:
        """Why the run has ended without having begun, in its own words; [] while it runs, and where it ended well."""
        code = self.process.poll()
        if code in (None, 0):
            return []
        return self.said.splitlines() or [f"the run ended at once with code {code}"]

    @property
    def said(self) -> str:
        """The last lines of the log."""
        return last_lines(self.log)


def checked(text: str) -> Study:
    """The study that the page's text describes.

    Raises StudyFileError for mistakes, and for a network of the user's own: its code is named on the command line only.
    """
    study = loads(text)
    if ":" in study.model.name:
        raise StudyFileError(
            f"model '{study.model.name}' is a network of your own, whose code a page never loads; download the file "
            "and use: whichlayers run FILE"
        )
    return study


def command(file: str | Path, store: str, cache: str | Path, *more: str) -> list[str]:
    """The command that a launch runs."""
    places = ["--store", store, "--cache", str(cache)]
    return [sys.executable, "-m", "whichlayers", "run", str(file), *places, *more]


def shown_command(arguments: Sequence[str]) -> str:
    """A command as somebody types it."""
    words = ["whichlayers", *arguments[3:]]
    return " ".join(f"'{word}'" if " " in word else word for word in words)


def kept_file(study: Study, text: str, cache: Path) -> Path:
    """The text as a file of its own below the cache, named by study and time."""
    place = cache / FOLDER / study.name
    place.mkdir(parents=True, exist_ok=True)
    file = place / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def launch(text: str, store: str, cache: Path, *, before: Mapping[str, Any] | None = None) -> Launched:
    """Starts the study, and does not wait for it; `before` is its progress where the store has it already.

    Raises StudyFileError for mistakes in the text.
    """
    study = checked(text)
    file = kept_file(study, text, cache)
    uploads.keep(study.data.folder, cache)
    log = file.with_suffix(".log")
    with log.open("wb") as said:
        process = subprocess.Popen(
            command(file, store, cache),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment(),
        )
    # Waited for somewhere, or an ended run would stay in the table of processes as long as the dashboard lives.
    threading.Thread(target=process.wait, name=f"run of {study.name}", daemon=True).start()
    beside = before.get("process") if before and before.get("alive") else None
    return Launched(study=study.name, file=file, log=log, process=process, is_known=before is not None, beside=beside)


def estimate(text: str, store: str, cache: Path) -> dict[str, Any]:
    """What `whichlayers run --dry-run --json` says of the study: the fields of `engine.estimates.Estimate`.

    In a process of its own, since timing a step loads torch.

    Raises StudyFileError for mistakes in the text, WhichLayersError with the command's own lines.
    """
    file = kept_file(checked(text), text, cache)
    return _answer(command(file, store, cache, "--dry-run", "--json"), file, "the estimate")


def ranked(text: str, store: str, cache: Path) -> dict[str, Any]:
    """What `whichlayers preview --json` says of the study: its units ranked by their gradients, kept in the store too.

    In a process of its own, which may have to make start weights first.

    Raises StudyFileError for mistakes in the text, WhichLayersError with the command's own lines.
    """
    file = kept_file(checked(text), text, cache)
    places = ["--store", store, "--cache", str(cache), "--json"]
    return _answer([sys.executable, "-m", "whichlayers", "preview", str(file), *places], file, "the ranking")


def _answer(arguments: Sequence[str], file: Path, what: str) -> dict[str, Any]:
    """What a command of ours prints as JSON; takes its study file away."""
    try:
        found: dict[str, Any] = json.loads(said(arguments, what, ESTIMATE_SECONDS))
    finally:
        file.unlink(missing_ok=True)
    return found


def said(arguments: Sequence[str], what: str, seconds: float) -> str:
    """What a command of ours prints, within so many seconds. Raises WhichLayersError with the command's own lines."""
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, env=_environment(), timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WhichLayersError(
            f"{what} took more than {seconds / 60:g} minutes; the machine is busy, go on without it or try again later"
        ) from error
    if done.returncode != 0:
        raise WhichLayersError(done.stderr.strip().splitlines() or [f"no answer from {what}"])
    return done.stdout


def last_lines(log: Path, most: int = 40) -> str:
    """The last lines of a log; "" where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - 64 * 1024, 0))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.replace("\r", "\n").strip().splitlines()[-most:])


def latest_log(study: str, cache: Path) -> Path | None:
    """The log of the study's last launch from a page; None where it was never launched from one."""
    logs = sorted((cache / FOLDER / study).glob("*.log"))
    return logs[-1] if logs else None


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("STREAMLIT_")}
