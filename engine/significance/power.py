"""What a study could have seen, and how many more trials it would take to see more.

One formula: a two-sided or one-sided t test with f degrees of freedom and standard error e finds a true difference d
with probability P(|T| > t), where T follows the noncentral t distribution with noncentrality d / e. The smallest
difference that the study could have seen is the d at which that probability is 80 %. Over J folds with sd S between
them, e = S sqrt(1/J + n2/n1) and f = J - 1 (Nadeau & Bengio 2003).
"""

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Literal

import scipy  # scipy.stats loads when it is first used, not with this module

from engine.significance.corrected_t import corrected_standard_error
from engine.significance.measured import FEWEST_FOLDS

Sides = Literal[1, 2]
MOST = 10
"""Repeats or seeds up to which `trials_that_would` looks."""


@dataclass(frozen=True, kw_only=True)
class MoreTrials:
    """What would bring an interval within the margin; each number by itself, all else as it is."""

    folds: int | None
    """Folds in all, no more than the data are split into; None where they would not do."""
    repeats: int | None
    """Times that all folds are run in all, each with another split seed; None where ten would not do."""
    seeds: int | None
    """Seeds per fold in all; None where ten would not do or nobody knows how much seeds differ."""
    images: int | None
    """Test images in all; None where that cannot be said."""
    sentence: str


def detectable(
    standard_error: float, degrees: float, *, level: float = 0.05, power: float = 0.8, sides: Sides = 2
) -> float:
    """The true difference that a t test at `level` finds with probability `power`."""
    threshold = float(scipy.stats.t.ppf(1 - level / sides, degrees))

    def lacking(noncentrality: float) -> float:
        found = scipy.stats.nct.sf(threshold, degrees, noncentrality)
        if sides == 2:
            found += scipy.stats.nct.cdf(-threshold, degrees, noncentrality)
        return float(found) - power

    far = threshold + 1.0
    while lacking(far) < 0:
        far *= 2
    return float(scipy.optimize.brentq(lacking, 0.0, far)) * standard_error


def smallest_difference(
    *, sd: float, folds: int, ratio: float, level: float = 0.05, power: float = 0.8, sides: Sides = 2
) -> float:
    """The smallest true difference (Dice) that a paired comparison over `folds` folds could have seen.

    `sd` (n - 1) is of the fold differences, seeds averaged; `ratio` is test to training images. NaN with two folds
    or fewer, where there is no test.
    """
    if folds < FEWEST_FOLDS:
        return float("nan")
    return detectable(corrected_standard_error(sd, folds, ratio), folds - 1.0, level=level, power=power, sides=sides)


def trials_that_would(
    *,
    sd: float,
    folds: int,
    of: int,
    ratio: float,
    room: float,
    level: float = 0.05,
    sides: Sides = 2,
    seeds: int = 1,
    seed_sd: float | None = None,
    images: int | None = None,
) -> MoreTrials:
    """How many folds, repeats, seeds or images would bring the reach of the corrected t interval within `room`.

    `room` is the margin for an interval's half-width (sides=2), or the margin less the loss seen for a one-sided
    bound (sides=1); `sd` is of the differences of `folds` folds run, of `of` planned; `seed_sd` of the difference
    between seeds of one fold. An approximation: it takes the spread and the difference seen for the true ones, that
    seeds add `seed_sd`²/seeds to the variance between folds, and that the rest falls with the number of test images.
    The correction for shared training images does not fall with repeats, so that no number of them may do.
    """

    def reach(count: int, spread: float) -> float:
        return float(scipy.stats.t.ppf(1 - level / sides, count - 1)) * corrected_standard_error(spread, count, ratio)

    def spread(count: int) -> float:
        return sqrt(max(0.0, sd**2 - (seed_sd or 0.0) ** 2 * (1 / seeds - 1 / count)))

    if room <= 0:
        return _beyond()
    possible = range(max(folds, FEWEST_FOLDS), of + 1)
    fold_count = next((count for count in possible if reach(count, sd) <= room), None)
    repeats = next((times for times in range(2, MOST + 1) if reach(times * of, sd) <= room), None)
    seed_count = None
    if seed_sd is not None and folds >= FEWEST_FOLDS:
        counts = range(seeds + 1, MOST + 1)
        seed_count = next((count for count in counts if reach(folds, spread(count)) <= room), None)
    image_count = None
    if images is not None and folds >= FEWEST_FOLDS:
        image_count = ceil(images * max(1.0, reach(folds, sd) / room) ** 2)
    return _more(folds, of, fold_count, repeats, seed_count, image_count, images)


def images_that_would(
    *, half_width: float, fold_part: float, room: float, level: float, folds: int, of: int, ratio: float, images: int
) -> MoreTrials:
    """How many folds, repeats or images would bring a one-sided bound's `half_width` within `room`.

    `fold_part` (0 to 1) is the part of its square that comes from how trainings differ between folds, or from how
    little so few folds say of that; with folds and repeats it falls as 1/J + `ratio` and as the square of t at `level`
    with J - 1 degrees of freedom. The rest falls with the number of test images: every fold brings its own, while
    repeats with other split seeds test the same ones again. An approximation, as `trials_that_would`.
    """
    if room <= 0:
        return _beyond()
    of_folds, of_images = fold_part * half_width**2, (1 - fold_part) * half_width**2

    def of_trainings(count: int) -> float:
        return (1 / count + ratio) * float(scipy.stats.t.isf(level, count - 1)) ** 2

    def fits(count: int, trainings: int) -> bool:
        shrunk = of_folds * of_trainings(trainings) / of_trainings(folds)
        return of_images * folds / count + shrunk <= room**2

    fold_count = next((count for count in range(folds, of + 1) if fits(count, count)), None)
    repeats = next((times for times in range(2, MOST + 1) if fits(of, times * of)), None)
    left = room**2 - of_folds
    image_count = ceil(images * max(1.0, of_images / left)) if left > 0 else None
    return _more(folds, of, fold_count, repeats, None, image_count, images)


def _beyond() -> MoreTrials:
    sentence = (
        "The difference seen is itself beyond the margin: more trials would narrow its interval, "
        "and only another difference would change the answer."
    )
    return MoreTrials(folds=None, repeats=None, seeds=None, images=None, sentence=sentence)


def _more(
    ran: int, of: int, folds: int | None, repeats: int | None, seeds: int | None, images: int | None, now: int | None
) -> MoreTrials:
    ways = []
    if folds is not None:
        ways.append("the folds that ran would do" if folds == ran else f"{folds} folds in all instead of {ran}")
    elif repeats is not None:
        ways.append(f"all {of} folds {repeats} times, repeated with other split seeds")
    if seeds is not None:
        ways.append(f"{seeds} seeds per fold")
    if folds is None and images is not None and now is not None:
        ways.append(f"about {images:,} test images instead of {now:,}")
    if folds == ran:
        sentence = "The folds that ran are enough for this."
    elif ways:
        sentence = f"It would take {', or '.join(ways)}, if the difference and its spread stay as they are."
    else:
        sentence = (
            f"No number of folds up to {of} would do, nor {MOST} repeats with other split seeds: it takes more images."
        )
    return MoreTrials(folds=folds, repeats=repeats, seeds=seeds, images=images, sentence=sentence)
