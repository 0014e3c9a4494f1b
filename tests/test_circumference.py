"""Head circumference from masks: drawn ellipses whose circumference is known, and real heads where they are there."""

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draw
from PIL import Image
from scipy.special import ellipe

from dashboard.figures import circumference as figure
from engine.circumference import FEWEST_PIXELS, Ellipse, circumference, fit_ellipse
from engine.images import resize_mask


def drawn(
    longer: float, shorter: float, angle: float = 0.0, *, side: int = 256, pixel: tuple[float, float] = (1.0, 1.0)
) -> np.ndarray:
    """An ellipse in the middle of a square, its semi-axes in the unit of `pixel` (height, width)."""
    rows, columns = np.mgrid[:side, :side]
    down, across = (rows - side / 2 + 0.5) * pixel[0], (columns - side / 2 + 0.5) * pixel[1]
    along = across * math.cos(angle) + down * math.sin(angle)
    beside = down * math.cos(angle) - across * math.sin(angle)
    return ((along / longer) ** 2 + (beside / shorter) ** 2 <= 1).astype(np.uint8)


def exact(longer: float, shorter: float) -> float:
    return float(4 * longer * ellipe(1 - (shorter / longer) ** 2))


@pytest.mark.parametrize("shorter", [1.0, 0.8, 0.5])
def test_ramanujans_circumference_is_the_elliptic_integrals(shorter: float) -> None:
    assert circumference(1.0, shorter) == pytest.approx(exact(1.0, shorter), rel=1e-9)


def test_a_line_is_twice_as_long_as_its_axis() -> None:
    assert circumference(1.0, 0.0) == pytest.approx(4, rel=5e-4)
    assert circumference(0.0, 0.0) == 0


@settings(deadline=None, max_examples=25)
@given(draw.floats(40, 110), draw.floats(0.6, 1), draw.floats(0, math.pi))
def test_a_drawn_ellipse_is_measured_to_half_a_percent(longer: float, ratio: float, angle: float) -> None:
    found = fit_ellipse(drawn(longer, longer * ratio, angle), (1.0, 1.0))
    assert found is not None
    assert found.circumference == pytest.approx(exact(longer, longer * ratio), rel=5e-3)
    assert found.semi_axes == pytest.approx((longer, longer * ratio), rel=2e-2)


@settings(deadline=None, max_examples=25)
@given(draw.floats(0, math.pi), draw.floats(0.12, 0.3), draw.floats(0.12, 0.3))
def test_pixels_that_are_not_square_are_scaled_back_to_mm(angle: float, height_mm: float, width_mm: float) -> None:
    mask = drawn(13.0, 10.0, angle, pixel=(height_mm, width_mm))
    found = fit_ellipse(mask, (height_mm, width_mm))
    assert found is not None
    assert found.circumference == pytest.approx(exact(13.0, 10.0), rel=1e-2)


def test_specks_beside_the_head_and_holes_in_it_change_nothing() -> None:
    mask = drawn(90.0, 70.0)
    spotted = mask.copy()
    spotted[2:8, 2:8] = 1
    spotted[120:130, 120:130] = 0
    assert fit_ellipse(spotted, (1.0, 1.0)) == fit_ellipse(mask, (1.0, 1.0))


def test_a_head_that_the_frame_cuts_is_measured_whole() -> None:
    mask = np.roll(drawn(90.0, 70.0), 45, axis=0)
    mask[:40] = 0  # what was rolled over the border
    found = fit_ellipse(mask.astype(bool), (1.0, 1.0))
    assert found is not None
    assert found.circumference == pytest.approx(exact(90.0, 70.0), rel=0.05)


def few_pixels() -> np.ndarray:
    mask = np.zeros((32, 32), np.uint8)
    mask[10, 5 : 5 + FEWEST_PIXELS - 1] = 1
    return mask


@pytest.mark.parametrize("mask", [np.zeros((32, 32), np.uint8), few_pixels()])
def test_masks_that_allow_no_ellipse_give_none(mask: np.ndarray) -> None:
    assert fit_ellipse(mask, (1.0, 1.0)) is None


def test_a_whole_frame_and_a_line_of_pixels_raise_nothing() -> None:
    line = np.zeros((64, 64), np.uint8)
    line[30, 4:60] = 1
    assert isinstance(fit_ellipse(np.ones((64, 64), np.uint8), (1.0, 1.0)), Ellipse)
    found = fit_ellipse(line, (1.0, 1.0))
    assert found is None or math.isfinite(found.circumference)


def test_real_heads_are_measured_as_their_readers_did(shared_data: Path) -> None:
    # The outlines' ellipses are 0.9 mm longer on average than the data set's own figures, 0.3 mm sd (200 heads).
    folder = shared_data / "hc18_fetal_head"
    with (folder / "manifest.csv").open() as stream:
        rows = list(csv.DictReader(stream))[:40]
    differences = []
    for row in rows:
        mask = (np.asarray(Image.open(folder / row["mask"])) > 127).astype(np.uint8)
        source = float(row["pixel_size_mm_at_pack_size"])
        pixel = (mask.shape[0] / 256 * source, mask.shape[1] / 256 * source)
        found = fit_ellipse(resize_mask(mask, 256), pixel)
        assert found is not None
        differences.append(found.circumference - float(row["head_circumference_mm"]))
    assert np.mean(differences) == pytest.approx(0.9, abs=0.3)
    assert np.max(np.abs(differences)) < 2.5


