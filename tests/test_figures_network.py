"""Fig. 1: which blocks learn, with which parameters; the drawing by its structure, its looks are checked by eye."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.figures import network, u_shape
from engine import published
from engine.architectures import STRATEGIES, UNET_UNITS, Strategy, parse_strategy, trainable_parameters
from tests.made_store import made_trials

PAPER = list(STRATEGIES["unet"].values())


def table_of(*names: str, width: int = 16, image_size: int = 128, **more: Any) -> pd.DataFrame:
    return network.network_table([parse_strategy(name) for name in names], width=width, image_size=image_size, **more)


def test_parameters_that_learn_are_those_of_table_2() -> None:
    table = network.network_table(PAPER, width=published.WIDTH, image_size=published.IMAGE_SIZE)
    told = table.drop_duplicates("strategy").set_index("strategy")["trainable"]
    summed = table[table["state"] == "learns"].groupby("strategy")["parameters"].sum()
    for row in published.strategies().to_dict("records"):
        assert told[row["strategy"]] == summed[row["strategy"]] == row["parameters_exact"]
    assert set(table["total"]) == {31_030_593}


def test_contracting_ends_within_block_5() -> None:
    table = table_of("contracting").drop_duplicates("unit").set_index("unit")["state"]
    assert list(table.index[table == "learns"]) == ["1", "2", "3", "4", "5a"]
    assert set(table) == {"learns", "frozen"}


def test_filters_grow_and_sides_shrink_with_the_studys_width_and_size() -> None:
    table = table_of("block 1", width=16, image_size=128).drop_duplicates("unit").set_index("unit")
    assert list(zip(table["filters"], table["side"], strict=True)) == [
        (16, 128), (32, 64), (64, 32), (128, 16), (256, 8), (256, 8), (128, 16), (64, 32), (32, 64), (16, 128),
    ]  # fmt: skip


def test_convolutions_of_a_block_may_differ() -> None:
    table = table_of("convolutions 1-5").set_index("part")["state"]
    assert list(table.index[table == "learns"]) == ["1.1", "1.2", "2.1", "2.2", "3.1"]
    pieces = u_shape.pieces_of(table_of("convolutions 1-5"), (0.0, 1.0, 0.0, 1.0))
    third = [(piece.label, piece.state) for piece in pieces[2:5]]
    assert third == [("", "learns"), ("", "frozen"), ("3", "mixed")]
    assert len(pieces) == len(UNET_UNITS) + 2


def test_adapters_leave_the_network_frozen_and_the_output_convolution_has_none() -> None:
    table = table_of("LoRA rank 4")
    assert table.set_index("part")["state"].to_dict()["9.4"] == "frozen"
    assert set(table.loc[table["part"] != "9.4", "state"]) == {"adapters"}
    assert set(table["trainable"]) == {trainable_parameters(parse_strategy("LoRA rank 4"), "unet", 16)}
    assert set(table["note"]) == {"adapters of rank 4"}
    states = {piece.state for piece in u_shape.pieces_of(table, (0.0, 1.0, 0.0, 1.0))}
    assert states == {"adapters"}


@pytest.mark.parametrize(
    ("name", "note"),
    [("from scratch", "from random weights"), ("gradual unfreezing", "last unit first"), ("contracting", "")],
)
def test_what_a_drawing_cannot_show_is_said_below_it(name: str, note: str) -> None:
    assert set(table_of(name)["note"]) == {note}


def test_other_networks_have_their_units_and_the_counts_of_the_studys_facts() -> None:
    counts = {"smp U-Net, frozen encoder": {"trainable": 3_100_000, "total": 14_000_000}}
    table = table_of("whole network", "smp U-Net", "smp U-Net, frozen encoder", counts=counts)
    smp = table[table["strategy"] == "smp U-Net, frozen encoder"]
    assert list(zip(smp["unit"], smp["state"], strict=True)) == [
        ("encoder", "frozen"), ("decoder", "learns"), ("head", "learns"),
    ]  # fmt: skip
    assert not smp["drawn"].any()
    texts = list(network.networks(table).data[6].text)
    assert "parameters counted when it is built" in texts[1]
    assert "3,100,000 · 22.1" in texts[2]


def test_a_users_own_network_is_a_column_of_its_units() -> None:
    units = ("stem", "body", "head")
    strategies = [Strategy(name="whole network", units=units), Strategy(name="unit head", units=("head",))]
    table = network.network_table(strategies, width=16, image_size=128, units=units)
    head = u_shape.pieces_of(table[table["strategy"] == "unit head"], (0.0, 1.0, 0.0, 1.0))
    assert [(piece.label, piece.state) for piece in head] == [
        ("stem", "frozen"), ("body", "frozen"), ("head", "learns"),
    ]  # fmt: skip
    assert head[0].box[2] == pytest.approx(head[1].box[3])  # input on top
    assert len(network.network(table[table["strategy"] == "unit head"]).layout.annotations) == 0


def test_strategies_come_from_the_plan_as_their_trials_say_them() -> None:
    names = ("from scratch", "contracting", "whole network")
    trials = made_trials("d", strategies=names, fractions=(80,))
    plan = pd.DataFrame([{"id": trial.id, **vars(trial)} for trial in trials])
    tested = plan.iloc[:1].assign(id="x", strategy="as pre-trained", units=[()], fraction=0.0)
    found = network.planned_strategies(pd.concat([plan, tested]))
    assert found == [STRATEGIES["unet"][name] for name in ("whole network", "contracting", "from scratch")]


def test_planned_adapters_and_other_encoders_keep_how_they_learn() -> None:
    (trial,) = made_trials("d", strategies=("whole network",), fractions=(80,), folds=(0,))
    whole = pd.DataFrame([{"id": trial.id, **vars(trial)}])
    lora = whole.assign(id="x", strategy="LoRA rank 4", method="LoRA", rank=4)
    smp = whole.assign(id="y", strategy="smp U-Net", model="smp", start_weights=None)
    smp["units"] = [("encoder", "decoder", "head")]
    found = network.planned_strategies(pd.concat([whole, lora, smp], ignore_index=True))
    assert found == [parse_strategy(name) for name in ("whole network", "LoRA rank 4", "smp U-Net")]


def test_units_lie_on_a_u_that_is_the_same_on_both_sides() -> None:
    places = u_shape.boxes()
    assert list(places) == list(UNET_UNITS)
    for left, right in (*u_shape.SIDES, ("5a", "5b")):
        a, b = places[left], places[right]
        assert a[:2] == pytest.approx((1 - b[1], 1 - b[0]))
        assert a[2:] == pytest.approx(b[2:])
    for one, other in combinations(places.values(), 2):
        across, up = min(one[1], other[1]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[2], other[2])
        assert across < 1e-9 or up < 1e-9
    tops = [places[unit][3] for unit in ("1", "2", "3", "4", "5a")]
    assert tops == sorted(tops, reverse=True)


def test_links_run_over_as_deep_as_they_join_and_point_onwards() -> None:
    links = u_shape.links_of((0.0, 1.0, 0.0, 1.0))
    assert sorted(link.angle for link in links) == [0] * 4 + [90] * 4 + [180] * 4
    assert all(link.x[0] < link.x[1] for link in links if link.angle == 90)
    assert all(link.y[1] < link.y[0] for link in links if link.angle == 180)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("colours", ["red-green", "colour-blind safe"])
def test_frozen_boxes_are_hatched_so_that_colour_is_not_the_only_difference(colours: Any, dark: bool) -> None:
    frozen, learns = network.networks(table_of("block 9"), colours=colours, dark=dark).data[2:4]
    assert frozen.fillpattern.shape == "/"
    assert learns.fillcolor == u_shape.LEARNS[colours, dark]
    assert learns.fillpattern.shape is None
    # Nine boxes of five corners and a gap are frozen, one learns.
    assert (len(frozen.x), len(learns.x)) == (9 * 6, 6)


def test_all_small_drawings_share_eight_traces_and_each_can_be_clicked() -> None:
    table = network.network_table(PAPER, width=64, image_size=256)
    figure = network.networks(table, selected="contracting")
    assert len(figure.data) == 8
    assert [name for (name,) in figure.data[7].customdata] == [strategy.name for strategy in PAPER]
    assert len(figure.layout.shapes) == 1
    assert "9,403,840 · 30.3" in figure.data[6].text[1]
    assert "learn: 1, 2, 3, 4, 5a" in figure.data[7].hovertext[1]
    assert not network.networks(table).layout.shapes


def test_the_large_drawing_tells_sizes_beside_the_blocks_and_convolutions_on_hover() -> None:
    figure = network.network(table_of("contracting"))
    beside = [note.text for note in figure.layout.annotations]
    assert len(beside) == 10
    assert "<b>16</b> @ 128\u00a0×\u00a0128" in beside[0]
    assert "2,480 parameters" in beside[0]
    hovers = list(figure.data[-1].hovertext)
    assert "convolution 1.1: 3 × 3, 1 to 16 channels, 160: learns" in hovers[0]
    assert "half of block 5: 5b" in hovers[5]
    assert "convolution 9.4: 1 × 1, 16 to 1 channels, 17: frozen" in hovers[9]


def test_names_find_no_room_before_they_lie_on_each_other() -> None:
    figure = network.networks(table_of("whole network"))
    assert list(figure.data[4].text) == [f"<b>{unit}</b>" for unit in UNET_UNITS]
    many = tuple(f"unit {number}" for number in range(12))
    own = network.network_table([Strategy(name="whole network", units=many)], width=1, image_size=32, units=many)
    assert not any(network.networks(own).data[4].text)


def test_nothing_planned_is_said() -> None:
    nothing = network.network_table([], width=16, image_size=128)
    assert "No strategy" in network.networks(nothing).layout.annotations[0].text
    assert "No strategy" in network.network(nothing).layout.annotations[0].text
    assert np.array_equal(nothing.columns[:2], ["strategy", "place"])
