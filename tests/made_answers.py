"""Tables of what readers say of frames, with known counts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

CLASSES = ("kidney", "liver", "spleen")


def answers(
    truth: Sequence[str], said: Sequence[str], *, groups: Sequence[str] = (), folds: int = 0, seed: int = 0
) -> pd.DataFrame:
    """A row per frame; with `folds` a network's, frames shared out to folds in turn."""
    frames = range(len(truth))
    table = pd.DataFrame(
        {
            "index": list(frames),
            "image": [f"{place}.png" for place in frames],
            "group": list(groups) or [""] * len(truth),
            "scanner": ["AB"[place % 2] for place in frames],
            "label": list(truth),
            "predicted": list(said),
        }
    )
    table["accuracy"] = (table["label"] == table["predicted"]).astype(float)
    return table.assign(fold=table["index"] % folds, seed=seed) if folds else table


def reader(right: Sequence[bool], *, groups: Sequence[str] = (), folds: int = 0, seed: int = 0) -> pd.DataFrame:
    """A reader that is right where it says; of class liver, and kidney where it is wrong."""
    said = ["liver" if each else "kidney" for each in right]
    return answers(["liver"] * len(said), said, groups=groups, folds=folds, seed=seed)


def random_reader(
    accuracy: float, *, groups: int = 20, per_group: int = 10, folds: int = 0, number: int = 0, seed: int = 0
) -> pd.DataFrame:
    """A reader of three classes that is right about so often, in groups that are not alike."""
    random = np.random.default_rng(number)
    names = np.repeat([f"study {place:02d}" for place in range(groups)], per_group)
    truth = np.array(CLASSES)[np.arange(len(names)) % 3]
    level = np.repeat(random.beta(8 * accuracy, 8 * (1 - accuracy), groups), per_group)
    right = random.uniform(size=len(names)) < level
    other = np.array(CLASSES)[(np.arange(len(names)) + 1 + random.integers(0, 2, len(names))) % 3]
    table = answers(list(truth), list(np.where(right, truth, other)), groups=list(names), seed=seed)
    fold = table["group"].astype("category").cat.codes.astype(int) % folds if folds else None
    return table if fold is None else table.assign(fold=fold, seed=seed)
