"""A clip on the Live page: opened, answered a few frames at a time, told of while it goes on, kept as files."""

import os
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from dashboard.inference.messages import CLIP, TABLE, ClipBegun, ClipRequest, ClipStep
from dashboard.inference.worker import InferenceWorker
from dashboard.live.timeline import Timeline
from engine.errors import WhichLayersError
from engine.overlays import Overlay

TELL_SECONDS = 0.5
"""How often a page is told how far its clip is."""
TIMES_KEPT = 10_000
"""Frames whose times the figures are of."""


@dataclass(frozen=True, kw_only=True)
class ClipState:
    """How far a clip is."""

    begun: ClipBegun
    timeline: Timeline
    frames: int
    """Answered so far."""
    times: Sequence[float]
    """Milliseconds of the latest frames, of all trials together."""
    seconds: float
    """Since the first frame was asked for."""
    clip: Path | None = None
    """The drawn clip, once it is finished."""
    table: Path | None = None
    """A row per frame and trial, once it is finished."""


def answer_clip(
    worker: InferenceWorker,
    path: Path,
    *,
    trials: Sequence[tuple[str, str]],
    labels: Sequence[str],
    out: Path,
    name: str,
    scanner: str = "",
    overlay: Overlay = "outline",
) -> Iterator[ClipState]:
    """States of the work, the last one with its files in `out`. Whoever stops asking ends the work.

    `trials` are (study, trial id), one or two, called `labels`. Raises as `InferenceWorker.answer`.
    """
    token = uuid.uuid4().hex
    request = ClipRequest(
        token=token, trials=tuple(trials), path=path, out=out, name=name, scanner=scanner, overlay=overlay
    )
    begun = worker.begin_clip(request)
    timeline, times = Timeline(begun=begun, trials=tuple(labels)), deque[float](maxlen=TIMES_KEPT)
    done, finished = 0, False
    started = told = time.monotonic()
    try:
        while not finished:
            frames = worker.step_clip(ClipStep(token=token))
            finished = frames.finished
            timeline.add(frames.rows)
            times.extend(sum(row.milliseconds for row in rows) for rows in frames.rows)
            done += len(frames.rows)
            if done and not finished and time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                with suppress(OSError):  # uploads that are at work are not old
                    os.utime(path)
                yield ClipState(begun=begun, timeline=timeline, frames=done, times=times, seconds=told - started)
    finally:
        if not finished:
            # Gradio ends a page's generator on its event loop, which must not wait for a turn.
            Thread(target=_end, args=(worker, token), name="end of a clip", daemon=True).start()
    yield ClipState(
        begun=begun,
        timeline=timeline,
        frames=done,
        times=times,
        seconds=time.monotonic() - started,
        clip=out / CLIP,
        table=out / TABLE,
    )


def _end(worker: InferenceWorker, token: str) -> None:
    with suppress(WhichLayersError):
        worker.step_clip(ClipStep(token=token, end=True))
