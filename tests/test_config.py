"""A study file read, and written again."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import config
from engine.architectures import UNET_STRATEGIES
from engine.errors import StudyFileError
from engine.study_settings import (
    AugmentationSettings,
    DataSettings,
    FoldSettings,
    ModelSettings,
    RateSearch,
    ResourceSettings,
    StartSettings,
    Study,
    TrainingSettings,
    start_name,
)


def test_numbers_and_words_mean_what_they_say() -> None:
    study = config.loads(
        "name: no\n"
        "learning_rates: 1e-4\n"
        "data: {folder: off, name: 'off', where: {done: [no, yes], label: benign}}\n"
        "training: {augmentation: off, batches_per_epoch: none}\n"
        "resources: {cpu: null, gpu: no}\n"
    )
    assert study.name == "no"
    assert study.learning_rates == (1e-4,)
    assert study.data == DataSettings(name="off", where={"done": ("no", "yes"), "label": ("benign",)})
    assert study.training == TrainingSettings(augmentation=None)
    assert study.resources == ResourceSettings(gpu=0.0)  # no GPU; `null` would leave the choice to the machine
    assert config.loads("name: a\nresources: {gpu: null}").resources == ResourceSettings()


@pytest.mark.parametrize(
    ("word", "value"), [("no", False), ("off", False), ("false", False), ("yes", True), ("on", True)]
)
def test_yes_and_no_are_the_values_of_a_switch(word: str, value: bool) -> None:
    study = config.loads(f"name: a\ntraining: {{augmentation: {{flip: {word}}}}}")
    assert study.training.augmentation == AugmentationSettings(flip=value)


@pytest.mark.parametrize("word", ["on", "yes", "{}"])
def test_an_optional_section_that_is_on_has_its_defaults(word: str) -> None:
    study = config.loads(f"name: a\ntraining: {{augmentation: {word}}}")
    assert study.training.augmentation == AugmentationSettings()


def test_a_single_value_stands_for_a_list_of_one() -> None:
    study = config.loads("name: a\nstrategies: contracting\nfractions: 5\nseeds: 3\nfolds: {run: 2}")
    assert (study.strategies, study.fractions, study.seeds, study.folds.run) == (("contracting",), (5.0,), (3,), (2,))


def test_strategies_are_stored_under_their_canonical_names() -> None:
    study = config.loads('name: a\nstrategies: [5, 1-5a, Whole Network, "blocks 1,2,8-9", 2-3]')
    assert study.strategies == ("block 5", "contracting", "whole network", "blocks 1,2,8,9", "blocks 2,3")


@pytest.mark.parametrize("text", ["name: a", "name: a\nstrategies: []", "name: a\nstrategies:"])
def test_a_study_without_strategies_has_the_thirteen_of_the_paper(text: str) -> None:
    assert config.loads(text).strategies == tuple(UNET_STRATEGIES)


def test_folds_that_are_not_named_are_all_run() -> None:
    assert config.loads("name: a\nfolds: {of: 3}\nfractions: 66.7").folds == FoldSettings(of=3, run=(0, 1, 2))


def test_a_written_default_and_a_default_left_out_are_the_same_to_the_type() -> None:
    left_out, written = config.loads("name: a"), config.loads("name: a\nfractions: [80, 50, 5]")
    assert left_out == written
    assert all(type(fraction) is float for fraction in left_out.fractions)


def test_a_folder_may_be_named_later_on_the_command_line() -> None:
    assert config.loads("name: a\ndata: {kind: folder}").data.folder is None


def test_the_name_left_out_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "heads.yaml").write_text("seeds: 1")
    assert config.load(tmp_path / "heads.yaml").name == "heads"


def test_a_file_whose_name_cannot_be_the_studys_is_told_to_name_it(tmp_path: Path) -> None:
    (tmp_path / "my heads.yaml").write_text("seeds: 1")
    with pytest.raises(StudyFileError, match=r"my heads\.yaml: no 'name'; expected letters, .* such as 'my-heads'"):
        config.load(tmp_path / "my heads.yaml")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfname: marked")
    assert config.load(str(tmp_path / "a.yaml")).name == "marked"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dmo.yaml", r"dmo\.yaml: no such file; did you mean '.*demo\.yaml'\?$"),
        ("zzz", r"zzz: no such file; there are: demo\.yaml, latin\.yaml$"),
        ("none/zzz", r"zzz: no such file; give the path of a study file$"),
        ("folder", r"folder: a folder; expected a study file such as .*study\.yaml$"),
        ("latin.yaml", r"latin\.yaml:2: not UTF-8 text; save the file with encoding UTF-8$"),
        ("demo.yaml/x", r"x: cannot be read \(Not a directory\); check its permissions$"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "demo.yaml").write_text("name: demo")
    (tmp_path / "latin.yaml").write_bytes("name: a\nquestion: Größe".encode("latin-1"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(StudyFileError, match=message):
        config.load(tmp_path / name)


text_of_any_kind = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)


@settings(deadline=None, max_examples=50)
@given(
    question=text_of_any_kind,
    folder=st.none() | text_of_any_kind | st.sampled_from(["off", "no", "1e-4", "~", "a: b", " x ", "# x", "null"]),
    where=st.dictionaries(text_of_any_kind, st.lists(text_of_any_kind, min_size=1, unique=True).map(tuple), max_size=2),
    rates=st.lists(st.floats(1e-12, 1e3), min_size=1, unique=True).map(tuple),
    flip=st.booleans(),
    gpu=st.none() | st.sampled_from([0.25, 1.0, 2.0]),
)
def test_a_study_that_is_written_and_read_again_is_the_same(
    question: str,
    folder: str | None,
    where: dict[str, tuple[str, ...]],
    rates: tuple[float, ...],
    flip: bool,
    gpu: float | None,
) -> None:
    study = Study(
        name="off",
        question=question,
        model=ModelSettings(width=16),
        data=DataSettings(folder=folder, where=where, mask=("nerve=mask", "mask_vessel")),
        start_weights=(
            StartSettings(kind="file", file="weights of mine.safetensors"),
            StartSettings(name="rows", kind="folder", where=where or {"scanner": ("A",)}),
        ),
        rate_search=RateSearch(draws=40) if flip else None,
        strategies=("block 5", "blocks 1,2,8,9", "blocks 2,3"),
        fractions=(42.5, 5.0),
        learning_rates=rates,
        folds=FoldSettings(of=10, run=(0, 1, 2, 3, 4)),
        training=TrainingSettings(augmentation=AugmentationSettings(flip=flip) if rates[0] < 1 else None),
        resources=ResourceSettings(gpu=gpu),
    )
    assert config.loads(config.dump(study)) == study


def test_the_check_of_a_study_can_fail_without_a_file() -> None:
    good = config.loads("name: a")
    assert config.check(good) == []
    (mistake,) = config.check(replace(good, seeds=(-1,)))
    assert (mistake.key, mistake.text) == (("seeds", 0), "'seeds' has -1; expected 0 or more")


def test_reading_a_study_needs_no_torch() -> None:
    code = (
        "import sys, engine.config, engine.splits, engine.published, engine.significance; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_one_section_of_start_weights_stands_for_a_list_of_one() -> None:
    one = config.loads("name: a\nstart_weights: {kind: file, file: x.safetensors}")
    several = config.loads("name: a\nstart_weights:\n  - {kind: file, file: x.safetensors}\n  - {seed: 3}")
    assert one.start_weights == several.start_weights[:1]
    assert [start_name(start) for start in several.start_weights] == ["x.safetensors", "natural-like images"]


def test_an_own_network_brings_its_strategies_along() -> None:
    study = config.loads("name: a\nmodel: {name: 'mine.nets:build', units: {stem: [conv1], head: [out]}}")
    assert study.strategies[0] == "whole network"
    assert study.strategies[-1] == "from scratch"
    assert len(study.strategies) == 4
