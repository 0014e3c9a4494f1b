"""What `whichlayers check` finds: counts that can be trusted, and one line for each mistake."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from engine.datasets import read_folder
from engine.datasets.check import check
from engine.datasets.report import CheckReport, Spread
from engine.errors import DataError
from tests.made_folders import brighter, smooth

HEADER = "image,mask,label,group,scanner,split"
IMAGES = 4


def row(number: int, label: str = "", group: str = "", scanner: str = "A") -> str:
    label = label or ("benign", "malignant")[number % 2]
    return f"images/{number}.png,masks/{number}.png,{label},{group or f'patient {number // 2}'},{scanner},train"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound folder of four images of two patients."""
    folder = tmp_path / "pack"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for number in range(IMAGES):
        Image.fromarray(smooth(number)).save(folder / f"images/{number}.png")
        mask = np.zeros((48, 64), np.uint8)
        mask[: 12 * (number + 1) - 12] = 255
        Image.fromarray(mask).save(folder / f"masks/{number}.png")
    write_rows(folder, [row(number) for number in range(IMAGES)])
    return folder


def write_rows(folder: Path, rows: list[str], header: str = HEADER) -> None:
    (folder / "manifest.csv").write_text("\n".join([header, *rows]) + "\n")


def rendered(report: CheckReport, width: int = 100) -> str:
    stream = io.StringIO()
    report.render(Console(file=stream, width=width))
    return stream.getvalue()


def test_a_sound_folder_has_counts_and_no_problems(folder: Path) -> None:
    report = check(folder)
    assert report.problems == ()
    assert report.exit_code == 0
    assert report.layout == "manifest.csv"
    assert (report.images, report.readable, report.masks) == (4, 4, 4)
    assert report.classes == {"benign": 2, "malignant": 2}
    assert report.groups == {"patient 0": 2, "patient 1": 2}
    assert report.scanners == {"A": 4}
    assert report.splits == {"train": 4}
    assert report.width == Spread(minimum=64.0, median=64.0, maximum=64.0)
    assert report.height == Spread(minimum=48.0, median=48.0, maximum=48.0)
    assert report.sizes == {"64 x 48": 4}
    assert report.mask_percent == Spread(minimum=25.0, median=50.0, maximum=75.0)
    assert report.empty_masks == ("images/0.png",)
    assert report.notes == ("2 groups only: too few for 5 folds by group",)


def test_the_report_can_be_written_as_json(folder: Path) -> None:
    plain = json.loads(json.dumps(check(folder).to_dict()))
    assert plain["classes"] == {"benign": 2, "malignant": 2}
    assert plain["mask_percent"] == {"minimum": 25.0, "median": 50.0, "maximum": 75.0}
    assert plain["problems"] == []


def test_progress_counts_every_image(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    check(folder, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number + 1, IMAGES) for number in range(IMAGES)]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def replace_in_manifest(folder: Path, old: str, new: str) -> None:
    path = folder / "manifest.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def link_out(folder: Path) -> None:
    outside = folder.parent / "outside.png"
    shutil.move(folder / "images/1.png", outside)
    (folder / "images/1.png").symlink_to(outside)


def save(path: Path, array: np.ndarray) -> None:
    Image.fromarray(array).save(path)


