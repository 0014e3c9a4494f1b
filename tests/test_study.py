"""Planning: which trials a study consists of, before any runs."""

from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from engine import study as planning
from engine.architectures import STRATEGIES
from engine.changes import changed_settings
from engine.datasets import Dataset, make_dataset
from engine.errors import DataError, StudyFileError
from engine.hardware import Machine, Share, container_limits, processor_multiplies_bfloat16, share
from engine.study_settings import (
    DataSettings,
    EncoderSettings,
    FoldSettings,
    ModelSettings,
    RateSearch,
    ResourceSettings,
    SplitSettings,
    StartSettings,
    Study,
    TrainingSettings,
)
from engine.training import split_of
from engine.trial import AS_PRETRAINED, Trial
from tests.made import discs

SHARE = Share(device="cpu", cpu=1, gpu=0.0, threads=1, precision="float32", at_once=2)
MACHINE = Machine(
    host="h",
    processor="p",
    cores=8,
    memory_gb=32.0,
    gpu=None,
    gpus=0,
    gpu_memory_gb=0.0,
    processor_bfloat16=False,
    gpu_bfloat16=False,
)
SMALL = Study(name="s", model=ModelSettings(width=2, image_size=32))
STARTS = {"natural-like images": planning.StartFacts(sha256="w" * 64)}


def everything(study: Study, data: Dataset) -> list[Trial]:
    return planning.plan(study, data, STARTS, SHARE)


def plan(study: Study, data: Dataset) -> list[Trial]:
    """The trials that fine-tune."""
    return [trial for trial in everything(study, data) if trial.strategy != AS_PRETRAINED]


def test_a_study_is_the_product_of_its_axes() -> None:
    study = replace(
        SMALL,
        strategies=("contracting", "block 9"),
        fractions=(80.0, 50.0),
        learning_rates=(1e-4, 1e-3),
        folds=FoldSettings(of=5, run=(0, 3)),
        seeds=(0, 1),
    )
    trials = plan(study, discs())
    assert len(trials) == len({trial.id for trial in trials}) == 2 * 2 * 2 * 2 * 2


def test_no_strategies_named_means_the_papers_thirteen() -> None:
    trials = plan(replace(SMALL, fractions=(80.0,), folds=FoldSettings(run=(0,))), discs())
    assert [trial.strategy for trial in trials] == list(STRATEGIES["unet"])


def test_folds_of_a_cell_stand_together_so_that_cells_fill_one_by_one() -> None:
    trials = plan(replace(SMALL, strategies=("contracting", "block 9")), discs(30))
    assert [trial.fold for trial in trials[:5]] == [0, 1, 2, 3, 4]
    assert len({(trial.strategy, trial.fraction) for trial in trials[:5]}) == 1


def test_more_folds_and_strategies_keep_the_ids_of_what_was_planned_before() -> None:
    before = replace(SMALL, strategies=("contracting",), folds=FoldSettings(run=(0, 1)))
    after = replace(SMALL, strategies=("block 1", "contracting"), folds=FoldSettings(run=(0, 1, 2)), name="other")
    ids = [{trial.id for trial in plan(study, discs(30))} for study in (before, after)]
    assert ids[0] < ids[1]


def test_from_scratch_needs_no_start_weights() -> None:
    trials = plan(replace(SMALL, strategies=("whole network", "from scratch")), discs(30))
    assert {trial.strategy: trial.start_weights for trial in trials} == {
        "whole network": "w" * 64,
        "from scratch": None,
    }


def test_groups_are_kept_whole_wherever_the_data_name_them() -> None:
    assert planning.split_by(SMALL, discs(groups=7)) == "group"
    assert planning.split_by(SMALL, discs()) == "image"
    assert planning.split_by(replace(SMALL, split=SplitSettings(by="image")), discs(groups=7)) == "image"
    with pytest.raises(DataError, match="20 of 20 images name no group"):
        planning.split_by(replace(SMALL, split=SplitSettings(by="group")), discs())


def test_one_image_without_a_group_does_not_silently_end_the_keeping_apart_of_patients() -> None:
    data = discs(groups=7)
    data.table.loc[3, "group"] = ""
    with pytest.raises(DataError, match=r"1 of 20 images name no group .*disc 003.*by: image"):
        planning.split_by(SMALL, data)
    assert planning.split_by(replace(SMALL, split=SplitSettings(by="image")), data) == "image"


