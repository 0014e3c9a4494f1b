"""Table I: how many images, and groups of them, train, validate and test; of a study, and the published one below."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dashboard.figures.rows import parts

POOL = ("training", "validation")
"""What a pool is parted into."""
SETS = ("pool", *POOL, "test")
COLUMNS = ["source", "dataset", "images", "groups", "fraction", "fold", *SETS]
COLUMNS += [*(f"{name}_groups" for name in (*POOL, "test")), "validation_by", "note"]
FOLDS = 5
"""Folds of the published table, which has one row for all of them."""


def sizes_table(facts: Mapping[str, Any], published: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row per fraction and fold of a study, then the rows of the `published` Table I where they are given.

    Columns: source (ours or published), dataset, images and groups of the whole, fraction and fold, images of pool,
    training, validation and test, groups of the last three, validation_by, note. What nobody counted is missing: the
    fold of published rows, and groups in studies that were planned before they were counted.
    """
    data, sets = facts["data"], ["fraction", "fold", *POOL, "test"]
    ours = pd.DataFrame(facts.get("table1") or {name: [] for name in sets})
    ours = ours.assign(source="ours", dataset=data["name"], images=data.get("images"), groups=data.get("groups"))
    ours = ours.sort_values(["fraction", "fold"], ascending=[False, True], kind="stable")
    if published is None or not len(published):
        return _with_pool(ours)
    theirs = published.rename(columns={"size": "images", "train_percent": "fraction"})
    theirs = theirs.assign(source="published", dataset=theirs["dataset"] + ", Amiri et al. 2020")
    return pd.concat([_with_pool(ours), _with_pool(theirs)], ignore_index=True)


def _with_pool(table: pd.DataFrame) -> pd.DataFrame:
    numbers = dict.fromkeys(("images", "groups", "fold", *(f"{part}_groups" for part in (*POOL, "test"))), float)
    pool = table["training"] + table["validation"]
    return table.assign(pool=pool).reindex(columns=COLUMNS).astype(numbers).reset_index(drop=True)


def table1_table(sizes: pd.DataFrame) -> pd.DataFrame:
    """A row per data set and fraction as it is read: in each set `111 to 113 (14 to 16 groups)`, as folds differ."""
    shown = [
        {
            "images of": _whole(part),
            "part of the images": f"{fraction:g} %",
            **{name: _spread(part[name], part.get(f"{name}_groups")) for name in SETS},
            "folds": len(part) if source == "ours" else FOLDS,
        }
        for (source, _, fraction), part in parts(sizes, ["source", "dataset", "fraction"])
    ]
    return pd.DataFrame(shown, columns=["images of", "part of the images", *SETS, "folds"])


def of_study(facts: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of `table1_table` of a study alone, where its name stands elsewhere."""
    return table1_table(sizes_table(facts)).drop(columns="images of")


def _whole(part: pd.DataFrame) -> str:
    first = part.iloc[0]
    if pd.isna(first["images"]):
        return str(first["dataset"])
    groups = "" if pd.isna(first["groups"]) else f" of {first['groups']:,.0f} groups"
    return f"{first['dataset']}: {first['images']:,.0f} images{groups}"


def _spread(images: pd.Series, groups: pd.Series | None) -> str:
    if groups is None or groups.isna().any():
        return _range(images)
    counted = _range(groups)
    return f"{_range(images)} ({counted} group{'s' * (counted != '1')})"


def _range(values: pd.Series) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"
