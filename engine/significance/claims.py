"""The ten claims of Amiri et al. 2020, held against a study of ours."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from engine import published
from engine.architectures import UNET_STRATEGIES
from engine.errors import DataError
from engine.significance.corrected_t import corrected_t, split_ratio
from engine.significance.intervals import Spread, ends, why_same
from engine.significance.measured import measured
from engine.significance.paired import in_same_folds, resampled_differences
from engine.significance.resampling import RESAMPLES
from engine.significance.rows import rows
from engine.significance.unpaired import unpaired_t
from engine.significance.verdicts import Difference, Kind, Unit, judge, told

Cell = tuple[str, float, str]
"""Data set, fraction in percent, strategy."""
Contrast = tuple[Cell, Cell]
Measured = dict[Contrast, tuple[dict[str, Any], Spread]]
"""What each contrast came to, and how it varies."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Which differences a claim speaks of."""

    pairs: tuple[tuple[str, str], ...] = ()
    """First and second strategy, within a fraction."""
    kind: Kind = "greater"
    at: float | None = None
    """The only fraction that the claim speaks of, percent; None where it speaks of all."""
    judged_at: float | None = None
    """The fraction that decides, percent, where others are only told."""
    best: str | None = None
    """A strategy that is above each other one of the paper's, in place of `pairs`."""
    more_data: bool = False
    """Every strategy with one fraction against the next smaller one, in place of `pairs`."""
    minutes: bool = False
    """Minutes of training at the largest fraction in place of Dice."""
    stated_for: tuple[str, ...] = ()
    """The only data sets of the paper that the claim speaks of; () where it speaks of all."""


CLAIMS = {
    "contracting > expanding (scheme 1)": Claim(
        pairs=(("contracting", "expanding"),), stated_for=("BUS", "FUS", "X-ray")
    ),
    "all except block 5 > block 5 (scheme 2)": Claim(pairs=(("all except block 5", "block 5"),)),
    "whole network > from scratch": Claim(pairs=(("whole network", "from scratch"),), judged_at=5.0),
    "more data is better (80 > 50 > 5 %)": Claim(more_data=True),
    "contracting > blocks 1,2 and > blocks 3,4": Claim(
        pairs=(("contracting", "blocks 1,2"), ("contracting", "blocks 3,4"))
    ),
    "block 1 > block 9": Claim(pairs=(("block 1", "block 9"),), stated_for=("BUS", "FUS", "X-ray")),
    "blocks 1,2,8,9 = blocks 3-7": Claim(pairs=(("blocks 1,2,8,9", "blocks 3-7"),), kind="equal"),
    "whole network = contracting = all except block 5 at 80 %": Claim(
        pairs=(
            ("whole network", "contracting"),
            ("whole network", "all except block 5"),
            ("contracting", "all except block 5"),
        ),
        kind="equal",
        at=80.0,
    ),
    "all except block 5 is best with 5 %": Claim(best="all except block 5", at=5.0, stated_for=("SUS", "BUS", "X-ray")),
    "fine-tuning shallow layers is faster": Claim(
        pairs=(("whole network", "contracting"), ("whole network", "all except block 5")), minutes=True
    ),
}
"""By the claim's text in `published.claims()`."""


