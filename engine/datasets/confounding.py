"""Whether where an image comes from tells its class, so that a network could learn the one for the other."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import scipy  # scipy.stats loads when it is first used, not with this module

from engine.datasets.listing import Entry, some

MIXED_UP = 0.5
"""Cramér's V from which class and origin are called mixed up (0: independent, 1: one tells the other)."""
ORIGINS = ("scanner", "source", "site", "centre", "center", "hospital", "institution", "device", "machine", "probe")
"""Columns that say where an image comes from, as far as a manifest has them."""
_LONG = 32
"""Letters of a value that are shown at most; some are addresses."""
_FEW = 2
"""Images per value of a column, on average, below which the column names images, not where they come from."""


@dataclass(frozen=True, kw_only=True)
class Association:
    """How far class and a column go together, over the images that name both."""

    column: str
    """Such as `scanner`."""
    strength: float
    """Cramér's V of the table of counts, not corrected for its size; many rare values make it large by themselves."""
    images: int
    """Images that name class and value."""
    values: int
    """Values of the column."""
    one_class: tuple[str, ...]
    """Values of the column with images of a single class."""
    apart: bool
    """False where every class has a single value of the column, so that the two cannot be told apart."""

    @property
    def is_mixed_up(self) -> bool:
        """True where a network could learn the column in place of the class."""
        return self.strength >= MIXED_UP or not self.apart

    @property
    def line(self) -> str:
        """What must be known of it, in one line; "" where there is nothing to say."""
        measured = f"Cramér's V = {self.strength:.2f}, {self.images} images"
        if not self.apart:
            return (
                f"each class occurs with one {self.column} only: class and {self.column} cannot be told apart "
                f"({measured})"
            )
        short = [value if len(value) <= _LONG else f"{value[: _LONG - 1]}…" for value in self.one_class]
        alone = f"{len(short)} of {self.values} show one class only ({some(short)})"
        if self.strength >= MIXED_UP:
            told = f"; {alone}" if self.one_class else ""
            return (
                f"class and {self.column} are mixed up ({measured}): a network may learn the {self.column} in place of "
                f"the class{told}"
            )
        return f"of the values of '{self.column}', {alone} ({measured})" if self.one_class else ""


def associations(entries: Sequence[Entry]) -> tuple[Association, ...]:
    """Of every column that says where images come from, how it goes together with the class.

    Columns with one value, or nearly as many as images, are left out, and so is a single class.
    """
    columns = [name for name in ORIGINS if name == "scanner" or any(name in entry.further for entry in entries)]
    found = []
    for column in columns:
        pairs = pd.DataFrame(
            [(entry.label, _value(entry, column)) for entry in entries], columns=["label", "value"], dtype=str
        )
        known = pairs[(pairs != "").all(axis=1)]
        counts = pd.crosstab(known["label"], known["value"])
        if min(counts.shape) < 2 or len(known) < _FEW * counts.shape[1]:
            continue
        several = counts.gt(0).sum(axis=0)
        found.append(
            Association(
                column=column,
                strength=float(scipy.stats.contingency.association(counts.to_numpy(), method="cramer")),
                images=len(known),
                values=counts.shape[1],
                one_class=tuple(str(value) for value in counts.columns[several == 1]),
                apart=bool((counts.gt(0).sum(axis=1) > 1).any()),
            )
        )
    return tuple(found)


def _value(entry: Entry, column: str) -> str:
    return entry.scanner if column == "scanner" else entry.further.get(column, "")


def by_class(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The images of each class that is known, by its name in order."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.label:
            found[entry.label].append(entry)
    return {label: found[label] for label in sorted(found)}
