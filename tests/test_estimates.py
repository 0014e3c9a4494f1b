"""What a study will take: counted from its plan, timed here, kept per machine."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine import estimates
from engine.errors import StudyFileError
from engine.estimates import START_SECONDS, Estimate, Timing, estimate
from engine.preparation import preview
from engine.store import Store
from engine.study_settings import (
    DataSettings,
    FoldSettings,
    ModelSettings,
    RateSearch,
    ResourceSettings,
    StartSettings,
    Study,
    TrainingSettings,
)
from tests.made import attempt
from tests.made_commands import here

STUDY = Study(
    name="s",
    model=ModelSettings(width=2, image_size=32),
    data=DataSettings(kind="simulated", images=15),
    strategies=("whole network", "from scratch"),
    fractions=(80.0,),
    folds=FoldSettings(of=5, run=(0, 1)),
    training=TrainingSettings(max_epochs=50, patience=5, batches_per_epoch=10),
    resources=ResourceSettings(at_once=1, gpu=0.0),
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache, on a machine whose steps take 0.1 s and whose looks take 0.01 s."""
    monkeypatch.setattr(
        estimates, "_measured", lambda trial, dataset: Timing(step_seconds=0.1, image_seconds=0.01, tensor_bytes=4000)
    )
    return tmp_path / "cache"


def test_trials_time_and_disk_are_added_up(tmp_path: Path, cache: Path) -> None:
    found = estimate(STUDY, Store.at(tmp_path / "r"), cache)
    assert (found.trials, found.done, found.left, found.at_once) == (6, 0, 6, 1)
    # Four trainings of 10 steps and 2 images an epoch, 5 epochs after the first at the least; 3 test images each.
    fewest, most = (4 * (epochs * (10 * 0.1 + 2 * 0.01) + 3 * 0.01) + 2 * 3 * 0.01 for epochs in (6, 50))
    assert found.low_seconds == pytest.approx(START_SECONDS + fewest)
    assert found.high_seconds == pytest.approx(START_SECONDS + most)
    assert found.start_seconds == pytest.approx(7000 * 0.1 * 2)  # batches of four there, of two here
    assert found.disk_bytes >= 6 * 4000
    assert found.free_bytes > 0
    assert {cost.strategy: cost.trials for cost in found.strategies}["whole network"] == 2


def test_what_is_done_and_rates_that_are_yet_to_be_chosen_are_counted(tmp_path: Path, cache: Path) -> None:
    searched = replace(
        STUDY,
        strategies=("from scratch",),
        rate_search=RateSearch(draws=4, search="optuna"),
        training=replace(STUDY.training, max_epochs=5),
    )
    store = Store.at(tmp_path / "r")
    whole = estimate(searched, store, cache)
    assert (whole.trials, whole.left, whole.start_seconds) == (8, 8, 0.0)
    assert whole.low_seconds == whole.high_seconds
    store.append("s", attempt(preview(searched, store, cache)[2][0], validation_dice=0.5))
    part = estimate(searched, store, cache)
    assert (part.trials, part.done, part.left) == (8, 1, 7)
    assert part.low_seconds < whole.low_seconds


def test_more_gpus_than_there_are_are_told_before_anything_is_timed(tmp_path: Path, cache: Path) -> None:
    wrong = replace(STUDY, resources=ResourceSettings(gpu=99.0))
    with pytest.raises(StudyFileError, match=r"99 GPUs per trial asked for; this machine has"):
        estimate(wrong, Store.at(tmp_path / "r"), cache)


def test_a_step_is_timed_once_per_machine(tmp_path: Path) -> None:
    study = replace(
        STUDY, start_weights=(StartSettings(),), strategies=("whole network",), folds=FoldSettings(of=5, run=(0,))
    )
    first = estimate(study, Store.at(tmp_path / "r"), tmp_path / "cache")
    assert first.strategies[0].step_seconds > 0
    kept = sorted((tmp_path / "cache" / "timings").iterdir())
    assert len(kept) == 2  # the strategy, and the test of the start weights
    written = [path.read_bytes() for path in kept]
    again = estimate(study, Store.at(tmp_path / "r"), tmp_path / "cache")
    assert replace(again, free_bytes=first.free_bytes) == first
    assert [path.read_bytes() for path in kept] == written
    kept[0].write_text("{")
    assert isinstance(estimate(study, Store.at(tmp_path / "r"), tmp_path / "cache"), Estimate)
    assert json.loads(kept[0].read_text())["image_seconds"] > 0


def test_a_dry_run_says_it_in_words_and_for_programs(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "data: {kind: simulated, images: 15}\nmodel: {width: 2, image_size: 32}\nstrategies: from scratch\n"
        "fractions: [80]\nfolds: {run: [0]}\ntraining: {batches_per_epoch: 36, max_epochs: 100, patience: 9}\n"
        "resources: {gpu: off}\nsearch: {scheduler: asha}\n"
    )
    said = here("run", "s.yaml", "--dry-run", "--cache", str(cache), folder=tmp_path).stdout
    assert "about 46 s to 6 min 12 s: early stopping decides" in said
    assert "  from scratch: 1 trials, 100 ms a step, 36 s to 6 min 2 s each" in said
    assert "do not enter Table II" in said
    told = json.loads(here("run", "s.yaml", "--dry-run", "--json", "--cache", str(cache), folder=tmp_path).stdout)
    assert (told["trials"], told["left"], told["split"][0]["test"]) == (1, 1, 3)
    assert here("run", "s.yaml", "--json", folder=tmp_path).returncode == 2
