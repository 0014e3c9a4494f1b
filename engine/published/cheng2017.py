"""Cheng and Malhi 2017: eleven abdominal views, CaffeNet, VGGNet and a radiologist on the same 1,423 images.

Confusion matrices and most regions of the Venn diagram are pictures there: they are missing here.
"""

from itertools import product

import numpy as np
import pandas as pd

from engine.published.citation import Citation, read

CITATION = Citation(
    authors="Cheng, Malhi",
    title="Transfer Learning with Convolutional Neural Networks for Classification of Abdominal Ultrasound Images",
    journal="Journal of Digital Imaging 30(2):234-243",
    year=2017,
    doi="10.1007/s10278-016-9929-2",
)
READERS = ("CaffeNet", "VGGNet", "radiologist")
STUDIES = {"training": 136, "test": 49}
"""Ultrasound studies (one per patient) whose images train and test."""
TEST_IMAGES = 1423
COUNTS_OF_TESTS = {
    "CaffeNet vs VGGNet": (("CaffeNet", "test"), ("VGGNet", "test")),
    "CaffeNet: Toshiba vs Philips": (("CaffeNet", "test, Toshiba"), ("CaffeNet", "test, Philips")),
    "VGGNet: Toshiba vs Philips": (("VGGNet", "test, Toshiba"), ("VGGNet", "test, Philips")),
    "radiologist vs CaffeNet": (("radiologist", "test"), ("CaffeNet", "test")),
    "radiologist vs VGGNet": (("radiologist", "test"), ("VGGNet", "test")),
}
"""The two rows of `results` (reader, subset; top 1) that each comparison of `tests` takes. Inferred: the paper prints
no counts beside its tests; with these all five come out to the printed digits."""
LIVER_CONFUSIONS = (
    ("liver right longitudinal", "liver right transverse"),
    ("liver right transverse", "liver right longitudinal"),
    ("liver left longitudinal", "liver left transverse"),
    ("liver left transverse", "liver left longitudinal"),
)
"""Cells (truth, said) in which the paper finds the radiologist's excess errors."""


def classes() -> pd.DataFrame:
    """Images per category (Table 2), columns category, training, test, total.

    The training images add up to 4,095; the text of the paper says 4,094.
    """
    return read("cheng2017_classes")


def results() -> pd.DataFrame:
    """Images that each reader got right; columns reader, subset, top (1 or 2), correct, images.

    No top 2 of the radiologist, who named one category per image; no training images and no scanners of the
    radiologist either.
    """
    return read("cheng2017_results")


def tests() -> pd.DataFrame:
    """The five chi-square tests as printed; columns comparison, chi2, df, p (text: 0.719, <0.001)."""
    return read("cheng2017_tests").astype({"p": str})


def agreement() -> pd.DataFrame:
    """The two counts of the Venn diagram (Fig. 4) that the text gives; columns region, images, of."""
    return read("cheng2017_agreement")


def regions() -> pd.DataFrame:
    """All eight regions of the Venn diagram; columns CaffeNet, VGGNet, radiologist (right or not) and images.

    `images` is NaN in the six regions that the text does not give.
    """
    known = agreement()["images"]
    table = pd.DataFrame(list(product([True, False], repeat=len(READERS))), columns=list(READERS))
    table["images"] = np.nan
    table.loc[table[list(READERS)].all(axis=1), "images"] = float(known.iloc[0])
    table.loc[~table[list(READERS)].any(axis=1), "images"] = float(known.iloc[1])
    return table


def times() -> pd.DataFrame:
    """Hours of training and reading, seconds per test image, and the radiologist's accuracy without excess errors.

    Columns: reader, what, value, unit.
    """
    return read("cheng2017_times")
