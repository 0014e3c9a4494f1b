"""What a report tells of a study, read from the store once: its cells, test images and recommendations."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from dashboard.figures.answer import advised, told_in
from dashboard.figures.cells import (
    CELL,
    Rate,
    cell_table,
    fold_table,
    in_rows,
    pretrained_table,
    rates,
    trial_table,
)
from dashboard.figures.image_rows import mean_over_seeds
from dashboard.figures.intervals import INTERVAL, fold_counts, mean_intervals, with_fold_counts
from dashboard.figures.matters import marked
from dashboard.figures.measures import Measure, main_of
from dashboard.figures.repeats import repeat_cells, repeat_trials
from dashboard.figures.rows import parts
from dashboard.figures.shared_folds import with_shared_folds
from engine.errors import DataError, StoreError
from engine.significance import Recommendation, recommend
from engine.store import Store

NOTHING_PLANNED = "nothing is planned yet; a run plans its trials once data and start weights are ready"
KEY = ["dataset", "start", "network", "fraction"]
"""What tells rows of Table II apart."""
OF_TRIAL = ["start", "network", "fraction", "strategy", "fold", "seed", "learning_rate"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of Table II."""

    dataset: str
    """The data set's name, with the start weights' where a study compares several."""
    start: str
    network: str
    """"" unless the study mixes networks."""
    fraction: float
    cells: pd.DataFrame
    """A cell per strategy, as `cell_table` makes them, of the main measure."""
    images: pd.DataFrame
    """A row per test image and training of the complete cells, as `engine.significance` takes them."""
    recommendation: Recommendation | None
    """None where the test images of the strategies cannot be compared."""

    @property
    def label(self) -> str:
        """`BUS, 80 %`."""
        return f"{self.dataset}, {self.fraction:g} %"


