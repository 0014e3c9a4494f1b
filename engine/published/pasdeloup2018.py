"""Pasdeloup et al. 2018: seven cardiac views, one scanner to another, input against output layers."""

import pandas as pd

from engine.published.citation import Citation, read

CITATION = Citation(
    authors="Pasdeloup, Østvik, Smistad, Løvstakken",
    title="Retraining strategies for improved generalization of deep neural networks in ultrasound imaging",
    journal="conference abstract, CIUS, Norwegian University of Science and Technology",
    year=2018,
    doi="",
)
KNOWN, UNKNOWN = "GE Vivid E9", "GE Vscan"
"""The scanner of training, and the other one."""
FRAMES = {KNOWN: 230_711, UNKNOWN: 8_234}
"""Frames tested of each scanner."""
FOLDS = 4
"""0.5 training, 0.25 validation, 0.25 test, for everything that was trained on the other scanner."""
SPREAD = "what follows ± in the abstract's table is not explained there; read as the standard deviation over four folds"


def accuracy() -> pd.DataFrame:
    """Accuracy of CVCNet and MobileNet as they are on both scanners, and adapted to the other one.

    Columns: model, strategy, scanner, accuracy_percent_mean, accuracy_percent_spread (see `SPREAD`; NaN for single
    passes), frames. Two decimals where the abstract's text has them, one elsewhere.
    """
    return read("pasdeloup2018")
