"""Table II without Ray: in pieces, every planned trial closed once, under the ids that a run by Ray plans."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from benchmarks import table2_gpu
from benchmarks.without_ray import lacks_memory, pieces, run_piece
from dashboard.figures.comparison import published_cells
from engine import published
from engine.preparation import prepare
from engine.store import Store, is_running
from engine.study_settings import (
    DataSettings,
    FoldSettings,
    ModelSettings,
    ResourceSettings,
    StartSettings,
    Study,
    TrainingSettings,
)
from engine.trial import Attempt
from tests.made import attempt
from tests.made_memory import short_of_memory

STUDY = Study(
    name="small",
    model=ModelSettings(width=2, image_size=32),
    data=DataSettings(kind="simulated", images=20),
    start_weights=(StartSettings(images=20, batches=2),),
    strategies=("block 9", "from scratch"),
    reference="from scratch",
    fractions=(80.0,),
    folds=FoldSettings(of=5, run=(0, 1)),
    training=TrainingSettings(max_epochs=2, batches_per_epoch=2),
    resources=ResourceSettings(gpu=0.0),
    keep_weights="none",
)


def test_an_interrupted_table_goes_on_and_closes_every_trial_of_a_ray_run_once(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "results")

    def interrupt(progress: Mapping[str, Any]) -> None:
        if progress["closed"]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_piece(STUDY, store, tmp_path / "cache", at_once=1, listen=interrupt)
    first = store.attempts(STUDY.name)
    assert len(first) == 1
    assert store.progress(STUDY.name)["state"] == "stopped"
    assert not is_running(store.files, STUDY.name)

    piece = run_piece(STUDY, store, tmp_path / "cache", at_once=2)
    rows = store.attempts(STUDY.name)
    planned = prepare(STUDY, Store.at(tmp_path / "other"), tmp_path / "cache", lambda part, text: None).trials
    assert sorted(rows["id"]) == sorted(trial.id for trial in planned)  # each once, the test of the start too
    assert set(rows["state"]) == {"completed"}
    assert set(first["id"]) < set(rows["id"])
    assert (piece.trials, piece.closed, piece.failed) == (6, 6, 0)
    assert store.progress(STUDY.name)["state"] == "finished"
    assert [one["closed"] for one in pieces(store, STUDY.name)] == [0, 6]
    assert rows.set_index("strategy").loc["block 9", "kept_dice"].notna().all()


def test_where_memory_runs_out_fewer_run_at_once_and_the_trial_is_tried_again(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "results")
    heard: list[Mapping[str, Any]] = []
    piece = run_piece(STUDY, store, tmp_path / "cache", at_once=2, listen=heard.append, train=short_of_memory)
    rows = store.attempts(STUDY.name)
    assert piece.at_once == 1
    assert (piece.trials, piece.closed, piece.failed) == (6, 5, 1)
    assert rows["id"].is_unique
    (crash,) = rows[rows["state"] == "error"].to_dict("records")
    assert (crash["strategy"], crash["fold"]) == ("from scratch", 1)
    assert "out of memory" in crash["error"]
    assert any("1 at once from here on" in progress["error"] for progress in heard)


def test_no_trial_begins_when_the_time_is_over(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "results")
    piece = run_piece(STUDY, store, tmp_path / "cache", seconds=0.0)
    assert (piece.trials, piece.closed) == (6, 0)
    assert len(store.attempts(STUDY.name)) == 0
    assert store.progress(STUDY.name)["state"] == "stopped"


def test_only_what_lacks_memory_lowers_how_many_run() -> None:
    assert lacks_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert lacks_memory(MemoryError())
    assert not lacks_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not lacks_memory(ValueError("out of memory"))


def stored(store: Store, study: Study, dice: Callable[[Attempt], float]) -> None:
    """Every trial of `study` closed, with the Dice that is made for it."""
    ready = prepare(study, store, Path(store.files.root) / "cache", lambda part, text: None)
    store.write_plan(study.name, ready.trials, ready.facts)
    for trial in ready.trials:
        plain = attempt(trial)
        store.append(study.name, replace(plain, dice=dice(plain)))


def test_the_table_stands_beside_the_published_one_with_tau_b(tmp_path: Path) -> None:
    study = replace(
        STUDY,
        strategies=("whole network", "contracting", "block 5", "block 9"),
        reference="whole network",
        fractions=(80.0, 50.0, 5.0),
        data=replace(STUDY.data, images=100, compare_with="BUS"),
    )
    there = published_cells(published.table2(), width=64, dataset="BUS")
    known = there.set_index(["strategy", "fraction"])["mean"]
    store = Store.at(tmp_path)

    def reversed_at_five(made: Attempt) -> float:
        trial = made.trial
        if trial.fraction == 0:
            return 0.1
        mean = float(known[trial.strategy, trial.fraction])
        return 1 - mean if trial.fraction == 5 else mean

    stored(store, study, reversed_at_five)
    cells = table2_gpu.cells_of(store, study)
    lines = table2_gpu.printed_table(cells, ["whole network", "contracting", "block 5", "block 9"], there)
    heads = [f"{fraction} %, ours (n) | published" for fraction in (80, 50, 5)]
    assert lines[0] == f"| | {' | '.join(heads)} | tau-b over fractions |"
    assert lines[2].startswith("| whole network | 0.774 (2) | 0.774 | 0.769 (2) | 0.769 | 0.337 (2) | 0.663 | 1.00 |")
    orders = [cell.strip() for cell in lines[-1].split("|")[2::2]]
    assert orders[:3] == ["1.00", "1.00", "-1.00"]
    table = table2_gpu.costs(store, study)
    assert table.loc["block 9", "trainings"] == 6
    assert table.loc["block 9", "s per epoch"] == pytest.approx(0.5)
    assert table2_gpu.printed_costs(table, ["block 9", "unknown"])[2] == "| block 9 | 6 | 3.0 | 1.50 | 0.500 |"


def test_a_cell_without_all_its_folds_has_no_mean() -> None:
    cell = pd.DataFrame([{"folds_done": 3, "failed": 0, "complete": False}])
    assert table2_gpu._counted(cell) == "3 folds so far"
