"""Phantoms: the speckle is physics, views and scanners differ, and nobody is in two places."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from engine.datasets.phantoms import CAVEAT, phantom_dataset
from engine.errors import DataError
from engine.phantoms import (
    ABDOMINAL_SCANNERS,
    CARDIAC_SCANNERS,
    CATEGORIES,
    VIEWS,
    Phantoms,
    Scanner,
    abdominal,
    cardiac,
)
from engine.phantoms.abdominal import abdominal_image, category
from engine.phantoms.canvas import TISSUES, Canvas
from engine.phantoms.cardiac import cardiac_frame
from engine.phantoms.echoes import Tissue, display, envelope, polar_grid, spacing_mm
from engine.phantoms.heart import draw_heart, moment, squeeze
from engine.phantoms.outlines import ellipse, points, smooth, tube
from engine.phantoms.series import places
from engine.phantoms.sheet import contact_sheet
from engine.published import cheng2017

ROOT = Path(__file__).resolve().parents[1]
RAYLEIGH_SNR = 1.91
"""Mean over standard deviation of a Rayleigh variable: sqrt(pi / (4 - pi)) = 1.913."""
SCANNERS = [*CARDIAC_SCANNERS.values(), *ABDOMINAL_SCANNERS.values()]
IDS = ["heart A", "heart B", "abdomen A", "abdomen B"]
DEPTH_MM = 150.0


def tissue_of(scanner: Scanner, echo_db: float = 0.0, loss: float = 0.0) -> Tissue:
    """The same tissue everywhere."""
    shape = polar_grid(scanner, DEPTH_MM).x_mm.shape
    return Tissue(echo_db=np.full(shape, echo_db, np.float32), loss=np.full(shape, loss, np.float32))


def plain(scanner: Scanner) -> Scanner:
    """A scanner without gain, noise and clutter: what is left is beam, pulse and scatterers."""
    return replace(
        scanner, compensation_db_per_cm=0.0, gain_curve_db=(0.0, 0.0), noise_db=-200.0, clutter_db=-200.0
    )  # fmt: skip


def homogeneous(scanner: Scanner, images: int = 3) -> np.ndarray:
    """Envelopes of 0 dB tissue without loss: image line sample, from 3 cm on."""
    made = [envelope(tissue_of(scanner), np.random.default_rng([5, n]), scanner, DEPTH_MM) for n in range(images)]
    return np.stack(made)[:, :, made[0].shape[1] // 5 :]


def independent(values: np.ndarray, scanner: Scanner) -> np.ndarray:
    """Samples more than two resolution cells apart at the bottom third, where cells are few lines wide."""
    bottom = values[:, :, 2 * values.shape[2] // 3 :]
    return bottom[:, :: 3 * scanner.lines // 32, ::12].ravel()


# Speckle


@pytest.mark.parametrize("scanner", SCANNERS, ids=IDS)
def test_fully_developed_speckle_has_the_signal_to_noise_ratio_of_rayleigh(scanner: Scanner) -> None:
    envelopes = homogeneous(plain(scanner), 5)
    for part in (envelopes, *np.array_split(envelopes, 3, axis=2)):
        assert float(part.mean() / part.std()) == pytest.approx(RAYLEIGH_SNR, rel=0.05)


@pytest.mark.parametrize("scanner", SCANNERS, ids=IDS)
def test_the_speckle_test_fails_for_sparse_scatterers(scanner: Scanner) -> None:
    envelopes = homogeneous(replace(plain(scanner), scatterers_per_cell=0.3))
    assert float(envelopes.mean() / envelopes.std()) < 0.9 * RAYLEIGH_SNR


@pytest.mark.parametrize("scanner", SCANNERS, ids=IDS)
def test_the_envelope_fits_a_rayleigh_distribution(scanner: Scanner) -> None:
    samples = independent(homogeneous(plain(scanner), 5), scanner)
    assert len(samples) > 400
    assert stats.kstest(samples, stats.rayleigh(scale=np.sqrt(np.mean(samples**2) / 2)).cdf).pvalue > 0.01


@pytest.mark.parametrize("scanner", SCANNERS, ids=IDS)
def test_the_envelope_is_in_units_of_the_tissue_at_every_depth(scanner: Scanner) -> None:
    for part in np.array_split(homogeneous(plain(scanner), 5), 4, axis=2):
        assert np.sqrt(np.mean(part**2)) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("scanner", SCANNERS, ids=IDS)
def test_the_beam_grows_with_depth(scanner: Scanner) -> None:
    def width_mm(part: np.ndarray, from_face_mm: float) -> float:
        """Lag at which the speckle across the beams is half as alike."""
        centred = part - part.mean()
        alike = [float(np.mean(centred[:, lag:] * centred[:, : part.shape[1] - lag])) for lag in range(30)]
        lag = np.interp(-0.5 * alike[0], -np.array(alike), np.arange(30))
        step = 2 * scanner.half_opening / (scanner.lines - 1)
        return float(lag * step * (scanner.radius_mm + from_face_mm))

    upper, _, lower = np.array_split(homogeneous(plain(scanner), 4), 3, axis=2)
    assert width_mm(lower, 130) > 1.3 * width_mm(upper, 50)


def test_tissue_loses_what_its_attenuation_and_the_frequency_say() -> None:
    scanner = plain(ABDOMINAL_SCANNERS["A"])
    made = [envelope(tissue_of(scanner, 0.0, 0.3), np.random.default_rng(n), scanner, DEPTH_MM) for n in range(3)]
    power = np.mean(np.square(made), axis=(0, 1))
    rows = np.array_split(power, 15)  # a centimetre each
    lost_db = 10 * np.log10(rows[2].mean() / rows[12].mean())
    assert lost_db == pytest.approx(2 * 0.3 * 3.2 * 10, abs=1.0)


def test_a_stone_throws_a_shadow_and_fluid_leaves_tissue_brighter_behind_it() -> None:
    scanner = ABDOMINAL_SCANNERS["A"]
    canvas = Canvas(scanner, DEPTH_MM, "liver")
    canvas.fill("fluid", ellipse(-30, 50, 15, 15))
    canvas.fill("stone", ellipse(30, 50, 6, 3))
    image = display(
        envelope(canvas.tissue(np.random.default_rng(0)), np.random.default_rng(1), scanner, DEPTH_MM),
        scanner, DEPTH_MM, 128,
    ).astype(float)  # fmt: skip

    def brightness(x_mm: float, z_mm: float) -> float:
        pixel = spacing_mm(scanner, DEPTH_MM, 128)
        top = (128 * pixel - (DEPTH_MM + 50 * (1 - np.cos(scanner.half_opening)))) / 2
        row, column = int((z_mm + top + 50 * (1 - np.cos(scanner.half_opening))) / pixel), int(x_mm / pixel + 64)
        return float(image[row - 3 : row + 4, column - 3 : column + 4].mean())

    # Beams spread from 50 mm above the face: what lies behind (30, 50) at 80 mm is at (39, 80).
    behind_fluid, behind_stone, beside = brightness(-39, 80), brightness(39, 80), brightness(0, 80)
    assert brightness(-30, 50) < 20
    assert behind_fluid > beside + 20
    assert behind_stone < beside - 60


# Sector


@pytest.mark.parametrize("scanner", SCANNERS, ids=IDS)
def test_it_is_black_outside_the_sector_and_gray_inside(scanner: Scanner) -> None:
    white = np.full((scanner.lines, polar_grid(scanner, DEPTH_MM).samples), 1e6, np.float32)
    image = display(white, scanner, DEPTH_MM, 96)
    assert set(np.unique(image[30:60, 44:52])) == {255}
    assert not image[:3, :8].any()
    assert not image[:3, -8:].any()
    np.testing.assert_allclose(image.astype(float), image[:, ::-1].astype(float), atol=130)  # symmetric but for edges
    area = np.mean(image > 0) * (scanner.side * DEPTH_MM) ** 2
    far, near = scanner.radius_mm + DEPTH_MM, scanner.radius_mm
    whole = scanner.half_opening * (far**2 - near**2)
    assert area <= 1.03 * whole
    assert area > 0.6 * whole


def test_an_interface_shines_where_the_beam_meets_it_head_on() -> None:
    scanner = CARDIAC_SCANNERS["A"]
    canvas = Canvas(scanner, DEPTH_MM, "blood")
    canvas.line(points([(-10, 90), (10, 90)]), 12.0)
    across = canvas.tissue(np.random.default_rng(0)).echo_db.max()
    canvas = Canvas(scanner, DEPTH_MM, "blood")
    canvas.line(points([(0, 80), (0, 100)]), 12.0)
    along = canvas.tissue(np.random.default_rng(0)).echo_db.max()
    assert across == pytest.approx(12.0, abs=0.5)
    assert along < 4


def test_a_tube_keeps_its_width_and_a_curve_its_places() -> None:
    outline = tube(points([(0, 0), (50, 0), (100, 0)]), 8.0, round_ends=False)
    assert outline[:, 1].max() - outline[:, 1].min() == pytest.approx(8)
    rounded = tube(points([(0, 0), (50, 0), (100, 0)]), 8.0)
    assert rounded[:, 0].min() == pytest.approx(-4, abs=0.2)
    assert rounded[:, 0].max() == pytest.approx(104, abs=0.2)
    corners = [(0.0, 0.0), (10.0, 5.0), (20.0, 0.0)]
    np.testing.assert_allclose(smooth(corners, 4)[[0, 4, 8]], corners)


# Hearts


def test_systole_shrinks_the_chamber_and_thickens_its_wall() -> None:
    heart = draw_heart(np.random.default_rng(0))
    diastole, systole = moment(heart, 0.0), moment(heart, 0.38)
    assert systole.width < 0.9 * diastole.width
    assert systole.length < diastole.length
    assert systole.wall > 1.1 * diastole.wall
    assert systole.atrium_length > diastole.atrium_length


def test_valves_open_and_close_with_the_beat() -> None:
    heart = draw_heart(np.random.default_rng(0))
    assert moment(heart, 0.2).aortic > 0.8 > 0.1 > moment(heart, 0.2).mitral
    assert moment(heart, 0.56).mitral > 0.8 > 0.1 > moment(heart, 0.56).aortic


def test_the_beat_closes_on_itself_and_does_not_jump() -> None:
    steps = np.diff([squeeze(phase) for phase in np.linspace(0, 1, 1001)])
    assert np.abs(steps).max() < 0.02
    assert squeeze(0.0) == pytest.approx(squeeze(1.0), abs=1e-9)


def test_the_image_of_a_heart_follows_its_beat() -> None:
    scanner = CARDIAC_SCANNERS["A"]

    def dark(phase: float) -> float:
        """Dark pixels in the middle of an apical view: the ventricles' blood."""
        made = [cardiac_frame(p, 0, 64, 0, scanner, view="A4C", phase=phase).image[15:42, 16:48] for p in range(6)]
        return float(np.mean(np.stack(made) < 40))

    assert dark(0.38) < 0.9 * dark(0.0)


