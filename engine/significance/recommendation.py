"""The cheapest strategy that is shown to be no worse than the reference by more than a margin, or that nobody can tell.

Non-inferiority, not "not significant": a strategy is recommended where the one-sided 95 % bound of its Dice loss
against a reference that was named before stays within the margin, corrected for the number of cheaper strategies.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from engine.errors import DataError
from engine.significance.corrected_t import corrected_standard_error, split_ratio
from engine.significance.measured import drawn_by, measured
from engine.significance.non_inferiority import LEVEL, paired_bounds, unpaired_bounds
from engine.significance.paired import in_same_folds
from engine.significance.power import MoreTrials, detectable, images_that_would, trials_that_would
from engine.significance.recommendation_words import REFERENCE, Outcome, sentence
from engine.significance.rows import rows

NO_FINE_TUNING = ("from scratch", "as pre-trained")
"""Strategies that are no way of fine-tuning, and so no candidates."""
COSTS = ("strategy", "complete", "failed", "trainable")
COLUMNS = ["strategy", "loss", "bound", "least", "non_inferior", "trainable", "minutes", "megabytes"]
COLUMNS += ["smallest_difference", "folds", "images", "corrected_bound", "reason"]


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """What to fine-tune, with the numbers that it rests on."""

    outcome: Outcome
    """`reference only`: no cheaper strategy was tried, or each is shown to lose more than the margin."""
    strategy: str | None
    """The cheapest by trained parameters that stays within the margin; the reference where only that is left."""
    reference: str
    margin: float
    """Largest loss of Dice that is accepted."""
    closest: str | None
    """The candidate that `loss`, `bound` and `smallest_difference` are of: the recommended one, else the one with the
    lowest bound; None without bounds."""
    loss: float | None
    """Dice of the reference minus Dice of `closest`."""
    bound: float | None
    """Upper one-sided bound of `loss`, corrected for the number of strategies."""
    smallest_difference: float | None
    """True loss of `closest` that this study would have found with 80 % power, at the corrected level."""
    trials: MoreTrials | None
    """Where the data cannot tell: what would bring the bound of `closest` within the margin."""
    trained_parameters: int | None
    """Of `strategy`, as minutes and megabytes."""
    minutes: float | None
    """Mean wall minutes per training."""
    megabytes: float | None
    """Size of the trained tensors."""
    candidates: pd.DataFrame
    """A row per strategy, cheapest first: strategy, loss, bound, least (lower one-sided bound), non_inferior,
    trainable, minutes, megabytes, smallest_difference (true loss that this study would have found with 80 % power, at
    the corrected level), folds, images, corrected_bound (upper bound by the corrected resampled t over
    folds alone, as a check; it decides nothing), reason (why it is no candidate, or "")."""
    sentence: str
    note: str
    """How the bounds were made."""


def recommend(
    images: pd.DataFrame,
    cells: pd.DataFrame,
    *,
    reference: str = "whole network",
    margin: float = 0.01,
    of: int = 5,
) -> Recommendation:
    """The recommendation for one data set, fraction and start, from paired Dice on the same test images.

    `images` as `paired.pair` takes them. `cells` has a row per strategy: strategy, complete (all folds done), failed
    (trainings), trainable, and where known crashed, collapsed, minutes, megabytes. `of` is how many folds the data
    are split into. Candidates train fewer parameters than the reference and converged in all folds.

    Raises DataError where `cells` lacks a column or has a strategy twice, or as `paired.pair` does.
    """
    table = _candidates(cells, reference)
    untested = table["reason"].isin(["", REFERENCE]) & ~table["strategy"].isin(measured(images)["strategy"])
    table["reason"] = table["reason"].mask(untested, "no test images")
    names = _names(table, reference)
    bounds = paired_bounds(images, reference, names, ratio=split_ratio(of))
    drawn = "groups of test images" if drawn_by(images["group"]) == "group" else "test images"
    own = "" if in_same_folds(images) else " of the reference and of the strategy, which have folds of their own,"
    note = (
        f"paired loss per test image; one-sided {100 * (1 - LEVEL):.0f} % bounds that let {drawn} and folds{own} vary "
        "and take neither variance for known (generalized confidence bounds, Weerahandi 1993; with the correction for "
        f"shared training images of Nadeau & Bengio 2003), {_correction(bounds)} (Bonferroni)"
    )
    return _decide(table, bounds, reference, margin, of, note)


def recommend_from_means(
    cells: pd.DataFrame, *, reference: str = "whole network", margin: float = 0.01, rounding: float = 0.0005
) -> Recommendation:
    """The recommendation for one data set and fraction where only means and sd over folds are known, as in a paper.

    `cells` as in `recommend`, with mean, sd (n - 1) and folds; `rounding` is half a unit of the last printed digit.
    On the safe side, as `unpaired_bounds` describes: what was paired cannot be seen in a table.

    Raises DataError where `cells` lacks a column or has a strategy twice.
    """
    if missing := [name for name in ("mean", "sd", "folds") if name not in cells]:
        raise DataError(
            f"cells: column '{missing[0]}' is missing; expected {', '.join((*COSTS, 'mean', 'sd', 'folds'))}"
        )
    table = _candidates(cells, reference)
    names = _names(table, reference)
    of = int(cells["folds"].max()) if len(cells) else 0
    bounds = unpaired_bounds(cells, reference, names, ratio=split_ratio(max(of, 2)), rounding=rounding)
    note = (
        f"loss of means over folds, unpaired; one-sided {100 * (1 - LEVEL):.0f} % bounds by the corrected variance "
        f"over folds (Nadeau & Bengio 2003), {_correction(bounds)} (Bonferroni)"
    )
    return _decide(table, bounds, reference, margin, of, note)


def _candidates(cells: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Strategies with their costs, cheapest first, and why some are no candidates."""
    if missing := [name for name in COSTS if name not in cells]:
        raise DataError(f"cells: column '{missing[0]}' is missing; expected {', '.join(COSTS)}")
    if cells["strategy"].duplicated().any():
        twice = cells.loc[cells["strategy"].duplicated(), "strategy"].iloc[0]
        raise DataError(f"cells: '{twice}' has several rows; choose one data set, fraction and start")
    table = cells.reindex(columns=[*COSTS, "crashed", "collapsed", "minutes", "megabytes"])
    own = table.loc[table["strategy"] == reference, "trainable"]
    most = float(own.iloc[0]) if len(own) else float("inf")
    table["reason"] = [_why_not(row, reference, most) for row in rows(table)]
    table["cheaper"] = ~table["strategy"].isin([*NO_FINE_TUNING, reference]) & (table["trainable"] < most)
    table["cheaper"] &= table["reason"] != "another network"
    return table.sort_values(["trainable", "minutes", "strategy"], ignore_index=True)


