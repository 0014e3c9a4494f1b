"""A study's results as tidy tables: cells, folds, test images, differences. For programs and spreadsheets."""

import io
import zipfile

import pandas as pd

from dashboard.figures.cells import fold_table, for_file, in_rows
from dashboard.figures.confusion import confusion_table
from dashboard.figures.measures import measures_of
from dashboard.figures.repeats import ROW, with_repeats
from dashboard.report.comparisons import against_reference, as_published, fold_values, shallow_and_deep
from dashboard.report.findings import Findings
from dashboard.report.readers import Readers
from engine.significance import tukey_over_fractions

IMAGES = ["dataset", "start", "fraction", "strategy", "fold", "seed", "learning_rate", "index", "image", "group"]
OF_MASKS = ["dice", "iou", "hd95", "empty_truth", "predicted_pixels"]
OF_CLASSES = ["scanner", "label", "predicted", "accuracy", "top2"]
"""Further columns of `images`, by what is learned."""
ONLY_MASKS = ["false_positive_rate", "normal_images", "hd95_unit", "hd95_undefined"]
"""Columns of cells and folds that say nothing of classes."""


def tidy_tables(findings: Findings) -> dict[str, str]:
    """CSV by name: `cells` and `folds` of every measure, `images` of complete cells with their names and groups, and
    `differences` of paired Dice (or accuracy), with what a page says of each, and `tukey`'s HSD. Of classes also
    `readers`, `classes`, `scanners` and `confusion`.
    """
    cells, folds = [], []
    for name, measure in measures_of(findings.main.task).items():
        table = with_repeats(findings.told_cells(measure), findings.repeats_of(measure))
        if measure != findings.main and not table["mean"].notna().any():
            continue
        cells.append(table.assign(measure=name).astype({"images": "Int64"} if "images" in table else {}))
        by_fold = fold_table(findings.trials, measure.column)
        by_fold = in_rows(by_fold, findings.plan, findings.facts["data"]["name"])
        folds.append(by_fold.assign(measure=name))
        if len(findings.repeat_trials):
            again = in_rows(
                fold_table(findings.repeat_trials, measure.column), findings.plan, findings.facts["data"]["name"]
            )
            folds.append(again.assign(dataset=again["dataset"] + ROW, measure=name))
    every = pd.concat(folds, ignore_index=True)
    done = every.groupby(["dataset", "fraction", "strategy"])["done"].transform("all")
    # A cell shows its test values with its last fold.
    for name in ("value", "value_all", "false_positive_rate", "kept"):
        every[name] = every[name].where(done)
    classes = findings.main.task == "classification"
    if classes:
        cells = [table.drop(columns=ONLY_MASKS, errors="ignore") for table in cells]
        every = every.drop(columns=ONLY_MASKS, errors="ignore")
    own = OF_MASKS if findings.main.task == "segmentation" else OF_CLASSES
    tables = {
        "cells": for_file(_first(pd.concat(cells, ignore_index=True), "measure")),
        "folds": for_file(_first(every.drop(columns="ids"), "measure")),
        "images": for_file(findings.images.reindex(columns=[*IMAGES, *own])),
        "differences": for_file(differences(findings)),
        "tukey": for_file(tukey(findings)),
    }
    return {**tables, **_of_readers(Readers(findings=findings))} if classes else tables


def _of_readers(readers: Readers) -> dict[str, str]:
    """`readers` with their accuracy, `classes` and `scanners` of each, `confusion` cell by cell."""
    if not len(readers.answers):
        return {}
    columns = ["class", "images", "groups", "recall", "recall_low", "recall_high", "said", "precision"]
    columns += ["precision_low", "precision_high"]
    by_class = [found.classes[columns].assign(reader=name) for name, found in readers.found.items()]
    by_scanner = [found.scanners.assign(reader=name) for name, found in readers.found.items()]
    cells = [confusion_table(part, readers.classes).assign(reader=name) for name, part in readers.by_name.items()]
    return {
        "readers": for_file(readers.measures.drop(columns=["source", "study"])),
        "classes": for_file(_first(pd.concat(by_class, ignore_index=True), "reader")),
        "scanners": for_file(_first(pd.concat(by_scanner, ignore_index=True), "reader")),
        "confusion": for_file(_first(pd.concat(cells, ignore_index=True), "reader")),
    }


def tukey(findings: Findings) -> pd.DataFrame:
    """A row per comparison of Tukey's HSD over folds, as published, `over` strategies or fractions."""
    found = [("strategies", as_published(findings)), ("fractions", tukey_over_fractions(fold_values(findings)))]
    return _first(pd.concat([table.assign(over=name) for name, table in found], ignore_index=True), "over")


def differences(findings: Findings) -> pd.DataFrame:
    """A row per comparison: family (`reference` or `shallow and deep`), first, second, and what is said of it."""
    reference = against_reference(findings).rename(columns={"strategy": "first"})
    reference = reference.assign(family="reference", second=findings.reference)
    tables = [reference, shallow_and_deep(findings).assign(family="shallow and deep")]
    columns = ["family", "dataset", "fraction", "first", "second", "difference", "low", "high", "simultaneous_low"]
    columns += ["simultaneous_high", "loss", "bound", "within_margin", "smallest_difference", "p_holm", "p_tukey"]
    columns += ["folds", "images", "note"]
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True).reindex(columns=columns) if filled else pd.DataFrame(columns=columns)


def zipped(tables: dict[str, str]) -> bytes:
    """The tables as one ZIP archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in tables.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.csv", date_time=(1980, 1, 1, 0, 0, 0)), text)
    return stream.getvalue()


def _first(table: pd.DataFrame, column: str) -> pd.DataFrame:
    return table[[column, *(name for name in table.columns if name != column)]]
