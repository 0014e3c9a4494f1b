"""Curves of trainings that run now: written seldom, gone at the end, read by pages; how far strategies have come."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard import machine_use
from dashboard.figures.live import live, live_key, live_table, standing_table
from engine.errors import StoreError
from engine.live_curves import COLUMNS, LAST, NAMES, LiveCurves, live_curves
from engine.store import Lease, Store
from engine.studies import pack
from engine.trial import Epoch, Trial
from tests.made import trial
from tests.made_cells import made_cells, words_of

FILE = "s/live.json"


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def epoch(number: int, loss: float = 0.5, dice: float | None = 0.6) -> Epoch:
    return Epoch(epoch=number, training_loss=loss, validation_loss=loss + 0.1, validation_dice=dice, seconds=1.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.at(tmp_path)
    made.begin("s", "name: s\n")
    return made


def told(store: Store, *trials: Trial, epochs: int = 3) -> LiveCurves:
    """What a run tells of trainings that have come so far."""
    curves = LiveCurves(store, "s", Clock())
    for one in trials:
        curves.begin(one)
        for number in range(1, epochs + 1):
            curves.add(one, epoch(number))
    curves.tell()
    store.write_progress("s", {"state": "running", "running": [{"id": one.id} for one in trials]})
    return curves


def test_pages_read_the_epochs_of_what_runs_while_the_run_is_alive(store: Store) -> None:
    first, second = trial("block 9"), trial("block 1", fold=2)
    told(store, first, second)
    assert live_curves(store, "s").empty  # nobody holds the lease: a dead run's file says nothing
    with Lease(store.files, "s"):
        found = live_curves(store, "s")
    assert list(found.columns) == COLUMNS
    assert list(found["id"]) == [first.id] * 3 + [second.id] * 3
    assert list(found["epoch"]) == [1, 2, 3, 1, 2, 3]
    assert found["validation"].tolist() == [0.6] * 6
    assert found["validation_loss"].tolist() == pytest.approx([0.6] * 6)


def test_a_file_that_a_killed_run_left_is_not_taken_for_the_next_runs(store: Store) -> None:
    told(store, trial("block 9"))
    store.write_progress("s", {"state": "preparing", "running": []})
    with Lease(store.files, "s"):
        assert live_curves(store, "s").empty


def test_a_classification_tells_its_accuracy(store: Store) -> None:
    curves = LiveCurves(store, "s", Clock())
    scored = Epoch(
        epoch=1, training_loss=0.5, validation_loss=None, validation_dice=None, seconds=1.0, validation_accuracy=0.9
    )
    curves.add(trial(task="classification"), scored)
    curves.tell()
    store.write_progress("s", {"state": "running", "running": [{"id": trial(task="classification").id}]})
    with Lease(store.files, "s"):
        found = live_curves(store, "s")
    assert found["validation"].tolist() == [0.9]
    assert np.isnan(found["validation_loss"].iloc[0])


def test_the_file_is_written_once_a_second_at_most_and_only_when_something_is_new(store: Store) -> None:
    clock, one = Clock(), trial()
    curves = LiveCurves(store, "s", clock)
    curves.add(one, epoch(1))
    curves.tell()
    first = store.files.read(FILE)
    curves.add(one, epoch(2))
    clock.now = 0.9
    curves.tell()
    assert store.files.read(FILE) == first
    clock.now = 1.0
    curves.tell()
    assert store.files.read(FILE) != first
    store.files.delete(FILE)
    clock.now = 9.0
    curves.tell()
    assert store.files.read(FILE) is None


def test_of_a_long_training_the_newest_epochs_are_told_and_of_one_that_ended_none(store: Store) -> None:
    one = trial()
    curves = told(store, one, epochs=LAST + 5)
    with Lease(store.files, "s"):
        found = live_curves(store, "s")
        assert (len(found), found["epoch"].min(), found["epoch"].max()) == (LAST, 6, LAST + 5)
        curves._told = float("-inf")
        curves.end(one)
        curves.tell()
        assert live_curves(store, "s").empty


def test_the_file_goes_with_the_run_and_does_not_travel_with_the_study(store: Store, tmp_path: Path) -> None:
    curves = told(store, trial())
    pack(store, "s", tmp_path / "s.zip")
    assert b"live.json" not in (tmp_path / "s.zip").read_bytes()
    curves.close()
    assert store.files.read(FILE) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'[{"id": 1}]', b"\xff", b'[{"id": "a", "epochs": [[1]]}]'])
def test_a_damaged_file_shows_no_curves(store: Store, content: bytes) -> None:
    store.files.write(FILE, content)
    store.write_progress("s", {"state": "running", "running": [{"id": "a"}]})
    with Lease(store.files, "s"):
        assert live_curves(store, "s").empty


def test_a_disk_that_refuses_ends_no_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, content: bytes) -> None:
        raise StoreError("disk full")

    curves = told(store, trial())
    curves.close()
    curves._told = float("-inf")
    monkeypatch.setattr(store.files, "write", refuse)
    curves.add(trial(), epoch(4))
    curves.tell()
    curves.close()
    assert store.files.read(FILE) is None


def running(*trials: Trial, epochs: int = 3) -> pd.DataFrame:
    rows = [
        [*(getattr(one, name) for name in NAMES), number, 0.5, 0.6, 0.7]
        for one in trials
        for number in range(1, epochs + 1)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_names_say_what_differs_and_colours_stay_when_others_end() -> None:
    one, two, three = trial("block 9"), trial("block 9", seed=1), trial("block 1", fold=3)
    table = live_table(running(one, two, three))
    assert list(dict.fromkeys(table["name"])) == [
        "block 9, 80 %, fold 0, seed 0", "block 9, 80 %, fold 0, seed 1", "block 1, 80 %, fold 3, seed 0",
    ]  # fmt: skip
    assert table.drop_duplicates("id")["colour"].nunique() == 3
    again = live_table(running(one, trial("block 1", fold=3, repeat=1)))
    assert list(dict.fromkeys(again["name"])) == ["block 9, 80 %, fold 0, repeat 0", "block 1, 80 %, fold 3, repeat 1"]
    after = live_table(running(three))
    assert list(dict.fromkeys(after["name"])) == ["block 1, 80 %, fold 3"]
    many = live_table(running(*(trial(fold=fold) for fold in range(40))))
    assert many["colour"].notna().all()
    assert "block 1, 80 %, fold 3" in live_key(after)


def test_a_training_has_two_losses_and_a_score() -> None:
    table = live_table(running(trial(), trial(fold=1)))
    figure = live(table, measure="Dice", loss="binary cross entropy")
    assert len(figure.data) == 6
    assert [trace.line.dash for trace in figure.data[:3]] == ["3px,3px", "solid", "solid"]
    assert {trace.xaxis for trace in figure.data} == {"x", "x2"}
    assert figure.layout.yaxis.title.text == "binary cross entropy"
    assert figure.layout.yaxis2.title.text == "validation Dice"
    assert "No training has finished an epoch" in words_of(live(table.iloc[:0]))


def test_strategies_stand_by_validation_and_test_values_only_where_all_folds_are_done() -> None:
    cells = made_cells({(f"block {block}", 80): (0.5 + 0.1 * block,) * 2 for block in (1, 2, 3, 4)})
    cells = cells.assign(
        validation=[0.75, 0.85, 0.95, np.nan], complete=[True, True, False, False], folds_done=[2, 2, 1, 0]
    )
    table = standing_table(cells)
    assert list(table["strategy"]) == ["block 3", "block 2", "block 1", "block 4"]
    assert table["rank"].tolist()[:3] == [1, 2, 3]
    assert table["test"].isna().tolist() == [True, False, False, True]


def test_the_machines_use_is_told_with_gpus_only_where_there_are_some() -> None:
    use = machine_use.machine_use()
    assert 0 <= use.percent <= 100
    assert 0 < use.used_bytes < use.total_bytes
    plain = machine_use.MachineUse(percent=50.0, cores=2, used_bytes=2**30, total_bytes=4 * 2**30)
    assert machine_use.told(plain) == "This machine: processor 50 % of 2 cores, memory 1.0 of 4.0 GB"
    gpu = machine_use.GpuUse(name="H100", percent=90.0, used_bytes=2**33, total_bytes=2**34)
    with_gpu = machine_use.MachineUse(percent=50.0, cores=2, used_bytes=2**30, total_bytes=4 * 2**30, gpus=(gpu,))
    assert machine_use.told(with_gpu).endswith("4.0 GB · H100 90 %, memory 8.0 of 16.0 GB")
