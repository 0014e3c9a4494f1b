"""Every mistake of a study file as one line."""

import pytest

from engine import config
from engine.errors import StudyFileError


def problems(text: str) -> list[str]:
    with pytest.raises(StudyFileError) as caught:
        config.loads(text, source="x.yaml")
    return list(caught.value.problems)


MISTAKES = {
    # keys
    "training: {epoch: 3}": "x.yaml:1: unknown key 'training.epoch'; did you mean 'max_epochs'?",
    "question: a\nseed: 3": "x.yaml:2: unknown key 'seed'; did you mean 'seeds'?",
    "patience: 4": "x.yaml:1: unknown key 'patience'; did you mean 'training.patience'?",
    "images: 4": "x.yaml:1: unknown key 'images'; did you mean 'data.images' or 'start_weights.images'?",
    "split: {zzz: 4}": "x.yaml:1: unknown key 'split.zzz'; known here: by, validation, seed",
    "seeds: 1\nquestion: a\nseeds: 2": "x.yaml:3: 'seeds' stands in line 1 already; keep one of them",
    "? [a]\n: 1": "x.yaml:1: a key is a list or section; expected a word",
    # types
    "training:\n  patience: many": "x.yaml:2: 'training.patience' is 'many'; expected a whole number",
    "training: {patience: true}": "x.yaml:1: 'training.patience' is 'true'; expected a whole number",
    "training: {patience: 2.5}": "x.yaml:1: 'training.patience' is '2.5'; expected a whole number",
    "training: {patience: }": (
        "x.yaml:1: 'training.patience' has no value; expected a whole number, or leave the key out"
    ),
    "training: {patience: [5]}": "x.yaml:1: 'training.patience' is a list; expected a whole number",
    "training: {augmentation: {flip: maybe}}": (
        "x.yaml:1: 'training.augmentation.flip' is 'maybe'; expected yes or no"
    ),
    "training: {augmentation: }": (
        "x.yaml:1: 'training.augmentation' is empty; write 'off', or keys such as 'shift: ...' under it"
    ),
    "training: {augmentation: much}": (
        "x.yaml:1: 'training.augmentation' is 'much'; expected 'off', or keys such as 'shift: ...' indented under it"
    ),
    "training: fast": "x.yaml:1: 'training' is 'fast'; expected keys such as 'batch_size: ...' indented under it",
    "training: off": "x.yaml:1: 'training' is 'off'; expected keys such as 'batch_size: ...' indented under it",
    "training: {batches_per_epoch: a}": (
        "x.yaml:1: 'training.batches_per_epoch' is 'a'; expected a whole number, or off"
    ),
    "fractions:\n  - 80\n  - 5%": "x.yaml:3: 'fractions' has '5%'; expected a number",
    "seeds: [[1]]": "x.yaml:1: 'seeds' has a list or section inside; expected single values",
    "seeds: {a: 1}": "x.yaml:1: 'seeds' is a section; expected a list such as [first, second]",
    "seeds:\n  - 1\n  -": "x.yaml:3: 'seeds' has an empty entry; remove it",
    "data: {kind: simulatd}": (
        "x.yaml:1: 'data.kind' is 'simulatd'; expected 'simulated', 'folder', 'cardiac phantoms' or 'abdominal "
        "phantoms'; did you mean 'simulated'?"
    ),
    "data: {compare_with: xray}": (
        "x.yaml:1: 'data.compare_with' is 'xray'; expected 'SUS', 'BUS', 'FUS' or 'X-ray', or off; "
        "did you mean 'X-ray'?"
    ),
    "model: {name: vgg}": (
        "x.yaml:1: 'model.name' is 'vgg'; did you mean 'vgg16'? expected one of unet, caffenet, vgg16, mobilenet, "
        "cvcnet, or 'package.module:build' for your own network"
    ),
    "data: {where: benign}": ("x.yaml:1: 'data.where' is not a section; expected 'column: [value, value]' under it"),
    "data: {where: {a: x, a: y}}": "x.yaml:1: 'data.where.a' stands here twice; keep one of them",
    "data: {where: {a: {b: 1}}}": ("x.yaml:1: 'data.where.a' is a section; expected a list such as [first, second]"),
    "data: {where: {[a]: b}}": ("x.yaml:1: 'data.where' has a list or section as a key; expected a name"),
    "name: !mine x": "x.yaml:1: 'name' has the tag '!mine', which means nothing here; remove it",
    # meaning
    "name: my study!": (
        "x.yaml:1: 'name' is 'my study!'; expected letters, digits, '-' and '_', 80 at most, such as 'my-study'"
    ),
    "model: {width: 0}": "x.yaml:1: 'model.width' is 0; expected 1 to 256",
    "model: {width: 257}": "x.yaml:1: 'model.width' is 257; expected 1 to 256",
    "model: {image_size: 100}": (
        "x.yaml:1: 'model.image_size' is 100; expected a multiple of 16 from 32 to 2048, such as 96"
    ),
    "model: {image_size: 16}": (
        "x.yaml:1: 'model.image_size' is 16; expected a multiple of 16 from 32 to 2048, such as 32"
    ),
    "data: {kind: simulated, images: 4}": "x.yaml:1: 'data.images' is 4; expected 5 or more, one per fold",
    "data: {kind: simulated, folder: a}": (
        "x.yaml:1: 'data.folder' has no use while 'data.kind' is 'simulated'; remove it, or write 'kind: folder'"
    ),
    "data: {seed: -1}": "x.yaml:1: 'data.seed' is -1; expected 0 or more",
    'data: {mask: ""}': "x.yaml:1: 'data.mask' is empty; expected the name of a manifest column",
    "data: {where: {label: []}}": "x.yaml:1: 'data.where.label' is an empty list; expected one value at least",
    "data: {where: {label: [a, a]}}": "x.yaml:1: 'data.where.label' has a 2 times; keep it once",
    "start_weights:\n  kind: file": (
        "x.yaml:2: 'start_weights.kind' is 'file', but no file is named; add 'start_weights.file'"
    ),
    "start_weights: {kind: folder}": (
        "x.yaml:1: 'start_weights.kind' is 'folder', but no folder is named; add 'start_weights.folder'"
    ),
    "start_weights:\n  file: a": (
        "x.yaml:2: 'start_weights.file' has no use while 'start_weights.kind' is 'natural-like images'; "
        "remove it, or write 'kind: file'"
    ),
    "start_weights: {images: 9}": "x.yaml:1: 'start_weights.images' is 9; expected 10 or more",
    "start_weights: {seed: -1}": "x.yaml:1: 'start_weights.seed' is -1; expected 0 or more",
    "start_weights: {batches: 0}": "x.yaml:1: 'start_weights.batches' is 0; expected 1 or more",
    "start_weights: {batch_size: 0}": "x.yaml:1: 'start_weights.batch_size' is 0; expected 1 or more",
    "strategies: [contrcting]": "x.yaml:1: unknown strategy 'contrcting'; did you mean 'contracting'? known: whole",
    "strategies: 8-2": "x.yaml:1: strategy '8-2': the range '8-2' runs backwards; write the shallower block first",
    "strategies:\n  - 5\n  - 5a,5b": (
        "x.yaml:3: 'strategies' has '5' and '5a,5b', which are both 'block 5'; remove one of them"
    ),
    "strategies: [expanding, expanding]": "x.yaml:1: 'strategies' has 'expanding' twice; remove one of them",
    "strategies: [blocks 1,2,8-9]": (
        "x.yaml:1: 'strategies' has blocks 1,2,8-9: between [ ] a comma ends an entry; "
        'put it in quotes: "blocks 1,2,8-9"'
    ),
    "strategies: contracting, block 9": (
        "x.yaml:1: 'strategies' has 'contracting, block 9', which is several; write [contracting, block 9]"
    ),
    "fractions:\n  - 5\n  - 81": (
        "x.yaml:3: 'fractions' has 81; expected percent of the whole data set, more than 0 and at most 80: "
        "with 5 folds the rest is the test fold"
    ),
    "fractions: 0": "x.yaml:1: 'fractions' has 0; expected percent of the whole data set, more than 0",
    "fractions: .nan": "x.yaml:1: 'fractions' has '.nan'; expected a number",
    "fractions: nan": "x.yaml:1: 'fractions' has nan; expected percent",
    "fractions: [80, 80.0]": "x.yaml:1: 'fractions' has 80 2 times; keep it once",
    "fractions: []": "x.yaml:1: 'fractions' is an empty list; expected one value at least",
    "folds: {of: 3}": (
        "x.yaml: 'fractions' has 80; expected percent of the whole data set, more than 0 and at most 66.67: "
        "with 3 folds the rest is the test fold; that is the default: write 'fractions' into the file"
    ),
    "learning_rates: [1e-4, 0]": "x.yaml:1: 'learning_rates' has 0; expected a number above 0, such as 1e-4",
    "learning_rates: -1e-4": "x.yaml:1: 'learning_rates' has -0.0001; expected a number above 0, such as 1e-4",
    "learning_rates: inf": "x.yaml:1: 'learning_rates' has inf; expected a number above 0, such as 1e-4",
    "learning_rates: [1e-4, 0.0001]": "x.yaml:1: 'learning_rates' has 0.0001 2 times; keep it once",
    "seeds: [0, 0]": "x.yaml:1: 'seeds' has 0 2 times; keep it once",
    "seeds: -1": "x.yaml:1: 'seeds' has -1; expected 0 or more",
    "folds: {of: 1, run: [0]}\nfractions: [5]": "x.yaml:1: 'folds.of' is 1; expected 2 to 1000",
    "folds: {run: [0, 5]}": ("x.yaml:1: 'folds.run' has 5; expected 0 to 4: folds are counted from 0, and there are 5"),
    "folds: {run: [0, 0]}": "x.yaml:1: 'folds.run' has 0 2 times; keep it once",
    "folds: {run: []}": "x.yaml:1: 'folds.run' is an empty list; expected one value at least",
    "split: {seed: -1}": "x.yaml:1: 'split.seed' is -1; expected 0 or more",
    "training: {batch_size: 0}": "x.yaml:1: 'training.batch_size' is 0; expected 1 or more",
    "training: {patience: 0}": "x.yaml:1: 'training.patience' is 0; expected 1 or more",
    "training: {max_epochs: 0}": "x.yaml:1: 'training.max_epochs' is 0; expected 1 to 200",
    "training: {max_epochs: 300}": "x.yaml:1: 'training.max_epochs' is 300; expected 1 to 200",
    "training: {batches_per_epoch: 0}": "x.yaml:1: 'training.batches_per_epoch' is 0; expected 1 or more",
    "training: {augmentation: {shift: 0.6}}": ("x.yaml:1: 'training.augmentation.shift' is 0.6; expected 0 to 0.5"),
    "training: {augmentation: {zoom: -1}}": "x.yaml:1: 'training.augmentation.zoom' is -1; expected 0 to 0.5",
    "resources: {cpu: 0}": "x.yaml:1: 'resources.cpu' is 0; expected 1 or more",
    "resources: {at_once: 0}": "x.yaml:1: 'resources.at_once' is 0; expected 1 or more",
    "resources: {gpu: -1}": "x.yaml:1: 'resources.gpu' is -1; expected a part of one GPU such as 0.25",
    "seeds: 99999999999999999999": "x.yaml:1: 'seeds' is 99999999999999999999; expected 9223372036854775807 at most",
    "resources: {gpu: 1.5}": "x.yaml:1: 'resources.gpu' is 1.5; expected a part of one GPU such as 0.25",
    # YAML
    "name: a\n\tseeds: 1": "x.yaml:2: not valid YAML: there is a tab; YAML indents with spaces",
    "seeds: [1,\nname: b": "x.yaml:2: not valid YAML: a bracket is not closed, or a comma is missing",
    "seeds: [": "x.yaml:1: not valid YAML: a bracket is not closed, or a comma is missing",
    "question: a: b": (
        "x.yaml:1: not valid YAML: a second ':' on one line, or a line indented too far; quote text with ': '"
    ),
    "model:\n  width: 16\n name: unet": (
        "x.yaml:3: not valid YAML: the line is indented unlike the lines that it belongs with"
    ),
    'name: "a': "x.yaml:1: not valid YAML: a quotation mark is not closed",
    "name: *a": "x.yaml:1: not valid YAML: '*' refers to a mark that is not set; put the text in quotes",
    "name: a\n---\nname: b": "x.yaml:2: not valid YAML: '---' begins a second study; write one study per file",
    "name: @a": "x.yaml:1: not valid YAML: text that begins with this character must stand in quotes",
    "name: a\nquestion: \x00": "x.yaml:2: a character that text cannot have; save the file as text",
    "": "x.yaml: the file is empty; expected a study (see the files in tune_configs)",
    "# only a comment": "x.yaml: the file is empty; expected a study (see the files in tune_configs)",
    "unet": "x.yaml:1: not a study; expected keys and values, such as 'name: my-study'",
    "# head\n- a": "x.yaml:2: not a study; expected keys and values, such as 'name: my-study'",
    "[" * 500: "x.yaml: brackets nested too deeply; expected keys and values",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items(), ids=[message[:60] for message in MISTAKES.values()])
