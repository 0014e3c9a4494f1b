"""Units ranked before any training: from training images alone, kept with the study, found again, and as a table."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load
from torch import Tensor

from engine.architectures import UNET_UNITS, unet_parameters
from engine.datasets import Dataset
from engine.errors import StrategyError
from engine.gradient_norms import AUTO_BATCHES
from engine.models import UNet
from engine.preview import BATCHES, fold_norms, preview
from engine.ranking import FoldNorms, GradientNorms, all_kept, keep, kept, normalised, ranking_table
from engine.store import Store
from engine.strategies import tensor_names
from engine.studies import pack, unpack
from engine.study_settings import (
    DataSettings,
    FoldSettings,
    ModelSettings,
    ResourceSettings,
    StartSettings,
    Study,
    TrainingSettings,
)
from engine.training import run_trial, split_of
from engine.trial import Trial
from tests.made import discs, trial
from tests.made_commands import begun, whichlayers

STUDY = Study(
    name="small",
    model=ModelSettings(width=2, image_size=32),
    data=DataSettings(kind="simulated", images=15),
    start_weights=(StartSettings(images=20, batches=4),),
    strategies=("whole network", "block 9"),
    fractions=(80.0, 40.0),
    folds=FoldSettings(of=5, run=(0, 1)),
    training=TrainingSettings(max_epochs=2, batches_per_epoch=2),
    resources=ResourceSettings(gpu=0.0),
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images and start weights that the tests of this file share."""
    return tmp_path_factory.mktemp("cache")


