"""Several structures in one data set: class numbers in its masks, names for its pages, and nothing lost on the way."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from rich.console import Console

from engine.datasets import load_cached, make_dataset, open_dataset, read_folder
from engine.datasets.check import check
from engine.datasets.structures import resize_labels, structures_of, unite
from engine.errors import DataError
from engine.images import resize_mask
from engine.study_settings import DataSettings
from tests.made_folders import problems_of, write_image, write_mask

BOTH = ("nerve=mask", "mask_vessel")
ROWS = {
    "images/0.png": "masks/0.png,masks_vessel/0.png,both",
    "images/1.png": "masks/1.png,masks_vessel/1.png,both",
    "images/2.png": "masks/2.png,,nerve",
}


def write_rows(folder: Path, rows: dict[str, str]) -> None:
    lines = ["image,mask,mask_vessel,label", *(f"{image},{cells}" for image, cells in rows.items())]
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images of 32 x 24 with nerves in rows 0 to 7 (images 1 and 2: 2 to 9); vessels from row 16, and from row 6.

    So in image 1 they overlap in rows 6 to 9 of 16 columns.
    """
    pack = tmp_path / "arms"
    for number, (nerve, vessel) in enumerate([(0, 16), (2, 6), (2, None)]):
        write_image(pack / f"images/{number}.png", number)
        write_mask(pack / f"masks/{number}.png", top=nerve)
        if vessel is not None:
            write_mask(pack / f"masks_vessel/{number}.png", top=vessel)
    write_rows(pack, ROWS)
    return pack


def test_structures_are_named_by_their_columns_or_by_the_study() -> None:
    def named(*mask: str) -> list[tuple[str, str]]:
        return [(structure.name, structure.column) for structure in structures_of(mask)]

    assert named("mask", "mask_vessel") == [("mask", "mask"), ("vessel", "mask_vessel")]
    assert named("nerve = mask", "bone") == [("nerve", "mask"), ("bone", "bone")]
    assert structures_of("mask_vessel") == structures_of(["mask_vessel"])


@pytest.mark.parametrize(
    ("mask", "line"),
    [
        ([], "mask: no column named; name the manifest column of the masks, such as 'mask'"),
        (["nerve="], "mask: 'nerve=' lacks a name or a column; write 'mask', or such as 'nerve=mask'"),
        (["mask_"], "mask: 'mask_' lacks a name or a column; write 'mask', or such as 'nerve=mask'"),
        (["mask", "nerve=mask"], "mask: column 'mask' is named twice; name every structure's own column"),
        (
            ["vessel=mask", "mask_vessel"],
            "mask: two structures are called 'vessel'; name one of them, such as 'second=mask_vessel'",
        ),
    ],
)
def test_a_mask_setting_that_makes_no_sense_is_one_line(folder: Path, mask: list[str], line: str) -> None:
    assert problems_of(lambda: read_folder(folder, image_size=16, mask=mask)) == (line,)
    assert check(folder, mask=mask).problems == (line,)


def test_masks_hold_class_numbers_in_the_order_of_the_columns(folder: Path) -> None:
    data = read_folder(folder, image_size=24, mask=BOTH)
    assert data.structures == ("nerve", "vessel")
    assert [np.unique(mask).tolist() for mask in data.masks] == [[0, 1, 2], [0, 1, 2], [0, 1]]
    nerve, vessel = data.masks[0] == 1, data.masks[0] == 2
    assert nerve[:8].any()
    assert not nerve[8:].any()
    assert vessel[16:].any()
    assert not vessel[:16].any()


@pytest.mark.parametrize(("order", "rows_of_the_second"), [(BOTH, range(6, 14)), (BOTH[::-1], range(2, 10))])
def test_where_structures_overlap_the_later_one_wins(
    folder: Path, order: tuple[str, str], rows_of_the_second: range
) -> None:
    mask = read_folder(folder, image_size=24, mask=order).masks[1]
    np.testing.assert_array_equal(np.flatnonzero((mask == 2).any(axis=1)), list(rows_of_the_second))
    assert set(np.unique(mask)) == {0, 1, 2}


def test_overlaps_and_absent_structures_are_counted_by_the_provenance_and_by_check(folder: Path) -> None:
    assert read_folder(folder, image_size=24, mask=BOTH).provenance == (
        "arms: 3 images (manifest.csv); structures 1 nerve, 2 vessel; vessel absent in 1 images; "
        "structures overlap in 1 images (64 pixels, which go to the later)"
    )
    report = check(folder, mask=BOTH)
    assert report.problems == ()
    assert (report.overlap_images, report.overlap_pixels) == (1, 64)
    nerve, vessel = report.structures
    assert (nerve.name, nerve.column, nerve.images, nerve.absent) == ("nerve", "mask", 3, 0)
    assert (vessel.name, vessel.column, vessel.images, vessel.absent) == ("vessel", "mask_vessel", 2, 1)
    assert vessel.percent is not None
    assert vessel.percent.maximum == pytest.approx(100 * 8 * 16 / (24 * 32))
    assert (
        "1 images have no mask in column 'mask_vessel' but one of another structure; vessel is taken as absent there"
    ) in report.notes
    assert "structures overlap in 1 images (64 pixels), which go to the later one named: images/1.png" in report.notes
    assert json.loads(json.dumps(report.to_dict()))["structures"][1]["name"] == "vessel"
    stream = io.StringIO()
    report.render(Console(file=stream, width=100))
    assert "2 vessel" in stream.getvalue()