def test_identical_images_stay_on_one_side_also_by_image() -> None:
    data = discs()
    images = data.images.copy()
    images[11] = images[4]
    doubled = make_dataset(name="d", provenance="", images=images, masks=data.masks, table=data.table)
    assert data.groups_for_splits("image") is None
    study = replace(SMALL, fractions=(80.0,))
    trials = plan(study, doubled)
    for one in trials:
        split = split_of(one, doubled)
        assert sum({4, 11} <= set(side) for side in (split.training, split.validation, split.test)) == 1
    note = planning.facts(study, doubled, [], MACHINE, trials, "")["data"]["split_note"]
    assert "identical images stay together: disc 004 + disc 011" in note


def test_a_changed_setting_is_named_and_a_longer_axis_is_not() -> None:
    first = plan(replace(SMALL, fractions=(80.0,)), discs(30))
    planned = pd.DataFrame([{"id": one.id, **asdict(one)} for one in first])
    wider = plan(replace(SMALL, fractions=(80.0, 50.0), seeds=(0, 1)), discs(30))
    assert changed_settings(planned, wider) == []
    longer = replace(SMALL, training=TrainingSettings(max_epochs=7), model=ModelSettings(width=4, image_size=32))
    changed = plan(longer, discs(30))
    assert changed_settings(planned, changed) == ["width 2 -> 4", "max_epochs 200 -> 7"]


def test_a_containers_limits_are_those_of_its_control_group(tmp_path: Path) -> None:
    assert container_limits(tmp_path) == (None, None)
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    (tmp_path / "memory.max").write_text("8589934592\n")
    assert container_limits(tmp_path) == (2.0, 8 * 2**30)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert container_limits(tmp_path) == (None, None)
    old = tmp_path / "old"
    (old / "cpu").mkdir(parents=True)
    (old / "memory").mkdir()
    (old / "cpu/cpu.cfs_quota_us").write_text("150000")
    (old / "cpu/cpu.cfs_period_us").write_text("100000")
    (old / "memory/memory.limit_in_bytes").write_text("1073741824")
    assert container_limits(old) == (1.5, 2**30)


def test_no_gpu_means_the_processor_also_where_there_is_one() -> None:
    machine = replace(MACHINE, gpu="G", gpus=1, gpu_memory_gb=24.0, gpu_bfloat16=True)
    portion = share(machine, ResourceSettings(gpu=0.0), ModelSettings(width=16, image_size=128))
    assert (portion.device, portion.gpu, portion.precision, portion.at_once) == ("cpu", 0.0, "float32", 8)


def test_groups_that_share_an_identical_image_stay_on_one_side() -> None:
    data = discs(groups=10)
    images = data.images.copy()
    images[13] = images[7]  # patients 3 and 7
    images[17] = images[2]  # and so patient 2
    doubled = make_dataset(name="d", provenance="", images=images, masks=data.masks, table=data.table)
    groups = doubled.groups_for_splits("group")
    assert groups is not None
    assert {groups[place] for place in (2, 3, 7, 12, 13, 17)} == {"patient 2 + patient 3 + patient 7"}
    assert len(set(groups)) == 8
    assert discs(groups=10).groups_for_splits("group") == list(discs(groups=10).table["group"])
    study = replace(SMALL, fractions=(80.0,))
    trials = plan(study, doubled)
    note = planning.facts(study, doubled, [], MACHINE, trials, "")["data"]["split_note"]
    assert "identical images stay together: patient 2 + patient 3 + patient 7" in note
    for one in trials:
        split = split_of(one, doubled)
        sides = [set(split.training), set(split.validation), set(split.test)]
        assert sum(bool(side & {2, 3, 7, 12, 13, 17}) for side in sides) == 1


def test_data_that_are_too_few_are_refused_before_anything_runs() -> None:
    with pytest.raises(DataError):
        plan(replace(SMALL, fractions=(5.0,)), discs(10))


def test_batches_per_epoch_are_those_of_the_full_pool_unless_named() -> None:
    trials = plan(replace(SMALL, fractions=(80.0, 50.0)), discs(85))
    assert {trial.batches_per_epoch for trial in trials} == {27}  # Amiri et al. 2020: SUS
    named = replace(SMALL, training=TrainingSettings(batches_per_epoch=5), fractions=(80.0,))
    assert {trial.batches_per_epoch for trial in plan(named, discs(85))} == {5}