def test_a_mistake_is_one_line_with_place_value_and_remedy(text: str, message: str) -> None:
    (line,) = problems(text)
    assert line.startswith(message)


def test_all_mistakes_come_at_once_in_the_order_of_the_lines() -> None:
    lines = problems(
        "name: a b\n"
        "training:\n"
        "  epoch: 3\n"
        "  patience: many\n"
        "fractions: [80, a, 90]\n"
        "strategies: [contracting, sideways]\n"
        "seeds: [x, -1]\n"
        "resources: {gpu: -1}\n"
    )
    assert [line.split(": ")[0] for line in lines] == [f"x.yaml:{line}" for line in (1, 3, 4, 5, 5, 6, 7, 7, 8)]
    assert not any("pydantic" in line or "Input" in line for line in lines)


def test_a_wrong_value_brings_no_second_mistake_that_only_follows_from_it() -> None:
    assert len(problems("folds: {of: some, run: [7]}\nfractions: [90]")) == 1
    assert len(problems("fractions: [a]")) == 1
    assert len(problems("start_weights: {kind: fil, file: a}")) == 1


def test_a_line_break_in_a_value_stays_within_the_line_of_its_problem() -> None:
    (line,) = problems('data: {kind: "a\\nb"}')
    assert "'a\\nb'" in line
    assert "\n" not in line


