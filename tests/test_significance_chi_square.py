"""Chi-square with Yates' correction, as published."""

import numpy as np
import pytest

from engine.errors import DataError
from engine.published import cheng2017
from engine.significance import chi_square_yates


def counts(comparison: str) -> tuple[int, int, int, int]:
    """Right answers and frames of the two sides of a published comparison."""
    results = cheng2017.results().query("top == 1").set_index(["reader", "subset"])
    (right_a, n_a), (right_b, n_b) = (
        results.loc[row, ["correct", "images"]] for row in cheng2017.COUNTS_OF_TESTS[comparison]
    )
    return int(right_a), int(n_a), int(right_b), int(n_b)


@pytest.mark.parametrize(
    ("comparison", "chi2", "p"),
    [
        ("CaffeNet vs VGGNet", "0.129", "0.719"),
        ("CaffeNet: Toshiba vs Philips", "6.43", "0.011"),
        ("VGGNet: Toshiba vs Philips", "0.10", "0.75"),
        ("radiologist vs CaffeNet", "11.54", "<0.001"),
        ("radiologist vs VGGNet", "14.44", "<0.001"),
    ],
)
def test_the_five_published_tests_come_out_to_the_printed_digits(comparison: str, chi2: str, p: str) -> None:
    # Cheng and Malhi 2017, Results, made with R: prop.test(c(1100, 1109), c(1423, 1423)) and so on, with the counts of
    # `cheng2017.COUNTS_OF_TESTS`. SciPy: chi2_contingency([[1100, 323], [1109, 314]]).statistic = 0.1294433
    found = chi_square_yates(*counts(comparison))
    assert f"{found.chi2:.{len(chi2.split('.')[1])}f}" == chi2
    assert found.p < 0.001 if p == "<0.001" else f"{found.p:.{len(p.split('.')[1])}f}" == p
    assert (found.df, found.reason) == (1, "")
    printed = cheng2017.tests().set_index("comparison").loc[comparison]
    assert float(printed["chi2"]) == float(chi2)
    assert printed["p"] == p


def test_without_the_correction_they_would_not() -> None:
    # SciPy: chi2_contingency([[1100, 323], [1109, 314]], correction=False).statistic = 0.1638267
    right_a, n_a, right_b, n_b = counts("CaffeNet vs VGGNet")
    pooled = (right_a + right_b) / (n_a + n_b)
    plain = (right_a / n_a - right_b / n_b) ** 2 / (pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
    assert plain == pytest.approx(0.1638267, abs=5e-8)
    assert chi_square_yates(right_a, n_a, right_b, n_b).chi2 < plain


def test_it_says_what_it_does_not_see() -> None:
    assert chi_square_yates(8, 10, 5, 10).label == (
        "as published: chi-square with Yates' correction; ignores pairing and clustering"
    )


def test_where_nothing_differs_there_is_no_test() -> None:
    for right, reason in ((0, "no test: no answer is right"), (10, "no test: every answer is right")):
        found = chi_square_yates(right, 10, right, 10)
        assert (found.reason, np.isnan(found.p)) == (reason, True)
    assert chi_square_yates(0, 0, 5, 10).reason == "no test: no frame was answered"
    # Two equal counts do not differ, whatever the correction would take off.
    assert (chi_square_yates(5, 10, 5, 10).chi2, chi_square_yates(5, 10, 5, 10).p) == (0.0, 1.0)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(DataError, match="11 right answers of 10 frames; expected 0 to 10"):
        chi_square_yates(11, 10, 5, 10)
