"""The region that was chosen on one of several charts, and what each of them is drawn with."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Region:
    """Frames that were chosen, by place in the data set.

    The chart in which they were chosen shows that by itself. It must be drawn as it was before: a chart that is drawn
    anew tells that nothing is chosen in it any more.
    """

    source: str = ""
    """Key of the chart in which they were chosen."""
    frames: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    """What the source was drawn with when they were chosen."""
    cleared: int = 0
    """How often everything was cleared: charts begin anew then."""

    def drawn_with(self, chart: str) -> tuple[int, ...]:
        """The frames that stand out in the chart of this key."""
        return self.before if chart == self.source else self.frames

    def heard(self, chart: str, frames: tuple[int, ...]) -> "Region":
        """The region after a chart told what is chosen in it; that nothing is counts from the source only."""
        if not frames and chart != self.source:
            return self
        return replace(self, source=chart, frames=frames, before=self.drawn_with(chart))

    def clear(self) -> "Region":
        """Nothing is chosen, in no chart."""
        return Region(cleared=self.cleared + 1)