BAD: dict[str, tuple[Callable[[Path], object], str, str]] = {
    # name: (what is done to the sound folder, how the line begins, its remedy)
    "a mask file is missing": (
        lambda f: (f / "masks/1.png").unlink(), "manifest.csv:3: no file 'masks/1.png'", "add the file"),
    "a mask cell is empty": (
        lambda f: replace_in_manifest(f, "masks/1.png", ""), "manifest.csv:3: images/1.png has no mask", "name a mask"),
    "an image file is missing": (
        lambda f: (f / "images/1.png").unlink(), "manifest.csv:3: no file 'images/1.png'", "correct the name"),
    "a mask has another size": (
        lambda f: save(f / "masks/1.png", np.zeros((9, 9), np.uint8)),
        "masks/1.png: mask of 9 x 9 pixels for images/1.png of 64 x 48", "export both at the same size"),
    "an image is truncated": (lambda f: cut(f / "images/1.png"), "images/1.png: truncated or damaged", "again"),
    "a mask is truncated": (lambda f: cut(f / "masks/1.png"), "masks/1.png: truncated or damaged", "again"),
    "a mask has three values": (
        lambda f: save(f / "masks/1.png", np.tile(np.array([0, 7, 9, 9], np.uint8), (48, 16))),
        "masks/1.png: 3 distinct values in a mask (0, 7, 9)", "save one structure per mask"),
    "an image is a text": (
        lambda f: (f / "images/1.png").write_text("text"), "images/1.png: not a PNG", "export it again"),
    "an image is DICOM without pixels": (
        lambda f: ((f / "images/1.png").unlink(), (f / "images/1.dcm").write_bytes(bytes(128) + b"DICM"),
                   replace_in_manifest(f, "images/1.png", "images/1.dcm")),
        "images/1.dcm: DICOM without an image", "export the images"),
    "a mask is a JPEG": (
        lambda f: (save(f / "masks/1.jpg", np.zeros((48, 64), np.uint8)),
                   replace_in_manifest(f, "masks/1.png", "masks/1.jpg")),
        "masks/1.jpg: a JPEG mask", "export the mask as PNG"),
    "the column image is missing": (
        lambda f: replace_in_manifest(f, "image,", "file,"), "manifest.csv:1: no column 'image'", "name the image"),
    "the column mask is missing": (
        lambda f: replace_in_manifest(f, "mask,", "outline,"), "manifest.csv:1: no column 'mask'", "known: none"),
    "group is misspelt": (
        lambda f: replace_in_manifest(f, "group", "gruop"), "manifest.csv:1: unknown column 'gruop'", "mean 'group'?"),
    "image is capitalised": (
        lambda f: replace_in_manifest(f, "image,", "Image,"), "manifest.csv:1: unknown column 'Image'", "'image'?"),
    "mask is misspelt": (
        lambda f: replace_in_manifest(f, "mask,", "maks,"), "manifest.csv:1: unknown column 'maks'", "mean 'mask'?"),
    "a column stands twice": (
        lambda f: replace_in_manifest(f, "split", "label"), "manifest.csv:1: column 'label' stands twice", "rename"),
    "the same image lies there twice": (
        lambda f: shutil.copy(f / "images/0.png", f / "images/2.png"),
        "manifest.csv:4: images/2.png has the same pixels as images/0.png, and would leak", "keep one of the two"),
    "an image stands in two rows that differ": (
        lambda f: write_rows(f, [*(row(number) for number in range(IMAGES)), row(0, label="cyst", group="x")]),
        "manifest.csv:6: 'images/0.png' is already named in manifest.csv:2 with another label and group",
        "delete one of the two"),
    "a path goes up": (
        lambda f: replace_in_manifest(f, "images/1.png", "../x.png"),
        "manifest.csv:3: '../x.png' leaves the folder", "copy the file into it"),
    "a path is absolute": (
        lambda f: replace_in_manifest(f, "images/1.png", "/images/x.png"),
        "manifest.csv:3: '/images/x.png' leaves the folder", "relative to the folder"),
    "a link leaves the folder": (
        link_out, "manifest.csv:3: 'images/1.png' is a link that leaves the folder", "copy the file itself"),
    "a path has backslashes": (
        lambda f: replace_in_manifest(f, "images/1.png", "images\\1.png"),
        "manifest.csv:3: 'images\\1.png' has backslashes", "write '/'"),
    "a path is too long": (
        lambda f: replace_in_manifest(f, "images/1.png", "x" * 5000), "manifest.csv:3: 'xxx", "rename the file"),
    "an image is its own mask": (
        lambda f: replace_in_manifest(f, "masks/1.png", "images/1.png"),
        "manifest.csv:3: 'images/1.png' is named as its own mask", "name the mask file"),
    "the manifest is not UTF-8": (
        lambda f: (f / "manifest.csv").write_bytes(HEADER.encode() + b"\nimages/\xff.png\n"),
        "manifest.csv:2: not UTF-8", "save it as 'CSV UTF-8'"),
    "the manifest is not CSV": (
        lambda f: (f / "manifest.csv").write_text(f'{HEADER}\n"images/0.png" x,,,,,\n'),
        "manifest.csv:2: not CSV", "save it again"),
    "a quote is never closed": (
        lambda f: (f / "manifest.csv").write_text(f'{HEADER}\n{row(0)}\n"images/1.png\n'),
        "manifest.csv:3: not CSV", "save it again"),
    "the manifest is empty": (
        lambda f: (f / "manifest.csv").write_text("\n \n"), "manifest.csv: empty", "write a first line"),
    "the manifest has no rows": (
        lambda f: (f / "manifest.csv").write_text(HEADER + "\n"), "manifest.csv: no line below", "one line per image"),
    "the manifest has semicolons": (
        lambda f: (f / "manifest.csv").write_text((f / "manifest.csv").read_text().replace(",", ";")),
        "manifest.csv:1: columns are not separated by commas", "comma delimited"),
    "a row has too many cells": (
        lambda f: replace_in_manifest(f, "malignant,patient 0", "malignant,big,patient 0"),
        "manifest.csv:3: 7 cells under 6 columns", "double quotes"),
    "an image cell is empty": (
        lambda f: replace_in_manifest(f, "images/1.png", ""), "manifest.csv:3: the column 'image' is empty", "delete"),
    "a spacing is no number": (
        lambda f: (replace_in_manifest(f, "scanner", "spacing_mm"), replace_in_manifest(f, ",A,", ",0.1,"),
                   replace_in_manifest(f, "malignant,patient 0,0.1", "malignant,patient 0,fine")),
        "manifest.csv:3: column 'spacing_mm': 'fine' is not a size in mm", "write a number"),
    "two columns say the spacing": (
        lambda f: (replace_in_manifest(f, "scanner,split", "spacing_mm,pixel_size_mm"),
                   replace_in_manifest(f, "A,train", "0.1,0.1")),
        "manifest.csv:1: several columns of pixel size", "keep that of these files"),
    "a column has the name of a measured one": (
        lambda f: replace_in_manifest(f, "scanner", "source_width"),
        "manifest.csv:1: column 'source_width' cannot be used", "another name"),
    "the manifest is gone": (
        lambda f: (f / "manifest.csv").unlink(), "pack: no manifest.csv beside images/", "write one"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.replace(" ", "_"))
def test_bad_input_is_one_line_with_the_file_and_the_remedy(folder: Path, case: str) -> None:
    spoil, beginning, remedy = BAD[case]
    spoil(folder)
    report = check(folder)
    assert report.exit_code == 2
    (line,) = report.problems
    assert line.startswith(beginning)
    assert remedy in line[len(beginning) :]
    assert "\n" not in line
    assert line in rendered(report).splitlines()[-2]


@pytest.mark.parametrize("case", [case for case in BAD if case != "the same image lies there twice"])
def test_a_study_refuses_bad_input_with_the_same_line(folder: Path, case: str) -> None:
    BAD[case][0](folder)
    with pytest.raises(DataError) as error:
        read_folder(folder, image_size=16)
    assert error.value.problems == check(folder).problems


def test_folders_that_hold_nothing_to_read_are_one_line(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text/a.txt").write_text("text")
    (tmp_path / "flat").mkdir()
    shutil.copy(folder / "images/0.png", tmp_path / "flat")
    shutil.copytree(folder, tmp_path / "outer/pack")
    for name, words in {
        "none": "none: no such folder; check the path",
        "empty": "empty: the folder is empty; expected manifest.csv",
        "text": "text: no images found; expected manifest.csv",
        "flat": "flat: images without masks, classes or manifest.csv; expected manifest.csv",
        "pack/manifest.csv": "manifest.csv: a file, not a folder; unpack it",
        "pack/images": "images: images without masks",
        "outer": "outer: the images lie one folder down; give outer/pack",
    }.items():
        report = check(tmp_path / name)
        (line,) = report.problems
        assert line.startswith(words)
        assert report.exit_code == 2
        assert line in rendered(report)


def test_a_folder_that_may_not_be_listed_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)  # the tests may run as root, to whom nothing is forbidden
    assert check(folder).problems == ("pack: no permission to read the folder; allow it, such as with chmod u+rx",)


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ({"lable": ["x"]}, "where: unknown column 'lable'; did you mean 'label'?"),
        ({"colour": ["x"]}, "where: unknown column 'colour'; known: label, group, scanner, split"),
        ({"label": ["benign", "malign"]}, "where: no image has label 'malign'; did you mean 'malignant'?"),
        ({"scanner": ["Philips"]}, "where: no image has scanner 'Philips'; known: A"),
        ({"label": ["Benign"]}, "where: no image has label 'Benign'; did you mean 'benign'?"),
        ({"group": ["patient"]}, "where: no image has group 'patient'; did you mean 'patient 0' or 'patient 1'?"),
        (
            {"label": ["benign"], "group": ["other"]},
            "where: no image fits the conditions on label, group together; name fewer",
        ),
    ],
)
def test_a_where_that_makes_no_sense_is_one_line(folder: Path, where: dict[str, list[str]], line: str) -> None:
    write_rows(folder, [*(row(number) for number in range(3)), row(3, group="other")])
    assert check(folder, where=where).problems == (line,)


