"""Folders of DICOM, NIfTI, MetaImage and video become data sets: frames, regions, groups and scanners from headers."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from engine.datasets import open_dataset, read_folder, read_labelled
from engine.datasets.check import check
from engine.datasets.layouts import list_classes, list_folder
from engine.study_settings import DataSettings
from tests import made_files as made
from tests.made_files import clip_frames, dicom, metaimage, nifti, region
from tests.made_folders import problems_of, write_image, write_mask

CLIP = clip_frames()
REGION = region((2, 1, 13, 9))
MASK = np.zeros((12, 16), np.uint8)
MASK[3:8, 4:10] = 255


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_dicom_folder(folder: Path, images: int = 4) -> Path:
    """Two images of each patient with masks of the whole frame, and nothing but files in the manifest."""
    lines = ["image,mask,label"]
    for number in range(images):
        frame = np.roll(CLIP[0], 3 * number)
        write(folder / f"images/IM_{number}", dicom([frame], regions=[REGION], PatientID=f"PAT {number // 2}"))
        write(folder / f"masks/{number}.png", made.picture(np.roll(MASK, number, axis=1)))
        lines.append(f"images/IM_{number},masks/{number}.png,{'benign' if number % 2 else 'malignant'}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_folder_of_dicom_with_masks_is_cut_to_its_regions_and_takes_groups_from_headers(tmp_path: Path) -> None:
    folder = write_dicom_folder(tmp_path / "pack")
    data = read_folder(folder, image_size=16)
    assert data.table["image"].tolist() == [f"images/IM_{number}" for number in range(4)]
    assert data.table["group"].tolist() == ["patient 1"] * 2 + ["patient 2"] * 2
    assert set(data.table["scanner"]) == {"Maker Model 7"}
    assert set(data.table["source_height"]) == {9}
    assert set(data.table["source_width"]) == {12}
    assert data.table["spacing_mm"].tolist() == pytest.approx([0.2] * 4)
    # The first mask covers rows 3 to 7 and columns 4 to 9 of the frame: 30 of the region's 108 pixels.
    assert data.masks[0].mean() == pytest.approx(30 / 108, abs=0.03)
    assert data.has_groups
    assert read_folder(folder, image_size=16).fingerprint == data.fingerprint
    written = data.table.to_csv() + data.provenance
    assert "PAT" not in written
    assert made.PATIENT not in written


def test_a_mask_drawn_on_the_region_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = write_dicom_folder(tmp_path / "pack")
    whole = read_folder(folder, image_size=16)
    for number in range(4):
        mask = np.roll(MASK, number, axis=1)[1:10, 2:14]
        write(folder / f"masks/{number}.png", made.picture(np.ascontiguousarray(mask)))
    assert read_folder(folder, image_size=16).fingerprint == whole.fingerprint
    write(folder / "masks/0.png", made.picture(MASK[:5]))
    assert "masks/0.png: mask of 16 x 5 pixels for images/IM_0 of 12 x 9; export both at the same size" in problems_of(
        lambda: read_folder(folder, image_size=16)
    )


def test_a_study_opens_a_folder_of_dicom_and_finds_it_in_the_cache_again(tmp_path: Path) -> None:
    settings = DataSettings(kind="folder", folder=str(write_dicom_folder(tmp_path / "pack")))
    opened = open_dataset(settings, 16, tmp_path / "cache")
    assert opened.table["group"].tolist() == ["patient 1"] * 2 + ["patient 2"] * 2
    assert open_dataset(settings, 16, tmp_path / "cache").fingerprint == opened.fingerprint
    kept = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert not any(text.encode() in content for content in kept for text in ("PAT ", "Doe", made.NUMBER, made.STUDY))


def test_check_says_what_was_cut_and_names_nobody(tmp_path: Path) -> None:
    report = check(write_dicom_folder(tmp_path / "pack"))
    assert report.problems == ()
    assert any(note.startswith("4 files cut to the ultrasound region that the header names") for note in report.notes)
    assert not any(text in repr(report) for text in ("PAT", made.PATIENT, made.NUMBER, made.STUDY))


def test_what_the_manifest_says_counts_more_than_a_header(tmp_path: Path) -> None:
    folder = write_dicom_folder(tmp_path / "pack")
    lines = (folder / "manifest.csv").read_text().splitlines()
    told = [f"{lines[0]},group,scanner,spacing_mm", *(f"{line},mine,A,0.5" for line in lines[1:])]
    (folder / "manifest.csv").write_text("\n".join(told) + "\n")
    table = read_folder(folder, image_size=16).table
    assert set(table["group"]) == {"mine"}
    assert set(table["scanner"]) == {"A"}
    assert set(table["spacing_mm"]) == {0.5}


def test_class_folders_of_dicom_and_video_are_read_by_their_middle_frames(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / f"pack/ill/1.2.840.{number}", dicom(clip_frames(4 + number), PatientID=str(number)))
        write(tmp_path / f"pack/well/{number}.mp4", made.video(made.moving(6 + number)))
    data = read_labelled(tmp_path / "pack", image_size=8)
    assert data.classes == ("ill", "well")
    assert data.table["image"].tolist() == [
        "ill/1.2.840.0 frame 3", "ill/1.2.840.1 frame 3", "well/0.mp4 frame 4", "well/1.mp4 frame 4"]  # fmt: skip
    assert data.table["group"].tolist() == ["patient 1", "patient 2", "", ""]


def write_clip_folder(folder: Path, frame: str, group: str = "p", mask: bytes | None = None) -> Path:
    write(folder / "images/a.nii", nifti(np.stack(CLIP, axis=-1).transpose(1, 0, 2).copy()))
    write(folder / "masks/a.nii", mask or nifti(np.stack([MASK] * 5, axis=-1).transpose(1, 0, 2).copy()))
    (folder / "manifest.csv").write_text(
        f"image,mask,group,frame\nimages/a.nii,masks/a.nii,{group},{frame}\n", encoding="utf-8"
    )
    return folder


@pytest.mark.parametrize(
    ("frame", "numbers"),
    [("", [3]), ("middle", [3]), ("1", [1]), ("5", [5]), ("all", [1, 2, 3, 4, 5]), ("every 2", [1, 3, 5])],
)
def test_the_column_frame_says_which_frames_of_a_clip_are_images(
    tmp_path: Path, frame: str, numbers: list[int]
) -> None:
    data = read_folder(write_clip_folder(tmp_path / "pack", frame), image_size=16)
    assert data.table["image"].tolist() == [f"images/a.nii frame {number}" for number in numbers]
    assert data.table["frame"].tolist() == [str(number) for number in numbers]
    means = [CLIP[number - 1].mean() for number in numbers]
    assert data.images.reshape(len(numbers), -1).mean(1) == pytest.approx(means, abs=4)


@pytest.mark.parametrize(
    ("frame", "group", "mask", "words"),
    [
        ("6", "p", None, "manifest.csv:2: frame '6' of images/a.nii, which has 5; write a number from 1 to 5"),
        ("often", "p", None, "manifest.csv:2: frame 'often' of images/a.nii, which has 5"),
        ("every 0", "p", None, "manifest.csv:2: frame 'every 0' of images/a.nii, which has 5"),
        ("all", "", None, "manifest.csv:2: 5 frames of images/a.nii without a group"),
        (
            "",
            "p",
            made.picture(MASK),
            "manifest.csv:2: images/a.nii has 5 frames and masks/a.nii has 1; name the frame",
        ),
        ("all", "p", made.picture(MASK), "manifest.csv:2: images/a.nii has 5 frames and masks/a.nii has 1"),
    ],
)
def test_frames_that_cannot_be_used_are_one_line(
    tmp_path: Path, frame: str, group: str, mask: bytes | None, words: str
) -> None:
    folder = write_clip_folder(tmp_path / "pack", frame, group, mask)
    assert any(line.startswith(words) for line in problems_of(lambda: read_folder(folder, image_size=16)))


def test_a_mask_of_one_frame_belongs_to_the_frame_that_is_named(tmp_path: Path) -> None:
    folder = write_clip_folder(tmp_path / "pack", "2", mask=made.picture(MASK))
    assert read_folder(folder, image_size=16).table["image"].tolist() == ["images/a.nii frame 2"]


def test_a_column_frame_of_single_pictures_stays_text(tmp_path: Path) -> None:
    for number in range(2):
        write_image(tmp_path / f"pack/images/{number}.png", number)
        write_mask(tmp_path / f"pack/masks/{number}.png")
    lines = [f"images/{number}.png,masks/{number}.png,{25 * number}" for number in range(2)]
    (tmp_path / "pack/manifest.csv").write_text("\n".join(["image,mask,frame", *lines]) + "\n")
    table = read_folder(tmp_path / "pack", image_size=16).table
    assert table["image"].tolist() == ["images/0.png", "images/1.png"]
    assert table["frame"].tolist() == ["0", "25"]


def test_a_damaged_file_of_a_folder_is_one_line(tmp_path: Path) -> None:
    folder = write_dicom_folder(tmp_path / "pack")
    whole = (folder / "images/IM_1").read_bytes()
    (folder / "images/IM_1").write_bytes(whole[:-50])
    (line,) = problems_of(lambda: read_folder(folder, image_size=16))
    assert line == "images/IM_1: ends within frame 1 of 1; copy or export it again"


def write_camus(folder: Path, ending: str = ".mhd", patients: int = 2) -> Path:
    """The archive's layout: labels 1 inside 2, with 3 below, in pixels twice as high as wide."""
    labels = np.zeros((12, 16), np.uint8)
    labels[2:7, 3:13], labels[3:6, 5:11], labels[8:11, 5:11] = 2, 1, 3
    for number in range(1, patients + 1):
        for view in ("2CH", "4CH"):
            place = folder / f"patient{number:04}"
            write(place / f"Info_{view}.cfg", b"ED: 1\nES: 9\nImageQuality: Good\n")
            for phase, frame in (("ED", CLIP[0]), ("ES", CLIP[number])):
                frame = np.roll(frame, 5 * number + 2 * (view == "4CH"))
                for kind, array in (("", frame), ("_gt", labels)):
                    name = f"patient{number:04}_{view}_{phase}{kind}"
                    if ending == ".mhd":
                        header = metaimage(array[None], named=f"{name}.raw", spacing=(0.15, 0.3, 1))
                        write(place / f"{name}.mhd", header)
                        write(place / f"{name}.raw", array.tobytes())
                    else:
                        write(place / f"{name}{ending}", nifti(array.T[:, :, None].copy(), packed=True))
    return folder