def test_anatomy_stays_with_the_patient_and_speckle_with_the_frame() -> None:
    scanner = CARDIAC_SCANNERS["A"]
    first, again, other = (
        cardiac_frame(patient, frame, 64, 0, scanner, view="PSAX", phase=0.0).image.astype(float).ravel()
        for patient, frame in ((0, 0), (0, 7), (1, 0))
    )
    assert not np.array_equal(first, again)
    assert np.corrcoef(first, again)[0, 1] > np.corrcoef(first, other)[0, 1] + 0.1


# Series


MAKERS = [(cardiac, CARDIAC_SCANNERS), (abdominal, ABDOMINAL_SCANNERS)]


@pytest.mark.parametrize(("make", "scanners"), MAKERS, ids=["heart", "abdomen"])
def test_an_image_depends_on_seed_patient_frame_and_stream_and_not_on_how_many_are_made(make, scanners) -> None:
    few, more = make(2, 32, 7, scanners["A"]), make(4, 32, 7, scanners["A"])
    np.testing.assert_array_equal(few.images, more.images[:2])
    assert few.labels == more.labels[:2]
    assert not np.array_equal(few.images, make(2, 32, 8, scanners["A"]).images)
    spread = make(4, 32, 7, scanners["A"], patients=2)
    assert spread.groups == ("A patient 000",) * 2 + ("A patient 001",) * 2
    np.testing.assert_array_equal(spread.images[:2], few.images)
    assert len({image.tobytes() for image in more.images}) == 4


