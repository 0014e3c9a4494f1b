"""How often intervals and bounds hold the truth, and what is recommended, in studies whose truth is known.

    python benchmarks/interval_coverage.py                       about two minutes on one core
    python benchmarks/interval_coverage.py --studies 1200        a smaller chance error, four times as long
    python benchmarks/interval_coverage.py --only bounds         one table: intervals, bounds or recommendations

A simulated study has groups of images, shared out to folds in turn. Images and groups differ by chance; a training of
a fold is off by some Dice, and 1/J of that variance is common to all J folds: so much Nadeau & Bengio (2003) take folds
to share. Seeded; nothing is read or written. Of 300 studies, 95 % is 95 ± 2.5 % by chance; intervals come from four
times as many, families of six candidates from half as many.
"""

import argparse
from collections.abc import Callable, Iterator
from itertools import product
from math import sqrt

import numpy as np
import pandas as pd
from jaxtyping import Float

from engine.significance import split_ratio
from engine.significance.intervals import Scale, ends, spread_of
from engine.significance.non_inferiority import LEVEL, paired_bound
from engine.significance.paired import Pairs
from engine.significance.resampling import resampled_means

Values = Float[np.ndarray, "study group image"]
Make = Callable[[np.random.Generator, tuple[int, int, int]], Values]

MARGIN = 0.01
CANDIDATES = 6
FOLD_SDS = (0.0, 0.005, 0.01, 0.02)
IMAGES = 2
"""Images of a group, in studies of bounds."""
NOISE = 0.025
"""Sd of a paired loss between groups, and once more between a group's images."""
MOST_IMAGES = 15
RESAMPLES = 1000


def good(random: np.random.Generator, shape: tuple[int, int, int]) -> Values:
    """Dice near 0.9, groups and images alike."""
    group = random.normal(0, 0.03, (*shape[:2], 1))
    return np.clip(0.9 + group + random.normal(0, 0.03, shape), 0, 1)


def failing(part: float) -> Make:
    """Good ones, of which a part is near 0, in some groups more often than in others."""

    def values(random: np.random.Generator, shape: tuple[int, int, int]) -> Values:
        often = random.beta(10 * part, 10 * (1 - part), (*shape[:2], 1))
        return np.where(random.random(shape) < often, random.beta(1, 20, shape), good(random, shape))

    return values


def lesions(random: np.random.Generator, shape: tuple[int, int, int]) -> Values:
    """Found well, or in 4 of 10 images not at all."""
    missed = random.beta(1.2, 1.8, (*shape[:2], 1))
    return np.where(random.random(shape) < missed, random.beta(1, 20, shape), random.beta(6, 2, shape))


def right(random: np.random.Generator, shape: tuple[int, int, int]) -> Values:
    """1 or 0: classes said rightly 9 times of 10, in some groups more often than in others."""
    return (random.random(shape) < random.beta(7.2, 0.8, (*shape[:2], 1))).astype(float)


def difference(of: Make) -> Make:
    """Such values less those of a second strategy that does not fail, on the same images."""
    return lambda random, shape: of(random, shape) - 0.9 - random.normal(0, 0.03, shape)


KINDS: tuple[tuple[str, Scale, bool, Make], ...] = (
    ("Dice near 0.9", "part", False, good),
    ("Dice near 0.9, groups of 1 to 15 images", "part", True, good),
    ("Dice near 0.9, 1 of 10 images near 0", "part", False, failing(0.1)),
    ("the same, groups of 1 to 15 images", "part", True, failing(0.1)),
    ("Dice near 0.9, 1 of 30 images near 0", "part", False, failing(1 / 30)),
    ("lesions, 4 of 10 missed", "part", False, lesions),
    ("right or wrong, 9 of 10 right", "part", False, right),
    ("difference", "difference", False, difference(good)),
    ("difference, 1 of 10 images of one fails", "difference", False, difference(failing(0.1))),
)
"""Name, scale, whether groups differ in size, values."""


def intervals(studies: int) -> Iterator[str]:
    """Rows of a table: percent of 95 % intervals that hold the truth, where there is one; of percentiles, then ours."""
    studies *= 4
    counts = (5, 8, 12, 24, 49)
    yield "| values | 95 % intervals | " + " | ".join(f"{count} groups" for count in counts) + " |"
    yield "|---|---|" + "---:|" * len(counts)
    for number, (name, scale, uneven, make) in enumerate(KINDS):
        truth = float(make(np.random.default_rng(number), (1, 200_000, 5)).mean())
        found: list[tuple[float, float]] = []
        for groups in counts:
            random = np.random.default_rng([number, groups])
            values = make(random, (studies, groups, MOST_IMAGES))
            size = random.integers(1, MOST_IMAGES + 1, values.shape[:2]) if uneven else np.full(values.shape[:2], 8)
            sums = np.where(np.arange(MOST_IMAGES) < size[..., None], values, 0).sum(axis=2).T
            sizes = size.T.astype(np.float64)
            means = resampled_means(sums, sizes, resamples=RESAMPLES, seed=0)
            both = (
                np.quantile(means, [0.025, 0.975], axis=0),
                ends(sums.sum(axis=0) / sizes.sum(axis=0), spread_of(means, sizes), 0.95, scale),
            )
            given = ~np.isnan(both[1][0])
            found.append(tuple(float(np.mean(((low <= truth) & (truth <= high))[given])) for low, high in both))
        for row, told in enumerate(("percentiles", "ours")):
            yield f"| {name} | {told} | " + " | ".join(f"{100 * each[row]:.1f}" for each in found) + " |"


