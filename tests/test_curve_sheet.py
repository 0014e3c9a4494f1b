"""Learning curves of many cells as small multiples, by their numbers and structure."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.figures import curve_sheet
from dashboard.figures.palette import FOLDS

EPOCHS = 4


def trials(**changes: Any) -> pd.DataFrame:
    """Two strategies at two fractions in two folds."""
    rows = [
        {"id": f"{strategy} {fraction:g} {fold}", "number": 1.0, "strategy": strategy, "fraction": fraction,
         "fold": fold, "seed": 0, "state": "completed", "cut_at": np.nan, "best_epoch": 2.0 + fold}
        for fraction in (5.0, 80.0) for strategy in ("whole network", "block 9") for fold in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**changes)


def epochs_of(trials: pd.DataFrame, number: int = 1) -> pd.DataFrame:
    rows = [
        {"id": name, "number": number, "epoch": epoch, "training_loss": 1 / epoch, "validation_loss": 1.2 / epoch,
         "validation_dice": 1 - 1 / epoch, "seconds": 1.0}
        for name in trials["id"] for epoch in range(1, EPOCHS + 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_table_has_a_row_per_epoch_of_counted_attempts_with_the_best_marked() -> None:
    own = trials()
    table = curve_sheet.curve_sheet_table(pd.concat([epochs_of(own), epochs_of(own, number=2)]), own)
    assert len(table) == 8 * EPOCHS
    assert list(dict.fromkeys(table["fraction"])) == [80, 5]  # most images on top
    assert list(dict.fromkeys(table["strategy"])) == ["whole network", "block 9"]  # as planned
    assert table.groupby("id")["best"].sum().eq(1).all()
    assert set(table.loc[table["best"] & (table["fold"] == 1), "epoch"]) == {3}


def test_trials_without_an_attempt_have_no_curve() -> None:
    own = trials()
    own.loc[0, "number"] = np.nan
    table = curve_sheet.curve_sheet_table(epochs_of(trials()), own)
    assert table["id"].nunique() == 7


def test_every_cell_is_a_panel_with_shared_axes_and_a_colour_per_fold() -> None:
    table = curve_sheet.curve_sheet_table(epochs_of(trials()), trials())
    figure = curve_sheet.curve_sheet(table, show="loss and Dice")
    axes = {(trace.xaxis, trace.yaxis) for trace in figure.data}
    assert len(axes) == 2 * 2 * 2  # strategies, fractions, loss and Dice
    assert len({tuple(axis.range) for axis in figure.select_xaxes()}) == 1
    ranges = [tuple(axis.range) for axis in figure.select_yaxes()]
    assert sorted(set(ranges)) == [(0, 1.02), (0.0, pytest.approx(1.2 * 1.05))]
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert {trace.line.color for trace in lines} == set(FOLDS[:2])
    assert {trace.line.dash for trace in lines if "training" in trace.name} == {"3px,3px"}
    assert {symbol for trace in figure.data if trace.mode == "markers" for symbol in trace.marker.symbol} == {
        "circle", "diamond",
    }  # fmt: skip
    titles = [axis.title.text for axis in figure.select_yaxes() if axis.title.text]
    assert titles == [
        f"<b>{fraction} %</b><br>{what}" for fraction in (80, 5) for what in ("binary cross entropy", "validation Dice")
    ]
    assert {axis.title.text for axis in figure.select_xaxes() if axis.title.text} == {"epoch"}


@pytest.mark.parametrize(("show", "panels"), [("loss", 4), ("validation Dice", 4)])
def test_one_kind_of_curve_can_be_shown_alone(show: str, panels: int) -> None:
    table = curve_sheet.curve_sheet_table(epochs_of(trials()), trials())
    figure = curve_sheet.curve_sheet(table, show=show, loss="cross entropy")
    assert len({trace.yaxis for trace in figure.data}) == panels
    best = [trace for trace in figure.data if trace.mode == "markers"]
    assert len(best) == panels
    assert all(len(trace.x) == 2 for trace in best)


def test_seeds_of_a_fold_are_one_line_that_breaks_between_them() -> None:
    both = pd.concat([trials(), trials(seed=1, id=[f"again {n}" for n in range(8)])])
    figure = curve_sheet.curve_sheet(curve_sheet.curve_sheet_table(epochs_of(both), both), show="validation Dice")
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert len(lines) == 8
    for line in lines:
        assert list(line.x) == [1, 2, 3, 4, 1, 1, 2, 3, 4]
        assert np.isnan(line.y).tolist() == [False] * 4 + [True] + [False] * 4
        assert list(line.customdata) == [0] * 4 + [1] * 5
    assert {line.name for line in lines} == {"fold 0, validation Dice", "fold 1, validation Dice"}
    assert lines[0].hovertemplate.startswith("fold 0, seed %{customdata}, epoch %{x}<br>validation Dice %{y:.4f}")
    kept = next(trace for trace in figure.data if trace.mode == "markers")
    assert kept.hovertemplate.startswith("fold %{customdata[0]}, seed %{customdata[2]}<br>kept")
    one = curve_sheet.curve_sheet(curve_sheet.curve_sheet_table(epochs_of(trials()), trials()))
    assert not any("seed" in trace.hovertemplate for trace in one.data)


def test_however_many_seeds_the_number_of_traces_is_the_same() -> None:
    def traces(seeds: int) -> int:
        every = pd.concat([trials(seed=seed, id=[f"{seed} {n}" for n in range(8)]) for seed in range(seeds)])
        return len(curve_sheet.curve_sheet(curve_sheet.curve_sheet_table(epochs_of(every), every)).data)

    assert traces(1) == traces(20) == 4 * (2 * 2 + 1 + 2 + 1)


def test_panels_stand_in_rows_and_columns_that_do_not_overlap() -> None:
    figure = curve_sheet.curve_sheet(curve_sheet.curve_sheet_table(epochs_of(trials()), trials()))
    across = [axis.domain for axis in figure.select_xaxes()]
    down = [axis.domain for axis in figure.select_yaxes()]
    assert across[:2] * 4 == across
    assert across[0][0] == 0
    assert across[0][1] < across[1][0] < across[1][1] == 1
    assert down[0] == down[1]
    assert down[0][1] == 1
    assert all(upper[0] > lower[1] for upper, lower in zip(down[:-2:2], down[2::2], strict=True))
    assert down[-1][0] == pytest.approx(0)
    assert {axis.matches for axis in figure.select_xaxes()} == {None, "x"}
    assert [axis.anchor for axis in figure.select_xaxes()] == ["y", *(f"y{number}" for number in range(2, 9))]
    assert [axis.showticklabels for axis in figure.select_xaxes()] == [False] * 6 + [True] * 2
    assert [note.text for note in figure.layout.annotations] == ["whole network", "block 9"]
    assert [note.x for note in figure.layout.annotations] == [pytest.approx(sum(place) / 2) for place in across[:2]]


def test_panels_tell_which_trainings_were_cut_or_failed() -> None:
    own = trials()
    own.loc[own["id"] == "block 9 80 1", ["cut_at", "state"]] = [4.0, "completed"]
    own.loc[own["id"] == "whole network 5 0", "state"] = "not_converged"
    table = curve_sheet.curve_sheet_table(epochs_of(own), own)
    told = {
        name: curve_sheet.endings(part)
        for name, part in table.groupby(["fraction", "strategy"])
        if curve_sheet.endings(part)
    }
    assert told == {(80, "block 9"): "cut at 4 (1 of 2)", (5, "whole network"): "1 of 2 failed"}
    words = [note.text for note in curve_sheet.curve_sheet(table).layout.annotations]
    assert words.count("cut at 4 (1 of 2)") == 1
    assert words.count("1 of 2 failed") == 1


def test_a_loss_that_exploded_hides_no_other_curve_and_is_counted() -> None:
    table = curve_sheet.curve_sheet_table(epochs_of(trials()), trials())
    table.loc[0, "training_loss"] = 1e6
    table.loc[1, "validation_loss"] = np.nan
    low, high, above = curve_sheet.loss_range(table)
    assert low == 0
    assert high < 10
    assert above == 2
    assert curve_sheet.loss_range(table.assign(training_loss=np.nan, validation_loss=np.nan))[:2] == (0, 1)


def test_without_epochs_the_sheet_says_so() -> None:
    table = curve_sheet.curve_sheet_table(epochs_of(trials()).iloc[:0], trials())
    assert "No training" in curve_sheet.curve_sheet(table, dark=True).layout.annotations[0].text


def test_the_key_names_folds_and_lines() -> None:
    told = curve_sheet.key([0, 3])
    assert FOLDS[3] in told
    assert "▲" in told
    assert "fold 3" in told
    assert "dashed gray" in told
