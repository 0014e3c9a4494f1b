"""Code of a stored study: imported by nobody who was not told to, wherever a network of the store is built."""

import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from safetensors.torch import save
from torch import nn
from typer.testing import CliRunner

from dashboard.inference.worker import InferenceWorker
from engine import config, permission
from engine.errors import StoreError, StudyFileError
from engine.inference import load_model
from engine.models import network_code
from engine.search.afar import FarDriver
from engine.search.worker import train_trial
from engine.store import Store
from engine.studies import pack, unpack
from engine.trial import Trial
from tests.made import trial
from tests.trained_store import attempt, disc, png
from whichlayers import cli

MODULE = "network_that_came_along"
NETWORK = f"{MODULE}:build"
CODE = """
from pathlib import Path
from torch import nn

Path("it_ran").touch()

def build(classes=1):
    return nn.Sequential(nn.Conv2d(1, classes, 1))
"""
TRIAL = trial(
    "from scratch", model=NETWORK, units=("all",), unit_modules='{"all": ["0"]}', image_size=32, start_weights=None
)
REFUSED = rf"^network '{NETWORK}' is code that [^\n]* --own-network '{NETWORK}' [^\n]*$"


@pytest.fixture
def brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store into which a packed study was taken whose network lies, as code, where commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(permission.VARIABLE, "")
    theirs = Store.at(tmp_path / "theirs")
    study = config.loads(
        f"name: s\nmodel: {{name: '{NETWORK}', image_size: 32, units: {{all: ['0']}}}}\nstrategies: [from scratch]\n"
        "data: {kind: simulated, images: 15}\nfolds: {of: 5, run: [0]}\nfractions: [80]\n"
        "training: {max_epochs: 1, batches_per_epoch: 1}\n"
    )
    theirs.begin("s", config.dump(study))
    theirs.write_plan("s", [TRIAL], {"data": {"name": "discs", "fingerprint": TRIAL.data}})
    theirs.append("s", attempt(TRIAL, 0.9), weights=save(nn.Sequential(nn.Conv2d(1, 1, 1)).state_dict()))
    pack(theirs, "s", tmp_path / "s.zip")
    store = Store.at(tmp_path / "results")
    unpack(store, tmp_path / "s.zip")
    assert not any(name.endswith(".py") for name in zipfile.ZipFile("s.zip").namelist())
    Path(f"{MODULE}.py").write_text(CODE)
    yield store
    sys.modules.pop(MODULE, None)


def ran() -> bool:
    """Whether the network's code was imported, by any process."""
    return Path("it_ran").exists()


def test_a_stored_study_runs_no_code_that_nobody_allowed(brought: Store) -> None:
    with pytest.raises(StoreError, match=REFUSED):
        load_model(brought, "s", TRIAL.id, device="cpu")
    with pytest.raises(StoreError, match=REFUSED):
        network_code(NETWORK)
    assert not ran()
    permission.allow(["another:build", f"{MODULE}:other"])  # the whole name counts
    with pytest.raises(StoreError, match=REFUSED):
        load_model(brought, "s", TRIAL.id, device="cpu")
    assert not ran()
    permission.allow([NETWORK])
    assert load_model(brought, "s", TRIAL.id, device="cpu").image_size == 32
    assert ran()


def test_the_inference_process_loads_what_its_server_was_allowed(brought: Store, tmp_path: Path) -> None:
    frame, cache = png(disc(32, 32, 9)), tmp_path / "cache"
    with (
        InferenceWorker(brought.files.root, threads=1, cache=cache) as worker,
        pytest.raises(StoreError, match=REFUSED),
    ):
        worker.predict("s", TRIAL.id, frame)
    assert not ran()
    permission.allow([NETWORK])
    with InferenceWorker(brought.files.root, threads=1, cache=cache) as worker:
        assert worker.predict("s", TRIAL.id, frame).height == 32
    assert ran()


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "frame.png", "--study", "s", "--out", "out"],
        ["model", "s", "--out", "out.safetensors"],
        ["run", "s", "--dry-run"],
        ["run", "results/s/study.yaml", "--dry-run"],
        ["preview", "s"],
    ],
)
def test_commands_refuse_in_one_line_and_take_the_option(brought: Store, command: list[str]) -> None:
    Path("frame.png").write_bytes(png(disc(32, 32, 9)))
    command = [*command, "--cache", "cache"]
    done = CliRunner().invoke(cli.app, command)
    assert isinstance(done.exception, StoreError)
    assert re.match(REFUSED, str(done.exception))
    assert not ran()
    CliRunner().invoke(cli.app, [*command, "--own-network", NETWORK])
    assert ran()


def test_predict_answers_with_the_option(brought: Store) -> None:
    Path("frame.png").write_bytes(png(disc(32, 32, 9)))
    command = ["predict", "frame.png", "--study", "s", "--out", "out", "--cache", "cache", "--own-network", NETWORK]
    done = CliRunner().invoke(cli.app, command)
    assert done.exit_code == 0, done.output
    assert Path("out", "predictions.csv").is_file()


def test_several_networks_come_by_the_variable_and_by_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(permission.VARIABLE, "a:build b.c:build")
    CliRunner().invoke(cli.app, ["predict", "x", "--study", "no", "--out", "o", "--own-network", "d:build"])
    assert permission.allowed() == ["a:build", "b.c:build", "d:build"]
    with pytest.raises(StudyFileError, match=r"^--own-network 'os.system': expected package.module:build"):
        permission.allow(["os.system"])


def test_ones_own_study_file_on_the_command_line_allows_its_network(brought: Store) -> None:
    Path("mine.yaml").write_text(brought.study_text("s"))
    assert permission.allowed() == []
    cli._read(Path("mine.yaml"), "results")
    assert permission.allowed() == [NETWORK]


def test_a_run_hands_what_it_allows_to_its_workers_and_its_driver_elsewhere(
    brought: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def run_trial(trial: Trial, *_: object, **__: object) -> None:
        seen.append(permission.allowed())
        raise KeyboardInterrupt

    def run(*_: object, **__: object) -> dict[str, int]:
        seen.append(permission.allowed())
        return {}

    monkeypatch.setattr("engine.search.worker.run_trial", run_trial)
    monkeypatch.setattr("engine.search.worker._dataset", lambda *_: None)
    monkeypatch.setattr("engine.search.afar.run", run)
    work = {"root": brought.files.root, "study": "t", "cache": "cache", "held_out": {}, "own_networks": [NETWORK]}
    with pytest.raises(KeyboardInterrupt):
        train_trial({"trial": asdict(TRIAL), "work": work})
    monkeypatch.setenv(permission.VARIABLE, "")
    FarDriver().run(config.load(Path("results/s/study.yaml")), brought.files.root, [NETWORK])
    assert seen == [[NETWORK], [NETWORK]]
