"""Cost: the front, places of names, what the rest adds to four blocks (Fig. 6), and minutes (Table III)."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draw

from dashboard.figures import gain, kept_task, labels, minutes, pareto
from engine import published
from engine.architectures import UNET_STRATEGIES
from tests.made_cells import NAN, made_cells, paper_cells, words_of

ROWS = [(dataset, fraction) for dataset in published.SIZES for fraction in published.FRACTIONS]
FOLDS = draw.tuples(draw.floats(0, 1), draw.floats(0, 1))


@settings(deadline=None, max_examples=25)
@given(draw.dictionaries(draw.sampled_from(list(UNET_STRATEGIES)), FOLDS, min_size=1))
def test_nothing_cheaper_is_as_good_as_a_strategy_on_the_front(dice: dict[str, tuple[float, float]]) -> None:
    table = pareto.pareto_table(made_cells({(name, 80): folds for name, folds in dice.items()}), 80.0)
    tuned = table[table["strategy"] != "from scratch"]
    for row in table.to_dict("records"):
        others = tuned[(tuned["strategy"] != row["strategy"]) & (tuned["cost"] <= row["cost"])]
        beaten = (others["mean"] > row["mean"]) | ((others["mean"] == row["mean"]) & (others["cost"] < row["cost"]))
        assert row["front"] == (row["strategy"] != "from scratch" and not beaten.any())
    assert table["cost"].is_monotonic_increasing


def test_the_front_of_a_published_row() -> None:
    # Amiri et al. 2020, Table II, BUS 80 %.
    table = pareto.pareto_table(paper_cells("BUS"), 80.0)
    assert list(table.loc[table["front"], "strategy"]) == [
        "block 1", "blocks 1,9", "blocks 1,2", "blocks 1,2,8,9", "all except block 5",
    ]  # fmt: skip
    assert set(table["least"]) == {0.774 - 0.01}
    assert set(pareto.pareto_table(paper_cells("BUS"), 80.0, margin=0.05)["least"]) == {0.774 - 0.05}


def test_from_scratch_is_shown_and_never_on_the_front() -> None:
    cells = made_cells({("from scratch", 80): (0.9, 0.9), ("whole network", 80): (0.8, 0.8)})
    table = pareto.pareto_table(cells, 80.0).set_index("strategy")
    assert table["front"].to_dict() == {"from scratch": False, "whole network": True}
    symbols = pareto.pareto(table.reset_index()).data[2].marker.symbol
    assert list(symbols) == ["circle-open", "diamond"]


def test_without_the_reference_there_is_no_line() -> None:
    table = pareto.pareto_table(made_cells({("contracting", 80): (0.8, 0.9), ("block 9", 80): (0.5, 0.6)}), 80.0)
    assert table["least"].isna().all()
    assert not pareto.pareto(table).layout.shapes
    named = pareto.pareto_table(made_cells({("contracting", 80): (0.8, 0.9)}), 80.0, reference="contracting")
    assert "contracting − 0.01" in words_of(pareto.pareto(named))


def test_megabytes_are_four_bytes_a_parameter_and_costs_that_nobody_knows_are_left_out() -> None:
    cells = made_cells({("block 9", 80): (0.5, 0.6)})
    assert pareto.pareto_table(cells, 80.0, "megabytes")["cost"].tolist() == [9025 * 4 / 1e6]
    nothing = pareto.pareto_table(cells, 80.0, "minutes")
    assert not len(nothing)
    assert "whose minutes are known" in words_of(pareto.pareto(nothing, cost="minutes"))
    assert not len(pareto.pareto_table(cells.assign(trainable=0), 80.0))  # a network that only torch can count
    assert not len(pareto.pareto_table(cells.drop(columns="minutes"), 80.0, "minutes"))


def test_published_minutes_are_those_of_table_3_at_80_percent() -> None:
    cells = pd.concat([made_cells({("contracting", 80): (0.8, 0.9)}, minutes=0.4), paper_cells()], ignore_index=True)
    known = pareto.with_published_minutes(cells, published.table3())
    assert known["minutes"].notna().sum() == 1 + 12
    at = known[(known["dataset"] == "BUS, Amiri et al. 2020") & (known["fraction"] == 80)].set_index("strategy")
    assert (at.loc["contracting", "minutes"], at.loc["all except block 5", "minutes"]) == (1.39, 1.40)
    assert known.loc[0, "minutes"] == 0.4


def test_what_is_shown_to_be_within_the_margin_is_ticked() -> None:
    cells = made_cells({("contracting", 80): (0.8, 0.9), ("whole network", 80): (0.8, 0.9)})
    ticked = cells.assign(recommended=["at most 0.004 below whole network", ""])
    figure = pareto.pareto(pareto.pareto_table(ticked, 80.0))
    assert "contracting ✓" in words_of(figure)
    assert "whole network ✓" not in words_of(figure)
    assert "at most 0.004 below" in figure.data[2].hovertext[0]


def test_what_trains_no_parameter_is_told_of_below_the_front() -> None:
    cells = made_cells({("block 1", 80): (0.9, 0.8), ("block 9", 80): (0.5, 0.6), ("whole network", 80): (0.8, 0.9)})
    cells.loc[cells["strategy"] == "block 1", "trainable"] = 0
    table = pareto.pareto_table(cells, 80.0)
    assert set(table["strategy"]) == {"block 9", "whole network"}
    assert "Trains no parameter, so not drawn (mean): block 1 (0.850)." in pareto.pareto_note(table)
    assert "not drawn" not in pareto.pareto_note(pareto.pareto_table(cells, 80.0, "minutes"))


def test_an_axis_of_few_decades_has_ticks_between_them() -> None:
    cells = made_cells({("block 1", 80): (0.5, 0.6), ("whole network", 80): (0.8, 0.9)})
    near = pareto.pareto_table(cells.assign(trainable=[9_000, 47_000]), 80.0)
    assert list(pareto.pareto(near).layout.xaxis.tickvals) == [1e4, 2e4, 5e4]
    far = pareto.pareto_table(cells.assign(trainable=[90, 47_000]), 80.0)
    assert pareto.pareto(far).layout.xaxis.tickvals is None


def test_a_dot_on_hover_tells_its_folds_and_its_cost() -> None:
    cells = made_cells({("block 9", 80): (0.5, NAN, 0.7)})
    hover = pareto.pareto(pareto.pareto_table(cells, 80.0)).data[2].hovertext[0]
    assert "Dice 0.600, sd 0.141, over 2 folds" in hover
    assert "9,025 trained parameters" in hover
    assert "1 of 3 trainings failed" in hover


def points_of(table: pd.DataFrame) -> list[tuple[float, float]]:
    x_range, y_range = pareto._ranges(table, True)
    return [
        (pareto._part(float(np.log10(x)), x_range), pareto._part(y, y_range))
        for x, y in zip(table["cost"], table["mean"], strict=True)
    ]


@pytest.mark.parametrize(("dataset", "fraction"), ROWS)
@pytest.mark.parametrize("frame", labels.FRAMES)
def test_names_of_published_rows_do_not_meet_on_narrow_or_wide_pages(
    dataset: str, fraction: float, frame: tuple[float, float]
) -> None:
    table = pareto.pareto_table(paper_cells(dataset), fraction)
    points, names = points_of(table), list(table["strategy"])
    placed = [labels.PLACES.index(label) for label in labels.labels(points, names, [])]
    for number, (point, name, at) in enumerate(zip(points, names, placed, strict=True)):
        mine = labels._boxes(point, name, frame)[0][[at]]
        others = [labels._boxes(points[n], names[n], frame)[0][placed[n]] for n in range(number)]
        assert labels.meets(mine, np.array(others).reshape(-1, 4))[0] == 0


def test_a_far_name_has_a_line_to_its_dot_and_a_near_one_has_none() -> None:
    assert [label.far for label in labels.PLACES[:8]] == [False] * 8
    assert all(label.far for label in labels.PLACES[8:])
    alone = labels.labels([(0.5, 0.5)], ["block 1"], [])
    assert alone == [labels.PLACES[0]]


def test_names_keep_away_from_lines() -> None:
    above = labels.labels([(0.5, 0.5)], ["block 1"], [labels.Obstacle(begin=(0.0, 0.5), end=(1.0, 0.5))])
    assert above[0].up != 0


def test_figure_6_adds_up_to_the_whole_network() -> None:
    # Amiri et al. 2020, Table II at 80 %: blocks 1,2,8,9 0.787, 0.771, 0.956, 0.977; whole 0.834, 0.774, 0.972, 0.979.
    table = gain.gain_table(paper_cells())
    assert list(table["reached"]) == [0.787, 0.771, 0.956, 0.977]
    assert list(table["rest"].round(3)) == [0.047, 0.003, 0.016, 0.002]
    assert table["share"].round(1).to_list() == [94.4, 99.6, 98.4, 99.8]
    assert (table["reached"] + table["rest"]).to_list() == pytest.approx([0.834, 0.774, 0.972, 0.979])


def test_a_negative_rest_is_hatched_and_signed() -> None:
    table = gain.gain_table(made_cells({(gain.PART, 80): (0.9, 0.8), (gain.WHOLE, 80): (0.8, 0.8)}))
    assert table.loc[0, "rest"] == pytest.approx(-0.05)
    assert table.loc[0, "rests"] == pytest.approx([-0.1, 0.0])
    figure = gain.gain(table)
    both, added, lost = figure.data
    assert both.x[0] == pytest.approx(0.8)  # what both reach
    assert np.isnan(added.x[0])
    assert lost.x[0] == pytest.approx(0.05)
    assert lost.marker.pattern.shape == "/"
    assert "-0.050" in words_of(figure)
    assert "▨ the rest takes" in words_of(figure)
    assert "rest fold by fold: -0.100 · +0.000" in lost.hovertext[0]
    assert "▨" not in words_of(gain.gain(gain.gain_table(paper_cells())))


KNOWN = {"images": 40.0, "low": 0.7, "high": 0.95, "interval": "bootstrap over 9 groups"}
SAID = "over 3 folds, n = 40 test images<br>95 % interval 0.700 to 0.950, bootstrap over 9 groups"


def test_figure_6_says_sd_n_and_interval_of_both_means_on_hover() -> None:
    ours = made_cells({(name, 80): (0.8, 0.9, 0.85) for name in (gain.PART, gain.WHOLE)}, **KNOWN)
    assert gain.gain(gain.gain_table(ours)).data[0].hovertext[0].count(SAID) == 2
    theirs = gain.gain(gain.gain_table(paper_cells("BUS"))).data[0].hovertext[0]
    assert "whole network: Dice 0.774, sd 0.028, over 5 folds" in theirs
    assert "interval" not in theirs


def test_minutes_say_n_and_interval_of_their_dice_on_hover() -> None:
    ours = made_cells({("whole network", 80): (0.8, 0.9, 0.85)}, **KNOWN)
    table = minutes.minutes_table(ours, trainings({"whole network": (60.0, 120.0)}), published.table3())
    assert SAID in minutes.minutes(table).data[0].hovertext[0]
    assert "interval" not in minutes.minutes(table).data[0].hovertext[1]


def test_a_study_without_80_percent_is_shown_at_its_largest_part() -> None:
    folds = {(name, fraction): (0.8, 0.9) for name in (gain.PART, gain.WHOLE) for fraction in (5, 50)}
    assert list(gain.gain_table(made_cells(folds))["fraction"]) == [50]
    only = made_cells({(gain.PART, 80): (0.8, 0.9)})
    assert "Needs complete cells" in words_of(gain.gain(gain.gain_table(only)))


def trainings(took: dict[str, tuple[float, ...]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"fraction": 80.0, "strategy": name, "start": "", "network": "", "seconds": seconds, "closed": True}
            for name, every in took.items()
            for seconds in every
        ]
    )


def test_table_3_has_published_minutes_on_their_machine() -> None:
    nothing = paper_cells().iloc[:0]
    table = minutes.minutes_table(nothing, nothing, published.table3())
    assert len(table) == 12
    bus = table[table["dataset"].str.startswith("BUS")].set_index("strategy")
    assert bus.loc["contracting", "relative"] == pytest.approx(100 * 1.39 / 1.65)
    assert bus.loc["contracting", "relative_sd"] == pytest.approx(100 * 0.21 / 1.65)
    assert set(table["machine"]) == {"TITAN V"}
    assert list(dict.fromkeys(table["strategy"])) == list(minutes.STRATEGIES)
    words = words_of(minutes.minutes(table))
    assert "<b>1.53</b> (0.20)" in words
    assert words.count("TITAN V") == 4


def test_our_minutes_are_means_over_closed_trainings_of_complete_cells() -> None:
    ours = made_cells({(name, 80): (0.8, 0.9) for name in ("contracting", "whole network", "block 9")})
    trials = trainings({"whole network": (60.0, 120.0), "contracting": (30.0, 60.0)})
    trials = pd.concat([trials, trials.iloc[:1].assign(seconds=NAN, closed=False)])
    table = minutes.minutes_table(ours, trials, published.table3(), machine="two cores", published="SUS")
    assert list(table["source"]) == ["ours"] * 2 + ["published"] * 3
    assert list(table["strategy"][:2]) == ["whole network", "contracting"]
    assert list(table["minutes"][:2]) == [1.5, 0.75]
    assert list(table["relative"][:2]) == [100, 50]
    assert table.loc[0, "sd"] == pytest.approx(0.5 * 2**0.5)
    assert "n = 2 trainings" in minutes.minutes(table).data[0].hovertext[0]


def test_starts_have_their_own_minutes() -> None:
    one, two = (
        made_cells({("whole network", 80): (0.8, 0.9)}, dataset=f"made · {start}", start=start) for start in "ab"
    )
    trials = pd.concat(
        trainings({"whole network": (seconds,)}).assign(start=start) for start, seconds in (("a", 60.0), ("b", 120.0))
    )
    table = minutes.minutes_table(pd.concat([one, two]), trials, published.table3(), published="SUS")
    assert list(table.loc[table["source"] == "ours", "minutes"]) == [1, 2]


def test_minutes_without_the_whole_network_have_nothing_to_stand_beside() -> None:
    ours = made_cells({("contracting", 80): (0.8, 0.9)})
    table = minutes.minutes_table(ours, trainings({"contracting": (30.0,)}), published.table3().iloc[:0])
    assert table["relative"].isna().all()
    assert "Needs complete cells" in words_of(minutes.minutes(table))


def test_minutes_of_every_cell_have_their_median_and_epochs_in_each_fraction() -> None:
    ours = made_cells({(name, part): (0.8, 0.9) for part in (80, 5) for name in ("whole network", "block 9")})
    took = trainings({"whole network": (60.0, 120.0, 600.0), "block 9": (30.0, 60.0, 90.0)})
    took = took.assign(epochs_run=[10, 20, 30, 5, 5, 6])
    table = minutes.every_minutes_table(
        ours, pd.concat([took, took.assign(fraction=5.0, seconds=60.0)]), machine="here"
    )
    assert table[["fraction", "strategy"]].to_numpy().tolist() == [
        [80, "whole network"], [80, "block 9"], [5, "whole network"], [5, "block 9"],
    ]  # fmt: skip
    assert list(table["median"]) == [2, 1, 1, 1]
    assert list(table["epochs"]) == [20, 5, 20, 5]
    assert table["relative"].tolist() == pytest.approx([100, 100 / 260 * 60, 100, 100])
    read = minutes.table3_table(table, "accuracy")
    assert read.loc[0, ["part", "minutes (median)", "trainings"]].tolist() == ["80 %", 2, 3]
    assert read["accuracy"].tolist() == pytest.approx([0.85] * 4)


def test_table_3_tells_what_failed_beside_a_mean_without_it() -> None:
    ours = made_cells({("whole network", 80): (0.8, 0.9, 0.7), ("contracting", 80): (NAN, NAN, 0.8)})
    ours = ours.assign(mean_all=[0.8, 0.3], collapsed=[0, 2])
    took = trainings({"whole network": (60.0, 60.0, 60.0), "contracting": (600.0, 600.0, 60.0)})
    table = minutes.minutes_table(ours, took, published.table3(), published="BUS")
    read = minutes.table3_table(table).set_index(["images of", "strategy"]).loc["made images"]
    assert read.loc["contracting", ["failed", "folds of Dice", "collapsed", "trainings"]].tolist() == [2, 1, 2, 3]
    assert read.loc["contracting", ["Dice", "Dice, all folds"]].tolist() == pytest.approx([0.8, 0.3])
    assert read.loc["whole network", "failed"] == 0
    assert minutes.table3_table(table)["failed"].isna().sum() == 3, "the paper does not say it"
    assert "2 of them failed to converge" in "".join(
        text for trace in minutes.minutes(table).data for text in trace.hovertext or ()
    )
    without = minutes.minutes_table(made_cells({("whole network", 80): (0.8, 0.9)}), took, published.table3())
    assert "failed" not in minutes.table3_table(without)


def test_what_begins_from_random_weights_has_its_minutes_in_the_rows_of_every_start() -> None:
    ours = made_cells({("from scratch", 80): (0.8, 0.9)}, start="a")
    table = minutes.every_minutes_table(ours, trainings({"from scratch": (60.0, 180.0)}))
    assert table["minutes"].tolist() == [2]


@pytest.mark.parametrize(
    ("device", "hosts", "said"),
    [
        ("cuda", ["one"], "H100"),
        ("cpu", ["one"], "EPYC, 2 cores"),
        (None, [], "H100"),
        ("cpu", ["one", "two"], "EPYC, 2 cores and 1 other machine"),
        ("cpu", ["two", "three"], "EPYC, 2 cores and 2 other machines"),
    ],
)
def test_the_machine_is_what_trained(device: str | None, hosts: list[str], said: str) -> None:
    machine = {"host": "one", "processor": "EPYC", "cores": 2, "gpu": "H100"}
    assert minutes.machine_name({"machine": machine, "settings": {"device": device}}, hosts) == said
    assert minutes.machine_name({}, hosts) == ""


def as_is(**kept: float) -> pd.DataFrame:
    """Start weights as they are, 0.4 Dice on the test images."""
    row = {"mean": 0.4, "sd": 0.1, "folds": 2, "folds_done": 2, "complete": True, "values": [0.3, 0.5]}
    found = [{"start": start, "kept": value, **row} for start, value in kept.items()]
    return pd.DataFrame(found, columns=["start", "kept", *row])


def test_what_is_left_of_the_old_task_is_a_dot_per_complete_cell_that_was_measured() -> None:
    ours = made_cells({("whole network", 80): (0.8, 0.9), ("from scratch", 80): (0.7, 0.8)}, start="a", kept=0.5)
    ours.loc[1, "kept"] = NAN  # began from nothing
    both = pd.concat([ours, paper_cells("BUS")], ignore_index=True)
    table = kept_task.kept_of_cells(both, as_is(a=0.9, b=0.95))
    assert table[["name", "value", "kept"]].to_numpy().tolist() == [
        ["as pre-trained", 0.4, 0.9], ["whole network", pytest.approx(0.85), 0.5],
    ]  # fmt: skip
    figure = kept_task.kept_task(table.assign(low=[NAN, 0.8], high=[NAN, 0.9]), start="scanner A")
    assert list(figure.data[0].marker.symbol) == ["circle-open", "circle"]
    assert [(shape.x0, shape.y0) for shape in figure.layout.shapes] == [(0.4, 0), (0, 0.9)]
    assert figure.layout.yaxis.title.text == "Dice left on scanner A"
    assert figure.layout.xaxis.title.text == "Dice on the test images"
    assert figure.data[0].hovertext[1].split("<br>")[1:] == [
        "Dice 0.850 on the test images", "95 % interval 0.800 to 0.900", "0.500 left on scanner A, mean over 2 folds",
    ]  # fmt: skip


def test_several_starts_are_hollow_dots_by_name_and_without_measurement_it_says_so() -> None:
    ours = [made_cells({("whole network", 80): (0.8, 0.9)}, start=start, kept=0.5) for start in "ab"]
    table = kept_task.kept_of_cells(pd.concat(ours, ignore_index=True), as_is(a=0.9, b=0.95))
    assert table["name"].tolist() == ["a", "b", "whole network", "whole network"]
    assert {"a", "b"} <= set(words_of(kept_task.kept_task(table)).split("\n"))
    assert kept_task.start_named(["", "a", "a"]) == "a"
    assert "on held-out images of a after" in kept_task.kept_note(start="a")
    assert "on the start weights' own held-out images" in kept_task.kept_note(start=kept_task.start_named(["a", "b"]))
    nothing = kept_task.kept_of_cells(paper_cells("BUS"), as_is(a=0.9))
    assert not len(nothing)
    assert "held-out images of their own task" in words_of(kept_task.kept_task(nothing))
    assert not len(kept_task.kept_of_cells(made_cells({("block 9", 80): (0.8,)}), as_is()))


def test_the_note_below_the_front_says_what_means_cannot_say() -> None:
    cells = made_cells({("contracting", 80): (0.8, 0.9), ("whole network", 80): (0.8, 0.9)})
    note = pareto.pareto_note(pareto.pareto_table(cells, 80.0, margin=0.02), 0.02)
    assert "made images, 80 % of the images" in note
    assert "mean of whole network minus the margin of 0.02" in note
    assert "a question of its interval, not of its mean" in note
    assert "Two folds: no interval" in note
    assert "✓" not in note
    ticked = pareto.pareto_note(pareto.pareto_table(cells.assign(recommended="at most 0.004 below"), 80.0))
    assert "✓: shown to lose no more than the margin" in ticked
    assert "Small dots" not in pareto.pareto_note(pareto.pareto_table(paper_cells("SUS"), 80.0))
    assert pareto.pareto_note(pareto.pareto_table(cells, 5.0)) == ""
