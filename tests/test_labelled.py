"""Images with classes are read from class folders and manifests, whole or as central squares."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from engine.datasets import Dataset, cached, load_cached, make_dataset, open_dataset, read_folder, read_labelled
from engine.images import resize_image
from engine.study_settings import DataSettings
from tests.made_classes import views, write_frames
from tests.made_folders import problems_of, write_image, write_manifest_folder

IMAGES = np.arange(4 * 8 * 8, dtype=np.uint8).reshape(4, 8, 8)
LABELS = ["a", "b", "a", "b"]


def made(labels: list[str] = LABELS, classes: tuple[str, ...] = ("a", "b"), **columns: object) -> Dataset:
    table = pd.DataFrame({"image": list("0123"), "label": labels, **columns})
    return make_dataset(name="made", provenance="", images=IMAGES, table=table, classes=classes)


def test_a_data_set_of_classes_has_masks_of_side_nought_and_sorted_names() -> None:
    data = made(classes=("b", "a"))
    assert data.masks.shape == (4, 0, 0)
    assert data.classes == ("a", "b")
    assert data.structures == ()


@pytest.mark.parametrize(
    ("labels", "classes", "lines"),
    [
        (
            ["a", "", "", "b"],
            ("a", "b"),
            ("made: 2 of 4 images have no class (the first: 1); fill in their labels, or leave them out",),
        ),
        (
            ["a", "c", "a", "b"],
            ("a", "b"),
            (
                "made: 1 images are labelled 'c' (the first: 1), which is none of the classes a, b; correct the label, "
                "or name the class",
            ),
        ),
        (["a"] * 4, ("a",), ("made: one class only ('a'); classes to tell apart are two or more",)),
    ],
)
def test_labels_that_do_not_fit_the_classes_are_one_line(
    labels: list[str], classes: tuple[str, ...], lines: tuple[str, ...]
) -> None:
    assert problems_of(lambda: made(labels, classes)) == lines


def test_the_fingerprint_covers_labels_classes_and_sets_where_classes_are_learned() -> None:
    plain = made()
    assert made().fingerprint == plain.fingerprint
    assert made(["b", "a", "a", "b"]).fingerprint != plain.fingerprint
    assert made(classes=("a", "b", "c")).fingerprint != plain.fingerprint
    assert made(split=["train", "train", "test", "test"]).fingerprint != plain.fingerprint
    assert made(scanner=["A"] * 4).fingerprint == plain.fingerprint


def test_the_fingerprint_of_masks_stays_what_it_was() -> None:
    # Printed by revision 1a9bce4, before classes: results that are stored belong to it.
    table = pd.DataFrame({"image": list("0123"), "group": list("ggxx"), "label": LABELS, "split": ["train"] * 4})
    data = make_dataset(name="", provenance="", images=IMAGES, masks=IMAGES // 128, table=table)
    assert data.fingerprint == "84dff111cb9d4c159e72bfe8391737a61e0342c8414f5ecda6528bcece4957ef"


def test_masks_that_do_not_fit_are_one_line() -> None:
    table = pd.DataFrame({"image": list("0123"), "label": LABELS})
    with_masks = {"name": "d", "provenance": "", "images": IMAGES, "masks": IMAGES, "table": table}
    (line,) = problems_of(lambda: make_dataset(**with_masks, classes=("a", "b")))
    assert line == "d: masks of 8 x 8 pixels; expected 0 x 0"
    (line,) = problems_of(lambda: make_dataset(name="d", provenance="", images=IMAGES, table=table))
    assert line == "d: masks of 0 x 0 pixels; expected 8 x 8"


def test_a_manifest_is_read_by_its_labels_and_masks_count_for_nothing(tmp_path: Path) -> None:
    folder = write_manifest_folder(tmp_path / "pack")
    (folder / "masks/2.png").unlink()
    data = read_labelled(folder, image_size=16)
    assert data.classes == ("benign", "malignant")
    assert data.table["label"].tolist() == ["malignant", "benign"] * 2
    assert data.table["group"].tolist() == ["patient 0"] * 2 + ["patient 1"] * 2
    assert data.images.shape == (4, 16, 16)
    assert data.provenance == "pack: 4 images (manifest.csv); 2 classes: benign 2, malignant 2"


def test_images_are_those_that_a_reader_of_masks_gives(tmp_path: Path) -> None:
    folder = write_manifest_folder(tmp_path / "pack")
    np.testing.assert_array_equal(
        read_labelled(folder, image_size=16).images, read_folder(folder, image_size=16).images
    )


def test_another_column_names_the_class(tmp_path: Path) -> None:
    rows = [{"label": "x", "anatomy": view, "group": f"p{place}"} for place, view in enumerate(["long", "short"] * 2)]
    folder = write_frames(tmp_path / "pack", rows)
    data = read_labelled(folder, image_size=16, label="anatomy", where={"label": ["x"]})
    assert data.classes == ("long", "short")
    assert data.table["label"].tolist() == ["long", "short"] * 2
    assert "2 classes (column anatomy): long 2, short 2" in data.provenance
    assert "where label is x" in data.provenance


def test_class_folders_are_read(tmp_path: Path) -> None:
    for number in range(4):
        write_image(tmp_path / f"views/{('long', 'short')[number % 2]}/{number}.png", number)
    data = read_labelled(tmp_path / "views", image_size=16)
    assert data.classes == ("long", "short")
    assert data.table["image"].tolist() == ["long/0.png", "long/2.png", "short/1.png", "short/3.png"]
    assert not data.has_groups
    (line,) = problems_of(lambda: read_labelled(tmp_path / "views", image_size=16, label="view"))
    assert line == "label: unknown column 'view'; known: label, group, scanner, split"
    shutil.rmtree(tmp_path / "views/short")
    (line,) = problems_of(lambda: read_labelled(tmp_path / "views", image_size=16))
    assert line == "one class only ('long'): classes to tell apart are two or more; take further images"


def test_the_busi_archive_is_read_by_class_without_its_masks(tmp_path: Path) -> None:
    for label in ("benign", "normal"):
        write_image(tmp_path / f"{label}/{label} (1).png", len(label))
        shutil.copy(tmp_path / f"{label}/{label} (1).png", tmp_path / f"{label}/{label} (1)_mask.png")
    data = read_labelled(tmp_path, image_size=16)
    assert data.table["label"].tolist() == ["benign", "normal"]


@pytest.mark.parametrize(
    ("change", "arguments", "lines"),
    [
        (("liver", "liver"), {"label": "lable"}, ("label: unknown column 'lable'; did you mean 'label'?",)),
        (
            ("images/1.png,liver", "images/1.png,"),
            {},
            ("manifest.csv:3: no class in column 'label'; fill it in, or leave such images out with a `where`",),
        ),
        (
            ("liver", "kidney"),
            {},
            ("one class only ('kidney'): classes to tell apart are two or more; take further images",),
        ),
        (
            ("liver", "liver"),
            {"label": "doppler"},
            (
                "no image has a class (layout: manifest.csv); name it in the manifest's column 'doppler', or put the "
                "images into a folder per class",
            ),
        ),
        (
            ("images/1.png", "images/x.png"),
            {},
            ("manifest.csv:3: no file 'images/x.png'; correct the name or add the file",),
        ),
    ],
)
def test_what_keeps_images_from_being_told_apart_is_one_line(
    tmp_path: Path, change: tuple[str, str], arguments: dict[str, str], lines: tuple[str, ...]
) -> None:
    manifest = write_frames(tmp_path / "pack", views(4)) / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(*change))
    assert problems_of(lambda: read_labelled(tmp_path / "pack", image_size=16, **arguments)) == lines


def test_a_central_square_is_cut_out_by_scanner_before_resizing(tmp_path: Path) -> None:
    # Cheng and Malhi 2017 take 600 of 1024 x 768 from one scanner and 372 of 716 x 537 from the other.
    folder = write_frames(tmp_path / "pack", views(6))
    data = read_labelled(folder, image_size=16, crop={"A": 20, "B": 11})
    for number, (side, top, left) in {0: (20, 2, 6), 3: (11, 6, 10)}.items():
        pixels = np.asarray(Image.open(folder / f"images/{number}.png"))
        cut = pixels[top : top + side, left : left + side]
        np.testing.assert_array_equal(data.images[number], resize_image(cut, 16))
    assert data.table["source_height"].tolist() == data.table["source_width"].tolist() == [20] * 3 + [11] * 3
    assert data.provenance.endswith("; central squares: 20 of A, 11 of B")


def test_the_largest_square_is_as_wide_as_the_shorter_side(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "pack", views(4))
    data = read_labelled(folder, image_size=24, crop="square")
    pixels = np.asarray(Image.open(folder / "images/0.png"))
    np.testing.assert_array_equal(data.images[0], pixels[:, 4:28])
    assert data.provenance.endswith("; the largest central square of each")
    assert data.fingerprint != read_labelled(folder, image_size=24).fingerprint


@pytest.mark.parametrize(
    ("crop", "lines"),
    [
        (
            {"A": 20, "B": 25},
            (
                "crop: B is 25, more than the shorter side of 3 of its images: images/3.png (24), images/4.png (24), "
                "images/5.png (24); write 24 at most, or leave them out with a `where`",
            ),
        ),
        (
            {"A": 20},
            ("crop: no side for scanner 'B' (images/3.png, images/4.png, images/5.png); add 'B: ...' in pixels",),
        ),
        ({"A": 20, "B": 20, "Philips": 600}, ("crop: no image has scanner 'Philips'; known: A, B",)),
        ({"A": 20, "B": 0}, ("crop: B is 0; write its side in pixels, a whole number from 1 on",)),
    ],
)
def test_a_crop_that_cannot_be_is_one_line(tmp_path: Path, crop: dict[str, int], lines: tuple[str, ...]) -> None:
    folder = write_frames(tmp_path / "pack", views(6))
    assert problems_of(lambda: read_labelled(folder, image_size=16, crop=crop)) == lines


def test_a_crop_may_name_a_scanner_that_where_leaves_out(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "pack", views(6))
    data = read_labelled(folder, image_size=16, crop={"A": 20, "B": 25}, where={"scanner": ["A"]})
    assert set(data.table["scanner"]) == {"A"}


def test_a_crop_by_scanner_needs_scanners(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "pack", [{**row, "scanner": ""} for row in views(4)])
    lines = problems_of(lambda: read_labelled(folder, image_size=16, crop={"A": 20}))
    assert lines == (
        "crop: no image has scanner 'A'; known: none",
        "crop: 4 images name no scanner (images/0.png, images/1.png, images/2.png and 1 more); fill in the column "
        "'scanner', or write 'square: yes'",
    )


def test_the_cache_gives_back_classes_caveats_and_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_frames(tmp_path / "pack", views(6))
    wanted = DataSettings(folder=str(folder), learn="labels")
    first = open_dataset(wanted, 16, tmp_path / "cache")
    assert first.caveats == read_labelled(folder, image_size=16).caveats != ()

    def refuse(*_: object, **__: object) -> Dataset:
        raise AssertionError("read from the source again")

    monkeypatch.setattr(cached, "read_labelled", refuse)
    for again in (open_dataset(wanted, 16, tmp_path / "cache"), load_cached(first.fingerprint, tmp_path / "cache")):
        assert (again.classes, again.caveats, again.structures) == (("kidney", "liver"), first.caveats, ())
        assert again.masks.shape == (6, 0, 0)
        assert again.table["label"].tolist() == ["kidney", "liver"] * 3
    for change in (
        {"label": "scanner"},
        {"square": True},
        {"crop": {"A": 20, "B": 20}},
        {"where": {"scanner": ("A",)}},
    ):
        with pytest.raises(AssertionError, match="read from the source again"):
            open_dataset(DataSettings(folder=str(folder), learn="labels", **change), 16, tmp_path / "cache")


def test_masks_and_labels_of_one_folder_do_not_mix_in_the_cache(tmp_path: Path) -> None:
    folder = str(write_manifest_folder(tmp_path / "pack"))
    labelled = open_dataset(DataSettings(folder=folder, learn="labels"), 16, tmp_path / "cache")
    outlined = open_dataset(DataSettings(folder=folder), 16, tmp_path / "cache")
    assert labelled.fingerprint != outlined.fingerprint
    assert outlined.masks.shape == (4, 16, 16)
    assert outlined.classes == outlined.caveats == ()
    (line,) = problems_of(lambda: open_dataset(DataSettings(folder=folder, square=True), 16, tmp_path / "cache"))
    assert line.startswith("data.crop: only with 'learn: labels'")


def test_phantoms_are_made_once_and_kept_with_their_caveats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def phantom_dataset(**wanted: object) -> Dataset:
        asked.append(wanted)
        return replace(made(), caveats=("simulated: shows the method, not evidence",))

    maker = ModuleType("engine.datasets.phantoms")
    maker.phantom_dataset = phantom_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, maker.__name__, maker)
    wanted = DataSettings(kind="cardiac phantoms", learn="labels", images=4, seed=3, scanner="B")
    for _ in range(2):
        opened = open_dataset(wanted, 8, tmp_path)
        assert opened.caveats == ("simulated: shows the method, not evidence",)
    (only,) = asked
    assert {**only, "progress": None} == {
        "kind": "cardiac phantoms", "images": 4, "image_size": 8, "seed": 3, "scanner": "B", "progress": None,
    }  # fmt: skip
    for change in (DataSettings(kind="abdominal phantoms", images=4), DataSettings(kind="cardiac phantoms", images=4)):
        open_dataset(change, 8, tmp_path)
    assert len(asked) == 3


def test_given_sets_keep_a_group_or_a_groupless_image_together() -> None:
    assert made(group=["g", "g", "", ""]).groups_for_splits("given") == ["g", "g", "2", "3"]


# Real images. Counts and caveats: ../shared/data/README.md and each pack's SOURCE.md.


@pytest.mark.parametrize(
    ("pack", "images", "classes", "words", "sentence"),
    [
        (
            "pocus_lung_probe", 507, 4, "class and source are mixed up (Cramér's V = 0.89, 507 images)",
            "Caveat: class and source are confounded",
        ),
        (
            "muscle_us_multiscanner", 275, 3, "class and scanner are mixed up (Cramér's V = 0.71, 275 images)",
            "label and device are confounded",
        ),
        (
            "fetal_planes_tiny", 26, 6, "fewer than 10 images of a class: fetal_abdomen (1), fetal_brain (9)",
            "not for accuracy claims",
        ),
        ("hip_quality_spj", 32, 2, "every group is a single image", ""),
    ],
)  # fmt: skip
def test_real_packs_are_read_with_their_caveats(
    shared_data: Path, pack: str, images: int, classes: int, words: str, sentence: str
) -> None:
    data = read_labelled(shared_data / pack, image_size=32, crop="square")
    assert (len(data.images), len(data.classes)) == (images, classes)
    assert data.has_groups
    assert any(line.startswith(words) for line in data.caveats)
    quoted = [line for line in data.caveats if line.startswith("SOURCE.md: ")]
    assert len(quoted) == bool(sentence)
    assert all(sentence in line for line in quoted)