def test_all_units_are_ranked_and_found_again_without_being_measured_twice(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.at(tmp_path)
    first = preview(STUDY, store, cache)
    table = ranking_table(first.folds)
    assert list(table["unit"]) == list(UNET_UNITS)
    assert list(table["parameters"]) == list(unet_parameters(2).values())
    assert sorted(table["rank"]) == list(range(1, 11))
    assert table["normalised"].max() == 1.0
    assert (table["relative"] > 0).all()
    assert {(one.fraction, one.fold, one.images) for one in first.folds} == {(80.0, 0, 10), (80.0, 1, 10)}
    assert {len(one.norms.squared_gradients) for one in first.folds} == {BATCHES}
    assert store.studies() == []  # a ranking begins no study
    monkeypatch.setattr("engine.preview.fold_norms", lambda *_: pytest.fail("measured again"))
    assert preview(STUDY, store, cache).folds == first.folds
    assert all_kept(store, "small") == list(first.folds)


def test_another_fraction_or_fold_is_measured_and_a_smaller_learning_rate_is_not(tmp_path: Path, cache: Path) -> None:
    store = Store.at(tmp_path)
    ids = {one.id for one in preview(STUDY, store, cache).folds}
    assert {one.id for one in preview(replace(STUDY, learning_rates=(1e-6,)), store, cache).folds} == ids
    assert not {one.id for one in preview(STUDY, store, cache, fraction=40.0).folds} & ids
    further = preview(replace(STUDY, folds=FoldSettings(of=5, run=(0, 1, 2))), store, cache)
    assert ids < {one.id for one in further.folds}


def test_where_time_runs_out_the_first_fold_is_measured_and_the_next_preview_goes_on(
    tmp_path: Path, cache: Path
) -> None:
    store = Store.at(tmp_path)
    first = preview(STUDY, store, cache, cpu_seconds=0.0)
    assert [one.fold for one in first.folds] == [0]
    assert first.left_out == (("natural-like images", 1),)
    second = preview(STUDY, store, cache, cpu_seconds=1e9)
    assert [one.fold for one in second.folds] == [0, 1]
    assert second.left_out == ()


def test_a_study_that_only_begins_at_random_has_nothing_to_rank(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(StrategyError, match="nothing to rank; add 'whole network'"):
        preview(replace(STUDY, strategies=("from scratch",)), Store.at(tmp_path), cache)


def of_training_images(**changes: Any) -> tuple[Trial, dict[str, Tensor]]:
    """What is measured on `discs()`, and start weights."""
    measured = trial("auto", method="auto rates", **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return measured, dict(UNet(2).state_dict())


def test_only_training_images_are_looked_at() -> None:
    measured, start = of_training_images()
    data = discs()
    split = split_of(measured, data)
    before = fold_norms(measured, data, start)
    others = changed(data, [*split.validation, *split.test])
    assert fold_norms(measured, others, start).norms == before.norms
    own = changed(data, split.training[:1])
    assert fold_norms(measured, own, start).norms != before.norms


def changed(data: Dataset, places: list[int] | tuple[int, ...]) -> Dataset:
    """The data with other images at `places`, and no structure on them."""
    images, masks = np.array(data.images), np.array(data.masks)
    images[places], masks[places] = 255 - images[places], 0
    return replace(data, images=images, masks=masks)


def test_the_first_step_of_auto_is_the_whole_networks_times_the_normalised_norms_of_the_ranking() -> None:
    measured, start = of_training_images()
    norms = fold_norms(measured, discs(), start).norms
    five = replace(norms, squared_gradients=norms.squared_gradients[:AUTO_BATCHES])
    # A rate at which no step is lost among the digits of a weight.
    one_step: dict[str, Any] = {"optimiser": "sgd", "max_epochs": 1, "batches_per_epoch": 1, "learning_rate": 1e4}
    whole, auto = (
        moved(run_trial(replace(measured, method=method, **one_step), discs(), start)[1], start)
        for method in ("fine-tune", "auto rates")
    )
    assert {unit: auto[unit] / whole[unit] for unit in whole} == pytest.approx(normalised(five.by_unit), rel=1e-3)


def moved(trained: bytes, start: dict[str, Tensor]) -> dict[str, float]:
    """How far the parameters of each unit of a U-Net have gone."""
    tensors = load(trained)
    names = tensor_names(UNet(2))
    return {
        unit: float(torch.cat([(tensors[name] - start[name]).double().flatten() for name in own]).norm())
        for unit, own in names.items()
    }


def made(fold: int, first: float, second: float) -> FoldNorms:
    """Made norms of two units whose parameters have the norm 1."""
    norms = GradientNorms(
        units=("a", "b"), parameters=(3, 4), squared_parameters=(1.0, 1.0), squared_gradients=((first**2, second**2),)
    )
    return FoldNorms(
        id=f"{fold}" * 64, data="d", start="s", start_weights="w", fraction=80.0, fold=fold, images=5, norms=norms
    )


def test_the_table_has_means_over_folds_their_range_and_ranks() -> None:
    table = ranking_table([made(0, 1.0, 3.0), made(1, 3.0, 7.0)])
    assert list(table["relative"]) == pytest.approx([2.0, 5.0])
    assert list(table["normalised"]) == pytest.approx([0.4, 1.0])
    assert list(table["rank"]) == [2, 1]
    assert list(zip(table["lowest"], table["highest"], strict=True)) == [(1.0, 3.0), (3.0, 7.0)]
    assert list(table["folds"]) == [2, 2]
    assert ranking_table([]).empty


def test_what_is_kept_comes_back_and_damage_is_as_if_nothing_were_there(tmp_path: Path) -> None:
    store, found = Store.at(tmp_path), made(0, 1.0, 3.0)
    keep(store, "s", found)
    assert kept(store, "s", found.id) == found
    for content in (b"", b"[1]", b"{}", b'{"norms": 3}', b"\xff"):
        store.files.write(f"s/previews/{'1' * 64}.json", content)
        assert kept(store, "s", "1" * 64) is None
        assert all_kept(store, "s") == [found]


def test_a_ranking_travels_with_its_study(tmp_path: Path) -> None:
    store, found = begun(tmp_path / "from", [trial()]), made(0, 1.0, 3.0)
    keep(store, "s", found)
    pack(store, "s", tmp_path / "s.zip")
    other = Store.at(tmp_path / "to")
    unpack(other, tmp_path / "s.zip")
    assert all_kept(other, "s") == [found]


FILE = """
name: small
model: {width: 2, image_size: 32}
data: {kind: simulated, images: 15}
start_weights: {images: 20, batches: 4}
strategies: [whole network, block 9]
fractions: [80, 40]
folds: {of: 5, run: [0, 1]}
training: {max_epochs: 2, batches_per_epoch: 2}
resources: {gpu: off}
"""


def test_the_command_prints_a_table_or_json_and_one_line_for_a_mistake(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "s.yaml").write_text(FILE)
    places = ["--store", str(tmp_path / "store"), "--cache", str(cache)]
    told = whichlayers("preview", "s.yaml", *places, folder=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "small: natural-like images, 80 %, mean of 2 folds" in told.stdout
    assert "A hint, not a result" in told.stdout
    told = whichlayers("preview", "s.yaml", *places, "--fraction", "40", "--json", folder=tmp_path)
    found = json.loads(told.stdout)
    assert (found["fraction"], len(found["units"]), found["left_out"]) == (40.0, 10, [])
    told = whichlayers("preview", "s.yaml", *places, "--fraction", "90", folder=tmp_path)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("--fraction 90: 'fractions' has 90; expected percent")
