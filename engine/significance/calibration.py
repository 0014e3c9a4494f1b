"""How far predicted probabilities are from how often they come true, from bins of test pixels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from engine.errors import DataError

BINS = ("low", "pixels", "probability_sum", "positive_pixels")


def expected_calibration_error(
    pixels: Int[np.ndarray, " bin"],
    probability_sum: Float[np.ndarray, " bin"],
    positive_pixels: Int[np.ndarray, " bin"],
) -> float:
    """The expected calibration error, 0 (calibrated) to 1: mean over pixels of |mean probability - part positive|.

    Each bin holds how many test pixels had a probability in it, the sum of their probabilities, and how many of them
    are in the structure. Empty bins weigh nothing; NaN without pixels. The probability is that of the structure, not
    of the more probable class. Source: Naeini, Cooper & Hauskrecht 2015 (AAAI).

    Raises DataError where a bin holds more positive pixels or probability than pixels, or negative counts.
    """
    impossible = (pixels < 0) | (positive_pixels < 0) | (positive_pixels > pixels)
    impossible |= (probability_sum < 0) | (probability_sum > pixels + 1e-6 * (1 + pixels))
    if impossible.any():
        place = int(np.flatnonzero(impossible)[0])
        raise DataError(
            f"calibration bin {place}: {pixels[place]} pixels, {positive_pixels[place]} of them positive, "
            f"probabilities that add up to {probability_sum[place]:g}; expected no more than the pixels"
        )
    total = int(pixels.sum())
    return float(np.abs(probability_sum - positive_pixels).sum() / total) if total else float("nan")


def reliability(bins: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """A row per bin that holds pixels (of each value of `by`): low, pixels, predicted, observed.

    `bins` has the columns low (lower edge), pixels, probability_sum, positive_pixels, in as many rows as there were
    trainings and bins; they are added up. `predicted` is the mean probability, `observed` the part in the structure.

    Raises DataError where a column is absent.
    """
    if missing := [name for name in (*by, *BINS) if name not in bins]:
        raise DataError(f"calibration bins: column '{missing[0]}' is missing; expected {', '.join((*by, *BINS))}")
    found = bins.groupby([*by, "low"], as_index=False)[list(BINS[1:])].sum()
    found = found[found["pixels"] > 0].reset_index(drop=True)
    found["predicted"] = found.pop("probability_sum") / found["pixels"]
    found["observed"] = found.pop("positive_pixels") / found["pixels"]
    return found
