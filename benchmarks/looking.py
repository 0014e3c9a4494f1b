"""How long looking takes: a made study of thousands of trials, opened as the pages open it.

    python benchmarks/looking.py                            2,000 trials x 30 epochs x 100 test images of 128 x 128
    python benchmarks/looking.py --trials 10000             more
    python benchmarks/looking.py --store /tmp/made          keep the store there, and use it again
    python benchmarks/looking.py --processor                processor time, for a machine that is busy with other work

Numbers are made by chance. Pages run in this process by Streamlit's AppTest: the script with everything that it
computes, draws and turns into JSON, without the way to the browser and without what the browser does.
"""

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from engine.architectures import UNET_STRATEGIES, trainable_parameters, unet_parameters
from engine.datasets import Dataset
from engine.datasets.cached import open_dataset
from engine.store import SEGMENT, Store
from engine.store.rows import parquet_of_attempts
from engine.store.schema import ATTEMPT_SCHEMA, CELL
from engine.study_settings import DataSettings
from engine.trial import Attempt, Trial

STUDY = "looking"
SIDE = 128
FOLDS = 5
RATES = (1e-3, 3e-4, 1e-4, 3e-5)
NESTED = ("epochs", "test_images", "calibration")
CLOCK = [time.perf_counter]
PAGE = Path(__file__).resolve().parents[1] / "dashboard" / "app.py"


