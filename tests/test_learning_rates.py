"""What each strategy reaches at each learning rate: table, figure, page, report."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard import kept
from dashboard.figures.cells import CHOSEN, trial_table
from dashboard.figures.learning_rates import NOT_YET, has_several, learning_rates, learning_rates_table
from engine.store import Store
from engine.trial import Trial
from tests.drawn_page import drawn_page, texts
from tests.made_store import made_attempt, made_store

RATES = (1e-3, 1e-4, 1e-5)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two strategies on two parts of the images at three rates, in the store that pages read."""
    monkeypatch.setenv("WHICHLAYERS_STORE", str(tmp_path / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(tmp_path / "cache"))
    return made_store(
        tmp_path / "results", tmp_path / "cache", strategies=("whole network", "block 9"), fractions=(80, 5),
        folds=(0, 1, 2), rates=RATES,
    )  # fmt: skip


def table_of(store: Store) -> pd.DataFrame:
    return learning_rates_table(store.plan("made"), store.attempts("made"), "SUS")


def test_every_rate_has_a_row_and_validation_chooses_one_in_each_fold(store: Store) -> None:
    table = table_of(store)
    assert len(table) == 2 * 2 * 3
    first = table[(table["strategy"] == "whole network") & (table["fraction"] == 80)]
    assert first["learning_rate"].tolist() == sorted(RATES)
    assert (first["folds"] == 3).all()
    attempts = store.attempts("made")
    own = attempts[(attempts["strategy"] == "whole network") & (attempts["fraction"] == 80)]
    for row in first.itertuples():
        values = own.loc[own["learning_rate"] == row.learning_rate, "dice"]
        assert row.mean == pytest.approx(values.mean())
        assert row.sd == pytest.approx(values.std(ddof=1))
    chosen = trial_table(store.plan("made"), attempts, CHOSEN)
    chosen = chosen[(chosen["strategy"] == "whole network") & (chosen["fraction"] == 80)]
    counted = chosen["learning_rate"].value_counts()
    assert dict(zip(first["learning_rate"], first["chosen"], strict=True)) == {
        rate: int(counted.get(rate, 0)) for rate in RATES
    }
    assert (first["choices"] == 3).all()


def test_nothing_is_told_of_a_cell_before_all_its_rates_are_trained(store: Store) -> None:
    plan, attempts = store.plan("made"), store.attempts("made")
    late = plan[(plan["strategy"] == "block 9") & (plan["fraction"] == 5) & (plan["learning_rate"] == 1e-3)]["id"]
    table = learning_rates_table(plan, attempts[attempts["id"] != late.iloc[0]], "SUS")
    assert not len(table[(table["strategy"] == "block 9") & (table["fraction"] == 5)])
    assert len(table) == 9
    nothing = learning_rates_table(plan, attempts.iloc[:0], "SUS")
    assert not len(nothing)
    assert learning_rates(nothing).layout.annotations[0].text == NOT_YET


def test_a_failed_training_is_left_out_and_counted(store: Store) -> None:
    plan, attempts = store.plan("made"), store.attempts("made")
    own = attempts.index[(attempts["strategy"] == "block 9") & (attempts["learning_rate"] == 1e-3)]
    attempts.loc[own[0], "state"] = "not_converged"
    table = learning_rates_table(plan, attempts, "SUS")
    row = table[(table["fraction"] == attempts.loc[own[0], "fraction"]) & (table["learning_rate"] == 1e-3)]
    (failed,) = [one for one in row.itertuples() if one.strategy == "block 9"]
    assert (failed.failed, len(failed.values), failed.folds) == (1, 2, 3)
    hover = "".join(text for trace in learning_rates(table).data for text in trace.hovertext or ())
    assert "1 failed to converge, left out" in hover


def test_a_panel_has_its_strategys_line_on_the_rows_scale_and_a_ring_at_the_chosen_rate(store: Store) -> None:
    table = table_of(store)
    table["chosen"] = np.where(table["learning_rate"] == 1e-4, 2, np.where(table["learning_rate"] == 1e-5, 1, 0))
    figure = learning_rates(table)
    rings = [trace for trace in figure.data if trace.name == "chosen"]
    assert [list(ring.x) for ring in rings] == [[1e-4]] * 4
    means = [trace for trace in figure.data if trace.name == "mean"]
    assert [list(trace.x) for trace in means] == [sorted(RATES)] * 4
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.ticktext) == ["1e-5", "1e-4", "1e-3"]
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range
    assert "chosen on validation in 2 of 3 trainings" in "".join(means[0].hovertext)
    assert "80 %" in figure.layout.yaxis.title.text


