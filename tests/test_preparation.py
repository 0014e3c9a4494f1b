"""What is refused before anything is trained, and the rates of a search that goes on."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from safetensors.torch import save_file

from engine import preparation
from engine import study as planning
from engine.datasets import Dataset
from engine.errors import DataError, StrategyError
from engine.hardware import Share
from engine.models import build
from engine.natural_images import natural_images
from engine.preparation import KnownRates
from engine.store import Store
from engine.study_settings import DataSettings, FoldSettings, ModelSettings, RateSearch, StartSettings, Study
from engine.trial import AS_PRETRAINED, Trial
from tests.made import attempt, discs

SHARE = Share(device="cpu", cpu=1, gpu=0.0, threads=1, precision="float32", at_once=2)
STUDY = Study(name="s", model=ModelSettings(width=2, image_size=32), fractions=(80.0,), folds=FoldSettings(run=(0, 1)))


def two_scanners(folder: Path, patients: list[str]) -> Path:
    """Twelve images, the first six of the old scanner; `patients` names each one's group."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows = ["image,mask,group,scanner"]
    for index, (image, mask) in enumerate(zip(*natural_images(12, 32, 0), strict=True)):
        Image.fromarray(image).save(folder / "images" / f"{index}.png")
        Image.fromarray(mask * 255).save(folder / "masks" / f"{index}.png")
        rows.append(f"images/{index}.png,masks/{index}.png,{patients[index]},{'old' if index < 6 else 'new'}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_patients_on_both_scanners_are_refused_as_start_weights(tmp_path: Path) -> None:
    apart = two_scanners(tmp_path / "apart", [f"patient {index}" for index in range(12)])
    shared = two_scanners(tmp_path / "shared", [f"patient {index % 6}" for index in range(12)])
    for folder, refused in ((apart, False), (shared, True)):
        study = replace(STUDY, data=DataSettings(folder=str(folder), where={"scanner": ("new",)}))
        start = StartSettings(kind="folder", where={"scanner": ("old",)})
        data = preparation.open_dataset(study.data, 32, tmp_path / "cache")
        if refused:
            with pytest.raises(DataError, match=r"start_weights\.where: 6 groups .* \(the first: patient 0\)"):
                preparation._require_other_images(study, start, data, tmp_path / "cache")
        else:
            preparation._require_other_images(study, start, data, tmp_path / "cache")


def test_strategies_that_freeze_a_new_output_layer_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    two = replace(STUDY, data=DataSettings(folder=str(tmp_path), mask=("a", "b")))
    fits = replace(two, strategies=("whole network", "block 9", "from scratch"))
    preparation._require_output_learns(fits, None)
    wrong = replace(two, strategies=("whole network", "contracting", "LoRA rank 4"))
    with pytest.raises(StrategyError, match="is frozen by contracting, LoRA rank 4; leave them out"):
        preparation._require_output_learns(wrong, None)
    one = replace(STUDY, start_weights=(StartSettings(kind="folder", folder="x", mask=("a", "b")),))
    with pytest.raises(StrategyError, match="for 2 structures, the study learns one"):
        preparation._require_output_learns(one, None)


def test_a_dry_run_plans_tests_of_a_file_for_as_many_structures_as_the_study_has(tmp_path: Path) -> None:
    folder = two_scanners(tmp_path / "own", [f"patient {index}" for index in range(12)])
    head, *rows = (folder / "manifest.csv").read_text().splitlines()
    for place in range(len(rows)):
        ImageOps.invert(Image.open(folder / f"masks/{place}.png")).save(folder / f"masks/rest {place}.png")
    added = [f"{row},masks/rest {place}.png" for place, row in enumerate(rows)]
    (folder / "manifest.csv").write_text("\n".join([f"{head},rest", *added]) + "\n")
    both = replace(STUDY, data=DataSettings(folder=str(folder), mask=("mask", "rest")), strategies=("whole network",))
    for structures in (1, 2):
        save_file(build("unet", width=2, classes=structures).state_dict(), tmp_path / f"{structures}.safetensors")
        start = StartSettings(kind="file", file=str(tmp_path / f"{structures}.safetensors"))
        study = replace(both, start_weights=(start,))
        _, _, foreseen = preparation.preview(study, Store.at(tmp_path / "r"), tmp_path / "cache")
        planned = preparation.prepare(study, Store.at(tmp_path / "r"), tmp_path / "cache", lambda *_: None).trials
        assert [trial.strategy for trial in foreseen] == [trial.strategy for trial in planned]
        assert (AS_PRETRAINED in {trial.strategy for trial in foreseen}) == (structures == 2)


def plan(study: Study, data: Dataset, store: Store) -> list[Trial]:
    starts = {planning.start_name(study.start_weights[0]): planning.StartFacts(sha256="w" * 64)}
    trials = planning.plan(study, data, starts, SHARE, rates=KnownRates(study, store))
    return [trial for trial in trials if trial.units]


def test_a_search_asks_for_the_next_rate_where_all_before_are_known(tmp_path: Path) -> None:
    store, data = Store.at(tmp_path), discs(30)
    study = replace(STUDY, strategies=("contracting",), rate_search=RateSearch(draws=3, search="optuna"))
    first = plan(study, data, store)
    assert [trial.learning_rate for trial in first] == [1e-4, 1e-4]
    store.append("s", attempt(first[0]))
    second = plan(study, data, store)
    assert [len([trial for trial in second if trial.fold == fold]) for fold in (0, 1)] == [2, 1]
    # What start weights are called decides nothing, of a search neither.
    renamed = replace(study, start_weights=(StartSettings(name="mine"),))
    assert {trial.id for trial in plan(renamed, data, store)} == {trial.id for trial in second}


def test_drawn_rates_are_all_different() -> None:
    for seed in range(20):
        rates = planning.fixed_rates(replace(STUDY, rate_search=RateSearch(draws=40, seed=seed)))
        assert len(set(rates)) == 40