@pytest.mark.parametrize("ending", [".mhd", ".nii.gz"])
def test_the_camus_archive_is_read_with_its_structures(tmp_path: Path, ending: str) -> None:
    folder = write_camus(tmp_path / "training", ending)
    data = read_folder(folder, image_size=16, mask=["mask_ventricle", "mask_myocardium", "mask_atrium"])
    assert data.structures == ("ventricle", "myocardium", "atrium")
    assert len(data.images) == 8
    assert set(np.unique(data.masks)) == {0, 1, 2, 3}
    assert data.table["group"].tolist() == ["patient0001"] * 4 + ["patient0002"] * 4
    assert data.table["label"].tolist() == ["2CH", "2CH", "4CH", "4CH"] * 2
    assert data.table["phase"].tolist() == ["ED", "ES"] * 4
    assert set(data.table["quality"]) == {"Good"}
    assert set(data.table["scanner"]) == {"GE Vivid E95"}
    one = read_folder(folder, image_size=16)
    assert one.structures == ("mask",)
    np.testing.assert_array_equal(one.masks > 0, data.masks == 1)


def test_a_camus_folder_says_what_is_missing(tmp_path: Path) -> None:
    folder = write_camus(tmp_path / "training")
    (folder / "patient0001/patient0001_2CH_ED_gt.mhd").unlink()
    (folder / "patient0002/patient0002_4CH_ES.raw").unlink()
    problems = problems_of(lambda: read_folder(folder, image_size=16))
    assert problems == (
        "patient0001/patient0001_2CH_ED.mhd: has no outline 'patient0001_2CH_ED_gt.mhd'; expected beside the image",
        "patient0002/patient0002_4CH_ES.mhd: no file 'patient0002_4CH_ES.raw' beside it, which holds its pixels; "
        "copy both",
    )
    (line,) = problems_of(lambda: read_folder(write_camus(tmp_path / "more"), image_size=16, mask="mask_atrim"))[:1]
    assert (
        line
        == "mask: no column 'mask_atrim' in the layout 'CAMUS archive'; did you mean 'mask_atrium' or 'mask_ventricle'?"
    )
    assert problems_of(lambda: list_folder(tmp_path)) == (
        f"{tmp_path.name}: the images lie one folder down; give {tmp_path.name}/more",
    )


