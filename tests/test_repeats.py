"""Failed folds that are trained again: which, when, and how often, before any of it runs."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine import config
from engine import study as planning
from engine.changes import changed_settings
from engine.errors import StudyFileError
from engine.estimates import estimate
from engine.hardware import Share
from engine.preparation import known_states, preview
from engine.repeats import most_repeats, repeats
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
from engine.training import build_network
from engine.trial import State, Trial, stream_seed
from tests.made import attempt, discs, trial
from tests.made_store import plan_of

SHARE = Share(device="cpu", cpu=1, gpu=0.0, threads=1, precision="float32", at_once=2)
STARTS = {"natural-like images": planning.StartFacts(sha256="w" * 64)}
STUDY = Study(
    name="s",
    model=ModelSettings(width=2, image_size=32),
    data=DataSettings(kind="simulated", images=20),
    strategies=("whole network", "from scratch"),
    fractions=(80.0,),
    folds=FoldSettings(of=5, run=(0, 1)),
    repeat_failed=1,
)
FAILED = "not_converged"


def plan(study: Study, states: dict[str, str] | None = None) -> list[Trial]:
    return planning.plan(study, discs(20), STARTS, SHARE, states=states)


def test_an_id_does_not_know_of_repeats_before_there_is_one() -> None:
    """Ids of version 0.1.0 before repeats: `.venv/bin/python -c "from tests.made import trial; print(trial().id)"`."""
    assert trial().id == "ac3e2fea1eeb571fad62482ed8ddbcd6855f5298ea83455af54c7cc991e2d6d8"
    assert trial("from scratch", seed=3).id == "aa92fecc6320c90e547e2336c9f38c434816a0b4c062b4a113da44ef6760da2c"
    assert len({trial().id, trial(repeat=1).id, trial(repeat=2).id, trial(seed=1).id}) == 4


def test_a_repeat_has_other_random_streams_and_begins_from_the_same_start_weights() -> None:
    first, again = trial("from scratch"), trial("from scratch", repeat=1)
    assert stream_seed(first, "batches") != stream_seed(again, "batches")
    assert stream_seed(again, "batches") == stream_seed(trial("block 9", repeat=1), "batches")  # folds stay paired
    one, other = (build_network(of, None).state_dict() for of in (first, again))
    assert not torch.equal(next(iter(one.values())), next(iter(other.values())))
    start = {name: tensor + 1 for name, tensor in one.items()}
    tuned = [build_network(trial(repeat=number), start).state_dict() for number in (0, 1)]
    assert all(torch.equal(tuned[0][name], tuned[1][name]) for name in start)


def test_a_plan_without_states_has_no_repeats_and_keeps_every_id() -> None:
    before, after = plan(replace(STUDY, repeat_failed=0)), plan(STUDY)
    assert [one.id for one in before] == [one.id for one in after]


def test_only_a_fold_that_did_not_converge_is_repeated_behind_everything_that_was_planned() -> None:
    first = plan(STUDY)
    states: dict[str, str] = dict(
        zip((one.id for one in first), (FAILED, "completed", "error", "cancelled"), strict=False)
    )
    again = plan(STUDY, states)
    assert again[: len(first)] == first
    (repeat,) = again[len(first) :]
    assert repeat == replace(first[0], repeat=1)
    assert plan(STUDY, states) == again
    states |= {one.id: "stopped_early" for one in first[1:]}
    assert plan(STUDY, states) == again


def test_tests_of_start_weights_are_not_repeated() -> None:
    first = plan(STUDY)
    assert any(not one.units for one in first)
    states = {one.id: FAILED for one in first}
    assert {one.strategy for one in plan(STUDY, states)[len(first) :]} == {"whole network", "from scratch"}


def test_a_repeat_is_repeated_only_after_it_failed_and_as_often_as_the_study_says() -> None:
    twice = replace(STUDY, repeat_failed=2)
    first = plan(twice)[0]
    states = {first.id: FAILED}
    numbers = [0, 1]
    assert [one.repeat for one in plan(twice, states) if replace(one, repeat=0) == first] == numbers
    states |= {replace(first, repeat=1).id: FAILED}
    assert [one.repeat for one in plan(twice, states) if replace(one, repeat=0) == first] == [0, 1, 2]
    states |= {replace(first, repeat=2).id: FAILED}
    assert [one.repeat for one in plan(twice, states) if replace(one, repeat=0) == first] == [0, 1, 2]
    # Growing and shrinking keep what was planned under the same ids.
    once = {one.id for one in plan(STUDY, states)}
    assert once < {one.id for one in plan(twice, states)}
    assert not [one for one in plan(replace(STUDY, repeat_failed=0), states) if one.repeat]


def test_a_fold_with_several_rates_has_failed_when_all_of_them_have() -> None:
    study = replace(STUDY, learning_rates=(1e-3, 1e-4))
    fold = [one for one in plan(study) if one.strategy == "from scratch" and one.fold == 0]
    assert len(fold) == 2
    assert not repeats(study, plan(study), {fold[0].id: FAILED})
    assert not repeats(study, plan(study), {fold[0].id: FAILED, fold[1].id: "completed"})
    both = dict.fromkeys([one.id for one in fold], FAILED)
    assert repeats(study, plan(study), both) == [replace(one, repeat=1) for one in fold]


def test_a_search_that_has_not_tried_all_its_rates_has_not_failed() -> None:
    study = replace(STUDY, rate_search=RateSearch(draws=3, search="optuna"))
    known = planning.plan(study, discs(20), STARTS, SHARE, rates=lambda one: [1e-4, 1e-3])
    assert not repeats(study, known, {one.id: FAILED for one in known})
    whole = planning.plan(study, discs(20), STARTS, SHARE, rates=lambda one: [1e-4, 1e-3, 1e-5])
    states = {one.id: FAILED for one in whole}
    again = planning.plan(study, discs(20), STARTS, SHARE, rates=lambda one: [1e-4, 1e-3, 1e-5], states=states)
    assert len(again) - len(whole) == sum(bool(one.units) for one in whole) == 4 * 3
    assert planning.trials_in_all(study, again) == len(again)


def test_the_number_of_repeats_is_no_other_study() -> None:
    planned = plan_of(plan(STUDY)).drop(columns="repeat")
    states = {one.id: FAILED for one in plan(STUDY)}
    assert changed_settings(planned, plan(replace(STUDY, repeat_failed=3), states)) == []
    assert changed_settings(plan_of(plan(STUDY, states)), plan(replace(STUDY, repeat_failed=0))) == []


def test_at_most_so_many_repeats_can_still_come() -> None:
    study = replace(STUDY, repeat_failed=2)
    first = plan(study)
    assert most_repeats(study, first, {}) == 4 * 2
    states: dict[str, str] = {first[0].id: FAILED, first[1].id: "completed"}
    assert most_repeats(study, plan(study, states), states) == 1 + 2 * 2
    states |= {replace(first[0], repeat=1).id: "completed"}
    assert most_repeats(study, plan(study, states), states) == 2 * 2
    assert most_repeats(replace(study, repeat_failed=0), first, {}) == 0


@pytest.mark.parametrize("value", ["-1", "11"])
def test_a_number_of_repeats_that_makes_no_sense_is_one_line(value: str) -> None:
    with pytest.raises(StudyFileError) as found:
        config.loads(f"name: s\nrepeat_failed: {value}\n", source="s.yaml")
    assert found.value.problems == (f"s.yaml:2: 'repeat_failed' is {value}; expected 0 to 10",)


def test_words_for_a_number_of_repeats_are_one_line() -> None:
    with pytest.raises(StudyFileError, match=r"^s.yaml:2: .*'repeat_failed'.*$"):
        config.loads("name: s\nrepeat_failed: twice\n", source="s.yaml")


def test_a_dry_run_counts_what_is_repeated_and_says_what_may_still_come(tmp_path: Path) -> None:
    small = replace(
        STUDY,
        strategies=("from scratch",),
        start_weights=(StartSettings(images=20, batches=4),),
        training=TrainingSettings(max_epochs=3, batches_per_epoch=2),
        resources=ResourceSettings(gpu=0.0, at_once=1),
    )
    store = Store.at(tmp_path / "r")
    assert known_states(small, store) == {}
    found = estimate(small, store, tmp_path / "c")
    assert (found.trials, found.left) == (2, 2)
    assert "Up to 2 more trials where folds fail to converge: each is trained again up to 1 time." in found.notes
    _, _, trials = preview(small, store, tmp_path / "c")
    ends: list[State] = ["not_converged", "completed"]
    for one, state in zip(trials, ends, strict=True):
        store.append("s", attempt(one, state=state))
    found = estimate(small, store, tmp_path / "c")
    assert (found.trials, found.done, found.left) == (3, 2, 1)
    assert "and 1 of failed folds that are trained again" in found.product
    assert not [note for note in found.notes if "more trials" in note]
    assert estimate(replace(small, repeat_failed=0), store, tmp_path / "c").trials == 2
