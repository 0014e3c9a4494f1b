"""An attempt's way into a store that may refuse it (full, or out of reach), and which tensors stay there."""

import math
import time
from collections.abc import Callable
from typing import Any

from engine.errors import StoreError
from engine.store import Store, latest
from engine.trial import Attempt, Trial

WAIT_SECONDS = 120.0
"""How long a worker holds on to what it trained, while somebody makes room."""
PAUSE_SECONDS = 1.0


def keep(
    store: Store,
    study: str,
    attempt: Attempt,
    weights: bytes | None,
    tell: Callable[[str], None],
    *,
    wait_seconds: float = WAIT_SECONDS,
    pause_seconds: float = PAUSE_SECONDS,
) -> None:
    """Commit an attempt; where the store refuses, tell its reason and try again for so many seconds.

    Raises StoreError with the reason where it still refuses then.
    """
    begun = time.monotonic()
    while True:
        try:
            store.append(study, attempt, weights=weights)
            return
        except StoreError as error:
            if time.monotonic() - begun >= wait_seconds:
                raise
            tell(str(error))
        time.sleep(pause_seconds)


def keep_best_fold(store: Store, study: str, trial: Trial | None = None) -> list[str]:
    """Removes trained tensors of all folds of the trial's cell but the best one's; gives the ids that they were of.

    Without a trial, of every cell.

    The best is by validation: the highest Dice or accuracy, then the lowest loss, then the lowest fold. Workers that
    end folds of a cell at the same moment may both look: each removes what is worse than a fold whose row is there.
    """
    plan = store.plan(study)
    cells = plan.drop(columns=["id", "fold"]).astype(str).agg("|".join, axis=1)
    if trial is not None:
        cells = cells[cells.isin(cells[plan["id"] == trial.id])]
    cell_of = dict(zip(plan.loc[cells.index, "id"], cells, strict=True))
    scores = ("validation_dice", "validation_accuracy", "validation_loss")
    done = latest(store.attempts(study, ("state", "fold", *scores), ids=cell_of))
    done = done[done["id"].isin(store.has_weights(study)) & (done["state"] == "completed")]
    worse = [
        name
        for _, rows in done.groupby(done["id"].map(cell_of))
        for _, name in sorted((_rank(row), str(row.id)) for row in rows.itertuples())[1:]
    ]
    for name in worse:
        store.delete_weights(study, name)
    return worse


def _rank(row: Any) -> tuple[float, float, int]:
    """Lower is better; what was not measured is worst."""
    score = next((one for one in (row.validation_dice, row.validation_accuracy) if not _is_missing(one)), -math.inf)
    return -score, math.inf if _is_missing(row.validation_loss) else row.validation_loss, int(row.fold)


def _is_missing(value: float | None) -> bool:
    return value is None or math.isnan(value)
