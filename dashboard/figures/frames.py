"""The data set's frames as a table: what can be filtered, and how much of each its mask covers."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8


def frames_table(table: pd.DataFrame, masks: UInt8[np.ndarray, "image height width"]) -> pd.DataFrame:
    """A row per image: the data set's columns, `index` into its arrays, and `coverage`, the mask's part in percent.

    Without masks (classification) the coverage is missing.
    """
    flat = np.asarray(masks).reshape(len(masks), masks.shape[1] * masks.shape[2])
    coverage = 100 * flat.mean(axis=1) if flat.size else np.full(len(masks), np.nan)
    return table.reset_index(drop=True).assign(index=np.arange(len(table)), coverage=coverage)


def filtered(
    table: pd.DataFrame, wanted: Mapping[str, Sequence[str]], order: str, *, descending: bool = False
) -> pd.DataFrame:
    """The rows whose columns hold one of the wanted values (none wanted: all), sorted by `order`, then by name."""
    for column, values in wanted.items():
        if values:
            table = table[table[column].isin(values)]
    return table.sort_values(order if order == "image" else [order, "image"], ascending=not descending, kind="stable")


def caption(row: Mapping[str, Any] | pd.Series) -> str:
    """Two lines: name and group; `540 × 800 pixels · mask 12.3 %`, without masks its class and scanner."""
    group = f" · {row['group']}" if row["group"] else ""
    size = f"{row['source_width']:.0f}\u00a0×\u00a0{row['source_height']:.0f}\u00a0pixels"
    if np.isnan(row["coverage"]):
        about = " · ".join(str(row[name]) for name in ("label", "scanner") if row[name])
        return f"**{PurePosixPath(str(row['image'])).name}**{group}  \n{about} · {size}"
    covered = f"mask\u00a0{row['coverage']:.1f}\u00a0%" if row["coverage"] else "empty mask"
    return f"**{PurePosixPath(str(row['image'])).name}**{group}  \n{size} · {covered}"
