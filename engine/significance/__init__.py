"""What may be said of differences: by how much, how surely, and what nobody can tell. Needs no torch.

The main analysis is on per-image paired differences, resampled by group (`paired`, `resampling`), or the corrected
resampled t test over folds (`corrected_t`). `as_published` repeats the papers' test beside it. `recommendation` rests
on non-inferiority, `claims` holds the paper's statements against a study, `agreement` compares orders.

Of classification, `answers` says what readers (networks or persons) give: `accuracy` of one, `paired_accuracy` of two
on the same frames, `confusion` and `agreement_regions`; `chi_square` repeats the papers' test.
"""

from engine.significance.accuracy import Accuracy, accuracy_interval
from engine.significance.agreement import OrderAgreement, agreement_table, order_agreement
from engine.significance.agreement_regions import MOST_CIRCLES, agreement_regions
from engine.significance.as_published import tukey_over_fractions, tukey_over_strategies
from engine.significance.balanced import balanced_intervals
from engine.significance.calibration import expected_calibration_error, reliability
from engine.significance.chi_square import ChiSquare, chi_square_yates
from engine.significance.claims import claim_table
from engine.significance.confusion import (
    Confusion,
    DifferenceConfusion,
    WithoutExcess,
    accuracy_without_excess,
    confusion,
    difference_confusion,
)
from engine.significance.corrected_t import CorrectedTest, Family, corrected_family, corrected_t, holm, split_ratio
from engine.significance.estimates import Estimate
from engine.significance.measured import FEWEST_FOLDS, FEWEST_UNITS, with_starts
from engine.significance.paired import Comparison, compare, compare_all, image_differences, paired_differences
from engine.significance.paired_accuracy import PairedAccuracy, accuracy_family, mcnemar, paired_accuracy
from engine.significance.power import MoreTrials, smallest_difference, trials_that_would
from engine.significance.recommendation import Recommendation, recommend, recommend_from_means
from engine.significance.resampling import CellInterval, bootstrap_interval, cell_interval, cell_intervals
from engine.significance.venn import Circle, VennLayout, venn_layout

__all__ = [
    "FEWEST_FOLDS",
    "FEWEST_UNITS",
    "MOST_CIRCLES",
    "Accuracy",
    "CellInterval",
    "ChiSquare",
    "Circle",
    "Comparison",
    "Confusion",
    "CorrectedTest",
    "DifferenceConfusion",
    "Estimate",
    "Family",
    "MoreTrials",
    "OrderAgreement",
    "PairedAccuracy",
    "Recommendation",
    "VennLayout",
    "WithoutExcess",
    "accuracy_family",
    "accuracy_interval",
    "accuracy_without_excess",
    "agreement_regions",
    "agreement_table",
    "balanced_intervals",
    "bootstrap_interval",
    "cell_interval",
    "cell_intervals",
    "chi_square_yates",
    "claim_table",
    "compare",
    "compare_all",
    "confusion",
    "corrected_family",
    "corrected_t",
    "difference_confusion",
    "expected_calibration_error",
    "holm",
    "image_differences",
    "mcnemar",
    "order_agreement",
    "paired_accuracy",
    "paired_differences",
    "recommend",
    "recommend_from_means",
    "reliability",
    "smallest_difference",
    "split_ratio",
    "trials_that_would",
    "tukey_over_fractions",
    "tukey_over_strategies",
    "venn_layout",
    "with_starts",
]
