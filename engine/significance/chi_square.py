"""The chi-square test of two counts of right answers, as Cheng and Malhi print it: beside ours, never in its place."""

from dataclasses import dataclass

import scipy  # scipy.stats loads when it is first used, not with this module

from engine.errors import DataError

LABEL = "as published: chi-square with Yates' correction; ignores pairing and clustering"


@dataclass(frozen=True, kw_only=True)
class ChiSquare:
    """What the test of a 2 x 2 table says."""

    chi2: float
    """NaN where there is no test (see `reason`)."""
    df: int
    p: float
    label: str
    """What the test does not see; stands beside it wherever it is shown."""
    reason: str
    """Why there is no test, or ""."""


def chi_square_yates(right_a: int, n_a: int, right_b: int, n_b: int) -> ChiSquare:
    """Whether two counts of right answers out of `n_a` and `n_b` differ, by chi-square with Yates' correction.

    Frames are taken as independent and the two counts as of different frames. Source: Cheng and Malhi 2017,
    Statistical Analysis; `scipy.stats.chi2_contingency`, as R's `prop.test` and `chisq.test`.

    Raises DataError where a count is negative or more than its frames.
    """
    for right, frames in ((right_a, n_a), (right_b, n_b)):
        if not 0 <= right <= frames:
            raise DataError(f"{right} right answers of {frames} frames; expected 0 to {frames}")
    reason = ""
    if not n_a or not n_b:
        reason = "no test: no frame was answered"
    elif right_a + right_b in (0, n_a + n_b):
        reason = f"no test: {'no' if right_a + right_b == 0 else 'every'} answer is right"
    if reason:
        return ChiSquare(chi2=float("nan"), df=1, p=float("nan"), label=LABEL, reason=reason)
    found = scipy.stats.chi2_contingency([[right_a, n_a - right_a], [right_b, n_b - right_b]], correction=True)
    return ChiSquare(chi2=float(found.statistic), df=int(found.dof), p=float(found.pvalue), label=LABEL, reason="")
