"""Parts of frames (accuracy, recall, ...) with intervals over groups, all from one draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.significance.intervals import ends, how, spread_of, why_none, why_same
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
    sizes: pd.DataFrame
    """A column per name, a row per unit: how many of its frames the unit has."""

    def mean_over(self, names: Sequence[str], weights: Mapping[str, float] | None = None) -> "Resampled":
        """Their mean alone, under the name `mean`: weighted, or all alike; those without frames are left out."""
        chosen = list(names)
        weigh = np.array([1.0 if weights is None else weights[name] for name in chosen])

        def mean(table: pd.DataFrame) -> pd.Series:
            known = table.notna().to_numpy() @ weigh
            total = table.fillna(0.0).to_numpy() @ weigh
            return pd.Series(total / np.where(known > 0, known, np.nan), table.index)

        return Resampled(
            values=mean(self.values[chosen].to_frame().T).set_axis(["mean"]),
            means=mean(self.means[chosen]).to_frame("mean"),
            sizes=self.sizes[chosen].sum(axis=1).to_frame("mean"),
        )


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
        sizes=every,
    )


def estimate(found: Resampled, name: str, *, what: str, drawn: Drawn, folds: int | None, confidence: float) -> Estimate:
    """The part of this `name` with its interval; `what` names it in the reason why there is none."""
    value, sizes = float(found.values[name]), found.sizes[[name]].to_numpy(dtype=np.float64)
    units = int((sizes > 0).sum())
    reason = f"no such {drawn}" if np.isnan(value) else why_none(folds, units, drawn, what)
    if reason is None:
        spread = spread_of(found.means[[name]].to_numpy(dtype=np.float64), sizes)
        low, high = (float(end[0]) for end in ends(np.array([value]), spread, confidence, "part"))
        if not np.isnan(low):
            note = how(confidence, units, drawn, len(found.means), float(spread.degrees[0]), folds, "part")
            return Estimate(value=value, low=low, high=high, units=units, note=note)
        reason = why_same(what, value, drawn, "part")
    return Estimate(value=value, low=None, high=None, units=units, note=reason)
