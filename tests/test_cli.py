"""The command line as a user meets it."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import chdir, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from rich.console import Console
from typer.testing import CliRunner

from dashboard.health import is_healthy
from dashboard.report.findings import read_findings
from dashboard.report.grid import Cell, Grid, Group, Line
from engine import config
from engine import study as planning
from engine.datasets import simulated_dataset
from engine.errors import WhichLayersError
from engine.hardware import share, this_machine
from engine.published import strategies as published_strategies
from engine.store import Store
from engine.study_settings import Study
from engine.trial import Attempt, Trial
from tests.made import attempt, trial
from whichlayers import cli
from whichlayers.report import differences, false_positives, print_report, print_table, run_state

ROOT = Path(__file__).resolve().parents[1]
MADE = "data: {kind: simulated, images: 15}\nmodel: {width: 2, image_size: 32}\nfractions: [80]\n"
"""A study file that plans in a moment."""


def whichlayers(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """What the command says in `folder`."""
    command = [sys.executable, "-m", "whichlayers", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_strategies_as_json_are_the_papers_in_the_papers_order(tmp_path: Path) -> None:
    said = whichlayers("strategies", "--model", "unet", "--json", folder=tmp_path)
    rows = json.loads(said.stdout)
    assert [(row["strategy"], row["trainable_parameters"]) for row in rows[:13]] == list(
        zip(published_strategies()["strategy"], published_strategies()["parameters_exact"], strict=True)
    )
    assert list(rows[0]) == ["strategy", "trainable_parameters", "total_parameters", "fraction"]


def test_strategies_whose_parameters_only_torch_can_count_are_listed_too(tmp_path: Path) -> None:
    said = whichlayers("strategies", folder=tmp_path)
    assert said.returncode == 0, said.stderr
    assert re.search(r"smp U-Net +│ +counted when built │ +– ", said.stdout)
    assert "30.3 %" in said.stdout


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
        (["table", "x"], "no study 'x'"),
        (["report", "x"], "no study 'x'"),
        (["report", "x", "--latex", "--csv"], "choose one of --latex and --csv"),
        (["report", "x", "--latex", "--images"], "only the page can have images"),
        (["table", "x", "--format", "pdf"], "'pdf' is none of text, csv, json, latex"),
        (["table", "x", "--measure", "auc"], "'auc' is none of dice, iou, hd95"),
        (["check", ".", "--where", "label"], "expected COLUMN=VALUE"),
        (["run", "made.yaml", "--name", ".."], "'name' is '..'"),
        (["run", "made.yaml", "--name", ""], "'name' is ''"),
        (["run", "made.yaml", "--name", "a/b", "--dry-run"], "'name' is 'a/b'"),
        (["run", "made.yaml", "--store", "study.yaml"], "--store study.yaml: cannot be written"),
        (["run", "made.yaml", "--store", "study.yaml/below"], "--store study.yaml/below: cannot be written"),
        (["run", "made.yaml", "--cache", "study.yaml"], "--cache study.yaml: cannot be written"),
        (["run", "made.yaml", "--cache", "study.yaml/below", "--dry-run"], "--cache study.yaml/below: cannot be"),
        (["run", "made.yaml", "--address", "auto"], "--address"),
        (["serve", "--port", "70000"], "--port"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_two(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "study.yaml").write_text("name: s\nfractions: [80]\n")
    (tmp_path / "broken.yaml").write_text("name: s\nwidht: 3\n")
    (tmp_path / "made.yaml").write_text(MADE)
    said = whichlayers(*arguments, folder=tmp_path)
    assert said.returncode == 2, said.stderr
    assert words in said.stdout + said.stderr
    assert "Traceback" not in said.stdout + said.stderr
    assert not (tmp_path / "r" / "s").exists()
    if "cannot be" in words:
        assert len(said.stderr.splitlines()) == 1


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


def test_results_of_a_study_that_is_being_prepared_say_so(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "results")
    store.begin("s", "name: s")
    assert printed(store).startswith("s: nothing is planned yet")
    said = whichlayers("results", "s", "--csv", folder=tmp_path)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("s: nothing is planned yet")
    assert len(said.stderr.splitlines()) == 1


def test_a_strategy_that_never_converged_is_compared_with_nothing(tmp_path: Path) -> None:
    store = begun(tmp_path, both())
    for one in both():
        store.append("s", attempt(one, state="not_converged" if one.strategy == "expanding" else "completed"))
    said = printed(store)
    assert "2 of 2 failed" in said
    assert "contracting minus expanding" not in said


def test_strategies_that_converged_in_different_folds_have_no_difference(tmp_path: Path) -> None:
    store = begun(tmp_path, both())
    for one in both():
        good = (one.strategy == "contracting") == (one.fold == 0)
        store.append("s", attempt(one, state="completed" if good else "not_converged"))
    said = printed(store)
    assert "no test image with a structure that both were measured on" in said
    assert "nan" not in said


def test_images_without_a_structure_are_no_part_of_a_paired_difference(tmp_path: Path) -> None:
    store = begun(tmp_path, both())
    for one in both():
        made = in_fold(one, dice=0.8 if one.strategy == "contracting" else 0.7)
        normal = replace(made.test_images[0], index=9 + 10 * one.fold, dice=1.0, empty_truth=True)
        store.append("s", replace(made, test_images=(*made.test_images, normal)))
    found = differences(read_findings(store, "s").rows[0], "contracting", "expanding")
    assert found is not None
    assert found[1].mean_difference == pytest.approx(0.1)
    assert found[1].images == 8


def test_images_without_any_structure_give_no_difference(tmp_path: Path) -> None:
    store = begun(tmp_path, both())
    for one in both():
        made = attempt(one)
        store.append("s", replace(made, test_images=tuple(replace(i, empty_truth=True) for i in made.test_images)))
    assert differences(read_findings(store, "s").rows[0], "contracting", "expanding") is None


def test_the_false_positive_rate_is_that_of_all_normal_images_of_a_finished_cell(tmp_path: Path) -> None:
    store = begun(tmp_path, both())
    for one in both():
        if one.strategy == "contracting":
            seen = {0: (0.5, 10), 1: (0.2, 30)}[one.fold]
            store.append("s", attempt(one, false_positive_rate=seen[0], normal_images=seen[1]))
        elif one.fold == 0:  # its other fold is missing: the cell shows nothing of its test images
            store.append("s", attempt(one, false_positive_rate=1.0, normal_images=10))
    rates = false_positives(read_findings(store, "s").cells)
    assert list(rates["strategy"]) == ["contracting"]
    assert rates["false_positive_rate"].item() == pytest.approx((0.5 + 0.2) / 2)
    said = printed(store)
    assert "False positives" in said
    assert "35 % (40 images)" in said


def test_without_normal_images_there_is_no_false_positive_rate(tmp_path: Path) -> None:
    store = begun(tmp_path, both())
    for one in both():
        store.append("s", attempt(one))
    assert false_positives(read_findings(store, "s").cells).empty
    assert "False positives" not in printed(store)


@pytest.mark.parametrize(
    ("state", "alive", "shown"),
    [
        ("running", False, "interrupted"),
        ("preparing", False, "interrupted"),
        ("running", True, "running"),
        ("stopped", False, "stopped"),
        ("finished", False, "finished"),
    ],
)
def test_a_run_that_is_gone_is_not_running(state: str, alive: bool, shown: str) -> None:
    assert run_state({"state": state, "alive": alive}) == shown


def test_the_list_of_studies_says_that_a_killed_run_was_interrupted(tmp_path: Path) -> None:
    begun(tmp_path / "results", both()).write_progress("s", {"state": "running", "closed": 1, "trials": 4})
    assert whichlayers("results", folder=tmp_path).stdout == "s: interrupted, 1/4 trials\n"


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (1, 1)])
def test_a_run_with_crashed_trials_ends_with_exit_code_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: int, code: int
) -> None:
    def search(study: Study, store: Store, cache: Path, listen: object) -> dict[str, int]:
        begun(tmp_path / "results", both())
        return {"trials": 4, "closed": 4 - failed, "failed": failed}

    monkeypatch.setattr("engine.search.run", search)
    (tmp_path / "s.yaml").write_text(MADE)
    places = ["--store", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    said = CliRunner().invoke(cli.app, ["run", str(tmp_path / "s.yaml"), *places])
    assert said.exit_code == code, said.output
    assert ("1 of 4 trials crashed" in said.output) == bool(failed)
    assert ("the same command tries them again" in said.output) == bool(failed)


def test_conditions_on_one_column_are_joined() -> None:
    assert cli._conditions(["label=a", "scanner=x", "label=b,a"]) == {"label": ["a", "b"], "scanner": ["x"]}


@pytest.mark.parametrize(
    ("data", "name", "compare_with"),
    [
        ("{kind: folder, name: N, compare_with: FUS}", "N", "FUS"),
        ("{kind: folder, folder: theirs, name: N, compare_with: FUS}", None, None),
        ("{kind: simulated, name: N, compare_with: SUS}", None, None),
    ],
)
def test_data_on_the_command_line_take_a_name_only_from_a_file_that_expects_them(
    tmp_path: Path, data: str, name: str | None, compare_with: str | None
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"data: {data}\n")
    study = cli._study(file, Path("mine"), None)
    assert study.data.folder == "mine"
    assert (study.data.name, study.data.compare_with) == (name, compare_with)


def test_the_study_file_for_own_images_claims_nothing_about_them() -> None:
    study = cli._study(ROOT / "tune_configs" / "own_images.yaml", Path("mine"), "mine")
    assert (study.data.name, study.data.compare_with, study.split.by) == (None, None, "auto")
    assert "own_images.yaml --data FOLDER" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("ending", [signal.SIGHUP, signal.SIGKILL])
@pytest.mark.slow
def test_the_dashboard_ends_with_the_run_that_started_it(tmp_path: Path, ending: signal.Signals) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Large enough that its start weights take longer than this test.
    (tmp_path / "s.yaml").write_text(MADE.replace("{width: 2, image_size: 32}", "{width: 16, image_size: 128}"))
    command = ["run", "s.yaml", "--cache", str(tmp_path), "--serve", "--port", str(port)]
    environment = {**os.environ, "BROWSER": "true", "OMP_NUM_THREADS": "1"}
    with (tmp_path / "said").open("w") as said:
        run = psutil.Popen(
            [sys.executable, "-m", "whichlayers", *command], cwd=tmp_path, env=environment, stdout=said, stderr=said
        )
    processes = [run]
    try:
        assert wait_until(lambda: is_healthy("127.0.0.1", port) or run.poll() is not None, 120)
        assert run.poll() is None, (tmp_path / "said").read_text()
        processes += run.children(recursive=True)
        run.send_signal(ending)
        assert run.wait(60) == (130 if ending == signal.SIGHUP else -signal.SIGKILL)
        assert ("Stopped." in (tmp_path / "said").read_text()) == (ending == signal.SIGHUP)
        assert wait_until(lambda: not is_healthy("127.0.0.1", port), 20)
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=20)


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Whether `true` became so in time."""
    end = time.monotonic() + seconds
    while not (now := true()) and time.monotonic() < end:
        time.sleep(0.1)
    return now


