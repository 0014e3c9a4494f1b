"""Whether strategies come out in the published order, and how well the published order would agree with itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal

import numpy as np
import pandas as pd
import scipy  # scipy.stats loads when it is first used, not with this module
from jaxtyping import Float

from engine.errors import DataError
from engine.significance.measured import FEWEST_FOLDS, measured, why_no_interval
from engine.significance.resampling import cell_means
from engine.significance.rows import parts

FEWEST_STRATEGIES = 4
"""Common strategies from which an order is compared; of three, one order in six agrees by chance."""
REDRAWN = 2000
By = Literal["resampled images", "redrawn means", ""]


@dataclass(frozen=True, kw_only=True)
class OrderAgreement:
    """Kendall's tau-b between our order of the strategies and the published one."""

    tau: float | None
    """1 is the same order, 0 none, -1 the reverse; None with `reason`."""
    low: float | None
    """Ends of the 95 % interval of `tau`, by what varies in ours; None where there is none (see `reason`)."""
    high: float | None
    interval_by: By
    ceiling: float | None
    """Median tau-b of the published cells redrawn from mean and sd / sqrt(folds) against themselves: what the same
    study, run again, could expect."""
    ceiling_low: float | None
    """Ends of the range that holds 95 % of those."""
    ceiling_high: float | None
    strategies: tuple[str, ...]
    """Strategies with a mean in both, in the published table's order."""
    reason: str
    """Why there is no value or no interval, or ""."""


def kendall_tau_b(rows: Float[np.ndarray, "*row strategy"], other: Float[np.ndarray, " strategy"]) -> np.ndarray:
    """Kendall's tau-b of each row against `other`, ties allowed; NaN where one side is all tied. As `scipy.stats`."""
    left, right = np.triu_indices(len(other), k=1)
    ours, theirs = np.sign(rows[..., left] - rows[..., right]), np.sign(other[left] - other[right])
    pairs = np.sqrt(np.abs(ours).sum(axis=-1) * np.abs(theirs).sum())
    agreement = (ours * theirs).sum(axis=-1)
    taus: np.ndarray = np.divide(agreement, pairs, out=np.full(np.shape(pairs), np.nan), where=pairs > 0)
    return taus


def order_agreement(
    ours: pd.DataFrame, published: pd.DataFrame, *, images: pd.DataFrame | None = None, seed: int = 0
) -> OrderAgreement:
    """How far one row of Table II keeps the published row's order, with an interval and the ceiling.

    Both tables have a row per strategy: strategy, mean, sd, folds (`cell_table`, `published_cells`); missing means
    stay missing. With `images` (test images of our row, as `cell_means` takes them) the interval resamples groups of
    images jointly for all strategies; else our means are redrawn from a normal law with sd / sqrt(folds), each by
    itself: noise on top of noise, so that such an interval lies somewhat low, as the ceiling does. Below three folds,
    or four common strategies, a reason.

    Raises DataError where a strategy stands twice in a table.
    """
    for name, table in (("our", ours), ("the published", published)):
        if table["strategy"].duplicated().any():
            raise DataError(f"{name} row of Table II has a strategy twice; choose one data set, fraction and start")
    both = published.merge(ours, on="strategy", suffixes=("_there", "")).dropna(subset=["mean", "mean_there"])
    common = tuple(str(name) for name in both["strategy"])
    if len(common) < FEWEST_STRATEGIES:
        reason = f"{len(common)} strategies in both; it takes {FEWEST_STRATEGIES} to compare orders"
        return _nothing(common, reason)
    here, there = both["mean"].to_numpy(dtype=np.float64), both["mean_there"].to_numpy(dtype=np.float64)
    tau = float(scipy.stats.kendalltau(here, there, variant="b").statistic)
    if np.isnan(tau):
        return _nothing(common, "all strategies have the same mean on one side")
    random = np.random.default_rng(seed)
    ceiling_low, ceiling, ceiling_high = _range(kendall_tau_b(_redrawn(both, "_there", random), there))
    low, high, interval_by, reason = _interval(both, common, there, images, random, seed)
    return OrderAgreement(
        tau=tau,
        low=low,
        high=high,
        interval_by=interval_by,
        ceiling=ceiling,
        ceiling_low=ceiling_low,
        ceiling_high=ceiling_high,
        strategies=common,
        reason=reason,
    )


