"""Strategies against each other, as the report tells them, kept until the study changes.

A part of the cached door to the engine; its tables are shared and must not be changed.
"""

from dataclasses import dataclass

import pandas as pd

from dashboard import data
from dashboard.figures.cells import Rate
from dashboard.one_version import one_version
from dashboard.places import store_root
from dashboard.report.comparisons import against_reference, as_published, family, fold_values, new_folds
from dashboard.report.findings import read_findings
from engine.significance import tukey_over_fractions
from engine.store import Store


@dataclass(frozen=True, kw_only=True)
class Differences:
    """What the main analysis says of a study's strategies."""

    reference: str
    margin: float
    against: pd.DataFrame
    """A row per strategy and row of Table II, as `report.comparisons.against_reference` makes them."""
    family: str
    """Which tests are corrected together, in words; why there is none where there is none."""


@dataclass(frozen=True, kw_only=True)
class Tukey:
    """The test as published: Tukey's HSD over folds."""

    strategies: pd.DataFrame
    """As `engine.significance.tukey_over_strategies`."""
    fractions: pd.DataFrame
    """As `engine.significance.tukey_over_fractions`."""


def differences(study: str, rate: Rate) -> Differences:
    """The differences at `rate`; they take seconds where test images are many."""
    return _differences(store_root(), study, data.stamp(study), rate)


@one_version(8)
def _differences(root: str, study: str, version: str, rate: Rate) -> Differences:
    found = read_findings(Store.at(root), study, rate=rate)
    paired = not new_folds(found)
    return Differences(
        reference=found.reference,
        margin=found.margin,
        against=against_reference(found),
        family=family(found) if paired else "every strategy has folds of its own, so that folds cannot be paired",
    )


def tukey(study: str, rate: Rate) -> Tukey:
    """The published test at `rate`; its p values are integrals that take seconds."""
    return _tukey(store_root(), study, data.stamp(study), rate)


@one_version(8)
def _tukey(root: str, study: str, version: str, rate: Rate) -> Tukey:
    found = read_findings(Store.at(root), study, rate=rate)
    return Tukey(strategies=as_published(found), fractions=tukey_over_fractions(fold_values(found)))
