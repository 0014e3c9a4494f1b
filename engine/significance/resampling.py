"""Bootstrap over groups of test images: one draw serves everything that was measured on the same images."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from jaxtyping import Float

from engine.errors import DataError
from engine.significance.intervals import Scale, Spread, ends, how, spread_of, why_none, why_same
from engine.significance.measured import CELL, Drawn, drawn_by, mean_over_seeds, measured

RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True)
class CellInterval:
    """A cell's mean Dice and how far other images of the same kind could move it."""

    mean: float
    """Mean over folds of the mean over the fold's test images, as in Table II; NaN without images."""
    low: float | None
    """Lower end of the bootstrap interval; None where there is none (see `note`)."""
    high: float | None
    """Upper end of the bootstrap interval; None where there is none (see `note`)."""
    confidence: float
    """Part of such intervals that hold the true mean, if images are alike: 0.95."""
    folds: int
    images: int
    resampled: Drawn
    """What is drawn with replacement: whole groups where every image names its group."""
    units: int
    """Number of groups or images that are drawn from."""
    note: str
    """Why there is no interval, or how it was made."""


FIELDS = [field.name for field in fields(CellInterval)]


def resampled_means(
    sums: Float[np.ndarray, "unit column"], sizes: Float[np.ndarray, "unit column"], *, resamples: int, seed: int
) -> Float[np.ndarray, "resample column"]:
    """Means of each column with whole units drawn with replacement.

    `sums` are a column's weighted values added up within each unit, `sizes` the weights; a size of 0 says that the
    column has nothing in the unit. Columns with the same units share one draw, so that they stay paired.
    """
    means = np.empty((resamples, sums.shape[1]))
    patterns, which = np.unique(sizes > 0, axis=1, return_inverse=True)
    for number in range(patterns.shape[1]):
        columns, own = np.flatnonzero(which.ravel() == number), patterns[:, number]
        count = int(own.sum())
        both = np.hstack([sums[own][:, columns], sizes[own][:, columns]])
        if not count:
            means[:, columns] = np.nan
            continue
        random = np.random.default_rng(seed)
        chunk = max(1, 2_000_000 // count)  # keeps memory near 32 MB however many images there are
        for begin in range(0, resamples, chunk):
            length = min(chunk, resamples - begin)
            which_units = random.integers(count, size=(length, count)) + count * np.arange(length)[:, None]
            times = np.bincount(which_units.ravel(), minlength=length * count).reshape(length, count)
            drawn = times.astype(np.float64) @ both
            means[begin : begin + length, columns] = drawn[:, : len(columns)] / drawn[:, len(columns) :]
    return means


def bootstrap_interval(
    values: Float[np.ndarray, " image"],
    units: pd.Series,
    *,
    scale: Scale = "difference",
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Low and high end of the interval of the mean over images, whole `units` drawn with replacement (`intervals`).

    `units` names the group (or the image) of each value, `scale` says what the values are. NaN where the mean is the
    same in every unit. Does not depend on the order of the rows.

    Raises DataError without values or with a confidence outside 0 to 1.
    """
    if not len(values) or not 0 < confidence < 1:
        raise DataError(
            f"no interval of {len(values)} values at confidence {confidence:g}; "
            "expected one value at least and a confidence between 0 and 1"
        )
    totals = pd.DataFrame({"unit": units.to_numpy(), "value": values}).sort_values(["unit", "value"])
    by_unit = totals.groupby("unit", sort=True)["value"].agg(["sum", "size"]).astype(np.float64)
    sums, sizes = by_unit[["sum"]].to_numpy(), by_unit[["size"]].to_numpy()
    spread = spread_of(resampled_means(sums, sizes, resamples=resamples, seed=seed), sizes)
    low, high = ends(sums.sum(axis=0) / sizes.sum(axis=0), spread, confidence, scale)
    return float(low[0]), float(high[0])


def cell_means(
    images: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[pd.DataFrame, Spread, Float[np.ndarray, "resample cell"]]:
    """A row per cell of one data set, how its mean varies, and its resamples; cells of the same images share the draw.

    Columns of the table: those of `CELL` that `images` has, mean, folds, images, resampled, units. Images weigh so
    that every fold counts alike, as in Table II. Several seeds of an image are averaged first.

    Raises DataError as `measured` does.
    """
    rows = measured(images)
    by = [column for column in CELL if column in rows]
    rows = mean_over_seeds(rows, by)
    drawn = drawn_by(rows["group"])
    rows["unit"] = rows["group"] if drawn == "group" else rows["index"]
    cells = rows.groupby(by, sort=True)
    rows["cell"] = cells.ngroup()
    rows["weight"] = 1.0 / rows.groupby(["cell", "fold"])["dice"].transform("size")
    rows["weighted"] = rows["weight"] * rows["dice"]
    totals = rows.groupby(["unit", "cell"])[["weighted", "weight"]].sum().unstack(fill_value=0.0)
    sums, weights = totals["weighted"].to_numpy(dtype=np.float64), totals["weight"].to_numpy(dtype=np.float64)
    table = cells.agg(folds=("fold", "nunique"), images=("index", "size"), units=("unit", "nunique")).reset_index()
    table.insert(len(by), "mean", sums.sum(axis=0) / weights.sum(axis=0))
    table["resampled"] = drawn
    means = resampled_means(sums, weights, resamples=resamples, seed=seed)
    return table, spread_of(means, weights), means


def cell_intervals(
    images: pd.DataFrame,
    *,
    scale: Scale = "part",
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """A row per cell (those columns of dataset, fraction, start, strategy that `images` has) with its interval.

    Further columns are the fields of `CellInterval`, NaN where it has None. `scale` is `amount` where `dice` holds
    another measure that may pass 1. All cells of the same images share one draw: 400 cells take about half a second.
    Images of another data set are drawn apart.

    Raises DataError as `measured` does.
    """
    rows = measured(images)
    parts = [part for _, part in rows.groupby("dataset", sort=True)] if "dataset" in rows else [rows]
    tables = [
        _with_ends(*cell_means(part, resamples=resamples, seed=seed)[:2], scale, confidence, resamples)
        for part in parts
        if len(part)
    ]
    by = [column for column in CELL if column in images]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*by, *FIELDS])


def cell_interval(
    images: pd.DataFrame, strategy: str, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> CellInterval:
    """The interval of one strategy's mean Dice; `images` are of one data set, fraction and start.

    Raises DataError as `measured` does, where the strategy is absent, or where its rows are of several cells.
    """
    rows = images[images["strategy"] == strategy] if "strategy" in images else images
    table = cell_intervals(rows, confidence=confidence, resamples=resamples, seed=seed)
    if len(table) != 1:
        known = "; ".join(sorted(set(images["strategy"])))
        problem = f"test images are of {len(table)} cells; choose one data set, fraction and start"
        raise DataError(
            f"{strategy}: {problem}" if len(table) else f"no test images of strategy '{strategy}'; there are: {known}"
        )
    row = table.iloc[0]
    return CellInterval(
        mean=float(row["mean"]),
        low=None if pd.isna(row["low"]) else float(row["low"]),
        high=None if pd.isna(row["high"]) else float(row["high"]),
        confidence=confidence,
        folds=int(row["folds"]),
        images=int(row["images"]),
        resampled=row["resampled"],
        units=int(row["units"]),
        note=str(row["note"]),
    )


def _with_ends(table: pd.DataFrame, spread: Spread, scale: Scale, confidence: float, resamples: int) -> pd.DataFrame:
    low, high = ends(table["mean"].to_numpy(dtype=np.float64), spread, confidence, scale)
    notes = []
    for place, row in enumerate(table[["mean", "folds", "units", "resampled"]].itertuples(index=False)):
        mean, folds, units, drawn = float(row[0]), int(row[1]), int(row[2]), row[3]
        none = why_none(folds, units, drawn, "the mean")
        if none is not None:
            low[place] = high[place] = np.nan
        elif np.isnan(low[place]):
            none = why_same("the mean", mean, drawn, scale)
        notes.append(none or how(confidence, units, drawn, resamples, float(spread.degrees[place]), folds, scale))
    before = list(table.columns).index("folds")
    table.insert(before, "low", low)
    table.insert(before + 1, "high", high)
    table["confidence"] = confidence
    table["note"] = notes
    return table
