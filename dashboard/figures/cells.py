"""From planned trials and attempts to the cells of Table II: which trial counts, folds, means."""

import pandas as pd

from dashboard.figures.rows import parts
from engine.architectures import STRATEGIES, parameters
from engine.store import latest
from engine.trial import CLOSED

CHOSEN = "chosen on validation"
RESULTS = [
    "state",
    "dice",
    "iou",
    "validation_dice",
    "validation_loss",
    "cut_at",
    "collapsed",
    "best_epoch",
    "epochs_run",
    "seconds",
    "number",
    "error",
    "false_positive_rate",
    "normal_images",
]
CELL = ["fraction", "strategy"]
Rate = float | str


def rates(plan: pd.DataFrame) -> list[Rate]:
    """The learning rates that a table can show: the only one, or `CHOSEN` and then each."""
    found: list[Rate] = [float(rate) for rate in sorted(set(plan["learning_rate"]), reverse=True)]
    return found if len(found) < 2 else [CHOSEN, *found]


def strategy_order(plan: pd.DataFrame) -> list[str]:
    """Strategies of the plan: the paper's in the paper's order, then others as planned."""
    known = [name for table in STRATEGIES.values() for name in table]
    names = list(dict.fromkeys(plan["strategy"]))
    return sorted(names, key=lambda name: known.index(name) if name in known else len(known))


def trial_table(plan: pd.DataFrame, attempts: pd.DataFrame, rate: Rate | None = None) -> pd.DataFrame:
    """A row per planned trial that counts at `rate`, with what its closed or last attempt found.

    `CHOSEN` takes, per fraction, strategy, fold and seed, the learning rate with the highest validation Dice
    once all rates of it are closed: test images decide nothing. None takes the first of `rates`.
    """
    if rate is None and len(plan):
        rate = rates(plan)[0]
    found = latest(attempts[attempts["id"].isin(plan["id"])])
    # Results of earlier versions say nothing of normal images.
    found = found.reindex(columns=["id", *RESULTS])
    trials = plan.merge(found, on="id", how="left", validate="many_to_one")
    trials["closed"] = trials["state"].isin(CLOSED)
    trials["converged"] = trials["state"] == "completed"
    if rate != CHOSEN:
        return trials[trials["learning_rate"] == rate].reset_index(drop=True)
    key = [*CELL, "fold", "seed"]
    trials["closed"] = trials.groupby(key)["closed"].transform("all")
    trials = trials.sort_values(
        ["converged", "validation_dice", "validation_loss", "learning_rate"], ascending=[False, False, True, True]
    )
    trials = trials.drop_duplicates(key).reset_index(drop=True)
    trials["converged"] &= trials["closed"]
    return trials


def fold_table(trials: pd.DataFrame, measure: str = "dice") -> pd.DataFrame:
    """A row per cell and fold: `value` is the mean over its converged seeds, `value_all` over all closed ones.

    `done` tells that all its planned trainings are closed; counts are of trainings. `false_positive_rate` is the part
    of the fold's `normal_images` (test images without a structure) on which something is predicted, NaN without any.
    """
    rows = []
    for (fraction, strategy, fold), part in parts(trials, [*CELL, "fold"]):
        closed, good = part[part["closed"]], part[part["converged"]]
        rows.append(
            {
                "fraction": fraction,
                "strategy": strategy,
                "fold": int(fold),
                "value": good[measure].astype(float).mean(),
                "value_all": closed[measure].astype(float).mean(),
                "validation": good["validation_dice"].astype(float).mean(),
                "done": bool(part["closed"].all()),
                "trainings": len(part),
                "closed": len(closed),
                "failed": len(closed) - len(good),
                "collapsed": int(closed["collapsed"].fillna(False).astype(bool).sum()),
                "crashed": int((part["state"] == "error").sum()),
                "cut_at": sorted({int(epoch) for epoch in closed["cut_at"].dropna()}),
                "rates": sorted({float(value) for value in (closed if len(closed) else part)["learning_rate"]}),
                "false_positive_rate": good["false_positive_rate"].astype(float).mean(),
                "normal_images": int(closed["normal_images"].astype(float).fillna(0).max()) if len(closed) else 0,
                "ids": list(part["id"]),
            }
        )
    columns = "fraction strategy fold value value_all validation done trainings closed failed collapsed crashed"
    more = "cut_at rates false_positive_rate normal_images ids"
    return pd.DataFrame(rows, columns=[*columns.split(), *more.split()])


def cell_table(folds: pd.DataFrame, plan: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """A row per cell of Table II: mean and sd (n - 1) over folds, only where all its planned folds are done.

    Folds that did not converge are left out of the mean and counted; `mean_all` has them in.
    """
    rows = []
    width, model = (int(plan["width"].iloc[0]), str(plan["model"].iloc[0])) if len(plan) else (64, "unet")
    counts = parameters(model, width)
    units = dict(zip(plan["strategy"], plan["units"], strict=True))
    order = strategy_order(plan)
    for (fraction, strategy), part in parts(folds, CELL):
        part = part.sort_values("fold")
        complete = bool(part["done"].all())
        values = part["value"].dropna()
        rows.append(
            {
                "source": "ours",
                "dataset": dataset,
                "fraction": float(fraction),
                "strategy": strategy,
                "mean": values.mean() if complete else float("nan"),
                "sd": values.std(ddof=1) if complete else float("nan"),
                "mean_all": part["value_all"].mean() if complete else float("nan"),
                "validation": part["validation"].mean(),
                "complete": complete,
                "folds": len(part),
                "folds_done": int(part["done"].sum()),
                "trainings": int(part["trainings"].sum()),
                "failed": int(part["failed"].sum()),
                "collapsed": int(part["collapsed"].sum()),
                "crashed": int(part["crashed"].sum()),
                "cut": _cut(part),
                "rates": sorted({rate for rates in part["rates"] for rate in rates}),
                "values": [float(value) for value in part["value"]] if complete else [],
                "false_positive_rate": part["false_positive_rate"].mean() if complete else float("nan"),
                "normal_images": int(part["normal_images"].sum()),
                "trainable": sum(counts[unit] for unit in units[strategy]),
                "total": sum(counts.values()),
            }
        )
    columns = "source dataset fraction strategy mean sd mean_all validation complete folds folds_done trainings failed"
    more = "collapsed crashed cut rates values false_positive_rate normal_images trainable total"
    cells = pd.DataFrame(rows, columns=[*columns.split(), *more.split()])
    rank = {name: place for place, name in enumerate(order)}
    cells = cells.assign(_rank=cells["strategy"].map(rank)).sort_values(["fraction", "_rank"], ascending=[False, True])
    return cells.drop(columns="_rank").reset_index(drop=True)


def _cut(part: pd.DataFrame) -> str:
    epochs = sorted({epoch for found in part["cut_at"] for epoch in found})
    folds = int(part["cut_at"].map(len).gt(0).sum())
    if not folds:
        return ""
    return f"cut at {', '.join(map(str, epochs))} in {folds} fold{'s' if folds > 1 else ''}"


def for_file(table: pd.DataFrame) -> str:
    """The table as CSV; lists are written as `a; b`."""
    plain = table.copy()
    for column in plain.columns[plain.map(lambda value: isinstance(value, list)).any()]:
        plain[column] = plain[column].map(lambda values: "; ".join(map(str, values)))
    return plain.to_csv(index=False)
