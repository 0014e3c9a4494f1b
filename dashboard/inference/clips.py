"""Clips that the inference process is at work on: opened once, answered a few frames at a time, drawn side by side.

Needs torch; loaded by `dashboard.inference.process` when a clip is asked for.
"""

import csv
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TextIO

import numpy as np
from jaxtyping import UInt8

from dashboard.inference.messages import (
    CLIP,
    TABLE,
    ClipBegun,
    ClipFrames,
    ClipRequest,
    ClipRow,
    ClipStep,
    Preparing,
    area_mm2,
)
from engine.clip_writing import AddFrame, clip_size, clip_writer
from engine.errors import DataError
from engine.images import Clip, Kept, open_clip
from engine.overlays import Overlay
from engine.predicting import FrameSaid, TrainedNetwork, predict_frame

CLIPS_OPEN = 8
"""Clips that are at work at once; the one asked for longest ago is given up first."""
STEP_SECONDS = 0.05
"""Time of a step, after which another user's frame may come."""
OPENING = 2
"""Files that are opened at once, each in a thread: of some kinds the frames can only be counted one by one."""
MOST_PIXELS = 50_000_000_000
"""Pixels of all frames of a clip together: an hour and a half of 640 x 480."""
LARGEST_FRAME_PIXELS = 20_000_000
"""Pixels of the largest frame of a clip, as of single frames."""


@dataclass(kw_only=True)
class _Work:
    """A clip that is open."""

    stack: ExitStack
    frames: Iterator[UInt8[np.ndarray, "height width"] | None]
    """None after a frame that was looked at for the range of the file's values alone."""
    networks: Sequence[TrainedNetwork]
    request: ClipRequest
    kept: Kept
    table: "_Table"
    add: AddFrame | None = field(default=None)
    drawing: ThreadPoolExecutor | None = None
    """Draws and writes one frame while the networks look at the next."""
    drawn: Future[None] | None = None
    number: int = 0

    def end(self) -> None:
        """Waits for the last frame to be written. Raises what drawing or writing raised."""
        if self.drawn is not None:
            self.drawn.result()


class OpenClips:
    """The clips at work, by token."""

    def __init__(self) -> None:
        self._works: OrderedDict[str, _Work] = OrderedDict()
        self._opening: OrderedDict[str, Future[tuple[ExitStack, Clip]]] = OrderedDict()
        self._pool = ThreadPoolExecutor(OPENING)

    def begin(self, request: ClipRequest, networks: Sequence[TrainedNetwork]) -> ClipBegun | Preparing:
        """Open the file, or say that it takes longer: ask again. Raises DataError with one line."""
        opening = self._opening.get(request.token)
        if opening is None:
            opening = self._opening[request.token] = self._pool.submit(_opened, request)
            while len(self._opening) > CLIPS_OPEN:
                self._opening.popitem(last=False)[1].add_done_callback(_close)
        if not wait([opening], STEP_SECONDS).done:
            return Preparing(part=0.0)
        del self._opening[request.token]
        stack, clip = opening.result()
        kept = clip.kept
        try:
            stream = stack.enter_context((request.out / TABLE).open("w", newline="", encoding="utf-8"))
            table = _Table(stream, networks, kept)
        except BaseException:
            stack.close()
            raise
        self._works[request.token] = _Work(
            stack=stack, frames=_frames(clip), networks=networks, request=request, kept=kept, table=table
        )
        while len(self._works) > CLIPS_OPEN:
            self._works.popitem(last=False)[1].stack.close()
        return ClipBegun(
            kept=kept,
            names=tuple(one.names for one in networks),
            classifies=tuple(one.classifies for one in networks),
        )

    def step(self, step: ClipStep) -> ClipFrames:
        """What is said of the next frames. Raises DataError where the clip cannot be read on, or was given up."""
        work = self._works.get(step.token)
        if work is None:
            raise DataError("this clip was given up: the server was busy with others, or started anew; try it again")
        self._works.move_to_end(step.token)
        rows: list[tuple[ClipRow, ...]] = []
        begun = time.perf_counter()
        until = begun + STEP_SECONDS
        try:
            for pixels in () if step.end else work.frames:
                if pixels is not None:
                    rows.append(_answer(work, pixels, (time.perf_counter() - begun) * 1000))
                begun = time.perf_counter()
                if begun >= until:
                    return ClipFrames(rows=tuple(rows), finished=False)
            if work.number == 0 and not step.end:
                raise DataError(f"{work.request.name}: no frame can be read; save it again")
            work.end()
        except BaseException:
            self._works.pop(step.token).stack.close()
            raise
        self._works.pop(step.token).stack.close()
        return ClipFrames(rows=tuple(rows), finished=True)

    def networks(self, token: str) -> int:
        """How many networks look at a clip; 0 where it is not open."""
        return len(self._works[token].networks) if token in self._works else 0


