"""From planned trials and attempts to the cells of Table II: which trial counts, folds, means."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dashboard.figures.rows import parts
from engine.architectures import STRATEGIES, UNITS, Strategy, trainable_parameters
from engine.errors import StrategyError
from engine.store import latest
from engine.trial import AS_PRETRAINED, CLOSED

CHOSEN = "chosen on validation"
RESULTS = [
    "state", "dice", "iou", "hd95", "hd95_unit", "hd95_undefined", "false_positive_rate", "normal_images",
    "kept_dice", "validation_dice", "validation_loss", "cut_at", "collapsed", "best_epoch", "epochs_run",
    "seconds", "trainable_parameters", "total_parameters", "number", "error", "accuracy", "top2",
    "balanced_accuracy", "training_accuracy", "kept_accuracy", "validation_accuracy", "seconds_per_image",
    "training_images",
]  # fmt: skip
"""Columns of attempts that tables need."""
CELL = ["start", "network", "fraction", "strategy"]
Rate = float | str


def with_network(plan: pd.DataFrame) -> pd.DataFrame:
    """The plan with a column `network`: "" unless a strategy is planned for several networks, which it then names."""
    named = plan["model"].astype(str) + ", width " + plan["width"].astype(str)
    mixed = bool((named.groupby(plan["strategy"]).nunique() > 1).any())
    return plan.assign(network=named if mixed else "")


def of_trainings(plan: pd.DataFrame) -> pd.DataFrame:
    """The rows of a plan that are trainings, and no tests of start weights as they are."""
    return plan[plan["strategy"] != AS_PRETRAINED]


def in_table(plan: pd.DataFrame) -> pd.DataFrame:
    """The rows of a plan that stand in cells: trainings, but for failed folds trained again (`figures.repeats`)."""
    plan = of_trainings(plan)
    return plan[plan["repeat"] == 0] if "repeat" in plan else plan


def rates(plan: pd.DataFrame) -> list[Rate]:
    """The learning rates that a table can show: the only one, or `CHOSEN` and then each that every cell has."""
    plan = in_table(plan)
    everywhere = plan.groupby("learning_rate")["id"].nunique()
    cells = len(plan.drop_duplicates([*_key(plan)]))
    shared = everywhere[everywhere >= cells].index if everywhere.size > 1 else everywhere.index
    found: list[Rate] = [float(rate) for rate in sorted(shared, reverse=True)]
    searched = everywhere.size > 1 or ("draws" in plan and plan["draws"].max() > 1)  # a search may have just begun
    return [CHOSEN, *found] if searched else found


def seeds(plan: pd.DataFrame) -> list[int]:
    """The seeds of the trainings, in order."""
    return sorted({int(seed) for seed in in_table(plan)["seed"]})


def starts(plan: pd.DataFrame) -> list[str]:
    """Names of the start weights that trainings begin from, as planned; random ones have none."""
    return [name for name in dict.fromkeys(in_table(plan)["start"]) if name]


def of_start(table: pd.DataFrame, start: str) -> pd.DataFrame:
    """The rows that stand together in a row of Table II: those of the start weights, and those from random weights."""
    return table[(table["start"] == start) | (table["start"] == "")]


def in_rows(table: pd.DataFrame, plan: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table with a column `dataset`, the name above its rows in Table II; `start` is that of the row.

    Several start weights, or networks, have rows of their own, named "NAME · START"; what begins from random weights
    stands in the rows of each start.
    """
    names = starts(plan)
    table = pd.concat([of_start(table, start).assign(start=start) for start in names] or [table])
    label = pd.Series(name, index=table.index, dtype=str)
    if len(names) > 1:
        label += " · " + table["start"].astype(str)
    network = table["network"].astype(str)
    return table.assign(dataset=label.where(network == "", label + " · " + network))


