"""Studies of classes: start weights, plans, and one run under a real Ray."""

from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from engine import study as planning
from engine.class_pretraining import class_start_weights, held_out_classes
from engine.datasets import Dataset, open_dataset
from engine.embeddings import before_training
from engine.errors import DataError, StrategyError, WeightsError
from engine.preparation import prepare, preview
from engine.pretraining import load_held_out
from engine.search import running
from engine.search.worker import train_trial
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


def test_the_name_and_checksum_of_a_file_are_told_as_they_are_now(folder: Path, cache: Path, tmp_path: Path) -> None:
    study = a_study(folder)
    path = tmp_path / "first.safetensors"
    save_file(load_file(class_start_weights(MADE, study, 2, cache).path), path)
    checksum = sha256(path.read_bytes()).hexdigest()
    made = class_start_weights(StartSettings(kind="file", file=str(path)), study, 2, cache)
    assert made.description == f"weights of the file first.safetensors (SHA-256 {checksum[:12]})"
    assert made.recipe["file"] == checksum
    renamed = StartSettings(kind="file", file=str(path.rename(tmp_path / "second.safetensors")))
    for known in ((), (made,)):
        found = class_start_weights(renamed, study, 2, cache, known=known)
        assert found.description == f"weights of the file second.safetensors (SHA-256 {checksum[:12]})"
        assert found.path == made.path


def nothing_is_made(*_: object) -> None:
    raise AssertionError("start weights were made")


def starts_of_every_kind(folder: Path, tmp_path: Path, cache: Path) -> dict[str, StartSettings]:
    """Start weights for three other classes, for the study's two, and for none."""
    tensors = load_file(class_start_weights(MADE, a_study(folder), 2, cache).path)
    save_file(tensors, tmp_path / "three.safetensors")
    fewer = {name: tensor[:2] if name.startswith("head.") else tensor for name, tensor in tensors.items()}
    save_file(fewer, tmp_path / "two.safetensors")
    other = write_frames(
        tmp_path / "other", [{**row, "label": f"other {row['label']}"} for row in views(12)], height=20
    )
    same = write_frames(tmp_path / "same", [{**row, "group": f"other {row['group']}"} for row in views(12)], height=20)
    return {
        "formula": MADE,
        "phantoms": StartSettings(kind="abdominal phantoms", images=40, batches=2, batch_size=4),
        "other labels": StartSettings(kind="folder", folder=str(other), batches=2, batch_size=4),
        "same labels": StartSettings(kind="folder", folder=str(same), batches=2, batch_size=4),
        "file of 3": StartSettings(kind="file", file=str(tmp_path / "three.safetensors")),
        "file of 2": StartSettings(kind="file", file=str(tmp_path / "two.safetensors")),
    }


def test_a_dry_run_plans_what_a_run_will(
    folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, start in starts_of_every_kind(folder, tmp_path, cache).items():
        study = a_study(folder, start_weights=(replace(start, name=name),))
        with monkeypatch.context() as patched:
            patched.setattr("engine.preparation.class_start_weights", nothing_is_made)
            _, _, foreseen = preview(study, Store.at(tmp_path), cache)
        planned = prepare(study, Store.at(tmp_path), cache, lambda *_: None).trials
        assert [(t.strategy, t.fold, t.new_output) for t in foreseen] == [
            (t.strategy, t.fold, t.new_output) for t in planned
        ], name
        assert (AS_PRETRAINED in {trial.strategy for trial in foreseen}) == (name in ("file of 2", "same labels"))


def test_a_frozen_new_output_is_refused_before_anything_is_made(
    folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = starts_of_every_kind(folder, tmp_path, cache)
    monkeypatch.setattr("engine.preparation.class_start_weights", nothing_is_made)
    for name in ("formula", "phantoms", "other labels", "file of 3"):
        study = a_study(folder, start_weights=(starts[name],), strategies=("input layers", "whole network"))
        for attempted in (prepare, preview):
            with pytest.raises(StrategyError, match="must learn, and is frozen by input layers; add it"):
                attempted(study, Store.at(tmp_path), cache, *([lambda *_: None] if attempted is prepare else []))


def test_weights_of_other_classes_are_not_tested_as_they_are(folder: Path, cache: Path, tmp_path: Path) -> None:
    ready = prepare(a_study(folder), Store.at(tmp_path), cache, lambda *_: None)
    assert AS_PRETRAINED not in {trial.strategy for trial in ready.trials}
    assert {trial.strategy: trial.new_output for trial in ready.trials} == {
        "output layers": True,
        "whole network": True,
        "from scratch": False,
    }


def test_a_worker_keeps_what_weights_of_other_classes_say_before_training(
    folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.at(tmp_path)
    ready = prepare(a_study(folder, strategies=("whole network", "from scratch")), store, cache, lambda *_: None)
    for weights in ready.starts.values():
        store.write_start_weights("views", weights.sha256, weights.path.read_bytes())
    monkeypatch.setattr("engine.search.worker.tune.report", lambda *_: None)
    monkeypatch.setattr("engine.search.worker.os.nice", lambda *_: 0)
    work = {"root": store.files.root, "study": "views", "cache": str(cache), "held_out": {}}
    for trial in ready.trials:
        train_trial({"trial": asdict(trial), "work": work})
    assert set(store.attempts("views")["state"]) == {"completed"}
    whole, scratch = (trial.id for trial in ready.trials)
    assert store.has_embeddings("views") == {whole, scratch, before_training(whole)}


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
    for place, order in enumerate(((2, 3, 2), (3, 2, 3))):
        one_cache = tmp_path / f"cache {place}"
        found = [class_start_weights(settings, study, classes, one_cache) for classes in order]
        assert [weights.has_output for weights in found] == [classes == 3 for classes in order]
        assert [any(name.startswith("head.") for name in load_file(weights.path)) for weights in found] == [
            weights.has_output for weights in found
        ]
        assert found[0].sha256 == found[2].sha256 != found[1].sha256
    missing = StartSettings(kind="file", file=str(tmp_path / "none.pt"))
    with pytest.raises(WeightsError, match="is no file; give the path of an existing file"):
        class_start_weights(missing, study, 2, cache)
