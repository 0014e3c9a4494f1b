"""Dice with the built-in start weights against random ones, on folders of images with masks.

    python benchmarks/start_weights.py FOLDER [FOLDER ...] [--where label=benign,malignant] [--fractions 80 5]

Per folder: the start weights' network without fine-tuning, then whole network, contracting and from scratch, folds 0
and 1 of 5 (by group where the data name groups). U-Net of width 16, 128 x 128, 27 batches of 2 per epoch, at most 20
epochs, patience 8, learning rate 1e-4. `--where` holds for every folder whose manifest has such rows. Trials are
kept in `--results`, so that an interrupted run goes on. docs/pretraining.md holds what it printed.
"""

import argparse
import hashlib
from pathlib import Path

import pandas as pd

from engine.search import running
from engine.store import Store, latest
from engine.study_settings import DataSettings, FoldSettings, ModelSettings, Study, TrainingSettings

STRATEGIES = ("whole network", "contracting", "from scratch")
TRAINING = TrainingSettings(max_epochs=20, patience=8, batches_per_epoch=27)


def comparison(folder: Path, where: dict[str, tuple[str, ...]], fractions: tuple[float, ...]) -> Study:
    """The study of one folder; its name tells other rows apart, so that they are another study."""
    kept = conditions_of(folder, where)
    name = f"{folder.name}_{hashlib.sha256(repr(kept).encode()).hexdigest()[:6]}" if kept else folder.name
    return Study(
        name=name,
        model=ModelSettings(width=16, image_size=128),
        data=DataSettings(folder=str(folder), where=kept),
        strategies=STRATEGIES,
        fractions=fractions,
        folds=FoldSettings(of=5, run=(0, 1)),
        training=TRAINING,
    )


def conditions_of(folder: Path, where: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The conditions of columns that the folder's manifest has, with at least one of the values."""
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        return {}
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    return {name: values for name, values in where.items() if name in table and table[name].isin(values).any()}


def dice_table(plan: pd.DataFrame, attempts: pd.DataFrame) -> pd.DataFrame:
    """A row per strategy and fraction, as planned: mean Dice and each fold's, in the order of folds.

    Columns: strategy, fraction, dice, folds. Trials without a result are left out.
    """
    done = plan.merge(latest(attempts)[["id", "dice"]], on="id").sort_values("fold", kind="stable")
    cells = done.groupby(["fraction", "strategy"], sort=False)["dice"].agg(["mean", list]).reset_index()
    cells = cells.rename(columns={"mean": "dice", "list": "folds"})
    return cells.sort_values(["fraction", "strategy"], ignore_index=True)[["strategy", "fraction", "dice", "folds"]]


def main() -> None:
    """Print a table per folder."""
    arguments = argparse.ArgumentParser(description="The built-in start weights against random ones.")
    arguments.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    arguments.add_argument("--where", default="", metavar="COLUMN=VALUE,VALUE")
    arguments.add_argument("--fractions", nargs="+", type=float, default=[80.0, 5.0], metavar="PERCENT")
    arguments.add_argument("--results", type=Path, default=Path("results"))
    arguments.add_argument("--cache", type=Path, default=Path("cache"))
    given = arguments.parse_args()
    column, _, values = given.where.partition("=")
    where = {column: tuple(values.split(","))} if values else {}
    store = Store.at(given.results)
    for folder in given.folders:
        study = comparison(folder, where, tuple(given.fractions))
        running.run(study, store, given.cache)
        facts = store.facts(study.name)
        print(f"\n{folder.name}: {facts['data']['images']} images")
        for start in facts["start_weights"]:
            print(f"{start['description']}; {start['seconds']:.0f} s")
        print("\n| | images | Dice | fold 0 | fold 1 |\n|---|---:|---:|---:|---:|")
        for row in dice_table(store.plan(study.name), store.attempts(study.name)).to_dict(orient="records"):
            folds = " | ".join(f"{value:.3f}" for value in row["folds"])
            print(f"| {row['strategy']} | {row['fraction']:g} % | {row['dice']:.3f} | {folds} |", flush=True)


if __name__ == "__main__":
    main()
