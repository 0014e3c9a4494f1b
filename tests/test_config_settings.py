"""Settings as they are described, and the study files that ship."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from engine import config, published
from engine.study_settings import (
    AugmentationSettings,
    DataSettings,
    FoldSettings,
    Study,
    TrainingSettings,
)

STUDY_FILES = sorted((Path(__file__).parents[1] / "tune_configs").glob("*.yaml"))


def settings_classes(settings: type = Study) -> list[type]:
    sections = [field.section for field in config.describe(settings) if field.section is not None]
    return [settings, *(found for section in sections for found in settings_classes(section))]


def test_every_setting_has_a_description() -> None:
    classes = settings_classes()
    assert len(classes) == 12
    for section in classes:
        described = config.describe(section)
        assert [field.name for field in described] == [field.name for field in fields(section)]  # type: ignore[arg-type]
        assert all(field.doc.endswith((".", "`")) for field in described), section


def test_a_field_is_described_with_type_choices_and_default() -> None:
    by_name = {field.name: field for field in config.describe(DataSettings)}
    assert by_name["kind"].choices == ("simulated", "folder", "cardiac phantoms", "abdominal phantoms")
    assert (by_name["compare_with"].optional, by_name["compare_with"].default) == (True, None)
    assert (by_name["images"].hint, by_name["images"].default) == (int, 85)
    augmentation = {field.name: field for field in config.describe(TrainingSettings)}["augmentation"]
    assert (augmentation.section, augmentation.optional) == (AugmentationSettings, True)


def test_only_settings_classes_can_be_described() -> None:
    with pytest.raises(TypeError, match="no settings class"):
        config.describe(int)


def test_the_markdown_table_has_a_row_for_every_key() -> None:
    table = config.settings_markdown()
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + sum(len(fields(section)) for section in settings_classes())  # type: ignore[arg-type]
    assert all(row.replace("\\|", "").count("|") == 4 for row in rows)
    assert "| `training.augmentation.flip` | `yes` | Mirror left and right with probability one half. |" in rows
    assert "| `folds.run` | every fold |" in table


@pytest.mark.parametrize("path", STUDY_FILES, ids=lambda path: path.stem)
def test_every_study_file_that_ships_loads_and_is_named_like_its_file(path: Path) -> None:
    study = config.load(path)
    assert study.name == path.stem
    assert study.question
    assert is_dataclass(study)


def test_the_demo_asks_the_question_of_the_paper_in_small() -> None:
    study = config.load(next(path for path in STUDY_FILES if path.stem == "demo"))
    asked = {"whole network", "contracting", "expanding", "all except block 5", "block 5", "block 9", "from scratch"}
    assert asked <= set(study.strategies)
    assert (study.model.width, study.model.image_size, study.data.kind) == (16, 128, "simulated")
    assert (study.fractions, study.folds) == ((80.0, 5.0), FoldSettings(of=5, run=(0, 1)))


@pytest.mark.parametrize("path", STUDY_FILES, ids=lambda path: path.stem)
def test_the_published_rows_in_a_study_files_head_are_those_of_table_2(path: Path) -> None:
    study, table = config.load(path), published.table2()
    if study.data.compare_with is None:
        pytest.skip("compares with no published data set")
    for fraction in study.fractions:
        row = re.search(rf"# +{study.data.compare_with} {fraction:g} %: (.*)", path.read_text())
        assert row is not None
        rows = table[(table["dataset"] == study.data.compare_with) & (table["train_percent"] == fraction)]
        means = dict(zip(rows["strategy"], rows["dice_mean"], strict=True))
        shown = {name: "missing" if mean != mean else f"{mean:.3f}" for name, mean in means.items()}
        assert row[1] == ", ".join(f"{strategy} {shown[strategy]}" for strategy in study.strategies)


def test_the_page_on_study_files_holds_the_table_as_the_code_makes_it() -> None:
    page = Path(__file__).resolve().parents[1] / "docs" / "study_files.md"
    assert config.settings_markdown().strip() in page.read_text()
