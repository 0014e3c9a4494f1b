"""Natural-like images: seeded, salient, with exact masks."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.natural_images import natural_image, natural_images


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), index=st.integers(0, 10_000), size=st.sampled_from([16, 32, 64]))
def test_every_image_has_an_object_and_a_ground(seed: int, index: int, size: int) -> None:
    image, mask = natural_image(size, seed, index)
    assert image.shape == mask.shape == (size, size)
    assert set(np.unique(mask)) == {0, 1}
    assert image.std() > 0


def test_an_image_depends_on_seed_and_number_and_not_on_how_many_are_made() -> None:
    few, few_masks = natural_images(3, 32, seed=4)
    more, more_masks = natural_images(6, 32, seed=4)
    np.testing.assert_array_equal(few, more[:3])
    np.testing.assert_array_equal(few_masks, more_masks[:3])
    assert not np.array_equal(few, natural_images(3, 32, seed=5)[0])


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


def test_objects_are_brighter_as_often_as_darker() -> None:
    images, masks = natural_images(200, 32, seed=1)
    brighter = [image[mask == 1].mean() > image[mask == 0].mean() for image, mask in zip(images, masks, strict=True)]
    assert 0.35 < np.mean(brighter) < 0.65


def test_progress_ends_with_all_images_made() -> None:
    heard: list[float] = []
    natural_images(100, 16, seed=0, progress=heard.append)
    assert heard == [0.5, 1.0]