@pytest.mark.parametrize(("make", "scanners"), MAKERS, ids=["heart", "abdomen"])
def test_the_scanners_see_other_patients_unless_asked_for_the_same(make, scanners) -> None:
    of_a, of_b = make(3, 48, 0, scanners["A"]), make(3, 48, 0, scanners["B"])
    assert not set(of_a.groups) & set(of_b.groups)
    same = make(3, 48, 0, replace(scanners["B"], stream=scanners["A"].stream))
    assert same.labels == of_a.labels
    np.testing.assert_array_equal(same.phase, of_a.phase)
    assert not np.array_equal(same.images, of_a.images)
    assert not np.array_equal(same.images, of_b.images)


def test_images_are_spread_over_patients() -> None:
    assert places(5, 3, None) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert places(5, 3, 2) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert places(7, 3, 3) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert places(0, 3, None) == places(0, 3, 2) == []


def test_every_patient_has_all_seven_views_in_two_moments() -> None:
    made = cardiac(28, 16, 0, CARDIAC_SCANNERS["B"])
    for patient in set(made.groups):
        views = Counter(label for label, group in zip(made.labels, made.groups, strict=True) if group == patient)
        assert views == dict.fromkeys(VIEWS, 2)
    assert ((made.phase >= 0) & (made.phase < 1)).all()
    first, second = made.phase[:7], made.phase[7:14]
    np.testing.assert_allclose((second - first) % 1, 0.618034, atol=1e-5)


