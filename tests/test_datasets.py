"""Folders on disk become data sets, whatever known layout they lie in."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.datasets import read_folder
from engine.datasets.hc18 import fill_outline
from engine.datasets.layouts import list_folder
from engine.datasets.listing import counting_order
from tests.made_folders import problems_of, write_image, write_manifest_folder, write_mask


def write_busi(folder: Path) -> Path:
    for number in (1, 2, 10):
        write_image(folder / f"benign/benign ({number}).png", number)
        write_mask(folder / f"benign/benign ({number})_mask.png", top=0)
    write_mask(folder / "benign/benign (2)_mask_1.png", top=16)
    write_image(folder / "normal/normal (1).png", 5)
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(folder / "normal/normal (1)_mask.png")
    return folder


def ellipse_outline(height: int = 48, width: int = 64) -> np.ndarray:
    """A line two to three pixels wide around the middle."""
    rows, columns = np.mgrid[:height, :width]
    radius = np.hypot((rows - height / 2) / (height / 3), (columns - width / 2) / (width / 3))
    return (np.abs(radius - 1) < 0.08).astype(np.uint8)


def write_hc18(folder: Path) -> Path:
    for number, name in enumerate(("000_HC", "001_HC", "001_2HC")):
        write_image(folder / f"{name}.png", number, height=48, width=64)
        Image.fromarray(ellipse_outline() * np.uint8(255)).save(folder / f"{name}_Annotation.png")
    return folder


def test_a_manifest_folder_is_read_with_all_its_columns(tmp_path: Path) -> None:
    data = read_folder(write_manifest_folder(tmp_path / "pack"), image_size=16)
    assert data.name == "pack"
    assert data.provenance == "pack: 4 images (manifest.csv)"
    assert data.images.shape == data.masks.shape == (4, 16, 16)
    assert data.table["image"].tolist() == [f"images/{number}.png" for number in range(4)]
    assert data.table["label"].tolist() == ["malignant", "benign"] * 2
    assert data.table["group"].tolist() == ["patient 0"] * 2 + ["patient 1"] * 2
    assert set(data.table["scanner"]) == {"A"}
    assert set(data.table["split"]) == {"train"}
    assert set(data.table["view"]) == {"long"}
    assert set(data.table["source_height"]) == {24}
    assert set(data.table["source_width"]) == {32}
    assert data.table["spacing_mm"].isna().all()
    assert data.has_groups
    assert set(np.unique(data.masks)) == {0, 1}


def test_reading_twice_gives_the_same_fingerprint_and_names_do_not_matter(tmp_path: Path) -> None:
    folder = write_manifest_folder(tmp_path / "pack")
    first = read_folder(folder, image_size=16)
    shutil.copytree(folder, tmp_path / "elsewhere")
    second = read_folder(tmp_path / "elsewhere", image_size=16, name="other")
    assert first.fingerprint == second.fingerprint
    assert second.name == "other"
    assert read_folder(folder, image_size=32).fingerprint != first.fingerprint


def test_progress_counts_every_image(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    read_folder(write_manifest_folder(tmp_path), image_size=16, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_where_keeps_rows_by_known_and_further_columns(tmp_path: Path) -> None:
    folder = write_manifest_folder(tmp_path)
    assert read_folder(folder, image_size=16, where={"label": ["benign"]}).table["image"].tolist() == [
        "images/1.png",
        "images/3.png",
    ]
    assert len(read_folder(folder, image_size=16, where={"view": ("long",), "group": ("patient 1",)}).table) == 2


def test_the_provenance_says_which_rows_and_which_structure(tmp_path: Path) -> None:
    folder = write_manifest_folder(tmp_path / "pack")
    where = {"label": ("benign", "malignant"), "group": ("patient 1",)}
    assert read_folder(folder, image_size=16, where=where).provenance == (
        "pack: 2 images (manifest.csv) where label is benign or malignant and group is patient 1"
    )
    replaced = (folder / "manifest.csv").read_text().replace("mask,", "mask_cyst,", 1)
    (folder / "manifest.csv").write_text(replaced)
    cyst = read_folder(folder, image_size=16, mask="mask_cyst")
    assert cyst.structures == ("cyst",)
    assert cyst.provenance == "pack: 4 images (manifest.csv); structure cyst (column mask_cyst)"


def test_where_can_leave_out_the_rows_that_are_broken(tmp_path: Path) -> None:
    folder = write_manifest_folder(tmp_path)
    (folder / "images/0.png").unlink()
    (folder / "masks/2.png").write_bytes(b"")
    assert len(read_folder(folder, image_size=16, where={"label": ["benign"]}).table) == 2
    assert len(problems_of(lambda: read_folder(folder, image_size=16))) == 2


def test_another_column_can_be_learned(tmp_path: Path) -> None:
    folder = write_manifest_folder(tmp_path)
    write_mask(folder / "masks_vessel/0.png", top=16)
    (folder / "manifest.csv").write_text(
        "image,mask,label,mask_vessel\n"
        "images/0.png,masks/0.png,both,masks_vessel/0.png\n"
        "images/1.png,masks/1.png,nerve,\n"
        "images/2.png,masks/2.png,normal,\n"
    )
    wanted = {"label": ["both", "normal"]}
    vessel = read_folder(folder, image_size=24, mask="mask_vessel", where=wanted)
    assert vessel.masks[0, 20].any()
    assert not read_folder(folder, image_size=24).masks[0, 20].any()
    assert not vessel.masks[1].any(), "an image labelled normal has an empty mask"
    (line,) = problems_of(lambda: read_folder(folder, image_size=24, mask="mask_vessel"))
    assert line.startswith("manifest.csv:3: images/1.png has no mask in column 'mask_vessel'; name a mask file")
    (line,) = problems_of(lambda: read_folder(folder, image_size=24, mask="mask_vesel"))
    assert line == "manifest.csv:1: no column 'mask_vesel' with mask files; did you mean 'mask_vessel'?"


@pytest.mark.parametrize("column", ["spacing_mm", "pixel_size_mm", "pixel_size_mm_at_pack_size"])
def test_a_pixel_size_fills_the_spacing(tmp_path: Path, column: str) -> None:
    write_manifest_folder(tmp_path, 2)
    (tmp_path / "manifest.csv").write_text(
        f"image,mask,{column}\nimages/0.png,masks/0.png,0.25\nimages/1.png,masks/1.png,\n"
    )
    np.testing.assert_array_equal(read_folder(tmp_path, image_size=16).table["spacing_mm"], [0.25, np.nan])


def test_a_manifest_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    write_manifest_folder(tmp_path, 2)
    (tmp_path / "manifest.csv").write_bytes(
        b'\xef\xbb\xbfimage, mask,label\r\nimages/0.png,masks/0.png,"small, round"\r\n'
        b"\r\n./images/1.png,masks/1.png,x\r\n"
    )
    table = read_folder(tmp_path, image_size=16).table
    assert table["label"].tolist() == ["small, round", "x"]
    assert table["image"].tolist() == ["images/0.png", "images/1.png"]


def test_the_heading_of_source_md_is_in_the_provenance(tmp_path: Path) -> None:
    folder = write_manifest_folder(tmp_path / "pack")
    (folder / "SOURCE.md").write_text("text\n\n# Heads of 1,000 fetuses\n\n# More\n")
    assert read_folder(folder, image_size=16).provenance == "pack: 4 images (manifest.csv); Heads of 1,000 fetuses"


def test_the_provenance_tells_of_same_images_and_of_masks_lost_by_shrinking(tmp_path: Path) -> None:
    folder = write_manifest_folder(tmp_path)
    shutil.copy(folder / "images/0.png", folder / "images/1.png")
    tiny = np.zeros((24, 32), np.uint8)
    tiny[3, 3] = 1
    Image.fromarray(tiny).save(folder / "masks/2.png")
    provenance = read_folder(folder, image_size=8).provenance
    assert "; 1 with the same pixels as another" in provenance
    assert "; 1 masks too small to be seen at 8 x 8" in provenance


def test_the_busi_layout_unites_the_masks_of_an_image(tmp_path: Path) -> None:
    data = read_folder(write_busi(tmp_path / "BUSI"), image_size=24)
    assert data.provenance == "BUSI: 4 images (BUSI archive)"
    assert data.table["image"].tolist() == [
        "benign/benign (1).png",
        "benign/benign (2).png",
        "benign/benign (10).png",
        "normal/normal (1).png",
    ]
    assert data.table["label"].tolist() == ["benign"] * 3 + ["normal"]
    assert set(data.table["group"]) == {""}
    assert not data.has_groups
    np.testing.assert_array_equal(data.masks.sum(axis=(1, 2)) > 0, [True, True, True, False])
    np.testing.assert_array_equal(data.masks[1, :8], data.masks[0, :8])
    np.testing.assert_array_equal(data.masks[1, 16:], data.masks[0, :8])


def test_a_normal_image_of_busi_may_go_without_a_mask_but_a_benign_one_may_not(tmp_path: Path) -> None:
    folder = write_busi(tmp_path)
    (folder / "normal/normal (1)_mask.png").unlink()
    assert not read_folder(folder, image_size=24).masks[3].any()
    (folder / "benign/benign (1)_mask.png").unlink()
    assert problems_of(lambda: read_folder(folder, image_size=24)) == (
        "benign/benign (1).png: has no mask 'benign (1)_mask.png'; expected beside the image",
    )


def test_a_mask_of_busi_without_its_image_is_a_problem(tmp_path: Path) -> None:
    folder = write_busi(tmp_path)
    (folder / "benign/benign (1).png").unlink()
    (line,) = problems_of(lambda: read_folder(folder, image_size=24))
    assert line.startswith("benign/benign (1)_mask.png: a mask without its image 'benign (1).png'; add the image")


def test_the_hc18_layout_fills_the_outline_and_groups_by_woman(tmp_path: Path) -> None:
    data = read_folder(write_hc18(tmp_path / "training_set"), image_size=64)
    assert data.provenance == "training_set: 3 images (HC18 archive)"
    assert dict(zip(data.table["image"], data.table["group"], strict=True)) == {
        "000_HC.png": "000",
        "001_2HC.png": "001",
        "001_HC.png": "001",
    }
    # A third of the height and of the width as half axes cover pi / 9 of the image, and half the line's width more.
    assert data.masks.mean() == pytest.approx(np.pi / 9 * 1.08**2, rel=0.02)
    assert data.table["spacing_mm"].isna().all()


@pytest.mark.parametrize("given", ["training_set", ""])
@pytest.mark.parametrize("place", ["training_set", ""])
def test_the_pixel_sizes_of_hc18_are_found_in_the_folder_or_above(tmp_path: Path, given: str, place: str) -> None:
    write_hc18(tmp_path / "training_set")
    (tmp_path / place / "training_set_pixel_size_and_HC.csv").write_text(
        "filename,pixel size(mm),head circumference (mm)\n"
        "000_HC.png,0.069136,44.3\n001_HC.png,0.089659,56.81\n001_2HC.png,0.062033,68.75\n"
    )
    table = read_folder(tmp_path / given, image_size=64).table
    assert table["spacing_mm"].tolist() == [0.069136, 0.062033, 0.089659]
    assert table["head_circumference_mm"].tolist() == ["44.3", "68.75", "56.81"]


def test_a_bad_pixel_size_of_hc18_is_a_problem(tmp_path: Path) -> None:
    write_hc18(tmp_path)
    (tmp_path / "training_set_pixel_size_and_HC.csv").write_text("filename,pixel size(mm)\n000_HC.png,-1\n")
    (line,) = problems_of(lambda: read_folder(tmp_path, image_size=64))
    assert line.startswith("training_set_pixel_size_and_HC.csv:2: expected file name, pixel size in mm")


def test_an_outline_that_is_not_closed_is_a_problem(tmp_path: Path) -> None:
    folder = write_hc18(tmp_path)
    open_line = ellipse_outline()
    open_line[20:28, :32] = 0
    Image.fromarray(open_line * np.uint8(255)).save(folder / "000_HC_Annotation.png")
    assert problems_of(lambda: read_folder(folder, image_size=64)) == (
        "000_HC_Annotation.png: the outline is not closed, filling it fills nothing; close the line",
    )


def test_an_annotation_that_is_filled_already_and_an_empty_one_stay_as_they_are() -> None:
    filled = fill_outline(ellipse_outline(), name="x")
    np.testing.assert_array_equal(fill_outline(filled, name="x"), filled)
    assert not fill_outline(np.zeros((8, 8), np.uint8), name="x").any()


def test_a_missing_annotation_and_one_too_many_are_problems(tmp_path: Path) -> None:
    folder = write_hc18(tmp_path)
    (folder / "000_HC_Annotation.png").rename(folder / "009_HC_Annotation.png")
    assert problems_of(lambda: read_folder(folder, image_size=64)) == (
        "009_HC_Annotation.png: an annotation without its image '009_HC.png'; add the image or delete the annotation",
        "000_HC.png: has no annotation '000_HC_Annotation.png'; expected beside the image",
    )


def test_class_folders_are_listed_but_have_no_masks_to_learn(tmp_path: Path) -> None:
    for label in ("healthy", "ill"):
        write_image(tmp_path / "views" / label / "1.png", len(label))
    listing = list_folder(tmp_path / "views")
    assert [(entry.image, entry.label) for entry in listing.entries] == [
        ("healthy/1.png", "healthy"),
        ("ill/1.png", "ill"),
    ]
    assert problems_of(lambda: read_folder(tmp_path / "views", image_size=16)) == (
        "views: no image has a mask (layout: class folders); finding outlines needs a mask per image",
    )


def test_a_mask_setting_is_refused_where_the_layout_has_one_mask(tmp_path: Path) -> None:
    (line,) = problems_of(lambda: read_folder(write_busi(tmp_path), image_size=16, mask="mask_vessel"))
    assert line.startswith("mask: no column 'mask_vessel', since the layout 'BUSI archive' has one mask per image")


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    folder = write_manifest_folder(tmp_path)
    (folder / "images/0.png").write_bytes((folder / "images/0.png").read_bytes()[:60])
    write_mask(folder / "masks/1.png", height=12)
    (folder / "masks/2.png").unlink()
    Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8)).save(folder / "masks/3.png")
    problems = problems_of(lambda: read_folder(folder, image_size=16))
    assert len(problems) == 4
    assert problems[0] == "manifest.csv:4: no file 'masks/2.png'; correct the name or add the file"
    assert problems[1].startswith("images/0.png: truncated or damaged")
    assert problems[2].startswith("masks/1.png: mask of 32 x 12 pixels for images/1.png of 32 x 24; export")
    assert problems[3].startswith("masks/3.png: 3 distinct values in a mask (0, 1, 2)")


@given(st.lists(st.integers(0, 999), min_size=2, max_size=6, unique=True))
def test_numbered_names_sort_as_people_count(numbers: list[int]) -> None:
    names = [f"benign ({number}).png" for number in numbers]
    assert sorted(names, key=counting_order) == [f"benign ({number}).png" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=6), max_size=6))
def test_any_names_can_be_put_in_order(names: list[str]) -> None:
    backwards = list(reversed(names))
    assert sorted(backwards, key=counting_order) == sorted(names, key=counting_order)


# Real images. Counts: the table in ../shared/data/README.md.


@pytest.mark.parametrize(
    ("pack", "mask", "labels", "images", "groups"),
    [
        ("hc18_fetal_head", "mask", None, 666, 535),
        ("bus_uclm_breast", "mask", None, 299, 26),
        ("usgra_nerve_vessel", "mask", None, 163, 148),
        ("usgra_nerve_vessel", "mask_vessel", ["nerve_and_vessel"], 146, None),
        ("cxr_paediatric_lung", "mask", None, 156, 153),
    ],
)
def test_real_packs_are_read(
    shared_data: Path, pack: str, mask: str, labels: list[str] | None, images: int, groups: int | None
) -> None:
    where = {"label": labels} if labels else None
    data = read_folder(shared_data / pack, image_size=32, mask=mask, where=where)
    assert len(data.images) == images
    assert data.has_groups
    assert groups is None or data.table["group"].nunique() == groups
    assert data.masks.any(axis=(1, 2)).sum() == (images if pack != "bus_uclm_breast" else 299 - 128)
    assert data.table["spacing_mm"].notna().all() == (pack == "hc18_fetal_head")
