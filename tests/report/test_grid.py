"""Table II of a report: means, marks and colours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.figures.measures import DICE, MEASURES
from dashboard.report.colours import STEPS
from dashboard.report.findings import Findings, read_findings
from dashboard.report.grid import Cell, grid
from dashboard.report.page import published_rows
from tests.made_store import made_store


def cells_of(found: Findings, **options: Any) -> dict[tuple[str, str, str], Cell]:
    """Cells of the grid by data set, fraction and strategy."""
    table = grid(found, **options)
    return {
        (group.dataset, line.fraction, name): cell
        for group in table.groups
        for line in group.lines
        for name, cell in zip(table.strategies, line.cells, strict=True)
    }


def test_a_cell_has_its_mean_sd_colour_and_marks(read: Callable[[str], Findings]) -> None:
    found = read("three")
    cells = cells_of(found)
    known = found.cells.set_index(["fraction", "strategy"])
    for (_, fraction, name), cell in cells.items():
        row = known.loc[float(fraction.removesuffix(" %")), name]
        assert (cell.mean, cell.sd) == (f"{row['mean']:.3f}", f"({row['sd']:.3f})")
        assert (cell.failed, cell.collapsed) == (name == "from scratch", name == "block 5")
    at_80 = {name: cell for (_, fraction, name), cell in cells.items() if fraction == "80 %"}
    means = known.loc[80.0, "mean"]
    assert (at_80[means.idxmax()].step, at_80[means.idxmin()].step) == (STEPS - 1, 0)
    assert at_80[means.idxmax()].best
    notes = " ".join(grid(found).notes)
    assert "†: some trainings failed" in notes
    assert "‡: some trainings collapsed" in notes


def test_a_cell_that_is_not_complete_shows_its_folds_and_no_colour(read: Callable[[str], Findings]) -> None:
    cells = cells_of(read("begun"))
    shown = {name: cell.mean for (_, _, name), cell in cells.items()}
    assert shown["whole network"] == "2/3"
    assert set(shown.values()) == {"1/3", "2/3"}
    assert not any(cell.known or cell.best or cell.step is not None for cell in cells.values())
    assert "folds done" in " ".join(grid(read("begun")).notes)


def test_one_fold_has_a_mean_and_no_standard_deviation(read: Callable[[str], Findings]) -> None:
    assert {cell.sd for cell in cells_of(read("one")).values()} == {""}


def test_published_rows_stand_below_and_only_the_fractions_asked_for_are_shown(read: Callable[[str], Findings]) -> None:
    found = read("three")
    table = grid(found, published_rows(found), fractions=(80.0,))
    assert [(group.published, [line.fraction for line in group.lines]) for group in table.groups] == [
        (False, ["80 %"]), (True, ["80 %"]),
    ]  # fmt: skip
    assert table.has_published
    assert table.groups[1].lines[0].cells[0].mean == "0.834"  # Amiri et al. 2020, Table II, SUS 80 %, whole network


def test_of_a_distance_the_lowest_is_best(read: Callable[[str], Findings]) -> None:
    found, measure = read("three"), MEASURES["HD95"]
    means = found.cells_of(measure).query("fraction == 80").set_index("strategy")["mean"]
    cells = {name: cell for (_, fraction, name), cell in cells_of(found, measure=measure).items() if fraction == "80 %"}
    assert cells[means.idxmin()].best
    assert cells[means.idxmin()].step == STEPS - 1
    assert grid(found, measure=measure).title == "HD95 (mm)"
    assert found.cells_of(DICE) is found.cells


def test_a_strategy_that_is_not_inferior_is_marked_and_the_recommended_one_framed(folder: Path) -> None:
    store = made_store(
        folder / "same", folder / "c", images=25, image_size=32, folds=(0, 1, 2), fractions=(80,),
        strategies=("whole network", "contracting"),
    )  # fmt: skip
    found = read_findings(store, "made")
    near = np.random.default_rng(0).normal(0.8, 1e-4, len(found.images))
    found.__dict__["images"] = found.images.assign(dice=near)  # every image nearly alike: the loss is next to nothing
    cells = {name: cell for (_, _, name), cell in cells_of(found).items()}
    assert cells["contracting"].not_inferior
    assert cells["contracting"].recommended
    assert not cells["whole network"].recommended
    assert "Framed: recommended." in grid(found).notes
