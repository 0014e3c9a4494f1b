"""From trials to cells: which count, means over folds, rows of several start weights, networks and seeds."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draw

from dashboard.figures import cells, table2
from engine.trial import AS_PRETRAINED
from tests.made_store import attempts_of, cells_of, made_attempt, made_trials, plan_of

PAIR: dict[str, Any] = {"strategies": ("whole network", "contracting"), "fractions": (80,)}


def test_mean_and_sd_are_over_folds_with_n_minus_one() -> None:
    trials = made_trials("d", strategies=("whole network",), fractions=(80,))
    cell = cells_of(
        *[made_attempt(trial, dice=dice) for trial, dice in zip(trials, (0.8, 0.9), strict=True)], trials=trials
    )
    assert cell.loc[0, "mean"] == pytest.approx(0.85)
    assert cell.loc[0, "sd"] == pytest.approx(0.1 / math.sqrt(2))
    assert cell.loc[0, "values"] == pytest.approx([0.8, 0.9])


def test_folds_that_did_not_converge_are_left_out_counted_and_shown_beside() -> None:
    trials = made_trials("d", strategies=("whole network",), fractions=(80,), folds=range(5))
    dice = (0.8, 0.8, 0.8, 0.9, 0.1)
    attempts = [
        made_attempt(trial, dice=value, **({"state": "not_converged", "cut_at": None} if value == 0.1 else {}))
        for trial, value in zip(trials, dice, strict=True)
    ]
    cell = table2.table2_table(cells_of(*attempts, trials=trials)).iloc[0]
    assert cell["mean"] == pytest.approx(0.825)
    assert cell["mean_all"] == pytest.approx(np.mean(dice))
    assert "†" in cell["text"]
    assert "1 of 5 failed" in cell["hover"]
    assert "mean over all folds 0.680" in cell["hover"]
    assert "over 4 folds" in cell["hover"]
    assert "cut at 15 in 4 folds" in cell["hover"]


def test_folds_that_only_say_background_are_marked_and_kept_in_the_mean() -> None:
    trials = made_trials("d", strategies=("whole network",), fractions=(80,))
    attempts = [
        made_attempt(trial, dice=dice, collapsed=dice == 0.0) for trial, dice in zip(trials, (0.8, 0.0), strict=True)
    ]
    cell = table2.table2_table(cells_of(*attempts, trials=trials)).iloc[0]
    assert cell["mean"] == pytest.approx(0.4)
    assert "‡" in cell["text"]
    assert "1 collapsed (next to nothing but background), kept in the mean" in cell["hover"]


def test_seeds_are_averaged_within_the_fold_first() -> None:
    trials = made_trials("d", strategies=("whole network",), fractions=(80,), seeds=(0, 1, 2))
    dice = {(0, 0): 0.6, (0, 1): 0.7, (0, 2): 0.8, (1, 0): 0.9, (1, 1): 0.9, (1, 2): 0.9}
    cell = cells_of(*[made_attempt(trial, dice=dice[trial.fold, trial.seed]) for trial in trials], trials=trials)
    assert cell.loc[0, "values"] == pytest.approx([0.7, 0.9])
    assert cell.loc[0, "sd"] == pytest.approx(0.2 / math.sqrt(2))


def test_rates_are_chosen_by_validation_per_fold_and_never_by_test() -> None:
    trials = made_trials("d", strategies=("whole network",), fractions=(80,), rates=(1e-3, 1e-4))
    attempts = [
        # fold 0 validates best at 1e-3 and fold 1 at 1e-4; the test Dice would choose the other ones
        made_attempt(trial, dice=0.5 if better else 0.9, validation_dice=0.8 if better else 0.7)
        for trial in trials
        for better in [(trial.learning_rate == 1e-3) == (trial.fold == 0)]
    ]
    cell = cells_of(*attempts, trials=trials)
    assert cell.loc[0, "mean"] == pytest.approx(0.5)
    assert cell.loc[0, "rates"] == [1e-4, 1e-3]
    assert cells.rates(plan_of(trials)) == [cells.CHOSEN, 1e-3, 1e-4]
    fixed = cells_of(*attempts, trials=trials, rate=1e-3)
    assert fixed.loc[0, "values"] == pytest.approx([0.5, 0.9])


def test_a_chosen_rate_waits_for_all_rates_of_its_fold() -> None:
    trials = made_trials("d", strategies=("whole network",), fractions=(80,), rates=(1e-3, 1e-4))
    cell = cells_of(*map(made_attempt, trials[:3]), trials=trials)
    assert not cell.loc[0, "complete"]
    assert math.isnan(cell.loc[0, "mean"])


def test_a_crashed_trial_keeps_its_cell_open_until_a_later_attempt_closes_it() -> None:
    trials = made_trials("d", strategies=("whole network",), fractions=(80,))
    crash = made_attempt(trials[0], state="error", error="Traceback", dice=None)
    good = [made_attempt(trials[1], dice=0.8), made_attempt(trials[0], dice=0.6, number=2)]
    before = cells_of(crash, good[0], trials=trials).iloc[0]
    assert (before["complete"], before["crashed"]) == (False, 1)
    after = cells_of(crash, *good, trials=trials).iloc[0]
    assert (after["complete"], after["crashed"]) == (True, 0)
    assert after["mean"] == pytest.approx(0.7)


def test_attempts_outside_the_plan_do_not_count() -> None:
    trials = made_trials("d", **PAIR)
    other = made_trials("other data", **PAIR)
    table = cells.trial_table(plan_of(trials), attempts_of(*map(made_attempt, other)))
    assert not table["closed"].any()


@settings(deadline=None, max_examples=15)
@given(draw.permutations(range(8)))
def test_cells_do_not_depend_on_the_order_of_attempts(order: list[int]) -> None:
    trials = made_trials("d", **{**PAIR, "fractions": (80, 5)})
    attempts = [made_attempt(trial) for trial in trials]
    straight, mixed = cells_of(*attempts, trials=trials), cells_of(*[attempts[place] for place in order], trials=trials)
    pd.testing.assert_frame_equal(straight, mixed)


def test_false_positives_are_averaged_over_folds_and_told_on_hover() -> None:
    trials = made_trials("d", **PAIR)
    attempts = [
        made_attempt(trial, normal_images=15, false_positive_rate=0.04 if trial.fold else 0.2) for trial in trials
    ]
    cell = cells_of(*attempts, trials=trials)
    assert cell.loc[0, "false_positive_rate"] == pytest.approx(0.12)
    assert "false positives on normal images: 12 % of 30" in table2.table2_table(cell).loc[0, "hover"]
    waiting = cells_of(*attempts[:1], trials=trials)
    assert waiting["false_positive_rate"].isna().all()  # test values come with the last fold


def test_results_from_before_normal_images_were_counted_say_nothing_of_them() -> None:
    trials = made_trials("d", **PAIR)
    plan = plan_of(trials)
    older = attempts_of(*map(made_attempt, trials)).drop(columns=["false_positive_rate", "normal_images"])
    cell = cells.cell_table(cells.fold_table(cells.trial_table(plan, older)), plan, "made images")
    assert list(cell["normal_images"]) == [0, 0]
    assert "normal" not in "".join(table2.table2_table(cell)["hover"])


def test_a_chosen_rate_waits_for_the_rates_that_a_search_has_yet_to_draw() -> None:
    trials = made_trials("d", strategies=("whole network",), fractions=(80,), rates=(1e-3, 1e-4))
    plan, attempts = plan_of(trials).assign(draws=3), attempts_of(*map(made_attempt, trials))
    assert not cells.trial_table(plan, attempts, cells.CHOSEN)["closed"].any()
    assert cells.trial_table(plan.assign(draws=2), attempts, cells.CHOSEN)["closed"].all()


def test_a_rate_that_only_some_folds_tried_cannot_be_shown_alone() -> None:
    trials = made_trials("d", **PAIR, rates=(1e-3, 1e-4, 3e-4))
    plan = plan_of([trial for trial in trials if trial.learning_rate != 3e-4 or trial.fold == 0])
    assert cells.rates(plan) == [cells.CHOSEN, 1e-3, 1e-4]


def test_several_start_weights_have_rows_of_their_own_and_scratch_stands_in_each() -> None:
    trials = made_trials("d", strategies=("whole network", "from scratch"), fractions=(80, 5), starts=("A", "B"))
    attempts = [made_attempt(trial, dice={"A": 0.8, "B": 0.7, "": 0.6}[trial.start]) for trial in trials]
    found = cells_of(*attempts, trials=trials)
    shown = found[found["fraction"] == 80]
    assert list(shown["dataset"]) == ["made images · A"] * 2 + ["made images · B"] * 2
    assert list(shown["strategy"]) == ["whole network", "from scratch"] * 2
    assert list(shown["mean"]) == pytest.approx([0.8, 0.6, 0.7, 0.6])
    assert list(shown["start"]) == ["A", "A", "B", "B"]
    assert list(found["fraction"]) == [80, 80, 5, 5] * 2
    assert len(table2.table2_table(found)) == 8
    by_fold = cells.fold_table(cells.trial_table(plan_of(trials), attempts_of(*attempts)))
    assert set(cells.of_start(by_fold, "B")["start"]) == {"B", ""}


def test_one_start_weights_stand_in_one_row_with_scratch() -> None:
    trials = made_trials("d", strategies=("whole network", "from scratch"), fractions=(80,))
    found = cells_of(*map(made_attempt, trials), trials=trials)
    assert set(found["dataset"]) == {"made images"}
    assert found["start"].nunique() == 1


def test_two_networks_of_one_strategy_stand_apart() -> None:
    trials = [trial for width in (16, 8) for trial in made_trials("d", **PAIR, width=width)]
    attempts = [made_attempt(trial, dice=0.8 if trial.width == 16 else 0.6) for trial in trials]
    found = cells_of(*attempts, trials=trials)
    assert list(found["dataset"]) == ["made images · unet, width 16"] * 2 + ["made images · unet, width 8"] * 2
    assert list(found["mean"]) == pytest.approx([0.8, 0.8, 0.6, 0.6])
    assert found["trainable"].nunique() == 4


def test_a_network_that_only_one_strategy_has_stands_in_the_same_row() -> None:
    trials = made_trials("d", **PAIR)
    other = made_trials("d", strategies=("block 9",), fractions=(80,), model="smp", encoder="resnet18")
    found = cells_of(*map(made_attempt, [*trials, *other]), trials=[*trials, *other])
    assert set(found["dataset"]) == {"made images"}
    assert len(found) == 3


def test_parameters_come_from_attempts_then_from_the_study_then_from_the_architecture() -> None:
    trials = made_trials("d", strategies=("block 9",), fractions=(80,), folds=(0,))
    adapters = made_attempt(trials[0], trainable_parameters=123, total_parameters=1000)
    told = {"block 9": {"trainable": 7, "total": 10}}
    plan = plan_of(trials)
    none = cells.fold_table(cells.trial_table(plan, attempts_of(adapters)[:0]))
    assert cells_of(adapters, trials=trials).loc[0, ["trainable", "total"]].tolist() == [123, 1000]
    assert cells_of(adapters, trials=trials).loc[0, "megabytes"] == pytest.approx(123 * 4 / 1e6)
    assert cells.cell_table(none, plan, "d", counts=told).loc[0, ["trainable", "total"]].tolist() == [7, 10]
    assert cells.cell_table(none, plan, "d").loc[0, ["trainable", "total"]].tolist() == [9_025, 1_940_817]
    both = cells.cell_table(none, plan.assign(classes=2), "d")  # background and two structures: 34 parameters more
    assert both.loc[0, ["trainable", "total"]].tolist() == [9_025 + 34, 1_940_817 + 34]
    other = plan.assign(model="module:build", units=[("stem", "head")])
    unknown = cells.cell_table(none, other, "d")
    assert unknown.loc[0, ["trainable", "total"]].tolist() == [0, 0]
    assert math.isnan(unknown.loc[0, "megabytes"])
    assert "–" in table2.table2(table2.table2_table(unknown)).layout.xaxis.ticktext[0]


def test_start_weights_as_they_are_are_no_cell_but_have_a_table() -> None:
    trials = made_trials("d", **PAIR, starts=("A", "B"), as_pretrained=True, folds=(0, 1, 2))
    attempts = [
        made_attempt(trial, dice={"A": 0.1, "B": 0.3}[trial.start] + trial.fold / 10)
        for trial in trials
        if (trial.strategy, trial.start, trial.fold) != (AS_PRETRAINED, "B", 2)
    ]
    plan, found = plan_of(trials), attempts_of(*attempts)
    assert AS_PRETRAINED not in set(cells_of(*attempts, trials=trials)["strategy"])
    assert cells.rates(plan) == [1e-4]
    table = cells.pretrained_table(plan, found).set_index("start")
    assert table.loc["A", "values"] == pytest.approx([0.1, 0.2, 0.3])
    assert (table.loc["A", "mean"], table.loc["A", "sd"]) == (pytest.approx(0.2), pytest.approx(0.1))
    assert (table.loc["B", "folds_done"], bool(table.loc["B", "complete"]), table.loc["B", "values"]) == (2, False, [])
    assert math.isnan(table.loc["B", "mean"])
    assert (table.loc["A", "kept"], math.isnan(table.loc["B", "kept"])) == (pytest.approx(0.6), True)


def test_a_seed_can_be_shown_by_itself() -> None:
    trials = made_trials("d", strategies=("whole network",), fractions=(80,), seeds=(0, 1))
    plan = plan_of(trials)
    found = attempts_of(*[made_attempt(trial, dice=0.6 + trial.seed / 10) for trial in trials])
    assert cells.seeds(plan) == [0, 1]
    for seed, mean in ((None, 0.65), (0, 0.6), (1, 0.7)):
        by_fold = cells.fold_table(cells.trial_table(plan, found, 1e-4, seed))
        assert by_fold["value"].tolist() == pytest.approx([mean, mean])


def test_distances_in_millimetres_and_in_pixels_have_no_mean() -> None:
    trials = made_trials("d", strategies=("whole network",), fractions=(80,))
    units = ("mm", "source pixels")
    attempts = [made_attempt(trial, hd95=4.0, hd95_unit=units[trial.fold], hd95_undefined=2) for trial in trials]
    plan = plan_of(trials)
    table = cells.trial_table(plan, attempts_of(*attempts))
    mixed = cells.cell_table(cells.fold_table(table, "hd95"), plan, "d", measure="hd95")
    assert mixed["mean"].isna().all()
    assert "folds are in different units (mm, source pixels)" in table2.table2_table(mixed, measure="HD95")["hover"][0]
    same = cells.fold_table(table.assign(hd95_unit="mm"), "hd95")
    cell = cells.cell_table(same, plan, "d", measure="hd95")
    assert cell.loc[0, ["mean", "hd95_unit", "hd95_undefined"]].tolist() == [4.0, "mm", 4]
    dice = cells.cell_table(cells.fold_table(table), plan, "d")
    assert dice["mean"].notna().all()


def test_minutes_and_what_is_left_of_the_old_task_are_means() -> None:
    trials = made_trials("d", strategies=("whole network",), fractions=(80,))
    attempts = [made_attempt(trial, seconds=60.0 + 60 * trial.fold, kept_dice=0.4 + trial.fold / 5) for trial in trials]
    cell = cells_of(*attempts, trials=trials).iloc[0]
    assert (cell["minutes"], cell["kept"]) == (1.5, pytest.approx(0.5))
    hover = table2.table2_table(cells_of(*attempts, trials=trials))["hover"][0]
    assert "1.5 min a training · 7.8 MB trained · Dice left on the start weights' own images 0.500" in hover


def test_a_plan_without_attempts_has_cells_and_an_empty_plan_has_none() -> None:
    plan = plan_of(made_trials("d", **PAIR))
    nothing = attempts_of(*map(made_attempt, made_trials("d", **PAIR)))[:0]
    found = cells.cell_table(cells.fold_table(cells.trial_table(plan, nothing)), plan, "d")
    assert found["complete"].tolist() == [False, False]
    assert found["mean"].isna().all()
    empty = cells.cell_table(cells.fold_table(cells.trial_table(plan[:0], nothing, 1e-4)), plan[:0], "d")
    assert empty.empty
    assert list(empty.columns) == cells.CELL_COLUMNS
