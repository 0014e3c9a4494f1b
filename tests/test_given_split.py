"""Sets that the data come with are kept, and a fraction is of the given training set."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DataError
from engine.splits import Split, batches_per_epoch, class_sizes, given_split, split_images, table1

SETS = ["train"] * 12 + ["test"] * 4
GROUPS = [f"study {place // 2}" for place in range(16)]


def split(
    sets: Sequence[str] = SETS,
    groups: Sequence[str] | None = GROUPS,
    *,
    fraction: float = 100.0,
    validation: float = 20.0,
    seed: int = 0,
    labels: Sequence[str] | None = None,
) -> Split:
    return given_split(sets=sets, groups=groups, fraction=fraction, validation=validation, seed=seed, labels=labels)


def test_the_given_test_set_is_tested_and_part_of_the_given_training_set_validates() -> None:
    whole = split()
    assert whole.test == (12, 13, 14, 15)
    assert sorted(whole.training + whole.validation) == list(range(12))
    assert len(whole.validation) == 2
    assert (whole.by, whole.validation_by, whole.note) == ("given", "group", "")


def test_without_validation_the_whole_pool_trains() -> None:
    # Cheng and Malhi 2017: 136 studies train for fixed iterations, 49 are tested, none validates
    sets = ["train"] * 136 + ["test"] * 49
    studies = split(sets, [f"study {place}" for place in range(185)], validation=0.0)
    assert (len(studies.training), len(studies.validation), len(studies.test)) == (136, 0, 49)


def test_a_fraction_is_of_the_given_training_set_and_test_images_stay() -> None:
    half = split(fraction=50.0)
    assert len(half.training) + len(half.validation) == 6
    assert half.test == split().test


def test_nought_is_the_full_pool_as_in_a_test_of_start_weights() -> None:
    assert split(fraction=0.0) == split()


def test_images_given_to_validate_do_so_and_the_pool_trains() -> None:
    sets = ["train"] * 10 + ["Validation"] * 2 + ["TEST"] * 4
    for fraction, training in ((100.0, 10), (40.0, 4)):
        ours = split(sets, fraction=fraction)
        assert (len(ours.training), ours.validation, ours.test) == (training, (10, 11), (12, 13, 14, 15))
    unused = split(sets, validation=0.0)
    assert unused.validation == ()
    assert unused.note == "2 images given for validation are not used, since nothing validates"


def test_a_group_in_the_given_training_and_validation_sets_is_noted() -> None:
    sets = ["train"] * 9 + ["val"] * 3 + ["test"] * 4
    ours = split(sets)
    assert ours.validation_by == "image"
    assert ours.note == "study 4 has images in the given training and validation sets"


def test_a_pool_of_one_group_is_validated_by_image() -> None:
    ours = split(["train"] * 6 + ["test"] * 2, ["a"] * 6 + ["b"] * 2)
    assert (ours.validation_by, len(ours.validation)) == ("image", 1)
    assert "the pool is one group ('a')" in ours.note


def test_groups_stay_whole_and_the_note_says_how_many_images_there_are() -> None:
    ours = split(fraction=25.0, groups=[f"study {place // 4}" for place in range(16)])
    assert ours.note.startswith("25 % is 3 of 12 training images; the pool has 4, because groups stay whole")


def test_classes_that_lack_in_training_or_test_are_noted() -> None:
    labels = ["a", "b"] * 6 + ["a", "c"] * 2
    assert split(labels=labels).note == "no training image of class c; no test image of class b"
    assert split(labels=["a", "b"] * 8).note == ""


@pytest.mark.parametrize(
    ("sets", "groups", "lines"),
    [
        (
            [""] * 4,
            None,
            ("column 'split': no image says its set; write 'train' or 'test' for each image, or choose another "
             "'split.by'",),
        ),
        (
            ["train", "", "test", "fold 3"],
            None,
            (
                "column 'split': 1 of 4 images say no set; write 'train' or 'test', or leave them out",
                "column 'split': 'fold 3' is no set; expected 'train', 'test' or 'validation'",
            ),
        ),
        (
            ["train"] * 4,
            None,
            ("column 'split': no image is given as 'test'; name some, or choose another 'split.by'",),
        ),
        (
            ["test", "val"] * 2,
            None,
            ("column 'split': no image is given as 'train'; name some, or choose another 'split.by'",),
        ),
        (
            ["train", "test", "train", "val", "test"],
            ["a", "a", "b", "c", "c"],
            (
                "column 'split': a has images given as 'train' and as 'test'; give a patient's images the same set, "
                "and of identical images keep one",
                "column 'split': c has images given as 'validation' and as 'test'; give a patient's images the same "
                "set, and of identical images keep one",
            ),
        ),
        (["train", "test"], ["a"], ("1 group names for 2 images; expected one for each",)),
        (
            ["train", "test"],
            None,
            ("100 % of 1 training images is a pool of 1; training and validation need one each: take more images",),
        ),
    ],
)  # fmt: skip
def test_sets_that_cannot_be_used_are_named_with_the_remedy(
    sets: list[str], groups: list[str] | None, lines: tuple[str, ...]
) -> None:
    with pytest.raises(DataError) as caught:
        split(sets, groups)
    assert caught.value.problems == lines


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"fraction": 101.0}, "fraction 101 % asked; a pool has more than 0 and at most 100 % of the training set"),
        ({"validation": 100.0}, "validation of 100 % asked; expected 0 (none), or less than 100 % of the pool"),
    ],
)
def test_percentages_that_cannot_be_are_named(arguments: dict[str, float], line: str) -> None:
    with pytest.raises(DataError) as caught:
        split(**arguments)  # type: ignore[arg-type]
    assert caught.value.problems == (line,)


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=6, max_size=20),
    fractions=st.tuples(st.floats(40, 100), st.floats(40, 100)),
    seed=st.integers(0, 99),
)
def test_sets_nest_are_disjoint_and_keep_groups_whole(
    sizes: list[int], fractions: tuple[float, float], seed: int
) -> None:
    groups = [str(number) for number, size in enumerate(sizes) for _ in range(size)]
    sets = ["test" if int(group) % 3 == 0 else "train" for group in groups]
    small, large = (split(sets, groups, fraction=fraction, seed=seed) for fraction in sorted(fractions))
    assert small.test == large.test == tuple(place for place, name in enumerate(sets) if name == "test")
    if small.validation_by == "group":
        assert set(small.training) <= set(large.training)
        assert set(small.validation) <= set(large.validation)
    for ours in (small, large):
        assert ours.training
        assert ours.validation
        parts = [*ours.training, *ours.validation, *ours.test]
        assert len(parts) == len(set(parts))
        if ours.validation_by == "group":
            named = [{groups[place] for place in part} for part in (ours.training, ours.validation, ours.test)]
            assert not named[0] & named[1] | named[0] & named[2] | named[1] & named[2]


def test_one_door_leads_to_folds_and_to_given_sets() -> None:
    both = {"images": 16, "groups": GROUPS, "of": 4, "fold": 0, "fraction": 0.0, "seed": 0}
    assert split_images(**both, by="given", given=SETS) == split()
    folds = split_images(**both, by="group", given=SETS)
    assert folds.by == "group"
    assert len(folds.training) + len(folds.validation) == 12
    with pytest.raises(DataError, match="given sets are one fold"):
        split_images(**{**both, "fold": 1}, by="given", given=SETS)
    with pytest.raises(DataError, match="no image says its set"):
        split_images(**both, by="given")


def test_table_1_of_given_sets_has_a_row_per_fraction() -> None:
    table = table1(16, GROUPS, fractions=(100.0, 50.0), folds=[0], by="given", given=SETS, labels=["a"] * 15 + ["b"])
    assert table[["training", "validation", "test"]].to_numpy().tolist() == [[10, 2, 4], [4, 2, 4]]
    assert set(table["note"]) == {"no training image of class b"}


def test_batches_per_epoch_are_those_of_the_given_training_set() -> None:
    assert batches_per_epoch(16, 1, 2, given=SETS) == 5  # ten of twelve train
    assert batches_per_epoch(16, 1, 2, given=SETS, validation=0.0) == 6
    assert batches_per_epoch(16, 1, 2, given=["train"] * 10 + ["val"] * 2 + ["test"] * 4) == 5


def test_the_images_of_each_class_are_counted() -> None:
    ours = Split(training=(0, 1, 2), validation=(3,), test=(4, 5), by="given", validation_by="image", note="")
    counted = class_sizes(ours, ["a", "a", "b", "b", "a", "c"])
    assert counted.to_dict("list") == {
        "class": ["a", "b", "c"],
        "training": [2, 1, 0],
        "validation": [0, 1, 0],
        "test": [1, 0, 1],
    }
    assert class_sizes(ours, ["a"] * 6, ["z", "a"])["training"].tolist() == [0, 3]
