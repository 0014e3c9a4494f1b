"""Which trials of a study can be loaded again, and which one is meant by "best" or by an id's first letters."""

import pandas as pd

from engine.errors import StoreError
from engine.store import Store, closed_ids, latest

BEST = "best"
FEWEST_LETTERS = 4
"""Letters of an id that are asked for at least."""


def trained_trials(store: Store, study: str) -> pd.DataFrame:
    """A row per planned trial whose trained tensors are kept: those of most images first, then by validation.

    Failed folds that were trained again come behind all others, so that none of them is "best" before those.

    Column `best_validation` is Dice, or accuracy of classes, on the trial's own validation images; NaN where nothing
    validated it. Raises StoreError where there is no such study, or it cannot be read.
    """
    store.study_text(study)
    plan = store.plan(study)
    kept = store.has_weights(study) & set(plan["id"])
    attempts = store.attempts(study)
    rows = attempts[attempts["id"].isin(kept)]
    rows = rows.assign(best_validation=rows["validation_dice"].fillna(rows["validation_accuracy"]).astype(float))
    if not len(rows):
        return rows
    order = ["repeat", "fraction", "best_validation"]
    return latest(rows).sort_values(order, ascending=[True, False, False], kind="stable")


def unkept(store: Store, study: str) -> str:
    """One line where trials of the study are finished and no trained tensors of them are there; else ""."""
    done = closed_ids(store.attempts(study, ("state",)))
    if not done or done & store.has_weights(study):
        return ""
    return (
        f"study '{study}': of {len(done)} finished trials no trained weights were kept (its 'keep_weights'); another "
        "study's name, with 'keep_weights: all', trains them again"
    )


def find_trial(store: Store, study: str, wanted: str) -> str:
    """The id of the trained trial that `wanted` names: an id, the first letters of one, or "best".

    "best" has the highest Dice (accuracy of classes) on validation images among the trials of most images; test images
    have no say. Raises StoreError where there is none, or several begin so.
    """
    table = trained_trials(store, study)
    if not len(table):
        if line := unkept(store, study):
            raise StoreError(line)
        raise StoreError(f"study '{study}' has no trained trial yet; run it, or wait for its first one")
    if wanted == BEST:
        if table["best_validation"].isna().all():
            raise StoreError(f"study '{study}' validated no trial, so none is best; name one by its id")
        return str(table["id"].iloc[0])
    ids = [str(one) for one in table["id"]]
    if wanted in ids:
        return wanted
    found = [one for one in ids if one.startswith(wanted.lower())] if len(wanted) >= FEWEST_LETTERS else []
    if len(found) == 1:
        return found[0]
    if found:
        raise StoreError(f"study '{study}': {len(found)} trials begin with '{wanted}'; give more letters of the id")
    done = closed_ids(store.attempts(study, ("state",)))
    if len(wanted) >= FEWEST_LETTERS and (found := [one for one in done if one.startswith(wanted.lower())]):
        store.trained_weights(study, found[0])  # raises: they were not kept
    few = f"at least {FEWEST_LETTERS} letters of an id" if len(wanted) < FEWEST_LETTERS else "another id"
    raise StoreError(
        f"study '{study}': no trained trial begins with '{wanted}' among {len(ids)}; give {few}, or 'best'"
    )
