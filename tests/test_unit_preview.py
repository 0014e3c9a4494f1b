"""Units ranked before training beside what they reached alone: rows, the sentence, the figure."""

import numpy as np
import pandas as pd
import pytest

from dashboard.figures.unit_preview import (
    NONE_YET,
    alone,
    order_sentence,
    unit_preview,
    unit_preview_table,
)
from engine.architectures import CLASSIFIER_UNITS, UNET_UNITS
from engine.ranking import FoldNorms, GradientNorms
from engine.significance.agreement import order_agreement
from tests.made_cells import made_cells, words_of


def folds(norms: list[list[float]], units: tuple[str, ...] = UNET_UNITS) -> list[FoldNorms]:
    """A fold per list of relative norms, of units whose parameters have the norm 1."""
    return [
        FoldNorms(
            id=str(fold), data="d", start="s", start_weights="w", fraction=80.0, fold=fold, images=4,
            norms=GradientNorms(
                units=units, parameters=(10,) * len(units), squared_parameters=(1.0,) * len(units),
                squared_gradients=(tuple(norm**2 for norm in row),),
            ),
        )
        for fold, row in enumerate(norms)
    ]  # fmt: skip


def rising(fold: int = 0) -> list[float]:
    return [1.0 + place + fold for place in range(10)]


def cells(*names: str, value: float = 0.7) -> pd.DataFrame:
    return made_cells({(name, 80): (value + 0.01 * place, value) for place, name in enumerate(names)})


def test_a_unit_stands_beside_the_strategy_under_which_it_learned_alone() -> None:
    found = alone(["block 1", "5a", "block 9", "blocks 1,2", "from scratch", "auto", "nonsense"], "unet", UNET_UNITS)
    assert found == {("1",): "block 1", ("5a",): "5a", ("9",): "block 9"}
    assert alone(["block 5"], "unet", UNET_UNITS) == {("5a", "5b"): "block 5"}
    assert alone(["stem", "whole network"], "package:build", ("stem", "head")) == {("stem",): "stem"}
    assert alone(["FC8", "first unit"], "caffenet", CLASSIFIER_UNITS["caffenet"]) == {
        ("fc8",): "FC8", ("conv1",): "first unit",
    }  # fmt: skip


def test_gains_are_over_the_untuned_network_fold_by_fold() -> None:
    table = unit_preview_table(folds([rising(), rising(1)]), cells("block 1", "block 9"), [0.5, 0.6]).set_index("unit")
    assert table.loc["1", "gains"] == pytest.approx([0.2, 0.1])
    assert table.loc["1", "gain"] == pytest.approx(0.15)
    assert table.loc["1", "relative"] == pytest.approx(1.5)
    assert table.loc["1", "sd"] == pytest.approx(np.sqrt(0.5))
    assert (table.loc["9", "rank"], table.loc["1", "rank"]) == (1, 10)
    assert table.loc["9", "normalised"] == 1.0
    assert table["mean"].notna().sum() == 2
    assert list(table.index) == list(UNET_UNITS)


def test_without_the_untuned_network_there_is_a_mean_and_no_gain() -> None:
    table = unit_preview_table(folds([rising()]), cells("block 1"))
    assert table["gain"].isna().all()
    assert table["mean"].notna().sum() == 1


def test_block_5_is_one_row_where_only_the_whole_of_it_was_trained() -> None:
    both = unit_preview_table(folds([rising()]), cells("block 5"))
    assert list(both["unit"]) == ["1", "2", "3", "4", "5", "6", "7", "8", "9"]
    five = both.set_index("unit").loc["5"]
    assert five["relative"] == pytest.approx(np.hypot(5.0, 6.0) / np.sqrt(2.0))
    assert five["parameters"] == 20
    halves = unit_preview_table(folds([rising()]), cells("block 5", "5a"))
    assert list(halves["unit"]) == list(UNET_UNITS)


def test_a_cell_that_is_not_complete_says_nothing_yet() -> None:
    table = unit_preview_table(folds([rising()]), cells("block 1").assign(complete=False), [0.5, 0.6])
    assert table["mean"].isna().all()
    assert NONE_YET in words_of(unit_preview(table))


def test_the_figure_has_bars_gains_and_folds() -> None:
    table = unit_preview_table(folds([rising(), rising(1)]), cells("block 1", "block 9"), [0.5, 0.6])
    figure = unit_preview(table, measure="Dice")
    assert [trace.type for trace in figure.data] == ["bar", "scatter", "scatter"]
    assert len(figure.data[1].x) == 4
    assert list(figure.data[2].y) == ["1", "9"]
    assert figure.layout.xaxis2.title.text == "gain in Dice over the untuned network"
    assert list(figure.layout.yaxis.categoryarray) == [*reversed(UNET_UNITS)]
    assert figure.layout.yaxis.type == "category"  # names of units may be numbers
    assert "not ranked yet" in words_of(unit_preview(table.iloc[:0]))


def test_the_sentence_has_the_rank_correlation_with_its_interval_or_the_reason() -> None:
    names = [f"block {block}" for block in (1, 2, 3, 4)]
    ranked = pd.DataFrame({"strategy": names, "mean": [1.0, 2.0, 3.0, 4.0], "sd": 0.1, "folds": 3})
    reached = pd.DataFrame({"strategy": names, "mean": [0.1, 0.2, 0.4, 0.3], "sd": 0.01, "folds": 3})
    said = order_sentence(order_agreement(reached, ranked), "Dice")
    assert "**0.67**" in said  # one of six pairs is the other way round: (5 - 1) / 6
    assert "95 % interval" in said
    assert "over 4 units" in said
    few = order_sentence(order_agreement(reached.iloc[:3], ranked), "Dice")
    assert few == "No rank correlation: 3 strategies in both; it takes 4 to compare orders."
