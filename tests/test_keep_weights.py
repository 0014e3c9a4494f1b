"""Which trained tensors a study keeps, under a real Ray: after a run, after further ones, and what pages say then."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.trained_trials import TrainedStudies
from engine.errors import StoreError
from engine.hardware import share, this_machine
from engine.search import running
from engine.search.own_ray import own_ray
from engine.store import Store
from engine.study_settings import (
    DataSettings,
    FoldSettings,
    ModelSettings,
    ResourceSettings,
    StartSettings,
    Study,
    TrainingSettings,
)
from engine.trained import find_trial

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("default"),  # Ray's own warnings are not ours to fix
]
APP = str(Path(__file__).resolve().parents[1] / "dashboard" / "app.py")


def study(policy: Literal["all", "best", "none"], *folds: int) -> Study:
    return Study(
        name=policy,
        question="Which weights stay?",
        model=ModelSettings(width=2, image_size=32),
        data=DataSettings(kind="simulated", images=15),
        start_weights=(StartSettings(images=20, batches=4),),
        strategies=("whole network", "block 9"),
        fractions=(80.0,),
        folds=FoldSettings(of=5, run=folds),
        training=TrainingSettings(max_epochs=2, batches_per_epoch=2),
        keep_weights=policy,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where all runs of this file lie, with one Ray for them."""
    portion = share(this_machine(), ResourceSettings(gpu=0.0), study("all", 0).model)
    with own_ray(portion.cpu * portion.at_once):
        yield tmp_path_factory.mktemp("runs")


def best_folds(store: Store, name: str) -> set[str]:
    """Of each strategy, and of the start weights as they are, the fold that validates best; the table tells it."""
    done: pd.DataFrame = store.attempts(name).query("state == 'completed'")
    order = done.sort_values(["validation_dice", "validation_loss", "fold"], ascending=[False, True, True])
    return set(order.drop_duplicates("strategy")["id"])


def opened(page: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **chosen: str) -> AppTest:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "cache"))
    found = AppTest.from_file(APP, default_timeout=120)
    for key, value in {"open": page, "study": name, **chosen}.items():
        found.query_params[key] = value
    found.run()
    assert not found.exception
    return found


def test_of_each_cell_the_best_fold_stays_after_a_run_and_after_those_that_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, cache = Store.at(folder / "results"), folder / "cache"
    monkeypatch.setattr(running, "keep_best_fold", lambda *_: [])  # workers alone see to it
    running.run(study("best", 0, 1), store, cache)
    assert len(store.attempts("best")) == 6
    first = best_folds(store, "best")
    assert store.has_weights("best") == first
    assert len(first) == 3

    running.run(study("best", 0, 1, 2), store, cache)
    assert len(store.attempts("best")) == 9
    assert store.has_weights("best") == best_folds(store, "best")

    monkeypatch.undo()
    # A worker that is killed between its row and its look leaves what is not the best.
    worse = next(name for name in store.plan("best")["id"] if name not in best_folds(store, "best"))
    store.files.write(f"best/weights/{worse}.safetensors", b"left")
    running.run(study("best", 0, 1, 2), store, cache)
    assert len(store.attempts("best")) == 9
    assert store.has_weights("best") == best_folds(store, "best")
    assert find_trial(store, "best", "best") in best_folds(store, "best")
    with pytest.raises(StoreError, match=rf"^study 'best': trained weights '{worse}[^\n]*'keep_weights: all'[^\n]*$"):
        find_trial(store, "best", worse[:8])


def test_where_no_weights_stay_masks_are_shown_and_the_rest_says_why_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, cache = Store.at(folder / "results"), folder / "cache"
    for folds in ((0,), (0, 1)):
        running.run(study("none", *folds), store, cache)
        assert len(store.attempts("none")) == 3 * len(folds)
        assert store.has_weights("none") == set()
    assert not store.test_images("none", masks=True)["predicted_mask"].isna().any()
    line = "study 'none': of 6 finished trials no trained weights were kept (its 'keep_weights')"
    with pytest.raises(StoreError) as caught:
        find_trial(store, "none", "best")
    assert str(caught.value).startswith(line)
    assert line in TrainedStudies(store).nothing_yet()
    assert [said.value[: len(line)] for said in opened("features", "none", folder, monkeypatch).info] == [line]
    masks = opened("masks", "none", folder, monkeypatch, masks="gallery")
    assert any("images 1 to 6 of 6" in str(said.value) for said in [*masks.caption, *masks.markdown])


def test_a_study_that_keeps_only_the_best_from_now_on_gives_room_back(folder: Path) -> None:
    store, cache = Store.at(folder / "results"), folder / "cache"
    running.run(study("all", 0, 1), store, cache)
    assert store.has_weights("all") == set(store.plan("all")["id"])
    running.run(replace(study("best", 0, 1), name="all"), store, cache)
    assert store.has_weights("all") == best_folds(store, "all")
