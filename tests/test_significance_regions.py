"""Who has which frames right: regions and circles."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DataError
from engine.significance import agreement_regions, venn_layout
from tests.made_answers import reader

NAMES = ("CaffeNet", "VGGNet", "radiologist")
A, B, C = NAMES
RIGHTS = [right for size in (3, 2, 1, 0) for right in combinations(NAMES, size)]


def readers(counts: dict[tuple[str, ...], int]) -> dict[str, pd.DataFrame]:
    """Three readers with so many frames in each region."""
    return {name: reader([name in right for right, images in counts.items() for _ in range(images)]) for name in NAMES}


COUNTS = dict(zip(RIGHTS, (8, 5, 3, 2, 4, 0, 1, 6), strict=True))


def test_every_frame_is_in_one_region() -> None:
    table = agreement_regions(readers(COUNTS))
    assert dict(zip(table["right"], table["images"], strict=True)) == COUNTS
    assert sorted(frame for frames in table["frames"] for frame in frames) == list(range(29))
    assert table["part"].sum() == pytest.approx(1)
    assert table["region"].tolist() == [
        "CaffeNet, VGGNet and radiologist", "CaffeNet and VGGNet only", "CaffeNet and radiologist only",
        "VGGNet and radiologist only", "CaffeNet only", "VGGNet only", "radiologist only", "nobody",
    ]  # fmt: skip


def test_frames_that_somebody_did_not_answer_are_left_out() -> None:
    three = readers(COUNTS)
    three[C] = three[C].iloc[:10]
    assert agreement_regions(three)["images"].sum() == 10
    apart = agreement_regions({A: three[A].iloc[:3], B: three[B].iloc[5:]})
    assert apart["images"].tolist() == [0, 0, 0, 0]
    assert apart["part"].isna().all()


def test_of_several_seeds_the_first_answers() -> None:
    two = pd.concat([reader([True, False], folds=2, seed=0), reader([False, False], folds=2, seed=1)])
    table = agreement_regions({A: two, B: reader([True, True])}).set_index("right")
    assert table.loc[[(A, B), (B,)], "images"].tolist() == [1, 1]


def test_of_more_than_three_readers_only_regions_with_frames_are_rows() -> None:
    four = {**readers(COUNTS), "second reader": reader([True] * 29)}
    table = agreement_regions(four)
    assert len(table) == 7
    assert table["region"].iloc[-1] == "second reader only"
    assert table["images"].sum() == 29


def test_one_reader_has_two_regions_and_none_is_refused() -> None:
    table = agreement_regions({A: reader([True, False, False])})
    assert (table["region"].tolist(), table["images"].tolist()) == ([A, "nobody"], [1, 2])
    with pytest.raises(DataError, match="no reader"):
        agreement_regions({})


def test_two_circles_are_in_proportion() -> None:
    found = venn_layout({(A, B): 600, (A,): 250, (B,): 150, (): 40}, [A, B])
    assert found.residual < 1e-3
    assert found.regions["achieved"].to_numpy() == pytest.approx([0.6, 0.25, 0.15], abs=1e-3)
    radii = [circle.radius for circle in found.circles]
    assert radii[0] ** 2 / radii[1] ** 2 == pytest.approx(850 / 750)


def test_areas_are_those_of_points_thrown_at_random() -> None:
    counts = {(A, B, C): 300, (A, B): 120, (A, C): 90, (B, C): 60, (A,): 80, (B,): 50, (C,): 70}
    found = venn_layout(counts, NAMES)
    points = np.random.default_rng(0).uniform(-1, 1, (200_000, 2))
    inside = {
        each.reader: np.hypot(points[:, 0] - each.x, points[:, 1] - each.y) < each.radius for each in found.circles
    }
    somewhere = np.any(list(inside.values()), axis=0).sum()
    for row in found.regions.itertuples():
        own = np.all([inside[name] == (name in row.right) for name in NAMES], axis=0)
        assert own.sum() / somewhere == pytest.approx(row.achieved, abs=0.005)
        x, y = row.x, row.y
        assert all((np.hypot(x - c.x, y - c.y) < c.radius) == (c.reader in row.right) for c in found.circles)
    assert found.regions["wanted"].sum() == pytest.approx(1)


def test_circles_of_the_library_are_moved_to_where_they_are_less_off() -> None:
    # matplotlib_venn alone leaves 5.5 % of the area in a wrong region
    counts = {(A, B, C): 500, (A, B): 200, (A, C): 40, (B, C): 20, (A,): 30, (B,): 30, (C,): 30}
    assert venn_layout(counts, NAMES).residual == pytest.approx(0.0235, abs=0.003)


def test_who_has_nothing_right_has_no_circle() -> None:
    found = venn_layout({(A, B): 10, (A,): 5, (): 3}, NAMES)
    assert [circle.reader for circle in found.circles] == [A, B]
    assert found.without_circle == (C,)
    alone = venn_layout({(B,): 5}, NAMES)
    assert [circle.reader for circle in alone.circles] == [B]
    nobody = venn_layout({(): 5}, NAMES)
    assert (nobody.circles, nobody.residual, len(nobody.regions)) == ((), 0.0, 0)
    assert venn_layout({}, NAMES).without_circle == NAMES


def test_readers_that_agree_on_all_frames_have_one_circle_on_the_other() -> None:
    for names in (NAMES, (A, B)):
        found = venn_layout({names: 12}, names)
        assert len({round(circle.radius, 3) for circle in found.circles}) == 1
        assert found.residual < 1e-3


def test_a_region_without_room_is_named() -> None:
    found = venn_layout({NAMES: 50, (A,): 1, (B,): 40, (C,): 1}, NAMES)
    lost = found.regions[(found.regions["images"] > 0) & (found.regions["room"] <= 0)]
    assert found.not_drawn == tuple(lost["right"]) == ((C,),)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(0, 1000), min_size=8, max_size=8))
def test_any_counts_have_circles(images: list[int]) -> None:
    found = venn_layout(dict(zip(RIGHTS, images, strict=True)), NAMES)
    numbers = [number for circle in found.circles for number in (circle.x, circle.y, circle.radius)]
    assert np.isfinite(numbers).all()
    assert 0 <= found.residual <= 1
    assert len(found.circles) + len(found.without_circle) == 3


def test_what_no_circles_can_show_is_refused() -> None:
    with pytest.raises(DataError, match="4 readers: a Venn diagram is of one to 3"):
        venn_layout({}, [*NAMES, "d"])
    with pytest.raises(DataError, match="counts are of reader 'x'"):
        venn_layout({("x",): 1}, NAMES)
    with pytest.raises(DataError, match="-1 frames right for CaffeNet"):
        venn_layout({(A,): -1}, NAMES)
