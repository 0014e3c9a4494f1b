"""A recommendation as one plain sentence: numbers, bound, what was measured, cost."""

from typing import Any, Literal

import pandas as pd

from engine.significance.power import MoreTrials

Outcome = Literal["recommended", "reference only", "cannot tell"]
REFERENCE = "the reference"
"""In a table of candidates, the reason of the reference."""


def sentence(
    outcome: Outcome,
    table: pd.DataFrame,
    closest: dict[str, Any] | None,
    reference: str,
    margin: float,
    basis: str,
    smallest: float | None,
    trials: MoreTrials | None,
) -> str:
    """The outcome in words, with its cost or with the trials that would tell more; `closest` is a row of `table`."""
    if closest is None:
        return _without_bounds(outcome, table, reference)
    name, basis = closest["strategy"], f"{basis}; {_counts(closest)}"
    if outcome == "recommended":
        return (
            f"Fine-tune {name}: mean Dice {_below(closest['loss'])} {reference}, "
            f"{_at_most(closest['bound'])} ({basis}), within the margin of {margin:.3f}. "
            f"{_cost(closest, table, reference)}"
        )
    if outcome == "reference only":
        return (
            f"Keep {reference}: every cheaper strategy loses more than {margin:.3f} Dice. The closest, {name}, is "
            f"{_below(closest['loss'])}, at least {closest['least']:.3f} ({basis})."
        )
    text = (
        f"The data cannot tell which cheaper strategy stays within {margin:.3f} Dice of {reference}: the closest, "
        f"{name}, is {_below(closest['loss'])}, {_at_most(closest['bound'])} ({basis})."
    )
    if smallest is not None and smallest >= 1:
        text += " This study could have seen no loss at all, however large (80 % power)."
    elif smallest is not None:
        text += f" The smallest loss that this study could have seen is {smallest:.3f} (80 % power)."
    return f"{text} {trials.sentence}" if trials else text


def _without_bounds(outcome: Outcome, table: pd.DataFrame, reference: str) -> str:
    if outcome == "reference only":
        return f"No strategy that trains fewer parameters than {reference} was tried."
    own = table[table["strategy"] == reference]
    if not len(own):
        return f"The data cannot tell: {reference}, which others are held against, is not in this study."
    if own["reason"].iloc[0] != REFERENCE:
        return f"The data cannot tell: {reference}, which others are held against: {own['reason'].iloc[0]}."
    reasons = dict.fromkeys(reason for reason in table.loc[table["cheaper"], "reason"] if reason)
    return f"The data cannot tell: {'; '.join(reasons)}."


def _below(loss: float) -> str:
    return f"{abs(loss):.3f} {'below' if loss >= 0 else 'above'}"


def _at_most(bound: float) -> str:
    return f"at most {bound:.3f} below" if bound >= 0 else f"at least {-bound:.3f} above"


def _counts(row: dict[str, Any]) -> str:
    images = f"{row['images']:.0f} test images, " if pd.notna(row["images"]) else ""
    return f"{images}{row['folds']:.0f} folds"


def _cost(row: dict[str, Any], table: pd.DataFrame, reference: str) -> str:
    whole = table[table["strategy"] == reference].iloc[0]
    parts = [f"{row['trainable']:,.0f} of the {whole['trainable']:,.0f} parameters that {reference} trains"]
    if pd.notna(row["megabytes"]):
        parts.append(f"{row['megabytes']:.1f} MB")
    if pd.notna(row["minutes"]):
        beside = f" ({reference} {whole['minutes']:.1f})" if pd.notna(whole["minutes"]) else ""
        parts.append(f"{row['minutes']:.1f} minutes per training{beside}")
    return f"It trains {', '.join(parts)}."
