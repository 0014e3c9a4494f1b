"""What the Live page's parts are given: of a frame, of a file while it is worked on, of a frame's neighbours."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import gradio as gr

from dashboard.inference.messages import ClassAnswer, Preparing
from dashboard.live import neighbours, words
from dashboard.live.answers import Choice, LiveAnswers, Shown, kind_of
from dashboard.live.clips import TELL_SECONDS, ClipState
from dashboard.live.player import scrubber
from dashboard.live.timeline import timeline, timeline_table
from engine.errors import WhichLayersError

TIMES_KEPT = 100
"""Latest answers of an open page whose times are told."""


def frame_outputs(
    live: LiveAnswers, choice: Choice, uploaded: Any, scanner: str | None, kind: Any, before: list[float]
) -> tuple[list[Any], list[float]]:
    """Outline, figures, mask and classes of a frame, and the times of the latest answers with this one."""
    nothing_to_save = gr.DownloadButton(value=None, interactive=False)
    try:
        if not uploaded:
            task = live.studies.task(choice.study) if choice.study else "segmentation"
            return [None, words.hint(task), nothing_to_save, ""], before
        shown = live.frame(choice, uploaded, scanner=scanner, overlay=kind)
    except WhichLayersError as error:
        return [None, words.problem(error), nothing_to_save, ""], before
    times = [*before, sum(shown.answer.milliseconds.values())][-TIMES_KEPT:]
    said = words.said(shown.answer, times, kind_of(kind))
    if isinstance(shown.answer, ClassAnswer):
        return [None, said, nothing_to_save, words.classes(shown.answer)], times
    save = gr.DownloadButton(value=str(shown.mask), interactive=True)
    return [str(shown.drawn), said, save, ""], times


def file_outputs(
    live: LiveAnswers, choices: list[Choice], uploaded: Any, scanner: str | None, kind: Any
) -> Iterator[list[Any]]:
    """What a file shows while it is worked on.

    That is: what was kept, frame, clip, figures, timeline, its slider, table, clip to save, and stop button.
    """
    hidden = [gr.Gallery(visible=False), gr.Video(visible=False, value=None)]
    no_files = [gr.DownloadButton(visible=False), gr.DownloadButton(visible=False)]
    no_plot = [gr.Plot(visible=False), gr.HTML(visible=False)]
    at_rest, at_work = gr.Button(interactive=False), gr.Button(interactive=True)
    if not uploaded:
        yield ["", *hidden, "", *no_plot, *no_files, at_rest]
        return
    yield [gr.skip(), gr.skip(), gr.skip(), '<p class="hint">Reading the file …</p>', *no_plot, *no_files, at_work]
    try:
        for state in live.clip(choices, uploaded, scanner=scanner, overlay=kind):
            about = words.kept_of(state.begun.kept)
            if state.begun.kept.frames == 1 and state.frames <= 1 and state.clip is not None:
                shown = [live.frame(choice, uploaded, scanner=scanner, overlay=kind) for choice in choices]
                yield [about, _gallery(shown), hidden[1], _single(shown, kind), *no_plot, *no_files, at_rest]
                return
            yield [about, *_state_outputs(state, kind, hidden, at_rest if state.clip else at_work)]
    except WhichLayersError as error:
        yield [gr.skip(), *hidden, words.problem(error), *no_plot, *no_files, at_rest]


def neighbour_words(live: LiveAnswers, choice: Choice, uploaded: Any, scanner: str | None) -> Iterator[str]:
    """How far the look at the training images is, then the frame among them; "" without a frame."""
    if not uploaded:
        yield ""
        return
    try:
        told = 0.0
        for found in live.neighbours(choice, uploaded, scanner=scanner):
            if not isinstance(found, Preparing):
                yield neighbours.words(found)
            elif time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                yield neighbours.preparing(found)
    except WhichLayersError as error:
        yield words.problem(error)


def warning(live: LiveAnswers, choice: Choice, uploaded: Any, scanner: str | None) -> Iterator[str]:
    """The warning where the (middle) frame of a file is unlike the training images; "" until that is known."""
    yield ""
    if not uploaded:
        return
    with suppress(WhichLayersError):  # what is wrong with the file is said where it is answered
        for found in live.neighbours(choice, uploaded, scanner=scanner, pictures=False):
            if not isinstance(found, Preparing):
                yield neighbours.warning(found)


def _state_outputs(state: ClipState, kind: Any, hidden: list[Any], button: Any) -> list[Any]:
    finished = state.clip is not None and state.table is not None
    said = words.clip_figures(state.begun, state.frames, list(state.times), state.seconds, finished=finished)
    if not all(state.begun.classifies):
        said += words.scale(kind_of(kind))
    frames, rows = state.frames if finished else None, timeline_table(state.timeline)
    figure = gr.Plot(timeline(state.timeline, rows, frames=frames), visible=True)
    if not finished:
        no_files = [gr.DownloadButton(visible=False), gr.DownloadButton(visible=False)]
        return [*hidden, said, figure, gr.HTML(visible=False), *no_files, button]
    return [
        gr.Gallery(visible=False),
        gr.Video(str(state.clip), visible=True, label=" beside ".join(state.timeline.trials)),
        said,
        figure,
        gr.HTML(scrubber(state.frames, state.begun.kept.frame_ms), visible=True),
        gr.DownloadButton(value=str(state.table), visible=True),
        gr.DownloadButton(value=str(state.clip), visible=True),
        button,
    ]


def _gallery(shown: list[Shown]) -> gr.Gallery:
    pictures = [str(one.drawn) for one in shown if one.drawn]
    return gr.Gallery(pictures, visible=bool(pictures), columns=max(1, len(pictures)))


def _single(shown: list[Shown], kind: Any) -> str:
    parts = []
    for one in shown:
        bars = words.classes(one.answer) if isinstance(one.answer, ClassAnswer) else ""
        parts.append(words.said(one.answer, (), kind_of(kind)) + bars)
    return "".join(parts)
