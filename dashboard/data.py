"""The only cached door to the engine: what pages read, kept until the store's own listing says that it changed.

What is kept lies in `dashboard.kept`. What is handed out is a copy: a page may change it.
"""

import hashlib
from typing import Any

import pandas as pd

from dashboard import kept
from dashboard.figures import image_rows
from dashboard.figures.cells import CELL, Choices, Rate, pretrained_table
from dashboard.figures.measures import ALWAYS, Measure, main_of, measures_of, task_of
from dashboard.places import cache_root, store_root
from engine.datasets.cached import load_cached
from engine.datasets.dataset import Dataset
from engine.errors import DataError, StoreError
from engine.significance import Recommendation
from engine.store import Store
from engine.trial import Task

BUSY = ("preparing", "running")


def store() -> Store:
    """The store that the server was started with."""
    return Store.at(store_root())


def studies() -> list[str]:
    """Names of the studies, those that run now first, then the ones that ran last."""
    found = {name: progress(name) for name in store().studies()}

    def age(name: str) -> tuple[bool, str]:
        return bool(found[name].get("alive")), str(found[name].get("updated", ""))

    return sorted(sorted(found), key=age, reverse=True)


def progress(study: str) -> dict[str, Any]:
    """What the last run said of itself; never cached, it is one small file."""
    return store().progress(study)


def is_busy(study: str) -> bool:
    """Whether a run is at work on the study."""
    now = progress(study)
    return bool(now.get("alive")) and now.get("state") in BUSY


def stamp(study: str) -> str:
    """Changes whenever plan, facts or attempts change: a hash of the listing, without reading a file."""
    files = store().files
    found = [entry for entry in files.entries(study) if entry.name in ("plan.parquet", "facts.json")]
    for folder in ("attempts", "segments"):
        found += files.entries(f"{study}/{folder}")
    return hashlib.sha256(repr(found).encode()).hexdigest()


def outline(study: str | None) -> tuple[Any, ...]:
    """What decides which parts a page has: the studies there are, and whether this one is planned and running."""
    there = store()
    names = tuple(there.studies())
    if study not in names:
        return (names,)
    now = there.progress(study)
    planned = ("plan.parquet", False) in there.files.names(study)
    return names, now.get("state"), bool(now.get("alive")), planned


def is_planned(study: str) -> bool:
    """Whether the study has a table to show: its trials are planned, and the plan can be read."""
    try:
        return len(plan(study)) > 0 and bool(facts(study))
    except StoreError:
        return False


def facts(study: str) -> dict[str, Any]:
    """What is known of the study's data, start weights and machine; {} until its trials are planned too."""
    version = stamp(study)
    return dict(kept.facts(store_root(), study, version)) if len(kept.plan(store_root(), study, version)) else {}


def task(study: str) -> Task:
    """What the study's networks learn: masks (segmentation) or labels (classification)."""
    return task_of(facts(study))


def main(study: str) -> Measure:
    """The measure that the study is shown in first: Dice or accuracy."""
    return main_of(facts(study))


def loss_name(study: str) -> str:
    """What the study's training loss is."""
    several = len(facts(study)["data"].get("structures") or []) > 1
    return "cross entropy" if several or task(study) == "classification" else "binary cross entropy"


def plan(study: str) -> pd.DataFrame:
    """A row per planned trial."""
    return kept.plan(store_root(), study, stamp(study)).copy(deep=False)


def attempts(study: str) -> pd.DataFrame:
    """A row per attempt whose trial is planned, with what is planned of it."""
    found, planned = kept.attempts(store_root(), study, stamp(study)), plan(study).drop_duplicates("id")
    return found.merge(planned, on="id", how="left", validate="many_to_one")


def notes(study: str) -> list[str]:
    """What is the matter with the study's results, a line of Markdown each: damaged files, older versions, crashes."""
    place = store_root(), study, stamp(study)
    return list(kept.notes(*place, tuple(kept.damaged(*place).items()), is_busy(study)))


def crashed(study: str) -> pd.DataFrame:
    """A row per attempt that crashed at a trial that no later attempt has closed, with what is planned of it."""
    return kept.crashed(store_root(), study, stamp(study)).copy(deep=False)


def measures(study: str) -> list[str]:
    """Names of the measures of the study's task that its attempts have; the usual ones in any case."""
    found = kept.attempts(store_root(), study, stamp(study))
    own = measures_of(task(study))
    return [name for name, one in own.items() if one.column in ALWAYS or found[one.column].notna().any()]


def rate_of(study: str, rate: Rate) -> Rate:
    """The rate, where the study has it, else the first of its own."""
    own = choices(study).rates
    return rate if rate in own else own[0]


