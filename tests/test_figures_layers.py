"""Layer by layer: which strategies belong to which series, at which place, and what the figure joins."""

import numpy as np
import pandas as pd
import pytest

from dashboard.figures import layers
from engine.architectures import UNET_CONVOLUTIONS
from tests.made_cells import NAN, made_cells, paper_cells, words_of

STEPS = [f"blocks 1-{last}" for last in range(2, 9)] + [f"blocks {first}-9" for first in range(2, 9)]


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("block 1", [("shallow to deep", 1.0, "block"), ("alone", 1.0, "block")]),
        ("blocks 1,2", [("shallow to deep", 2.0, "block")]),
        ("contracting", [("shallow to deep", 4.5, "part")]),
        ("blocks 1-5", [("shallow to deep", 5.0, "block")]),
        ("expanding", [("deep to shallow", 5.5, "part")]),
        ("blocks 5-9", [("deep to shallow", 5.0, "block")]),
        ("blocks 8,9", [("deep to shallow", 8.0, "block")]),
        ("block 9", [("deep to shallow", 9.0, "block"), ("alone", 9.0, "block")]),
        ("block 5", [("alone", 5.0, "block")]),
        ("5a", [("alone", 4.75, "part")]),
        ("convolution 1", [("shallow to deep", 0.5, "part"), ("alone", 0.75, "part")]),
        ("convolutions 1-3", [("shallow to deep", 1.5, "part")]),
        ("convolution 23", [("deep to shallow", 9.75, "part"), ("alone", 9.375, "part")]),
        ("whole network", [("shallow to deep", 9.0, "block"), ("deep to shallow", 1.0, "block")]),
        ("all except block 5", []),
        ("blocks 3-7", []),
        ("from scratch", []),
        ("gradual unfreezing", []),
        ("LoRA rank 4", []),
        ("smp U-Net", []),
        ("a strategy of another network", []),
    ],
)
def test_a_strategy_is_part_of_these_series(name: str, series: list[tuple[str, float, str]]) -> None:
    assert layers.series(name) == series


def test_the_23_convolutions_lie_in_order_within_their_blocks() -> None:
    places = [layers._place(part, 0.5) for names in layers.BLOCKS.values() for part in names]
    assert places == sorted(places)
    assert sum(map(len, layers.BLOCKS.values())) == sum(map(len, UNET_CONVOLUTIONS.values())) == 23
    assert layers.BLOCKS["5"] == ("5.1", "5.2")


def every_step(fractions: tuple[float, ...] = (80, 5)) -> pd.DataFrame:
    names = [*STEPS, *(f"block {block}" for block in range(1, 10)), "whole network", "from scratch"]
    return made_cells({(name, fraction): (0.8, 0.7) for fraction in fractions for name in names})


def test_each_direction_takes_nine_steps_and_the_whole_network_ends_both() -> None:
    table = layers.layers_table(every_step())
    for direction in layers.DIRECTIONS:
        part = table[(table["direction"] == direction) & (table["fraction"] == 80)]
        assert list(part["block"]) == list(range(1, 10))
    assert table["strategy"].nunique() == 24
    assert len(layers.layers(table).layout.annotations) == 3 + 3 * 2  # titles, and a name at the end of each line


def test_runs_begin_left_with_the_least_that_learns() -> None:
    figure = layers.layers(layers.layers_table(every_step()))
    assert figure.layout.xaxis.range[0] < figure.layout.xaxis.range[1]
    assert figure.layout.xaxis2.range[0] > figure.layout.xaxis2.range[1]
    names = [note for note in figure.layout.annotations if note.text == "<b>80 %</b>"]
    assert [note.x for note in names] == [9, 1, 9]


def test_the_published_table_has_some_of_the_steps() -> None:
    # Amiri et al. 2020, Table II, BUS 80 %: block 1 0.670, blocks 1,2 0.699, contracting 0.767, whole network 0.774.
    table = layers.layers_table(paper_cells("BUS"))
    run = table[(table["direction"] == "shallow to deep") & (table["fraction"] == 80)]
    assert list(zip(run["block"], run["mean"], strict=True)) == [(1, 0.670), (2, 0.699), (4.5, 0.767), (9, 0.774)]
    assert set(table["direction"]) == set(layers.DIRECTIONS)


def test_blocks_alone_are_joined_only_to_their_neighbours() -> None:
    figure = layers.layers(layers.layers_table(paper_cells("BUS")))
    alone = [trace for trace in figure.data if trace.xaxis == "x3" and trace.mode == "lines+markers"]
    known = np.flatnonzero(~np.isnan(np.asarray(alone[0].y, dtype=float)))
    assert list(np.asarray(alone[0].x)[known]) == [1, 5, 9]
    assert len(alone[0].x) == 9


def test_folds_of_two_fractions_stand_apart_and_failed_ones_have_no_dot() -> None:
    cells = made_cells({("block 1", 80): (0.8, NAN), ("block 1", 5): (0.6, 0.5)})
    figure = layers.layers(layers.layers_table(cells))
    dots = [trace for trace in figure.data if trace.mode == "markers"][:2]
    assert dots[0].x[0] < 1 < dots[1].x[0]
    assert np.isnan(dots[1].y[1])
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert "1 of 2 trainings failed to converge" in lines[1].hovertext[0]


def test_more_images_are_further_from_the_pages_colour() -> None:
    for dark in (False, True):
        shades = layers._shades(3, dark)
        light = [sum(int(shade[place : place + 2], 16) for place in (1, 3, 5)) for shade in shades]
        assert light == sorted(light, reverse=not dark)
    assert len(layers._shades(1, False)) == 1
    assert len(layers._shades(7, False)) == 7


def test_names_at_the_ends_do_not_lie_on_each_other() -> None:
    heights = layers._apart([0.8, 0.8, 0.5], 0.0, 1.0)
    assert heights[2] == 0.5
    assert heights[0] == 0.8
    assert heights[1] > 0.84


def test_a_study_without_series_says_what_they_need() -> None:
    table = layers.layers_table(made_cells({("all except block 5", 80): (0.8, 0.9)}))
    assert not len(table)
    assert "Needs complete cells" in words_of(layers.layers(table))
    waiting = layers.layers_table(every_step().assign(complete=False))
    assert not len(waiting)
