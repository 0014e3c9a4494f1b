"""Test images of a cell in the order of their Dice, and which cells have any to show."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from engine.significance import with_starts
from engine.trial import AS_PRETRAINED

ORDERS = {
    "worst first": ("dice", True),
    "best first": ("dice", False),
    "by name": ("image", True),
    "normal images": ("predicted_pixels", False),
}
"""Orders of the gallery: column, and whether it ascends."""


def named(trials: pd.DataFrame) -> pd.DataFrame:
    """The trainings, with `strategy` naming their start weights and network too where there are several."""
    cells = with_starts(trials[trials["strategy"] != AS_PRETRAINED])
    if "network" not in cells:
        return cells
    return cells.assign(strategy=cells["strategy"] + cells["network"].map(lambda name: f" · {name}" if name else ""))


def finished(trials: pd.DataFrame) -> pd.DataFrame:
    """The trainings of the cells of Table II whose folds are all closed, named: only these show test images."""
    cells = named(trials)
    return cells[cells.groupby(["fraction", "strategy"])["closed"].transform("all")].reset_index(drop=True)


def tested(images: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """A row per test image of the counted attempts, with the trial's strategy, fraction, fold, seed and state."""
    named = [name for name in ("strategy", "fraction", "fold", "seed", "state") if name in trials]
    wanted = trials.dropna(subset=["number"])[["id", "number", *named]].astype({"number": "int64"})
    return images.merge(wanted, on=["id", "number"])


def gallery_table(images: pd.DataFrame, order: str) -> pd.DataFrame:
    """The rows in one of `ORDERS`, equal ones by name; images without a structure come in their own order only.

    They have no overlap to be ordered by: background alone would score 1.
    """
    column, ascending = ORDERS[order]
    normal = images["empty_truth"].astype(bool)
    chosen = images[normal if order == "normal images" else ~normal if column == "dice" else normal | ~normal]
    by = list(dict.fromkeys([column, "image", "fold", "seed"]))
    return chosen.sort_values(by, ascending=[ascending] + [True] * (len(by) - 1), kind="stable").reset_index(drop=True)


def orders(images: pd.DataFrame) -> list[str]:
    """The orders that say something of these images."""
    normal = images["empty_truth"].astype(bool)
    needs = {"worst first": ~normal, "best first": ~normal, "by name": normal | ~normal, "normal images": normal}
    return [name for name in ORDERS if needs[name].any()]


def summary(images: pd.DataFrame) -> str:
    """`mean Dice 0.861 (median 0.893) over 133 images in 3 folds · 12 normal images, false positives on 2`.

    Trainings that failed are left out, as in Table II.
    """
    images = images[images["state"] != "not_converged"]
    normal = images["empty_truth"].astype(bool)
    measured = images.loc[~normal, "dice"]
    # As in Table II: every fold counts alike.
    by_fold = images[~normal].groupby("fold")["dice"].mean()
    parts = []
    if len(measured):
        folds, count = images["fold"].nunique(), images.loc[~normal, "index"].nunique()
        parts.append(
            f"mean Dice {by_fold.mean():.3f} (median {measured.median():.3f}) over "
            f"{count} image{'s' if count > 1 else ''} in {folds} fold{'s' if folds > 1 else ''}"
        )
    if normal.any():
        seen = int((images.loc[normal, "predicted_pixels"] > 0).sum())
        parts.append(f"{int(normal.sum())} normal images, false positives on {seen}")
    return " · ".join(parts)


def caption(
    row: Mapping[str, Any] | pd.Series, *, seeds: bool = False, structures: Sequence[str] = (), unit: str = ""
) -> str:
    """Two lines: Dice (of each structure where there are several), HD95, then name, group and fold."""
    if row["empty_truth"]:
        found = f"**normal**, {row['predicted_pixels']:,} pixels predicted"
    else:
        found = f"**Dice {row['dice']:.2f}**"
        each = row.get("class_dice")
        if len(structures) > 1 and each is not None and len(each):
            told = [f"{name} {value:.2f}" for name, value in zip(structures, each, strict=False) if not pd.isna(value)]
            found += f" ({', '.join(told)})"
        distance = row.get("hd95")
        if distance is not None and not pd.isna(distance) and unit:
            found += f" · HD95 {distance:.1f}\u00a0{'px' if unit == 'source pixels' else unit}"
    failed = " · training failed" if row.get("state") == "not_converged" else ""
    seed = f", seed {row['seed']}" if seeds else ""
    group = f" · {row['group']}" if row["group"] else ""
    return f"{found}{failed}  \n{PurePosixPath(str(row['image'])).name}{group} · fold {row['fold']}{seed}"


def percent(fraction: float) -> str:
    """A fraction as it is chosen: `80 %`."""
    return f"{fraction:g} %"
