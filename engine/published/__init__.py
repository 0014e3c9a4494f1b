"""The papers' tables as data, so that ours can stand beside them. Values that are missing there stay missing.

Here those of Amiri et al. 2020; `pasdeloup2018` and `cheng2017` hold the others.

All functions read a file of this package and give a new DataFrame; nothing is read on import. Needs no torch.
"""

import pandas as pd

from engine.published.citation import Citation, read

CITATION = Citation(
    authors="Amiri, Brooks, Rivaz",
    title="Fine-Tuning U-Net for Ultrasound Image Segmentation: Different Layers, Different Outcomes",
    journal="IEEE Transactions on Ultrasonics, Ferroelectrics, and Frequency Control 67(12):2510-2518",
    year=2020,
    doi="10.1109/TUFFC.2020.3015081",
)
SIZES = {"SUS": 85, "BUS": 163, "FUS": 805, "X-ray": 240}
"""Number of images of each data set of Amiri et al. 2020, in the order of Table I."""
WIDTH = 64
"""Filters in block 1 of the paper's U-Net."""
IMAGE_SIZE = 256
"""Side of the paper's input, in pixels."""
FRACTIONS = (80.0, 50.0, 5.0)
"""Pools of the paper, percent of the whole data set, in the order of Table II."""


def table1() -> pd.DataFrame:
    """Images in training, validation and test sets (Amiri et al. 2020, Table I).

    Columns: dataset, size, train_percent (the pool), training, validation, test.
    """
    return read("amiri2020_table1")


def table2() -> pd.DataFrame:
    """Dice over five folds of 13 strategies x 4 data sets x 3 fractions (Amiri et al. 2020, Table II).

    Columns: dataset, train_percent, strategy, dice_mean, dice_std (n - 1), folds, failed_folds. NaN where
    the text at hand has no value: five means of FUS 50 %. `from scratch` averages the folds that converged.
    """
    return read("amiri2020_table2")


def table3() -> pd.DataFrame:
    """Dice and minutes of training per fold at 80 % on a TITAN V (Amiri et al. 2020, Table III).

    Columns: dataset, strategy, dice_mean, minutes_mean, minutes_std.
    """
    return read("amiri2020_table3")


def strategies() -> pd.DataFrame:
    """The 13 strategies in the paper's order with printed and exact parameter counts at width 64 (Table II, top).

    Columns: strategy, parameters_published, fraction_published, parameters_exact, trainable_parts.
    """
    return read("amiri2020_strategies")


def claims() -> pd.DataFrame:
    """What the paper says is or is not different, and whether its own Table II agrees.

    Columns: claim, section, published_outcome, does_table2_agree (NaN where it cannot be told).
    """
    return read("amiri2020_claims")