def test_rates_that_differ_by_fold_are_dots_without_a_line() -> None:
    rows = [
        {"dataset": "d", "start": "s", "network": "", "fraction": 80.0, "strategy": "block 9", "learning_rate": rate,
         "mean": 0.8, "sd": np.nan, "values": [0.8], "validation": 0.7, "folds": 1, "of": 3, "failed": 0, "chosen": 1,
         "choices": 3}
        for rate in (2e-5, 7e-5, 3e-4, 8e-4, 9e-4)
    ]  # fmt: skip
    figure = learning_rates(pd.DataFrame(rows))
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert [len(trace.x) for trace in lines] == [0]
    assert len(next(trace for trace in figure.data if trace.name == "mean").x) == 5
    assert list(figure.layout.xaxis.ticktext) == ["2e-5", "1e-4", "9e-4"]


@pytest.mark.parametrize(
    ("rates", "written"),
    [
        ([1e-4, 1.2e-4, 1.4e-4], ["1e-4", "1.2e-4", "1.4e-4"]),
        ([1.25e-4, 1.25e-3], ["1.25e-4", "1.25e-3"]),
        ([2e-4, 3e-4, 4e-4, 6e-4, 8e-4], ["2e-4", "8e-4"]),
        ([1e-5, 3e-5, 1e-4, 3e-4, 1e-3], ["1e-5", "1e-4", "1e-3"]),
    ],
)
def test_rates_are_written_as_they_are_and_within_the_axis(rates: list[float], written: list[str]) -> None:
    rows = [
        {"dataset": "d", "start": "s", "network": "", "fraction": 80.0, "strategy": "block 9", "learning_rate": rate,
         "mean": 0.8, "sd": 0.1, "values": [0.8, 0.8], "validation": 0.7, "folds": 2, "of": 2, "failed": 0, "chosen": 0,
         "choices": 2}
        for rate in rates
    ]  # fmt: skip
    axis = learning_rates(pd.DataFrame(rows)).layout.xaxis
    assert list(axis.ticktext) == written
    assert all(axis.range[0] <= np.log10(value) <= axis.range[1] for value in axis.tickvals)


def test_where_no_rate_converged_none_was_chosen(store: Store) -> None:
    plan, attempts = store.plan("made"), store.attempts("made")
    lost = (attempts["strategy"] == "block 9") & (attempts["fraction"] == 5) & (attempts["fold"] == 0)
    attempts.loc[lost, "state"] = "not_converged"
    table = learning_rates_table(plan, attempts, "SUS")
    own = table[(table["strategy"] == "block 9") & (table["fraction"] == 5)]
    assert (own["choices"] == 2).all()
    assert own["chosen"].sum() == 2
    assert (own["failed"] == 1).all()


def test_statistics_are_computed_again_when_a_rate_that_is_not_chosen_ends_last(store: Store, tmp_path: Path) -> None:
    held: list[Trial] = []

    def finished(place: int, trial: Trial) -> bool:
        last = trial.strategy == "block 9" and trial.learning_rate == 1e-3 and trial.fold == 2
        held.extend([trial] * last)
        return not last

    made_store(
        tmp_path / "results", tmp_path / "cache", study="late", strategies=("whole network", "block 9"),
        fractions=(80,), folds=(0, 1, 2), rates=(1e-3, 1e-4), finished=finished,
    )  # fmt: skip
    place = str(tmp_path / "results"), "late"
    before = kept.row_keys(*place, "before", CHOSEN, "dice", None)
    store.append("late", made_attempt(held[0], validation_dice=0.01, validation_loss=9.0))
    after = kept.row_keys(*place, "after", CHOSEN, "dice", None)
    assert before.keys() == after.keys()
    assert before != after


def test_the_page_draws_it_and_says_how_to_have_several_rates(store: Store, tmp_path: Path) -> None:
    page = drawn_page("comparisons", "made")
    said = texts(page)
    assert "Learning rate" in said
    assert "validation images choose in most trainings" in said
    made_store(tmp_path / "results", tmp_path / "cache", study="one", strategies=("whole network",), fractions=(80,))
    assert "learning_rates: [1e-4, 3e-4]" in texts(drawn_page("comparisons", "one"))
    assert not has_several(store.plan("one"))