def test_abdominal_categories_come_in_the_published_proportions() -> None:
    published = cheng2017.classes().set_index("category")["total"]
    assert set(CATEGORIES) == set(published.index)
    assert published.sum() == 5518  # Cheng and Malhi 2017: 4,095 for training, 1,423 for tests
    for images, tolerance in ((900, 0.01), (5518, 0.002)):
        counts = Counter(category(*divmod(index, 30)) for index in range(images))
        for name, total in published.items():
            assert counts[str(name)] / images == pytest.approx(total / 5518, abs=tolerance)


def test_a_study_holds_many_categories_and_studies_differ() -> None:
    studies = [Counter(category(patient, number) for number in range(30)) for patient in range(20)]
    assert all(len(study) >= 9 for study in studies)
    assert len({tuple(sorted(study.items())) for study in studies}) > 10


def test_the_spacing_follows_the_depth_that_was_set() -> None:
    made = cardiac(14, 32, 0, CARDIAC_SCANNERS["A"])
    depths = made.spacing_mm * 32 / CARDIAC_SCANNERS["A"].side
    np.testing.assert_allclose(depths % 10, 0, atol=1e-9)
    assert 120 <= depths.min() < depths.max() <= 190
    assert spacing_mm(CARDIAC_SCANNERS["A"], 160.0, 64) == pytest.approx(1.24 * 160 / 64)