# On pages


def heads(side: int = 64) -> tuple[np.ndarray, pd.DataFrame]:
    """Masks of four heads at the network's square, and their data set's table: sources twice as wide as high."""
    masks = np.stack([drawn(20.0, 10.0 + n, side=side, pixel=(0.5, 1.0)) for n in range(4)])
    exactly = [f"{exact(20.0, 10.0 + n):.2f}" for n in range(3)]
    table = pd.DataFrame(
        {"image": list("abcd"), "group": "", "source_height": side, "source_width": 2 * side,
         "spacing_mm": [0.5, 0.5, 0.5, np.nan], "head_circumference_mm": [*exactly[:2], "", exactly[2]]}
    )  # fmt: skip
    return masks, table


def images_of(masks: np.ndarray) -> pd.DataFrame:
    """Predictions: `a` as the truth, `b` empty, `c` and `d` as the truth; two seeds of `a`."""
    predicted = [masks[0], np.zeros_like(masks[0]), masks[2], masks[3], masks[1]]
    return pd.DataFrame(
        {"index": [0, 1, 2, 3, 0], "image": list("abcda"), "group": "", "fold": [0, 0, 1, 1, 0],
         "seed": [0, 0, 0, 0, 1],
         "predicted_mask": [np.packbits(mask).tobytes() for mask in predicted]}
    )  # fmt: skip


def test_masks_are_scaled_back_to_the_sources_pixels_and_held_against_the_manifest() -> None:
    masks, table = heads()
    found = figure.circumference_table(images_of(masks), masks, table)
    assert list(found["image"]) == ["a", "b", "c"]  # the pixel size of d is unknown
    assert found["truth_mm"].iloc[0] == pytest.approx(exact(20.0, 10.0), rel=0.01)
    seeds = (exact(20.0, 10.0) + exact(20.0, 11.0)) / 2
    assert found["predicted_mm"].iloc[0] == pytest.approx(seeds, rel=0.01)
    assert math.isnan(found["predicted_mm"].iloc[1])
    assert math.isnan(found["manifest_mm"].iloc[2])


def made_table() -> pd.DataFrame:
    return pd.DataFrame(
        {"index": range(5), "image": list("abcde"), "group": ["w1", "", "", "", ""], "fold": [0, 0, 1, 1, 1],
         "predicted_mm": [101.0, 198.0, 305.0, np.nan, 250.0], "truth_mm": 100.0,
         "manifest_mm": [100.0, 200.0, 300.0, 100.0, np.nan]}
    )  # fmt: skip


def test_agreement_counts_what_it_leaves_out() -> None:
    found = figure.agreement(made_table(), "manifest_mm")
    assert (found.images, found.without_ellipse, found.without_reference) == (3, 1, 1)
    assert found.mean_difference == pytest.approx(4 / 3)
    assert found.mean_absolute == pytest.approx(8 / 3)
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std([1, -2, 5], ddof=1))
    assert figure.told(found) == (
        "Mean absolute difference **2.7 mm** (n = 3 images), mean difference +1.3 mm, limits of agreement −5.5 to "
        "+8.2 mm. Left out: 1 image whose prediction allows no ellipse, 1 image without a reference."
    )


def test_the_plot_has_a_dot_per_image_and_lines_at_mean_and_limits() -> None:
    plot = figure.bland_altman(made_table(), "manifest_mm")
    assert [len(trace.x) for trace in plot.data] == [2, 1]
    assert list(plot.data[0].y) == pytest.approx([1, -2])
    assert list(plot.data[0].x) == pytest.approx([100.5, 199])
    assert "predicted 101.0 mm, reference 100.0 mm" in plot.data[0].text[0]
    assert sorted(shape.y0 for shape in plot.layout.shapes) == pytest.approx([-5.55, 1.33, 8.22], abs=0.01)
    assert "mm" in plot.layout.xaxis.title.text


def test_the_images_that_differ_most_are_named() -> None:
    found = figure.farthest(made_table(), "manifest_mm", 2)
    assert list(found["image"]) == ["c", "b"]
    assert figure.caption(found.iloc[1], "manifest_mm") == "**−2.0\u00a0mm** (198.0 for 200.0)  \nb · fold 0"
    first = figure.farthest(made_table(), "manifest_mm", 9).iloc[2]
    assert figure.caption(first, "manifest_mm").endswith("a · w1 · fold 0")


def test_without_a_common_image_plot_and_words_say_so() -> None:
    nothing = made_table().assign(manifest_mm=np.nan)
    assert "No image" in figure.bland_altman(nothing, "manifest_mm").layout.annotations[0].text
    assert figure.told(figure.agreement(nothing, "manifest_mm")).startswith("No image has both")


def test_only_data_sets_with_circumferences_and_pixel_sizes_are_measured() -> None:
    _, table = heads()
    assert figure.is_measured(table)
    assert not figure.is_measured(table.drop(columns="head_circumference_mm"))
    assert not figure.is_measured(table.assign(spacing_mm=np.nan))
    assert not figure.is_measured(table.assign(head_circumference_mm=""))