def test_a_hangup_stops_and_one_that_is_ignored_does_not() -> None:
    code = """
import os, signal, sys
if sys.argv[1] == "ignored":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
from whichlayers import cli
cli.app = lambda: (os.kill(os.getpid(), signal.SIGHUP), sys.exit(7))
cli.main()
"""
    said = [
        subprocess.run([sys.executable, "-c", code, way], capture_output=True, check=False).returncode
        for way in ("heard", "ignored")
    ]
    assert said == [-signal.SIGINT, 7]  # Python ends so on KeyboardInterrupt


def test_health_asks_where_the_environment_says_and_loads_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int, str]] = []
    monkeypatch.setattr("dashboard.health.is_healthy", lambda *place: not asked.append(place))
    monkeypatch.setenv("WHICHLAYERS_PORT", "8765")
    monkeypatch.setenv("WHICHLAYERS_PREFIX", "/layers")
    assert CliRunner().invoke(cli.app, ["health"]).exit_code == 0
    assert asked == [("127.0.0.1", 8765, "/layers")]
    code = (
        "import sys\nfrom whichlayers.cli import app\ntry:\n    app(['health', '--port', '1'])\n"
        "except SystemExit as end:\n    loaded = {'streamlit', 'gradio', 'pandas', 'numpy'} & set(sys.modules)\n"
        "    sys.exit(f'{end.code} {sorted(loaded)}')\n"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.stderr.splitlines()[-1] == "1 []"


def test_results_prints_the_table_and_the_paired_differences(tmp_path: Path) -> None:
    trials = both()
    store = begun(tmp_path / "results", trials)
    for one in trials:
        store.append("s", in_fold(one, dice=0.8 if one.strategy == "contracting" else 0.7))
    said = whichlayers("results", "s", folder=tmp_path).stdout
    assert "0.800 (0.000)" in said
    assert "contracting minus expanding: +0.100" in said
    assert "fold 0: +0.100, fold 1: +0.100" in said
    assert "no test and no interval" in said
    assert whichlayers("results", folder=tmp_path).stdout.startswith("s: ")
    assert whichlayers("results", "s", "--csv", folder=tmp_path).stdout.startswith("source,study,dataset,start")


def test_a_dry_run_shows_the_trials_and_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "data: {kind: simulated, images: 15}\nmodel: {width: 2, image_size: 32}\nfractions: [80]\n"
        "strategies: contracting\n"
    )
    said = whichlayers("run", "s.yaml", "--dry-run", "--cache", "cache", folder=tmp_path)
    axes = "1 strategies x 1 fractions x 1 start weights x 1 learning rates x 5 folds x 1 seeds"
    assert f"10 trials: {axes}, and 5 tests of the start weights as they are" in said.stdout, said.stderr
    assert not (tmp_path / "results").exists()


