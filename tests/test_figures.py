"""Figures by their numbers (tables) and structure; looks are checked by eye. Attempts here are made, not trained."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as draw

from dashboard.figures import answer, cells, comparison, curve_sheet, curves, folds, frames, outlines, table2
from dashboard.figures.palette import SCALES
from engine import published, significance
from engine.datasets import make_dataset
from tests.made import discs
from tests.made_store import attempts_of, cells_of, made_attempt, made_trials, plan_of

PAIR = {"strategies": ("whole network", "contracting"), "fractions": (80,)}


def test_test_values_stay_hidden_until_all_folds_of_a_cell_are_closed() -> None:
    trials = made_trials("d", **PAIR)
    drawn = table2.table2_table(cells_of(*[made_attempt(trial) for trial in trials[:3]], trials=trials))
    waiting = drawn[drawn["strategy"] == "contracting"].iloc[0]
    assert waiting["text"] == "1/2"
    assert all(math.isnan(waiting[name]) for name in ("mean", "level"))
    assert waiting["values"] == []
    assert not drawn["best"].any()
    assert "1 of 2 folds done" in waiting["hover"]


def test_one_fold_has_no_sd() -> None:
    trials = made_trials("d", folds=(0,), **PAIR)
    drawn = table2.table2_table(cells_of(*map(made_attempt, trials), trials=trials))
    assert drawn["sd"].isna().all()
    assert drawn["text"].str.contains("1 fold").all()


def test_each_row_runs_from_its_own_lowest_to_its_own_highest() -> None:
    trials = made_trials("d")
    drawn = table2.table2_table(cells_of(*map(made_attempt, trials), trials=trials))
    for _, row in drawn.groupby("row"):
        assert row.loc[row["mean"].idxmin(), "level"] == 0
        assert row.loc[row["mean"].idxmax(), "level"] == 1
        assert row.loc[row["best"], "mean"].round(3).eq(row["mean"].round(3).max()).all()
        assert row.loc[row["best"], "text"].str.startswith("<b>").all()


def test_an_unfinished_row_is_coloured_from_three_complete_cells() -> None:
    trials = made_trials("d", fractions=(80,), folds=(0,))
    two, three = (table2.table2_table(cells_of(*map(made_attempt, trials[:done]), trials=trials)) for done in (2, 3))
    assert two["level"].isna().all()
    assert two["mean"].notna().sum() == 2
    assert not two["coloured"].any()
    assert len(table2.table2(two).layout.shapes) == 2  # a faint frame for each
    assert three["level"].notna().sum() == 3
    assert three["coloured"].all()
    assert not table2.table2(three).layout.shapes


def test_a_complete_row_of_two_cells_is_coloured() -> None:
    trials = made_trials("d", **PAIR)
    drawn = table2.table2_table(cells_of(*map(made_attempt, trials), trials=trials))
    assert sorted(drawn["level"]) == [0, 1]


@pytest.mark.parametrize(("measure", "column"), [("HD95", "hd95"), ("false positives", "false_positive_rate")])
def test_of_measures_that_should_be_low_the_lowest_is_bold_and_best(measure: str, column: str) -> None:
    trials = made_trials("d", strategies=("whole network", "contracting", "block 9"), fractions=(80,))
    values = {"whole network": 0.02, "contracting": 0.01, "block 9": 0.3}
    attempts = [
        made_attempt(trial, normal_images=9, **{column: values[trial.strategy] * (1 if "rate" in column else 100)})
        for trial in trials
    ]
    drawn = table2.table2_table(cells_of(*attempts, trials=trials, measure=column), measure=measure)
    by_strategy = drawn.set_index("strategy")
    assert by_strategy["level"].idxmax() == "contracting"
    assert by_strategy["level"].idxmin() == "block 9"
    assert by_strategy.index[by_strategy["best"]].tolist() == ["contracting"]
    shown = {"HD95": "<b>1.0</b>", "false positives": "<b>1.0 %</b>"}[measure]
    assert by_strategy.loc["contracting", "text"].startswith(shown)
    assert f"{measure} {shown[3:-4]}" in by_strategy.loc["contracting", "hover"]
    said = answer.answer(cells_of(*attempts, trials=trials, measure=column), measure=measure)
    assert f"lowest mean test {'HD95 (mm)' if column == 'hd95' else measure}" in said
    assert said.index("contracting") < said.index("block\u00a09")


def test_undefined_distances_are_told_on_hover() -> None:
    trials = made_trials("d", **PAIR)
    attempts = [made_attempt(trial, hd95=3.0, hd95_undefined=2) for trial in trials]
    drawn = table2.table2_table(cells_of(*attempts, trials=trials, measure="hd95"), measure="HD95")
    assert "HD95 3.0 mm, sd 0.0, over 2 folds" in drawn.loc[0, "hover"]
    assert "undefined in 4 test images, in which nothing was predicted: counted, not averaged" in drawn.loc[0, "hover"]


def test_without_normal_images_there_are_no_false_positives_to_show() -> None:
    trials = made_trials("d", **PAIR)
    cell = cells_of(*map(made_attempt, trials), trials=trials, measure="false_positive_rate")
    drawn = table2.table2_table(cell, measure="false positives")
    assert drawn["text"].tolist() == ["–", "–"]
    assert "no test image is normal" in drawn.loc[0, "hover"]
    assert "false positives not measured" in answer.answer(cell, measure="false positives")


def test_a_cell_that_is_not_inferior_is_marked_and_intervals_stand_on_hover() -> None:
    trials = made_trials("d", **PAIR)
    ours = cells_of(*map(made_attempt, trials), trials=trials).assign(
        low=[0.8, float("nan")], high=[0.9, float("nan")], interval="bootstrap over 20 groups",
        not_inferior=[False, True], recommended="at most 0.004 below whole network",
    )  # fmt: skip
    theirs = comparison.beside(ours, comparison.published_cells(published.table2(), width=64, dataset="SUS"))
    drawn = table2.table2_table(pd.concat([ours, theirs], ignore_index=True))
    assert drawn["text"].str.contains("≈").tolist() == [False, True, False, False]
    assert "≈ at most 0.004 below whole network" in drawn.loc[1, "hover"]
    assert "95 % interval 0.800 to 0.900, bootstrap over 20 groups" in drawn.loc[0, "hover"]
    assert "interval" not in drawn.loc[1, "hover"]


def test_rows_of_several_studies_stand_below_each_other_with_their_names() -> None:
    trials = made_trials("d", **PAIR)
    one = cells_of(*map(made_attempt, trials), trials=trials).assign(study="one")
    other = made_trials("d", strategies=("whole network", "block 5"), fractions=(80, 5))
    two = cells_of(*map(made_attempt, other), trials=other).assign(study="two")
    assert list(table2.stacked({"one": one})["dataset"]) == ["made images"] * 2
    drawn = table2.table2_table(table2.stacked({"one": one, "two": two}))
    assert list(dict.fromkeys(drawn["row_label"])) == [
        "one: made images 80 %", "two: made images 80 %", "two: made images 5 %",
    ]  # fmt: skip
    assert (drawn["text"] == "–").sum() == 1 + 2  # one has no block 5, two no contracting
    figure = table2.table2(drawn, selected={"percent": "80 %", "strategy": "whole network", "study": "two"})
    assert len(figure.layout.shapes) == 1
    assert set(figure.data[1].customdata[:, 5]) == {"one", "two", ""}


def test_the_published_table_is_shown_digit_by_digit_and_missing_means_stay_missing() -> None:
    # Amiri et al. 2020, Table II: SUS 80 % whole network 0.834 (0.056); five means of FUS 50 % are not in the text.
    drawn = table2.table2_table(comparison.published_cells(published.table2(), width=published.WIDTH))
    assert len(drawn) == 12 * 13
    first = drawn.iloc[0]
    assert first["row_label"] == "SUS, Amiri et al. 2020 80 %"
    assert first["text"] == "<b>0.834</b><br><span style='font-size:11px'>(0.056)</span>"
    assert (drawn["text"] == "–").sum() == 5
    parameters = table2.parameter_rows(drawn)
    assert parameters.loc[0, "trainable"] == 31_030_593
    assert parameters.loc[1, "percent"].round(1) == 30.3


def test_the_table_is_one_heatmap_with_text_and_one_trace_of_squares() -> None:
    drawn = table2.table2_table(comparison.published_cells(published.table2(), width=published.WIDTH))
    figure = table2.table2(drawn)
    assert [trace.type for trace in figure.data] == ["heatmap", "scatter"]
    assert sum(text != "" for text in np.asarray(figure.data[0].text).ravel()) == 12 * 13
    assert len(figure.data[1].x) == 12 * 13
    assert len(figure.layout.annotations) == 4  # a name per data set
    assert set(figure.data[1].customdata[:, 0]) == {"published"}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("colours", ["red-green", "colour-blind safe"])
def test_lowest_and_highest_have_the_ends_of_the_scale(colours: Any, dark: bool) -> None:
    trials = made_trials("d")
    figure = table2.table2(
        table2.table2_table(cells_of(*map(made_attempt, trials), trials=trials)), colours=colours, dark=dark
    )
    scale = figure.data[0].colorscale
    assert (scale[2], scale[-1]) == ((0.5, SCALES[colours, dark][0]), (1.0, SCALES[colours, dark][-1]))
    z = np.asarray(figure.data[0].z, dtype=float)
    assert np.nanmin(z) == 0
    assert np.nanmax(z) == 1


def test_the_chosen_cell_is_framed_and_only_ours_can_be() -> None:
    trials = made_trials("d", **PAIR)
    ours = cells_of(*map(made_attempt, trials), trials=trials)
    theirs = comparison.beside(ours, comparison.published_cells(published.table2(), width=64, dataset="SUS"))
    drawn = table2.table2_table(pd.concat([ours, theirs]))
    figure = table2.table2(drawn, selected={"percent": "80 %", "strategy": "contracting"})
    assert len(figure.layout.shapes) == 1
    assert set(drawn["dataset"]) == {"made images", "SUS, Amiri et al. 2020"}
    assert set(theirs["strategy"]) == {"whole network", "contracting"}
    assert set(theirs["fraction"]) == {80}


def test_an_empty_table_gives_a_figure_that_says_so() -> None:
    figure = table2.table2(pd.DataFrame())
    assert "No trial" in figure.layout.annotations[0].text


def facts(**changes: Any) -> dict[str, Any]:
    data = {"name": "SUS", "kind": "folder", "images": 85, "compare_with": "SUS", "provenance": "SUS: real images."}
    settings = {"width": 64, "image_size": 256, "max_epochs": 200, "patience": 20, "precision": "float32"}
    return {
        "data": {**data, **{key: changes[key] for key in changes if key not in settings}},
        "settings": {**settings, **{key: changes[key] for key in changes if key in settings}},
    }


PAPER = {"sizes": published.SIZES, "width": published.WIDTH, "image_size": published.IMAGE_SIZE}


def test_a_difference_is_shown_only_where_data_width_and_size_match() -> None:
    assert comparison.why_no_difference(facts(), "dice", **PAPER) == ""
    assert comparison.why_no_difference(facts(kind="simulated", width=16, image_size=128), "dice", **PAPER) == (
        "No difference shown: these are simulated images made here, width 16 not 64, 128 not 256 pixels."
    )
    assert "84 images, not the 85 of SUS" in comparison.why_no_difference(facts(images=84), "dice", **PAPER)
    assert "names no published data set" in comparison.why_no_difference(facts(compare_with=None), "dice", **PAPER)
    assert "Dice only" in comparison.why_no_difference(facts(), "iou", **PAPER)


def test_differences_are_ours_minus_published() -> None:
    trials = made_trials("d", **PAIR)
    ours = cells_of(*[made_attempt(trial, dice=0.8) for trial in trials], trials=trials)
    theirs = comparison.published_cells(published.table2(), width=64, dataset="SUS")
    drawn = table2.table2_table(comparison.difference_cells(ours, theirs), kind="difference")
    # SUS 80 % in Table II: whole network 0.834, contracting 0.823
    assert list(drawn["text"]) == ["-0.034", "-0.023"]
    assert drawn["level"].iloc[0] == 0


def test_the_answer_names_test_means_only_of_complete_rows() -> None:
    trials = made_trials("d", **PAIR)
    attempts = [made_attempt(trial, dice=0.9 if trial.strategy == "contracting" else 0.8) for trial in trials]
    done = answer.answer(cells_of(*attempts, trials=trials))
    assert "highest mean test Dice 0.900 (0.000) for **contracting**" in done
    assert "Two folds: no test and no interval." in done
    running = answer.answer(cells_of(*attempts[:3], trials=trials))
    assert "test Dice" not in running
    assert "1 of 2 cells complete; by validation Dice so far" in running
    assert answer.answer(pd.DataFrame()) == "No trial is planned yet."


def test_while_a_study_runs_the_answer_ranks_complete_rows_by_validation_and_says_why() -> None:
    trials = made_trials("d", **PAIR)
    attempts = [made_attempt(trial, dice=0.9 if trial.strategy == "contracting" else 0.8) for trial in trials]
    said = answer.answer(cells_of(*attempts, trials=trials), running=True)
    assert "test Dice" not in said
    assert "fold" not in said
    assert "2 of 2 cells complete; by validation Dice so far **contracting** (0.88)" in said
    assert said.endswith(answer.RUNNING)


def test_the_answer_tells_rows_of_several_start_weights_apart() -> None:
    trials = made_trials("d", strategies=("whole network", "contracting"), fractions=(80,), starts=("A", "B"))
    said = answer.answer(cells_of(*map(made_attempt, trials), trials=trials))
    assert "With **80 %** of the images (A): highest" in said
    assert "With **80 %** of the images (B): highest" in said


def test_recommendations_stand_in_their_own_words_and_once_where_they_agree() -> None:
    def found(sentence: str) -> significance.Recommendation:
        images = pd.DataFrame({"strategy": ["x"], "fold": [0], "index": [0], "group": [""], "dice": [0.5]})
        row = pd.DataFrame({"strategy": ["x"], "complete": [True], "failed": [0], "trainable": [1]})
        return replace(significance.recommend(images, row), sentence=sentence)

    def row(start: str, fraction: float, done: int = 2) -> pd.DataFrame:
        complete = [place < done for place in range(2)]
        return pd.DataFrame({"start": start, "network": "", "fraction": fraction, "complete": complete})

    one, other = found("Fine-tune x."), found("The data cannot tell.")
    cells = pd.concat([row("A", 80.0), row("A", 5.0)])
    assert answer.advice({("A", "", 80.0): one, ("A", "", 5.0): one}, cells) == "**Recommendation:** Fine-tune x."
    assert answer.advice({("A", "", 80.0): one, ("A", "", 5.0): other}, cells) == (
        "**Recommendation, 5 %:** The data cannot tell.  \n**Recommendation, 80 %:** Fine-tune x."
    )
    two = pd.concat([row("A", 80.0), row("B", 80.0)])
    assert "**Recommendation, 80 % · B:**" in answer.advice({("A", "", 80.0): one, ("B", "", 80.0): other}, two)
    begun = pd.concat([row("A", 80.0), row("A", 5.0, done=1)])
    assert answer.advice({("A", "", 80.0): one, ("A", "", 5.0): one}, begun) == (
        "**So far, with 1 of 2 strategies done, 5 %:** Fine-tune x.  \n**Recommendation, 80 %:** Fine-tune x."
    )
    assert answer.advice({("A", "", 5.0): one}, begun) == "**So far, with 1 of 2 strategies done:** Fine-tune x."


def test_the_provenance_names_each_start_weights_and_the_network() -> None:
    start = {"name": "A", "description": "1,000 made images."}
    told = {**facts(), "start_weights": [start]}
    assert "start weights: 1,000 made images · U-Net, width 64, 256 × 256" in answer.provenance(told, pd.DataFrame())
    told = {**facts(), "start_weights": [start, {**start, "name": "B"}]}
    assert "start weights: A (1,000 made images); B (1,000 made images)" in answer.provenance(told, pd.DataFrame())
    assert "no start weights" in answer.provenance({**facts(), "start_weights": []}, pd.DataFrame())
    told["settings"]["model"] = "my.module:build"
    assert "my.module:build, 256 × 256" in answer.provenance(told, pd.DataFrame())


def test_a_run_without_its_process_is_called_interrupted() -> None:
    now = {"state": "running", "alive": False, "trials": 28, "closed": 12, "failed": 1, "seconds": 200}
    assert answer.progress_line(now) == "**interrupted** · **12 / 28** trials · 1 crashed · took 3 min 20 s"
    busy = {**now, "alive": True, "eta_seconds": 75, "phase": "training"}
    assert answer.progress_line(busy) == "**running** · **12 / 28** trials · 1 crashed · 1 min 15 s left · training"
    trains = {"strategy": "contracting", "fraction": 80.0, "fold": 0, "epoch": 7}
    assert answer.progress_line({**busy, "running": [trains]}).endswith("now contracting 80 % fold 0 (epoch 7)")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"), (45, "45 s"), (59.6, "1 min"), (75, "1 min 15 s"), (200, "3 min 20 s"), (599, "9 min 59 s"),
        (600, "10 min"), (725, "12 min"), (3590, "1 h 00 min"), (3900, "1 h 05 min"),
    ],
)  # fmt: skip
def test_durations_are_as_exact_as_they_need_to_be(seconds: float, words: str) -> None:
    assert answer.duration(seconds) == words


def test_the_fold_plot_stands_beside_the_whole_network_and_waits_for_all_folds() -> None:
    trials = made_trials("d", **PAIR)
    plan = plan_of(trials)
    whole = cells.fold_table(cells.trial_table(plan, attempts_of(*map(made_attempt, trials))))
    table = folds.folds_table(whole, 80.0, "contracting")
    assert list(table["strategy"]) == ["contracting"] * 2 + ["whole network"] * 2
    assert len(folds.folds(table).data) == 2
    assert len(set(folds.folds(table).data[0].marker.color)) == 2
    assert folds.folds(table).data[0].marker.symbol == ("circle", "diamond")
    apart = folds.folds(table, shared=False).data[0].marker
    assert len(set(apart.color)) == len(set(apart.symbol)) == 1, "a colour would say: the same images"
    beside = folds.folds_table(whole, 80.0, "whole network", "contracting")
    assert list(beside["strategy"]) == ["whole network"] * 2 + ["contracting"] * 2
    part = cells.fold_table(cells.trial_table(plan, attempts_of(*map(made_attempt, trials[:3]))))
    waiting = folds.folds_table(part, 80.0, "contracting")
    assert not len(waiting)
    assert "when all folds" in folds.folds(waiting).layout.annotations[0].text


def test_a_fold_says_its_epochs_and_images_and_the_mean_its_interval_once_they_are_known() -> None:
    trials = made_trials("d", folds=(0, 3), **PAIR)
    plan = plan_of(trials)
    whole = cells.fold_table(cells.trial_table(plan, attempts_of(*map(made_attempt, trials))))
    table, row = folds.folds_table(whole, 80.0, "contracting"), cells.cell_table(whole, plan, "made images")
    assert list(table["epochs"]) == [[15]] * 4
    before = folds.folds(folds.with_means(table, row))
    assert before.data[2].hovertext[1].startswith("contracting, fold 3, 15 epochs (cut off)<br>Dice 0.")
    assert "n =" not in before.data[2].hovertext[1]
    known = row.assign(
        low=0.7, high=0.9, interval="bootstrap over 9 groups", images=40.0, fold_images=[[30, 10]] * 2,
        fold_groups=[[8, 1]] * 2,
    )  # fmt: skip
    dots, mean = folds.folds(folds.with_means(table, known)).data[2:]
    assert [text.split(", n = ")[1] for text in dots.hovertext] == [
        "30 test images of 8 groups", "10 test images of 1 group",
    ]  # fmt: skip
    assert "n = 40 test images<br>95 % interval 0.700 to 0.900, bootstrap over 9 groups" in mean.hovertext


def test_curves_have_training_validation_and_best_epoch_per_fold() -> None:
    trials = made_trials("d", strategies=("contracting",), fractions=(80,))
    attempts = [made_attempt(trial) for trial in trials]
    epochs = pd.DataFrame(
        [{"id": done.trial.id, "number": 1, **vars(epoch)} for done in attempts for epoch in done.epochs]
    )
    table = curves.curves_table(epochs, cells.trial_table(plan_of(trials), attempts_of(*attempts)))
    assert len(table) == 2 * 15
    assert list(table.loc[table["best"], "epoch"]) == [done.best_epoch for done in attempts]
    assert [trace.name for trace in curves.curves(table).data[:3]] == [
        "fold 0, training", "fold 0, validation", "fold 0, best epoch",
    ]  # fmt: skip
    assert curves.curves(table.iloc[:0]).layout.annotations[0].text


def test_epochs_are_written_with_what_was_trained_in_front_and_without_empty_columns() -> None:
    trials = made_trials("d", strategies=("contracting", "from scratch"), fractions=(80,))
    attempts = [made_attempt(trial) for trial in trials]
    epochs = pd.DataFrame(
        [{"id": done.trial.id, "number": 1, **vars(epoch)} for done in attempts for epoch in done.epochs]
    )
    trained = cells.trial_table(plan_of(trials), attempts_of(*attempts))
    table = curves.tidy_curves(curves.curves_table(epochs, trained), trained)
    assert list(table)[:5] == ["start", "strategy", "fraction", "learning_rate", "fold"]
    assert list(table)[6:10] == ["epoch", "training_loss", "validation_loss", "validation"]
    assert not {"network", "test_loss", "validation_accuracy"} & set(table)
    assert len(table) == 2 * 2 * 15
    whole = table.groupby(["strategy", "fold"])["best"].sum()
    assert whole.tolist() == [1] * 4
    sheet = curves.tidy_curves(curve_sheet.curve_sheet_table(epochs, trained), trained)
    assert list(sheet)[:10] == list(table)[:10]
    assert len(sheet) == len(table)


def test_outlines_are_yellow_and_cyan_and_keep_the_sources_proportions() -> None:
    truth, prediction = np.zeros((2, 32, 32), np.uint8)
    truth[4:12, 4:12], prediction[20:28, 20:28] = 1, 1
    drawn = outlines.outlined(np.zeros((32, 32), np.uint8), truth, prediction, aspect=2.0, longest=400)
    assert drawn.shape == (200, 400, 3)
    above, below = drawn[:100], drawn[100:]
    assert above[..., 0].max() > 200  # yellow has red
    assert below[..., 0].max() < 100  # cyan has little
    assert below[..., 2].max() > 200


def test_a_frame_without_mask_stays_gray() -> None:
    image = np.random.default_rng(0).integers(0, 255, (16, 16), dtype=np.uint8)
    drawn = outlines.outlined(image, np.zeros((16, 16), np.uint8))
    assert np.array_equal(drawn[..., 0], drawn[..., 2])


@given(draw.integers(1, 20))
def test_packed_masks_come_back_as_they_were(side: int) -> None:
    mask = np.random.default_rng(side).integers(0, 2, (side, side), dtype=np.uint8)
    assert np.array_equal(outlines.unpack(np.packbits(mask).tobytes(), side), mask)


def test_worst_and_best_images_are_different_ones() -> None:
    trials = cells.trial_table(
        plan := plan_of(made_trials("d", strategies=("block 9",), fractions=(80,), folds=(0,))),
        attempts_of(made_attempt(made_trials("d", strategies=("block 9",), fractions=(80,), folds=(0,))[0])),
    )
    images = pd.DataFrame(
        {"id": plan["id"].iloc[0], "number": 1, "image": list("abcde"), "dice": [0.5, 0.1, 0.9, 0.3, 0.7],
         "empty_truth": False, "predicted_pixels": 9}
    )  # fmt: skip
    table = outlines.extremes_table(images, trials, 4)
    assert list(table["image"]) == ["b", "d", "c", "e"]
    assert list(table["end"]) == ["worst", "worst", "best", "best"]


def test_normal_images_are_ordered_by_predicted_pixels_and_never_by_dice() -> None:
    trials = made_trials("d", strategies=("block 9",), fractions=(80,), folds=(0,))
    plan = plan_of(trials)
    images = pd.DataFrame(
        {"id": plan["id"].iloc[0], "number": 1, "image": list("abcd"), "dice": [0.5, 1.0, 0.0, 0.8],
         "empty_truth": [False, True, True, False], "predicted_pixels": [7, 0, 30, 5]}
    )  # fmt: skip
    found = cells.trial_table(plan, attempts_of(*map(made_attempt, trials)))
    table = outlines.extremes_table(images, found, 4)
    assert list(table["end"] + " " + table["image"]) == ["worst a", "best d", "normal c", "normal b"]


def test_made_attempts_keep_normal_images_out_of_dice() -> None:
    source = discs(20)
    masks = source.masks.copy()
    masks[::5] = 0  # the test images of fold 0
    masks[0] = source.masks[0]
    dataset = make_dataset(name="d", provenance="made", images=source.images, masks=masks, table=source.table)
    attempt = made_attempt(made_trials("d", strategies=("block 9",), folds=(0,))[0], dataset)
    assert attempt.normal_images == 3
    assert attempt.dice == attempt.test_images[0].dice


def test_frames_are_filtered_and_sorted_by_coverage() -> None:
    masks = np.zeros((3, 4, 4), np.uint8)
    masks[0, :2], masks[1, :1] = 1, 1
    table = frames.frames_table(
        pd.DataFrame({"image": list("abc"), "group": ["x", "y", "x"], "source_width": 8, "source_height": 4}), masks
    )
    assert list(table["coverage"]) == [50, 25, 0]
    assert list(frames.filtered(table, {"group": ["x"]}, "coverage")["image"]) == ["c", "a"]
    assert list(frames.filtered(table, {"group": []}, "coverage", descending=True)["image"]) == ["a", "b", "c"]
    assert "empty" in frames.caption(table.iloc[2])
