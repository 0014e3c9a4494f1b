"""Two readers on the same frames: the difference in accuracy over groups, and McNemar's test of the counts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from engine.errors import DataError
from engine.significance.answers import folds_of, on_common_frames, one_answer_each
from engine.significance.corrected_t import Family, holm
from engine.significance.intervals import ends, how, spread_of, why_none, why_same
from engine.significance.measured import FEWEST_FOLDS, Drawn, drawn_by
from engine.significance.resampling import RESAMPLES, resampled_means

EXACT_BELOW = 25
"""Frames that only one of the two has right, below which McNemar's test is the exact binomial one."""
McNemar = Literal["exact", "chi-square with continuity correction"]


@dataclass(frozen=True, kw_only=True)
class PairedAccuracy:
    """How much more often `first` is right than `second` on the same frames."""

    first: str
    second: str
    difference: float
    """Accuracy of `first` minus that of `second`, seeds of a frame averaged; NaN without common frames."""
    low: float | None
    """Lower end of the interval; None where there is none (see `note`)."""
    high: float | None
    confidence: float
    images: int
    """Frames that both answered."""
    left_out: int
    """Frames that only one of them answered."""
    folds: int | None
    """Fewest folds of a network; None where both are one training or person."""
    resampled: Drawn
    units: int
    """Groups (or frames) that are drawn from."""
    both: int
    """Frames that both have right; as the next three of one answer each, of several seeds the first."""
    only_first: int
    only_second: int
    neither: int
    test: McNemar
    chi2: float | None
    """McNemar's statistic, one degree of freedom; None for the exact test."""
    p_mcnemar: float
    """Two-sided. It takes frames as independent, which frames of one group are not; NaN without common frames, and with
    fewer than three folds, which no test is made of."""
    note: str
    """Why there is no interval, or how it was made; and what the counts are of."""


def paired_accuracy(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    names: tuple[str, str] = ("first", "second"),
    fixed_test_set: bool = False,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedAccuracy:
    """The difference in accuracy on the frames that both readers answered, with its interval and McNemar's test.

    McNemar: the exact binomial test with fewer than `EXACT_BELOW` frames that only one has right, else with the
    continuity correction. Source: McNemar 1947 (Psychometrika 12:153-157); `statsmodels`. Networks need three folds
    for an interval, unless `fixed_test_set` says that no test frame was ever in a training part.

    Raises DataError where both have one name, or as `answers.on_common_frames` does.
    """
    if names[0] == names[1]:
        raise DataError(f"'{names[0]}' cannot be compared with itself; choose two readers")
    sides = on_common_frames({names[0]: first, names[1]: second})
    one, other = sides.values()
    about = one_answer_each(one).set_index("index")
    difference = one.groupby("index")["accuracy"].mean() - other.groupby("index")["accuracy"].mean()
    drawn, units = drawn_by(about["group"]), int(about["unit"].nunique())
    folds = folds_of([one, other], fixed_test_set=fixed_test_set)
    low, high = None, None
    note = why_none(folds, units, drawn, "the difference")
    if note is None:
        sums, sizes = _by_unit(difference, about["unit"])
        spread = spread_of(resampled_means(sums, sizes, resamples=resamples, seed=seed), sizes)
        found = ends(sums.sum(axis=0) / sizes.sum(axis=0), spread, confidence, "difference")
        note = why_same("the difference", float(difference.mean()), drawn, "difference")
        if spread.error[0] > 0:
            low, high = float(found[0][0]), float(found[1][0])
            note = how(confidence, units, drawn, resamples, float(spread.degrees[0]), folds, "difference")
    right = [one_answer_each(side)["accuracy"].to_numpy() == 1 for side in (one, other)]
    only_first, only_second = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())
    test, chi2, p = mcnemar(only_first, only_second)
    if max(len(one), len(other)) > len(about):
        note += "; counts and McNemar's test are of the first seed"
    return PairedAccuracy(
        first=names[0],
        second=names[1],
        difference=float(difference.mean()) if len(difference) else float("nan"),
        low=low,
        high=high,
        confidence=confidence,
        images=len(about),
        left_out=len(set(first["index"]) | set(second["index"])) - len(about),
        folds=folds,
        resampled=drawn,
        units=units,
        both=int((right[0] & right[1]).sum()),
        only_first=only_first,
        only_second=only_second,
        neither=int((~right[0] & ~right[1]).sum()),
        test=test,
        chi2=chi2,
        p_mcnemar=p if len(about) and (folds is None or folds >= FEWEST_FOLDS) else float("nan"),
        note=note,
    )


def _by_unit(difference: pd.Series, unit: pd.Series) -> tuple[Float[np.ndarray, "unit 1"], Float[np.ndarray, "unit 1"]]:
    by_unit = difference.groupby(unit).agg(["sum", "size"]).astype(np.float64)
    return by_unit[["sum"]].to_numpy(), by_unit[["size"]].to_numpy()


def mcnemar(only_first: int, only_second: int) -> tuple[McNemar, float | None, float]:
    """Which of McNemar's tests was made, its statistic (None for the exact one) and its two-sided p.

    Of the frames that only one of two readers has right; those that both or neither have right decide nothing.
    """
    from statsmodels.stats.contingency_tables import mcnemar as test  # here, since it loads scipy.stats

    exact = only_first + only_second < EXACT_BELOW
    found = test([[0, only_first], [only_second, 0]], exact=exact, correction=True)
    if exact:
        return "exact", None, float(found.pvalue)
    return "chi-square with continuity correction", float(found.statistic), float(found.pvalue)


def accuracy_family(
    readers: Mapping[str, pd.DataFrame],
    pairs: Sequence[tuple[str, str]],
    *,
    name: str,
    fixed_test_set: bool = False,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Family:
    """`paired_accuracy` of each of `pairs`, p values corrected by Holm over them all.

    `name` says what the family is: "every strategy against the whole network". Columns of the table are the fields of
    `PairedAccuracy`, and p_holm beside p_mcnemar. Intervals are of one comparison each.

    Raises DataError where a reader is unknown, or as `paired_accuracy` does.
    """
    if unknown := sorted({one for pair in pairs for one in pair} - set(readers)):
        raise DataError(f"no answers of reader '{unknown[0]}'; there are: {'; '.join(readers)}")
    found = [
        paired_accuracy(
            readers[first], readers[second], names=(first, second), fixed_test_set=fixed_test_set,
            confidence=confidence, resamples=resamples, seed=seed,
        )
        for first, second in pairs
    ]  # fmt: skip
    columns = [field.name for field in fields(PairedAccuracy)]
    table = pd.DataFrame([asdict(each) for each in found], columns=columns)
    table = table.astype(dict.fromkeys(("low", "high", "chi2", "folds", "p_mcnemar"), np.float64))
    table.insert(columns.index("p_mcnemar") + 1, "p_holm", holm(table["p_mcnemar"].to_list()))
    count = int(table["p_mcnemar"].notna().sum())
    over, plural = "that one" if count == 1 else f"these {count}", "" if len(table) == 1 else "s"
    tests = f"McNemar's p values, which take frames as independent, corrected by Holm over {over}"
    description = (
        f"{name}: {len(table)} comparison{plural} on the same frames; {tests if count else 'no test'}; "
        f"{confidence:.0%} intervals of one comparison each"
    )
    return Family(description=description, table=table)