def test_commands_in_the_readme_exist(tmp_path: Path) -> None:
    known = {"strategies", "check", "run", "results", "table", "report", "health", "serve"}
    text = (ROOT / "README.md").read_text()
    used = set(re.findall(r"whichlayers ([a-z]+)\b", " ".join(re.findall(r"`[^`]+`|```.*?```", text, flags=re.S))))
    assert used, "the README shows no command"
    assert used <= known
    said = whichlayers("--help", folder=tmp_path).stdout
    assert all(name in said for name in known)


def test_a_dry_run_says_what_is_done_and_refuses_what_a_run_would(tmp_path: Path) -> None:
    text = (
        "data: {kind: simulated, images: 15}\nmodel: {width: 2, image_size: 32}\n"
        "fractions: [80]\nstrategies: contracting\n"
    )
    (tmp_path / "s.yaml").write_text(text)
    (tmp_path / "longer.yaml").write_text("name: s\ntraining: {max_epochs: 7}\n" + text)
    (tmp_path / "file.yaml").write_text("start_weights: {kind: file, file: nope.safetensors}\n" + text)
    study = config.load(tmp_path / "s.yaml")
    data = simulated_dataset(15, 32, 0)
    portion = share(this_machine(), study.resources, study.model, study.training.precision)
    start = {"natural-like images": planning.StartFacts(sha256=None)}
    trials = planning.plan(study, data, start, portion)
    store = Store.at(tmp_path / "results")
    store.begin("s", text)
    store.write_plan("s", trials, {"start_weights": []})
    store.append("s", attempt(trials[0]))
    said = whichlayers("run", "s.yaml", "--dry-run", "--cache", "cache", folder=tmp_path)
    assert "1 of them done" in said.stdout, said.stderr
    for wrong, words in (
        ("longer.yaml", "max_epochs 200 -> 7"),
        ("file.yaml", "'nope.safetensors', which does not exist"),
    ):
        said = whichlayers("run", wrong, "--dry-run", "--cache", "cache", folder=tmp_path)
        assert (said.returncode, words in said.stderr) == (2, True), said.stderr
    assert store.study_text("s") == text


