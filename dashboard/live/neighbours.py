"""What the Live page tells of a frame among the training images, as HTML."""

import base64
from html import escape

import numpy as np

from dashboard.inference.messages import NeighboursAnswer, Preparing

SIDE = 220
"""Of the map, in pixels."""
EDGE = 10


def preparing(now: Preparing) -> str:
    """How far the look at the training images is."""
    return f'<p class="hint">Looking at the training images: {100 * now.part:.0f} % …</p>'


def words(answer: NeighboursAnswer) -> str:
    """The warning where there is one, the nearest training images, and the map."""
    pictures = "".join(
        f'<figure><img src="data:image/png;base64,{base64.b64encode(one.picture).decode()}" '
        f'alt="Training image {escape(one.name, quote=True)}"><figcaption title="{escape(one.name, quote=True)}">'
        f"{escape(one.name.rsplit('/', 1)[-1])}<br>{one.distance:.2f}</figcaption></figure>"
        for one in answer.nearest
    )
    return (
        f'{_likeness(answer)}<div class="neighbours">{_map(answer)}<div class="pictures">{pictures}</div></div>'
        '<p class="hint">The nearest training images by what the deepest layer makes of them, with their distance '
        "(0 the same, 2 the farthest), as the network sees them; right, all of them on a map, with this frame.</p>"
    )


def warning(answer: NeighboursAnswer) -> str:
    """What stands beside an answer by itself: the warning, or nothing."""
    return _likeness(answer) if answer.unlike else ""


def _likeness(answer: NeighboursAnswer) -> str:
    whom = "training images from the others" if answer.from_training else "validation images"
    by_network, by_look = answer.distance > answer.threshold, answer.look > answer.look_threshold
    facts = (
        f"By what the network makes of it: distance {answer.distance:.2f}, threshold {answer.threshold:.2f}. "
        f"By its look (brightness, speckle and edges at each scale): {answer.look:.1f}, threshold "
        f"{answer.look_threshold:.1f}. Both thresholds together warn of {answer.warned} of the {answer.asked} {whom} "
        f"({_percent(answer.warned / answer.asked)}) that they were chosen from; of others like them, expect false "
        f"warnings of {_percent(answer.left_out)} (each left out of the choice in turn)."
    )
    if answer.unlike:
        ways = [way for way, so in (("what the network makes of it", by_network), ("its look", by_look)) if so]
        return (
            '<p class="problem" role="alert"><b>This frame is unlike anything that this network was trained on</b>, by '
            f"{' and by '.join(ways)}. Do not trust what it says of it.<br>{facts}</p>"
        )
    return f'<p class="hint">Nothing unusual; that is no proof that the network is right.<br>{facts}</p>'


def _percent(part: float) -> str:
    return f"{100 * part:.2g} %"


def _map(answer: NeighboursAnswer) -> str:
    every = np.concatenate([answer.places, np.asarray([answer.place], np.float32)])
    low, high = every.min(axis=0), every.max(axis=0)
    scale = (SIDE - 2 * EDGE) / max(float((high - low).max()), 1e-6)
    points = (every - low) * scale + EDGE
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in points[:-1])
    x, y = points[-1]
    return (
        f'<svg viewBox="0 0 {SIDE} {SIDE}" width="{SIDE}" height="{SIDE}" role="img" '
        f'aria-label="This frame among {len(answer.places)} training images">{dots}'
        f'<circle class="here" cx="{x:.1f}" cy="{y:.1f}" r="6"/></svg>'
    )
