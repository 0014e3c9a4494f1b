"""How many images train, validate and test, and which door a split comes through."""

from collections.abc import Sequence
from math import ceil
from typing import Literal

import pandas as pd

from engine.errors import DataError
from engine.splits.folds import full_pool_percent, make_split
from engine.splits.given import given_split, parts_of
from engine.splits.pool import VALIDATION, Split, validates

By = Literal["group", "image", "given"]


def split_images(
    *,
    images: int,
    groups: Sequence[str] | None,
    by: By,
    given: Sequence[str] | None = None,
    of: int,
    fold: int,
    fraction: float,
    seed: int,
    validation: float = VALIDATION,
    labels: Sequence[str] | None = None,
) -> Split:
    """The split of a study: the sets in `given` where it goes by them, else drawn folds; fraction 0 is the full pool.

    `groups` names what must stay on one side (None: every image for itself), `given` the set of each image. Raises
    as `make_split` and `given_split`.
    """
    if by != "given":
        return make_split(
            images=images,
            groups=groups,
            of=of,
            fold=fold,
            fraction=fraction or full_pool_percent(of),
            seed=seed,
            validation=validation,
            labels=labels,
        )
    if fold:
        raise DataError(f"fold {fold} asked, but given sets are one fold; write 'folds: {{of: 1, run: [0]}}'")
    return given_split(
        sets=given if given is not None else [""] * images,
        groups=groups,
        fraction=fraction,
        seed=seed,
        validation=validation,
        labels=labels,
    )


def batches_per_epoch(
    images: int,
    of: int = 5,
    batch_size: int = 2,
    *,
    validation: float = VALIDATION,
    given: Sequence[str] | None = None,
) -> int:
    """Optimiser steps per epoch for every fraction: those of the training part of fold 0's full pool, by image.

    27 for SUS, 52 BUS, 258 FUS, 77 X-ray with five folds and two images per step (Amiri et al. 2020, II-C). Of sets
    that are `given`, of the whole training set.
    """
    pool = images - ceil(images / of)
    if given is not None:
        parts = parts_of(given)
        pool = parts.count("training")
        validation = 0.0 if "validation" in parts else validation
    return ceil((pool - validates([1] * pool, validation).count(True)) / batch_size)


def table1(
    images: int,
    groups: Sequence[str] | None = None,
    *,
    of: int = 5,
    fractions: Sequence[float] = (80.0, 50.0, 5.0),
    seed: int = 0,
    folds: Sequence[int] | None = None,
    by: By = "group",
    given: Sequence[str] | None = None,
    validation: float = VALIDATION,
    labels: Sequence[str] | None = None,
    named: Sequence[str] | None = None,
) -> pd.DataFrame:
    """A row per fraction and fold: how many images train, validate and test (Amiri et al. 2020, Table I).

    Columns: fraction, fold, training, validation, test, validation_by, note. `named` says which group (patient) each
    image is of, whatever is split by: then also training_groups, validation_groups and test_groups, of how many groups
    these images are. Other arguments and errors as `split_images`.
    """
    rows: list[dict[str, float | int | str]] = []
    for fraction in fractions:
        for fold in range(of) if folds is None else folds:
            split = split_images(
                images=images,
                groups=groups,
                by=by,
                given=given,
                of=of,
                fold=fold,
                fraction=fraction,
                seed=seed,
                validation=validation,
                labels=labels,
            )
            rows.append(
                {
                    "fraction": fraction,
                    "fold": fold,
                    "training": len(split.training),
                    "validation": len(split.validation),
                    "test": len(split.test),
                    "validation_by": split.validation_by,
                    "note": split.note,
                }
            )
            if named is not None:
                sets = {"training": split.training, "validation": split.validation, "test": split.test}
                rows[-1] |= {f"{name}_groups": len({named[one] for one in places}) for name, places in sets.items()}
    columns = ["fraction", "fold", "training", "validation", "test", "validation_by", "note"]
    columns += [f"{name}_groups" for name in ("training", "validation", "test")] if named is not None else []
    return pd.DataFrame(rows, columns=columns)


def class_sizes(split: Split, labels: Sequence[str], classes: Sequence[str] | None = None) -> pd.DataFrame:
    """A row per class: how many of its images train, validate and test in one split.

    Columns: class, training, validation, test. `labels` names the class of each image; `classes` are the classes in
    order, those of the labels, sorted, where None.
    """
    rows = []
    for name in sorted(set(labels)) if classes is None else classes:
        counts = {
            part: sum(labels[place] == name for place in places)
            for part, places in (
                ("training", split.training),
                ("validation", split.validation),
                ("test", split.test),
            )
        }
        rows.append({"class": name, **counts})
    return pd.DataFrame(rows, columns=["class", "training", "validation", "test"])