def test_a_number_of_400_digits_is_a_mistake_and_not_a_crash() -> None:
    assert "expected 1 to 256" in problems(f"model: {{width: 1{'0' * 400}}}")[0]
    assert "expected a multiple of 16" in problems(f"model: {{image_size: 1{'0' * 400}}}")[0]
    assert "expected a whole number" in problems(f"model: {{width: 1{'0' * 5000}}}")[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: a\nstart_weights:\n- {seed: 1}\n- {seed: 2}",
            "x.yaml:4: 'start_weights' has two sections called 'natural-like images'; give each a 'name' of its own",
        ),
        (
            "name: a\nstart_weights:\n- {seed: 1}\n- {kind: file}",
            "x.yaml:4: 'start_weights.kind' is 'file', but no file is named; add 'start_weights.file'",
        ),
        (
            "name: a\nrate_search: {low: 1e-3, high: 1e-5}",
            "x.yaml:2: 'rate_search' runs from 0.001 to 1e-05; expected 0 < low < high",
        ),
        (
            "name: a\nrate_search: {draws: 1}",
            "x.yaml:2: 'rate_search.draws' is 1; expected more than the 1 of 'learning_rates', which are tried first",
        ),
        (
            "name: a\nstrategies: [gradual unfreezing]\ntraining: {max_epochs: 20}",
            "x.yaml:3: 'training.unfreeze_every' is 3, so the first block begins to learn in epoch 28, after "
            "'training.max_epochs' 20; write 'unfreeze_every: 2', or add epochs",
        ),
        (
            "name: a\nstrategies: ['smp U-Net, frozen encoder']",
            "x.yaml:2: 'strategies' has 'smp U-Net, frozen encoder', but no weights for the encoder, which would stay "
            "random; add 'encoder: {weights: FILE}'",
        ),
        ("name: a\nmargin: 2", "x.yaml:2: 'margin' is 2; expected a Dice between 0 and 1, as 0.01"),
        (
            "name: a\nmodel: {units: {stem: [conv1]}}",
            "x.yaml:2: 'model.units' has no use with 'unet', whose units are known; remove it",
        ),
    ],
)
def test_a_mistake_in_an_axis_names_its_line(text: str, message: str) -> None:
    assert problems(text) == [message]
