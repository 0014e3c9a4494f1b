"""Parts of frames (accuracy, recall, ...) with intervals over groups, all from one draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.significance.intervals import LOG_ODDS, how, of_part, standard_error, why_none
from engine.significance.measured import Drawn
from engine.significance.resampling import resampled_means

Part = tuple[pd.Series, pd.Series]
"""Of each answer the weight with which it counts as right, and the weight with which it counts."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A part of frames with its interval."""

    value: float
    """NaN where there are no such frames."""
    low: float | None
    """Lower end of the interval; None where there is none (see `note`)."""
    high: float | None
    units: int
    """Groups that have such frames (frames where they name no group)."""
    note: str
    """Why there is no interval, or how it was made."""


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """Parts of frames, and what they come to where other groups are drawn."""

    values: pd.Series
    """By name; NaN where there are no such frames."""
    means: pd.DataFrame
    """A column per name, a row per resample; NaN where none of its frames were drawn."""
    units: Mapping[str, int]
    """Groups with such frames, by name."""

    def mean_over(self, names: Sequence[str]) -> tuple[float, pd.Series]:
        """The mean over parts, leaving out those without frames; and in each resample."""
        return float(self.values[list(names)].mean()), self.means[list(names)].mean(axis=1)


def resampled_parts(parts: Mapping[str, Part], unit: pd.Series, *, resamples: int, seed: int) -> Resampled:
    """Each part with whole units drawn with replacement; one draw serves all parts, so that they stay paired.

    `unit` names the group (or the frame) of each answer.
    """
    right = pd.DataFrame({name: part[0] for name, part in parts.items()}).groupby(unit).sum()
    every = pd.DataFrame({name: part[1] for name, part in parts.items()}).groupby(unit).sum()
    both = np.hstack([right, every]).astype(np.float64)
    drawn = resampled_means(both, np.ones_like(both), resamples=resamples, seed=seed)
    above, below = drawn[:, : len(parts)], drawn[:, len(parts) :]
    means = np.full(above.shape, np.nan)
    np.divide(above, below, out=means, where=below > 0)
    return Resampled(
        values=right.sum() / every.sum().where(every.sum() > 0),
        means=pd.DataFrame(means, columns=list(parts)),
        units={str(name): int(count) for name, count in (every > 0).sum().items()},
    )


def estimate(
    value: float, means: pd.Series, units: int, *, what: str, drawn: Drawn, folds: int | None, confidence: float
) -> Estimate:
    """`value` with its interval from its resampled `means`; `what` names it in the reason why there is none."""
    reason = f"no such {drawn}" if np.isnan(value) else why_none(folds, units, drawn, what)
    if reason is None and not 0 < value < 1:
        reason = f"no interval: {what} is {value:.0%} in every {drawn}, so drawing them again says nothing"
    if reason is not None:
        return Estimate(value=value, low=None, high=None, units=units, note=reason)
    error = standard_error(means.to_numpy(dtype=np.float64), units)
    low, high = of_part(value, error, units, confidence)
    note = how(confidence, units, drawn, len(means), folds, LOG_ODDS)
    return Estimate(value=value, low=low, high=high, units=units, note=note)
