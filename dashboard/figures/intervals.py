"""Intervals of the means of Table II, of any measure."""

import pandas as pd

from engine.significance import balanced_intervals, cell_intervals
from engine.significance.resampling import RESAMPLES

BALANCED = "balanced_accuracy"
INTERVAL = ["low", "high", "interval"]


def mean_intervals(images: pd.DataFrame, measure: str, *, resamples: int = RESAMPLES) -> pd.DataFrame:
    """A row per cell of these test images with `low`, `high` (NaN where there is no interval) and `interval`, how made.

    `dice` holds the measure whose column this is; of balanced accuracy, whether the image is right, beside its `label`.
    """
    if not len(images):
        return images.iloc[:0].reindex(columns=[*images.columns, *INTERVAL])
    if measure == BALANCED:
        found = balanced_intervals(images.assign(accuracy=images["dice"]), resamples=resamples)
    else:
        found = cell_intervals(images, resamples=resamples, scale="amount" if measure == "hd95" else "part")
    drawn = found["units"].astype(str) + " " + found["resampled"].astype(str) + "s"
    return found.assign(interval=("bootstrap over " + drawn).where(found["low"].notna(), ""))