@pytest.mark.parametrize(("make", "scanners"), MAKERS, ids=["heart", "abdomen"])
def test_progress_hears_every_image(make, scanners) -> None:
    heard: list[int] = []
    make(3, 16, 0, scanners["B"], progress=heard.append)
    assert heard == [1, 2, 3]


# Views and scanners look different


def told_apart(train: Phantoms, test: Phantoms) -> float:
    """Part of the test images whose most alike training image (by correlation) shows the same class."""

    def standard(images: np.ndarray) -> np.ndarray:
        rows = images.reshape(len(images), -1).astype(float)
        rows -= rows.mean(axis=1, keepdims=True)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    nearest = np.argmax(standard(test.images) @ standard(train.images).T, axis=1)
    return float(np.mean([train.labels[near] == label for near, label in zip(nearest, test.labels, strict=True)]))


def test_cardiac_views_of_other_patients_can_be_told_apart() -> None:
    scanner = CARDIAC_SCANNERS["A"]
    assert told_apart(cardiac(56, 24, 0, scanner, patients=8), cardiac(28, 24, 1, scanner, patients=4)) > 0.5  # 1 in 7


def test_abdominal_categories_of_other_patients_can_be_told_apart() -> None:
    scanner = ABDOMINAL_SCANNERS["A"]
    assert told_apart(abdominal(60, 24, 0, scanner), abdominal(30, 24, 1, scanner)) > 0.3  # chance is 1 in 9


@pytest.mark.parametrize("organ", ["liver left", "liver right", "kidney left", "kidney right"])
def test_longitudinal_and_transverse_images_of_an_organ_differ(organ: str) -> None:
    scanner = ABDOMINAL_SCANNERS["A"]

    def mean(plane: str) -> np.ndarray:
        made = [abdominal_image(p, 0, 32, 0, scanner, label=f"{organ} {plane}").image for p in range(8)]
        return np.mean(made, axis=0)

    assert np.abs(mean("longitudinal") - mean("transverse")).max() > 30


@pytest.mark.parametrize("scanners", [CARDIAC_SCANNERS, ABDOMINAL_SCANNERS], ids=["heart", "abdomen"])
def test_the_scanners_differ_in_sector_contrast_and_speckle(scanners: dict[str, Scanner]) -> None:
    of_a, of_b = scanners["A"], scanners["B"]
    assert of_a.opening_degrees > of_b.opening_degrees + 5
    assert of_a.dynamic_range_db > of_b.dynamic_range_db + 5
    gray = {}
    for scanner in (of_a, of_b):
        made = [envelope(tissue_of(scanner, 0.0, 0.45), np.random.default_rng(n), scanner, DEPTH_MM) for n in range(2)]
        images = np.stack([display(one, scanner, DEPTH_MM, 96) for one in made]).astype(float)
        gray[scanner.name] = images[:, 40:60, 40:56]
    assert gray["B"].std() > 1.15 * gray["A"].std()


# Revision


def test_images_are_those_of_the_first_revision() -> None:
    """Mean gray values, written down when the scanners were fixed: a change of the images is a new revision."""
    heart = [cardiac(7, 64, 0, scanner).images.mean(axis=(1, 2)) for scanner in CARDIAC_SCANNERS.values()]
    abdomen = [abdominal(5, 64, 0, scanner).images.mean(axis=(1, 2)) for scanner in ABDOMINAL_SCANNERS.values()]
    np.testing.assert_allclose(np.concatenate(heart), HEARTS, atol=0.1)
    np.testing.assert_allclose(np.concatenate(abdomen), ABDOMENS, atol=0.1)


HEARTS = [20.15, 19.7, 20.9, 19.63, 20.92, 28.01, 27.32, 13.21, 12.26, 17.46, 21.5, 23.93, 21.79, 18.92]
ABDOMENS = [77.94, 75.92, 57.95, 69.95, 69.52, 62.23, 61.93, 58.84, 46.22, 49.86]