def _opened(request: ClipRequest) -> tuple[ExitStack, Clip]:
    stack = ExitStack()
    try:
        clip: Clip = stack.enter_context(open_clip(request.path, name=request.name or "this file"))
        kept = clip.kept
        if kept.height * kept.width > LARGEST_FRAME_PIXELS:
            raise DataError(
                f"{clip.shown}: frames of {kept.width} x {kept.height} pixels; at most {LARGEST_FRAME_PIXELS:,} "
                "are answered: reduce it"
            )
        if kept.frames * kept.source_height * kept.source_width > MOST_PIXELS:
            raise DataError(
                f"{clip.shown}: {kept.frames:,} frames of {kept.source_width} x {kept.source_height} pixels; at most "
                f"{MOST_PIXELS:,} pixels in all are answered: cut the clip"
            )
    except BaseException:
        stack.close()
        raise
    return stack, clip


def _close(opening: Future[tuple[ExitStack, Clip]]) -> None:
    """Of a file that nobody asks for any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()


def _frames(clip: Clip) -> Iterator[UInt8[np.ndarray, "height width"] | None]:
    scaled_range = None
    for span in clip.spans():
        scaled_range = span
        yield None
    yield from clip.frames(scaled_range=scaled_range)


def _answer(work: _Work, pixels: UInt8[np.ndarray, "height width"], decoding: float) -> tuple[ClipRow, ...]:
    work.number += 1
    answers = [
        predict_frame(network, pixels, frame=work.number, spacing_mm=work.kept.spacing_mm, scanner=work.request.scanner)
        for network in work.networks
    ]
    if work.add is None or work.drawing is None:
        work.add = work.stack.enter_context(clip_writer(work.request.out / CLIP, frame_ms=work.kept.frame_ms))
        work.drawing = work.stack.enter_context(ThreadPoolExecutor(1))  # ends before the writer does
    work.end()
    work.drawn = work.drawing.submit(_draw, work.add, answers, work.request.overlay)
    rows = tuple(
        ClipRow(frame=work.number, values=_values(said), milliseconds=said.milliseconds + decoding) for said in answers
    )
    work.table.add(rows)
    return rows


def _draw(add: AddFrame, answers: Sequence[FrameSaid], kind: Overlay) -> None:
    add(side_by_side(answers, kind))


def side_by_side(answers: Sequence[FrameSaid], kind: Overlay) -> UInt8[np.ndarray, "height width 3"]:
    """What each trial sees, from left to right."""
    outlined = [said for said in answers if said.outlined is not None] or [answers[0]]
    height, width = answers[0].pixels.shape
    across, down = clip_size(height, width * len(outlined))
    drawn = [said.drawn(kind, size=(across // len(outlined), down)) for said in outlined]
    return drawn[0] if len(drawn) == 1 else np.concatenate(drawn, axis=1)


def _values(said: FrameSaid) -> tuple[float, ...]:
    if said.classified is not None:
        return tuple(float(part) for part in said.classified.probabilities)
    return tuple(float(count) for count in said.areas_pixels.values())


class _Table:
    """A row per frame and trial."""

    def __init__(self, stream: TextIO, networks: Sequence[TrainedNetwork], kept: Kept) -> None:
        self._writer, self._networks, self._kept = csv.writer(stream), networks, kept
        self._ms = kept.frame_ms
        heads = [_head(network) for network in networks]
        named = heads[0] if all(head == heads[0] for head in heads) else ["what", "value", "mm2"]
        self._long = named != heads[0]
        self._writer.writerow(["frame", "seconds", "study", "trial", "milliseconds", *named])

    def add(self, rows: tuple[ClipRow, ...]) -> None:
        for network, row in zip(self._networks, rows, strict=True):
            seconds = "" if self._ms is None else f"{(row.frame - 1) * self._ms / 1000:.3f}"
            model = network.model
            first: list[Any] = [row.frame, seconds, model.study, model.trial_id, f"{row.milliseconds:.1f}"]
            if self._long:
                for name, value in zip(network.names, row.values, strict=True):
                    mm2 = "" if network.classifies else _mm2(self._kept, value)
                    self._writer.writerow([*first, name, f"{value:.6g}", mm2])
            elif network.classifies:
                self._writer.writerow(
                    [*first, network.names[int(np.argmax(row.values))], *map("{:.6f}".format, row.values)]
                )
            else:
                areas = [part for value in row.values for part in (int(value), _mm2(self._kept, value))]
                self._writer.writerow([*first, *areas])


def _head(network: TrainedNetwork) -> list[str]:
    if network.classifies:
        return ["class", *(f"probability of {name}" for name in network.names)]
    return [column for name in network.names for column in (f"area_pixels of {name}", f"area_mm2 of {name}")]


def _mm2(kept: Kept, pixels: float) -> str:
    area = area_mm2(kept, pixels)
    return "" if area is None else f"{area:.3f}"
