"""Cells of Table II with folds that a test chooses, without a study behind them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dashboard.figures.cells import CELL_COLUMNS
from dashboard.figures.comparison import published_cells
from engine import published
from engine.architectures import parse_strategy, trainable_parameters, unet_parameters

NAN = float("nan")


def made_cells(
    folds: Mapping[tuple[str, float], Sequence[float]], *, dataset: str = "made images", **columns: Any
) -> pd.DataFrame:
    """A row per (strategy, fraction), complete; a fold that is NaN did not converge. `columns` are the same in all."""
    found = []
    for (name, fraction), values in folds.items():
        good = [value for value in values if not np.isnan(value)]
        trainable = trainable_parameters(parse_strategy(name), "unet", 16)
        found.append(
            {
                "source": "ours", "study": "made", "dataset": dataset, "start": "", "network": "",
                "fraction": float(fraction), "strategy": name, "mean": float(np.mean(good)) if good else NAN,
                "sd": float(np.std(good, ddof=1)) if len(good) > 1 else NAN, "mean_all": NAN, "validation": NAN,
                "complete": True, "folds": len(values), "folds_done": len(values), "trainings": len(values),
                "failed": len(values) - len(good), "collapsed": 0, "crashed": 0, "cut": "", "rates": [1e-4],
                "values": list(values), "fold_numbers": list(range(len(values))),
                "false_positive_rate": NAN, "normal_images": 0, "trainable": trainable,
                "total": sum(unet_parameters(16).values()), "minutes": NAN, "megabytes": trainable * 4 / 1e6,
                "kept": NAN, "hd95_unit": "", "hd95_undefined": 0, **columns,
            }
        )  # fmt: skip
    return pd.DataFrame(found, columns=[*CELL_COLUMNS, *(name for name in columns if name not in CELL_COLUMNS)])


def paper_cells(dataset: str | None = None) -> pd.DataFrame:
    """The published cells, of one data set or all."""
    return published_cells(published.table2(), width=published.WIDTH, dataset=dataset)


def words_of(figure: Any) -> str:
    """All annotations of a figure."""
    return "\n".join(note.text for note in figure.layout.annotations)
