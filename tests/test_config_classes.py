"""Study files that tell classes of images apart: what they may leave out, and every mistake in one line."""

import pytest

from engine import config
from engine.errors import StudyFileError

GIVEN = "name: x\nmodel: {name: vgg16}\n"
MISTAKES = {
    "model: {name: caffenet}\ndata: {learn: masks}": "which tells classes apart; write 'data: {learn: labels}'",
    "data: {learn: labels}": "which outlines structures; write one of caffenet, vgg16, mobilenet, cvcnet",
    GIVEN + "data: {kind: simulated}": "has masks and no classes; write one of cardiac phantoms, abdominal phantoms",
    GIVEN + "data: {square: yes, crop: {A: 600}}": "remove one of them",
    GIVEN + "data: {crop: {A: 4}}": "'data.crop.A' is 4; expected 16 or more",
    GIVEN + "data: {crop: {A: wide}}": "'data.crop.A' is 'wide'; expected a whole number",
    GIVEN + "data: {kind: cardiac phantoms, folder: f}": "'data.folder' has no use while 'data.kind' is",
    GIVEN + "training: {unit_rates: {fc9: 3}}": "'training.unit_rates' names 'fc9'; vgg16 has conv1_1",
    GIVEN + "training: {unit_rates: {fc8: 0}}": "expected a factor above 0, such as 10",
    GIVEN + "training: {crop: 300}": "'training.crop' is 300; expected 16 to 256",
    GIVEN + "training: {momentum: 1}": "'training.momentum' is 1; expected 0 to 0.999",
    GIVEN + "split: {validation: 0}": "nothing says when to stop; add 'training: {iterations: 1000}'",
    GIVEN + "split: {by: given}\nfolds: {of: 4}": "'split.by: given' has one test set; write 'folds: {of: 1}'",
    GIVEN + "training: {rates_for_batch: 256}\nrate_search: {draws: 4}": "remove one of them",
    GIVEN + "start_weights: {kind: natural-like images}": "holds no labels; expected one of formula-driven images",
    GIVEN + "start_weights: {classes: 50, images: 60}": "is 60 for 50 classes; expected 10 or more of each",
    "start_weights: {kind: library}": "holds no masks; expected one of natural-like images",
    "training: {crop: 100}": "which has no use with 'learn: masks'; remove it",
    "split: {by: given}": "which has no use with 'learn: masks'; remove it",
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.items())
def test_a_mistake_is_one_line_with_its_remedy(text: str, said: str) -> None:
    with pytest.raises(StudyFileError) as error:
        config.loads(text if text.startswith("name") else f"name: x\n{text}", source="x.yaml")
    lines = error.value.problems
    assert any(said in line for line in lines), lines
    assert all("\n" not in line for line in lines)


def test_a_classifier_takes_what_its_paper_took_where_the_file_says_nothing() -> None:
    study = config.loads("name: x\nmodel: {name: caffenet}")
    assert (study.model.width, study.model.image_size, study.training.crop) == (96, 256, 227)
    assert study.data.learn == "labels"
    (start,) = study.start_weights
    assert (start.kind, start.batch_size) == ("formula-driven images", 32)
    assert study.strategies[-2:] == ("whole network", "from scratch")
    assert config.loads("name: x\nmodel: {name: unet}").training.crop is None


def test_the_papers_crop_belongs_to_the_papers_size() -> None:
    assert config.loads("name: x\nmodel: {name: caffenet, image_size: 128}").training.crop is None
    study = config.loads("name: x\nmodel: {name: caffenet, image_size: 300}\ntraining: {crop: 227}")
    assert study.training.crop == 227


def test_given_sets_are_one_fold_where_the_file_names_none() -> None:
    study = config.loads("name: x\nmodel: {name: cvcnet}\nsplit: {by: given}\nfractions: [100, 20]")
    assert (study.folds.of, study.folds.run) == (1, (0,))


def test_a_study_of_classes_reads_back_as_it_was_written() -> None:
    text = """
name: x
model: {name: caffenet}
data: {learn: labels, crop: {Philips: 600, "Toshiba, old": 372}}
training: {unit_rates: {fc8: 10}, iterations: 1000, rates_for_batch: 256, optimiser: sgd, weight_decay: 5e-4}
split: {validation: 0}
"""
    study = config.loads(text)
    assert study.data.crop == {"Philips": 600, "Toshiba, old": 372}
    assert study.training.unit_rates == {"fc8": 10.0}
    assert config.loads(config.dump(study)) == study


def test_kept_views_are_eight_where_classes_are_told_apart_and_none_for_outlines() -> None:
    classes = "name: x\nmodel: {name: caffenet}\n"
    assert config.loads(classes).training.crops_kept == 8
    assert config.loads(f"{classes}training: {{crops_kept: 0}}").training.crops_kept == 0
    assert config.loads("name: x").training.crops_kept == 0
    with pytest.raises(StudyFileError, match="crops_kept' is 'off'; expected a whole number"):
        config.loads("name: x\ntraining: {crops_kept: off}")
