"""Tables of test images and folds with known differences, for what compares strategies."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def results(dice: Mapping[str, Sequence[float]], *, per_fold: int, groups: list[str] | None = None) -> pd.DataFrame:
    """Test images of each strategy, `per_fold` images in each fold."""
    rows = [
        {
            "strategy": strategy,
            "fold": index // per_fold,
            "index": index,
            "group": groups[index] if groups else "",
            "dice": float(value),
        }
        for strategy, values in dice.items()
        for index, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def random_results(folds: int, *, groups: list[str] | None = None, images: int = 60) -> pd.DataFrame:
    """Two strategies, the first 0.05 above the second."""
    random = np.random.default_rng(3)
    second = random.uniform(0.5, 0.9, images)
    first = second + 0.05 + random.normal(0, 0.05, images)
    return results({"contracting": list(first), "expanding": list(second)}, per_fold=images // folds, groups=groups)


def study(
    means: Mapping[float, Mapping[str, float]], *, folds: int = 5, images: int = 100, sd: float = 0.01, seed: int = 0
) -> pd.DataFrame:
    """Test images of a study: fraction -> strategy -> mean Dice, with noise of `sd` per image on a common hardness."""
    random = np.random.default_rng(seed)
    hardness = random.normal(0, 0.05, images)
    parts = [
        results({name: list(mean + hardness + random.normal(0, sd, images))}, per_fold=images // folds).assign(
            fraction=fraction
        )
        for fraction, row in means.items()
        for name, mean in row.items()
    ]
    return pd.concat(parts, ignore_index=True)


def fold_values(images: pd.DataFrame) -> pd.DataFrame:
    """A row per fold of the study: dataset, fraction, strategy, fold, value."""
    by_fold = images.groupby(["fraction", "strategy", "fold"], sort=False, as_index=False)["dice"].mean()
    return by_fold.rename(columns={"dice": "value"}).assign(dataset="made")


def with_mean_and_sd(mean: float, sd: float) -> list[float]:
    """Five fold values with exactly this mean and sd (n - 1)."""
    return [mean + sd * step / 2.5**0.5 for step in (-2.0, -1.0, 0.0, 1.0, 2.0)]
