"""A run whose folds fail: they are trained again, the failures stay, and the setting may be raised later."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dashboard.report.findings import read_findings
from engine.hardware import share, this_machine
from engine.search import running
from engine.search.own_ray import own_ray
from engine.store import Store
from engine.study_settings import (
    DataSettings,
    FoldSettings,
    ModelSettings,
    ResourceSettings,
    Study,
    TrainingSettings,
)

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(900),  # a busy machine takes minutes to start Ray
    pytest.mark.filterwarnings("default"),  # Ray's own warnings are not ours to fix
]

STUDY = Study(
    name="s",
    model=ModelSettings(width=2, image_size=32),
    data=DataSettings(kind="simulated", images=15),
    strategies=("from scratch",),
    reference="from scratch",
    fractions=(80.0,),
    folds=FoldSettings(of=5, run=(0, 1)),
    training=TrainingSettings(max_epochs=2, batches_per_epoch=2),
    resources=ResourceSettings(gpu=0.0),
)
DIVERGES = """
name: s
model: {width: 2, image_size: 32}
data: {kind: simulated, images: 15}
strategies: [from scratch]
reference: from scratch
learning_rates: [1.0e+30]
fractions: [80]
folds: {of: 5, run: [0, 1, 2, 3]}
training: {max_epochs: 4, batches_per_epoch: 5}
resources: {gpu: off, at_once: 1}
repeat_failed: 2
"""
"""With this rate the loss is no number after the first steps."""


@pytest.fixture(scope="module", autouse=True)
def shared_ray() -> Iterator[None]:
    """One Ray for all runs of this file that are no processes of their own."""
    portion = share(this_machine(), ResourceSettings(gpu=0.0), STUDY.model)
    with own_ray(portion.cpu * portion.at_once):
        yield


def failing(fails: Callable[[Mapping[str, Any]], bool]) -> Callable[[Mapping[str, Any]], None]:
    """A worker whose real trainings of 2 epochs have failed where `fails`, as those of 200 do that do not stop."""

    def train(config: Mapping[str, Any]) -> None:
        from engine import training
        from engine.search import worker

        training.PAPER_CAP = 2 if fails(config["trial"]) else 200
        try:
            worker.train_trial(config)
        finally:
            training.PAPER_CAP = 200

    return train


def test_failed_folds_are_trained_again_in_rows_of_their_own_and_the_setting_may_grow(tmp_path: Path) -> None:
    store, told = Store.at(tmp_path / "r"), list[dict[str, Any]]()
    train = failing(lambda trial: trial["fold"] == 1 and trial["repeat"] < 2)
    assert running.run(STUDY, store, tmp_path / "c", None, train)["closed"] == 2
    first, cells = store.attempts("s"), read_findings(store, "s").cells
    assert first.set_index("fold")["state"].to_dict() == {0: "completed", 1: "not_converged"}
    assert (cells.loc[0, "failed"], cells.loc[0, "trainings"]) == (1, 2)

    # A finished study with the setting raised trains the failed fold alone, and that fails once more.
    once = replace(STUDY, repeat_failed=1)
    counts = running.run(once, store, tmp_path / "c", lambda row: told.append(dict(row)), train)
    assert (counts["trials"], counts["closed"]) == (3, 3)
    after = store.attempts("s")
    (again,) = after[~after["id"].isin(first["id"])].to_dict("records")
    assert (again["fold"], again["repeat"], again["seed"], again["state"]) == (1, 1, 0, "not_converged")
    losses = after.set_index("fold").loc[1, "validation_loss"]
    assert losses.nunique() == 2  # other initial weights, other numbers
    assert {row["repeat"] for one in told for row in one["running"]} == {1}
    assert told[-1]["trials"] == 3

    twice = replace(STUDY, repeat_failed=2)
    assert running.run(twice, store, tmp_path / "c", None, train)["closed"] == 4
    findings = read_findings(store, "s")
    pd.testing.assert_frame_equal(findings.cells, cells)
    (row,) = findings.repeats_of(findings.main).to_dict("records")
    good = store.attempts("s").query("repeat == 2").iloc[0]
    assert (row["folds"], row["trainings"], row["failed"], row["complete"]) == (1, 2, 1, True)
    assert row["mean"] == pytest.approx(good["dice"])
    assert good["state"] == "completed"
    kept = store.attempts("s").set_index("id").loc[first["id"]]
    assert (kept["started"] == first.set_index("id")["started"]).all()


def test_one_run_finds_its_failures_and_goes_on_until_a_repeat_converges(tmp_path: Path) -> None:
    store, told = Store.at(tmp_path / "r"), list[dict[str, Any]]()
    train = failing(lambda trial: trial["repeat"] < 1)
    study = replace(STUDY, repeat_failed=3)
    counts = running.run(study, store, tmp_path / "c", lambda row: told.append(dict(row)), train)
    assert (counts["trials"], counts["closed"], counts["failed"]) == (4, 4, 0)
    assert (told[-1]["trials"], told[-1]["closed"]) == (4, 4)
    assert 2 in {row["trials"] for row in told}  # nobody knows of failures before they are there
    assert sorted(store.attempts("s")["repeat"]) == [0, 0, 1, 1]
    assert list(store.plan("s")["repeat"]) == [0, 0, 1, 1]
    assert running.run(study, store, tmp_path / "c", None, train) == counts
    assert len(store.attempts("s")) == 4


def test_a_run_that_was_killed_among_its_repeats_goes_on_with_those_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(DIVERGES)
    words = [sys.executable, "-m", "whichlayers", "run", "s.yaml", "--store", "r", "--cache", "c"]
    store = Store.at(tmp_path / "r")
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        while not (done := store.attempts("s")).query("repeat > 0").shape[0]:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    before = store.attempts("s")
    assert len(done) <= len(before) < 12
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "12/12 trials" in told.stderr
    after = store.attempts("s")
    assert sorted(after["repeat"]) == [0] * 4 + [1] * 4 + [2] * 4
    assert set(after["state"]) == {"not_converged"}
    assert after["id"].is_unique  # nothing ran twice, but what was killed while it ran
    listed = subprocess.run(
        [*words[:3], "trials", "s", "--store", "r"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert listed.count("repeat 2 of a failed fold") == 4
