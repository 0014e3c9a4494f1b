"""Table II of one data set on one GPU, at the paper's size and stopping rule: 13 strategies x 3 fractions x 5 folds.

    python -m benchmarks.table2_gpu --data FOLDER --store FOLDER [--minutes 9]      a piece; again until all is closed
    python -m benchmarks.table2_gpu --store FOLDER --table                          only the table of what is there
    python -m benchmarks.table2_gpu --study tune_configs/amiri_table2_fus.yaml --data FOLDER --store FOLDER

Several trials run at once on the GPU (`--at-once`), each in a process of its own, fewer where memory runs out; no Ray.
A piece ends after about `--minutes`; the same command goes on from what is stored. Printed: mean Dice of each strategy
and fraction beside the published one, Kendall's tau-b of the order of strategies in each fraction and of fractions in
each strategy, what a training took, and all pieces' time. docs/table2_gpu.md says more.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import scipy  # scipy.stats loads when it is first used
import torch

from benchmarks.flops import step_flops
from benchmarks.limits import product_of, seconds_of
from benchmarks.machine import machine_line
from benchmarks.without_ray import pieces, run_piece
from dashboard.figures.cells import cell_table, fold_table, strategy_order, trial_table
from dashboard.figures.comparison import published_cells
from engine import config, published
from engine.errors import WhichLayersError
from engine.significance import order_agreement
from engine.store import Store, latest, node_cache
from engine.study_settings import Study
from engine.trial import CLOSED

ROOT = Path(__file__).resolve().parents[1]
STUDY = ROOT / "tune_configs" / "amiri_table2_bus.yaml"
MATRIX = {"cuda": 8192, "cpu": 2048}
"""Side of the matrices whose product tells the peak."""


def study_of(file: Path, data: Path | None, *, keep_tensors: bool) -> Study:
    """The study of `file` on the images in the folder `data`."""
    study = config.load(file)
    if data is not None:
        study = replace(study, data=replace(study.data, kind="folder", folder=str(data)))
    return replace(study, keep_weights="all" if keep_tensors else "none")


def cells_of(store: Store, study: Study) -> pd.DataFrame:
    """A row per cell of Table II: strategy, fraction, mean and sd of Dice (missing while folds are), folds_done."""
    plan = store.plan(study.name)
    folds = fold_table(trial_table(plan, store.attempts(study.name)))
    return cell_table(folds, plan, study.data.compare_with or study.name)


def printed_table(cells: pd.DataFrame, order: list[str], there: pd.DataFrame) -> list[str]:
    """Markdown: strategies in rows, ours (n) and the published mean of each fraction, tau-b at the sides."""
    fractions = sorted(cells["fraction"].unique(), reverse=True)
    heads = [f"{fraction:g} %, ours (n) | published" for fraction in fractions]
    lines = [f"| | {' | '.join(heads)} | tau-b over fractions |", f"|---|{'---:|' * (2 * len(fractions) + 1)}"]
    for strategy in order:
        ours, theirs = (_means(table, "strategy", strategy, "fraction") for table in (cells, there))
        row = []
        for fraction in fractions:
            cell = cells[(cells["strategy"] == strategy) & (cells["fraction"] == fraction)]
            row += [_number(ours.get(fraction)) + _counted(cell), _number(theirs.get(fraction))]
        lines.append(f"| {strategy} | {' | '.join(row)} | {_tau(ours, theirs)} |")
    row = []
    for fraction in fractions:
        here, other = (table[table["fraction"] == fraction] for table in (cells, there))
        found = order_agreement(here, other)
        row += ["" if found.tau is None else f"{found.tau:.2f}"]
        row += ["" if found.ceiling is None else f"against itself {found.ceiling:.2f}"]
    return [*lines, f"| tau-b over strategies | {' | '.join(row)} | |"]


def _means(table: pd.DataFrame, column: str, value: Any, by: str) -> dict[Any, float]:
    rows = table[(table[column] == value) & table["mean"].notna()]
    return dict(zip(rows[by], rows["mean"].astype(float), strict=True))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _counted(cell: pd.DataFrame) -> str:
    if not len(cell):
        return ""
    one = cell.iloc[0]
    done, failed = int(one["folds_done"]), int(one["failed"])
    return f" ({done - failed}{f', {failed} failed' if failed else ''})" if one["complete"] else f"{done} folds so far"


def _tau(ours: Mapping[Any, float], theirs: Mapping[Any, float]) -> str:
    """Kendall's tau-b of what both have; of two it is a sign only, so three are asked for."""
    both = [key for key in ours if key in theirs]
    if len(both) < 3:
        return ""
    tau = scipy.stats.kendalltau([ours[key] for key in both], [theirs[key] for key in both], variant="b").statistic
    return "" if tau != tau else f"{tau:.2f}"


def costs(store: Store, study: Study, peak: float | None = None) -> pd.DataFrame:
    """A row per strategy: closed trainings, mean epochs, seconds of a training and of an epoch.

    With `peak` (operations per second) also the seconds that the operations of a training's steps take at it.
    """
    attempts = latest(store.attempts(study.name))
    done = attempts[attempts["state"].isin(CLOSED) & (attempts["fraction"] > 0)]
    table = done.groupby("strategy").agg(trainings=("id", "size"), epochs=("epochs_run", "mean"), s=("seconds", "mean"))
    table["s per epoch"] = table["s"] / table["epochs"]
    if peak is not None:
        planned = store.plan(study.name).drop_duplicates("strategy").set_index("strategy").loc[table.index]
        flops = [
            step_flops(tuple(row.units), row.width, row.image_size, row.batch_size) * row.batches_per_epoch
            for row in planned.itertuples()
        ]
        table["FLOP s"] = table["epochs"] * flops / peak
    return table


