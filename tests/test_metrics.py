"""Dice, IoU and distances of outlines."""

import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import arrays

from engine.metrics import dice, hausdorff95, iou, mean_of_structures, structure_dice

MASKS = arrays(np.bool_, (3, 4, 5))


def test_dice_of_two_empty_masks_is_one() -> None:
    empty = np.zeros((1, 4, 4), dtype=bool)
    assert dice(empty, empty) == [1.0]
    assert iou(empty, empty) == [1.0]


def test_dice_is_that_of_equation_one() -> None:
    truth, prediction = np.zeros((1, 2, 4), dtype=bool), np.zeros((1, 2, 4), dtype=bool)
    truth[0, 0] = True  # 4 pixels
    prediction[0, 0, :3] = True  # TP 3, FN 1
    prediction[0, 1, :2] = True  # FP 2
    assert dice(prediction, truth)[0] == 2 * 3 / (2 * 3 + 1 + 2)
    assert iou(prediction, truth)[0] == 3 / 6


@given(MASKS, MASKS)
def test_dice_is_symmetric_between_nought_and_one_and_follows_from_iou(first: np.ndarray, second: np.ndarray) -> None:
    scores = dice(first, second)
    assert np.array_equal(scores, dice(second, first))
    assert ((scores >= 0) & (scores <= 1)).all()
    overlap = iou(first, second)
    assert np.allclose(scores, 2 * overlap / (1 + overlap))


@given(MASKS)
def test_a_mask_covers_itself(mask: np.ndarray) -> None:
    assert (dice(mask, mask) == 1).all()


def box(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((40, 40), dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_the_distance_of_shifted_outlines_is_the_shift_in_the_pixels_unit() -> None:
    assert hausdorff95(box(5, 5, 10, 10), box(5, 5, 10, 10)) == 0.0
    assert hausdorff95(box(5, 5, 1, 1), box(5, 12, 1, 1)) == 7.0
    assert hausdorff95(box(5, 5, 1, 1), box(9, 5, 1, 1), (0.5, 2.0)) == 2.0
    assert hausdorff95(box(5, 5, 1, 1), box(5, 9, 1, 1), (0.5, 2.0)) == 8.0


def test_the_distance_is_the_larger_of_both_directions() -> None:
    small, large = box(5, 5, 1, 1), box(5, 5, 1, 21)
    # 21 border pixels lie 0 to 20 away from the point; their 95th percentile is 19
    assert hausdorff95(small, large) == hausdorff95(large, small) == 19.0


def test_there_is_no_distance_to_an_empty_mask() -> None:
    assert hausdorff95(box(5, 5, 3, 3), np.zeros((40, 40), dtype=bool)) is None
    assert hausdorff95(np.zeros((40, 40), dtype=bool), np.zeros((40, 40), dtype=bool)) is None


def test_a_structure_that_is_absent_is_no_part_of_an_images_mean() -> None:
    truth = np.stack([np.stack([box(0, 0, 4, 4), np.zeros((40, 40), dtype=bool)]), np.zeros((2, 40, 40), dtype=bool)])
    scores = structure_dice(truth.copy(), truth)
    assert scores[0, 0] == 1.0
    assert np.isnan(scores[0, 1])
    means = mean_of_structures(scores)
    assert means[0] == 1.0
    assert np.isnan(means[1])
