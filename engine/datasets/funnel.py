"""Which images of a folder are used: steps that keep or drop rows by their columns, and how many each leaves.

Cheng and Malhi 2017 took 5,518 of 9,298 images so: no Doppler, no annotations, anatomy that can be recognised.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engine.datasets.listing import Entry, Listing, Stage, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Step:
    """Keep or drop the images whose column holds one of some values."""

    column: str
    """A column of the listing."""
    values: tuple[str, ...]
    option: Literal["where", "keep", "drop"] = "where"
    """What the user wrote; `where` and `keep` do the same."""

    def keeps(self, entry: Entry) -> bool:
        """Whether the image stays."""
        return (entry.value(self.column) in self.values) != (self.option == "drop")

    def __str__(self) -> str:
        return f"{self.option} {self.column} = {' or '.join(value or 'empty' for value in self.values)}"


def steps_of(where: Mapping[str, Sequence[str]] | None) -> tuple[Step, ...]:
    """The steps of a study file's `where`, whose values may be a single text."""
    return tuple(
        Step(column=column, values=(values,) if isinstance(values, str) else tuple(values))
        for column, values in (where or {}).items()
    )


def narrow(listing: Listing, steps: Sequence[Step], label: str) -> Listing:
    """The listing with only those entries that every step leaves, and its funnel: a stage per step.

    `label` is the column of the class. An unknown column, or a value that no image has, becomes a problem.
    """
    if not steps:
        return listing
    problems = list(listing.problems)
    entries = listing.entries
    stages = [_stage("in the folder", entries, len(entries), label, listing)]
    for step in steps:
        if step.column not in listing.columns:
            problems.append(
                f"{step.option}: unknown column '{step.column}'{did_you_mean(step.column, listing.columns)}"
            )
            continue
        present = sorted({entry.value(step.column) for entry in listing.entries})
        problems.extend(
            f"{step.option}: no image has {step.column} '{value}'{did_you_mean(value, present)}"
            for value in step.values
            if value not in present
        )
        before = len(entries)
        entries = tuple(entry for entry in entries if step.keeps(entry))
        stages.append(_stage(str(step), entries, before, label, listing))
    if listing.entries and not entries and len(problems) == len(listing.problems):
        options = " and ".join(dict.fromkeys(step.option for step in steps))
        columns = ", ".join(dict.fromkeys(step.column for step in steps))
        problems.append(f"{options}: no image fits the conditions on {columns} together; name fewer")
    where = _as_where(listing, [step for step in steps if step.column in listing.columns])
    return replace(listing, entries=entries, problems=tuple(problems), funnel=tuple(stages), where=where)


def _as_where(listing: Listing, steps: Sequence[Step]) -> dict[str, tuple[str, ...]]:
    """Of each column the values that the steps leave, whatever the other columns say."""
    wanted: dict[str, tuple[str, ...]] = {}
    for column in dict.fromkeys(step.column for step in steps):
        own = [step for step in steps if step.column == column]
        kept = {entry.value(column) for entry in listing.entries if all(step.keeps(entry) for step in own)}
        wanted[column] = tuple(sorted(kept))
    return wanted


def _stage(step: str, entries: Sequence[Entry], before: int, label: str, listing: Listing) -> Stage:
    counted = Counter(entry.value(label) for entry in entries) if label in listing.columns else Counter[str]()
    classes = {name: counted[name] for name in sorted(counted)}
    return Stage(step=step, left=len(entries), removed=before - len(entries), classes=classes)
