"""A user's own network: the example of the docs, and one line for each thing that can be wrong with one."""

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from engine import config, permission
from engine.architectures import parse_strategy
from engine.errors import StrategyError, StudyFileError, WhichLayersError
from engine.models import build, check_network, network_code, unit_names, unit_parameters
from engine.strategies import freeze_all_but, frozen_hash, hash_of_tensors, merge, prepare, tensor_names

DOCS = (Path(__file__).resolve().parents[1] / "docs" / "networks.md").read_text()
SMALL = """\
from torch import nn
import torch

class Small(nn.Module):
    def __init__(self, classes=1):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Conv2d(4, classes, 1)

    def forward(self, images):
        return self.head(self.norm(self.stem(images)))

    def units(self):
        return {"stem": [self.stem, self.norm], "head": [self.head]}

def build(classes=1):
    return Small(classes)
"""


def block(language: str) -> str:
    """The first code block of that language in the docs."""
    found = re.search(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Writes a module into the current directory, allows what it builds and gives its name; forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(permission.VARIABLE, "")
    known = set(sys.modules)

    def write(text: str) -> str:
        name = f"own_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        (tmp_path / f"{name}.py").write_text(text)
        permission.allow(f"{name}:{of}" for of in ("build", "Small", "one"))
        return name

    yield write
    for name in set(sys.modules) - known:
        del sys.modules[name]


def problem(model: str, **settings: object) -> str:
    """The one line that the check says of a network."""
    with pytest.raises(WhichLayersError) as caught:
        check_network(model, **{"image_size": 32, **settings})  # type: ignore[arg-type]
    assert len(caught.value.problems) == 1
    assert "\n" not in caught.value.problems[0]
    return caught.value.problems[0]


def test_the_docs_example_runs_in_fifteen_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(permission.VARIABLE, "small_network:build")
    code = block("python")
    assert len(code.splitlines()) <= 15
    (tmp_path / "small_network.py").write_text(code)
    try:
        study = config.loads(block("yaml"), source="docs.yaml")
        model = study.model
        about = {"classes": 2, "unit_modules": model.unit_modules}
        check_network(model.name, image_size=model.image_size, **about)
        assert unit_names(model.name, **about) == ("stem", "body", "head")
        assert unit_parameters(model.name, width=64, **about) == {
            "stem": 9 * 16 + 16 + 2 * 16,
            "body": 2 * (9 * 16 * 16 + 16 + 2 * 16),
            "head": 3 * 16 + 3,
        }
        parsed = [parse_strategy(text, model.name, tuple(model.units)) for text in study.strategies]
        assert [strategy.units for strategy in parsed] == [
            *(("stem", "body", "head"), ("stem",), ("stem", "body"), ("stem", "head")),
            ("stem", "body", "head"),
        ]
        network = build(model.name, width=64, **about)
        learning = freeze_all_but(network, parsed[1].units)
        assert sum(parameter.numel() for parameter in learning) == 9 * 16 + 16 + 2 * 16
    finally:
        sys.modules.pop("small_network", None)


def test_docs_name_the_sources_of_what_is_not_ours() -> None:
    for source in ("2106.09685", "1801.06146", "qubvel-org/segmentation_models.pytorch", "MIT"):
        assert source in DOCS


def test_the_networks_own_method_names_its_units_and_the_study_file_comes_before_it(
    module: Callable[[str], str],
) -> None:
    model = f"{module(SMALL)}:build"
    check_network(model, image_size=32)
    assert unit_names(model) == ("stem", "head")
    given = json.dumps({"one": ["stem"], "two": ["norm", "head"]})
    check_network(model, image_size=32, unit_modules=given)
    assert unit_names(model, unit_modules=given) == ("one", "two")


def test_units_from_outside_change_no_name_and_no_number(module: Callable[[str], str]) -> None:
    model = f"{module(SMALL)}:build"
    torch.manual_seed(0)
    plain = build(model, width=64, classes=1)
    wrapped = build(model, width=64, classes=1, unit_modules=json.dumps({"all": ["stem", "norm", "head"]}))
    wrapped.load_state_dict(plain.state_dict())
    images = torch.rand(2, 1, 32, 32)
    assert torch.equal(wrapped(images), plain(images))
    assert hash_of_tensors(wrapped.state_dict()) == hash_of_tensors(plain.state_dict())
    assert [name for name, _ in wrapped.named_parameters()] == [name for name, _ in plain.named_parameters()]
    assert sum(p.numel() for p in wrapped.parameters()) == sum(p.numel() for p in plain.parameters())
    assert not any(m.training for _, m in wrapped.eval().named_modules())
    assert {p.dtype for p in wrapped.to(torch.float64).parameters()} == {torch.float64}


def test_adapters_fit_a_network_with_units_from_outside(module: Callable[[str], str]) -> None:
    units = json.dumps({"stem": ["stem", "norm"], "head": ["head"]})
    network = build(f"{module(SMALL)}:build", width=64, classes=1, unit_modules=units)
    names = {unit: set(own) for unit, own in tensor_names(network).items()}
    before = hash_of_tensors(network.state_dict())
    learning = prepare(network, ("stem",), "LoRA", 2)
    assert sum(parameter.numel() for parameter in learning) == 2 * (9 + 4)
    assert {unit: set(own) for unit, own in tensor_names(network).items()} == names
    assert frozen_hash(network, ("stem",), "LoRA") == before
    merge(network)
    assert hash_of_tensors(network.state_dict()) == before


def test_a_class_is_as_good_as_a_function_and_classes_need_not_be_taken(module: Callable[[str], str]) -> None:
    name = module(SMALL + "def one():\n    return Small()\n")
    assert build(f"{name}:Small", width=64, classes=3)(torch.rand(1, 1, 8, 8)).shape == (1, 4, 8, 8)
    assert build(f"{name}:one", width=64, classes=3)(torch.rand(1, 1, 8, 8)).shape == (1, 1, 8, 8)


def test_the_code_of_a_network_is_its_files(module: Callable[[str], str]) -> None:
    assert network_code(f"{module(SMALL)}:build") == hashlib.sha256(SMALL.encode()).hexdigest()
    assert network_code("unet") == network_code("smp") == ""


def test_the_search_path_is_as_it_was(module: Callable[[str], str]) -> None:
    before = list(sys.path)
    build(f"{module(SMALL)}:build", width=64, classes=1)
    assert sys.path == before


def test_the_check_leaves_the_random_stream_alone(module: Callable[[str], str]) -> None:
    model = f"{module(SMALL)}:build"
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    check_network(model, image_size=32)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("model", "text", "line"),
    [
        ("{}:bild", SMALL, "has no 'bild'; did you mean 'build'?"),
        ("{}:qqq", SMALL, "has no 'qqq'; write the name of a function or class in it"),
        ("{}:build", "build = 3", "'build' is a int; expected a function or class that gives a torch.nn.Module"),
        ("{}:build", "def build():\n    return [1]", "build() gave a list; expected a torch.nn.Module"),
        ("{}:build", "def build():\n    return 1 / 0", "build() failed: ZeroDivisionError: division by zero"),
        ("{}:build", "x = y", "failed: NameError: name 'y' is not defined"),
        ("{}:build", "def build(:", "failed: SyntaxError"),
        ("{}:build", "import not_there_at_all", "failed: ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("no_such_file_here:build", "", "there is no module 'no_such_file_here'; is it on PYTHONPATH, or in the cur"),
        ("no_such.file:build", "", "there is no module 'no_such'; is it on PYTHONPATH, or in the current directory"),
        (
            "{}:build",
            "from torch import nn\ndef build():\n    return nn.Sequential(nn.Conv2d(1, 1, 1))",
            "names no units; write them as 'model.units' in the study file (such as 0: [0]), or give it a method units",
        ),
    ],
)
def test_a_network_that_cannot_be_made_is_refused_in_one_line(
    model: str, text: str, line: str, module: Callable[[str], str]
) -> None:
    name = model.format(module(text))
    permission.allow([name])
    said = problem(name)
    assert said.startswith(f"network '{name}'")
    assert line in said


def test_a_failing_line_of_the_users_is_named(module: Callable[[str], str]) -> None:
    name = module("def build():\n    x = 1\n    return x / 0")
    assert f"({name}.py, line 3)" in problem(f"{name}:build")
    needy = module("def build(width):\n    return None")
    assert problem(f"{needy}:build").endswith(
        "failed: TypeError: build() missing 1 required positional argument: 'width'"
    )


@pytest.mark.parametrize(
    ("units", "line"),
    [
        (
            {"stem": ["sten"], "head": ["head"]},
            "unit 'stem' names 'sten', which it does not have; did you mean 'stem'?",
        ),
        ({"stem": ["qq"]}, "unit 'stem' names 'qq', which it does not have; its modules are stem, norm, head"),
        ({"stem": [""]}, "unit 'stem' names '', which it does not have"),
        ({"stem": ["stem", "norm"]}, "'head.weight' is in no unit; add its module to one"),
        ({"a": ["stem", "norm"], "b": ["head", "stem"]}, "'stem.weight' is in unit 'a' and in unit 'b'; it must be"),
        ({"a": ["stem", "norm", "stem"], "b": ["head"]}, "'stem.weight' is twice in unit 'a'"),
    ],
)
def test_units_that_do_not_partition_the_network_are_refused(
    units: dict[str, list[str]], line: str, module: Callable[[str], str]
) -> None:
    model = f"{module(SMALL)}:build"
    with pytest.raises(StrategyError) as caught:
        check_network(model, image_size=32, unit_modules=json.dumps(units))
    assert all(said.startswith(f"network '{model}'") for said in caught.value.problems)
    assert line in caught.value.problems[0]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("classes, 1)", "classes + 1, 1)", "gave 1 x 2 x 32 x 32 for an image of 1 x 1 x 32 x 32; expected 1 x 1 x 32"),
        (
            "padding=1",
            "padding=0",
            "gave 1 x 1 x 30 x 30 for an image of 1 x 1 x 32 x 32; expected 1 x 1 x 32 x 32: one",
        ),
        ("Conv2d(1, 4", "Conv2d(3, 4", "an image of 1 x 1 x 32 x 32 (batch, channel, height, width) failed: Runt"),
        ("return self.head(", "return None, (", "expected one tensor of logits, 1 x 1 x 32 x 32"),
        ("self.norm(self.stem(images)))", "self.stem(images)) / 0", "gave values that are not finite numbers"),
        (
            '{"stem": [self.stem, self.norm], "head": [self.head]}',
            "[self.stem]",
            "units() must give names with lists of",
        ),
        ('"head": [self.head]', '"head": ["head"]', "unit 'head' has a str in its list; expected modules only"),
        (
            '"head": [self.head]',
            '"head": [self.head], "x": [nn.ReLU()]',
            "unit 'x' has a ReLU that is no part of the ne",
        ),
        ('"head": [self.head]}', '"head": [self.head], "pool": []}', "unit 'pool' has no parameters that could learn"),
        (
            "        return self.head(",
            "        self.norm.bias.data += 1\n        return self.head(",
            "'norm.bias' of unit 'stem' changed in a training step while it was frozen",
        ),
        (
            "self.head = nn.Conv2d(4, classes, 1)",
            "self.head = nn.Conv2d(4, classes, 1)\n        self.norm.bias = self.stem.bias",
            "",
        ),
    ],
)
def test_a_network_that_trials_could_not_run_is_refused_in_one_line(
    old: str, new: str, line: str, module: Callable[[str], str]
) -> None:
    assert old in SMALL
    model = f"{module(SMALL.replace(old, new))}:build"
    if not line:  # tied within one unit: nothing is wrong
        check_network(model, image_size=32)
        return
    said = problem(model)
    assert said.startswith(f"network '{model}'")
    assert line in said


