"""Whether a fold of one strategy is that of the same number of another: the same images, so that both may be joined.

Where a study draws other folds for every strategy and fraction (`split.new_folds`), they are not.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

COLUMN = "shared_folds"
OWN = "every strategy and part of the images has folds of its own"


def has_shared_folds(facts: Mapping[str, Any]) -> bool:
    """Whether all strategies and fractions of a study have the same folds, as its facts say."""
    return not facts["data"].get("new_folds", False)


def with_shared_folds(cells: pd.DataFrame, facts: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """The cells with a column `shared_folds`, by the `facts` of their study; True where nothing says it."""
    if facts is not None:
        return cells.assign(**{COLUMN: has_shared_folds(facts)})
    known = cells[COLUMN] if COLUMN in cells else pd.Series(True, index=cells.index)
    return cells.assign(**{COLUMN: known.ne(False)})
