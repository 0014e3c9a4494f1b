"""Failed folds that were trained again, in tables, figures, files and words: beside the results, never among them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.figures import scratch
from dashboard.figures.cells import CHOSEN, cell_table, choices, fold_table, trial_table
from dashboard.figures.measures import DICE
from dashboard.figures.repeats import ROW, SOURCE, repeat_cells, repeat_trials, told, with_repeats
from dashboard.figures.table2 import table2, table2_table
from dashboard.report import grid as grids
from dashboard.report.findings import Findings, read_findings
from dashboard.report.latex import latex_table
from dashboard.report.methods import methods
from dashboard.report.page import report_page
from dashboard.report.tidy import tidy_tables
from engine.repeats import repeats
from engine.steering import trial_states
from engine.store import Store
from engine.study_settings import Study
from engine.trained import BEST, find_trial, trained_trials
from engine.trial import Trial
from tests.drawn_page import drawn_page
from tests.made_commands import here, printed
from tests.made_store import attempts_of, made_attempt, made_store, made_trials, plan_of

WHOLE, SCRATCH = "whole network", "from scratch"
STUDY = Study(name="made", repeat_failed=2)
SHAPE: dict[str, Any] = {"strategies": (WHOLE, "contracting", SCRATCH), "fractions": (80,), "folds": (0, 1, 2)}


def fails(trial: Trial) -> bool:
    """From scratch fails in folds 0 and 1; fold 1 fails when it is trained again, too, and then converges."""
    return trial.strategy == SCRATCH and (trial.fold, trial.repeat) in ((0, 0), (1, 0), (1, 1))


def state(trial: Trial) -> Mapping[str, Any]:
    return {"state": "not_converged", "cut_at": None} if fails(trial) else {}


def with_all_repeats(trials: list[Trial], study: Study = STUDY, fails: Callable[[Trial], bool] = fails) -> list[Trial]:
    """The plan as a run has it at its end."""
    every = [*trials, *(replace(one, repeat=number) for one in trials for number in (1, 2))]
    states = {one.id: "not_converged" if fails(one) else "completed" for one in every}
    return [*trials, *repeats(study, trials, states)]


def made(dice: Mapping[int, float], **shape: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Plan and attempts; `dice` of what was trained again, by fold."""
    trials = with_all_repeats(made_trials("d", **{**SHAPE, **shape}))
    found = [
        made_attempt(one, **({"dice": dice[one.fold]} if one.repeat and not fails(one) else {}), **state(one))
        for one in trials
    ]
    return plan_of(trials), attempts_of(*found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study in a store, with repeats and (`plain`) without."""
    folder = tmp_path_factory.mktemp("repeats")
    for study in ("made", "plain"):
        store = made_store(
            folder / "r", folder / "c", study=study, images=25, image_size=32, changes=lambda place, one: state(one),
            **SHAPE,
        )  # fmt: skip
    facts, data = store.facts("made"), store.plan("made")["data"].iloc[0]
    trials = with_all_repeats(made_trials(data, image_size=32, **SHAPE))
    store.write_plan("made", trials, facts)
    for one in trials:
        if one.repeat:  # better than everything else, so that who takes them in is seen
            store.append("made", made_attempt(one, dice=0.99, validation_dice=0.999, **state(one)), weights=b"0")
        elif one.strategy == WHOLE:
            store.files.write(f"made/weights/{one.id}.safetensors", b"0")
    return folder


@pytest.fixture(scope="module")
def both(folder: Path) -> tuple[Findings, Findings]:
    return read_findings(Store.at(folder / "r"), "made"), read_findings(Store.at(folder / "r"), "plain")


def test_the_mean_is_over_the_folds_that_were_trained_again_and_over_no_other() -> None:
    plan, attempts = made({0: 0.7, 1: 0.8})
    (row,) = repeat_cells(repeat_trials(plan, attempts), plan, "SUS").to_dict("records")
    assert (row["source"], row["dataset"], row["strategy"]) == (SOURCE, "SUS" + ROW, SCRATCH)
    assert row["mean"] == pytest.approx(0.75)
    assert row["values"] == pytest.approx([0.7, 0.8])
    assert (row["folds"], row["trainings"], row["failed"], row["complete"]) == (2, 3, 1, True)


def test_cells_and_choices_do_not_know_of_repeats() -> None:
    plan, attempts = made({0: 0.7, 1: 0.8}, seeds=(0, 1))
    before = plan[plan["repeat"] == 0].drop(columns="repeat")
    tables = [cell_table(fold_table(trial_table(one, attempts)), one, "SUS") for one in (plan, before)]
    pd.testing.assert_frame_equal(*tables)
    assert tables[0].set_index("strategy").loc[SCRATCH, ["failed", "trainings", "folds"]].tolist() == [4, 6, 3]
    assert choices(plan) == choices(before)
    assert choices(plan).seeds == [0, 1]


def test_a_seed_shows_its_own_repeats() -> None:
    plan, attempts = made({0: 0.7, 1: 0.8}, seeds=(0, 1))
    every, one = repeat_trials(plan, attempts), repeat_trials(plan, attempts, seed=1)
    assert (len(every), len(one), set(one["seed"])) == (6, 3, {1})


def test_before_a_cell_is_complete_nothing_is_said_of_its_repeats() -> None:
    plan, attempts = made({0: 0.7, 1: 0.8})
    open_fold = plan.loc[(plan["strategy"] == SCRATCH) & (plan["fold"] == 2), "id"]
    assert repeat_trials(plan, attempts[~attempts["id"].isin(open_fold)]).empty


def test_repeats_that_wait_are_counted_and_a_study_without_them_has_no_row() -> None:
    plan, attempts = made({0: 0.7, 1: 0.8})
    waiting = repeat_cells(repeat_trials(plan, attempts[attempts["repeat"] == 0]), plan, "SUS")
    assert told(waiting, DICE) == ["SUS, from scratch, 80 %: 2 failed folds trained again, 0 done"]
    assert np.isnan(waiting.loc[0, "mean"])
    old = plan[plan["repeat"] == 0].drop(columns="repeat")
    assert repeat_cells(repeat_trials(old, attempts), old, "SUS").empty


def test_with_several_rates_only_what_failed_at_all_of_them_counts_and_one_is_chosen_on_validation() -> None:
    rates = (1e-3, 1e-4)
    trials = made_trials("d", strategies=(SCRATCH,), fractions=(80,), folds=(0, 1), rates=rates)

    def failing(trial: Trial) -> bool:
        return not trial.repeat and (trial.fold == 0 or trial.learning_rate == 1e-3)

    trials = with_all_repeats(trials, fails=failing)
    assert [(one.fold, one.learning_rate) for one in trials if one.repeat] == [(0, 1e-3), (0, 1e-4)]
    attempts = attempts_of(
        *(
            made_attempt(
                one, dice=0.6 if one.learning_rate == 1e-4 else 0.8,
                validation_dice=0.9 if one.learning_rate == 1e-4 else 0.5,
                **({"state": "not_converged"} if failing(one) else {}),
            )
            for one in trials
        )
    )  # fmt: skip
    plan = plan_of(trials)
    chosen = repeat_cells(repeat_trials(plan, attempts, CHOSEN), plan, "SUS").iloc[0]
    assert (chosen["mean"], chosen["folds"], chosen["rates"]) == (pytest.approx(0.6), 1, [1e-4])
    fixed = repeat_cells(repeat_trials(plan, attempts, 1e-3), plan, "SUS").iloc[0]
    assert (fixed["mean"], fixed["folds"]) == (pytest.approx(0.8), 1)


def test_their_row_of_table_2_is_neither_coloured_nor_ranked_and_leaves_the_others_alone(
    both: tuple[Findings, Findings],
) -> None:
    found, plain = both
    drawn = table2_table(with_repeats(found.cells, found.repeats_of(DICE)))
    again = drawn[drawn["repeats"]]
    assert list(dict.fromkeys(again["dataset"])) == ["SUS (simulated)" + ROW]
    assert again["level"].isna().all()
    assert not again["best"].any()
    columns = ["strategy", "mean", "level", "best", "text", "hover"]
    before = table2_table(plain.cells)
    pd.testing.assert_frame_equal(drawn.loc[~drawn["repeats"], columns].reset_index(drop=True), before[columns])
    hover = again.set_index("strategy")["hover"]
    assert "2 failed folds trained again, not ranked" in hover[SCRATCH]
    assert "1 of 3 failed to converge again" in hover[SCRATCH]
    assert "no failed fold trained again" in hover[WHOLE]
    assert len(table2(drawn).layout.annotations) == 2  # a name above each part


def test_a_fold_that_failed_every_time_is_no_part_of_the_mean_of_repeats() -> None:
    trials = with_all_repeats(made_trials("d", **SHAPE), fails=lambda one: one.strategy == SCRATCH and one.fold == 1)
    found = [
        made_attempt(one, **({"state": "not_converged"} if one.strategy == SCRATCH and one.fold == 1 else {}))
        for one in trials
    ]
    plan, attempts = plan_of(trials), attempts_of(*found)
    never = repeat_cells(repeat_trials(plan, attempts), plan, "SUS")
    assert told(never, DICE) == ["SUS, from scratch, 80 %: 1 failed fold trained again, 0 of 2 trainings converged"]
    assert table2_table(never).loc[0, "text"] == "failed"
    plan, attempts = made({0: 0.7, 1: 0.8})
    lost = plan.loc[plan["repeat"] == 2, "id"]
    attempts.loc[attempts["id"].isin(lost), "state"] = "not_converged"
    some = repeat_cells(repeat_trials(plan, attempts), plan, "SUS")
    assert told(some, DICE)[0].endswith("1 of 3 trainings converged, Dice 0.700 over 1 fold")
    assert "Dice 0.700, over 1 fold<br>" in table2_table(some).loc[0, "hover"]


def test_nothing_that_ranks_tests_or_recommends_takes_them(both: tuple[Findings, Findings]) -> None:
    found, plain = both
    pd.testing.assert_frame_equal(found.cells.drop(columns="study"), plain.cells.drop(columns="study"))
    pd.testing.assert_frame_equal(found.images.drop(columns="id"), plain.images.drop(columns="id"))
    assert [row.recommendation.sentence for row in found.rows if row.recommendation] == [
        row.recommendation.sentence for row in plain.rows if row.recommendation
    ]
    assert found.advice == plain.advice
    one, other = (tidy_tables(findings) for findings in both)
    for name in ("images", "differences", "tukey"):
        assert one[name] == other[name]


def test_files_have_them_in_rows_of_their_own(both: tuple[Findings, Findings], folder: Path) -> None:
    found, plain = (tidy_tables(findings) for findings in both)
    for name in ("cells", "folds"):
        mine = [line for line in found[name].splitlines() if ROW not in line]
        assert [line.replace(",made,", ",plain,") for line in mine] == plain[name].splitlines()
        assert f"SUS (simulated){ROW}" in found[name]
    for words in (("results", "--csv"), ("table", "--format", "csv"), ("table", "--format", "json")):
        said = here(words[0], "made", *words[1:], "--store", "r", folder=folder).stdout
        assert said.count(SOURCE) == 1, words


def test_terminal_latex_and_report_say_what_became_of_failed_folds(
    both: tuple[Findings, Findings], folder: Path
) -> None:
    found, plain = both
    line = "SUS (simulated), from scratch, 80 %: 2 failed folds trained again, 2 of 3 trainings converged, Dice 0.990 "
    line += "over 2 folds"
    assert line in " ".join(printed(Store.at(folder / "r"), "made").split())
    assert "trained again" not in printed(Store.at(folder / "r"), "plain")
    table = here("table", "made", "--store", "r", "--width", "120", folder=folder).stdout
    assert "failed folds again" in table
    assert "0.990" in table
    assert [group.dataset for group in grids.grid(found).groups] == ["SUS (simulated)", "SUS (simulated)" + ROW]
    assert "failed folds again" in latex_table(found)
    words = " ".join(paragraph.text for paragraph in methods(found))
    assert "Two failed folds were trained again from other initial weights (from start weights: in another" in words
    assert "of these three trainings two converged" in words
    assert "trained again" not in " ".join(paragraph.text for paragraph in methods(plain))
    assert "failed folds again" in report_page(found)


def test_figure_3_tells_of_them_and_keeps_its_means(both: tuple[Findings, Findings]) -> None:
    found, plain = both
    table, before = scratch.scratch_table(found.cells, found.repeats_of(DICE)), scratch.scratch_table(plain.cells)
    pd.testing.assert_frame_equal(table.drop(columns="again"), before)
    assert scratch.repeats_note(table) == [
        "In no mean: SUS (simulated), from scratch, 80 %: 2 failed folds trained again, 2 of 3 trainings converged, "
        "Dice 0.990 over 2 folds."
    ]
    assert not scratch.repeats_note(before)
    said = [trace.hovertext for trace in scratch.scratch(table).data]
    told = [text for texts in said if texts is not None for text in texts]
    assert sum("2 of 3 trainings converged" in text for text in told) == 1


def test_no_repeat_is_the_best_trained_trial_and_trials_name_them(folder: Path) -> None:
    store = Store.at(folder / "r")
    table = trained_trials(store, "made")
    assert list(table["repeat"]) == sorted(table["repeat"])
    assert table["best_validation"].iloc[0] < table["best_validation"].max()
    best = table.set_index("id").loc[find_trial(store, "made", BEST)]
    assert (best["strategy"], best["repeat"]) == (WHOLE, 0)
    assert sorted(trial_states(store, "made")["repeat"]) == [0] * 9 + [1, 1, 2]
    said = here("trials", "made", "--store", "r", folder=folder).stdout
    assert said.count("of a failed fold") == 3


@pytest.mark.parametrize("page", ["results", "comparisons", "running"])
def test_pages_say_what_became_of_failed_folds_and_offer_no_repeat_as_a_seed(
    page: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "r"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "c"))
    app = drawn_page(page, "made", state={"pages": {}})
    words = " ".join(caption.value for caption in app.caption)
    if page == "results":
        assert "Failed folds again: failed folds trained again, what begins at random" in words
        assert "99" not in " ".join(one.value for one in app.markdown)  # the answer knows the cells alone
    elif page == "comparisons":
        assert "In no mean: SUS (simulated), from scratch, 80 %: 2 failed folds trained again" in words
    else:
        assert list(app.dataframe[0].value["repeat"]) == [0] * 9 + [1, 1, 2]
    assert not [one for one in app.get("button_group") if one.label == "Seed"]