def _why_not(row: dict[str, Any], reference: str, most: float) -> str:
    if row["strategy"] in NO_FINE_TUNING:
        return "no fine-tuning"
    if row["strategy"].startswith("smp "):
        return "another network"
    if not row["complete"]:
        return "not all folds are done"
    if row["failed"] > 0:
        return f"{row['failed']:.0f} training{'' if row['failed'] == 1 else 's'} failed to converge"
    if row["crashed"] > 0:
        return f"{row['crashed']:.0f} training{'' if row['crashed'] == 1 else 's'} crashed"
    if row["strategy"] == reference and row["collapsed"] > 0:  # anything is as good as nothing
        return f"{row['collapsed']:.0f} training{'' if row['collapsed'] == 1 else 's'} only said background"
    if row["strategy"] == reference:
        return REFERENCE
    return f"not cheaper than {reference}" if row["trainable"] >= most else ""


def _names(table: pd.DataFrame, reference: str) -> list[str]:
    """The candidates, where the reference has results to be compared with."""
    usable = (table["reason"] == REFERENCE).any()
    return [str(name) for name in table.loc[table["reason"] == "", "strategy"]] if usable else []


def _correction(bounds: pd.DataFrame) -> str:
    count = int(bounds["bound"].notna().sum())
    return f"corrected for {count} strateg{'y' if count == 1 else 'ies'}"


def _decide(
    table: pd.DataFrame, bounds: pd.DataFrame, reference: str, margin: float, of: int, note: str
) -> Recommendation:
    table = table.merge(bounds.rename(columns={"reason": "why"}), on="strategy", how="left")
    table["reason"] = table["reason"].where(table["reason"] != "", table.pop("why").fillna(""))
    table["non_inferior"] = table["bound"] <= margin
    found = table.dropna(subset=["bound"])
    level = LEVEL / max(1, len(found))
    seen = [detectable(row["standard_error"], row["degrees"], level=level, sides=1) for row in rows(found)]
    table["smallest_difference"] = pd.Series(seen, index=found.index, dtype=float)
    found = table.loc[found.index]
    good, cheaper = found[found["non_inferior"]], table[table["cheaper"]]
    outcome: Outcome = "cannot tell"
    closest: dict[str, Any] | None = None
    if len(good):
        outcome, closest = "recommended", rows(good)[0]
    elif len(found):
        closest = rows(found.sort_values("bound", kind="stable"))[0]
        outcome = "reference only" if len(found) == len(cheaper) and (found["least"] > margin).all() else "cannot tell"
    elif not len(cheaper) and (table["reason"] == REFERENCE).any():
        outcome = "reference only"
    smallest, trials = None, None
    if closest is not None:
        smallest = float(closest["smallest_difference"])
        trials = _trials(closest, margin, of, level) if outcome == "cannot tell" else None
    chosen = reference if outcome == "reference only" else closest["strategy"] if closest and len(good) else None
    cost = rows(table[table["strategy"] == chosen])[0] if chosen else {}
    basis = f"one-sided {100 * (1 - LEVEL):.0f} % bound, {_correction(bounds)}"
    return Recommendation(
        outcome=outcome,
        strategy=chosen,
        reference=reference,
        margin=margin,
        closest=None if closest is None else str(closest["strategy"]),
        loss=None if closest is None else float(closest["loss"]),
        bound=None if closest is None else float(closest["bound"]),
        smallest_difference=smallest,
        trials=trials,
        trained_parameters=int(cost["trainable"]) if cost else None,
        minutes=float(cost["minutes"]) if cost and pd.notna(cost["minutes"]) else None,
        megabytes=float(cost["megabytes"]) if cost and pd.notna(cost["megabytes"]) else None,
        candidates=table[COLUMNS].reset_index(drop=True),
        sentence=sentence(outcome, table, closest, reference, margin, basis, smallest, trials),
        note=note,
    )


def _trials(closest: dict[str, Any], margin: float, of: int, level: float) -> MoreTrials:
    folds, room, ratio = int(closest["folds"]), float(margin - closest["loss"]), split_ratio(of)
    if pd.notna(closest["images"]):
        return images_that_would(
            half_width=float(closest["bound"] - closest["loss"]),
            fold_part=max(0.0, 1 - float(closest["image_part"])),
            room=room,
            level=level,
            folds=folds,
            of=of,
            ratio=ratio,
            images=int(closest["images"]),
        )
    sd = float(closest["standard_error"]) / corrected_standard_error(1.0, folds, ratio)
    return trials_that_would(sd=sd, folds=folds, of=of, ratio=ratio, room=room, level=level, sides=1)
