"""A study's results as tidy tables: cells, folds, test images, differences. For programs and spreadsheets."""

import io
import zipfile

import pandas as pd

from dashboard.figures.cells import fold_table, for_file, in_rows
from dashboard.figures.measures import measures_of
from dashboard.report.comparisons import against_reference, shallow_and_deep
from dashboard.report.findings import Findings

IMAGES = ["dataset", "start", "fraction", "strategy", "fold", "seed", "learning_rate", "index", "image", "group"]
OF_MASKS = ["dice", "iou", "hd95", "empty_truth", "predicted_pixels"]
OF_CLASSES = ["scanner", "label", "predicted", "accuracy", "top2"]
"""Further columns of `images`, by what is learned."""


def tidy_tables(findings: Findings) -> dict[str, str]:
    """CSV by name: `cells` and `folds` of every measure, `images` of complete cells with their names and groups, and
    `differences` of paired Dice (or accuracy), with what a page says of each.
    """
    cells, folds = [], []
    for name, measure in measures_of(findings.main.task).items():
        table = findings.cells_of(measure)
        if measure != findings.main and not table["mean"].notna().any():
            continue
        cells.append(table.assign(measure=name))
        by_fold = fold_table(findings.trials, measure.column)
        by_fold = in_rows(by_fold, findings.plan, findings.facts["data"]["name"])
        folds.append(by_fold.assign(measure=name))
    every = pd.concat(folds, ignore_index=True)
    done = every.groupby(["dataset", "fraction", "strategy"])["done"].transform("all")
    # A cell shows its test values with its last fold.
    for name in ("value", "value_all", "false_positive_rate", "kept"):
        every[name] = every[name].where(done)
    own = OF_MASKS if findings.main.task == "segmentation" else OF_CLASSES
    return {
        "cells": for_file(_measure_first(pd.concat(cells, ignore_index=True))),
        "folds": for_file(_measure_first(every.drop(columns="ids"))),
        "images": for_file(findings.images.reindex(columns=[*IMAGES, *own])),
        "differences": for_file(differences(findings)),
    }


def differences(findings: Findings) -> pd.DataFrame:
    """A row per comparison: family (`reference` or `shallow and deep`), first, second, and what is said of it."""
    reference = against_reference(findings).rename(columns={"strategy": "first"})
    reference = reference.assign(family="reference", second=findings.reference)
    tables = [reference, shallow_and_deep(findings).assign(family="shallow and deep")]
    columns = ["family", "dataset", "fraction", "first", "second", "difference", "low", "high", "simultaneous_low"]
    columns += ["simultaneous_high", "loss", "bound", "within_margin", "p_holm", "p_tukey", "folds", "images", "note"]
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True).reindex(columns=columns) if filled else pd.DataFrame(columns=columns)


def zipped(tables: dict[str, str]) -> bytes:
    """The tables as one ZIP archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in tables.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.csv", date_time=(1980, 1, 1, 0, 0, 0)), text)
    return stream.getvalue()


def _measure_first(table: pd.DataFrame) -> pd.DataFrame:
    return table[["measure", *(name for name in table.columns if name != "measure")]]