def claim_table(
    folds: pd.DataFrame,
    images: pd.DataFrame,
    *,
    stands_for: str | None = None,
    margin: float = 0.01,
    of: int = 5,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """A row per claim: claim, section, published_outcome, does_table2_agree, ours, verdict, why.

    `folds` has fraction, strategy, fold, value (Dice), and where known minutes, done (cells with a fold that is not
    done are left out) and dataset; `images` has fraction, and dataset where there are several, beside the columns
    that `paired.pair` takes. `stands_for` is the paper's data set that the study stands beside, None where there is
    none. `of` is how many folds the data are split into. `ours` tells the mean differences with 95 % intervals and
    counts; `verdict` is "agrees", "disagrees", "cannot tell", "not in this study", or "not claimed" where the paper
    states it for other data sets alone. With two folds or fewer there is no interval, so it is "cannot tell", and
    `ours` tells directions.

    Raises DataError where a column is absent, or as `paired.pair` does.
    """
    folds, images = _complete(folds, images)
    place = ["dataset", "fraction", "strategy"]
    tested = set(map(tuple, images[place].drop_duplicates().to_numpy()))
    cells = [cell for cell in dict.fromkeys(map(tuple, folds[place].to_numpy())) if cell in tested]
    timed = list(dict.fromkeys(map(tuple, folds.dropna(subset=["minutes"])[place].to_numpy())))
    wanted = {name: contrasts(claim, timed if claim.minutes else cells) for name, claim in CLAIMS.items()}
    by_dice = {each for name, (those, _) in wanted.items() if not CLAIMS[name].minutes for each in those}
    measures = _measure(images, by_dice, resamples, seed)
    several = folds["dataset"].nunique() > 1
    found = []
    for row in rows(published.claims()):
        claim, (those, lacking) = CLAIMS[row["claim"]], wanted[row["claim"]]
        judged = [claim.judged_at in (None, each[0][1]) for each in those]
        if claim.minutes:
            every = [_of_minutes(each, folds, images, several, split_ratio(of), sum(judged)) for each in those]
        else:
            every = [_of_dice(each, *measures[each], several, sum(judged)) for each in those]
        deciding = [each for each, counts in zip(every, judged, strict=True) if counts]
        if every and not deciding and not lacking:
            lacking = [f"the paper calls it significant at {claim.judged_at:g} %, which this study does not have"]
        verdict, why = judge(deciding, claim.kind, margin, lacking)
        if claim.stated_for and stands_for is not None and stands_for not in claim.stated_for:
            verdict = "not claimed"
            why = f"the paper states this for {', '.join(claim.stated_for[:-1])} and {claim.stated_for[-1]}, not for "
            why += stands_for
        found.append({**row, "ours": told(every, claim.kind, margin), "verdict": verdict, "why": why})
    return pd.DataFrame(found)


def contrasts(claim: Claim, cells: Sequence[Cell]) -> tuple[list[Contrast], list[str]]:
    """The contrasts of `claim` that `cells` allow, and what is lacking for the others."""
    found: list[Contrast] = []
    lacking: dict[str, None] = {}
    for dataset in dict.fromkeys(cell[0] for cell in cells):
        own = [cell for cell in cells if cell[0] == dataset]
        fractions = sorted({cell[1] for cell in own}, reverse=True)
        if claim.more_data:
            for strategy in dict.fromkeys(cell[2] for cell in own):
                series = [
                    (dataset, fraction, strategy) for fraction in fractions if (dataset, fraction, strategy) in own
                ]
                found += pairwise(series)
            continue
        if claim.at is not None or claim.minutes:
            fractions = [fraction for fraction in fractions if claim.at in (None, fraction)][:1]
        if not fractions:
            lacking[f"no results with {claim.at:g} % of the images"] = None
        for fraction in fractions:
            there = [cell[2] for cell in own if cell[1] == fraction]
            others = [name for name in UNET_STRATEGIES if name != claim.best]
            pairs = [(claim.best, name) for name in others] if claim.best else claim.pairs
            here = [(first, second) for first, second in pairs if {first, second} <= set(there)]
            found += [((dataset, fraction, first), (dataset, fraction, second)) for first, second in here]
            absent = [name for name in dict.fromkeys(name for both in pairs for name in both) if name not in there]
            if absent and claim.judged_at in (None, fraction):
                lacking[f"no results of {' and '.join(absent)} at {fraction:g} %"] = None
    if not found and not lacking:
        lacking[_nothing(claim)] = None
    return found, list(lacking)


def _nothing(claim: Claim) -> str:
    if claim.more_data:
        return "no strategy has results of two fractions"
    return "no minutes of training" if claim.minutes else "no results to compare"


def _complete(folds: pd.DataFrame, images: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with all columns, without cells that are not complete and without normal images."""
    if missing := [column for column in ("fraction", "strategy", "fold", "value") if column not in folds]:
        raise DataError(f"fold values: column '{missing[0]}' is missing; expected fraction, strategy, fold, value")
    if "fraction" not in images:
        raise DataError("test images: column 'fraction' is missing; claims compare fractions")
    folds, images = folds.assign(fraction=folds["fraction"].astype(float)), measured(images)
    folds = folds if "minutes" in folds else folds.assign(minutes=np.nan)
    images = images.assign(fraction=images["fraction"].astype(float))
    if ("dataset" in folds) + ("dataset" in images) < 2:
        names = {name for table in (folds, images) if "dataset" in table for name in table["dataset"]}
        if len(names) > 1:
            raise DataError(f"column 'dataset' is missing beside {', '.join(sorted(names))}; both tables need it")
        folds, images = (table.assign(dataset="".join(names)) for table in (folds, images))
    if "done" in folds:
        folds = folds[folds.groupby(["dataset", "fraction", "strategy"])["done"].transform("all").astype(bool)]
    return folds[folds["value"].notna() & (folds["strategy"] != "as pre-trained")], images


def _measure(images: pd.DataFrame, wanted: Collection[Contrast], resamples: int, seed: int) -> Measured:
    """Every wanted contrast once; those of one data set share their draws."""
    found: Measured = {}
    for dataset, own in images.groupby("dataset"):
        those = sorted(each for each in wanted if each[0][0] == dataset)
        named = own.assign(strategy=[_label(*cell) for cell in zip(own["fraction"], own["strategy"], strict=True)])
        pairs = [(_label(*first[1:]), _label(*second[1:])) for first, second in those]
        table, spread, _ = resampled_differences(named, pairs, resamples=resamples, seed=seed)
        found |= {
            each: (row, spread.at(column)) for column, (each, row) in enumerate(zip(those, rows(table), strict=True))
        }
    return found


def _label(fraction: float, strategy: str) -> str:
    return f"{strategy} at {fraction:g} %"


def _words(contrast: Contrast, several: bool) -> tuple[str, str, str]:
    """Place, first, second: `80 %, contracting, expanding` or `block 9, 80 %, 50 %`."""
    (dataset, fraction, strategy), (_, other_fraction, other) = contrast
    if strategy == other:
        place, first, second = strategy, f"{fraction:g} %", f"{other_fraction:g} %"
    else:
        place, first, second = f"{fraction:g} %", strategy, other
    return f"{dataset} {place}" if several else place, first, second


def _of_dice(contrast: Contrast, row: dict[str, Any], spread: Spread, several: bool, judged: int) -> Difference:
    place, first, second = _words(contrast, several)
    mean, levels = np.array([row["mean_difference"]]), (0.95, 0.9, 1 - 0.05 / max(1, judged))
    found = np.full(6, np.nan)
    if not row["note"]:
        found = np.concatenate([end for level in levels for end in ends(mean, spread, level, "difference")])
        if np.isnan(found[0]):
            row = row | {"note": why_same("the difference", float(mean[0]), row["resampled"], "difference")}
    return _difference(place, first, second, float(mean[0]), found, row, "Dice")


def _of_minutes(
    contrast: Contrast, folds: pd.DataFrame, images: pd.DataFrame, several: bool, ratio: float, judged: int
) -> Difference:
    """By fold where both have the same folds, else of the two means: folds of one number are other trainings then."""
    place, first, second = _words(contrast, several)
    sides = [_of_cell(folds, cell).set_index("fold")["minutes"].astype(float).dropna() for cell in contrast]
    levels = (0.95, 0.9, 1 - 0.05 / max(1, judged))
    if in_same_folds(pd.concat([_of_cell(images, cell) for cell in contrast])):
        values = (sides[0] - sides[1]).dropna().to_numpy(dtype=np.float64)
        tests = [corrected_t(values, ratio=ratio, confidence=level) for level in levels]
    else:
        place += " (folds of their own, unpaired)"
        own, other = (side.to_numpy(dtype=np.float64) for side in sides)
        tests = [unpaired_t(own, other, ratio=ratio, confidence=level) for level in levels]
    found = np.array([end for test in tests for end in (test.low, test.high)], dtype=np.float64)
    row = {"folds": tests[0].folds, "images": None, "note": tests[0].reason}
    return _difference(place, first, second, tests[0].mean, found, row, "min")


def _of_cell(table: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    dataset, fraction, strategy = cell
    here = (table["dataset"] == dataset) & (table["fraction"] == fraction) & (table["strategy"] == strategy)
    return table[here]


def _difference(
    place: str,
    first: str,
    second: str,
    mean: float,
    found: Float[np.ndarray, " end"],
    row: dict[str, Any],
    unit: Unit,
) -> Difference:
    low, high, *others = (float(end) for end in found)
    given = not np.isnan(low)
    return Difference(
        place=place,
        first=first,
        second=second,
        mean=mean,
        low=low if given else None,
        high=high if given else None,
        narrow=(others[0], others[1]) if given else None,
        wide=(others[2], others[3]) if given else None,
        folds=int(row["folds"]),
        images=row["images"],
        note=row["note"],
        unit=unit,
    )
