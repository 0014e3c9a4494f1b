"""The command line as a user meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.published import strategies as published_strategies
from engine.store import Store
from tests.made import attempt, trial

ROOT = Path(__file__).resolve().parents[1]


def whichlayers(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """What the command says in `folder`."""
    command = [sys.executable, "-m", "whichlayers", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_strategies_as_json_are_the_papers_in_the_papers_order(tmp_path: Path) -> None:
    said = whichlayers("strategies", "--model", "unet", "--json", folder=tmp_path)
    rows = json.loads(said.stdout)
    assert [(row["strategy"], row["trainable_parameters"]) for row in rows] == list(
        zip(published_strategies()["strategy"], published_strategies()["parameters_exact"], strict=True)
    )
    assert list(rows[0]) == ["strategy", "trainable_parameters", "total_parameters", "fraction"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "nowhere"], "no such folder"),
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "study.yaml"], "no images named"),
        (["run", "study.yaml", "--data", "nowhere", "--store", "r"], "nowhere"),
        (["run", "broken.yaml"], "broken.yaml:2: unknown key 'widht'"),
        (["strategies", "--model", "vnet"], "unknown model 'vnet'"),
        (["results"], "no study in results yet"),
        (["results", "x"], "no study 'x'"),
        (["check", ".", "--where", "label"], "expected COLUMN=VALUE"),
        (["serve", "--port", "70000"], "--port"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_two(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "study.yaml").write_text("name: s\nfractions: [80]\n")
    (tmp_path / "broken.yaml").write_text("name: s\nwidht: 3\n")
    said = whichlayers(*arguments, folder=tmp_path)
    assert said.returncode == 2, said.stderr
    assert words in said.stdout + said.stderr
    assert "Traceback" not in said.stdout + said.stderr
    assert not (tmp_path / "r" / "s").exists()


def test_results_prints_the_table_and_the_paired_differences(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "results")
    trials = [trial(name, fold=fold) for name in ("contracting", "expanding") for fold in (0, 1)]
    store.begin("s", "name: s")
    store.write_plan(
        "s", trials, {"question": "Which?", "data": {"name": "D", "provenance": "made"}, "start_weights": None}
    )
    for one in trials:
        store.append("s", attempt(one, dice=0.8 if one.strategy == "contracting" else 0.7))
    said = whichlayers("results", "s", folder=tmp_path).stdout
    assert "0.800 (0.000)" in said
    assert "contracting minus expanding: +0.100" in said
    assert "fold 0: +0.100, fold 1: +0.100" in said
    assert "no test and no interval" in said
    assert whichlayers("results", folder=tmp_path).stdout.startswith("s: ")
    assert whichlayers("results", "s", "--csv", folder=tmp_path).stdout.startswith("source,dataset,fraction,strategy")


def test_a_dry_run_shows_the_trials_and_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "data: {kind: simulated, images: 15}\nmodel: {width: 2, image_size: 32}\nfractions: [80]\n"
        "strategies: contracting\n"
    )
    said = whichlayers("run", "s.yaml", "--dry-run", "--cache", "cache", folder=tmp_path)
    assert "5 trials = 1 strategies x 1 fractions x 1 learning rates x 5 folds x 1 seeds" in said.stdout, said.stderr
    assert not (tmp_path / "results").exists()


def test_commands_in_the_readme_exist(tmp_path: Path) -> None:
    import re

    known = {"strategies", "check", "run", "results", "health", "serve"}
    text = (ROOT / "README.md").read_text()
    used = set(re.findall(r"whichlayers ([a-z]+)\b", " ".join(re.findall(r"`[^`]+`|```.*?```", text, flags=re.S))))
    assert used, "the README shows no command"
    assert used <= known
    said = whichlayers("--help", folder=tmp_path).stdout
    assert all(name in said for name in known)
