"""Classes of images to tell apart: which column names them, and what keeps them from being told apart."""

from collections.abc import Sequence
from dataclasses import replace

from engine.datasets.listing import Entry, Listing, did_you_mean, some

LABEL = "label"
"""Column of the class, and in every layout its name."""


def named_by(listing: Listing, label: str) -> Listing:
    """The listing with each image's class taken from the column `label`, and without masks.

    No such column, images without a class, and a single class become problems.
    """
    if label not in listing.columns:
        line = f"label: unknown column '{label}'{did_you_mean(label, listing.columns)}"
        return replace(listing, problems=(*listing.problems, line))
    entries = tuple(replace(entry, label=entry.value(label), masks=()) for entry in listing.entries)
    problems = _problems(entries, label, listing.layout)
    return replace(listing, entries=entries, problems=(*listing.problems, *problems), structures=())


def _problems(entries: Sequence[Entry], label: str, layout: str) -> list[str]:
    if not entries:
        return []
    nameless = [entry.place for entry in entries if not entry.label]
    if len(nameless) == len(entries):
        return [
            f"no image has a class (layout: {layout}); name it in the manifest's column '{label}', or put the images "
            "into a folder per class"
        ]
    problems = []
    if nameless:
        problems.append(
            f"{some(nameless)}: no class in column '{label}'; fill it in, or leave such images out with a `where`"
        )
    known = sorted({entry.label for entry in entries} - {""})
    if len(known) == 1:
        problems.append(f"one class only ('{known[0]}'): classes to tell apart are two or more; take further images")
    return problems
