"""The command line as a user meets it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from typer.testing import CliRunner

from dashboard.health import is_healthy
from dashboard.views import launch_check
from engine import config
from engine import study as planning
from engine.datasets import simulated_dataset
from engine.errors import StudyFileError
from engine.hardware import share, this_machine
from engine.published import strategies as published_strategies
from engine.store import Store
from engine.study_settings import Study
from tests.made import attempt
from tests.made_commands import MADE, begun, both, here, whichlayers
from whichlayers import cli

ROOT = Path(__file__).resolve().parents[1]


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
        (["report", "x", "--csv", "--colours", "safe"], "tidy tables have no colours"),
        (["report", "x", "--colours", "blue"], "'blue' is not one of"),
        (["table", "x", "--format", "csv", "--colours", "safe"], "csv has no colours"),
        (["table", "x", "--format", "pdf"], "'pdf' is none of text, csv, json, latex"),
        (["table", "x", "--measure", "auc"], "'auc' is none of dice, iou, hd95"),
        (["check", ".", "--where", "label"], "expected COLUMN=VALUE"),
        (["check", ".", "--drop", 'label="a, b'], "--drop label=\"a, b: unexpected end of data; write 'label="),
        (["run", "made.yaml", "--name", ".."], "'name' is '..'"),
        (["run", "made.yaml", "--name", ""], "'name' is ''"),
        (["run", "made.yaml", "--name", "a/b", "--dry-run"], "'name' is 'a/b'"),
        (["run", "made.yaml", "--store", "study.yaml"], "--store study.yaml: cannot be written"),
        (["run", "made.yaml", "--store", "study.yaml/below"], "--store study.yaml/below: cannot be written"),
        (["run", "made.yaml", "--cache", "study.yaml"], "--cache study.yaml: cannot be written"),
        (["run", "made.yaml", "--cache", "study.yaml/below", "--dry-run"], "--cache study.yaml/below: cannot be"),
        (["run", "made.yaml", "--address", "somewhere"], "--address somewhere: expected auto, HOST:PORT"),
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


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (1, 1)])
def test_a_run_with_crashed_trials_ends_with_exit_code_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: int, code: int
) -> None:
    def search(study: Study, store: Store, cache: Path, address: str | None, listen: object) -> dict[str, int]:
        begun(tmp_path / "results", both())
        return {"trials": 4, "closed": 4 - failed, "failed": failed}

    monkeypatch.setattr("engine.search.afar.run_at", search)
    monkeypatch.setattr("engine.search.early.early_ray", lambda *_: nullcontext())
    (tmp_path / "s.yaml").write_text(MADE)
    places = ["--store", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    said = CliRunner().invoke(cli.app, ["run", str(tmp_path / "s.yaml"), *places])
    assert said.exit_code == code, said.output
    assert ("1 of 4 trials crashed" in said.output) == bool(failed)
    assert ("the same command tries them again" in said.output) == bool(failed)


def test_conditions_on_one_column_are_joined() -> None:
    assert cli._conditions(["label=a", "scanner=x", "label=b,a"]) == {"label": ["a", "b"], "scanner": ["x"]}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('"cyst, simple",solid', ["cyst, simple", "solid"]),
        ('9" probe,x', ['9" probe', "x"]),
        ('"the ""large"" one, left"', ['the "large" one, left']),
        ("", [""]),
        ("a,", ["a", ""]),
        ("b=c", ["b=c"]),
    ],
)
def test_values_are_quoted_as_in_a_manifest(text: str, values: list[str]) -> None:
    assert cli._conditions([f"label={text}"]) == {"label": values}
    assert cli._conditions([f"label={launch_check._quoted(values)}"]) == {"label": values}


def test_images_are_chosen_by_a_value_with_a_comma(tmp_path: Path) -> None:
    rows = ["image,label", *(f'{name}.png,"{name}, left"' for name in ("cyst", "solid")), "cyst right.png,cyst"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    for number, name in enumerate(("cyst", "solid", "cyst right")):
        noise = np.random.default_rng(number).integers(0, 255, (32, 32), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{name}.png")
    for option, images in (("--where", 1), ("--keep", 1), ("--drop", 2)):
        said = here("check", ".", "--labels", option, 'label="cyst, left"', "--json", folder=tmp_path)
        assert json.loads(said.stdout)["images"] == images, said.stdout


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
    study = cli._study(file, Path("mine"), None, "results")
    assert study.data.folder == "mine"
    assert (study.data.name, study.data.compare_with) == (name, compare_with)


def test_the_study_file_for_own_images_claims_nothing_about_them() -> None:
    study = cli._study(ROOT / "tune_configs" / "own_images.yaml", Path("mine"), "mine", "results")
    assert (study.data.name, study.data.compare_with, study.split.by) == (None, None, "auto")
    assert "own_images.yaml --data FOLDER" in (ROOT / "README.md").read_text()


def test_a_study_of_the_store_is_run_by_its_name_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "others").mkdir()
    monkeypatch.chdir(tmp_path)
    kept, root = Store.at(tmp_path / "kept"), str(tmp_path / "kept")
    study = config.loads("name: mine\ndata: {folder: images}\nstart_weights: {kind: folder, folder: others}\n")
    kept.begin("mine", config.dump(config.with_absolute_paths(study)))
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = cli._study(Path("mine"), None, None, root)
    assert again.data.folder == str(tmp_path / "images")
    assert again.start_weights[0].folder == str(tmp_path / "others")
    assert again.encoder.weights is None
    Path("mine").write_text("name: file\n")
    assert cli._read(Path("mine"), root).name == "file"
    with pytest.raises(
        StudyFileError, match=r"^yours: no such file, and no study of this name in [^\n]*; there: mine$"
    ):
        cli._read(Path("yours"), root)


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
    known = {
        "strategies",
        "check",
        "run",
        "preview",
        "results",
        "table",
        "report",
        "health",
        "serve",
        "watch",
        "studies",
    }
    known |= {"password", "predict", "model"}
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


def test_study_names_that_are_nearly_right_bring_the_right_one(tmp_path: Path) -> None:
    begun(tmp_path / "results", both(), study="breast_lesions")
    for command in ("results", "table", "report"):
        said = here(command, "Breast-lesion", folder=tmp_path)
        assert said.returncode == 2
        assert said.stderr.count("\n") == 1
        assert "there: breast_lesions; did you mean 'breast_lesions'?" in said.stderr
    assert "did you mean" not in here("table", "x", folder=tmp_path).stderr
