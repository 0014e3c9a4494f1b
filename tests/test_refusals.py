"""What cannot be run is told in one clear line before anything starts."""

import shutil
from pathlib import Path

import pytest

from engine.hardware import this_machine
from engine.store import Store
from tests.made_commands import here, whichlayers
from tests.made_store import normals_folder

MADE = "model: {width: 2, image_size: 32}\nstrategies: contracting\n"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty discs of four patients, ten images each."""
    folder = normals_folder(tmp_path_factory.mktemp("images") / "discs", images=40, normal=0)
    manifest = (folder / "manifest.csv").read_text().splitlines()
    rows = [f"{line},patient {place // 10}" for place, line in enumerate(manifest[1:])]
    (folder / "manifest.csv").write_text("\n".join([f"{manifest[0]},group", *rows]) + "\n")
    return folder


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fractions: [80\n", "s.yaml:4: not valid YAML: a bracket is not closed"),
        ("fraction: 80\n", "unknown key 'fraction'; did you mean 'fractions'?"),
        ("strategies: [contracting, sideways]\n", "'sideways'"),
        ("folds: {of: 0}\n", "'folds.of' is 0; expected 2 to 1000"),
        ("folds: {run: []}\n", "'folds.run' is an empty list"),
        ("learning_rates: [0]\n", "'learning_rates' has 0; expected a number above 0"),
        ("learning_rates: [fast]\n", "'learning_rates' has 'fast'; expected a number"),
        ("fractions: [0]\n", "'fractions' has 0; expected percent of the whole data set, more than 0 and at most 80"),
        ("search: {kind: random}\n", "'search.kind' is 'random', but not how many; add 'draws'"),
        ("search: {draws: 3}\n", "'search.draws' has no use while 'search.kind' is 'grid'"),
        ("search: {scheduler: ash}\n", "'search.scheduler' is 'ash'"),
        ("search: {scheduler: asha}\ntraining: {iterations: 9}\n", "which compares trials on validation images"),
    ],
)
def test_a_bad_study_file_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    base = MADE if "strategies" not in text else MADE.replace("strategies: contracting\n", "")
    (tmp_path / "s.yaml").write_text(base + text + "data: {kind: simulated, images: 15}\n")
    refused(tmp_path, words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: {kind: simulated, images: 20}\nfractions: [1]\n", "take a larger fraction (7.5 % at least)"),
        (
            "fractions: [3]\n",
            "fractions: 3 % of 40 images is 1, and the smallest pool of whole groups has 10; take 25 %",
        ),
        ("fractions: [50]\nfolds: {of: 5}\n", "5 folds asked of 4 groups; take at most 4 folds"),
        (f"resources: {{gpu: {this_machine().gpus + 1}}}\n", f"this machine has {this_machine().gpus}"),
        ("data: {folder: gone}\n", "gone"),
    ],
)
def test_what_the_data_or_the_machine_cannot_do_is_one_line(
    tmp_path: Path, images: Path, text: str, words: str
) -> None:
    data = "" if "data:" in text else f"data: {{folder: {images}}}\n"
    folds = "" if "folds" in text else "folds: {of: 4}\n"
    folds += "" if "fractions" in text else "fractions: [50]\n"
    (tmp_path / "s.yaml").write_text(f"name: s\n{MADE}{data}{folds}{text}")
    refused(tmp_path, words)


def test_the_smallest_fraction_that_is_named_is_taken(tmp_path: Path, images: Path) -> None:
    (tmp_path / "s.yaml").write_text(f"{MADE}data: {{folder: {images}}}\nfolds: {{of: 4}}\nfractions: [25]\n")
    said = here("run", "s.yaml", "--dry-run", "--cache", "cache", folder=tmp_path)
    assert said.returncode == 0, said.stderr


def test_a_folder_that_vanished_is_told_of_although_its_images_are_in_the_cache(tmp_path: Path, images: Path) -> None:
    shutil.copytree(images, tmp_path / "mine")
    (tmp_path / "s.yaml").write_text(f"{MADE}data: {{folder: mine}}\nfolds: {{of: 4}}\nfractions: [50]\n")
    assert here("run", "s.yaml", "--dry-run", "--cache", "cache", folder=tmp_path).returncode == 0
    shutil.rmtree(tmp_path / "mine")
    refused(tmp_path, "mine")


def refused(folder: Path, words: str) -> None:
    """The study file in `folder` is refused in one line with these words, and leaves nothing behind."""
    said = here("run", "s.yaml", "--cache", "cache", folder=folder)
    assert said.returncode == 2, said.stdout
    (line,) = [line for line in said.stderr.splitlines() if not line.startswith("s: ")]  # its progress until then
    assert words in line
    assert Store.at(folder / "results").studies() == []


def test_a_refusal_is_no_traceback_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(MADE + "data: {kind: simulated, images: 15}\nresources: {gpu: 99}\n")
    said = whichlayers("run", "s.yaml", "--cache", "cache", folder=tmp_path)
    assert said.returncode == 2
    assert said.stderr.splitlines()[-1].startswith("resources.gpu: 99 GPUs per trial asked for; this machine has")
    assert "Traceback" not in said.stderr
