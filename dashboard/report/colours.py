"""Colours of Table II's cells in steps, for what has no colour scale of its own: style sheets and LaTeX."""

from collections.abc import Sequence

STEPS = 21
"""From the worst of a row to its best."""


def step(level: float) -> int:
    """The step of a level from 0 (worst) to 1 (best)."""
    return round(min(max(level, 0.0), 1.0) * (STEPS - 1))


def step_colours(scale: Sequence[str], steps: int = STEPS) -> list[str]:
    """`steps` colours as #rrggbb, evenly along the scale, ends included."""
    stops = [tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5)) for colour in scale]
    found = []
    for number in range(steps):
        along = number / (steps - 1) * (len(stops) - 1)
        low = min(int(along), len(stops) - 2)
        part = along - low
        mixed = (round(a + part * (b - a)) for a, b in zip(stops[low], stops[low + 1], strict=True))
        found.append("#" + "".join(f"{value:02x}" for value in mixed))
    return found