def side(random: np.random.Generator, shape: tuple[int, int, int], folds: int, sd: float, make: Make) -> Values:
    """Values of one of two strategies; two have `sd` between the folds of their difference."""
    studies, groups, _ = shape
    shared, own = random.normal(size=(studies, 1)), random.normal(size=(studies, folds))
    off = sd / sqrt(2) * (sqrt(1 / folds) * shared + sqrt(1 - 1 / folds) * own)
    return make(random, shape) + off[:, np.arange(groups) % folds, None]


def normal(random: np.random.Generator, shape: tuple[int, int, int]) -> Values:
    """0 in truth, with half the variance of a difference."""
    return random.normal(0, NOISE / sqrt(2), (*shape[:2], 1)) + random.normal(0, NOISE / sqrt(2), shape)


def skewed(random: np.random.Generator, shape: tuple[int, int, int]) -> Values:
    """0 in truth; 1 of 20 images is 0.3 below the others."""
    return normal(random, shape) - 0.3 * (random.random(shape) < 0.05) + 0.3 * 0.05


def bounds_of(losses: Values, folds: int, level: float) -> Float[np.ndarray, " study"]:
    """The upper bound of each study's mean loss."""
    group = np.repeat(np.arange(losses.shape[1]), losses.shape[2])
    columns = {"fold": group % folds, "other_fold": group % folds, "index": np.arange(len(group)), "group": group + 1}
    table, found = pd.DataFrame(columns), []
    for loss in losses:
        pairs = Pairs(table=table.assign(difference=loss.ravel()), folds=folds, same_folds=True)
        found.append(paired_bound(pairs, ratio=split_ratio(folds), level=level)["bound"])
    return np.array(found)


def bounds(studies: int) -> Iterator[str]:
    """Rows of a table: percent of one-sided 95 % bounds that hold, by sd of a fold's trainings."""
    yield "| paired losses | folds | groups | " + " | ".join(f"fold sd {sd:g}" for sd in FOLD_SDS) + " |"
    yield "|---|---:|---:|" + "---:|" * len(FOLD_SDS)
    for name, make, counts in (("normal", normal, (8, 12, 24, 49)), ("1 of 20 images fails", skewed, (12, 49))):
        for folds in (3, 5):
            for groups in counts:
                held = []
                for sd in FOLD_SDS:
                    random, shape = np.random.default_rng([folds, groups, round(1e4 * sd)]), (studies, groups, IMAGES)
                    loss = side(random, shape, folds, sd, normal) - side(random, shape, folds, sd, make)
                    held.append(np.mean(bounds_of(loss, folds, LEVEL) >= 0))
                yield f"| {name} | {folds} | {groups} | " + " | ".join(f"{100 * each:.1f}" for each in held) + " |"


def recommendations(studies: int) -> Iterator[str]:
    """Rows of a table: percent of studies that recommend, where all candidates lose the margin, and where none does."""
    yield "| candidates | folds | groups | " + " | ".join(f"fold sd {sd:g}" for sd in FOLD_SDS) + " |"
    yield "|---:|---:|---:|" + "---:|" * len(FOLD_SDS)
    for candidates, folds, groups in product((1, CANDIDATES), (3, 5), (49, 200)):
        found = []
        for sd in FOLD_SDS:
            random = np.random.default_rng([folds, groups, round(1e4 * sd), candidates])
            shape = (studies if candidates == 1 else studies // 2, groups, IMAGES)
            reference = side(random, shape, folds, sd, normal)
            losses = [reference - side(random, shape, folds, sd, normal) for _ in range(candidates)]
            lowest = np.min([bounds_of(each, folds, LEVEL / candidates) for each in losses], axis=0)
            found.append(f"{100 * np.mean(lowest <= 0):.1f} / {100 * np.mean(lowest <= MARGIN):.0f}")
        yield f"| {candidates} | {folds} | {groups} | " + " | ".join(found) + " |"


TABLES = {
    "intervals": ("Percent of intervals that hold the truth", intervals),
    "bounds": ("Percent of one-sided 95 % bounds that hold the truth", bounds),
    "recommendations": ("Percent that recommend: every loss exactly at the margin / no loss at all", recommendations),
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--only", choices=list(TABLES))
    chosen = parser.parse_args()
    for name, (title, rows) in TABLES.items():
        if chosen.only in (None, name):
            print(f"\n{title}\n")
            for row in rows(chosen.studies):
                print(row, flush=True)


if __name__ == "__main__":
    main()