def test_an_image_without_any_mask_is_a_problem_unless_it_is_labelled_normal(folder: Path) -> None:
    write_rows(folder, ROWS | {"images/1.png": ",,both"})
    (line,) = problems_of(lambda: read_folder(folder, image_size=16, mask=BOTH))
    assert line.startswith("manifest.csv:3: images/1.png has no mask in column 'mask' or 'mask_vessel'; name a mask")
    assert check(folder, mask=BOTH).problems == (line,)
    write_rows(folder, ROWS | {"images/1.png": ",,normal"})
    assert not read_folder(folder, image_size=16, mask=BOTH).masks[1].any()
    assert check(folder, mask=BOTH).structures[1].absent == 1


def test_a_structure_that_no_image_has_is_a_problem(folder: Path) -> None:
    (line,) = problems_of(lambda: read_folder(folder, image_size=16, mask=BOTH, where={"label": ["nerve"]}))
    assert line == "mask: none of the images has a mask in column 'mask_vessel'; leave the column out"
    assert check(folder, mask=BOTH, where={"label": ["nerve"]}).problems == (line,)


def test_a_column_that_does_not_exist_is_one_line(folder: Path) -> None:
    (line,) = problems_of(lambda: read_folder(folder, image_size=16, mask=("mask", "vessel")))
    assert line == "manifest.csv:1: no column 'vessel' with mask files; did you mean 'mask_vessel'?"


def test_one_file_cannot_be_the_mask_of_two_structures(folder: Path) -> None:
    write_rows(folder, ROWS | {"images/1.png": "masks/1.png,masks/1.png,both"})
    (line,) = problems_of(lambda: read_folder(folder, image_size=16, mask=BOTH))
    assert line == "manifest.csv:3: 'masks/1.png' is the mask of two structures; name a mask file for each"


def test_a_mask_that_cannot_be_read_is_a_problem_in_every_column(folder: Path) -> None:
    (folder / "masks/0.png").write_bytes(b"")
    write_mask(folder / "masks_vessel/0.png", height=12)
    problems = problems_of(lambda: read_folder(folder, image_size=16, mask=BOTH))
    assert [line.split(":")[0] for line in problems] == ["masks/0.png", "masks_vessel/0.png"]


def test_what_is_lost_by_shrinking_is_counted_by_structure(folder: Path) -> None:
    dot = np.zeros((24, 32), np.uint8)
    dot[23, 31] = 255
    Image.fromarray(dot).save(folder / "masks_vessel/0.png")
    Image.fromarray(255 - dot).save(folder / "masks/2.png")  # here the background is lost, which is no structure
    provenance = read_folder(folder, image_size=8, mask=BOTH).provenance
    assert provenance.endswith("; 1 masks too small to be seen at 8 x 8")


# One structure: as before there were several.


def made(masks: np.ndarray, *structures: str) -> str:
    images = np.arange(masks.size, dtype=np.uint8).reshape(masks.shape)
    table = pd.DataFrame({"image": list("abcd"), "group": list("xxyy")})
    return make_dataset(
        name="a", provenance="b", images=images, masks=masks, table=table, structures=structures or ("mask",)
    ).fingerprint


def test_the_fingerprint_of_one_structure_is_what_it_was_before_there_were_several() -> None:
    counted = np.arange(4 * 16 * 16, dtype=np.uint8).reshape(4, 16, 16)
    masks = (counted > 100).astype(np.uint8)
    # Written down from revision e63e683 with these arrays in make_dataset.
    assert made(masks) == "5428f1bd3d1ab085bc59aeee68de064da2266c3f03e9c764a3daf38dd64c504e"
    digest = hashlib.sha256(repr((counted.shape, "uint8")).encode() + counted.tobytes() + masks.tobytes())
    digest.update(b"x\0x\0y\0y")
    assert made(masks) == digest.hexdigest()
    assert made(masks, "vessel") == made(masks), "a name decides no number"


def test_the_fingerprint_of_several_depends_on_class_numbers_and_on_how_many_there_are() -> None:
    masks = np.zeros((4, 16, 16), np.uint8)
    masks[:, :4], masks[:, 8:] = 1, 2
    exchanged = np.array([0, 2, 1], np.uint8)[masks]
    prints = [
        made(masks, "a", "b"),
        made(exchanged, "a", "b"),
        made(masks, "a", "b", "c"),
        made((masks > 0).astype(np.uint8)),
    ]
    assert len(set(prints)) == 4
    with pytest.raises(DataError, match=r"masks number 2 structures, but 1 are named \(mask\)"):
        made(masks)


LABELS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24), elements=st.integers(0, 3))