def test_results_says_what_was_cut_and_what_collapsed(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "results")
    trials = [trial("contracting", fold=fold) for fold in (0, 1)]
    store.begin("s", "name: s")
    facts = {"question": "Which?", "data": {"name": "D", "provenance": "made"}, "start_weights": None}
    store.write_plan("s", trials, facts)
    for one in trials:
        store.append("s", attempt(one, cut_at=3, collapsed=one.fold == 1))
    said = whichlayers("results", "s", folder=tmp_path).stdout
    assert "cut at 3 in 2 folds (1 of 1 cells)" in said
    assert "contracting 80 %: 1 collapsed" in said


def here(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """What the command says in `folder`, without a process of its own: mistakes as `main` tells them."""
    with chdir(folder):
        said = CliRunner().invoke(cli.app, list(arguments))
    if isinstance(said.exception, WhichLayersError):
        return subprocess.CompletedProcess(arguments, 2, said.stdout, said.stderr + f"{said.exception}\n")
    assert said.exception is None or isinstance(said.exception, SystemExit), said.exception
    return subprocess.CompletedProcess(arguments, said.exit_code, said.stdout, said.stderr)


def test_study_names_that_are_nearly_right_bring_the_right_one(tmp_path: Path) -> None:
    begun(tmp_path / "results", both(), study="breast_lesions")
    for command in ("results", "table", "report"):
        said = here(command, "Breast-lesion", folder=tmp_path)
        assert said.returncode == 2
        assert said.stderr.count("\n") == 1
        assert "there: breast_lesions; did you mean 'breast_lesions'?" in said.stderr
    assert "did you mean" not in here("table", "x", folder=tmp_path).stderr


def finished(root: Path, *, study: str = "s", folds: Sequence[int] = (0, 1)) -> Store:
    """A store with a study of two strategies whose folds are all done."""
    trials = [trial(name, fold=fold) for name in ("contracting", "expanding") for fold in folds]
    store = begun(root, trials, study)
    for one in trials:
        store.append(study, in_fold(one, dice=0.8 if one.strategy == "contracting" else 0.7, collapsed=one.fold == 1))
    return store


def test_table_2_in_the_terminal_has_strategies_in_columns_with_their_parameters(tmp_path: Path) -> None:
    finished(tmp_path / "results")
    lines = here("table", "s", "--width", "120", folder=tmp_path).stdout.splitlines()
    assert any(line.split() == ["contracting", "expanding"] for line in lines)
    assert any(line.split()[:1] == ["parameters"] and len(line.split()) == 3 for line in lines)
    assert any(line.split() == ["80", "%", "0.800‡", "0.700‡"] for line in lines)
    assert "‡: some trainings collapsed" in " ".join(" ".join(lines).split())


def test_table_2_goes_on_below_where_the_terminal_is_narrow() -> None:
    names = tuple(f"block {number}" for number in range(1, 14))
    cell = Cell(
        mean="0.800", sd="(0.010)", step=3, best=False, failed=False, collapsed=False, not_inferior=False,
        recommended=False, known=True,
    )  # fmt: skip
    line = Line(fraction="80 %", cells=(cell,) * 13)
    table = Grid(
        title="Dice", strategies=names, trainable=("31,030,593",) * 13, percent=("100 %",) * 13, notes=(),
        groups=(Group(dataset="BUS", published=False, lines=(line,)),),
    )  # fmt: skip
    for width in (60, 80, 200):
        console = Console(record=True, width=width, file=io.StringIO())
        print_table(table, console)
        said = console.export_text()
        assert max(len(line.rstrip()) for line in said.splitlines()) <= width
        assert said.count("0.800") == said.count("31,030,593") == 13
        assert said.count("80 %") == (1 if width == 200 else said.count("Dice on test images"))


def test_table_2_for_programs_is_the_cells(tmp_path: Path) -> None:
    finished(tmp_path / "results")
    told = json.loads(here("table", "s", "--format", "json", folder=tmp_path).stdout)
    assert (told["study"], told["measure"]) == ("s", "dice")
    assert [(cell["strategy"], cell["mean"], cell["complete"]) for cell in told["cells"]] == [
        ("contracting", pytest.approx(0.8), True), ("expanding", pytest.approx(0.7), True),
    ]  # fmt: skip
    assert told["cells"][0]["values"] == pytest.approx([0.8, 0.8])
    assert told["cells"][0]["kept"] is None
    table = here("table", "s", "--format", "csv", "--measure", "iou", folder=tmp_path).stdout
    assert table.startswith("source,")
    means = pd.read_csv(io.StringIO(table)).set_index("strategy")["mean"]
    assert means["contracting"] == pytest.approx(0.8 / 1.2)
    assert r"\begin{tabular}" in here("table", "s", "--format", "latex", folder=tmp_path).stdout


def test_a_row_or_a_measure_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    finished(tmp_path / "results")
    for arguments, words in (
        (("--fraction", "7"), "s: no row with 7 % of the images; there are: 80 %"),
        (("--measure", "hd95"), "s: HD95 was not measured; choose another --measure"),
    ):
        said = here("table", "s", *arguments, folder=tmp_path)
        assert (said.returncode, said.stderr.strip()) == (2, words)


def test_the_report_is_a_file_named_after_the_study(tmp_path: Path) -> None:
    store = finished(tmp_path / "results", folds=(0,))
    facts = {
        **store.facts("s"),
        "settings": {"width": 2, "image_size": 32, "max_epochs": 3, "patience": 20, "precision": "float32"},
        "data": {"name": "D", "provenance": "made", "fingerprint": "0" * 64, "kind": "folder", "images": 15},
    }
    store.write_plan("s", [trial(name) for name in ("contracting", "expanding")], facts)
    said = here("report", "s", folder=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "s-report.html" in said.stdout
    assert "It holds no image of the data set; --images adds some." in said.stdout
    assert (tmp_path / "s-report.html").read_text().startswith("<!doctype html>")
    said = here("report", "s", "--images", "--cache", "cache", folder=tmp_path)
    assert (said.returncode, "Traceback" in said.stderr) == (2, False)
    assert here("report", "s", "--latex", "-o", "paper/t.tex", folder=tmp_path).stdout == "paper/t.tex\n"
    assert (tmp_path / "paper" / "t.tex").read_text().count(r"\end{table*}") == 1
    assert here("report", "s", "--csv", folder=tmp_path).returncode == 0
    names = {"cells.csv", "folds.csv", "images.csv", "differences.csv"}
    assert {path.name for path in (tmp_path / "s-tables").iterdir()} == names
    (tmp_path / "file").write_text("")
    said = here("report", "s", "--latex", "-o", "file/t.tex", folder=tmp_path)
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)
    assert "file/t.tex: cannot be written" in said.stderr


def test_a_report_of_an_unfinished_study_says_so(tmp_path: Path) -> None:
    begun(tmp_path / "results", both()).append("s", attempt(both()[0]))
    said = here("report", "s", "--latex", folder=tmp_path)
    assert said.returncode == 0
    assert said.stderr == "s: 0 of 2 cells are complete; the others are told of as unfinished\n"
    assert " & 1/2" in (tmp_path / "s-table2.tex").read_text()
