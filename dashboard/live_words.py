"""What the Live program says of an answer, as HTML."""

import base64
from html import escape

from dashboard.inference_messages import Answer, ClassAnswer
from engine.errors import WhichLayersError
from engine.trial import Task

SHOWN = 3
"""Classes that stand above the others."""
ALWAYS_ONE = "A network names one of its classes for every frame, also for a frame that is of none of them."


def hint(task: Task = "segmentation") -> str:
    """What to do before there is a frame."""
    what = "the outline appears" if task == "segmentation" else "its most probable classes appear"
    return f'<p class="hint">Drop a frame, paste one, or take a picture: {what} beside it.</p>'


def problem(error: WhichLayersError) -> str:
    """Why there is no answer, a line each."""
    lines = "<br>".join(escape(line[:1].upper() + line[1:]) for line in error.problems)
    return f'<p class="problem" role="alert">{lines}</p>'


def figures(answer: Answer) -> str:
    """Area of the structure and times."""
    percent = 100 * answer.area_pixels / (answer.height * answer.width)
    note = "" if answer.area_pixels else '<p class="hint">The network sees no structure in this frame.</p>'
    return (
        '<dl class="figures">'
        f"<div><dt>Area</dt><dd><b>{answer.area_pixels:,}</b> pixels</dd>"
        f"<dd>{percent:.1f} % of {answer.width} × {answer.height}</dd></div>"
        f"{_time(answer)}</dl>{note}{_scaled(answer)}"
    )


def class_figures(answer: ClassAnswer) -> str:
    """The most probable class and times."""
    return (
        '<dl class="figures">'
        f"<div><dt>Most probable</dt><dd><b>{escape(answer.classes[0])}</b> {_percent(answer.probabilities[0])}</dd>"
        f"<dd>of {len(answer.classes)} classes</dd></div>"
        f'{_time(answer)}</dl><p class="hint">{ALWAYS_ONE}</p>{_scaled(answer)}'
    )


def classes(answer: ClassAnswer) -> str:
    """Bars of the three most probable classes, the others below, and what the network saw of the frame."""
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
    seen = base64.b64encode(answer.seen).decode()
    return (
        f'<div class="said">{"".join(lines[:SHOWN])}</div>{others}'
        f'<div class="seen"><img src="data:image/png;base64,{seen}" alt="What the network saw of the frame">'
        f'<p class="hint">What the network saw of the {answer.width} × {answer.height} pixels. '
        f"{escape(answer.how)}</p></div>"
    )


def _percent(part: float) -> str:
    if part < 0.001:
        return "&lt; 0.1 %"
    return "&gt; 99.9 %" if 0.999 < part < 1 else f"{100 * part:.1f} %"


def _time(answer: Answer | ClassAnswer) -> str:
    steps = " · ".join(f"{step} {value:.0f}" for step, value in answer.milliseconds.items())
    return f"<div><dt>Time</dt><dd><b>{sum(answer.milliseconds.values()):.0f}</b> ms</dd><dd>{steps}</dd></div>"


def _scaled(answer: Answer | ClassAnswer) -> str:
    if answer.scaled_range is None:
        return ""
    low, high = answer.scaled_range
    return f'<p class="hint">The frame is deeper than 8 bits: its values {low:g} to {high:g} became 0 to 255.</p>'
