"""Units, strategies and counts of the networks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.architectures import UNET_STRATEGIES, UNET_UNITS, parse_strategy, strategy_table, unet_parameters
from engine.errors import StrategyError
from engine.published import strategies as published_strategies


def test_counts_at_width_64_are_the_exact_ones_in_the_papers_order() -> None:
    published = published_strategies()
    ours = strategy_table("unet", 64)
    assert [row["strategy"] for row in ours] == list(published["strategy"])
    assert [row["trainable_parameters"] for row in ours] == list(published["parameters_exact"])
    assert {row["total_parameters"] for row in ours} == {31_030_593}


def test_printed_fractions_agree_to_a_thousandth() -> None:
    published = published_strategies()
    for row, printed in zip(strategy_table("unet", 64), published["fraction_published"], strict=True):
        assert float(row["fraction"]) == pytest.approx(printed, abs=0.00151)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("blocks 1,2,8-9", ("1", "2", "8", "9")),
        ("5a", ("5a",)),
        ("5", ("5a", "5b")),
        ("blocks 4 - 5a", ("4", "5a")),
        ("Contracting", ("1", "2", "3", "4", "5a")),
        ("block 9, 1", ("1", "9")),
    ],
)
def test_any_set_of_blocks_is_a_strategy(text: str, units: tuple[str, ...]) -> None:
    assert parse_strategy(text).units == units


def test_a_set_that_equals_a_named_strategy_takes_its_name() -> None:
    assert parse_strategy("blocks 1-4,6-9").name == "all except block 5"
    assert parse_strategy("blocks 1-9").name == "whole network"


@pytest.mark.parametrize("text", ["contractin", "blocks 1,12", "blocks 9-8", "", "blocks", "1-2-3"])
def test_a_strategy_that_means_nothing_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(StrategyError) as caught:
        parse_strategy(text)
    assert len(caught.value.problems) == 1
    assert "\n" not in caught.value.problems[0]


def test_a_misspelt_name_brings_the_right_one() -> None:
    with pytest.raises(StrategyError, match="did you mean 'contracting'"):
        parse_strategy("contractin")


@given(st.sets(st.sampled_from(UNET_UNITS), min_size=1))
def test_a_strategys_name_means_the_same_strategy(units: set[str]) -> None:
    strategy = parse_strategy(",".join(units))
    assert parse_strategy(strategy.name) == strategy
    assert set(strategy.units) == units


@given(st.integers(1, 96))
def test_the_halves_of_both_schemes_partition_the_network(width: int) -> None:
    counts = unet_parameters(width)
    for first, second in [
        ("contracting", "expanding"),
        ("all except block 5", "block 5"),
        ("blocks 1,2,8,9", "blocks 3-7"),
    ]:
        units = UNET_STRATEGIES[first].units + UNET_STRATEGIES[second].units
        assert sorted(units) == sorted(UNET_UNITS)
        assert sum(counts[unit] for unit in units) == sum(counts.values())
