"""Confusion of classes, its difference between readers, and accuracy without excess errors."""

import numpy as np
import pandas as pd
import pytest

from engine.errors import DataError
from engine.published import cheng2017
from engine.significance import DifferenceConfusion, accuracy_without_excess, confusion, difference_confusion
from tests.made_answers import CLASSES, answers, random_reader

TRUTH = ["kidney"] * 4 + ["liver"] * 3 + ["spleen"] * 3
SAID = ["kidney", "kidney", "liver", "spleen", "liver", "liver", "kidney", "spleen", "spleen", "liver"]


def test_rows_are_the_truth_and_columns_what_was_said() -> None:
    found = confusion(answers(TRUTH, SAID), CLASSES)
    assert found.classes == CLASSES
    assert found.counts.tolist() == [[2, 1, 1], [1, 2, 0], [0, 1, 2]]
    assert found.parts.sum(axis=1) == pytest.approx(1)
    assert found.parts[0].tolist() == [0.5, 0.25, 0.25]


def test_the_study_says_the_order_and_a_class_without_frames_is_missing() -> None:
    found = confusion(answers(TRUTH, SAID), ["spleen", "aorta", "kidney", "liver"])
    assert found.counts[0].tolist() == [2, 0, 0, 1]
    assert np.isnan(found.parts[1]).all()
    assert confusion(answers(TRUTH, SAID)).classes == CLASSES
    with pytest.raises(DataError, match="class 'spleen' is not one of the study's: kidney, liver"):
        confusion(answers(TRUTH, SAID), ["kidney", "liver"])


def test_rows_add_up_to_frames_however_many_seeds() -> None:
    seeds = pd.concat([answers(TRUTH, SAID, folds=3, seed=0), answers(TRUTH, TRUTH, folds=3, seed=1)])
    found = confusion(seeds, CLASSES)
    assert found.counts.sum(axis=1).tolist() == [4, 3, 3]
    assert found.counts[0].tolist() == [3, 0.5, 0.5]


def test_nothing_is_an_empty_matrix() -> None:
    assert confusion(answers([], []), CLASSES).counts.tolist() == np.zeros((3, 3)).tolist()


def test_the_difference_is_reader_minus_network_without_the_diagonal() -> None:
    found = difference_confusion(answers(TRUTH, SAID), answers(TRUTH, TRUTH), CLASSES)
    assert np.isnan(np.diag(found.excess)).all()
    assert found.excess[0, 1:].tolist() == [1, 1]
    assert (found.images, found.right) == (10, 6)
    back = difference_confusion(answers(TRUTH, TRUTH), answers(TRUTH, SAID), CLASSES)
    np.testing.assert_array_equal(back.excess, -found.excess)


def test_the_difference_is_of_frames_that_both_answered() -> None:
    found = difference_confusion(answers(TRUTH, SAID).iloc[:5], answers(TRUTH, SAID), CLASSES)
    assert found.images == 5
    assert np.nansum(np.abs(found.excess)) == 0


def test_excess_errors_of_chosen_cells_become_right_answers() -> None:
    difference = difference_confusion(answers(TRUTH, SAID), answers(TRUTH, TRUTH), CLASSES)
    found = accuracy_without_excess(difference, [("kidney", "liver"), ("spleen", "liver")])
    assert (found.as_it_is, found.removed, found.accuracy) == (0.6, 2.0, 0.8)
    assert found.cells["excess"].tolist() == [1.0, 1.0]
    twice = accuracy_without_excess(difference, [("kidney", "liver"), ("kidney", "liver")])
    assert (len(twice.cells), twice.removed) == (1, 1.0)
    assert accuracy_without_excess(difference, []).accuracy == 0.6


def test_a_cell_in_which_the_network_errs_more_has_nothing_to_remove() -> None:
    difference = difference_confusion(answers(TRUTH, TRUTH), answers(TRUTH, SAID), CLASSES)
    found = accuracy_without_excess(difference, [("kidney", "liver")])
    assert found.cells.iloc[0].tolist() == ["kidney", "liver", -1.0, 0.0]
    assert found.accuracy == found.as_it_is == 1.0


def test_without_excess_liver_errors_the_radiologist_comes_to_the_printed_accuracy() -> None:
    # Cheng and Malhi 2017, Results: 1,020 of 1,423 right; 76.6 % without the excess errors between liver views against
    # CaffeNet, 77.5 % against VGGNet. The counts of Fig. 5 are a picture; in sum they can only be 70 and 83:
    # 1,090 of 1,423 is 76.60 %, 1,103 is 77.51 %, and one error more or less rounds to 76.5, 76.7, 77.4 or 77.6.
    classes = tuple(cheng2017.classes()["category"])
    printed = cheng2017.times().set_index("what")["value"]
    for excess, network in ((70, "CaffeNet"), (83, "VGGNet")):
        table = np.zeros((11, 11))
        for place, (truth, said) in enumerate(cheng2017.LIVER_CONFUSIONS):
            table[classes.index(truth), classes.index(said)] = [excess - 30, 10, 15, 5][place]
        np.fill_diagonal(table, np.nan)
        difference = DifferenceConfusion(classes=classes, excess=table, images=1423, right=1020.0)
        found = accuracy_without_excess(difference, cheng2017.LIVER_CONFUSIONS)
        assert round(100 * found.accuracy, 1) == printed[f"accuracy without excess liver errors against {network}"]
        assert found.removed == excess


def test_cells_that_are_no_errors_and_unknown_classes_are_refused() -> None:
    difference = difference_confusion(answers(TRUTH, SAID), answers(TRUTH, TRUTH), CLASSES)
    with pytest.raises(DataError, match="'liver' said of 'liver' is no error") as refused:
        accuracy_without_excess(difference, [("liver", "liver"), ("liver", "aorta")])
    assert refused.value.problems[0] == "'aorta' is not one of the classes: kidney, liver, spleen"
    apart = difference_confusion(answers(TRUTH, SAID)[:3], answers(TRUTH, SAID)[6:], CLASSES)
    with pytest.raises(DataError, match="no common frames"):
        accuracy_without_excess(apart, [("kidney", "liver")])


def test_errors_of_both_readers_are_their_difference_in_accuracy() -> None:
    one, other = random_reader(0.6, number=1), random_reader(0.9, number=2)
    found = difference_confusion(one, other, CLASSES)
    assert np.nansum(found.excess) == other["accuracy"].sum() - one["accuracy"].sum()
