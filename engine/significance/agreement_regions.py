"""Which readers have a frame right: the regions of a Venn diagram."""

from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd

from engine.errors import DataError
from engine.significance.answers import on_common_frames, one_answer_each

MOST_CIRCLES = 3
"""Readers up to which every region is a row, also an empty one."""


def agreement_regions(readers: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row per region: frames that exactly these readers have right, of the frames that all answered.

    Columns: region (in words), right (tuple of readers' names), images, part (of all frames), frames (tuple of
    indices). From all readers right to none; with more than three readers only regions that have frames. Of several
    seeds of a reader the first answers. Source: Cheng and Malhi 2017, Fig. 4.

    Raises DataError without a reader, or as `answers.on_common_frames` does.
    """
    right = _right(readers)
    names = tuple(readers)
    known: dict[tuple[bool, ...], list[int]] = {}
    for row in right.itertuples():
        known.setdefault(tuple(bool(value) for value in row[1:]), []).append(int(row[0]))
    every = sorted(product([True, False], repeat=len(names)), key=lambda each: -sum(each))
    if len(names) > MOST_CIRCLES:
        every = [each for each in every if each in known]
    rows = []
    for each in every:
        own = tuple(name for name, is_right in zip(names, each, strict=True) if is_right)
        found = tuple(known.get(each, ()))
        part = len(found) / len(right) if len(right) else float("nan")
        rows.append(
            {"region": _in_words(own, names), "right": own, "images": len(found), "part": part, "frames": found}
        )
    return pd.DataFrame(rows, columns=["region", "right", "images", "part", "frames"])


def _right(readers: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    if not readers:
        raise DataError("no reader: agreement needs one at least")
    sides = on_common_frames(readers)
    return pd.DataFrame(
        {name: one_answer_each(side).set_index("index")["accuracy"] == 1 for name, side in sides.items()}
    )


def _in_words(right: Sequence[str], names: Sequence[str]) -> str:
    if not right:
        return "nobody"
    words = " and ".join([", ".join(right[:-1]), right[-1]] if len(right) > 1 else right)
    return words if len(right) == len(names) else f"{words} only"
