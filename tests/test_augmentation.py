"""Random shift, zoom and flip."""

import numpy as np
import pytest
import torch

from engine import augmentation


@pytest.fixture
def image() -> torch.Tensor:
    """A bright square left of the middle."""
    image = torch.zeros(1, 64, 64, dtype=torch.uint8)
    image[0, 24:40, 8:24] = 255
    return image


def test_no_change_gives_the_image_itself(image: torch.Tensor) -> None:
    maps = augmentation.draw(np.random.default_rng(0), 1, shift=0.0, zoom=0.0, flip=False)
    moved, mask = augmentation.apply(maps, image, (image // 255)[:, None])
    assert torch.allclose(moved[0, 0] * 255, image[0].float(), atol=1e-3)
    assert torch.equal(mask[0, 0], image[0].float() / 255)


def test_a_flip_mirrors_left_and_right(image: torch.Tensor) -> None:
    maps = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]])
    moved, mask = augmentation.apply(maps, image, (image // 255)[:, None])
    assert torch.allclose(moved[0, 0] * 255, image[0].flip(-1).float(), atol=1e-3)
    assert torch.equal(mask[0, 0], image[0].flip(-1).float() / 255)


def test_shifts_and_zooms_stay_within_their_settings() -> None:
    maps = augmentation.draw(np.random.default_rng(0), 2000, shift=0.05, zoom=0.05, flip=True)
    scales = 1 / maps[:, 1, 1]
    assert scales.min() >= 0.95
    assert scales.max() <= 1.05
    assert scales.std() > 0.02
    assert maps[:, :, 2].abs().max() <= 2 * 0.05 + 1e-6
    assert 0.45 < (maps[:, 0, 0] < 0).float().mean() < 0.55


def test_image_and_mask_move_together(image: torch.Tensor) -> None:
    maps = augmentation.draw(np.random.default_rng(3), 20, shift=0.2, zoom=0.2, flip=True)
    images = image.expand(20, -1, -1)
    moved, masks = augmentation.apply(maps, images, (images // 255)[:, None])
    assert torch.equal(masks, (moved >= 0.5).float())
    assert not torch.equal(masks[0], masks[1])


def test_an_unused_change_does_not_move_the_stream() -> None:
    with_flip = augmentation.draw(np.random.default_rng(1), 8, shift=0.05, zoom=0.05, flip=True)
    without = augmentation.draw(np.random.default_rng(1), 8, shift=0.05, zoom=0.05, flip=False)
    assert torch.equal(with_flip[:, 1], without[:, 1])