def choices(study: str) -> Choices:
    """What can be chosen of the study's plan."""
    return kept.choices(store_root(), study, stamp(study))


def trials(study: str, rate: Rate, seed: int | None = None) -> pd.DataFrame:
    """A row per planned training that counts at `rate` (of one `seed` where given), with its result."""
    return kept.trials(store_root(), study, stamp(study), rate, seed).copy(deep=False)


def folds(study: str, rate: Rate, measure: str, seed: int | None = None) -> pd.DataFrame:
    """A row per cell and fold; columns as `figures.cells.fold_table` makes them."""
    return kept.folds(store_root(), study, stamp(study), rate, measure, seed).copy(deep=False)


def cells(study: str, rate: Rate, measure: str, seed: int | None = None) -> pd.DataFrame:
    """A row per cell of the study's Table II; columns as `figures.cells.cell_table` makes them."""
    return kept.cells(store_root(), study, stamp(study), rate, measure, seed).copy(deep=False)


def repeats(study: str, rate: Rate, measure: str, seed: int | None = None) -> pd.DataFrame:
    """A row per cell with failed folds that were trained again; columns as `figures.repeats.repeat_cells` makes them.

    They stand in rows of their own, and in nothing that ranks, tests or recommends.
    """
    return kept.repeats(store_root(), study, stamp(study), rate, measure, seed).copy(deep=False)


def marked_cells(study: str, rate: Rate, measure: str, seed: int | None = None, *, wait: bool = True) -> pd.DataFrame:
    """The cells with `low`, `high`, `interval` and n (`intervals.COUNTS`) of each mean, and what is recommended.

    Without `wait` only what was computed before: statistics of thousands of images take a second.
    """
    place = store_root(), study, stamp(study), rate, measure, seed
    found, _ = kept.statistics(*place, wait=wait)
    return kept.marked_cells(*place, tuple(found)).copy(deep=False)


def provenance(study: str) -> str:
    """What data, start weights and network the study's results come from, as `figures.answer.provenance` says it."""
    return kept.provenance(store_root(), study, stamp(study))


def advice(study: str, rate: Rate, seed: int | None = None) -> tuple[str, str] | None:
    """What was computed of recommendations so far, in words, and what stands behind them; None without one."""
    place = store_root(), study, stamp(study), rate, main(study).column, seed
    found, _ = kept.statistics(*place, wait=False)
    return kept.advice(*place, tuple(found))


def answer(study: str, rate: Rate, measure: str, seed: int | None = None) -> str:
    """What the cells say, in plain words, as `figures.answer.answer` says it."""
    return kept.answer(store_root(), study, stamp(study), rate, measure, seed, is_busy(study))


def test_table(study: str, rate: Rate, seed: int | None = None) -> pd.DataFrame:  # noqa: PT028
    """A row per test image of each training that counts at `rate` and converged, in cells whose folds are all done.

    Columns: start, network, fraction, strategy (categorical), fold, seed, learning_rate, index, group, image, dice,
    iou, hd95, empty_truth, predicted_pixels, accuracy, top2. From random weights, `start` is "" (see
    `figures.cells.in_rows`).
    """
    return kept.test_table(store_root(), study, stamp(study), rate, seed).copy(deep=False)


def intervals(
    study: str, rate: Rate, measure: str = "dice", seed: int | None = None, *, wait: bool = True
) -> pd.DataFrame:
    """A row per cell with an interval: start, network, fraction, strategy, low, high, how the `interval` was made, n.

    Bootstrap over groups of test images; empty below three folds, where there is no interval.
    """
    found, _ = kept.statistics(store_root(), study, stamp(study), rate, measure, seed, wait=wait)
    return kept.intervals(found).dropna(subset=["low"]).reset_index(drop=True)


def recommendation(
    study: str, rate: Rate, fraction: float, *, start: str | None = None, seed: int | None = None
) -> Recommendation | None:
    """What to fine-tune with this part of the images, from these start weights (None: the first planned).

    None where the fraction has no complete cell yet.
    """
    every = recommendations(study, rate, seed)
    return next((every[key] for key in every if key[2] == fraction and start in (None, key[0])), None)


def recommendations(
    study: str, rate: Rate, seed: int | None = None, *, wait: bool = True
) -> dict[tuple[str, str, float], Recommendation]:
    """The recommendation of each row of Table II that has complete cells, by (start, network, fraction).

    Rows whose test images cannot be compared are left out.
    """
    found, _ = kept.statistics(store_root(), study, stamp(study), rate, main(study).column, seed, wait=wait)
    return kept.recommendations(found)