def agreement_table(
    ours: pd.DataFrame, published: pd.DataFrame, stands_for: Mapping[str, str], *, images: pd.DataFrame | None = None
) -> pd.DataFrame:
    """A row per data set and fraction that both tables have, with the fields of `OrderAgreement` (NaN for None).

    `stands_for` names, for a data set of ours, the published one that it stands beside, as both tables name them.
    `images` has a column fraction, and dataset where there are several. Further columns: dataset, published,
    fraction, common (number of strategies in both).
    """
    rows = []
    for (dataset, fraction), part in parts(ours, ["dataset", "fraction"]):
        there = published[(published["dataset"] == stands_for.get(dataset)) & (published["fraction"] == fraction)]
        if not len(there):
            continue
        own = None if images is None else images[images["fraction"] == fraction]
        if own is not None and "dataset" in own:
            own = own[own["dataset"] == dataset]
        found = order_agreement(part, there, images=own)
        row = {"dataset": dataset, "published": stands_for[dataset], "fraction": fraction, **asdict(found)}
        rows.append(row | {"common": len(found.strategies)})
    columns = ["dataset", "published", "fraction", *(field.name for field in fields(OrderAgreement)), "common"]
    numbers = ["tau", "low", "high", "ceiling", "ceiling_low", "ceiling_high"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, np.float64))


def _interval(
    both: pd.DataFrame,
    common: tuple[str, ...],
    there: Float[np.ndarray, " strategy"],
    images: pd.DataFrame | None,
    random: np.random.Generator,
    seed: int,
) -> tuple[float | None, float | None, By, str]:
    """Low and high end, what was drawn, and why there is no interval."""
    own = None if images is None else measured(images)
    if own is not None and set(common) <= set(own["strategy"]):
        table, _, means = cell_means(own[own["strategy"].isin(common)], seed=seed)
        if len(table) != len(common):
            raise DataError("test images are of several data sets, fractions or starts; choose one")
        folds, units = int(table["folds"].min()), int(table["units"].min())
        if reason := why_no_interval(folds, units, table["resampled"].iloc[0], "the order"):
            return None, None, "", reason
        order = [list(table["strategy"]).index(name) for name in common]
        low, _, high = _range(kendall_tau_b(means[:, order], there))
        return low, high, "resampled images", ""
    if (fewest := int(both["folds"].min())) < FEWEST_FOLDS or both["sd"].isna().any():
        reason = f"{fewest} fold{'' if fewest == 1 else 's'}: no interval; it takes {FEWEST_FOLDS} folds at least"
        return None, None, "", reason
    low, _, high = _range(kendall_tau_b(_redrawn(both, "", random), there))
    return low, high, "redrawn means", ""


def _redrawn(both: pd.DataFrame, side: str, random: np.random.Generator) -> Float[np.ndarray, "redrawn strategy"]:
    mean, sd, folds = (both[f"{name}{side}"].to_numpy(dtype=np.float64) for name in ("mean", "sd", "folds"))
    return random.normal(mean, np.nan_to_num(sd) / np.sqrt(folds), size=(REDRAWN, len(both)))


def _range(taus: Float[np.ndarray, " resample"]) -> tuple[float, float, float]:
    low, median, high = np.nanquantile(taus, [0.025, 0.5, 0.975])
    return float(low), float(median), float(high)


def _nothing(common: tuple[str, ...], reason: str) -> OrderAgreement:
    return OrderAgreement(
        tau=None,
        low=None,
        high=None,
        interval_by="",
        ceiling=None,
        ceiling_low=None,
        ceiling_high=None,
        strategies=common,
        reason=reason,
    )
