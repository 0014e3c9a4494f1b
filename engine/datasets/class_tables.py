"""Tables to read of classes, scanners and the funnel, for the report of `whichlayers check`."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from engine.datasets.class_findings import ClassFound, ScannerFound
from engine.datasets.listing import Stage

MOST_ROWS = 30
"""Classes that are shown at most; `--json` holds all."""
MOST_COLUMNS = 8
"""Scanners, sets or classes that have columns of their own at most."""


def funnel_table(stages: Sequence[Stage]) -> Table:
    """A row per step: images left and removed, and those left of each class where there are few classes."""
    table = Table(box=box.SIMPLE_HEAD)
    classes = sorted({name for stage in stages for name in stage.classes} - {""})
    shown = classes if len(classes) <= MOST_COLUMNS else []
    table.add_column("step")
    for name in ("left", "removed", *shown):
        table.add_column(Text(name), justify="right")
    for place, stage in enumerate(stages):
        table.add_row(
            Text(stage.step),
            f"{stage.left:,}",
            f"{stage.removed:,}" if place else "",
            *(f"{stage.classes.get(name, 0):,}" for name in shown),
        )
    return table


def class_table(found: Sequence[ClassFound]) -> Table:
    """A row per class: images, groups, and images per scanner and per set of the data's authors."""
    table = Table(box=box.SIMPLE_HEAD)
    scanners = _columns([name for one in found for name in one.scanners])
    splits = _columns([name for one in found for name in one.splits])
    table.add_column("class")
    further = [*(name or "no scanner" for name in scanners), *(name or "no set" for name in splits)]
    for name in ("images", "groups", *further):
        table.add_column(Text(name), justify="right")
    for one in found[:MOST_ROWS]:
        table.add_row(
            Text(one.name),
            f"{one.images:,}",
            f"{one.groups:,}" if one.groups else "unknown",
            *(f"{one.scanners.get(name, 0):,}" for name in scanners),
            *(f"{one.splits.get(name, 0):,}" for name in splits),
        )
    if len(found) > MOST_ROWS:
        rest = found[MOST_ROWS:]
        sizes = {one.images for one in rest}
        of = f"{min(sizes)} to {max(sizes)} images each" if len(sizes) > 1 else f"{min(sizes)} images each"
        table.add_row(Text(f"{len(rest)} more, {of}", style="dim"), f"{sum(one.images for one in rest):,}")
    return table


def scanner_table(found: Sequence[ScannerFound]) -> Table:
    """A row per scanner: images, groups, classes, and the side of the largest square that fits into all its images."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("scanner")
    for name in ("images", "groups", "classes", "largest square"):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            Text(one.name or "(unknown)"),
            f"{one.images:,}",
            f"{one.groups:,}" if one.groups else "unknown",
            str(one.classes),
            f"{one.smallest_side} px",
        )
    return table


def _columns(names: Sequence[str]) -> list[str]:
    """The values that get columns: two or more, of which one at least is known, and not too many."""
    distinct = sorted(set(names))
    return distinct if 2 <= len(distinct) <= MOST_COLUMNS else []
