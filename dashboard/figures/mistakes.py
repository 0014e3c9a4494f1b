"""Frames on which readers were wrong, chosen by agreement, with the most probable classes as bars.

After Cheng and Malhi 2017: misclassified images with the three most probable classes, the true one dark.
"""

from collections.abc import Sequence
from html import escape
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from dashboard.figures.palette import INK
from dashboard.figures.rows import rows

SHOWN = 3
"""Classes with a bar."""
OTHERS = {False: "#a9bccb", True: "#4a5f72"}
"""Bars of classes that are not the true one."""
AGREEMENTS = ("any wrong", "all wrong", "first wrong, others right", "first right, others wrong", "all right")
"""What the chosen readers have in common on a frame."""
ORDERS = {"most confident first": False, "least confident first": True}
FRAME = ["index", "image", "group", "scanner", "label"]


def said_table(answers: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """A row per frame that all the readers `names` answered, with `right`, `said`, `sure` and `probabilities`.

    These four hold a tuple each, in the order of `names`; `sure` is the probability of the class that was said, NaN of
    a person. `answers` has one row per reader and frame. `confidence` is the mean over readers that say one.
    """
    own = answers[answers["reader"].isin(names)]
    if not len(own) or not names:
        return pd.DataFrame(columns=[*FRAME, "right", "said", "sure", "probabilities", "confidence"])
    by_frame = {name: own[own["reader"] == name].set_index("index") for name in names}
    common = sorted(set.intersection(*(set(part.index) for part in by_frame.values())))
    parts = [by_frame[name].loc[common] for name in names]

    def each(column: str) -> pd.Series:
        return pd.Series(
            [tuple(values) for values in zip(*(part[column] for part in parts), strict=True)], dtype=object
        )

    table = parts[0].reset_index()[FRAME]
    sure = np.array([[_sure(values) for values in part["probabilities"]] for part in parts], dtype=float)
    sure = sure.reshape(len(parts), len(common)).T
    known = ~np.isnan(sure)
    summed = np.where(known, sure, 0.0).sum(axis=1)
    return table.assign(
        right=each("accuracy").map(lambda values: tuple(value == 1.0 for value in values)),
        said=each("predicted"),
        sure=pd.Series([tuple(values) for values in sure.tolist()], dtype=object),
        probabilities=each("probabilities"),
        confidence=np.where(known.any(axis=1), summed / np.maximum(known.sum(axis=1), 1), np.nan),
    )


def _sure(values: Any) -> float:
    return float("nan") if not isinstance(values, np.ndarray | list | tuple) else float(np.max(values))


def agreement(right: Sequence[bool]) -> set[str]:
    """Which of `AGREEMENTS` hold where readers were right as told, the first reader first."""
    first, others = right[0], right[1:]
    found = {"all right"} if all(right) else {"any wrong"}
    found |= set() if any(right) else {"all wrong"}
    if others and not first and all(others):
        found.add("first wrong, others right")
    if others and first and not any(others):
        found.add("first right, others wrong")
    return found


def chosen_table(
    said: pd.DataFrame, which: str, *, labels: Sequence[str] = (), ascending: bool = False
) -> pd.DataFrame:
    """The frames on which the readers agree so, of the true classes `labels` (all where none), by confidence."""
    held = [which in agreement(right) for right in said["right"]]
    table = said[pd.Series(held, index=said.index, dtype=bool)]
    table = table[table["label"].isin(labels)] if labels else table
    return table.sort_values(
        ["confidence", "index"], ascending=[ascending, True], kind="stable", na_position="last", ignore_index=True
    )


def counts(said: pd.DataFrame) -> dict[str, int]:
    """Frames of each of `AGREEMENTS`."""
    held = [agreement(right) for right in said["right"]]
    return {name: sum(name in one for one in held) for name in AGREEMENTS}


def top_table(
    probabilities: Float[np.ndarray, " class"], classes: Sequence[str], truth: str, *, most: int = SHOWN
) -> pd.DataFrame:
    """The `most` probable classes, highest first, and the true one below where it is not among them.

    Columns: class, probability, true, rank (from 1).
    """
    order = np.argsort(-np.asarray(probabilities, dtype=float), kind="stable")
    chosen = [int(place) for place in order[:most]]
    if truth in classes and classes.index(truth) not in chosen:
        chosen.append(classes.index(truth))
    ranks = {int(place): rank for rank, place in enumerate(order, start=1)}
    return pd.DataFrame(
        {
            "class": [classes[place] for place in chosen],
            "probability": [float(probabilities[place]) for place in chosen],
            "true": [classes[place] == truth for place in chosen],
            "rank": [ranks[place] for place in chosen],
        }
    )


def bars(table: pd.DataFrame, *, dark: bool = False) -> str:
    """The probabilities of `top_table` as HTML: a bar per class, the true one dark."""
    lines = []
    for row in rows(table.rename(columns={"class": "name"})):
        colour, weight = (INK[dark], "600") if row.true else (OTHERS[dark], "400")
        mark = " (true)" if row.true else ""
        lines.append(
            f"<div style='display:flex;align-items:center;gap:6px;font-size:12px;line-height:17px'"
            f" title='{escape(row.name, quote=True)}{mark}: {100 * row.probability:.1f} %, rank {row.rank}'>"
            f"<span style='flex:0 0 34%;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;"
            f"font-weight:{weight}'>{escape(row.name)}</span>"
            f"<span style='flex:1 1 0;height:9px;position:relative'>"
            f"<span style='position:absolute;left:0;top:0;height:9px;min-width:1px;border-radius:2px;"
            f"width:{100 * row.probability:.1f}%;background:{colour}'></span></span>"
            f"<span style='flex:0 0 34px;text-align:right;font-variant-numeric:tabular-nums'>"
            f"{100 * row.probability:.0f} %</span></div>"
        )
    return "".join(lines)


def tile(row: Any, names: Sequence[str], classes: Sequence[str], *, dark: bool = False) -> str:
    """A frame of `said_table` in words, as HTML: its class and name, then of each reader its answer and bars."""
    parts = [_head(row)]
    for name, right, said, values in zip(names, row.right, row.said, row.probabilities, strict=True):
        mark, shown = "✓" if right else "✗", escape(name).replace(" %", "&nbsp;%")
        answer = "&nbsp;" if right and not all(row.right) else "" if right else f"says <b>{escape(str(said))}</b>"
        parts.append(
            f"<div style='font-size:12px;line-height:16px;margin-top:5px' title='{mark} {escape(name, quote=True)}'>"
            f"<div style='overflow-wrap:anywhere'>"
            f"<span style='display:inline-block;width:14px'>{mark}</span>{shown}</div>"
            f"{answer}</div>"
        )
        if isinstance(values, np.ndarray | list | tuple):
            parts.append(bars(top_table(np.asarray(values), classes, str(row.label)), dark=dark))
    return "".join(parts)


def _head(row: Any) -> str:
    """The true class, then file, group and scanner in one line each."""
    told = [PurePosixPath(str(row.image)).name, row.group, row.scanner]
    about = escape(" · ".join(str(part) for part in told if part), quote=True)
    one_line = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
    return (
        f"<div style='font-size:14px;line-height:19px;{one_line}'><b>{escape(str(row.label))}</b></div>"
        f"<div style='font-size:12px;line-height:16px;opacity:0.7;{one_line}' title='{about}'>{about}</div>"
    )


def for_file(table: pd.DataFrame, names: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    """The chosen frames with a column per reader for what it said, and for the probability of each class."""
    found = table[FRAME].copy()
    for place, name in enumerate(names):
        found[f"{name}: said"] = [said[place] for said in table["said"]]
        for number, label in enumerate(classes):
            values = [each[place] for each in table["probabilities"]]
            if any(value is not None for value in values):
                found[f"{name}: {label}"] = [None if value is None else float(value[number]) for value in values]
    return found
