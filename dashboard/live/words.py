"""What the Live program says of an answer, as HTML."""

import base64
from collections.abc import Sequence
from html import escape

import numpy as np

from dashboard.inference.messages import Answer, ClassAnswer, ClipBegun, area_mm2
from engine.errors import WhichLayersError
from engine.images import Kept
from engine.overlays import COLOURS, Overlay
from engine.trial import Task

SHOWN = 3
"""Classes that stand above the others."""
ALWAYS_ONE = "A network names one of its classes for every frame, also for a frame that is of none of them."


PLEASE_LOOK = "Look for names, dates and faces in the picture itself before it leaves your hands."


def hint(task: Task = "segmentation") -> str:
    """What to do before there is a frame."""
    what = "the outline appears" if task == "segmentation" else "its most probable classes appear"
    return f'<p class="hint">Drop a frame, paste one, or take a picture: {what} beside it.</p>'


def problem(error: WhichLayersError) -> str:
    """Why there is no answer, a line each."""
    lines = "<br>".join(escape(line[:1].upper() + line[1:]) for line in error.problems)
    return f'<p class="problem" role="alert">{lines}</p>'


def figures(answer: Answer, times: Sequence[float] = (), overlay: Overlay = "outline") -> str:
    """Area of the structure and times; `times` are those of this page's latest answers, in ms."""
    percent = 100 * answer.area_pixels / (answer.height * answer.width)
    note = "" if answer.area_pixels else '<p class="hint">The network sees no structure in this frame.</p>'
    return (
        '<dl class="figures">'
        f"<div><dt>Area</dt><dd><b>{answer.area_pixels:,}</b> pixels{_in_mm2(answer.kept, answer.area_pixels)}</dd>"
        f"<dd>{percent:.1f} % of {answer.width} × {answer.height}</dd></div>"
        f"{_structures(answer)}{_time(answer, times)}</dl>{note}{scale(overlay)}{_scaled(answer)}"
    )


def scale(overlay: Overlay) -> str:
    """What the colours of a map of probabilities mean; "" where there is none."""
    if overlay == "outline":
        return ""
    return '<p class="hint scale">Probability 0 <span></span> 1, more colour where it is higher</p>'


def class_figures(answer: ClassAnswer, times: Sequence[float] = ()) -> str:
    """The most probable class and times."""
    return (
        '<dl class="figures">'
        f"<div><dt>Most probable</dt><dd><b>{escape(answer.classes[0])}</b> {_percent(answer.probabilities[0])}</dd>"
        f"<dd>of {len(answer.classes)} classes</dd></div>"
        f'{_time(answer, times)}</dl><p class="hint">{ALWAYS_ONE}</p>{_scaled(answer)}'
    )


def said(answer: Answer | ClassAnswer, times: Sequence[float] = (), overlay: Overlay = "outline") -> str:
    """`figures` or `class_figures`."""
    return figures(answer, times, overlay) if isinstance(answer, Answer) else class_figures(answer, times)


def kept_of(kept: Kept) -> str:
    """What was kept of a file, and what was not; never that it is anonymous."""
    lines = [*map(escape, kept.told), PLEASE_LOOK]
    return f'<p class="hint"><b>Kept of the file</b> {"<br>".join(lines)}</p>'


def clip_figures(begun: ClipBegun, done: int, times: Sequence[float], seconds: float, *, finished: bool) -> str:
    """How far a clip is, its times, and the frames per second that it was answered at, drawing and writing included."""
    p50, p95 = np.percentile(times, (50, 95)) if len(times) else (0.0, 0.0)
    rate = done / seconds if seconds > 0 else 0.0
    state = "Frames" if finished else f"Frames, of {begun.kept.frames:,}"
    return (
        '<dl class="figures">'
        f"<div><dt>{state}</dt><dd><b>{done:,}</b>{'' if finished else ' …'}</dd></div>"
        f"<div><dt>A frame</dt><dd><b>{p50:.0f}</b> ms</dd><dd>95 % within {p95:.0f}</dd></div>"
        f"<div><dt>Answered and drawn</dt><dd><b>{rate:.0f}</b> frames per second</dd></div></dl>"
    )


def class_bars(answer: ClassAnswer) -> str:
    """Bars of the three most probable classes, the others below."""
    lines = [
        f'<div class="row{" first" if place == 0 else ""}">'
        f'<span title="{escape(name, quote=True)}">{escape(name)}</span>'
        f'<div><div class="bar" style="width:{100 * part:.2f}%"></div></div>'
        f'<span class="number">{_percent(part)}</span></div>'
        for place, (name, part) in enumerate(zip(answer.classes, answer.probabilities, strict=True))
    ]
    rest = lines[SHOWN:]
    others = (
        f'<details class="others"><summary>{len(rest)} other class{"es" if len(rest) > 1 else ""}, '
        f"{_percent(sum(answer.probabilities[SHOWN:]))} together</summary>"
        f'<div class="said">{"".join(rest)}</div></details>'
        if rest
        else ""
    )
    return f'<div class="said">{"".join(lines[:SHOWN])}</div>{others}'


def classes(answer: ClassAnswer) -> str:
    """`class_bars`, and what the network saw of the frame."""
    seen = base64.b64encode(answer.seen).decode()
    return (
        f"{class_bars(answer)}"
        f'<div class="seen"><img src="data:image/png;base64,{seen}" alt="What the network saw of the frame">'
        f'<p class="hint">What the network saw of the {answer.width} × {answer.height} pixels. '
        f"{escape(answer.how)}</p></div>"
    )


def _percent(part: float) -> str:
    if part < 0.001:
        return "&lt; 0.1 %"
    return "&gt; 99.9 %" if 0.999 < part < 1 else f"{100 * part:.1f} %"


def _in_mm2(kept: Kept, pixels: int) -> str:
    area = area_mm2(kept, pixels)
    return "" if area is None else f" <b>{area:,.1f}</b> mm²"


def _structures(answer: Answer) -> str:
    """An area each, in the colour of its outline, where there are several."""
    if len(answer.areas_pixels) < 2:
        return ""
    return "".join(
        f'<div><dt><i style="background:rgb{COLOURS[place % len(COLOURS)]}"></i>{escape(name)}</dt>'
        f"<dd><b>{pixels:,}</b> pixels{_in_mm2(answer.kept, pixels)}</dd></div>"
        for place, (name, pixels) in enumerate(answer.areas_pixels.items())
    )


def _time(answer: Answer | ClassAnswer, times: Sequence[float]) -> str:
    steps = " · ".join(f"{step} {value:.0f}" for step, value in answer.milliseconds.items())
    total = f"<div><dt>Time</dt><dd><b>{sum(answer.milliseconds.values()):.0f}</b> ms</dd><dd>{steps}</dd></div>"
    if len(times) < 2:
        return total
    p50, p95 = np.percentile(times, (50, 95))
    return (
        f"{total}<div><dt>Last {len(times)} frames</dt><dd><b>{p50:.0f}</b> ms, 95 % within {p95:.0f}</dd>"
        f"<dd>{1000 / max(float(np.mean(times)), 0.1):.0f} frames per second</dd></div>"
    )


def _scaled(answer: Answer | ClassAnswer) -> str:
    if answer.scaled_range is None:
        return ""
    low, high = answer.scaled_range
    return f'<p class="hint">The frame is deeper than 8 bits: its values {low:g} to {high:g} became 0 to 255.</p>'
