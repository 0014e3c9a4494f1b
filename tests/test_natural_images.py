"""Natural-like images: seeded, salient, with exact masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from engine.natural_images import AREA, CUES, natural_image, natural_images


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), index=st.integers(0, 10_000), size=st.sampled_from([16, 32, 64]))
def test_every_image_has_an_object_of_a_fair_size_and_a_ground(seed: int, index: int, size: int) -> None:
    image, mask = natural_image(size, seed, index)
    assert image.shape == mask.shape == (size, size)
    assert set(np.unique(mask)) == {0, 1}
    assert AREA[0] <= mask.mean() <= AREA[1]
    assert image.std() > 0


def test_an_image_depends_on_seed_and_number_and_not_on_how_many_are_made() -> None:
    few, few_masks = natural_images(3, 32, seed=4)
    more, more_masks = natural_images(6, 32, seed=4)
    np.testing.assert_array_equal(few, more[:3])
    np.testing.assert_array_equal(few_masks, more_masks[:3])
    assert not np.array_equal(few, natural_images(3, 32, seed=5)[0])


def test_a_made_image_made_again_is_the_same_to_the_bit() -> None:
    for first, second in zip(natural_image(48, 7, 11), natural_image(48, 7, 11), strict=True):
        np.testing.assert_array_equal(first, second)


def edge_contrast(image: np.ndarray, mask: np.ndarray) -> float:
    """Mean gray step across the mask's border, over that across the same border moved by half the image."""
    moved = np.roll(mask, (mask.shape[0] // 2, mask.shape[1] // 2), axis=(0, 1))
    gradient = np.hypot(*np.gradient(image.astype(float)))

    def on_border(of: np.ndarray) -> float:
        border = np.hypot(*np.gradient(of.astype(float))) > 0
        return float(gradient[border].mean())

    return on_border(mask) / on_border(moved)


def test_objects_are_salient_where_their_masks_end() -> None:
    images, masks = natural_images(60, 64, seed=0)
    ratios = [edge_contrast(image, mask) for image, mask in zip(images, masks, strict=True)]
    assert np.median(ratios) > 1.3


def test_the_salience_test_fails_for_masks_of_other_images() -> None:
    images, masks = natural_images(60, 64, seed=0)
    ratios = [edge_contrast(image, mask) for image, mask in zip(images, np.roll(masks, 1, axis=0), strict=True)]
    assert np.median(ratios) < 1.15


def differences(image: np.ndarray, mask: np.ndarray) -> tuple[float, float, float]:
    """How object and ground differ near the mask's border: brightness, texture (log ratio), outline (gray levels)."""
    depth = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(1 - mask)
    gray = image.astype(float)
    fine = gray - ndimage.gaussian_filter(gray, 3)
    inside, outside = gray[(depth > 2) & (depth <= 7)], gray[(depth < -2) & (depth >= -7)]
    border = gray[np.abs(depth) <= 1.5]
    if min(len(inside), len(outside)) < 10:
        return 0.0, 0.0, 0.0
    brightness = abs(inside.mean() - outside.mean())
    outline = min(abs(border.mean() - inside.mean()), abs(border.mean() - outside.mean()))
    within, around = fine[depth > 2].std() + 1, fine[(depth < -2) & (depth >= -12)].std() + 1
    return brightness, abs(np.log(within / around)), outline


def told_apart(images: np.ndarray, masks: np.ndarray, by_chance: np.ndarray) -> np.ndarray:
    """True for images whose object differs from its ground more than 19 of 20 wrong masks do, in one way at least."""
    found = np.array([differences(image, mask) for image, mask in zip(images, masks, strict=True)])
    return (found > np.quantile(by_chance, 0.95, axis=0)).any(axis=1)


def test_nearly_all_objects_can_be_told_from_their_ground_by_brightness_texture_or_outline() -> None:
    images, masks = natural_images(200, 64, seed=2)
    wrong = np.roll(masks, 1, axis=0)
    by_chance = np.array([differences(image, mask) for image, mask in zip(images, wrong, strict=True)])
    assert told_apart(images, masks, by_chance).mean() > 0.8
    assert told_apart(images, wrong, by_chance).mean() < 0.2


def test_cues_add_up_to_all_images() -> None:
    assert sum(CUES.values()) == pytest.approx(1)


def test_shapes_differ_in_size_number_and_outline() -> None:
    masks = natural_images(200, 64, seed=3)[1]
    areas = masks.mean(axis=(1, 2))
    assert np.quantile(areas, 0.05) < 0.08
    assert np.quantile(areas, 0.9) > 0.25
    assert {ndimage.label(mask)[1] for mask in masks} >= {1, 2, 3}
    # Area over that of the circle with the same border: 1 for a disc, less for what is long, bent or cornered.
    borders = [np.count_nonzero(mask ^ ndimage.binary_erosion(mask)) for mask in masks.astype(bool)]
    roundness = masks.sum(axis=(1, 2)) * 4 * np.pi / np.square(borders)
    assert np.quantile(roundness, 0.9) > 1.5 * np.quantile(roundness, 0.1)


def test_objects_are_brighter_as_often_as_darker() -> None:
    images, masks = natural_images(200, 32, seed=1)
    brighter = [image[mask == 1].mean() > image[mask == 0].mean() for image, mask in zip(images, masks, strict=True)]
    assert 0.35 < np.mean(brighter) < 0.65


def test_progress_ends_with_all_images_made() -> None:
    heard: list[float] = []
    natural_images(100, 16, seed=0, progress=heard.append)
    assert heard == [0.5, 1.0]