def test_the_views_of_camus_can_be_told_apart(tmp_path: Path) -> None:
    folder = write_camus(tmp_path / "training")
    assert read_labelled(folder, image_size=16).classes == ("2CH", "4CH")
    assert len(list_classes(folder, where={"phase": ["ED"]}).entries) == 4


def test_pixels_that_are_not_square_give_no_pixel_size_and_say_so(tmp_path: Path) -> None:
    folder = write_camus(tmp_path / "training")
    assert read_folder(folder, image_size=16).table["spacing_mm"].isna().all()
    assert any("8 files with pixels that are not square" in note for note in check(folder).notes)


def test_a_folder_of_pictures_has_the_fingerprint_that_it_had_before_there_were_clips(tmp_path: Path) -> None:
    for number in range(2):
        write_image(tmp_path / f"pack/images/{number}.png", number)
        write_mask(tmp_path / f"pack/masks/{number}.png")
    lines = [f"images/{number}.png,masks/{number}.png" for number in range(2)]
    (tmp_path / "pack/manifest.csv").write_text("\n".join(["image,mask", *lines]) + "\n")
    data = read_folder(tmp_path / "pack", image_size=16)
    digest = hashlib.sha256(data.images.tobytes() + data.masks.tobytes()).hexdigest()
    # Made by the reader of commit b37c001, which knew pictures alone: no study's data changed under it.
    assert digest[:16] == "8cbe31a9577345be"
