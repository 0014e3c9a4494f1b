"""The report of `whichlayers check`: what was found in a folder of images, as values and as tables to read."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.datasets.class_findings import ClassFound, ScannerFound
from engine.datasets.class_tables import class_table, funnel_table, scanner_table
from engine.datasets.confounding import Association
from engine.datasets.listing import Stage, some
from engine.datasets.lookalikes import NearDuplicate

SHOWN = 10
"""Rows shown of a long table; `--json` holds all."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Smallest, middle and largest of some numbers."""

    minimum: float
    median: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class StructureFound:
    """One structure that masks outline."""

    name: str
    """Name that pages show."""
    column: str
    """Manifest column of its masks."""
    images: int
    """Images in which it is outlined, by one pixel or more."""
    absent: int
    """Images without a mask of it that have one of another structure."""
    percent: Spread | None
    """Percent of an image's pixels on it, over the images in which it is outlined."""


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What was found in a folder of images."""

    folder: str
    """Name of the folder."""
    layout: str = ""
    """How the files lie; "" where that is unknown."""
    images: int = 0
    """Images found."""
    readable: int = 0
    """Images that could be read, with their masks."""
    classes: Mapping[str, int] = field(default_factory=dict)
    """Images per class; "" where the class is unknown."""
    groups: Mapping[str, int] = field(default_factory=dict)
    """Images per patient, study or clip."""
    scanners: Mapping[str, int] = field(default_factory=dict)
    """Images per scanner."""
    splits: Mapping[str, int] = field(default_factory=dict)
    """Images per set of the data's authors."""
    funnel: tuple[Stage, ...] = ()
    """How many images each step left; none where every image was taken."""
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The `where` of a study file that takes the same images."""
    by_class: tuple[ClassFound, ...] = ()
    """What is known of each class, where classes are looked at."""
    by_scanner: tuple[ScannerFound, ...] = ()
    """What is known of each scanner, where classes are looked at."""
    associations: tuple[Association, ...] = ()
    """How far class and origin go together, by column that says where images come from."""
    caveats: tuple[str, ...] = ()
    """The notes that pages show beside results, where classes are looked at."""
    width: Spread | None = None
    """Widths in pixels."""
    height: Spread | None = None
    """Heights in pixels."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Images per size (`width x height`), most frequent first."""
    masks: int = 0
    """Images that come with a mask."""
    mask_percent: Spread | None = None
    """Percent of an image's pixels on any structure, over images whose mask is not empty."""
    structures: tuple[StructureFound, ...] = ()
    """What is outlined, in the order of class numbers."""
    overlap_images: int = 0
    """Images in which structures overlap."""
    overlap_pixels: int = 0
    """Pixels that several structures claim, over all images."""
    empty_masks: tuple[str, ...] = ()
    """Images with a mask without structure."""
    near_duplicates: tuple[NearDuplicate, ...] = ()
    """Pairs that look alike, those across groups first; at most 1,000."""
    near_duplicate_pairs: int = 0
    """How many such pairs there are."""
    problems: tuple[str, ...] = ()
    """One line per mistake: file, what, remedy."""
    notes: tuple[str, ...] = ()
    """One line per thing that is allowed but should be known."""

    @property
    def exit_code(self) -> int:
        """2 where there are problems, else 0."""
        return 2 if self.problems else 0

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values that `json` can write."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    def render(self, console: Console) -> None:
        """Prints tables that are readable at a glance, then notes, then problems, a line each."""
        _render(self, console)


