"""The next learning rate of a search, for one strategy, fraction, fold and seed, from those tried there.

Ray Tune's Optuna searcher suggests; it is asked anew each time with what the store holds, so that a search goes on
where it stopped, and does not depend on what runs beside it. It sees validation Dice only.
"""

import json
import logging
from collections.abc import Sequence
from hashlib import sha256

from engine.study_settings import RateSearch

STARTUP = 3
"""Rates drawn at random before the searcher models what they gave."""


def next_rate(search: RateSearch, key: str, tried: Sequence[tuple[float, float]]) -> float:
    """A learning rate in the range; `key` says what is searched for, `tried` are
    (rate, validation Dice) in their order. The same for the same input."""
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    logging.getLogger("ray.tune.search.optuna.optuna_search").setLevel(logging.ERROR)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = int.from_bytes(sha256(json.dumps([search.seed, key, len(tried)]).encode()).digest()[:4], "big")
    searcher = OptunaSearch(
        {"learning_rate": optuna.distributions.FloatDistribution(search.low, search.high, log=True)},
        metric="validation_dice",
        mode="max",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP),
        points_to_evaluate=[{"learning_rate": _inside(rate, search)} for rate, _ in tried] or None,
        evaluated_rewards=[dice for _, dice in tried] or None,
    )
    suggestion = searcher.suggest("next")
    rate = float(f"{suggestion['learning_rate']:.3g}")
    return rate if rate not in {before for before, _ in tried} else float(f"{suggestion['learning_rate']:.6g}")


def _inside(rate: float, search: RateSearch) -> float:
    """The searcher knows nothing outside its range; a named rate out there counts for the nearest end."""
    return min(max(rate, search.low), search.high)