def test_files_of_a_format_that_cannot_be_used_are_one_line(folder: Path) -> None:
    for number in range(IMAGES):
        save(folder / f"masks/{number}.jpg", np.zeros((48, 64), np.uint8))
    (folder / "images/3.png").write_text("text")
    write_rows(folder, [row(number).replace(f"masks/{number}.png", f"masks/{number}.jpg") for number in range(IMAGES)])
    problems = check(folder).problems
    assert problems == (
        "masks/0.jpg and 3 more: a JPEG mask, whose edges compression has blurred; export the mask as PNG",
        "images/3.png: not a PNG, JPEG, TIFF or BMP image, GIF, DICOM, NIfTI or MetaImage file or video, whatever its "
        "name; export it again",
    )
    with pytest.raises(DataError) as error:
        read_folder(folder, image_size=16)
    assert error.value.problems == problems


def test_a_row_that_stands_twice_word_for_word_is_used_once_and_noted(folder: Path) -> None:
    write_rows(folder, [row(0), row(1), row(0), row(0), row(2), row(3)])
    report = check(folder)
    assert report.problems == ()
    assert report.images == IMAGES
    assert "manifest.csv:4, manifest.csv:5: the same as an earlier row in every column, not used" in report.notes
    data = read_folder(folder, image_size=16)
    assert len(data.images) == IMAGES
    assert data.provenance == "pack: 4 images (manifest.csv); 2 rows that repeat another left out"