def test_a_parameter_that_two_units_share_is_found(module: Callable[[str], str]) -> None:
    tied = SMALL.replace("self.head = nn.Conv2d(4, classes, 1)", "self.head = nn.Conv2d(4, 4, 1)").replace(
        "return self.head(", "return self.head.weight.sum() + self.stem(images)[:, :1] * self.head("
    )
    tied = tied.replace("self.stem(images)))", "self.stem(images)))[:, :1]").replace(
        "    def forward", "        self.head.bias = self.stem.bias\n\n    def forward"
    )
    said = problem(f"{module(tied)}:build")
    assert "changed in a training step while it was frozen" in said
    assert "shared with no other unit" in said


def test_a_batch_that_the_network_cannot_train_on_is_found(module: Callable[[str], str]) -> None:
    pooled = SMALL.replace(
        "self.head(self.norm(self.stem(images)))",
        "self.head(self.norm(self.stem(images).mean((2, 3), keepdim=True))).expand(-1, -1, *images.shape[2:])",
    )
    model = f"{module(pooled)}:build"
    check_network(model, image_size=32, batch_size=2)
    assert "a training step on 1 images with unit 'head' frozen failed: ValueError" in problem(model, batch_size=1)


def test_a_state_that_cannot_be_stored_is_found(module: Callable[[str], str]) -> None:
    extra = SMALL.replace("    def units", "    def get_extra_state(self):\n        return 'x'\n\n    def units")
    assert "'_extra_state' in its state dict is a str, not a tensor" in problem(f"{module(extra)}:build")


def test_a_module_of_the_users_that_is_called_units_is_no_method(module: Callable[[str], str]) -> None:
    listed = SMALL.replace("    def units(self):", "    def other(self):").replace(
        "        self.head =", "        self.units = nn.ModuleList()\n        self.head ="
    )
    model = f"{module(listed)}:build"
    assert "names no units" in problem(model)
    check_network(model, image_size=32, unit_modules=json.dumps({"a": ["stem", "norm"], "b": ["head"]}))


def test_a_folder_has_no_code_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_folder_of_files").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(permission.VARIABLE, "own_folder_of_files:build")
    with pytest.raises(StudyFileError, match="is a folder; name the file in it"):
        network_code("own_folder_of_files:build")
    sys.modules.pop("own_folder_of_files", None)


def test_the_check_takes_several_structures_and_says_which_channels(module: Callable[[str], str]) -> None:
    one = SMALL.replace("return Small(classes)", "return Small(1)")
    said = problem(f"{module(one)}:build", classes=2)
    assert said.endswith("expected 1 x 3 x 32 x 32: 3 channels, background and 2 structures, at the image's size")
