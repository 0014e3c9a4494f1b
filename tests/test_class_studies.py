"""Studies of classes: start weights, plans, and one run under a real Ray."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from engine import study as planning
from engine.class_pretraining import class_start_weights, held_out_classes
from engine.datasets import Dataset, open_dataset
from engine.errors import DataError, StrategyError, WeightsError
from engine.preparation import prepare
from engine.pretraining import load_held_out
from engine.search import running
from engine.store import Store
from engine.study_settings import (
    DataSettings,
    FoldSettings,
    ModelSettings,
    SplitSettings,
    StartSettings,
    Study,
    TrainingSettings,
)
from engine.trial import AS_PRETRAINED
from tests.made_classes import views, write_frames

MADE = StartSettings(kind="formula-driven images", classes=3, images=30, batches=3, batch_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"), views(24))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def a_study(folder: Path, **changes: object) -> Study:
    plain = Study(
        name="views",
        model=ModelSettings(name="cvcnet", width=4, image_size=32),
        data=DataSettings(learn="labels", folder=str(folder)),
        start_weights=(MADE,),
        strategies=("output layers", "whole network", "from scratch"),
        fractions=(75.0,),
        folds=FoldSettings(of=4, run=(0,)),
        training=TrainingSettings(max_epochs=2, batches_per_epoch=2, batch_size=4, augmentation=None),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def other_scanner(folder: Path, **changes: object) -> Study:
    """Trained on scanner A's rows of the folder, adapted to B's."""
    return a_study(
        folder,
        data=DataSettings(learn="labels", folder=str(folder), where={"scanner": ("B",)}),
        start_weights=(StartSettings(kind="folder", where={"scanner": ("A",)}, name="A", batches=3, batch_size=4),),
        strategies=("input layers", "whole network"),
        folds=FoldSettings(of=2, run=(0, 1)),
        fractions=(50.0,),
        **changes,
    )


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
def test_a_study_of_classes_runs_under_ray_and_keeps_what_pages_need(folder: Path, cache: Path, tmp_path: Path) -> None:
    store, study = Store.at(tmp_path), other_scanner(folder)
    counts = running.run(study, store, cache)
    assert counts == {"trials": 6, "closed": 6, "failed": 0, "cancelled": 0, "stopped_early": 0}
    facts, attempts = store.facts("views"), store.attempts("views")
    assert facts["settings"]["task"] == "classification"
    assert facts["data"]["classes"] == ["kidney", "liver"]
    assert facts["parameters"]["whole network"]["trainable"] == facts["parameters"]["whole network"]["total"]
    (start,) = facts["start_weights"]
    assert start["classes"] == ["kidney", "liver"]
    assert 0 <= start["own_accuracy"] <= 1
    assert attempts["kept_accuracy"].notna().all()
    assert attempts["dice"].isna().all()
    assert store.has_embeddings("views") == set(attempts["id"])
    assert set(attempts["strategy"]) == {"input layers", "whole network", AS_PRETRAINED}
    images = store.test_images("views")
    assert set(images["label"]) == {"kidney", "liver"}
    assert images["probabilities"].map(len).eq(2).all()
    assert running.run(study, store, cache)["closed"] == 6
    assert len(store.attempts("views")) == 6


def test_start_weights_of_the_same_recipe_are_found_again(folder: Path, cache: Path) -> None:
    said: list[str] = []
    first = class_start_weights(MADE, a_study(folder), 2, cache)
    again = class_start_weights(MADE, a_study(folder), 2, cache, lambda part, text: said.append(text))
    assert first == again
    assert any(line.startswith("start weights: found") for line in said)
    assert first.classes == ("formula 000", "formula 001", "formula 002")
    assert "accuracy" in first.description
    assert "chance: 0.33" in first.description


def test_groups_that_are_adapted_to_are_left_out_of_start_weights(tmp_path: Path, cache: Path) -> None:
    rows = views(24)
    rows[0]["group"] = rows[3]["group"]  # one patient seen through both scanners
    study = other_scanner(write_frames(tmp_path, rows))
    path = held_out_classes(study.start_weights[0], study, cache)
    assert path is not None
    held_out = load_held_out(path)
    assert held_out.labels is not None
    weights = class_start_weights(study.start_weights[0], study, 2, cache)
    assert "without 1 groups that are adapted to" in weights.description
    seen = {image.tobytes() for image in held_out.images}
    own = open_dataset(study.data, 32, cache)
    assert not any(np.ascontiguousarray(image).tobytes() in seen for image in own.images)


def test_a_strategy_that_freezes_a_new_output_layer_is_refused_with_the_remedy(
    folder: Path, cache: Path, tmp_path: Path
) -> None:
    study = a_study(folder, strategies=("input layers",))
    with pytest.raises(StrategyError, match=r"are for 3 other classes: .* is frozen by input layers; add it"):
        prepare(study, Store.at(tmp_path), cache, lambda *_: None)


def test_weights_of_other_classes_are_not_tested_as_they_are(folder: Path, cache: Path, tmp_path: Path) -> None:
    ready = prepare(a_study(folder), Store.at(tmp_path), cache, lambda *_: None)
    assert AS_PRETRAINED not in {trial.strategy for trial in ready.trials}
    assert {trial.strategy: trial.new_output for trial in ready.trials} == {
        "output layers": True,
        "whole network": True,
        "from scratch": False,
    }


def test_rates_and_iterations_follow_the_batch_size(folder: Path, cache: Path, tmp_path: Path) -> None:
    training = TrainingSettings(iterations=1000, batch_size=32, rates_for_batch=256, unit_rates={"head": 10.0})
    study = a_study(folder, training=training, learning_rates=(1e-3,), split=SplitSettings(validation=0.0))
    trials = prepare(study, Store.at(tmp_path), cache, lambda *_: None).trials
    assert {trial.iterations for trial in trials} == {8000}
    assert {trial.learning_rate for trial in trials} == {1.25e-4}
    assert {trial.unit_rates for trial in trials} == {'{"head":10.0}'}


def test_given_sets_are_one_fold(tmp_path: Path, cache: Path) -> None:
    rows = [{**row, "split": "test" if number >= 15 else "train"} for number, row in enumerate(views(24))]
    given = write_frames(tmp_path / "frames", rows)
    study = a_study(given, split=SplitSettings(by="given"), folds=FoldSettings(of=1, run=(0,)), fractions=(100.0, 50.0))
    dataset = open_dataset(study.data, 32, cache)
    sizes = planning.split_sizes(study, dataset)
    assert sizes["test"].tolist() == [9, 9]
    assert sizes["training"].iloc[0] + sizes["validation"].iloc[0] == 15
    assert sizes["training"].iloc[1] < sizes["training"].iloc[0]
    with pytest.raises(DataError, match="no image says its set"):
        planning.split_sizes(replace(study, data=replace(study.data, folder=None, kind="folder")), no_sets(dataset))


def no_sets(dataset: Dataset) -> Dataset:
    return replace(dataset, table=dataset.table.assign(split=""))


def test_a_file_brings_its_output_layer_where_it_is_for_as_many_classes(
    folder: Path, cache: Path, tmp_path: Path
) -> None:
    study = a_study(folder)
    made = class_start_weights(MADE, study, 2, cache)
    tensors = load_file(made.path)
    path = tmp_path / "three.safetensors"
    save_file(tensors, path)
    settings = StartSettings(kind="file", file=str(path))
    assert not class_start_weights(settings, study, 2, cache).has_output
    assert class_start_weights(settings, study, 3, tmp_path / "other").has_output
    missing = StartSettings(kind="file", file=str(tmp_path / "none.pt"))
    with pytest.raises(WeightsError, match="is no file; give the path of an existing file"):
        class_start_weights(missing, study, 2, cache)
