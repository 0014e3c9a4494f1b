"""What may be said of differences: by how much, how surely, and what nobody can tell. Needs no torch.

The main analysis is on per-image paired differences, resampled by group (`paired`, `resampling`), or the corrected
resampled t test over folds (`corrected_t`). `as_published` repeats the papers' test beside it. `recommendation` rests
on non-inferiority, `claims` holds the paper's statements against a study, `agreement` compares orders.
"""

from engine.significance.agreement import OrderAgreement, agreement_table, order_agreement
from engine.significance.as_published import tukey_over_fractions, tukey_over_strategies
from engine.significance.calibration import expected_calibration_error, reliability
from engine.significance.claims import claim_table
from engine.significance.corrected_t import CorrectedTest, Family, corrected_family, corrected_t, holm, split_ratio
from engine.significance.measured import FEWEST_FOLDS, FEWEST_UNITS, with_starts
from engine.significance.paired import Comparison, compare, compare_all, image_differences, paired_differences
from engine.significance.power import MoreTrials, smallest_difference, trials_that_would
from engine.significance.recommendation import Recommendation, recommend, recommend_from_means
from engine.significance.resampling import CellInterval, bootstrap_interval, cell_interval, cell_intervals

__all__ = [
    "FEWEST_FOLDS",
    "FEWEST_UNITS",
    "CellInterval",
    "Comparison",
    "CorrectedTest",
    "Family",
    "MoreTrials",
    "OrderAgreement",
    "Recommendation",
    "agreement_table",
    "bootstrap_interval",
    "cell_interval",
    "cell_intervals",
    "claim_table",
    "compare",
    "compare_all",
    "corrected_family",
    "corrected_t",
    "expected_calibration_error",
    "holm",
    "image_differences",
    "order_agreement",
    "paired_differences",
    "recommend",
    "recommend_from_means",
    "reliability",
    "smallest_difference",
    "split_ratio",
    "trials_that_would",
    "tukey_over_fractions",
    "tukey_over_strategies",
    "with_starts",
]