def test_facts_say_what_pages_must_say() -> None:
    data = discs(groups=7)
    study = replace(SMALL, question="?", fractions=(80.0,))
    trials = plan(study, data)
    facts = planning.facts(study, data, [{"sha256": "w" * 64, "description": "made"}], MACHINE, trials, "2026-01-01")
    assert facts["data"]["groups"] == 7
    assert facts["data"]["split_by"] == "group"
    assert facts["start_weights"][0]["description"] == "made"
    assert [row["fold"] for row in facts["table1"]] == [0, 1, 2, 3, 4]
    sets = ("training_groups", "validation_groups", "test_groups")
    assert [sum(row[name] for name in sets) for row in facts["table1"]] == [7] * 5
    alone = planning.facts(study, discs(), [{"sha256": "w" * 64}], MACHINE, plan(study, discs()), "2026-01-01")
    assert "test_groups" not in alone["table1"][0]


def test_a_machine_without_gpu_trains_a_trial_per_core() -> None:
    portion = share(MACHINE, ResourceSettings(), ModelSettings(width=16, image_size=128))
    assert (portion.device, portion.at_once, portion.threads, portion.precision) == ("cpu", 8, 1, "float32")


def test_large_networks_run_no_more_at_once_than_memory_holds() -> None:
    small = replace(MACHINE, memory_gb=8.0)
    assert share(small, ResourceSettings(), ModelSettings()).at_once == 1


def test_a_gpu_is_used_and_shared_without_being_told() -> None:
    machine = replace(MACHINE, gpu="G", gpus=1, gpu_memory_gb=24.0, gpu_bfloat16=True)
    portion = share(machine, ResourceSettings(), ModelSettings(width=16, image_size=128))
    assert (portion.device, portion.gpu, portion.at_once, portion.precision) == ("cuda", 0.25, 4, "bfloat16")
    named = share(machine, ResourceSettings(gpu=0.5, at_once=1), ModelSettings(), "float32")
    assert (named.gpu, named.at_once, named.precision) == (0.5, 1, "float32")


def test_more_than_the_machine_has_is_refused_at_once() -> None:
    with pytest.raises(Exception, match=r"resources.cpu: 9 cores .* has 8\nresources.gpu: 1 GPUs .* has 0"):
        share(MACHINE, ResourceSettings(cpu=9, gpu=1.0), ModelSettings())


def test_bfloat16_is_refused_where_the_processor_runs_nothing_in_it() -> None:
    machine = replace(MACHINE, computes_bfloat16=False)
    with pytest.raises(StudyFileError, match=r"training\.precision: bfloat16 asked for; .* auto or float32"):
        share(machine, ResourceSettings(), ModelSettings(), "bfloat16")
    assert share(machine, ResourceSettings(), ModelSettings()).precision == "float32"
    assert share(MACHINE, ResourceSettings(), ModelSettings(), "bfloat16").precision == "bfloat16"
    with_gpu = replace(machine, gpu="G", gpus=1, gpu_memory_gb=24.0, gpu_bfloat16=True)
    assert share(with_gpu, ResourceSettings(), ModelSettings(), "bfloat16").device == "cuda"


def test_bfloat16_is_taken_where_the_processor_multiplies_it() -> None:
    assert processor_multiplies_bfloat16({"avx512_bf16": True})
    assert not processor_multiplies_bfloat16({"avx512_bf16": False, "avx2": True})


def test_every_start_weights_are_tested_as_they_are_once_per_fold() -> None:
    study = replace(
        SMALL, strategies=("contracting", "from scratch"), fractions=(80.0, 50.0), learning_rates=(1e-4, 1e-3)
    )
    tests = [trial for trial in everything(study, discs(30)) if trial.strategy == AS_PRETRAINED]
    assert [(trial.fold, trial.fraction, trial.units, trial.start) for trial in tests] == [
        (fold, 0.0, (), "natural-like images") for fold in range(5)
    ]
    scratch = replace(study, strategies=("from scratch",))
    assert not [trial for trial in everything(scratch, discs(30)) if trial.strategy == AS_PRETRAINED]