def test_where_narrows_what_is_counted(folder: Path) -> None:
    assert check(folder, where={"label": ["benign"]}).classes == {"benign": 2}


def test_columns_of_ones_own_are_no_slips(folder: Path) -> None:
    replace_in_manifest(folder, HEADER, "image,mask,label,group_size,mask_vessel,task")
    assert check(folder).problems == ()


def test_files_that_no_row_names_are_noted(folder: Path) -> None:
    write_rows(folder, [row(number) for number in range(3)])
    assert "manifest.csv: 1 files in images/ are named in no row and not used: images/3.png" in check(folder).notes


def test_an_image_labelled_normal_may_go_without_a_mask_and_that_is_noted(folder: Path) -> None:
    write_rows(folder, ["images/0.png,,normal,p,A,train", *(row(number) for number in range(1, 4))])
    report = check(folder)
    assert report.problems == ()
    assert "1 images labelled normal have no mask file; their masks are taken as empty" in report.notes
    assert report.empty_masks == ("images/0.png",)


def test_a_folder_without_masks_is_fit_for_classification(folder: Path) -> None:
    shutil.rmtree(folder / "masks")
    write_rows(folder, [f"images/{number}.png,a" for number in range(IMAGES)], header="image,label")
    report = check(folder)
    assert report.problems == ()
    assert "no masks: fit for classification (--labels), not for finding outlines" in report.notes
    assert "no groups: images are split one by one, so images of one patient may stand on both sides" in report.notes


def test_class_folders_can_be_checked(folder: Path, tmp_path: Path) -> None:
    for number in range(IMAGES):
        (tmp_path / f"views/{number % 2}").mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / f"images/{number}.png", tmp_path / f"views/{number % 2}")
    (tmp_path / "views/0/read me.txt").write_text("text")
    report = check(tmp_path / "views")
    assert report.exit_code == 0
    assert report.layout == "class folders"
    assert report.classes == {"0": 2, "1": 2}
    assert "0/read me.txt: not an image, not used" in report.notes