def trials(number: int, data: str) -> list[Trial]:
    """`number` trials: 13 strategies x 3 fractions x 4 rates x 5 folds = 780, and as many seeds as it takes."""
    every = product(range(1 + number // 780), (80.0, 50.0, 5.0), UNET_STRATEGIES.values(), RATES, range(FOLDS))
    return [
        Trial(
            data=data, split_by="group", split_seed=0, folds=FOLDS, fold=fold, fraction=fraction,
            strategy=strategy.name, model="unet", width=16, image_size=SIDE, units=strategy.units,
            learning_rate=rate, seed=seed, start_weights=None if strategy.start == "random" else "0" * 64,
            batch_size=2, patience=20, max_epochs=200, batches_per_epoch=27, shift=0.05, zoom=0.05, flip=True,
            precision="float32", threads=1, device="cpu", start="" if strategy.start == "random" else "made weights",
            draws=len(RATES),
        )
        for seed, fraction, strategy, rate, fold in islice(every, number)
    ]  # fmt: skip


def segment(part: list[Trial], *, epochs: int, images: int, masks: pa.Array, random: np.random.Generator) -> bytes:
    """A segment as compaction writes it, with an attempt at each trial."""
    part = sorted(part, key=lambda trial: [getattr(trial, name) for name in CELL if name != "number"])
    skill = np.array([_skill(trial) for trial in part]) + random.normal(0, 0.02, len(part))
    dice = np.clip(skill[:, None] + random.normal(0, 0.1, (len(part), images)), 0.01, 0.99)
    total = sum(unet_parameters(16).values())
    rows: list[dict[str, Any]] = []
    for trial, values in zip(part, dice, strict=True):
        attempt = Attempt(
            trial=trial, number=1, state="completed", started="2026-01-01T00:00:00+00:00", seconds=60.0, host="made",
            best_epoch=epochs, epochs_run=epochs, dice=float(values.mean()), iou=float((values / (2 - values)).mean()),
            validation_loss=0.1, validation_dice=float(values.mean() + random.normal(0, 0.02)), hd95=5.0,
            hd95_unit="mm", trainable_parameters=trainable_parameters(UNET_STRATEGIES[trial.strategy], "unet", 16),
            total_parameters=total, training_images=320, validation_images=80,
        )  # fmt: skip
        rows.append({"id": trial.id, **asdict(trial), **asdict(attempt), **dict.fromkeys(NESTED)})
    flat = pa.Table.from_pylist(rows, pa.schema([field for field in ATTEMPT_SCHEMA if field.name not in NESTED]))
    loss = -np.sort(-random.uniform(0.1, 0.7, (len(part), epochs)), axis=1).ravel()
    curves = {
        "epoch": np.tile(np.arange(1, epochs + 1), len(part)), "training_loss": loss, "validation_loss": loss,
        "validation_dice": np.full(loss.size, 0.8), "seconds": np.full(loss.size, 1.5),
    }  # fmt: skip
    place = np.concatenate([trial.fold + FOLDS * np.arange(images) for trial in part])
    tested = {
        "image": [f"image {index:04d}.png" for index in place], "index": place,
        "group": [f"patient {index % (25 * FOLDS):03d}" for index in place],
        "dice": dice.ravel(), "iou": (dice / (2 - dice)).ravel(), "hd95": random.uniform(1, 9, dice.size),
        "empty_truth": np.zeros(dice.size, dtype=bool), "predicted_pixels": np.full(dice.size, 900),
        "predicted_mask": masks.take(pa.array(random.integers(len(masks), size=dice.size))),
    }  # fmt: skip
    columns = {"epochs": _lists("epochs", curves, epochs), "test_images": _lists("test_images", tested, images)}
    arrays = [
        columns[field.name] if field.name in columns
        else pa.nulls(len(part), field.type) if field.name in NESTED
        else flat[field.name]
        for field in ATTEMPT_SCHEMA
    ]  # fmt: skip
    return parquet_of_attempts(pa.Table.from_arrays(arrays, schema=ATTEMPT_SCHEMA))


def _skill(trial: Trial) -> float:
    shallow = 0.8 + 0.1 * len(trial.units) / 10 - 0.3 * (trial.learning_rate - 1e-4)
    return shallow - {80.0: 0.0, 50.0: 0.03, 5.0: 0.15}[trial.fraction]


def _lists(name: str, columns: dict[str, Any], each: int) -> pa.Array:
    kinds = list(ATTEMPT_SCHEMA.field(name).type.value_type)
    size = len(next(iter(columns.values())))
    values = [
        pa.array(columns[kind.name], kind.type) if kind.name in columns else pa.nulls(size, kind.type) for kind in kinds
    ]
    return pa.ListArray.from_arrays(
        pa.array(np.arange(0, size + 1, each), pa.int32()), pa.StructArray.from_arrays(values, fields=kinds)
    )


def made_masks() -> pa.Array:
    """Packed discs, which compress like real masks."""
    place = (np.arange(SIDE) + 0.5) / SIDE
    return pa.array(
        np.packbits(np.hypot(place[:, None] - down, place - across) < radius).tobytes()
        for down, across, radius in np.random.default_rng(0).uniform(0.15, 0.6, (5000, 3))
    )


def make(store: Store, dataset: Dataset, *, number: int, epochs: int, images: int) -> None:
    """The study in the store, wholly compacted."""
    random, masks = np.random.default_rng(1), made_masks()
    planned = trials(number, dataset.fingerprint)
    for place in range(0, number, SEGMENT):
        part = planned[place : place + SEGMENT]
        content = segment(part, epochs=epochs, images=images, masks=masks, random=random)
        store.files.write(f"{STUDY}/segments/{place:064x}.parquet", content)
    store.write_plan(STUDY, planned, _facts(dataset))
    store.begin(STUDY, f"name: {STUDY}\n")


def _facts(dataset: Dataset) -> dict[str, Any]:
    return {
        "question": "", "planned": "2026-01-01T00:00:00+00:00", "reference": "whole network", "margin": 0.01,
        "data": {
            "name": dataset.name, "kind": "simulated", "provenance": dataset.provenance,
            "fingerprint": dataset.fingerprint, "images": len(dataset.images), "groups": 25 * FOLDS,
            "image_size": SIDE, "compare_with": "SUS", "split_by": "group", "split_note": "", "labels": {},
            "scanners": {},
        },
        "start_weights": [{"name": "made weights", "sha256": "0" * 64, "kind": "natural-like images",
                           "description": "made", "own_dice": 0.9, "seconds": 1.0}],
        "machine": {"host": "made", "processor": "made", "cores": 2, "gpu": None, "memory_gb": 8},
        "settings": {"width": 16, "image_size": SIDE, "max_epochs": 200, "patience": 20, "batches_per_epoch": 27,
                     "precision": "float32", "threads": 1},
        "table1": [],
    }  # fmt: skip


def clock() -> float:
    """Seconds, of which only differences mean something."""
    return CLOCK[0]()


def seconds(what: Callable[[], Any]) -> float:
    """Time of one call."""
    begun = clock()
    what()
    return clock() - begun


def page_passes() -> Iterator[tuple[str, float, float]]:
    """Results opened in this process, then each switch and filter for the first time.

    Gives the name, seconds until the table is drawn, and seconds until the page with its statistics is complete.
    """
    import scipy.stats  # noqa: F401  (loaded by the first recommendation of a server, not of a page)
    from streamlit.testing.v1 import AppTest

    from dashboard.views import chart, table

    drawn: list[float] = []

    def timed(*arguments: Any, **options: Any) -> None:
        chart.draw_table(*arguments, **options)
        drawn.append(clock())

    vars(table)["draw_table"] = timed
    page = AppTest.from_file(str(PAGE), default_timeout=120)

    def run(name: str) -> tuple[str, float, float]:
        drawn.clear()
        begun = clock()
        page.run()
        ended = clock()
        if page.exception or page.error:
            raise SystemExit(f"{name}: {page.exception or page.error}")
        return name, drawn[0] - begun, ended - begun

    yield run("first page")
    yield run("the same again")
    for key, values in (
        ("measure", ("IoU", "HD95", "false positives", "Dice")),
        ("rate", ("0.0001", "chosen on validation")),
        ("seed", ("1", "mean of seeds")),
        ("colours", ("colour-blind safe",)),
    ):
        for value in values:
            found = [widget for widget in page.segmented_control if widget.key == key]
            if found and value in found[0].options:
                found[0].set_value(value)
                yield run(f"{key}: {value}")
    for key, value in (("row", "5 %"), ("strategy", "contracting")):
        page.selectbox(key=key).set_value(value)
        yield run(f"{key}: {value}")


def _script() -> None:
    import importlib

    import streamlit as st

    importlib.import_module(f"dashboard.views.{st.session_state['page name']}").page()


def other_pages() -> Iterator[tuple[str, float, float]]:
    """Each further page of such a study: seconds until all of it is there with empty caches, and again."""
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    from dashboard.pages import PAGES, fits

    for address, (_, title, _) in PAGES.items():
        if address == "results" or not fits(address, "segmentation"):
            continue
        st.cache_data.clear()
        st.cache_resource.clear()
        page = AppTest.from_function(_script, default_timeout=300)
        page.session_state["page name"], page.session_state["current"] = address.replace("-", "_"), STUDY

        def run(page: AppTest = page, title: str = title) -> None:
            page.run()
            if page.exception or page.error:
                raise SystemExit(f"{title}: {page.exception or page.error}")

        yield title, seconds(run), seconds(run)


def data_steps() -> Iterator[tuple[str, float, float]]:
    """Seconds of each step of the data layer, with empty caches and again."""
    import streamlit as st

    from dashboard import data
    from dashboard.figures.cells import rates
    from dashboard.figures.curve_sheet import curve_sheet, curve_sheet_table
    from dashboard.figures.table2 import table2, table2_table

    st.cache_data.clear()
    st.cache_resource.clear()
    rate = rates(data.plan(STUDY))[0]
    st.cache_data.clear()
    st.cache_resource.clear()
    cell: dict[str, Any] = {}

    def one_cell() -> None:
        found = data.trials(STUDY, rate)
        cell["trials"] = found[(found["fraction"] == 80) & (found["strategy"] == "contracting")]
        cell["pictures"] = data.pictures(STUDY, cell["trials"], 4, "dice")

    steps: dict[str, Callable[[], Any]] = {
        "plan": lambda: data.plan(STUDY),
        "attempts": lambda: data.attempts(STUDY),
        "trials that count": lambda: data.trials(STUDY, rate),
        "folds": lambda: data.folds(STUDY, rate, "dice"),
        "cells": lambda: data.cells(STUDY, rate, "dice"),
        "Table II": lambda: cell.update(table=table2_table(data.cells(STUDY, rate, "dice"))),
        "its figure as JSON": lambda: table2(cell["table"]).to_json(),
        "one cell's images": one_cell,
        "one cell's epochs": lambda: data.epochs(STUDY, cell["trials"]),
        "all epochs": lambda: cell.update(epochs=data.epochs(STUDY, data.trials(STUDY, rate))),
        "all learning curves as JSON": lambda: curve_sheet(
            curve_sheet_table(cell["epochs"], data.trials(STUDY, rate))
        ).to_json(),
        "all test images": lambda: data.test_table(STUDY, rate),
        "intervals and recommendations": lambda: data.compute_statistics(STUDY, rate, "dice"),
        "the paper's claims": lambda: data.claims(STUDY, rate),
        "agreement of orders": lambda: data.agreement(STUDY, rate),
    }
    for name, step in steps.items():
        yield name, seconds(step), seconds(step)


def main() -> None:
    """Make the store, open the page, go through the data layer, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--processor", action="store_true")
    chosen = parser.parse_args()
    CLOCK[0] = time.process_time if chosen.processor else time.perf_counter
    os.environ["STREAMLIT_LOGGER_LEVEL"] = "error"
    logging.disable(logging.WARNING)  # outside of a server Streamlit warns of everything
    with tempfile.TemporaryDirectory() as folder:
        place = chosen.store or Path(folder)
        os.environ["WHICHLAYERS_STORE"], os.environ["WHICHLAYERS_CACHE"] = str(place / "results"), str(place / "cache")
        store = Store.at(place / "results")
        if STUDY not in store.studies():
            dataset = open_dataset(DataSettings(kind="simulated", images=FOLDS * chosen.images), SIDE, place / "cache")
            make(store, dataset, number=chosen.trials, epochs=chosen.epochs, images=chosen.images)
        size = sum(path.stat().st_size for path in (place / "results").rglob("*") if path.is_file())
        print(f"{len(store.plan(STUDY)):,} trials, {size / 2**20:.0f} MiB, {os.cpu_count()} cores; seconds\n")
        print("| page | table | with statistics |\n|---|---:|---:|")
        for name, table, whole in page_passes():
            print(f"| {name} | {table:.2f} | {whole:.2f} |", flush=True)
        print("\n| another page, whole | first | again |\n|---|---:|---:|")
        for name, first, again in other_pages():
            print(f"| {name} | {first:.2f} | {again:.2f} |", flush=True)
        print("\n| step | first | again |\n|---|---:|---:|")
        for name, first, again in data_steps():
            print(f"| {name} | {first:.3f} | {again:.3f} |", flush=True)


if __name__ == "__main__":
    main()