def printed_costs(table: pd.DataFrame, order: list[str]) -> list[str]:
    """Markdown of `costs`, with a line for all at the end."""
    table = table.loc[[name for name in order if name in table.index]]
    number = table["trainings"].sum()
    if not number:
        return ["no training is closed yet"]
    means = table.mul(table["trainings"], axis=0).sum() / number
    means["trainings"], means["s per epoch"] = number, means["s"] / means["epochs"]
    heads = {"trainings": "trainings", "epochs": "mean epochs", "s": "s per training", "s per epoch": "s per epoch"}
    heads |= {"FLOP s": "its FLOP time, s"} if "FLOP s" in table else {}
    digits = {"trainings": 0, "epochs": 1, "s": 2, "s per epoch": 3, "FLOP s": 2}
    lines = [f"| | {' | '.join(heads.values())} |", f"|---|{'---:|' * len(heads)}"]
    for name, row in [*table.iterrows(), ("all", means)]:
        lines.append(f"| {name} | " + " | ".join(f"{row[one]:.{digits[one]}f}" for one in heads) + " |")
    return lines


def peak_of(device: str, precision: str) -> float | None:
    """Operations per second of a product of two matrices; None where the trials' device is not here."""
    if device == "cuda" and not torch.cuda.is_available():
        return None
    side = MATRIX[device]
    product = product_of(side, torch.bfloat16 if precision == "bfloat16" else torch.float32, device)
    return 2 * side**3 / seconds_of(product, device, 0.5)


def printed_pieces(done: list[dict[str, Any]]) -> str:
    """How long all pieces took, making data and start weights included."""
    total, before = (sum(one[name] for one in done) for name in ("seconds", "preparing"))
    at_once = ", ".join(str(one["at_once"]) for one in done)
    return (
        f"{len(done)} pieces, {total / 60:.1f} minutes in all, of which {before / 60:.1f} before the first trial of a "
        f"piece (images, start weights); trials at once: {at_once}"
    )


def show(store: Store, study: Study) -> None:
    """Print everything that is stored of the study."""
    plan = store.plan(study.name)
    order, cells = strategy_order(plan), cells_of(store, study)
    there = published_cells(published.table2(), width=published.WIDTH, dataset=study.data.compare_with or "")
    peak = peak_of(str(plan["device"].iloc[0]), str(plan["precision"].iloc[0]))
    table, done = costs(store, study, peak), pieces(store, study.name)
    for line in [*printed_table(cells, order, there), "", *printed_costs(table, order), ""]:
        print(line)
    facts = store.facts(study.name)
    started = "; ".join(one["description"] for one in facts.get("start_weights", []))
    size = f"width {study.model.width}, {study.model.image_size} x {study.model.image_size}"
    print(f"{facts['data']['name']}, {facts['data']['images']} images, {size}; {started}")
    print(printed_pieces(done))
    if peak is not None and len(table):
        flops, trained = ((table[name] * table["trainings"]).sum() / 60 for name in ("FLOP s", "s"))
        wall = sum(one["seconds"] - one["preparing"] for one in done) / 60
        print(
            f"{flops:.2f} minutes of operations at {peak / 1e12:.2f} TFLOP/s (a product of matrices, now); trainings "
            f"took {wall / flops:.1f} times that by the clock, {trained / flops:.1f} times one after another"
        )
    print(machine_line(gpu=torch.cuda.get_device_name(0) if torch.cuda.is_available() else None))


def main() -> None:
    """Run a piece and print what there is."""
    options = _arguments()
    store = Store.at(options.store)
    try:
        if options.table:
            show(store, config.loads(store.study_text(options.name or config.load(options.study).name)))
            return
        study = study_of(options.study, options.data, keep_tensors=options.keep_tensors)
        study = replace(study, name=options.name or study.name)
        piece = run_piece(
            study, store, options.cache, at_once=options.at_once, seconds=60 * options.minutes, listen=_teller()
        )
        show(store, study)
    except WhichLayersError as error:
        raise SystemExit("\n".join(error.problems)) from None
    print(f"{piece.closed} of {piece.trials} trials closed, {piece.failed} crashed in this piece")
    if piece.closed < piece.trials:
        sys.exit("not all is closed: the same command goes on")


def _teller() -> Any:
    last = {"said": ""}

    def tell(progress: Mapping[str, Any]) -> None:
        said = f"{progress['closed']} of {progress['trials']} closed" if progress["trials"] else progress["phase"]
        said += f"; {progress['error']}" if progress["error"] else ""
        if said != last["said"] and (progress["trials"] or progress["fraction"] in (0.0, 1.0)):
            print(said, file=sys.stderr, flush=True)
            last["said"] = said

    return tell


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=STUDY, help="study file; Table II of breast ultrasound")
    parser.add_argument("--name", help="of the study, where its file's is not wanted")
    parser.add_argument("--data", type=Path, help="folder of images with masks and manifest.csv")
    parser.add_argument("--store", type=Path, required=True, help="results, start weights included")
    parser.add_argument("--cache", type=Path, default=node_cache(), help="decoded images and start weights")
    parser.add_argument("--minutes", type=float, default=9.0, help="after which no trial goes on; 'inf' for none")
    parser.add_argument("--at-once", type=int, help="trials at once; as the machine seems to allow where left out")
    parser.add_argument("--keep-tensors", action="store_true", help="trained tensors too, up to 124 MB a trial")
    parser.add_argument("--table", action="store_true", help="only print")
    return parser.parse_args()


if __name__ == "__main__":
    main()
