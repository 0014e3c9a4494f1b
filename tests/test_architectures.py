"""Units, strategies and counts of the networks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.architectures import (
    EXTRA,
    STRATEGIES,
    UNET_CONVOLUTIONS,
    UNET_STRATEGIES,
    UNET_UNITS,
    Strategy,
    output_channels,
    parse_strategy,
    strategy_table,
    trainable_parameters,
    unet_convolutions,
    unet_parameters,
)
from engine.errors import StrategyError
from engine.published import strategies as published_strategies

CONVOLUTIONS = tuple(name for names in UNET_CONVOLUTIONS.values() for name in names)
OWN = ("stem", "body", "up-1", "head")


def test_counts_at_width_64_are_the_exact_ones_in_the_papers_order() -> None:
    published = published_strategies()
    ours = strategy_table("unet", 64)[:13]
    assert [row["strategy"] for row in ours] == list(published["strategy"])
    assert [row["trainable_parameters"] for row in ours] == list(published["parameters_exact"])
    assert {row["total_parameters"] for row in ours} == {31_030_593}


def test_printed_fractions_agree_to_a_thousandth() -> None:
    published = published_strategies()
    for row, printed in zip(strategy_table("unet", 64)[:13], published["fraction_published"], strict=True):
        assert row["fraction"] == pytest.approx(printed, abs=0.00151)


def test_the_table_ends_with_the_rows_beside_the_papers_counted_where_that_needs_no_torch() -> None:
    rows = {row["strategy"]: row["trainable_parameters"] for row in strategy_table("unet", 64)[13:]}
    assert rows == {
        "gradual unfreezing": 31_030_593,
        # sum of 4 (k k inputs + outputs) over the 22 convolutions larger than 1x1: python -c "d=[1,64,128,256,512,1024]
        # u=[1024,512,256,128,64]; n=sum(9*a+b+9*b+b for a,b in zip(d,d[1:])); print(4*(n+sum(4*a+b+9*a+b+9*b+b
        # for a,b in zip(u,u[1:]))))"
        "LoRA rank 4": 267_812,
        "auto": 31_030_593,
        "smp U-Net": None,
        "smp U-Net, frozen encoder": None,
    }


def test_extra_rows_are_no_part_of_the_papers_thirteen() -> None:
    assert len(STRATEGIES["unet"]) == 13
    assert not set(EXTRA) & set(STRATEGIES["unet"])


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("blocks 1,2,8-9", ("1", "2", "8", "9")),
        ("5a", ("5a",)),
        ("5", ("5a", "5b")),
        ("blocks 4 - 5a", ("4", "5a")),
        ("Contracting", ("1", "2", "3", "4", "5a")),
        ("block 9, 1", ("1", "9")),
        ("convolution 1", ("1.1",)),
        ("convolution 23", ("9.4",)),
        ("convolutions 10-12, 3", ("2.1", "5.2", "6.1", "6.2")),
    ],
)
def test_any_set_of_blocks_or_convolutions_is_a_strategy(text: str, units: tuple[str, ...]) -> None:
    assert parse_strategy(text).units == units


def test_a_set_that_equals_a_named_strategy_takes_its_name() -> None:
    assert parse_strategy("blocks 1-4,6-9").name == "all except block 5"
    assert parse_strategy("blocks 1-9").name == "whole network"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("convolutions 1-2", "block 1"),
        ("convolution 9", "block 5a"),
        ("convolutions 1-9", "contracting"),
        ("convolutions 1-23", "whole network"),
        ("convolutions 1,2,3", "convolutions 1-3"),
    ],
)
def test_convolutions_that_make_up_whole_blocks_are_these_blocks(text: str, name: str) -> None:
    assert parse_strategy(text).name == name
    assert parse_strategy(text) == parse_strategy(name)


def test_the_convolutions_are_23_and_split_the_units() -> None:
    assert len(CONVOLUTIONS) == 2 * 4 + 2 + 3 * 4 + 1 == 23
    assert tuple(UNET_CONVOLUTIONS) == UNET_UNITS
    assert tuple(unet_convolutions(4)) == CONVOLUTIONS


@pytest.mark.parametrize(
    "text",
    [
        *("contractin", "blocks 1,12", "blocks 9-8", "", "blocks", "1-2-3", "1,5.1", "1.1"),
        *("convolution 24", "convolutions 0-3", "convolutions 5-2", "convolutions 1,block 2", "convolutions"),
        *("LoRA", "LoRA rank 0", "LoRA rank four", "LoRA rank 4 on", "LoRA rank 4 on from scratch"),
        *("LoRA rank 4 on gradual unfreezing", "LoRA rank 4 on smp U-Net", "LoRA rank 4 on LoRA rank 4"),
        *("LoRA rank 4 on blocks 12", "LoRA rank 4 on convolution 23", "frozen encoder"),
    ],
)
def test_a_strategy_that_means_nothing_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(StrategyError) as caught:
        parse_strategy(text)
    assert len(caught.value.problems) == 1
    assert "\n" not in caught.value.problems[0]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("contractin", "contracting"),
        ("frozen encoder", "smp U-Net, frozen encoder"),
        ("gradual unfreeze", "gradual unfreezing"),
    ],
)
def test_a_misspelt_name_brings_the_right_one(text: str, meant: str) -> None:
    with pytest.raises(StrategyError, match=f"did you mean '{meant}'"):
        parse_strategy(text)


@given(st.sets(st.sampled_from(UNET_UNITS), min_size=1))
def test_a_strategys_name_means_the_same_strategy(units: set[str]) -> None:
    strategy = parse_strategy(",".join(units))
    assert parse_strategy(strategy.name) == strategy
    assert set(strategy.units) == units


@given(st.sets(st.integers(1, 23), min_size=1), st.integers(1, 64))
def test_so_do_the_names_of_convolutions_and_of_adapters_on_them(numbers: set[int], rank: int) -> None:
    text = f"convolutions {','.join(map(str, numbers))}"
    strategy = parse_strategy(text)
    assert parse_strategy(strategy.name) == strategy
    assert {name for unit in strategy.units for name in UNET_CONVOLUTIONS.get(unit, (unit,))} == {
        CONVOLUTIONS[number - 1] for number in numbers
    }
    if numbers != {23}:
        adapted = parse_strategy(f"LoRA rank {rank} on {text}")
        assert parse_strategy(adapted.name) == adapted
        assert (adapted.units, adapted.method, adapted.rank) == (strategy.units, "LoRA", rank)


def test_the_rows_beside_the_papers_say_how_they_learn_and_from_what() -> None:
    assert parse_strategy("lora 8 on blocks 1-4,5a") == Strategy(
        name="LoRA rank 8 on contracting", units=UNET_STRATEGIES["contracting"].units, method="LoRA", rank=8
    )
    assert parse_strategy("Gradual Unfreezing").method == "gradual unfreezing"
    frozen = parse_strategy("SMP U-Net, frozen encoder")
    assert (frozen.network, frozen.start, frozen.units) == ("smp", "encoder", ("decoder", "head"))


@given(st.integers(1, 96), st.integers(1, 3))
def test_the_halves_of_both_schemes_partition_the_network(width: int, classes: int) -> None:
    counts = unet_parameters(width, classes=output_channels(classes))
    for first, second in [
        ("contracting", "expanding"),
        ("all except block 5", "block 5"),
        ("blocks 1,2,8,9", "blocks 3-7"),
    ]:
        units = UNET_STRATEGIES[first].units + UNET_STRATEGIES[second].units
        assert sorted(units) == sorted(UNET_UNITS)
        assert sum(counts[unit] for unit in units) == sum(counts.values())
        assert sum(
            trainable_parameters(UNET_STRATEGIES[name], "unet", width, classes=classes) for name in (first, second)
        ) == sum(counts.values())


def test_several_structures_have_a_channel_of_background() -> None:
    assert [output_channels(classes) for classes in (1, 2, 3)] == [1, 3, 4]


def test_networks_that_only_torch_can_count_say_so() -> None:
    with pytest.raises(StrategyError, match="counted when it is built"):
        trainable_parameters(EXTRA["smp U-Net"], "unet", 16)
    with pytest.raises(StrategyError, match="unknown model 'mine:build'"):
        trainable_parameters(parse_strategy("whole network", "mine:build", OWN), "mine:build", 16)


@pytest.mark.parametrize(
    ("text", "units", "name"),
    [
        ("whole network", OWN, "whole network"),
        ("stem-head", OWN, "whole network"),
        ("stem", ("stem",), "unit stem"),
        ("head, stem", ("stem", "head"), "units stem,head"),
        ("stem-up-1", ("stem", "body", "up-1"), "units stem,body,up-1"),
        ("units up-1-head", ("up-1", "head"), "units up-1,head"),
        ("gradual unfreezing", OWN, "gradual unfreezing"),
        ("LoRA rank 2 on body", ("body",), "LoRA rank 2 on unit body"),
    ],
)
def test_another_networks_units_are_named_as_its_user_names_them(text: str, units: tuple[str, ...], name: str) -> None:
    strategy = parse_strategy(text, "mine:build", OWN)
    assert (strategy.units, strategy.name) == (units, name)
    assert parse_strategy(name, "mine:build", OWN) == strategy


def test_from_scratch_begins_another_network_at_random() -> None:
    assert parse_strategy("from scratch", "mine:build", OWN).start == "random"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("stm", "unknown strategy 'stm'; did you mean 'stem'?"),
        ("contracting", "or any set of units such as 'units stem,body' of stem, body, up-1, head"),
        ("head-stem", "the range 'head-stem' runs backwards; write the shallower unit first"),
        ("convolution 1", "unknown strategy 'convolution 1'"),
    ],
)
def test_another_networks_unknown_units_bring_the_known_ones(text: str, line: str) -> None:
    with pytest.raises(StrategyError) as caught:
        parse_strategy(text, "mine:build", OWN)
    assert line in caught.value.problems[0]


def test_a_units_name_with_a_comma_is_refused() -> None:
    with pytest.raises(StrategyError, match="unit 'a,b' has a comma"):
        parse_strategy("a,b", "mine:build", ("a,b", "c"))


def test_units_that_are_not_known_yet_leave_the_text_for_later() -> None:
    assert parse_strategy("stem-body", "mine:build") == Strategy(name="stem-body", units=())
