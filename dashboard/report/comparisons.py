"""Tables of differences: every strategy against the reference, shallow against deep, the paper's claims."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dashboard.figures.depth import PAIRS, pairs_of
from dashboard.figures.shared_folds import has_shared_folds
from dashboard.report.findings import Findings, Row
from engine.significance import claim_table, compare_all, corrected_family, split_ratio, tukey_over_strategies

PLACE = ["dataset", "fraction"]
AGAINST = [*PLACE, "strategy", "difference", "low", "high", "simultaneous_low", "simultaneous_high"]
AGAINST += ["loss", "bound", "within_margin", "smallest_difference", "p_holm", "folds", "images", "note"]
SHALLOW = [
    *PLACE,
    "pair",
    "first",
    "second",
    "difference",
    "low",
    "high",
    "p_holm",
    "p_tukey",
    "folds",
    "images",
    "note",
]


def against_reference(findings: Findings) -> pd.DataFrame:
    """A row per strategy and row of Table II: mean paired `difference` to the reference, with what may be said.

    `low` and `high` are its 95 % interval, `simultaneous_low` and `_high` hold for all strategies of the row at once,
    `bound` is the one-sided 95 % bound of the loss that recommendations rest on, `smallest_difference` the true loss
    that the study would have found with 80 % power at the level of that bound, `p_holm` the corrected resampled t
    test with Holm over all strategies and rows. NaN where there is none; `note` says why.
    """
    found = []
    for row in findings.rows:
        names = [name for name in _tested(row) if name != findings.reference]
        if row.recommendation is None or findings.reference not in _tested(row) or not names:
            continue
        table = compare_all(row.images, [(name, findings.reference) for name in names])
        bounds = row.recommendation.candidates[["strategy", "loss", "bound", "non_inferior", "smallest_difference"]]
        table = table.rename(columns={"first": "strategy", "mean_difference": "difference"})
        table = table.merge(bounds.rename(columns={"non_inferior": "within_margin"}), on="strategy", how="left")
        found.append(table.assign(dataset=row.dataset, fraction=row.fraction))
    if not found:
        return pd.DataFrame(columns=AGAINST)
    table = pd.concat(found, ignore_index=True)
    pairs = [(name, findings.reference) for name in dict.fromkeys(table["strategy"])]
    tests = _family(findings, pairs).rename(columns={"first": "strategy"})
    return table.merge(tests[[*PLACE, "strategy", "p_holm"]], on=[*PLACE, "strategy"], how="left")[AGAINST]


def shallow_and_deep(findings: Findings) -> pd.DataFrame:
    """A row per pair of `compared` and row of Table II: paired Dice (or accuracy) of the first minus the second.

    `p_tukey` is the papers' own test over folds, which share training images: too small, shown for comparison.
    """
    found = []
    for row in findings.rows:
        pairs = {names: pair for pair, names in compared(findings).items() if set(names) <= set(_tested(row))}
        if pairs and row.recommendation is not None:
            table = compare_all(row.images, list(pairs)).rename(columns={"mean_difference": "difference"})
            named = [pairs[pair] for pair in zip(table["first"], table["second"], strict=True)]
            found.append(table.assign(pair=named, dataset=row.dataset, fraction=row.fraction))
    if not found:
        return pd.DataFrame(columns=SHALLOW)
    table = pd.concat(found, ignore_index=True)
    key = [*PLACE, "first", "second"]
    table = table.merge(_family(findings, list(compared(findings).values()))[[*key, "p_holm"]], on=key, how="left")
    tukey = as_published(findings)
    turned = tukey.rename(columns={"first": "second", "second": "first"})
    tukey = pd.concat([tukey, turned])[[*key, "p"]].rename(columns={"p": "p_tukey"})
    return table.merge(tukey, on=key, how="left")[SHALLOW]


def compared(findings: Findings) -> dict[str, tuple[str, str]]:
    """Pairs of strategies by name: the paper's shallow and deep ones, or those that classification studies ask for."""
    return PAIRS if findings.main.task == "segmentation" else pairs_of(findings.cells, findings.reference)


def as_published(findings: Findings) -> pd.DataFrame:
    """Tukey's HSD over folds of every pair of strategies in each row of Table II, as `tukey_over_strategies`."""
    return tukey_over_strategies(fold_values(findings))


def claims(findings: Findings) -> pd.DataFrame:
    """A row per claim of the paper with what this study says of it, as `engine.significance.claim_table`."""
    beside = findings.facts["data"].get("compare_with")
    return claim_table(
        fold_values(findings), findings.images, stands_for=beside, margin=findings.margin, of=findings.of
    )


def family(findings: Findings) -> str:
    """Which tests `p_holm` of `against_reference` is corrected over, in words."""
    pairs = [(name, findings.reference) for name in dict.fromkeys(findings.cells["strategy"])]
    found = corrected_family(
        fold_values(findings),
        [pair for pair in pairs if pair[0] != pair[1]],
        name=f"every strategy against {findings.reference}",
        ratio=split_ratio(findings.of),
    )
    return found.description


def fold_values(findings: Findings) -> pd.DataFrame:
    """A row per fold of the complete cells: dataset, fraction, strategy, fold, value (Dice or accuracy), minutes."""
    return findings.complete_folds[[*PLACE, "strategy", "fold", "value", "minutes"]]


def _family(findings: Findings, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    found = corrected_family(fold_values(findings), pairs, name="", ratio=split_ratio(findings.of))
    return found.table if not new_folds(findings) else found.table.assign(p_holm=np.nan)


def new_folds(findings: Findings) -> bool:
    """Whether every strategy and fraction has folds of its own, so that folds cannot be paired."""
    return not has_shared_folds(findings.facts)


def _tested(row: Row) -> list[str]:
    tested = set(row.images["strategy"])
    return [name for name in row.cells["strategy"] if name in tested]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries, NaN as None."""
    return [
        {str(name): None if _missing(value) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _missing(value: Any) -> bool:
    return not isinstance(value, list) and bool(pd.isna(value))