def test_start_weights_are_an_axis_that_random_weights_do_not_have() -> None:
    study = replace(
        SMALL,
        start_weights=(StartSettings(), StartSettings(name="other", seed=1)),
        strategies=("contracting", "from scratch"),
        fractions=(80.0,),
    )
    starts = {**STARTS, "other": planning.StartFacts(sha256="o" * 64)}
    trials = planning.plan(study, discs(30), starts, SHARE)
    found = {(trial.strategy, trial.start, trial.start_weights) for trial in trials if trial.fraction}
    assert found == {
        ("contracting", "natural-like images", "w" * 64),
        ("contracting", "other", "o" * 64),
        ("from scratch", "", None),
    }


def test_kept_views_change_the_trials_of_strategies_with_frozen_first_units_alone() -> None:
    study = replace(SMALL, strategies=("whole network", "block 9", "blocks 1,9"), fractions=(80.0,))
    kept = replace(study, training=TrainingSettings(crops_kept=8))
    now, later = everything(study, discs(30)), everything(kept, discs(30))
    others = {two.strategy for one, two in zip(now, later, strict=True) if one.id != two.id}
    assert others == {"block 9"}
    assert {two.crops_kept for two in later if two.strategy == "block 9"} == {8}
    planned = pd.DataFrame([asdict(trial) for trial in now])
    assert changed_settings(planned, later) == ["crops_kept of block 9: 0 -> 8"]
    assert not changed_settings(planned, now)
    plain = replace(kept, training=TrainingSettings(crops_kept=8, augmentation=None))
    assert {trial.crops_kept for trial in everything(plain, discs(30))} == {0}


def test_start_weights_that_are_others_under_the_same_name_are_refused() -> None:
    study = replace(SMALL, strategies=("contracting",), fractions=(80.0,))
    planned = pd.DataFrame([{"id": one.id, **asdict(one)} for one in everything(study, discs(30))])
    starts = {"natural-like images": planning.StartFacts(sha256="x" * 64)}
    changed = changed_settings(planned, planning.plan(study, discs(30), starts, SHARE))
    assert changed == ["start_weights of natural-like images: wwwwwwwwwwww -> xxxxxxxxxxxx"]


def test_new_folds_for_every_experiment_give_each_strategy_and_fraction_folds_of_its_own() -> None:
    study = replace(
        SMALL, strategies=("contracting", "block 9"), fractions=(80.0, 50.0), split=SplitSettings(new_folds=True)
    )
    trials = plan(study, discs(30))
    seeds = {(trial.strategy, trial.fraction): trial.split_seed for trial in trials}
    assert len(set(seeds.values())) == 4
    assert {trial.split_seed for trial in trials if trial.strategy == "block 9" and trial.fraction == 80.0} == {
        seeds["block 9", 80.0]
    }
    assert changed_settings(pd.DataFrame([asdict(trial) for trial in trials]), trials) == []


def test_a_random_search_draws_the_same_rates_for_all_and_tries_the_named_ones_first() -> None:
    study = replace(SMALL, strategies=("contracting",), fractions=(80.0,), rate_search=RateSearch(draws=5))
    rates = planning.fixed_rates(study)
    assert len(rates) == 5
    assert rates[0] == 1e-4
    assert all(1e-5 <= rate <= 1e-3 for rate in rates)
    by_fold = {fold: {t.learning_rate for t in plan(study, discs(30)) if t.fold == fold} for fold in range(5)}
    assert set(map(frozenset, by_fold.values())) == {frozenset(rates)}
    assert planning.trials_in_all(study, plan(study, discs(30))) == 25


def test_several_structures_do_not_test_start_weights_of_one_as_they_are() -> None:
    study = replace(SMALL, data=DataSettings(mask=("nerve=mask", "mask_vessel")), strategies=("contracting",))
    trials = everything(study, discs(30))
    assert {trial.classes for trial in trials} == {2}
    assert not [trial for trial in trials if trial.strategy == AS_PRETRAINED]


def test_the_smp_rows_bring_their_own_network_and_start() -> None:
    study = replace(
        SMALL,
        strategies=("whole network", "smp U-Net"),
        fractions=(80.0,),
        encoder=EncoderSettings(weights="encoder.safetensors"),
    )
    starts = {**STARTS, planning.ENCODER: planning.StartFacts(sha256="e" * 64)}
    found = {
        (trial.strategy, trial.model, trial.encoder, trial.start_weights)
        for trial in planning.plan(study, discs(30), starts, SHARE)
        if trial.fraction
    }
    assert found == {("whole network", "unet", "", "w" * 64), ("smp U-Net", "smp", "resnet18", "e" * 64)}