# Data sets


def test_the_dataset_says_what_it_is_and_keeps_patients_together() -> None:
    data = phantom_dataset(kind="cardiac phantoms", images=16, image_size=16)
    assert data.classes == ("A2C", "A4C", "APLAX", "IVC", "PLAX", "PSAX", "SC4C")
    assert data.images.shape == (16, 16, 16)
    assert data.masks.shape == (16, 0, 0)
    assert data.has_groups
    assert list(data.table["group"]) == ["A patient 000"] * 14 + ["A patient 001"] * 2
    assert CAVEAT == "simulated; shows the method, not evidence"
    assert CAVEAT in data.provenance
    assert "\n" not in data.provenance
    assert data.caveats == (CAVEAT,)
    assert {"label", "group", "scanner", "phase", "spacing_mm"} <= set(data.table)
    assert set(data.table["scanner"]) == {"A (simulated cardiac cart)"}
    assert data.table["phase"].astype(float).between(0, 1).all()
    assert data.table["image"].is_unique
    assert data.fingerprint == phantom_dataset(kind="cardiac phantoms", images=16, image_size=16).fingerprint
    assert data.fingerprint != phantom_dataset(kind="cardiac phantoms", images=16, image_size=16, seed=1).fingerprint


def test_a_dataset_of_both_scanners_shares_no_patient() -> None:
    heard: list[tuple[int, int]] = []
    data = phantom_dataset(
        kind="abdominal phantoms", images=9, image_size=16, scanner="A and B",
        progress=lambda done, of: heard.append((done, of)),
    )  # fmt: skip
    assert len(data.classes) == 11
    scanners = Counter(data.table["scanner"])
    assert sorted(scanners.values()) == [4, 5]
    assert data.table.groupby("group")["scanner"].nunique().max() == 1
    assert set(data.table["phase"]) == {""}
    assert heard == [(number, 9) for number in range(1, 10)]
    alone = phantom_dataset(kind="abdominal phantoms", images=5, image_size=16, scanner="A")
    np.testing.assert_array_equal(data.images[:5], alone.images)


def test_a_dataset_without_images_is_refused_in_a_line() -> None:
    with pytest.raises(DataError, match=r"data\.images: 0; write 1 or more"):
        phantom_dataset(kind="cardiac phantoms", images=0, image_size=16)


# For people to look at


def test_the_contact_sheet_shows_every_class_through_both_scanners() -> None:
    sheet = contact_sheet(tile=24, patients=1)
    gray = np.asarray(sheet.convert("L"))
    assert gray.shape[0] >= 11 * 24
    assert gray.shape[1] >= 2 * 2 * 24
    assert (gray < 40).mean() > 0.1


def test_the_committed_sheet_is_there_and_small() -> None:
    path = ROOT / "docs" / "phantoms.png"
    assert path.stat().st_size < 700_000
    with Image.open(path) as sheet:
        assert sheet.width > 1200


def test_the_command_of_the_docs_draws_the_sheet(tmp_path: Path) -> None:
    assert "python -m engine.phantoms docs/phantoms.png" in (ROOT / "docs" / "phantoms.md").read_text()
    command = [sys.executable, "-m", "engine.phantoms", str(tmp_path / "sheet.png"), "--tile", "16", "--patients", "1"]
    subprocess.run(command, cwd=ROOT, check=True)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"


def test_tissues_are_ordered_as_in_patients() -> None:
    echo = {name: values[0] for name, values in TISSUES.items()}
    loss = {name: values[1] for name, values in TISSUES.items()}
    assert echo["fluid"] < echo["blood"] < echo["pyramid"] < echo["kidney cortex"] < echo["liver"] < echo["renal sinus"]
    assert echo["kidney cortex"] < echo["spleen"]
    assert echo["liver"] < echo["pancreas"]
    assert loss["fluid"] < loss["blood"] < loss["liver"] < loss["gas"] < loss["bone"]
