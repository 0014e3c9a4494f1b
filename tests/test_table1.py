"""Table I: images and groups of each set, as ranges where folds differ, with the published one below."""

from typing import Any

from dashboard.figures import table1
from engine import published


def facts(groups: int | None = None, **counted: list[int]) -> dict[str, Any]:
    """A study of two folds; `counted` are the groups of a set in each."""
    rows = [
        {"fraction": 5.0, "fold": fold, "training": 6, "validation": 2, "test": test}
        | {f"{name}_groups": values[fold] for name, values in counted.items()}
        for fold, test in ((0, 33), (1, 32))
    ]
    return {"data": {"name": "made", "images": 163, "groups": groups}, "table1": rows}


def test_table1_shows_a_range_where_folds_differ() -> None:
    assert table1.of_study(facts()).to_dict("records") == [
        {
            "part of the images": "5 %", "pool": "8", "training": "6", "validation": "2", "test": "32 to 33",
            "folds": 2,
        }
    ]  # fmt: skip


def test_groups_stand_beside_the_images_where_they_were_counted() -> None:
    found = facts(40, training=[1, 1], validation=[1, 2], test=[8, 9])
    (row,) = table1.table1_table(table1.sizes_table(found)).to_dict("records")
    assert row["images of"] == "made: 163 images of 40 groups"
    assert (row["training"], row["validation"], row["test"], row["pool"]) == (
        "6 (1 group)", "2 (1 to 2 groups)", "32 to 33 (8 to 9 groups)", "8",
    )  # fmt: skip
    earlier = table1.sizes_table(facts(40))
    assert earlier["test_groups"].isna().all()
    assert table1.table1_table(earlier).loc[0, "test"] == "32 to 33"


def test_published_rows_stand_below() -> None:
    theirs = published.table1()
    sizes = table1.sizes_table(facts(), theirs[theirs["dataset"] == "BUS"])
    assert sizes["source"].tolist() == ["ours"] * 2 + ["published"] * 3
    table = table1.table1_table(sizes)
    # Amiri et al. 2020, Table I: BUS 80 % is 104 training, 26 validation and 33 test images
    assert table.iloc[1].tolist() == ["BUS, Amiri et al. 2020: 163 images", "80 %", "130", "104", "26", "33", 5]


def test_a_study_that_says_nothing_has_an_empty_table() -> None:
    assert not len(table1.of_study({"data": {"name": "made", "images": 0}}))