def _render(report: CheckReport, console: Console) -> None:
    # File names may hold square brackets, which rich would read as markup: everything goes through Text.
    layout = f" · {report.layout}" if report.layout else ""
    console.print(Text(f"{report.folder}{layout} · {report.images} images", style="bold"), soft_wrap=True)
    if report.funnel:
        console.print(funnel_table(report.funnel))
        console.print(Text(f"in a study file: where: {_flow(report.where)}", style="dim"), soft_wrap=True)
    if report.images:
        console.print(_facts(report))
        if report.by_class:
            console.print(class_table(report.by_class))
        if report.by_class and set(report.scanners) - {""}:
            console.print(scanner_table(report.by_scanner))
        for title, counts in (
            ("class", {} if report.by_class else report.classes),
            ("group", report.groups),
            ("scanner", {} if report.by_class else report.scanners),
            ("split", report.splits),
        ):
            if set(counts) - {""}:
                console.print(_count_table(title, counts))
        if len(report.structures) > 1:
            console.print(_structure_table(report))
    if report.near_duplicates:
        console.print(_pair_table(report))
    for line in report.notes:
        console.print(Text(f"note: {line}", style="yellow"), soft_wrap=True)
    for line in report.problems:
        console.print(Text(f"problem: {line}", style="red"), soft_wrap=True)
    count = len(report.problems)
    verdict = "no problems" if not count else f"{count} problem{'s' if count > 1 else ''}"
    console.print(Text(verdict, style="bold red" if count else "bold green"))


def _flow(where: Mapping[str, tuple[str, ...]]) -> str:
    """As YAML writes it in one line, every value in quotes: `{"doppler": ["no"]}`; JSON is YAML."""
    return json.dumps({column: list(values) for column, values in where.items()}, ensure_ascii=False)


def _facts(report: CheckReport) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    named = {group: count for group, count in report.groups.items() if group}
    rows = [
        ("readable", f"{report.readable} of {report.images}"),
        ("classes", str(len(set(report.classes) - {""}) or "unknown")),
        ("groups", f"{len(named)}, of {min(named.values())} to {max(named.values())} images" if named else "unknown"),
        ("scanners", str(len(set(report.scanners) - {""}) or "unknown")),
        ("width", _spread_text(report.width, "px")),
        ("height", _spread_text(report.height, "px")),
        ("sizes", some([f"{size} ({count})" for size, count in report.sizes.items()])),
    ]
    if not report.by_class:
        rows.append(("masks", f"{report.masks} of {report.images}"))
    if report.masks:
        rows.append(("mask covers", _spread_text(report.mask_percent, "%")))
        rows.append(("empty masks", str(len(report.empty_masks))))
    for name, value in rows:
        table.add_row(Text(name, style="dim"), Text(value))
    return table


def _spread_text(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return "none"
    digits = ".1f" if unit == "%" else "g"
    numbers = [format(value, digits) for value in (spread.minimum, spread.median, spread.maximum)]
    return f"{numbers[0]} to {numbers[2]} {unit}, median {numbers[1]}"


def _count_table(title: str, counts: Mapping[str, int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(title)
    table.add_column("images", justify="right")
    largest = sorted(counts.items(), key=lambda item: -item[1]) if len(counts) > SHOWN else list(counts.items())
    for value, count in largest[:SHOWN]:
        table.add_row(Text(value or "(unknown)"), str(count))
    if len(counts) > SHOWN:
        table.add_row(Text(f"{len(counts) - SHOWN} more", style="dim"), str(sum(n for _, n in largest[SHOWN:])))
    return table


def _structure_table(report: CheckReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("structure")
    table.add_column("column")
    table.add_column("images", justify="right")
    table.add_column("absent", justify="right")
    table.add_column("covers")
    for number, found in enumerate(report.structures, start=1):
        table.add_row(
            Text(f"{number} {found.name}"),
            Text(found.column),
            str(found.images),
            str(found.absent),
            _spread_text(found.percent, "%"),
        )
    return table


def _pair_table(report: CheckReport) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, title=f"{report.near_duplicate_pairs} near-duplicate pairs", title_justify="left"
    )
    table.add_column("image")
    table.add_column("looks like")
    table.add_column("bits of 64", justify="right")
    table.add_column("groups")
    for pair in report.near_duplicates[:SHOWN]:
        across = Text("different: leaks", style="red") if pair.across_groups else Text("same or unknown", style="dim")
        table.add_row(Text(pair.first), Text(pair.second), str(pair.bits), across)
    return table
