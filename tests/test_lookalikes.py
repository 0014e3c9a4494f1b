"""Images that look alike are found, and others are not."""

from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.lookalikes import near_duplicates, perceptual_hash
from tests.made_folders import brighter, smooth


def test_different_images_are_no_near_duplicates_and_a_brighter_one_is() -> None:
    hashes = [perceptual_hash(smooth(seed)) for seed in range(40)]
    names = [str(number) for number in range(40)]
    assert near_duplicates(names, names, hashes, names) == ((), 0)
    assert (perceptual_hash(brighter(smooth(3))) ^ hashes[3]).bit_count() <= 4


@given(st.lists(st.integers(0, 2**64 - 1), max_size=12), st.integers(0, 63))
def test_every_pair_within_four_bits_is_found(hashes: list[int], flipped: int) -> None:
    hashes = [*hashes, *(value ^ (1 << flipped) for value in hashes)]
    names = [str(number) for number in range(len(hashes))]
    expected = sum((a ^ b).bit_count() <= 4 for place, a in enumerate(hashes) for b in hashes[place + 1 :])
    assert near_duplicates(names, [""] * len(names), hashes, names)[1] == expected


def test_thousands_of_alike_images_are_counted_but_not_all_listed() -> None:
    names = [str(number) for number in range(2_000)]
    pairs, count = near_duplicates(names, names, [7] * 2_000, names)
    assert count == 2_000 * 1_999 // 2
    assert len(pairs) == 1_000
