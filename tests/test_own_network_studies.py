"""A study of a network whose units only its code says: names are those of the plan, and adapters are counted."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import permission, preparation
from engine import study as planning
from engine.errors import StrategyError
from engine.study_settings import FoldSettings, ModelSettings, Study

NAME = "network_of_a_study_test"
NETWORK = """
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, padding=1, groups=2))
        self.head = nn.Sequential(nn.Conv2d(6, 5, 1), nn.Conv2d(5, 1, 5, padding=2))

    def forward(self, images):
        return self.head(self.stem(images))

    def units(self):
        return {"stem": [self.stem], "head": [self.head]}
"""
STUDY = Study(
    name="s",
    model=ModelSettings(name=f"{NAME}:Network", image_size=32),
    strategies=("whole network", "stem", "LoRA rank 2", "lora rank 3 on head"),
    folds=FoldSettings(run=(0, 1)),
)


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, ...]]:
    """The network's units, read from its code as a run reads them."""
    (tmp_path / f"{NAME}.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(permission.VARIABLE, f"{NAME}:Network")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield preparation.own_network(STUDY)["units"]
    sys.modules.pop(NAME, None)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("stem", "unit stem"),
        ("Units stem", "unit stem"),
        ("head, stem", "whole network"),
        ("lora rank 2", "LoRA rank 2"),
    ],
)
def test_the_reference_has_the_name_that_the_plan_gives_it(written: str, name: str, units: tuple[str, ...]) -> None:
    study = replace(STUDY, strategies=(written,), reference=written)
    assert preparation._with_reference(study, units).reference == name
    assert [strategy.name for strategy in planning.strategies(study, units)] == [name]


def test_a_reference_that_the_network_does_not_have_is_refused(units: tuple[str, ...]) -> None:
    with pytest.raises(StrategyError, match=r"'reference': unknown strategy 'stam'; did you mean 'stem'\?"):
        preparation._with_reference(replace(STUDY, reference="stam"), units)
    plain = replace(STUDY, reference="stam")
    assert preparation._with_reference(plain, None) is plain  # its names were read with the study file


def test_of_adapters_only_their_own_parameters_learn(units: tuple[str, ...]) -> None:
    # stem: 3 x 3 x 1 x 4 + 4 and 3 x 3 x 2 x 6 + 6; head: 6 x 5 + 5 and 5 x 5 x 5 + 1
    stem, head = 40 + 114, 35 + 126
    # rank x (inputs of one output pixel + outputs) of each convolution larger than 1 x 1 (Hu et al. 2021, Section 4.1)
    on_stem, on_head = (9 + 4) + (18 + 6), 125 + 1
    found = preparation._parameters(STUDY, units, classes=1)
    assert {name: counts["trainable"] for name, counts in found.items()} == {
        "whole network": stem + head,
        "unit stem": stem,
        "LoRA rank 2": 2 * (on_stem + on_head),
        "LoRA rank 3 on unit head": 3 * on_head,
    }
    assert {counts["total"] for counts in found.values()} == {stem + head}
