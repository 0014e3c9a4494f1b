"""The cache gives back what the readers and the simulator gave it, or has it made again."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from engine.datasets import Dataset, cached, read_folder
from engine.datasets.cached import load_cached, open_dataset
from engine.errors import DataError
from engine.study_settings import DataSettings
from tests.made_folders import problems_of, write_image, write_manifest_folder


def same(first: Dataset, second: Dataset) -> None:
    assert (first.name, first.provenance, first.fingerprint) == (second.name, second.provenance, second.fingerprint)
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.masks, second.masks)
    assert_frame_equal(first.table, second.table)


@pytest.fixture
def folder_settings(tmp_path: Path) -> DataSettings:
    return DataSettings(folder=str(write_manifest_folder(tmp_path / "pack")))


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Dataset:
        raise AssertionError("read from the source again")

    monkeypatch.setattr(cached, "read_folder", refuse)
    monkeypatch.setattr(cached, "simulated_dataset", refuse)


def test_the_cache_gives_back_what_the_reader_gave_without_reading_again(
    tmp_path: Path, folder_settings: DataSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_folder(tmp_path / "pack", image_size=16)
    same(open_dataset(folder_settings, 16, tmp_path / "cache"), read)
    forbid_reading(monkeypatch)
    again = open_dataset(folder_settings, 16, tmp_path / "cache")
    same(again, read)
    same(load_cached(read.fingerprint, tmp_path / "cache"), read)
    assert isinstance(again.images, np.memmap)
    assert not again.images.flags.writeable


def test_simulated_data_are_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = DataSettings(kind="simulated", images=2, seed=3, name="phantoms")
    first = open_dataset(wanted, 32, tmp_path)
    assert first.name == "phantoms"
    forbid_reading(monkeypatch)
    same(open_dataset(wanted, 32, tmp_path), first)
    for other in (
        DataSettings(kind="simulated", images=2, seed=4),
        DataSettings(kind="simulated", images=2, seed=3, scanner="B"),
    ):
        with pytest.raises(AssertionError, match="read from the source again"):
            open_dataset(other, 32, tmp_path)


def test_scanner_b_comes_from_the_study_file(tmp_path: Path) -> None:
    assert open_dataset(DataSettings(kind="simulated", images=2, scanner="B"), 32, tmp_path).name == (
        "scanner B (simulated)"
    )


@pytest.mark.parametrize("change", ["touch", "add", "remove", "setting", "size"])
def test_whatever_changes_the_data_has_them_read_again(
    tmp_path: Path, folder_settings: DataSettings, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    open_dataset(folder_settings, 16, tmp_path / "cache")
    size = 32 if change == "size" else 16
    if change == "touch":
        os.utime(tmp_path / "pack/masks/0.png", ns=(1, 1))
    elif change == "add":
        write_image(tmp_path / "pack/images/new.png", 9)
    elif change == "remove":
        (tmp_path / "pack/images/3.png").unlink()
    elif change == "setting":
        folder_settings = DataSettings(folder=folder_settings.folder, where={"label": ("benign",)})
    forbid_reading(monkeypatch)
    with pytest.raises(AssertionError, match="read from the source again"):
        open_dataset(folder_settings, size, tmp_path / "cache")


def test_a_name_of_the_study_is_shown_without_reading_again(
    tmp_path: Path, folder_settings: DataSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = open_dataset(folder_settings, 16, tmp_path / "cache").fingerprint
    forbid_reading(monkeypatch)
    named = DataSettings(folder=folder_settings.folder, name="our heads")
    assert open_dataset(named, 16, tmp_path / "cache").name == "our heads"
    assert load_cached(fingerprint, tmp_path / "cache").name == "our heads"


def test_other_labels_on_the_same_images_do_not_mix(tmp_path: Path, folder_settings: DataSettings) -> None:
    first = open_dataset(folder_settings, 16, tmp_path / "cache")
    shutil.copytree(tmp_path / "pack", tmp_path / "other")
    manifest = tmp_path / "other/manifest.csv"
    manifest.write_text(manifest.read_text().replace("benign", "cyst"))
    other = open_dataset(DataSettings(folder=str(tmp_path / "other")), 16, tmp_path / "cache")
    assert other.fingerprint == first.fingerprint
    assert set(other.table["label"]) == {"cyst", "malignant"}
    same(open_dataset(folder_settings, 16, tmp_path / "cache"), first)
    same(load_cached(first.fingerprint, tmp_path / "cache"), first)


@pytest.mark.parametrize("damage", ["flip", "cut", "delete", "table", "about", "index"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, folder_settings: DataSettings, damage: str) -> None:
    cache = tmp_path / "cache"
    whole = open_dataset(folder_settings, 16, cache)
    place = cache / "data" / whole.fingerprint
    (index,) = (cache / "data/index").iterdir()
    expected = read_folder(tmp_path / "pack", image_size=16)
    del whole
    if damage == "flip":
        content = bytearray((place / "images.npy").read_bytes())
        content[-1] ^= 1
        (place / "images.npy").write_bytes(content)
    elif damage == "cut":
        (place / "masks.npy").write_bytes((place / "masks.npy").read_bytes()[:-10])
    elif damage == "delete":
        shutil.rmtree(place)
    elif damage == "table":
        next(place.glob("*.parquet")).write_bytes(b"PAR1")
    elif damage == "about":
        (place / "about.json").write_text("{")
    else:
        index.write_text('{"fingerprint": 3}')
    if damage in ("cut", "delete", "table", "about"):
        with pytest.raises(DataError, match="not in the cache, or damaged there; run the study again"):
            load_cached(expected.fingerprint, cache)
    same(open_dataset(folder_settings, 16, cache), expected)
    same(load_cached(expected.fingerprint, cache), expected)
    assert not list(cache.rglob(".aside-*"))


@pytest.mark.parametrize("fingerprint", ["0" * 64, "../../etc", ""])
def test_an_unknown_fingerprint_is_one_line(tmp_path: Path, fingerprint: str) -> None:
    (line,) = problems_of(lambda: load_cached(fingerprint, tmp_path))
    assert "run the study again" in line


def test_a_missing_folder_is_said_by_the_cache_as_by_the_reader(tmp_path: Path) -> None:
    (line,) = problems_of(lambda: open_dataset(DataSettings(folder=str(tmp_path / "none")), 16, tmp_path / "cache"))
    assert line == "none: no such folder; check the path"
    (line,) = problems_of(lambda: open_dataset(DataSettings(), 16, tmp_path / "cache"))
    assert line.endswith("give it in the study file or with --data FOLDER")


@given(
    labels=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=8), min_size=2, max_size=2
    )
)
@settings(max_examples=15, deadline=None)
def test_any_text_in_a_manifest_survives_the_cache(tmp_path_factory: pytest.TempPathFactory, labels: list[str]) -> None:
    folder = tmp_path_factory.mktemp("pack")
    write_manifest_folder(folder, 2)
    table = pd.DataFrame(
        {"image": ["images/0.png", "images/1.png"], "mask": ["masks/0.png", "masks/1.png"], "x": labels}
    )
    table.to_csv(folder / "manifest.csv", index=False)
    opened = open_dataset(DataSettings(folder=str(folder)), 16, tmp_path_factory.mktemp("cache"))
    assert opened.table["x"].tolist() == [label.strip() for label in labels]


def test_opening_the_real_heads_again_takes_milliseconds(shared_data: Path, tmp_path: Path) -> None:
    wanted = DataSettings(folder=str(shared_data / "hc18_fetal_head"))
    open_dataset(wanted, 128, tmp_path)
    started = time.perf_counter()
    open_dataset(wanted, 128, tmp_path)
    assert time.perf_counter() - started < 0.5  # 26 ms measured; the first time took 0.9 s