def compute_statistics(study: str, rate: Rate, measure: str, seed: int | None = None) -> bool:
    """Computes the statistics that are not there yet; tells whether there were any, so that a page is drawn again."""
    place = store_root(), study, stamp(study), rate, measure, seed
    _, complete = kept.statistics(*place, wait=False)
    if not complete:
        kept.statistics(*place, wait=True)
    return not complete


def claims(study: str, rate: Rate, seed: int | None = None) -> pd.DataFrame:
    """A row per claim of the paper, held against the study; columns as `engine.significance.claim_table`."""
    return kept.claims(store_root(), study, stamp(study), rate, seed).copy(deep=False)


def agreement(study: str, rate: Rate, seed: int | None = None) -> pd.DataFrame:
    """A row per row of Table II that the published table has too: whether the strategies' order is the same.

    Columns as `engine.significance.agreement_table`; empty where the study names no published data set.
    """
    return kept.agreement(store_root(), study, stamp(study), rate, seed).copy(deep=False)


def sizes(study: str) -> pd.DataFrame:
    """Table I: a row per fraction and fold, then published rows; columns as `figures.table1.sizes_table` makes them."""
    return kept.sizes(store_root(), study, stamp(study)).copy(deep=False)


def minutes(study: str, rate: Rate, *, wait: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table III with the published one (of all data sets where the study names none), and that of every complete cell.

    Columns as `figures.minutes.minutes_table`; the Dice of a classification is its accuracy. Without `wait` only with
    intervals that were computed before.
    """
    place = store_root(), study, stamp(study), rate
    found, _ = kept.statistics(*place, main(study).column, None, wait=wait)
    first, every = kept.minutes(*place, tuple(found))
    return first.copy(deep=False), every.copy(deep=False)


def pretrained(study: str, measure: str = "dice") -> pd.DataFrame:
    """A row per start weights as they are, without fine-tuning, as `figures.cells.pretrained_table` has them.

    They have no learning rate to choose. Empty where the study did not test them.
    """
    return pretrained_table(plan(study), kept.attempts(store_root(), study, stamp(study)), measure)


def calibration(study: str, rate: Rate, seed: int | None = None) -> pd.DataFrame:
    """A row per bin of predicted probability and counted training of complete cells.

    Columns: start, network, fraction, strategy, fold, seed, low, pixels, probability_sum, positive_pixels.
    """
    counted = image_rows.counted(trials(study, rate, seed))
    bins = kept.calibration(store_root(), study, *_identity(counted))
    return (
        counted[[*CELL, "fold", "seed", "id", "number"]].merge(bins, on=["id", "number"]).drop(columns=["id", "number"])
    )


def published_table(dataset: str | None = None) -> pd.DataFrame:
    """Cells of the published Table II, all of it or of one data set."""
    return kept.published(dataset).copy(deep=False)


def epochs(study: str, cell: pd.DataFrame) -> pd.DataFrame:
    """A row per epoch of the trials of a cell."""
    return kept.epochs(store_root(), study, *_identity(cell))


def test_images(study: str, cell: pd.DataFrame) -> pd.DataFrame:
    """A row per test image of the trials of a cell, with packed predicted masks."""
    return kept.test_images(store_root(), study, *_identity(cell))


def extremes(study: str, cell: pd.DataFrame, number: int, measure: str) -> pd.DataFrame:
    """Worst and best test images of a cell, as `figures.outlines.extremes_table` orders them, without masks."""
    return kept.extremes(store_root(), study, *_identity(cell), number, measure, cell)


def dataset(study: str) -> Dataset | None:
    """The study's images and masks, mapped from the cache; None where they are not there any more."""
    try:
        return load_cached(facts(study)["data"]["fingerprint"], cache_root())
    except DataError:
        return None


def pictures(study: str, cell: pd.DataFrame, number: int, measure: str) -> list[bytes] | None:
    """The images of `extremes`, outlined, as PNG; None where data are gone."""
    fingerprint = facts(study)["data"]["fingerprint"]
    if dataset(study) is None:
        return None
    return kept.pictures(store_root(), study, fingerprint, *_identity(cell), number, measure, cell)


def frames(study: str) -> pd.DataFrame:
    """A row per image of the study's data set, with its mask's coverage."""
    return kept.frames(facts(study)["data"]["fingerprint"], str(cache_root()))


def frame_pictures(study: str, indices: tuple[int, ...]) -> list[bytes]:
    """These frames of the data set with their masks outlined, as PNG."""
    return kept.frame_pictures(facts(study)["data"]["fingerprint"], str(cache_root()), indices)


def _identity(cell: pd.DataFrame) -> tuple[tuple[str, ...], tuple[int, ...]]:
    # An attempt never changes once stored, so its id and number are all that a cache needs.
    counted = cell.dropna(subset=["number"])
    return tuple(counted["id"]), tuple(counted["number"].astype(int))
