"""Made studies that reports are made of, read once for all tests of the report."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dashboard.report.findings import Findings, read_findings
from dashboard.report.methods import methods
from dashboard.report.page import report_page
from engine.store import Store
from engine.trial import Trial
from tests.made_store import made_store

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
STRATEGIES = ("whole network", "contracting", "expanding", "all except block 5", "block 5", "from scratch")
VERSIONS = {"whichlayers": "9.8.7", "torch": "2.15.0", "ray": "2.60.0", "numpy": "2.4.6", "python": "3.11.7"}


def odd(place: int, trial: Trial) -> dict[str, Any]:
    """What is unusual in the made study: from scratch fails in fold 1, block 5 collapses in fold 0."""
    if trial.strategy == "from scratch" and trial.fold == 1:
        return {"state": "not_converged"}
    return {"collapsed": True} if trial.strategy == "block 5" and trial.fold == 0 else {}


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Studies with three folds, two folds and several rates, two start weights, and one that has hardly begun."""
    folder = tmp_path_factory.mktemp("report")

    def study(name: str, **more: Any) -> None:
        made_store(
            folder / "r", folder / "c", study=name, images=25, image_size=32,
            **{"strategies": STRATEGIES, "facts": {"versions": VERSIONS}, **more},
        )  # fmt: skip

    study("three", folds=(0, 1, 2), changes=odd, fractions=(80, 5))
    study("two", folds=(0, 1), fractions=(80,), rates=(1e-3, 1e-4))
    study("starts", folds=(0, 1, 2), fractions=(80,), starts=("natural", "ultrasound"), as_pretrained=True)
    study("begun", folds=(0, 1, 2), fractions=(80,), finished=lambda place, trial: place < 7, state="stopped")
    study("one", folds=(0,), fractions=(80,))
    Store.at(folder / "r").begin("prepared", "name: prepared\n")
    return folder


@pytest.fixture(scope="package")
def read(folder: Path) -> Callable[[str], Findings]:
    """Findings by the study's name, each read once."""
    kept: dict[str, Findings] = {}

    def find(study: str) -> Findings:
        return kept.setdefault(study, read_findings(Store.at(folder / "r"), study))

    return find


@pytest.fixture(scope="package")
def page(read: Callable[[str], Findings]) -> str:
    return report_page(read("three"), now=NOW)


def text_of(found: Findings) -> str:
    """The methods in one piece."""
    return " ".join(paragraph.text for paragraph in methods(found))