@given(LABELS, st.integers(1, 24))
def test_stretching_one_structure_is_what_it_was_before_there_were_several(labels: np.ndarray, size: int) -> None:
    mask = (labels > 1).astype(np.uint8)
    np.testing.assert_array_equal(resize_labels(mask, size), resize_mask(mask, size))
    np.testing.assert_array_equal(resize_labels(mask * np.uint8(3), size), 3 * resize_mask(mask, size))


@given(LABELS, st.integers(1, 24))
def test_stretching_several_invents_no_number_and_no_gap(labels: np.ndarray, size: int) -> None:
    stretched = resize_labels(labels, size)
    assert set(np.unique(stretched)) <= {0, *np.unique(labels)}
    np.testing.assert_array_equal(stretched > 0, resize_mask((labels > 0).astype(np.uint8), size))


def test_a_pixel_that_structures_share_goes_to_the_larger_part_and_of_equals_to_the_last() -> None:
    labels = np.array([[1, 1, 1, 2], [0, 0, 0, 2], [1, 1, 2, 2], [1, 1, 2, 2]], np.uint8)
    assert resize_labels(labels, 2).tolist() == [[1, 2], [1, 2]]
    assert resize_labels(labels[2:], 1).tolist() == [[2]]
    assert resize_labels(labels, 4).tolist() == labels.tolist()


@given(st.data())
def test_united_masks_keep_the_last_and_count_what_several_claim(data: st.DataObject) -> None:
    shape = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=6))
    first, second = (data.draw(arrays(np.uint8, shape, elements=st.integers(0, 1))) for _ in range(2))
    labels, overlap = unite({2: second, 1: first}, *shape)
    np.testing.assert_array_equal(labels == 2, second == 1)
    np.testing.assert_array_equal(labels == 1, (first == 1) & (second == 0))
    assert overlap == int((first & second).sum())


# The cache


def test_the_cache_keeps_the_structures(folder: Path, tmp_path: Path) -> None:
    wanted = DataSettings(folder=str(folder), mask=BOTH)
    read = read_folder(folder, image_size=16, mask=BOTH)
    for _ in range(2):
        opened = open_dataset(wanted, 16, tmp_path / "cache")
        assert (opened.structures, opened.fingerprint) == (("nerve", "vessel"), read.fingerprint)
        np.testing.assert_array_equal(opened.masks, read.masks)
    assert load_cached(read.fingerprint, tmp_path / "cache").structures == ("nerve", "vessel")
    plain = open_dataset(DataSettings(folder=str(folder), mask=("mask", "mask_vessel")), 16, tmp_path / "cache")
    assert (plain.structures, plain.fingerprint) == (("mask", "vessel"), read.fingerprint)


def test_a_cache_from_before_there_were_several_can_be_loaded(folder: Path, tmp_path: Path) -> None:
    fingerprint = open_dataset(DataSettings(folder=str(folder)), 16, tmp_path / "cache").fingerprint
    about = tmp_path / "cache/data" / fingerprint / "about.json"
    told = json.loads(about.read_text())
    assert told.pop("structures") == ["mask"]
    about.write_text(json.dumps(told))
    assert load_cached(fingerprint, tmp_path / "cache").structures == ("mask",)


# Real images


@pytest.mark.parametrize(
    ("pack", "fingerprint"),
    [
        # read_folder(pack, image_size=32).fingerprint of revision e63e683, Pillow 12
        ("hc18_fetal_head", "ad01286b80109746bfd30a2f6839a047aba334adaa5bd5a1015c4ee4fed20231"),
        ("bus_uclm_breast", "f77cc69f8cfba72e28ecb33a5ae0d754f66239f64dd89efbbbd4eb7cd0fa7bbf"),
        ("cxr_paediatric_lung", "057cf190622bc085c42153ce89fb9f4a1acc2131e1a9b54ca45114f1c2f3f7d4"),
    ],
)
def test_real_packs_of_one_structure_keep_their_fingerprint(shared_data: Path, pack: str, fingerprint: str) -> None:
    assert read_folder(shared_data / pack, image_size=32).fingerprint == fingerprint


def test_nerves_and_vessels_are_learned_together(shared_data: Path) -> None:
    pack = shared_data / "usgra_nerve_vessel"
    both = read_folder(pack, image_size=64, mask=BOTH)
    # manifest.csv: 163 rows, 146 nerve_and_vessel, 17 nerve_only; no pixel of a file is in both.
    assert both.structures == ("nerve", "vessel")
    assert "vessel absent in 17 images" in both.provenance
    assert "overlap" not in both.provenance
    nerve = read_folder(pack, image_size=64, mask="mask")
    vessel = read_folder(pack, image_size=64, mask="mask_vessel", where={"label": ["nerve_and_vessel"]})
    has_vessel = (both.table["label"] == "nerve_and_vessel").to_numpy()
    assert not (both.masks[~has_vessel] == 2).any()
    # Where nerve and vessel touch, a pixel that both share half and half goes to one of them.
    assert np.mean((both.masks == 1) != nerve.masks) < 1e-3
    assert np.mean((both.masks[has_vessel] == 2) != vessel.masks) < 1e-3