@dataclass(frozen=True, kw_only=True)
class Findings:
    """A study as a report tells of it, at one choice of learning rates. Test images are read when they are needed."""

    store: Store
    study: str
    text: str
    """The study file."""
    facts: dict[str, Any]
    progress: dict[str, Any]
    plan: pd.DataFrame
    attempts: pd.DataFrame
    rate: Rate
    trials: pd.DataFrame
    """A row per training that counts, as `trial_table` makes them."""
    folds: pd.DataFrame
    """A row per cell and fold, of the main measure."""
    cells: pd.DataFrame
    """A row per cell of Table II, of the main measure."""

    @cached_property
    def images(self) -> pd.DataFrame:
        """A row per test image and converged training of complete cells: a cell tells of them with its last fold.

        `dataset` is the row of Table II; what begins from random weights stands in each start weights' rows. `dice` is
        what the study is measured by: of a classification the accuracy (1 or 0).
        """
        done = self.folds.groupby(CELL)["done"].transform("all")
        complete = self.folds.loc[done, CELL].drop_duplicates()
        good = self.trials[self.trials["converged"].astype(bool)].merge(complete, on=CELL)
        wanted = good[["id", "number", *OF_TRIAL]].astype({"number": "int64"})
        found = self.store.test_images(self.study, list(good["id"])).merge(wanted, on=["id", "number"])
        found = found.assign(dice=found[self.main.column])
        return in_rows(found, self.plan, self.facts["data"]["name"]).reset_index(drop=True)

    @cached_property
    def pretrained(self) -> pd.DataFrame:
        """The start weights as they are, without fine-tuning: `pretrained_table`'s rows."""
        return pretrained_table(self.plan, self.attempts, self.main.column)

    @cached_property
    def complete_folds(self) -> pd.DataFrame:
        """A row per fold of complete cells: dataset, fraction, strategy, fold, value (Dice), minutes and more."""
        folds = in_rows(self.folds, self.plan, self.facts["data"]["name"])
        done = folds.groupby(["dataset", "fraction", "strategy"])["done"].transform("all")
        return folds[done].reset_index(drop=True)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Rows of Table II, as the table has them, with what is recommended in each."""
        return tuple(self._row(place, part) for place, part in parts(self.cells, KEY))

    @cached_property
    def marked_cells(self) -> pd.DataFrame:
        """The cells with `low`, `high`, `interval` and n of their means, `not_inferior` and `recommended`."""
        return self._with_intervals(marked(self.cells, self.recommendations), self.main)

    def repeats_of(self, measure: Measure) -> pd.DataFrame:
        """A row per cell with failed folds that were trained again, as `figures.repeats` makes them, of any measure."""
        counts, name = self.facts.get("parameters"), self.facts["data"]["name"]
        table = repeat_cells(
            self.repeat_trials, self.plan, name, measure=measure.column, study=self.study, counts=counts
        )
        return with_shared_folds(table, self.facts)

    @cached_property
    def repeat_trials(self) -> pd.DataFrame:
        """A row per repeat of a failed fold, as `trial_table` makes them."""
        return repeat_trials(self.plan, self.attempts, self.rate)

    def told_cells(self, measure: Measure) -> pd.DataFrame:
        """The cells of any measure with `low`, `high`, `interval` and n of their means; of the main one also marks."""
        if measure == self.main:
            return self.marked_cells
        return self._with_intervals(self.cells_of(measure), measure)

    def _with_intervals(self, cells: pd.DataFrame, measure: Measure) -> pd.DataFrame:
        images = in_rows(mean_over_seeds(self.images, measure.column), self.plan, self.facts["data"]["name"])
        key = ["dataset", "fraction", "strategy"]
        found = mean_intervals(images.drop(columns="start"), measure.column)
        with_interval = cells.merge(found.reindex(columns=[*key, *INTERVAL]), on=key, how="left")
        return with_fold_counts(with_interval, fold_counts(images, key), key)

    @property
    def recommendations(self) -> dict[tuple[str, str, float], Recommendation]:
        """What is recommended in each row, by start, network and fraction."""
        return {(row.start, row.network, row.fraction): row.recommendation for row in self.rows if row.recommendation}

    def _row(self, place: Sequence[Any], cells: pd.DataFrame) -> Row:
        dataset, start, network, fraction = place
        images = self.images[(self.images["dataset"] == dataset) & (self.images["fraction"] == fraction)]
        recommendation = None
        with suppress(DataError):
            found = recommend(images, cells, reference=self.reference, margin=self.margin, of=self.of)
            recommendation = told_in(found, self.main)
        return Row(
            dataset=dataset,
            start=start,
            network=network,
            fraction=float(fraction),
            cells=cells,
            images=images,
            recommendation=recommendation,
        )

    @property
    def advice(self) -> list[str]:
        """What is recommended in each row with test images, least images first; of rows that are not done, so far."""
        lines = []
        for row in sorted((row for row in self.rows if len(row.images)), key=lambda row: row.fraction):
            if row.recommendation is None:
                continue
            place = f"{row.fraction:g} %" if self.cells["dataset"].nunique() == 1 else row.label
            lines.append(advised(row.recommendation.sentence, row.cells, place))
        return lines

    @property
    def main(self) -> Measure:
        """What the study is measured by first: Dice or accuracy."""
        return main_of(self.facts)

    @property
    def reference(self) -> str:
        """The strategy that cheaper ones are held against."""
        return str(self.facts.get("reference") or "whole network")

    @property
    def margin(self) -> float:
        """Loss of the main measure that a cheaper strategy may cost."""
        return float(self.facts.get("margin", 0.01))

    @property
    def of(self) -> int:
        """Folds that the data are split into."""
        return int(self.plan["folds"].iloc[0])

    @property
    def measured(self) -> pd.DataFrame:
        """The cells that have a mean."""
        return self.cells[self.cells["complete"].astype(bool) & self.cells["mean"].notna()]

    @property
    def ran(self) -> int:
        """Folds that are planned."""
        return int(self.plan["fold"].nunique())

    def cells_of(self, measure: Measure) -> pd.DataFrame:
        """A row per cell of Table II, of another measure."""
        if measure == self.main:
            return self.cells
        folds = fold_table(self.trials, measure.column)
        return _cells(folds, self.plan, self.facts, self.study, measure)


def read_findings(store: Store, study: str, *, rate: Rate | None = None) -> Findings:
    """The study's findings at `rate`, or at the first of `figures.cells.rates`.

    Raises StoreError where there is no such study, nothing is planned yet, or `rate` was not tried in every cell.
    """
    text, plan = store.study_text(study), store.plan(study)
    if plan.empty:
        raise StoreError(f"{study}: {NOTHING_PLANNED}")
    facts, attempts = store.facts(study), store.attempts(study)
    attempts = attempts[attempts["id"].isin(plan["id"])].reset_index(drop=True)
    known = rates(plan)
    if rate is not None and rate not in known:
        tried = ", ".join(one if isinstance(one, str) else f"{one:g}" for one in known)
        raise StoreError(f"{study}: no table at the learning rate {rate}; there are: {tried}")
    chosen = known[0] if rate is None else rate
    trials = trial_table(plan, attempts, chosen)
    main = main_of(facts)
    folds = fold_table(trials, main.column)
    return Findings(
        store=store,
        study=study,
        text=text,
        facts=facts,
        progress=store.progress(study),
        plan=plan,
        attempts=attempts,
        rate=chosen,
        trials=trials,
        folds=folds,
        cells=_cells(folds, plan, facts, study, main),
    )


def _cells(
    folds: pd.DataFrame, plan: pd.DataFrame, facts: dict[str, Any], study: str, measure: Measure
) -> pd.DataFrame:
    counts, name = facts.get("parameters"), facts["data"]["name"]
    table = cell_table(folds, plan, name, measure=measure.column, study=study, counts=counts)
    return with_shared_folds(table, facts)
