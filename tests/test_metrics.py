"""Dice and IoU."""

import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import arrays

from engine.metrics import dice, iou

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
