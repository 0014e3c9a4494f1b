"""Tables of differences, against the reference and of shallow and deep strategies."""

from collections.abc import Callable

import pandas as pd
import pytest

from dashboard.report import comparisons, sheets
from dashboard.report.findings import Findings
from engine.significance import compare


def test_differences_to_the_reference_are_the_engines(read: Callable[[str], Findings]) -> None:
    found = read("three")
    table = comparisons.against_reference(found).set_index(["fraction", "strategy"])
    assert len(table) == 2 * 5
    alone = compare(found.rows[0].images, "contracting", "whole network")
    row = table.loc[(80.0, "contracting")]
    assert (row["difference"], row["low"], row["high"]) == pytest.approx(
        (alone.mean_difference, alone.low, alone.high), abs=1e-12
    )
    assert row["low"] > row["simultaneous_low"]
    assert row["loss"] == pytest.approx(-row["difference"])
    assert pd.isna(table.loc[(80.0, "from scratch"), "bound"])  # no fine-tuning, so no candidate
    assert pd.isna(table.loc[(80.0, "from scratch"), "smallest_difference"])


def test_shallow_and_deep_have_the_papers_own_test_beside_ours(read: Callable[[str], Findings]) -> None:
    found = read("three")
    table = comparisons.shallow_and_deep(found)
    assert list(table["first"].unique()) == ["contracting", "all except block 5"]
    tukey = comparisons.as_published(found).set_index(["fraction", "first", "second"])["p"]
    assert table["p_tukey"].tolist() == [tukey[tuple(row)] for row in table[["fraction", "first", "second"]].to_numpy()]
    assert table["p_holm"].notna().all()


def test_without_a_complete_cell_there_is_nothing_to_compare(read: Callable[[str], Findings]) -> None:
    assert not len(comparisons.against_reference(read("begun")))
    assert not len(comparisons.shallow_and_deep(read("begun")))
    assert not sheets.reference_sheet(read("begun")).parts


def test_a_sheet_has_as_many_entries_in_each_row_as_columns(read: Callable[[str], Findings]) -> None:
    for name in ("three", "two", "starts", "one"):
        found = read(name)
        for make in (
            sheets.table1, sheets.pretrained, sheets.other_measures, sheets.reference_sheet, sheets.shallow_sheet,
        ):  # fmt: skip
            sheet = make(found)
            assert {len(line) for _, lines in sheet.parts for line in lines} <= {len(sheet.columns)}
    assert [line[0] for line in sheets.pretrained(read("starts")).parts[0][1]] == ["natural", "ultrasound"]
    assert "learning rates" in sheets.other_measures(read("two")).columns
    assert "95 % interval" not in sheets.other_measures(read("two")).columns
    assert "95 % interval" in sheets.other_measures(read("three")).columns
