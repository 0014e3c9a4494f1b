"""Which combinations of a study's axes run, in words and by chance. Pure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from engine.study_settings import Study
from engine.trial import Trial


def drawn(study: Study, trials: list[Trial]) -> list[Trial]:
    """The trials of the combinations that a random search draws, all their folds; all trials of a grid.

    The draw sorts combinations by SHA-256, so that it does not depend on their order, and more draws add to fewer.
    """
    search = study.search
    if search.kind == "grid" or search.draws is None:
        return trials
    by_rate = study.rate_search is None

    def combination(trial: Trial) -> str:
        rate = trial.learning_rate if by_rate else None
        key = [search.seed, trial.start, trial.strategy, trial.fraction, rate, trial.seed]
        return hashlib.sha256(json.dumps(key).encode()).hexdigest()

    chosen = set(sorted({combination(trial) for trial in trials})[: search.draws])
    kept = [trial for trial in trials if combination(trial) in chosen]
    if not by_rate:
        return kept
    rates: dict[tuple[str, str, float, int], set[float]] = {}
    for trial in kept:
        rates.setdefault((trial.start, trial.strategy, trial.fraction, trial.seed), set()).add(trial.learning_rate)
    return [replace(trial, draws=len(rates[trial.start, trial.strategy, trial.fraction, trial.seed])) for trial in kept]


def caveats(study: Study) -> list[str]:
    """What must be said beside the results of a search that does not train everything to its end."""
    search, found = study.search, list[str]()
    if search.scheduler != "fifo":
        name = {"asha": "ASHA", "median": "Median stopping"}[search.scheduler]
        measure = "accuracy" if study.data.learn == "labels" else "Dice"
        found.append(
            f"{name} ends trials that are behind others of the same fraction and fold on validation images "
            f"({measure}). Trials that it ends do not enter Table II, and which ones it ends depends on the order "
            "in which trials run."
        )
    if search.kind == "random":
        found.append(f"Random search: {search.draws} combinations were drawn; cells of the others stay empty.")
    return found


def product(study: Study, trials: Sequence[Trial]) -> str:
    """`13 strategies x 3 fractions x ...`: what the trials of a plan are a product of, in words."""
    tuned = [trial for trial in trials if trial.units]
    axes = {
        "strategies": len({trial.strategy for trial in tuned}),
        "fractions": len(study.fractions),
        "start weights": len(study.start_weights),
        "learning rates": study.rate_search.draws if study.rate_search else len(study.learning_rates),
        "folds": len(study.folds.run),
        "seeds": len(study.seeds),
    }
    words = " x ".join(f"{count} {axis}" for axis, count in axes.items())
    if study.search.kind == "random":
        words += f", of which {study.search.draws} combinations are drawn"
    if len(study.start_weights) > 1 and any(not trial.start for trial in tuned):
        words += ", where what begins at random is trained once"
    as_they_are, again = len(trials) - len(tuned), sum(trial.repeat > 0 for trial in trials)
    words += f", and {as_they_are} tests of the start weights as they are" if as_they_are else ""
    return words + (f", and {again} of failed folds that are trained again" if again else "")