def strategy_order(plan: pd.DataFrame) -> list[str]:
    """Strategies of the plan: the paper's in the paper's order, then others as planned."""
    models = dict.fromkeys([*plan["model"], *STRATEGIES]) if "model" in plan else STRATEGIES
    known = list(dict.fromkeys(name for model in models for name in STRATEGIES.get(str(model), ())))
    names = list(dict.fromkeys(in_table(plan)["strategy"]))
    return sorted(names, key=lambda name: known.index(name) if name in known else len(known))


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What can be chosen of a plan, each in the order it is shown in."""

    rates: list[Rate]
    seeds: list[int]
    percents: list[str]
    strategies: list[str]
    starts: list[str]
    networks: list[str]


def choices(plan: pd.DataFrame) -> Choices:
    """What can be chosen of a plan."""
    trainings = with_network(in_table(plan))
    return Choices(
        rates=rates(plan),
        seeds=seeds(plan),
        percents=[f"{value:g} %" for value in sorted(set(trainings["fraction"]), reverse=True)],
        strategies=strategy_order(trainings),
        starts=starts(trainings),
        networks=sorted(set(trainings["network"])),
    )


def _key(plan: pd.DataFrame) -> list[str]:
    return [name for name in ("start", "model", "width", "fraction", "strategy", "fold", "seed") if name in plan]


def trial_table(
    plan: pd.DataFrame, attempts: pd.DataFrame, rate: Rate | None = None, seed: int | None = None
) -> pd.DataFrame:
    """A row per planned trial that counts at `rate` (and has the `seed`), with what its closed or last attempt found.

    `CHOSEN` takes, per start, fraction, strategy, fold and seed, the learning rate with the highest validation Dice
    (or accuracy) once all rates that it will have (`draws`) are closed: test images decide nothing. None takes the
    first of `rates`.
    """
    if rate is None and len(plan):
        rate = rates(plan)[0]
    plan = with_network(in_table(plan))
    plan = plan if seed is None else plan[plan["seed"] == seed]
    trials = with_results(plan, attempts)
    if rate != CHOSEN:
        return trials[trials["learning_rate"] == rate].reset_index(drop=True)
    group = trials.groupby(_key(trials), sort=False).ngroup()
    tried, draws = (trials[name].groupby(group) for name in ("learning_rate", "draws"))
    all_tried = tried.transform("nunique") >= draws.transform("max")
    trials["closed"] = trials["closed"].groupby(group).transform("all") & all_tried
    best = trials.assign(_group=group).sort_values(
        ["converged", "validation", "validation_loss", "learning_rate"], ascending=[False, False, True, True]
    )
    trials = best.drop_duplicates("_group").drop(columns="_group").sort_index().reset_index(drop=True)
    trials["converged"] &= trials["closed"]
    return trials


def with_results(plan: pd.DataFrame, attempts: pd.DataFrame) -> pd.DataFrame:
    """A row per planned trial with what its closed or last attempt found, `closed` and `converged`.

    `validation` and `kept` are Dice, or accuracy of a classification.
    """
    # What an earlier version did not measure stays missing.
    found = latest(attempts[attempts["id"].isin(plan["id"])]).reindex(columns=["id", *RESULTS])
    trials = plan.merge(found, on="id", how="left", validate="many_to_one")
    trials["closed"] = trials["state"].isin(CLOSED)
    trials["converged"] = trials["state"] == "completed"
    for name in ("validation", "kept"):
        dice, accuracy = (pd.to_numeric(trials[f"{name}_{kind}"]).astype(float) for kind in ("dice", "accuracy"))
        trials[name] = dice.fillna(accuracy)
    return trials


def fold_table(trials: pd.DataFrame, measure: str = "dice") -> pd.DataFrame:
    """A row per cell and fold: `value` is the mean over its converged seeds, `value_all` over all closed ones.

    `done` tells that all its planned trainings are closed; counts are of trainings. `false_positive_rate` is the part
    of the fold's `normal_images` (test images without a structure) on which something is predicted, NaN without any.
    `minutes` is the mean wall time of a training, `kept` the mean Dice (or accuracy) that is left on the start
    weights' own images, `hd95_undefined` counts test images without a distance; `trainable` and `total` are 0 while
    nothing is trained.
    """
    key = [*CELL, "fold"]
    closed, good = trials["closed"].astype(bool), trials["converged"].astype(bool)
    number = {name: pd.to_numeric(trials[name]).astype(float) for name in {*_NUMBERS, measure}}
    collapsed = trials["collapsed"].eq(True).fillna(False).astype(bool)
    group = trials.groupby(key, sort=False).ngroup()
    table = trials.drop_duplicates(key)[key].reset_index(drop=True)
    summed = pd.DataFrame(
        {
            "closed": closed,
            "failed": closed & ~good,
            "collapsed": closed & collapsed,
            "crashed": trials["state"].eq("error").fillna(False).astype(bool),
            "hd95_undefined": number["hd95_undefined"].where(good).fillna(0),
        }
    ).astype("int64")
    means = pd.DataFrame(
        {
            "value": number[measure].where(good),
            "value_all": number[measure].where(closed),
            "validation": number["validation"].where(good),
            "false_positive_rate": number["false_positive_rate"].where(good),
            "minutes": number["seconds"].where(closed) / 60,
            "kept": number["kept"].where(good),
        }
    )
    highest = pd.DataFrame(
        {
            "normal_images": number["normal_images"].where(closed),
            "trainable": number["trainable_parameters"].where(closed),
            "total": number["total_parameters"].where(closed),
        }
    ).fillna(0)
    table = table.join([means.groupby(group).mean(), summed.groupby(group).sum()])
    table = table.join(highest.astype("int64").groupby(group).max()).assign(trainings=group.value_counts(sort=False))
    table["done"] = table["closed"] == table["trainings"]
    # Lists are slices of the trials in the order of their groups.
    order = np.argsort(group.to_numpy(), kind="stable")
    slices = [order[part] for part in _slices(table["trainings"])]
    rate, cut, shut = (column.to_numpy() for column in (trials["learning_rate"], number["cut_at"], closed))
    ran = number["epochs_run"].to_numpy()
    ids, units = trials["id"].to_numpy(dtype=object), trials["hd95_unit"].where(good).to_numpy(dtype=object)
    table["cut_at"] = [sorted({int(cut[n]) for n in part if shut[n] and not np.isnan(cut[n])}) for part in slices]
    table["epochs"] = [[int(ran[n]) for n in part if shut[n] and not np.isnan(ran[n])] for part in slices]
    table["rates"] = [sorted({float(rate[n]) for n in part if shut[n]} or {*map(float, rate[part])}) for part in slices]
    table["hd95_unit"] = [_units(units[part]) for part in slices]
    table["ids"] = [list(ids[part]) for part in slices]
    return table[FOLD_COLUMNS]


_NUMBERS = [
    "validation", "false_positive_rate", "normal_images", "cut_at", "epochs_run", "seconds", "kept",
    "trainable_parameters", "total_parameters", "hd95_undefined",
]  # fmt: skip
FOLD_COLUMNS = [
    "start", "network", "fraction", "strategy", "fold", "value", "value_all", "validation", "done", "trainings",
    "closed", "failed", "collapsed", "crashed", "cut_at", "epochs", "rates", "false_positive_rate",
    "normal_images", "minutes", "kept", "trainable", "total", "hd95_unit", "hd95_undefined", "ids",
]  # fmt: skip


def _slices(sizes: pd.Series) -> list[slice]:
    """Where each of some parts lies that follow each other."""
    ends = np.cumsum(sizes.to_numpy(dtype=int))
    return [slice(end - size, end) for end, size in zip(ends.tolist(), sizes, strict=True)]


def _units(values: Iterable[Any]) -> str:
    return ", ".join(sorted({value for value in values if isinstance(value, str) and value}))


def cell_table(
    folds: pd.DataFrame,
    plan: pd.DataFrame,
    dataset: str,
    *,
    measure: str = "dice",
    study: str = "",
    counts: Mapping[str, Mapping[str, int]] | None = None,
) -> pd.DataFrame:
    """A row per cell of Table II: mean and sd (n - 1) over folds, only where all its planned folds are done.

    `folds` are those of `measure`. Folds that did not converge are left out of the mean and counted; `mean_all` has
    them in. `dataset` names rows as `in_rows` does. `trainable` and `total` are as the attempts say, else as in
    `counts` (of each strategy), else counted here; 0 where nobody knows. `megabytes` is the size of the trained
    tensors as float32.
    """
    key = ["dataset", *CELL]
    folds = in_rows(folds, plan, dataset)
    group = folds.groupby(key, sort=False).ngroup()
    cells = folds.drop_duplicates(key)[key].reset_index(drop=True)
    folds = folds.assign(_cell=group.to_numpy()).sort_values(["_cell", "fold"], kind="stable")
    by = folds.groupby("_cell")
    complete, units = by["done"].all(), by["hd95_unit"].agg(_units)
    # The mean of millimetres and pixels is nothing.
    meant = complete & ~units.str.contains(",") if measure == "hd95" else complete
    means = by[["value", "value_all"]].mean().where(meant)
    cells = cells.assign(
        source="ours", study=study, mean=means["value"], sd=by["value"].std(ddof=1).where(meant),
        mean_all=means["value_all"], validation=by["validation"].mean(), complete=complete, folds=by.size(),
        folds_done=by["done"].sum(), false_positive_rate=by["false_positive_rate"].mean().where(complete),
        minutes=by["minutes"].mean(), kept=by["kept"].mean().where(complete), trainable=by["trainable"].max(),
        total=by["total"].max(), hd95_unit=units,
    ).join(by[["trainings", "failed", "collapsed", "crashed", "normal_images", "hd95_undefined"]].sum())  # fmt: skip
    slices, done = _slices(cells["folds"]), cells["complete"].to_list()
    cut, rate, value = (folds[name].to_list() for name in ("cut_at", "rates", "value"))
    cells["cut"] = [_cut(cut[part]) for part in slices]
    cells["rates"] = [sorted({one for found in rate[part] for one in found}) for part in slices]
    cells["values"] = [[float(one) for one in value[part]] if done[n] else [] for n, part in enumerate(slices)]
    numbers = folds["fold"].to_list()
    cells["fold_numbers"] = [[int(one) for one in numbers[part]] if done[n] else [] for n, part in enumerate(slices)]
    cells = _counted(cells, plan, counts or {})
    order = {name: place for place, name in enumerate(strategy_order(plan))}
    places = {name: place for place, name in enumerate(starts(plan))}
    cells = cells.assign(_start=cells["start"].map(places), _rank=cells["strategy"].map(order))
    by_row = cells.sort_values(["_start", "network", "fraction", "_rank"], ascending=[True, True, False, True])
    return by_row[CELL_COLUMNS].reset_index(drop=True)


CELL_COLUMNS = [
    "source", "study", "dataset", "start", "network", "fraction", "strategy", "mean", "sd", "mean_all",
    "validation", "complete", "folds", "folds_done", "trainings", "failed", "collapsed", "crashed", "cut",
    "rates", "values", "fold_numbers", "false_positive_rate", "normal_images", "trainable", "total", "minutes",
    "megabytes", "kept", "hd95_unit", "hd95_undefined",
]  # fmt: skip


def _counted(cells: pd.DataFrame, plan: pd.DataFrame, counts: Mapping[str, Mapping[str, int]]) -> pd.DataFrame:
    """The cells with parameters also where no attempt has said them yet."""
    planned = in_table(with_network(plan)).drop_duplicates(["network", "strategy"])
    known = {(row["network"], row["strategy"]): _parameters(row, counts) for row in planned.to_dict("records")}
    for place, name in enumerate(("trainable", "total")):
        told = [known[key][place] for key in zip(cells["network"], cells["strategy"], strict=True)]
        cells[name] = cells[name].where(cells[name] > 0, told).astype("int64")
    cells["megabytes"] = (cells["trainable"] * 4 / 1e6).where(cells["trainable"] > 0)
    return cells


def _parameters(row: Mapping[Any, Any], counts: Mapping[str, Mapping[str, int]]) -> tuple[int, int]:
    if row["strategy"] in counts:
        return int(counts[row["strategy"]]["trainable"]), int(counts[row["strategy"]]["total"])
    kind: dict[str, Any] = {"model": row["model"], "width": int(row["width"]), "classes": int(row.get("classes", 1))}
    try:
        strategy = Strategy(
            name=row["strategy"],
            units=tuple(row["units"]),
            method=row.get("method", "fine-tune"),
            rank=int(row.get("rank", 0)),
        )
        whole = Strategy(name="", units=UNITS[row["model"]])
        return trainable_parameters(strategy, **kind), trainable_parameters(whole, **kind)
    except (StrategyError, KeyError):  # only torch can count this network
        return 0, 0


def pretrained_table(plan: pd.DataFrame, attempts: pd.DataFrame, measure: str = "dice") -> pd.DataFrame:
    """A row per start weights: what they do on the test folds as they are, without fine-tuning.

    Columns: start, mean, sd (n - 1, over folds), kept (their own held-out images), folds, folds_done, complete, values;
    means only where complete.
    """
    trials = with_results(plan[plan["strategy"] == AS_PRETRAINED], attempts).drop_duplicates(["start", "fold"])
    found = []
    for start, part in parts(trials.sort_values("fold", kind="stable"), "start"):
        complete, values = bool(part["closed"].all()), part[measure].astype(float)
        found.append(
            {
                "start": start,
                "mean": values.mean() if complete else float("nan"),
                "sd": values.std(ddof=1) if complete else float("nan"),
                "kept": part["kept"].mean() if complete else float("nan"),
                "folds": len(part),
                "folds_done": int(part["closed"].sum()),
                "complete": complete,
                "values": [float(value) for value in values] if complete else [],
            }
        )
    return pd.DataFrame(found, columns=["start", "mean", "sd", "kept", "folds", "folds_done", "complete", "values"])


def _cut(found: list[list[int]]) -> str:
    epochs = sorted({epoch for fold in found for epoch in fold})
    folds = sum(bool(fold) for fold in found)
    if not folds:
        return ""
    return f"cut at {', '.join(map(str, epochs))} in {folds} fold{'s' if folds > 1 else ''}"


def for_file(table: pd.DataFrame) -> str:
    """The table as CSV; lists are written as `a; b`, none where a row has none."""
    plain = table.copy()
    for column in plain.columns[plain.map(lambda value: isinstance(value, list)).any()]:
        lists = (value if isinstance(value, list) else [] for value in plain[column])
        plain[column] = ["; ".join(map(str, values)) for values in lists]
    return plain.to_csv(index=False)
