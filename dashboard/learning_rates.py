"""Every learning rate that a study was trained with, kept until the study changes.

A part of the cached door to the engine; its table is shared and must not be changed.
"""

import pandas as pd

from dashboard import data, kept
from dashboard.figures.learning_rates import learning_rates_table
from dashboard.one_version import one_version
from dashboard.places import store_root


def tried_rates(study: str) -> pd.DataFrame:
    """A row per strategy and rate, as `figures.learning_rates.learning_rates_table` makes them."""
    return _tried_rates(store_root(), study, data.stamp(study))


@one_version(16)
def _tried_rates(root: str, study: str, version: str) -> pd.DataFrame:
    return learning_rates_table(
        kept.plan(root, study, version),
        kept.attempts(root, study, version),
        str(kept.facts(root, study, version)["data"]["name"]),
        measure=data.main(study).column,
    )
