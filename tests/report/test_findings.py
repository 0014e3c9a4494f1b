"""What a report reads of a study."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard.report.findings import Findings, read_findings
from engine.errors import StoreError
from engine.store import Store
from tests.report.conftest import STRATEGIES


def test_a_study_without_a_plan_is_refused_in_words(folder: Path) -> None:
    with pytest.raises(StoreError, match="prepared: nothing is planned yet"):
        read_findings(Store.at(folder / "r"), "prepared")
    with pytest.raises(StoreError, match="no study 'none'"):
        read_findings(Store.at(folder / "r"), "none")


def test_a_rate_that_was_not_tried_is_refused_with_those_that_were(folder: Path) -> None:
    with pytest.raises(StoreError, match=r"no table at the learning rate 0.5; there are: chosen on validation, 0.001"):
        read_findings(Store.at(folder / "r"), "two", rate=0.5)
    assert read_findings(Store.at(folder / "r"), "two", rate=1e-3).rate == 1e-3


def test_test_images_are_of_complete_cells_alone(read: Callable[[str], Findings]) -> None:
    assert not len(read("begun").images)
    assert not read("begun").cells["mean"].notna().any()
    assert len(read("three").images) == 2 * 15 * len(STRATEGIES) - 2 * 5  # without the fold that failed, twice


def test_what_begins_at_random_stands_in_the_rows_of_each_start(read: Callable[[str], Findings]) -> None:
    found = read("starts")
    assert [row.dataset for row in found.rows] == ["SUS (simulated) · natural", "SUS (simulated) · ultrasound"]
    for row in found.rows:
        assert set(row.images["strategy"]) == set(STRATEGIES)
    assert list(found.pretrained["start"]) == ["natural", "ultrasound"]