def test_one_group_and_images_without_a_group_are_noted(folder: Path) -> None:
    write_rows(folder, [row(number, group="anna") for number in range(IMAGES)])
    assert "one group only: a split by group is impossible" in check(folder).notes
    write_rows(folder, ["images/0.png,masks/0.png,a,,A,train", *(row(number) for number in range(1, 4))])
    assert "1 of 4 images name no group: splitting by group is off" in check(folder).notes


def test_a_group_in_two_sets_is_noted(folder: Path) -> None:
    replace_in_manifest(folder, row(1), row(1).replace("train", "test"))
    assert "1 groups stand in several sets of the column 'split': patient 0" in check(folder).notes


def test_label_and_scanner_that_go_together_are_noted(folder: Path) -> None:
    write_rows(folder, [row(number, scanner="AB"[number % 2]) for number in range(IMAGES)])
    assert check(folder).notes[-1] == (
        "each class occurs with one scanner only: class and scanner cannot be told apart (Cramér's V = 1.00, 4 images)"
    )
    write_rows(folder, [row(number, scanner="AB"[number // 2]) for number in range(IMAGES)])
    assert not [note for note in check(folder).notes if "scanner" in note]


def test_near_duplicates_across_groups_are_named_first_with_their_distance(folder: Path) -> None:
    save(folder / "images/1.png", np.asarray(Image.fromarray(brighter(smooth(0))).resize((64, 48))))
    save(folder / "images/2.png", np.asarray(Image.fromarray(brighter(smooth(0))).resize((64, 48))) ^ 1)
    report = check(folder)
    assert report.problems == ()
    assert report.near_duplicate_pairs == 3
    assert [(pair.first, pair.second, pair.across_groups) for pair in report.near_duplicates] == [
        ("images/0.png", "images/2.png", True),
        ("images/1.png", "images/2.png", True),
        ("images/0.png", "images/1.png", False),
    ]
    assert all(pair.bits <= 4 for pair in report.near_duplicates)
    (leak,) = [note for note in report.notes if "would leak" in note]
    assert leak.startswith("2 near-duplicate pairs lie in different groups")
    assert f"images/0.png and images/2.png ({report.near_duplicates[0].bits} bits of 64)" in leak
    assert "give both the same group" in leak
    assert "1 near-duplicate pairs in the same group (at most 4 bits of 64 apart)" in report.notes
    assert "different: leaks" in rendered(report)


def test_file_names_with_square_brackets_are_printed_as_they_are(folder: Path) -> None:
    (folder / "images/1.png").rename(folder / "images/[red]1[bold].png")
    replace_in_manifest(folder, "images/1.png", "images/[red]1[bold].png")
    cut(folder / "images/[red]1[bold].png")
    assert "problem: images/[red]1[bold].png: truncated" in rendered(check(folder))


def test_the_rendered_report_can_be_read_at_a_glance(folder: Path) -> None:
    text = rendered(check(folder))
    assert text.splitlines()[0] == "pack · manifest.csv · 4 images"
    assert "mask covers" in text
    assert "25.0 to 75.0 %, median 50.0" in text
    assert "64 x 48 (4)" in text
    assert text.splitlines()[-1] == "no problems"


@pytest.mark.parametrize(
    ("pack", "images", "groups"),
    [
        ("hc18_fetal_head", 666, 535),
        ("fetal_planes_tiny", 26, 23),
        ("muscle_us_multiscanner", 275, 28),
        ("cxr_covid_lung", 26, 21),
    ],
)
def test_sound_real_packs_pass(shared_data: Path, pack: str, images: int, groups: int) -> None:
    # Counts: the table in ../shared/data/README.md. Of the 28 sick lungs one image stands in three rows.
    report = check(shared_data / pack)
    assert report.problems == ()
    assert (report.images, len(report.groups)) == (images, groups)


def test_real_packs_with_the_same_frame_twice_are_told_so(shared_data: Path) -> None:
    problems = check(shared_data / "bus_uclm_breast").problems
    assert len(problems) == 3
    assert all("leak between their groups UCLM_CHCO and UCLM_CHVI" in line for line in problems)


def test_the_scanners_of_the_muscles_are_mixed_up_with_the_labels(shared_data: Path) -> None:
    # ../shared/data/README.md: "label and device are mixed up".
    notes = check(shared_data / "muscle_us_multiscanner").notes
    assert any("mixed up (Cramér's V = 0.71, 275 images)" in note for note in notes)
