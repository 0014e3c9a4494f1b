"""Commands as a user types them, and studies for them to tell of."""

import io
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from typer.testing import CliRunner

from engine.errors import WhichLayersError
from engine.store import Store
from engine.trial import Attempt, Trial
from tests.made import attempt, trial
from whichlayers import cli
from whichlayers.report import print_report

MADE = "data: {kind: simulated, images: 15}\nmodel: {width: 2, image_size: 32}\nfractions: [80]\n"
"""A study file that plans in a moment."""


def whichlayers(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """What the command says in `folder`."""
    command = [sys.executable, "-m", "whichlayers", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def begun(root: Path, trials: Sequence[Trial], study: str = "s") -> Store:
    """A store with one planned study."""
    store = Store.at(root)
    store.begin(study, f"name: {study}")
    facts = {"question": "Which?", "data": {"name": "D", "provenance": "made"}, "start_weights": None}
    store.write_plan(study, trials, facts)
    return store


def printed(store: Store, study: str = "s") -> str:
    """The report as text."""
    console = Console(record=True, width=160, file=io.StringIO())
    print_report(store, study, console)
    return console.export_text()


def in_fold(of: Trial, **changes: Any) -> Attempt:
    """An attempt at a trial whose test images are those of its fold."""
    made = attempt(of, **changes)
    images = tuple(replace(image, index=image.index + 10 * of.fold) for image in made.test_images)
    return replace(made, test_images=images)


def both(**changes: Any) -> list[Trial]:
    """Trials of the first pair that the report compares, two folds each."""
    return [trial(name, fold=fold, **changes) for name in ("contracting", "expanding") for fold in (0, 1)]


def here(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """What the command says in `folder`, without a process of its own: mistakes as `main` tells them."""
    with chdir(folder):
        said = CliRunner().invoke(cli.app, list(arguments))
    if isinstance(said.exception, WhichLayersError):
        return subprocess.CompletedProcess(arguments, 2, said.stdout, said.stderr + f"{said.exception}\n")
    assert said.exception is None or isinstance(said.exception, SystemExit), said.exception
    return subprocess.CompletedProcess(arguments, said.exit_code, said.stdout, said.stderr)


def finished(root: Path, *, study: str = "s", folds: Sequence[int] = (0, 1)) -> Store:
    """A store with a study of two strategies whose folds are all done."""
    trials = [trial(name, fold=fold) for name in ("contracting", "expanding") for fold in folds]
    store = begun(root, trials, study)
    for one in trials:
        store.append(study, in_fold(one, dice=0.8 if one.strategy == "contracting" else 0.7, collapsed=one.fold == 1))
    return store
