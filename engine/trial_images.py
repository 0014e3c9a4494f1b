"""The images that a planned trial was trained, validated and tested on, from the cache of decoded data sets."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.datasets import Dataset
from engine.datasets.cached import load_cached
from engine.errors import DataError
from engine.splits import Split, split_images


@dataclass(frozen=True, kw_only=True)
class TrialImages:
    """A data set and the trial's places in it."""

    dataset: Dataset
    split: Split

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each set: of its places in the data set, ascending, as 32-bit little-endian integers."""
        sets = {"training": self.split.training, "validation": self.split.validation, "test": self.split.test}
        return {name: places_hash(places) for name, places in sets.items()}


def trial_images(trial: dict[str, Any], cache: Path | None, study: str) -> TrialImages:
    """The images of a row of the plan, as `engine.inference.planned` gives it. Raises DataError where they are gone."""
    try:
        if cache is None:
            raise DataError("no folder of images")
        dataset = load_cached(str(trial["data"]), cache)
    except DataError as error:
        raise DataError(
            f"study '{study}': its images are not in the cache any more; run the study again to read them anew"
        ) from error
    validation = trial.get("validation")
    split = split_images(
        images=len(dataset.images),
        groups=dataset.groups_for_splits(trial["split_by"]),
        by=trial["split_by"],
        given=list(dataset.table["split"]),
        of=int(trial["folds"]),
        fold=int(trial["fold"]),
        fraction=float(trial["fraction"]),
        seed=int(trial["split_seed"]),
        validation=20.0 if validation is None or validation != validation else float(validation),
    )
    return TrialImages(dataset=dataset, split=split)


def places_hash(places: Sequence[int]) -> str:
    """SHA-256, hex, of places in a data set."""
    return hashlib.sha256(np.sort(np.asarray(places, "<i4")).tobytes()).hexdigest()
